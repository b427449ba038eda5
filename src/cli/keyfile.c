/*
 * Key files, read: see keyfile.h. Called by keys.c. Key bytes are wiped wherever they were, and are never
 * part of an error: a line that is not understood may be a key.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "base64.h"
#include "input.h"
#include "keyfile_parts.h"
#include "text.h"

#define FILE_MAX ((size_t)256 * 1024) /* two names of 65,535 bytes each fit well */

static const char *const field_names[KF_CLI_FIELDS] = {
    [KF_CLI_FIELD_TYPE] = "type", [KF_CLI_FIELD_NAMESPACE] = "namespace",
    [KF_CLI_FIELD_NAME] = "name", [KF_CLI_FIELD_PADDING] = "padding",
    [KF_CLI_FIELD_KEY] = "key",
};

/* ---- Lines ---- */

static bool view_equals(struct kf_view a, struct kf_view b)
{
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static bool view_begins(struct kf_view view, const char *text)
{
    return view.length >= strlen(text) && memcmp(view.data, text, strlen(text)) == 0;
}

/* Splits the next line off `text`. */
static struct kf_view take_line(struct kf_view *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->length);
    size_t length = end == NULL ? text->length : (size_t)(end - text->data);
    struct kf_view line = kf_view_of(text->data, length);
    size_t skipped = end == NULL ? length : length + 1;
    *text = kf_view_of(text->data + skipped, text->length - skipped);
    return kf_cli_trim(line);
}

/* Reads one line that is neither blank, a comment, nor PEM. */
static enum kf_code read_field(struct kf_cli_parts *parts, unsigned number, struct kf_view line,
                               struct kf_cli_failure *failure)
{
    const uint8_t *colon = memchr(line.data, ':', line.length);
    if (colon == NULL)
        return kf_cli_fail(failure, parts->path, KF_E_USAGE, "Line %u is not of the form 'field: value'.",
                           number);
    size_t before = (size_t)(colon - line.data);
    struct kf_view name = kf_cli_trim(kf_view_of(line.data, before));
    struct kf_view value = kf_cli_trim(kf_view_of(colon + 1, line.length - before - 1));
    size_t field = 0;
    while (field < KF_CLI_FIELDS && !kf_cli_view_is(name, field_names[field]))
        field++;
    if (field == KF_CLI_FIELDS)
        return kf_cli_fail(
            failure, parts->path, KF_E_USAGE,
            "Line %u has an unknown field; the fields are type, namespace, name, padding and key.", number);
    if (parts->fields[field].data != NULL &&
        (field == KF_CLI_FIELD_KEY || !view_equals(parts->fields[field], value)))
        return kf_cli_fail(failure, parts->path, KF_E_USAGE, "Line %u has the field '%s' a second time.",
                           number, field_names[field]);
    if (value.length == 0)
        return kf_cli_fail(failure, parts->path, KF_E_USAGE, "Line %u gives the field '%s' no value.", number,
                           field_names[field]);
    if (field != KF_CLI_FIELD_KEY && !kf_cli_text_is_printable(value))
        return kf_cli_fail(failure, parts->path, KF_E_USAGE,
                           "Line %u is not UTF-8 text without control characters.", number);
    parts->fields[field] = value;
    return KF_OK;
}

/* Reads on, behind the line `begin`, to the end of the key in PEM that begins there. */
static enum kf_code read_pem(struct kf_cli_parts *parts, unsigned *number, struct kf_view begin,
                             struct kf_view *text, struct kf_cli_failure *failure)
{
    const unsigned first = *number;
    struct kf_view line = begin;
    while (!view_begins(line, "-----END ")) {
        if (text->length == 0)
            return kf_cli_fail(failure, parts->path, KF_E_USAGE,
                               "The key in PEM that begins in line %u has no end.", first);
        line = take_line(text);
        ++*number;
    }
    /* openssl ecparam writes the name of the curve before the key, which says it again. */
    if (view_begins(begin, "-----BEGIN EC PARAMETERS-----"))
        return KF_OK;
    if (parts->key_count == KF_CLI_KEYS_MAX)
        return kf_cli_fail(failure, parts->path, KF_E_USAGE,
                           "Line %u begins a third key; a key file has one, or two that belong together.",
                           first);
    parts->keys[parts->key_count++] = kf_view_of(begin.data, (size_t)(line.data + line.length - begin.data));
    return KF_OK;
}

static enum kf_code read_lines(struct kf_cli_parts *parts, struct kf_view text,
                               struct kf_cli_failure *failure)
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

/* ---- Keyrings ---- */

static enum kf_code open_aes(const struct kf_cli_parts *parts, struct kf_cli_failure *failure,
                             struct kf_keyring **out)
{
    for (size_t field = 0; field < KF_CLI_FIELDS; field++) {
        if ((parts->fields[field].data == NULL) != (field == KF_CLI_FIELD_PADDING))
            return kf_cli_fail(failure, parts->path, KF_E_USAGE,
                               field == KF_CLI_FIELD_PADDING
                                   ? "A key of type raw-aes has no '%s'."
                                   : "This is no key file, as it lacks the field '%s'.",
                               field_names[field]);
    }
    uint8_t bytes[KF_DATA_KEY_MAX];
    size_t length = kf_cli_base64_decode(parts->fields[KF_CLI_FIELD_KEY], bytes);
    enum kf_code code;
    if (length != 16 && length != 24 && length != 32) {
        code = kf_cli_fail(failure, parts->path, KF_E_USAGE,
                           "The field 'key' is not 16, 24 or 32 bytes in base64.");
    } else {
        struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
        options.key_namespace = parts->fields[KF_CLI_FIELD_NAMESPACE];
        options.key_name = parts->fields[KF_CLI_FIELD_NAME];
        options.wrapping_key = kf_view_of(bytes, length);
        failure->subject = parts->path;
        code = kf_raw_aes_keyring_new(&options, &failure->error, out);
    }
    explicit_bzero(bytes, sizeof bytes);
    return code;
}

/* Whether the field "type", if it is there, fits what the file holds. */
static enum kf_code check_type(const struct kf_cli_parts *parts, struct kf_cli_failure *failure)
{
    struct kf_view type = parts->fields[KF_CLI_FIELD_TYPE];
    if (type.data == NULL)
        return KF_OK;
    size_t known = 0;
    while (known < KF_CLI_KEY_TYPES && !kf_cli_view_is(type, kf_cli_key_type_names[known]))
        known++;
    if (known == KF_CLI_KEY_TYPES)
        return kf_cli_fail(failure, parts->path, KF_E_USAGE,
                           "This key is of no known type; those are raw-aes, raw-rsa and raw-ecdh.");
    if ((known == KF_CLI_RAW_AES) != (parts->key_count == 0))
        return kf_cli_fail(failure, parts->path, KF_E_USAGE,
                           known == KF_CLI_RAW_AES ? "A key of type raw-aes is not in PEM."
                                                   : "A key of type %s is in PEM, and there is none.",
                           kf_cli_key_type_names[known]);
    return KF_OK;
}

static enum kf_code parse(struct kf_cli_parts *parts, struct kf_view text,
                          struct kf_cli_passphrase *passphrase, struct kf_cli_failure *failure,
                          struct kf_keyring **out)
{
    enum kf_code code = KF_OK;
    if (text.length > 0 && text.data[0] == KF_CLI_DER_BEGINS)
        parts->keys[parts->key_count++] = text;
    else
        code = read_lines(parts, text, failure);
    if (code == KF_OK)
        code = check_type(parts, failure);
    if (code != KF_OK)
        return code;
    if (parts->key_count == 0)
        return open_aes(parts, failure, out);
    if (parts->fields[KF_CLI_FIELD_KEY].data != NULL)
        return kf_cli_fail(failure, parts->path, KF_E_USAGE, "There is a key in PEM beside the field 'key'.");
    return kf_cli_keyfile_open_pair(parts, passphrase, failure, out);
}

/* ---- Files ---- */

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

enum kf_code kf_cli_keyfile_read(const char *path, enum kf_cli_use use, struct kf_cli_passphrase *passphrase,
                                 struct kf_cli_failure *failure, struct kf_keyring **out)
{
    struct kf_cli_input input = KF_CLI_INPUT_INIT;
    enum kf_code code = kf_cli_input_open(path, failure, &input);
    if (code != KF_OK)
        return code;
    uint8_t *bytes = malloc(FILE_MAX + 1);
    if (bytes == NULL) {
        kf_cli_input_close(&input);
        return kf_cli_fail_memory(failure);
    }
    struct kf_cli_parts parts = {.path = input.name, .use = use, .is_secret = true};
    size_t length;
    code = read_all(&input, bytes, failure, &length);
    if (code == KF_OK)
        code = parse(&parts, kf_view_of(bytes, length), passphrase, failure, out);
    if (code == KF_OK && parts.is_secret)
        warn_if_readable(&input);
    explicit_bzero(bytes, FILE_MAX + 1);
    free(bytes);
    kf_cli_input_close(&input);
    return code;
}
