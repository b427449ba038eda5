/*
 * Key files: see keyfile.h. Called by keygen and keys.c. Key bytes are wiped wherever they were, and are
 * never part of an error: a line that is not understood may be a key.
 */
#include "keyfile.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "input.h"
#include "text.h"

#define FILE_MAX ((size_t)256 * 1024) /* two names of 65,535 bytes each fit well */
#define KEY_TEXT_MAX 44               /* base64 of KF_DATA_KEY_MAX bytes */

/* ---- Base64, the standard alphabet, padded ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Decodes a whole text; the length, or 0 if it is not base64, empty, or longer than `bytes`. */
static size_t base64_decode(struct kf_view text, uint8_t bytes[KF_DATA_KEY_MAX])
{
    if (text.length == 0 || text.length > KEY_TEXT_MAX || text.length % 4 != 0)
        return 0;
    size_t padding = text.data[text.length - 1] != '=' ? 0 : text.data[text.length - 2] != '=' ? 1 : 2;
    size_t length = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.length; i++) {
        const char *digit = i < text.length - padding ? memchr(digits, text.data[i], 64) : digits;
        if (digit == NULL)
            return 0;
        bits = bits << 6 | (uint32_t)(digit - digits);
        if (i % 4 != 3)
            continue;
        size_t whole = i + 1 < text.length ? 3 : 3 - padding;
        if (length + whole > KF_DATA_KEY_MAX || (bits & ((UINT32_C(1) << 8 * (3 - whole)) - 1)) != 0)
            return 0;
        for (size_t k = 0; k < whole; k++)
            bytes[length++] = (uint8_t)(bits >> (16 - 8 * k));
        bits = 0;
    }
    return length;
}

/* Encodes at most KF_DATA_KEY_MAX bytes; the length of the text. */
static size_t base64_encode(struct kf_view bytes, uint8_t text[KEY_TEXT_MAX])
{
    size_t length = 0;
    for (size_t i = 0; i < bytes.length; i += 3) {
        size_t whole = bytes.length - i < 3 ? bytes.length - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < whole ? bytes.data[i + k] : 0U);
        for (size_t k = 0; k < 4; k++)
            text[length++] = (uint8_t)(k <= whole ? digits[bits >> (18 - 6 * k) & 63] : '=');
    }
    return length;
}

/* ---- Reading ---- */

enum field {
    TYPE,
    NAMESPACE,
    NAME,
    KEY,
    FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = {"type", "namespace", "name", "key"};

static bool view_is(struct kf_view view, const char *text)
{
    return view.length == strlen(text) && memcmp(view.data, text, view.length) == 0;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static struct kf_view trim(struct kf_view text)
{
    while (text.length > 0 && is_blank(text.data[0]))
        text = kf_view(text.data + 1, text.length - 1);
    while (text.length > 0 && is_blank(text.data[text.length - 1]))
        text.length--;
    return text;
}

/* Splits the next line off `text`. */
static struct kf_view take_line(struct kf_view *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->length);
    size_t length = end == NULL ? text->length : (size_t)(end - text->data);
    struct kf_view line = kf_view(text->data, length);
    size_t skipped = end == NULL ? length : length + 1;
    *text = kf_view(text->data + skipped, text->length - skipped);
    return trim(line);
}

/* Reads one line that is neither blank nor a comment into `fields`. */
static enum kf_code read_field(const char *path, unsigned number, struct kf_view line,
                               struct kf_cli_failure *failure, struct kf_view fields[FIELD_COUNT])
{
    const uint8_t *colon = memchr(line.data, ':', line.length);
    if (colon == NULL)
        return kf_cli_fail(failure, path, KF_E_USAGE, "Line %u is not of the form 'field: value'.", number);
    size_t before = (size_t)(colon - line.data);
    struct kf_view name = trim(kf_view(line.data, before));
    struct kf_view value = trim(kf_view(colon + 1, line.length - before - 1));
    size_t field = 0;
    while (field < FIELD_COUNT && !view_is(name, field_names[field]))
        field++;
    if (field == FIELD_COUNT)
        return kf_cli_fail(failure, path, KF_E_USAGE,
                           "Line %u has an unknown field; the fields are type, namespace, name and key.",
                           number);
    if (fields[field].data != NULL)
        return kf_cli_fail(failure, path, KF_E_USAGE, "Line %u has the field '%s' a second time.", number,
                           field_names[field]);
    if (value.length == 0)
        return kf_cli_fail(failure, path, KF_E_USAGE, "Line %u gives the field '%s' no value.", number,
                           field_names[field]);
    if (field != KEY && !kf_cli_text_is_printable(value))
        return kf_cli_fail(failure, path, KF_E_USAGE, "Line %u is not UTF-8 text without control characters.",
                           number);
    fields[field] = value;
    return KF_OK;
}

static enum kf_code read_fields(const char *path, struct kf_view text, struct kf_cli_failure *failure,
                                struct kf_view fields[FIELD_COUNT])
{
    for (unsigned number = 1; text.length > 0; number++) {
        struct kf_view line = take_line(&text);
        if (line.length == 0 || line.data[0] == '#')
            continue;
        enum kf_code code = read_field(path, number, line, failure, fields);
        if (code != KF_OK)
            return code;
    }
    for (size_t field = 0; field < FIELD_COUNT; field++) {
        if (fields[field].data == NULL)
            return kf_cli_fail(failure, path, KF_E_USAGE, "This is no key file, as it lacks the field '%s'.",
                               field_names[field]);
    }
    if (!view_is(fields[TYPE], "raw-aes"))
        return kf_cli_fail(failure, path, KF_E_USAGE,
                           "This key is of another type than raw-aes, the only one known.");
    return KF_OK;
}

static enum kf_code make_keyring(const char *path, const struct kf_cli_key *key,
                                 struct kf_cli_failure *failure, struct kf_keyring **out)
{
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    options.key_namespace = key->key_namespace;
    options.key_name = key->name;
    options.wrapping_key = key->bytes;
    failure->subject = path;
    return kf_raw_aes_keyring_new(&options, &failure->error, out);
}

static enum kf_code parse(const char *path, struct kf_view text, struct kf_cli_failure *failure,
                          struct kf_keyring **out)
{
    struct kf_view fields[FIELD_COUNT] = {{NULL, 0}};
    enum kf_code code = read_fields(path, text, failure, fields);
    if (code != KF_OK)
        return code;
    uint8_t bytes[KF_DATA_KEY_MAX];
    size_t length = base64_decode(fields[KEY], bytes);
    struct kf_cli_key key = {fields[NAMESPACE], fields[NAME], kf_view(bytes, length)};
    if (length != 16 && length != 24 && length != 32)
        code = kf_cli_fail(failure, path, KF_E_USAGE, "The field 'key' is not 16, 24 or 32 bytes in base64.");
    else
        code = make_keyring(path, &key, failure, out);
    explicit_bzero(bytes, sizeof bytes);
    return code;
}

/* Reads the whole file into `bytes`, FILE_MAX + 1 long; `*length` is at most FILE_MAX. */
static enum kf_code read_all(struct kf_cli_input *input, uint8_t *bytes, struct kf_cli_failure *failure,
                             size_t *length)
{
    *length = 0;
    for (size_t got = 1; got > 0; *length += got) {
        enum kf_code code = kf_cli_input_read(input, bytes + *length, FILE_MAX + 1 - *length, failure, &got);
        if (code != KF_OK)
            return code;
        if (*length + got > FILE_MAX)
            return kf_cli_fail(failure, input->name, KF_E_USAGE, "This is too long for a key file.");
    }
    return KF_OK;
}

static void warn_if_readable(const struct kf_cli_input *input)
{
    struct stat status;
    if (fstat(input->fd, &status) == 0 && S_ISREG(status.st_mode) &&
        (status.st_mode & (S_IRGRP | S_IROTH)) != 0)
        kf_cli_warn("Others than its owner may read the key file %s: chmod 600 it.", input->name);
}

enum kf_code kf_cli_keyfile_read(const char *path, struct kf_cli_failure *failure, struct kf_keyring **out)
{
    struct kf_cli_input input = KF_CLI_INPUT_INIT;
    enum kf_code code = kf_cli_input_open(path, failure, &input);
    if (code != KF_OK)
        return code;
    warn_if_readable(&input);
    uint8_t *bytes = malloc(FILE_MAX + 1);
    if (bytes == NULL) {
        kf_cli_input_close(&input);
        return kf_cli_fail_memory(failure);
    }
    size_t length;
    code = read_all(&input, bytes, failure, &length);
    if (code == KF_OK)
        code = parse(input.name, kf_view(bytes, length), failure, out);
    explicit_bzero(bytes, FILE_MAX + 1);
    free(bytes);
    kf_cli_input_close(&input);
    return code;
}

/* ---- Writing ---- */

enum kf_code kf_cli_keyfile_check(const struct kf_cli_key *key, struct kf_cli_failure *failure)
{
    const struct kf_view texts[] = {key->key_namespace, key->name};
    for (size_t i = 0; i < 2; i++) {
        if (texts[i].length == 0 || trim(texts[i]).length != texts[i].length ||
            !kf_cli_text_is_printable(texts[i]))
            return kf_cli_fail(failure, NULL, KF_E_USAGE,
                               "A key's %s is not empty, printable UTF-8, and without blanks at its ends.",
                               i == 0 ? "namespace" : "name");
    }
    struct kf_keyring *keyring;
    enum kf_code code = make_keyring(NULL, key, failure, &keyring);
    if (code == KF_OK)
        kf_keyring_unref(keyring);
    return code;
}

enum kf_code kf_cli_keyfile_write(const struct kf_cli_key *key, struct kf_cli_output *output,
                                  struct kf_cli_failure *failure)
{
    uint8_t text[KEY_TEXT_MAX];
    const struct kf_view parts[] = {
        kf_view_text("# keyflight key file: whoever has it can decrypt; keep it secret.\n"
                     "type: raw-aes\n"
                     "namespace: "),
        key->key_namespace,
        kf_view_text("\nname: "),
        key->name,
        kf_view_text("\nkey: "),
        kf_view(text, base64_encode(key->bytes, text)),
        kf_view_text("\n"),
    };
    enum kf_code code = KF_OK;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && code == KF_OK; i++)
        code = kf_cli_output_write(output, parts[i], failure);
    explicit_bzero(text, sizeof text);
    return code;
}
