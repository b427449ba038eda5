/*
 * A message taken apart by hand, and its cryptography done again, as WIRE and the specification say and with
 * OpenSSL's own interfaces. It uses nothing of the library but the cursors of base/bytes.h, so that what it
 * finds in a message proves something.
 */
#ifndef TESTS_SUPPORT_PARTS_H
#define TESTS_SUPPORT_PARTS_H

#include "support/support.h"

#include "base/bytes.h"

#define PARTS_EDKS 4
#define PARTS_FRAMES 1024

struct parts_frame {
    bool final;
    uint32_t sequence;
    size_t begin, end; /* where it stands in the message */
    struct kf_view iv, ciphertext, tag;
};

struct parts {
    struct kf_view message;
    unsigned format, suite;
    struct kf_view message_id, context; /* context: serialized */
    size_t edk_count;
    struct kf_edk edks[PARTS_EDKS];
    uint32_t frame_length;
    struct kf_view commit_key;  /* empty in format 1 */
    struct kf_view header_body; /* what the header's tag covers */
    struct kf_view header_iv, header_tag;
    size_t header_end;
    size_t frame_count;
    struct parts_frame frames[PARTS_FRAMES];
    size_t body_end;
    struct kf_view signature; /* DER; empty without a footer */
};

/* Takes a framed message apart. The test fails if it is not exactly one whole message. */
void parts_read(struct kf_view message, struct parts *out);

/* Puts a serialized context into an object (which the caller releases). */
const struct kf_encryption_context *parts_context(struct kf_view serialized);

/* ---- Cryptography ---- */

/* AES-GCM with a key of 16, 24 or 32 bytes; `out` gets plaintext.length bytes. */
void parts_seal(struct kf_view key, struct kf_view iv, struct kf_view aad, struct kf_view plaintext,
                uint8_t *out, uint8_t tag[16]);
bool parts_open(struct kf_view key, struct kf_view iv, struct kf_view aad, struct kf_view ciphertext,
                struct kf_view tag, uint8_t *out);

/* Message key and commit key of a message of this suite. */
struct parts_keys {
    uint8_t key[32];
    size_t length;
    uint8_t commit_key[32];
};
void parts_derive(unsigned suite, struct kf_view data_key, struct kf_view message_id, struct parts_keys *out);

/*
 * The additional data of a frame; `name` is "Frame", "Final Frame" or "Single Block". `out` has room for 96
 * bytes.
 */
struct kf_view parts_body_aad(struct kf_view message_id, const char *name, uint32_t sequence, uint64_t length,
                              uint8_t *out);

/* Whether `der` signs `bytes` under the compressed point whose base64 text is `public_key`. */
bool parts_signature_holds(unsigned suite, struct kf_view public_key, struct kf_view bytes,
                           struct kf_view der);

/* The data key out of an EDK of a raw AES keyring. False if it does not open. */
bool parts_unwrap(const struct kf_edk *edk, struct kf_view wrapping_key, struct kf_view context,
                  uint8_t *out);

/*
 * Does everything in the message again: the commit key; the header's tag, which covers `required` too; each
 * frame's number, IV and content; and the signature, by the key in `context`, which is the whole one. Both
 * are serialized.
 */
void parts_verify(const struct parts *parts, struct kf_view data_key, struct kf_view context,
                  struct kf_view required, struct kf_view plaintext);

#endif
