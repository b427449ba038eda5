/*
 * keyflight inspect: shows the header of a message. Called by main. Takes no key and never verifies anything:
 * what it shows may come from anybody, so all text is quoted and escaped.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "json.h"
#include "text.h"

#define FIRST_ROOM ((size_t)16 * 1024)
#define LAST_ROOM ((size_t)64 * 1024 * 1024) /* a longer header is refused */

enum {
    JSON = 256
};

static const struct cli_option options[] = {
    {JSON, "json", NULL, false, "print one JSON object"},
    {0},
};

static const struct cli_syntax syntax = {
    .command = "inspect",
    .synopsis = "[--json] [IN]",
    .about = "Shows the header of a message of the AWS Encryption SDK: IN, or the standard\n"
             "input. Takes no key, so nothing of what it shows is verified.",
    .has_operand = true,
    .options = options,
};

/* ---- Reading ---- */

/* Reads into `bytes` until there are `room` bytes or the input ends. */
static enum kf_code header_fill(struct cli_input *input, uint8_t *bytes, size_t room,
                                struct cli_failure *failure, size_t *length, bool *end)
{
    while (*length < room && !*end) {
        size_t got;
        enum kf_code code = cli_input_read(input, bytes + *length, room - *length, failure, &got);
        if (code != KF_OK)
            return code;
        *length += got;
        *end = got == 0;
    }
    return KF_OK;
}

static enum kf_code header_incomplete(const struct cli_input *input, size_t length, bool end,
                                      struct cli_failure *failure)
{
    if (!end)
        return cli_fail(failure, input->name, KF_E_LIMIT, "Its header is longer than 64 MiB.");
    return cli_fail(failure, input->name, KF_E_TRUNCATED,
                    length == 0 ? "It is empty." : "The message ends in the middle of its header.");
}

static enum kf_code inspect_read_header(struct cli_input *input, struct cli_failure *failure,
                                        const struct kf_header **out)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    bool end = false;
    enum kf_code code = KF_WANT_INPUT;
    for (size_t room = FIRST_ROOM; code == KF_WANT_INPUT && !end && room <= LAST_ROOM; room *= 2) {
        uint8_t *larger = realloc(bytes, room);
        if (larger == NULL) {
            free(bytes);
            return cli_fail_memory(failure);
        }
        bytes = larger;
        code = header_fill(input, bytes, room, failure, &length, &end);
        if (code != KF_OK)
            break;
        failure->subject = input->name;
        code = kf_header_parse(kf_view_of(bytes, length), 0, &failure->error, out);
    }
    free(bytes);
    return code == KF_WANT_INPUT ? header_incomplete(input, length, end, failure) : code;
}

/* ---- What an EDK says ---- */

/*
 * The name of the key, if the provider's information has a known form. That of raw AES is followed by the
 * lengths of tag and IV, and by the IV; that of AWS KMS by nothing. Otherwise its length is 0.
 * (S: framework/raw-aes-keyring.md#key-provider-information)
 */
static struct kf_view key_name(const struct kf_edk *edk)
{
    static const uint8_t lengths[8] = {0, 0, 0, 128, 0, 0, 0, 12};
    static const char kms[] = "aws-kms";
    struct kf_view info = edk->provider_info, name = {NULL, 0};
    if (edk->provider_id.length >= sizeof kms - 1 && memcmp(edk->provider_id.data, kms, sizeof kms - 1) == 0)
        name = info;
    else if (info.length >= 20 && memcmp(info.data + info.length - 20, lengths, sizeof lengths) == 0)
        name = kf_view_of(info.data, info.length - 20);
    return cli_text_is_printable(name) ? name : kf_view_of(NULL, 0);
}

static void print_hex(struct kf_view bytes)
{
    for (size_t i = 0; i < bytes.length; i++)
        printf("%02x", bytes.data[i]);
}

static void print_hex_string(struct kf_view bytes)
{
    putchar('"');
    print_hex(bytes);
    putchar('"');
}

/* ---- For people ---- */

static enum kf_code print_edk_text(size_t number, const struct kf_edk *edk, struct kf_error *error)
{
    char fingerprint[KF_FINGERPRINT_SIZE];
    enum kf_code code = kf_edk_fingerprint(edk, error, fingerprint);
    if (code != KF_OK)
        return code;
    struct kf_view name = key_name(edk);
    printf("  %zu. provider ", number);
    cli_json_string(stdout, edk->provider_id);
    if (name.length > 0) {
        fputs(", key ", stdout);
        cli_json_string(stdout, name);
    } else {
        fputs(", key information ", stdout);
        if (cli_text_is_printable(edk->provider_info))
            cli_json_string(stdout, edk->provider_info);
        else
            print_hex(edk->provider_info);
    }
    printf("\n     %zu bytes, fingerprint %s\n", edk->ciphertext.length, fingerprint);
    return KF_OK;
}

static enum kf_code inspect_as_text(const struct kf_header *header, struct kf_error *error)
{
    const struct kf_suite_info *suite = kf_header_suite(header);
    const struct kf_encryption_context *context = kf_header_encryption_context(header);
    uint32_t frame_length = kf_header_frame_length(header);
    printf("AWS Encryption SDK message, format %u\n", suite->format);
    printf("Suite:               %04x %s\n", (unsigned)suite->id, suite->name);
    printf("Signature:           %s\n", suite->sign ? "yes" : "no");
    printf("Key commitment:      %s\n", suite->commits ? "yes" : "no");
    fputs("Message id:          ", stdout);
    print_hex(kf_header_message_id(header));
    printf("\nHeader:              %zu bytes\n", kf_header_length(header));
    if (frame_length == 0)
        puts("Body:                not framed");
    else
        printf("Body:                frames of %" PRIu32 " bytes\n", frame_length);
    printf("Encryption context:  %zu\n", kf_encryption_context_count(context));
    for (size_t i = 0; i < kf_encryption_context_count(context); i++) {
        struct kf_pair pair = kf_encryption_context_at(context, i);
        fputs("  ", stdout);
        cli_json_string(stdout, pair.key);
        fputs(" = ", stdout);
        cli_json_string(stdout, pair.value);
        putchar('\n');
    }
    printf("Encrypted data keys: %zu\n", kf_header_edk_count(header));
    for (size_t i = 0; i < kf_header_edk_count(header); i++) {
        struct kf_edk edk = kf_header_edk(header, i);
        enum kf_code code = print_edk_text(i + 1, &edk, error);
        if (code != KF_OK)
            return code;
    }
    puts("Nothing of this was verified; that takes a key.");
    return KF_OK;
}

/* ---- For programs ---- */

static enum kf_code print_edk_json(const struct kf_edk *edk, struct kf_error *error)
{
    char fingerprint[KF_FINGERPRINT_SIZE];
    enum kf_code code = kf_edk_fingerprint(edk, error, fingerprint);
    if (code != KF_OK)
        return code;
    fputs("{\"provider_id\": ", stdout);
    cli_json_string(stdout, edk->provider_id);
    if (cli_text_is_printable(edk->provider_info)) {
        fputs(", \"provider_info\": ", stdout);
        cli_json_string(stdout, edk->provider_info);
    }
    fputs(", \"provider_info_hex\": ", stdout);
    print_hex_string(edk->provider_info);
    struct kf_view name = key_name(edk);
    if (name.length > 0) {
        fputs(", \"key_name\": ", stdout);
        cli_json_string(stdout, name);
    }
    printf(", \"ciphertext_length\": %zu, \"fingerprint\": \"%s\"}", edk->ciphertext.length, fingerprint);
    return KF_OK;
}

static void print_context_json(const struct kf_encryption_context *context)
{
    putchar('{');
    for (size_t i = 0; i < kf_encryption_context_count(context); i++) {
        struct kf_pair pair = kf_encryption_context_at(context, i);
        fputs(i > 0 ? ", " : "", stdout);
        cli_json_string(stdout, pair.key);
        fputs(": ", stdout);
        cli_json_string(stdout, pair.value);
    }
    putchar('}');
}

static enum kf_code inspect_as_json(const struct kf_header *header, struct kf_error *error)
{
    const struct kf_suite_info *suite = kf_header_suite(header);
    uint32_t frame_length = kf_header_frame_length(header);
    printf("{\"format_version\": %u, \"suite\": \"%04x\", \"suite_name\": \"%s\", \"message_id\": ",
           suite->format, (unsigned)suite->id, suite->name);
    print_hex_string(kf_header_message_id(header));
    fputs(", \"encryption_context\": ", stdout);
    print_context_json(kf_header_encryption_context(header));
    printf(", \"content_type\": \"%s\", \"frame_length\": %" PRIu32
           ", \"header_length\": %zu, \"encrypted_data_keys\": [",
           frame_length == 0 ? "non-framed" : "framed", frame_length, kf_header_length(header));
    for (size_t i = 0; i < kf_header_edk_count(header); i++) {
        struct kf_edk edk = kf_header_edk(header, i);
        fputs(i > 0 ? ", " : "", stdout);
        enum kf_code code = print_edk_json(&edk, error);
        if (code != KF_OK)
            return code;
    }
    puts("]}");
    return KF_OK;
}

static int inspect_take(void *is_json, int id, const char *value)
{
    (void)id;
    (void)value;
    *(bool *)is_json = true;
    return 0;
}

int cli_inspect(int argc, char **argv)
{
    const char *path;
    bool json = false;
    int status;
    if (!cli_read_arguments(&syntax, argc, argv, inspect_take, &json, &path, &status))
        return status;
    struct cli_failure failure = CLI_FAILURE_INIT;
    struct cli_input input = CLI_INPUT_INIT;
    const struct kf_header *header = NULL;
    enum kf_code code = cli_input_open(path, &failure, &input);
    if (code == KF_OK)
        code = inspect_read_header(&input, &failure, &header);
    if (code == KF_OK)
        code = json ? inspect_as_json(header, &failure.error) : inspect_as_text(header, &failure.error);
    kf_header_unref(header);
    cli_input_close(&input);
    return code == KF_OK ? KF_CLASS_OK : cli_report(syntax.command, &failure);
}
