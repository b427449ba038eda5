/*
 * Fields of JSON objects: see vectors.h. Every failure names the field.
 */
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "vectors/vectors.h"

static const char *const type_names[] = {"null",     "a boolean", "a number",
                                         "a string", "an array",  "an object"};

const struct json *want(const struct json *object, const char *name, enum json_type type,
                        struct verdict *verdict)
{
    const struct json *member = json_get(object, name);
    if (member != NULL && member->type == type)
        return member;
    if (member == NULL)
        fail(verdict, "the manifest is damaged: there is no \"%s\"", name);
    else
        fail(verdict, "the manifest is damaged: \"%s\" is not %s", name, type_names[type]);
    return NULL;
}

bool want_text(const struct json *object, const char *name, struct verdict *verdict, struct kf_view *out)
{
    const struct json *member = want(object, name, JSON_STRING, verdict);
    if (member != NULL)
        *out = member->text;
    return member != NULL;
}

static int hex_digit(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

bool unhex(struct vectors *vectors, struct kf_view text, struct kf_view *out)
{
    uint8_t *bytes = arena_take(&vectors->arena, text.length / 2);
    for (size_t i = 0; i + 1 < text.length; i += 2) {
        const int high = hex_digit(text.data[i]), low = hex_digit(text.data[i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    *out = kf_view_of(bytes, text.length / 2);
    return text.length % 2 == 0;
}

/* Not strictly: JavaScript has made vectors whose last character holds bits that belong to no byte. */
bool unbase64(struct vectors *vectors, struct kf_view text, struct kf_view *out)
{
    uint8_t *bytes = arena_take(&vectors->arena, text.length);
    if (text.length % 4 != 0 || text.length > INT_MAX ||
        EVP_DecodeBlock(bytes, text.data, (int)text.length) != (int)(text.length / 4 * 3))
        return false;
    size_t length = text.length / 4 * 3;
    for (size_t end = text.length; end > 0 && text.data[end - 1] == '=' && text.length - end < 2; end--)
        length--;
    *out = kf_view_of(bytes, length);
    return true;
}

bool want_hex(struct vectors *vectors, const struct json *object, const char *name, struct verdict *verdict,
              struct kf_view *out)
{
    struct kf_view text;
    if (!want_text(object, name, verdict, &text))
        return false;
    return unhex(vectors, text, out) || fail(verdict, "\"%s\" is not made of hexadecimal digits", name);
}

bool want_base64(struct vectors *vectors, const struct json *object, const char *name,
                 struct verdict *verdict, struct kf_view *out)
{
    struct kf_view text;
    if (!want_text(object, name, verdict, &text))
        return false;
    return unbase64(vectors, text, out) || fail(verdict, "\"%s\" is not base64", name);
}

bool want_suite_number(const struct json *object, const char *name, struct verdict *verdict, unsigned *out)
{
    struct kf_view text;
    if (!want_text(object, name, verdict, &text))
        return false;
    char *end;
    const unsigned long number = strtoul((const char *)text.data, &end, 16); /* takes 0x, too */
    if (text.length < 4 || *end != '\0' || number > UINT16_MAX)
        return fail(verdict, "\"%s\" is not the number of a suite", name);
    *out = (unsigned)number;
    return true;
}

bool want_suite(const struct json *object, const char *name, struct verdict *verdict,
                const struct kf_suite_info **out)
{
    unsigned number = 0;
    if (!want_suite_number(object, name, verdict, &number))
        return false;
    *out = kf_suite_info_of((enum kf_suite)number);
    return *out != NULL || fail(verdict, "there is no suite %04x", number);
}

/* ---- Files ---- */

bool file_read(struct arena *arena, const char *path, struct kf_view *out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    struct stat status = {.st_size = 0};
    uint8_t *bytes = NULL;
    const bool is_file = fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode);
    const size_t length = is_file ? (size_t)status.st_size : 0;
    if (is_file)
        bytes = arena_take(arena, length);
    const bool whole = is_file && fread(bytes, 1, length, file) == length;
    fclose(file);
    *out = kf_view_of(bytes, length);
    if (!whole)
        errno = is_file ? EIO : EISDIR;
    return whole;
}

static bool uri_read(struct vectors *vectors, struct kf_view uri, struct verdict *verdict,
                     struct kf_view *out)
{
    static const char scheme[] = "file://";
    const char *path = (const char *)uri.data;
    if (strncmp(path, scheme, strlen(scheme)) == 0)
        path += strlen(scheme);
    char whole[4096];
    const int length = snprintf(whole, sizeof whole, "%s/%s", vectors->folder, path);
    if (length < 0 || (size_t)length >= sizeof whole)
        return fail(verdict, "a path is too long: %.200s…", path);
    return file_read(&vectors->arena, whole, out) || fail(verdict, "%s: %s", path, strerror(errno));
}

bool want_file(struct vectors *vectors, const struct json *object, const char *name, struct verdict *verdict,
               struct kf_view *out)
{
    struct kf_view uri;
    return want_text(object, name, verdict, &uri) && uri_read(vectors, uri, verdict, out);
}

const struct json *want_json(struct vectors *vectors, struct kf_view uri, struct verdict *verdict)
{
    struct kf_view text;
    char why[300];
    if (!uri_read(vectors, uri, verdict, &text))
        return NULL;
    const struct json *root = json_read(&vectors->arena, text, why, sizeof why);
    if (root == NULL)
        fail(verdict, "%s is not JSON: %s", (const char *)uri.data, why);
    return root;
}

/* ---- Encryption contexts ---- */

/* `vectors` is NULL for text as it is, and not for hexadecimal digits. */
static bool context_new(struct vectors *vectors, const struct json *object, struct verdict *verdict,
                        const struct kf_encryption_context **out)
{
    *out = NULL;
    const size_t count = object == NULL ? 0 : object->count;
    struct kf_pair *pairs = calloc(count + 1, sizeof *pairs), *pair = pairs;
    bool good = pairs != NULL || fail(verdict, "there is no memory");
    JSON_EACH(member, object)
    {
        if (!good)
            break;
        *pair = (struct kf_pair){member->name, member->text};
        if (member->type != JSON_STRING)
            good = fail(verdict, "the manifest is damaged: an encryption context has what is not a string");
        else if (vectors != NULL &&
                 (!unhex(vectors, member->name, &pair->key) || !unhex(vectors, member->text, &pair->value)))
            good = fail(verdict, "an encryption context is not made of hexadecimal digits");
        pair++;
    }
    struct kf_error error = KF_ERROR_INIT;
    if (good)
        good = done(kf_encryption_context_new(pairs, count, &error, out), &error, "the encryption context",
                    verdict);
    free(pairs);
    return good;
}

bool context_of(const struct json *object, struct verdict *verdict, const struct kf_encryption_context **out)
{
    return context_new(NULL, object, verdict, out);
}

bool context_of_hex(struct vectors *vectors, const struct json *object, struct verdict *verdict,
                    const struct kf_encryption_context **out)
{
    return context_new(vectors, object, verdict, out);
}

bool has_pairs(const struct json *object, const struct kf_encryption_context *context,
               struct verdict *verdict)
{
    JSON_EACH(member, object)
    {
        struct kf_view value;
        if (!kf_encryption_context_get(context, member->name, &value) || !kfi_view_equal(value, member->text))
            return fail(verdict, "the encryption context has another value, or none, for \"%.200s\"",
                        (const char *)member->name.data);
    }
    return true;
}
