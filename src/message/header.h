/*
 * The message header: from bytes to a struct, and back. (S: data-format/message-header.md)
 */
#ifndef KFI_MESSAGE_HEADER_H
#define KFI_MESSAGE_HEADER_H

#include <keyflight/header.h>

#include "base/refs.h"
#include "message/edk.h"
#include "message/encryption_context.h"
#include "suite/suite.h"

/*
 * A parsed header. All views point into `bytes`, which are its own copy. The struct, the EDKs and the bytes
 * are one allocation.
 */
struct kf_header {
    struct kfi_refs refs;
    uint8_t *bytes;     /* the whole header, with the authentication */
    size_t length;      /* of `bytes` */
    size_t body_length; /* of the part before the authentication: the tag covers it */
    const struct kfi_suite *suite;
    struct kf_view message_id;
    const struct kf_encryption_context *encryption_context; /* the stored pairs; never NULL */
    struct kf_edk *edks;
    size_t edk_count;
    uint32_t frame_length;     /* 0: not framed */
    struct kf_view commit_key; /* suite data in format 2; empty in format 1 */
    uint8_t iv[KFI_IV_LENGTH]; /* of the header tag: stored in format 1, zero in format 2 */
    uint8_t tag[KFI_TAG_LENGTH];
};

/* Limits of a header that is not verified yet. */
struct kfi_header_limits {
    size_t max_edks;   /* 0: no limit */
    size_t max_length; /* of the whole header, in bytes */
};

/*
 * Looks at the front of a message. KF_OK: `*needed` is the length of the header. KF_WANT_INPUT: it needs at
 * least `*needed` bytes from the first byte of the message. That is always more than was given and never more
 * than the header has, so reading as much never reads into the body.
 *
 * A field is checked once it is completely there. So a hostile front is refused before more of it is read. It
 * may be called with fewer bytes than were needed; the sooner it is called, the better that works. It
 * allocates nothing, and it does not notice that a key of the encryption context comes twice; kfi_header_read
 * does.
 *
 * Every call gets the message from its first byte. `scan` is all zero at first and remembers the position, so
 * that no field is checked twice. After an error it cannot be used any more. Errors: KF_E_MALFORMED,
 * KF_E_LIMIT.
 */
struct kfi_header_scan {
    size_t position;               /* everything before it was checked */
    const struct kfi_suite *suite; /* NULL until it is known */
    size_t edk_count;              /* 0 until it is known */

    /* Private to header.c: */
    unsigned field;     /* the one that begins at `position` */
    unsigned format;    /* 0 until the version is known */
    size_t least;       /* the length of the header, as far as it is known */
    size_t part_length; /* of the AAD or EDK part that comes next */
    size_t parts_left;  /* EDK parts that are still to come */
    bool framed;        /* by the content type */
};
enum kf_code kfi_header_scan(struct kfi_header_scan *scan, struct kf_view front,
                             const struct kfi_header_limits *limits, struct kf_error *error, size_t *needed);

/*
 * Parses one whole header, whose length a scan has told, and copies it. Errors: KF_E_MALFORMED, KF_E_LIMIT,
 * KF_E_NO_MEMORY; KF_E_BUG if the bytes are not exactly one header.
 */
enum kf_code kfi_header_read(struct kf_view bytes, const struct kfi_header_limits *limits,
                             struct kf_error *error, const struct kf_header **out);

/* What a header is made of. */
struct kfi_header_fields {
    const struct kfi_suite *suite;
    struct kf_view message_id;                              /* of the suite's length */
    const struct kf_encryption_context *encryption_context; /* the pairs to store; NULL: none */
    const struct kf_edk *edks;
    size_t edk_count;          /* 1 to 65,535 */
    uint32_t frame_length;     /* 0: not framed */
    const uint8_t *commit_key; /* KFI_COMMIT_KEY_LENGTH bytes; in format 2 only */
};

/* The length of the part before the authentication, and of the authentication. */
size_t kfi_header_body_length(const struct kfi_header_fields *fields);
size_t kfi_header_auth_length(const struct kfi_suite *suite);

/* Writes the body. The authentication is written behind it, once the tag is known; its IV is zero. */
void kfi_header_write_body(struct kfi_writer *writer, const struct kfi_header_fields *fields);
void kfi_header_write_auth(struct kfi_writer *writer, const struct kfi_suite *suite,
                           const uint8_t tag[KFI_TAG_LENGTH]);

#endif
