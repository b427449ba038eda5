/*
 * Reading key files: see keyfile.h. Called by keys.c. Wipes key bytes wherever they were. Never puts a line
 * into an error, as a line that is not understood may be a key.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "input.h"
#include "keys/keyfile.h"
#include "text.h"

#define FILE_MAX ((size_t)256 * 1024) /* two names of 65,535 bytes each fit well */

/* ---- Words ---- */

const char *const cli_field_names[CLI_FIELDS] = {
    [CLI_FIELD_TYPE] = "type", [CLI_FIELD_NAMESPACE] = "namespace",
    [CLI_FIELD_NAME] = "name", [CLI_FIELD_PADDING] = "padding",
    [CLI_FIELD_KEY] = "key",
};

const char *const cli_key_type_names[CLI_KEY_TYPES] = {"raw-aes", "raw-rsa", "raw-ecdh"};

bool cli_rsa_padding(struct kf_view text, enum kf_rsa_padding *out)
{
    for (int i = KF_RSA_PKCS1; i <= KF_RSA_OAEP_SHA512; i++) {
        if (!cli_view_is(text, kf_rsa_padding_name((enum kf_rsa_padding)i)))
            continue;
        *out = (enum kf_rsa_padding)i;
        return true;
    }
    return false;
}

bool cli_view_is(struct kf_view view, const char *text)
{
    return view.length == strlen(text) && memcmp(view.data, text, view.length) == 0;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

struct kf_view cli_trim(struct kf_view text)
{
    while (text.length > 0 && is_blank(text.data[0]))
        text = kf_view_of(text.data + 1, text.length - 1);
    while (text.length > 0 && is_blank(text.data[text.length - 1]))
        text.length--;
    return text;
}

/* ---- Lines ---- */

static bool view_equals(struct kf_view a, struct kf_view b)
{
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static bool view_begins(struct kf_view view, const char *text)
{
    return view.length >= strlen(text) && memcmp(view.data, text, strlen(text)) == 0;
}

/* Answers the next line, without blanks at its ends, and moves `text` behind it. */
static struct kf_view take_line(struct kf_view *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->length);
    size_t length = end == NULL ? text->length : (size_t)(end - text->data);
    struct kf_view line = kf_view_of(text->data, length);
    size_t skipped = end == NULL ? length : length + 1;
    *text = kf_view_of(text->data + skipped, text->length - skipped);
    return cli_trim(line);
}

/* Reads a line that is not blank, no comment and not PEM. */
static enum kf_code read_field(struct cli_parts *parts, unsigned number, struct kf_view line,
                               struct cli_failure *failure)
{
    const uint8_t *colon = memchr(line.data, ':', line.length);
    if (colon == NULL)
        return cli_fail(failure, parts->path, KF_E_USAGE, "Line %u is not of the form 'field: value'.",
                        number);
    size_t before = (size_t)(colon - line.data);
    struct kf_view name = cli_trim(kf_view_of(line.data, before));
    struct kf_view value = cli_trim(kf_view_of(colon + 1, line.length - before - 1));
    size_t field = 0;
    while (field < CLI_FIELDS && !cli_view_is(name, cli_field_names[field]))
        field++;
    if (field == CLI_FIELDS)
        return cli_fail(
            failure, parts->path, KF_E_USAGE,
            "Line %u has an unknown field. The fields are type, namespace, name, padding and key.", number);
    if (parts->fields[field].data != NULL &&
        (field == CLI_FIELD_KEY || !view_equals(parts->fields[field], value)))
        return cli_fail(failure, parts->path, KF_E_USAGE, "Line %u has the field '%s' a second time.", number,
                        cli_field_names[field]);
    if (value.length == 0)
        return cli_fail(failure, parts->path, KF_E_USAGE, "Line %u has the field '%s' without a value.",
                        number, cli_field_names[field]);
    if (field != CLI_FIELD_KEY && !cli_text_is_printable(value))
        return cli_fail(failure, parts->path, KF_E_USAGE,
                        "Line %u is not UTF-8 text without control characters.", number);
    parts->fields[field] = value;
    return KF_OK;
}

/* Reads a key in PEM to its end; `begin` is its first line, and `text` goes on behind that. */
static enum kf_code read_pem(struct cli_parts *parts, unsigned *number, struct kf_view begin,
                             struct kf_view *text, struct cli_failure *failure)
{
    const unsigned first = *number;
    struct kf_view line = begin;
    while (!view_begins(line, "-----END ")) {
        if (text->length == 0)
            return cli_fail(failure, parts->path, KF_E_USAGE,
                            "The key in PEM that begins in line %u has no end.", first);
        line = take_line(text);
        ++*number;
    }
    /* openssl ecparam writes the name of the curve, and then the key, which holds that name too. */
    if (view_begins(begin, "-----BEGIN EC PARAMETERS-----"))
        return KF_OK;
    if (parts->key_count == CLI_KEYS_MAX)
        return cli_fail(failure, parts->path, KF_E_USAGE,
                        "Line %u begins a third key. A key file has one key, or two that belong together.",
                        first);
    parts->keys[parts->key_count++] = kf_view_of(begin.data, (size_t)(line.data + line.length - begin.data));
    return KF_OK;
}

static enum kf_code read_lines(struct cli_parts *parts, struct kf_view text, struct cli_failure *failure)
{
    enum kf_code code = KF_OK;
    for (unsigned number = 1; text.length > 0 && code == KF_OK; number++) {
        struct kf_view line = take_line(&text);
        if (line.length == 0 || line.data[0] == '#')
            continue;
        if (view_begins(line, "-----BEGIN "))
            code = read_pem(parts, &number, line, &text, failure);
        else
            code = read_field(parts, number, line, failure);
    }
    return code;
}

/* ---- The whole ---- */

/* Checks that the field "type", if there is one, fits what is in the file. */
static enum kf_code check_type_field(const struct cli_parts *parts, struct cli_failure *failure)
{
    struct kf_view type = parts->fields[CLI_FIELD_TYPE];
    if (type.data == NULL)
        return KF_OK;
    size_t known = 0;
    while (known < CLI_KEY_TYPES && !cli_view_is(type, cli_key_type_names[known]))
        known++;
    if (known == CLI_KEY_TYPES)
        return cli_fail(failure, parts->path, KF_E_USAGE,
                        "The field 'type' is not known: it is raw-aes, raw-rsa or raw-ecdh.");
    if ((known == CLI_RAW_AES) != (parts->key_count == 0))
        return cli_fail(failure, parts->path, KF_E_USAGE,
                        known == CLI_RAW_AES ? "A key of type raw-aes is not in PEM."
                                             : "A key of type %s is in PEM, which is missing.",
                        cli_key_type_names[known]);
    return KF_OK;
}

static enum kf_code parse(struct cli_parts *parts, struct kf_view text, struct cli_passphrase *passphrase,
                          struct cli_failure *failure, struct kf_keyring **out)
{
    enum kf_code code = KF_OK;
    if (text.length > 0 && text.data[0] == CLI_DER_BEGINS)
        parts->keys[parts->key_count++] = text;
    else
        code = read_lines(parts, text, failure);
    if (code == KF_OK)
        code = check_type_field(parts, failure);
    if (code != KF_OK)
        return code;
    if (parts->key_count == 0)
        return cli_keyfile_open_aes(parts, failure, out);
    if (parts->fields[CLI_FIELD_KEY].data != NULL)
        return cli_fail(failure, parts->path, KF_E_USAGE,
                        "There is a key in PEM and a field 'key'; only one of them can be there.");
    return cli_keyfile_open_pair(parts, passphrase, failure, out);
}

/* ---- Files ---- */

/* Reads the whole file into `bytes`, FILE_MAX + 1 long; `*length` is at most FILE_MAX. */
static enum kf_code read_all(struct cli_input *input, uint8_t *bytes, struct cli_failure *failure,
                             size_t *length)
{
    *length = 0;
    for (size_t got = 1; got > 0; *length += got) {
        enum kf_code code = cli_input_read(input, bytes + *length, FILE_MAX + 1 - *length, failure, &got);
        if (code != KF_OK)
            return code;
        if (*length + got > FILE_MAX)
            return cli_fail(failure, input->name, KF_E_USAGE, "It is too long for a key file.");
    }
    return KF_OK;
}

static void warn_if_readable(const struct cli_input *input)
{
    struct stat status;
    if (fstat(input->fd, &status) == 0 && S_ISREG(status.st_mode) &&
        (status.st_mode & (S_IRGRP | S_IROTH)) != 0)
        cli_warn("Not only its owner may read the key file %s; take 'chmod 600'.", input->name);
}

enum kf_code cli_keyfile_read(const char *path, enum cli_use use, struct cli_passphrase *passphrase,
                              struct cli_failure *failure, struct kf_keyring **out)
{
    struct cli_input input = CLI_INPUT_INIT;
    enum kf_code code = cli_input_open(path, failure, &input);
    if (code != KF_OK)
        return code;
    uint8_t *bytes = malloc(FILE_MAX + 1);
    if (bytes == NULL) {
        cli_input_close(&input);
        return cli_fail_memory(failure);
    }
    struct cli_parts parts = {.path = input.name, .use = use, .is_secret = true};
    size_t length;
    code = read_all(&input, bytes, failure, &length);
    if (code == KF_OK)
        code = parse(&parts, kf_view_of(bytes, length), passphrase, failure, out);
    if (code == KF_OK && parts.is_secret)
        warn_if_readable(&input);
    explicit_bzero(bytes, FILE_MAX + 1);
    free(bytes);
    cli_input_close(&input);
    return code;
}
