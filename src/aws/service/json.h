/*
 * JSON as the services speak it: reading a few strings of one object, and writing a body. Also base64, in which
 * JSON holds bytes. Called by request.c, kms.c and credentials_metadata.c.
 *
 * What is read may hold data keys: every copy lies in memory that kfi_json_free wipes.
 */
#ifndef KFI_AWS_SERVICE_JSON_H
#define KFI_AWS_SERVICE_JSON_H

#include <keyflight/types.h>

/* ---- Reading ---- */

#define KFI_JSON_TEXT_MAX 32768  /* bytes of a whole text; replies are under 10,000 */
#define KFI_JSON_DEPTH_MAX 8     /* objects and arrays inside each other, the outermost included */
#define KFI_JSON_MEMBERS_MAX 256 /* of all objects together */

/* A member of the outermost object that is looked for, and its value, which has to be a string or null. */
struct kfi_json_member {
    const char *name;
    char *text;    /* UTF-8 without a NUL, followed by one; may be changed. NULL: missing, or null */
    size_t length; /* in bytes */
};

struct kfi_json {
    uint8_t *block; /* all memory that the parsing took */
    size_t length;
};

/*
 * Reads `text`, which has to be one JSON object and nothing else: UTF-8, within the limits above, with no member
 * twice in an object and no NUL in a string. The values of `members` live until kfi_json_free. Errors:
 * KF_E_MALFORMED (the error's text is a phrase like "it is not JSON", to follow a colon), KF_E_NO_MEMORY; then
 * there is nothing to free.
 */
enum kf_code kfi_json_read(struct kf_view text, struct kfi_json_member *members, size_t count,
                           struct kf_error *error, struct kfi_json *out);
void kfi_json_free(struct kfi_json *json); /* wipes; zero-initialised is allowed */

/*
 * Decodes `length` characters of padded base64 (RFC 4648) to `to`, which has `room` bytes and may be the text
 * itself. False if the text is not strict base64 or does not fit; then what was written is wiped.
 */
bool kfi_base64_decode(const char *text, size_t length, uint8_t *to, size_t room, size_t *out);

/* ---- Writing ---- */

#define KFI_JSON_BODY_MAX ((size_t)1024 * 1024)

/* After the first error nothing more is written, so that looking at `code` once, at the end, is enough. */
struct kfi_json_writer {
    struct kf_buf *buf;
    enum kf_code code; /* KF_OK, KF_E_LIMIT (above KFI_JSON_BODY_MAX), KF_E_NO_MEMORY */
};

void kfi_json_write_raw(struct kfi_json_writer *writer, const char *text); /* brackets, commas, names */
void kfi_json_write_string(struct kfi_json_writer *writer, struct kf_view utf8);
void kfi_json_write_base64(struct kfi_json_writer *writer, struct kf_view bytes); /* as a string */

#endif
