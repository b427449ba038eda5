/*
 * The message header, bytes to struct and back. (S: data-format/message-header.md)
 */
#ifndef KFI_MESSAGE_HEADER_H
#define KFI_MESSAGE_HEADER_H

#include <keyflight/header.h>

#include "base/refs.h"
#include "message/edk.h"
#include "message/encryption_context.h"
#include "suite/suite.h"

/*
 * A parsed header. All views point into `bytes`, its own copy; the struct, the EDKs and the bytes are one
 * allocation.
 */
struct kf_header {
    struct kfi_refs refs;
    uint8_t *bytes;     /* the whole header as it came, authentication included */
    size_t length;      /* of it */
    size_t body_length; /* of its part before the authentication: what the tag covers */
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

/* Bounds on a header that is not verified yet. */
struct kfi_header_limits {
    size_t max_edks;   /* 0: no limit */
    size_t max_length; /* of the whole header, in bytes */
};

/*
 * Looks at the front of a message: KF_OK and the header's whole length, KF_WANT_INPUT and how many bytes are
 * at least needed from the message's first byte, or an error. What is needed is always more than what is
 * given and never more than the header has, so that reading just so much never reads into the body.
 *
 * Fields are looked at one by one, each when it is there as a whole, so that a hostile front is refused
 * before more of it is read (which works the better the sooner scan is called: it may be called with less
 * than it needed). That no key of the encryption context comes twice is left to kfi_header_read. Nothing is
 * allocated, and no field is looked at twice: every call gets the message from its first byte, and `scan`,
 * zero-initialised, keeps where it stands. After an error it can't be used any more. Errors: KF_E_MALFORMED,
 * KF_E_LIMIT.
 */
struct kfi_header_scan {
    size_t position;               /* everything before it was looked at */
    const struct kfi_suite *suite; /* NULL until it is known */
    size_t edk_count;              /* 0 until it is known */

    /* Private to header.c: */
    unsigned field;     /* which one begins at `position` */
    unsigned format;    /* 0 until the version is known */
    size_t least;       /* bytes of the header, as far as lengths are known; at the end its length */
    size_t part_length; /* of the AAD or the part of an EDK that comes next */
    size_t parts_left;  /* parts of EDKs that are still to come */
    bool framed;        /* by the content type */
};
enum kf_code kfi_header_scan(struct kfi_header_scan *scan, struct kf_view front,
                             const struct kfi_header_limits *limits, struct kf_error *error, size_t *needed);

/*
 * Parses exactly one whole header, whose length a scan has told; copies it. Errors: KF_E_MALFORMED,
 * KF_E_LIMIT, KF_E_NO_MEMORY, and KF_E_BUG if the bytes are not just one header.
 */
enum kf_code kfi_header_read(struct kf_view bytes, const struct kfi_header_limits *limits,
                             struct kf_error *error, const struct kf_header **out);

/* What a header is written from. */
struct kfi_header_fields {
    const struct kfi_suite *suite;
    struct kf_view message_id;                              /* of the suite's length */
    const struct kf_encryption_context *encryption_context; /* the pairs to store; NULL: none */
    const struct kf_edk *edks;
    size_t edk_count;          /* 1 to 65,535 */
    uint32_t frame_length;     /* 0: not framed */
    const uint8_t *commit_key; /* KFI_COMMIT_KEY_LENGTH bytes, format 2 only */
};

/* Bytes of the part before the authentication, and of the authentication behind it. */
size_t kfi_header_body_length(const struct kfi_header_fields *fields);
size_t kfi_header_auth_length(const struct kfi_suite *suite);

/*
 * Writes the body; the authentication behind it is written by kfi_header_write_auth once the tag is known,
 * whose IV is zero.
 */
void kfi_header_write_body(struct kfi_writer *writer, const struct kfi_header_fields *fields);
void kfi_header_write_auth(struct kfi_writer *writer, const struct kfi_suite *suite,
                           const uint8_t tag[KFI_TAG_LENGTH]);

#endif
