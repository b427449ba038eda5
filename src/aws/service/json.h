/*
 * JSON as the services speak it: reading one object for a few of its strings, and writing a body. Base64, in
 * which JSON holds bytes. Called by request.c, kms.c and credentials_metadata.c.
 *
 * What is read may hold data keys: no copy is left anywhere but in the memory that kfi_json_free wipes.
 */
#ifndef KFI_AWS_SERVICE_JSON_H
#define KFI_AWS_SERVICE_JSON_H

#include <keyflight/types.h>

/* ---- Reading ---- */

#define KFI_JSON_TEXT_MAX 32768  /* bytes of a whole text; replies are under 10,000 */
#define KFI_JSON_DEPTH_MAX 8     /* objects and arrays inside one another */
#define KFI_JSON_MEMBERS_MAX 256 /* of all objects together */

/* A member of the outermost object that is looked for, and its value, which has to be a string. */
struct kfi_json_member {
    const char *name;
    char *text; /* UTF-8 with no NUL in it and one behind it, or NULL: not there, or null; may be changed */
    size_t length; /* in bytes */
};

struct kfi_json {
    uint8_t *block; /* all memory that the parsing took */
    size_t length;
};

/*
 * Reads `text`, which has to be one JSON object and nothing else: UTF-8, within the limits above, no member
 * twice in any object, no NUL in a string, none of `members` anything but a string or null. Their values live
 * until kfi_json_free. Errors: KF_E_MALFORMED (the text says what is wrong, in a phrase to go behind "is no
 * good: "), KF_E_NO_MEMORY; then there is nothing to free.
 */
enum kf_code kfi_json_read(struct kf_view text, struct kfi_json_member *members, size_t count,
                           struct kf_error *error, struct kfi_json *out);
void kfi_json_free(struct kfi_json *json); /* wipes; zero-initialised is allowed */

/*
 * Decodes `length` characters of base64 (RFC 4648, padded, nothing else between) to `to`, which has `room`
 * bytes and may be where the text is. False if it is not that, or does not fit; what was written is wiped then.
 */
bool kfi_base64_decode(const char *text, size_t length, uint8_t *to, size_t room, size_t *out);

/* ---- Writing ---- */

#define KFI_JSON_BODY_MAX ((size_t)1024 * 1024)

/* The first error stays, and what is written behind it is dropped: look once, at the end. */
struct kfi_json_writer {
    struct kf_buf *buf;
    enum kf_code code; /* KF_OK, KF_E_LIMIT (above KFI_JSON_BODY_MAX), KF_E_NO_MEMORY */
};

void kfi_json_write_raw(struct kfi_json_writer *writer, const char *text); /* brackets, commas, names */
void kfi_json_write_string(struct kfi_json_writer *writer, struct kf_view utf8);
void kfi_json_write_base64(struct kfi_json_writer *writer, struct kf_view bytes); /* as a string */

#endif
