/*
 * Decryption: message in, plaintext out. (S: client-apis/decrypt.md)
 */
#ifndef KEYFLIGHT_DECRYPT_H
#define KEYFLIGHT_DECRYPT_H

#include <keyflight/cmm.h>
#include <keyflight/header.h>
#include <keyflight/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kf_decrypt_options {
    size_t size;
    const struct kf_encryption_context *reproduced_encryption_context; /* NULL: empty */
    enum kf_commitment_policy commitment_policy;
    uint16_t max_edks;             /* refuse messages with more encrypted data keys; 0: no limit */
    uint32_t max_header_length;    /* refuse longer headers, in bytes; UINT32_MAX: no limit */
    uint64_t max_frame_length;     /* refuse longer frames, and longer bodies that are not framed, in bytes */
    uint64_t timeout_ms;           /* limit for the wait for materials; 0: none */
    uint64_t max_plaintext_length; /* refuse messages that hold more, in bytes, before the frame that would */
    /*
     * Refuse messages of suites that sign, as soon as the suite is read: whatever a stream then gives out is
     * final, and no signature behind it can take it back. (S: client-apis/decrypt.md#behavior)
     */
    bool unsigned_only;
    /*
     * Refuse messages (KF_E_POLICY) whose encryption context lacks one of these pairs or has another value of its key,
     * or lacks one of these keys, of which the value does not matter. Reproduced pairs, required ones among them, count
     * as well. A stored value that differs is refused before the CMM is asked; whatever is missing once the header is
     * authenticated, since a CMM may add pairs. In either case before any plaintext. The sentence names keys, never
     * values. All is copied.
     */
    const struct kf_encryption_context *expected_encryption_context; /* NULL: none */
    const struct kf_view *expected_keys;
    size_t expected_key_count;
};

#define KF_DECRYPT_OPTIONS_INIT                                                                     \
    {                                                                                               \
        sizeof(struct kf_decrypt_options), NULL, KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT, 0, UINT32_MAX, \
            UINT64_MAX, 0, UINT64_MAX, false, NULL, NULL, 0                                         \
    }

KF_API void kf_decrypt_options_init(struct kf_decrypt_options *out, size_t size);

/*
 * Decrypts `message`, which has to end where the bytes end, and answers the plaintext in `*out`; nothing is
 * answered before everything was verified. `options` may be NULL for the defaults. `header` (may be NULL)
 * gets a reference of the verified header. Blocks while keys are fetched. Errors: those of kf_decryptor_poll,
 * and KF_E_TRAILING.
 */
KF_CODE kf_decrypt(struct kf_cmm *cmm, const struct kf_decrypt_options *options, struct kf_view message,
                   struct kf_error *error, const struct kf_header **header, struct kf_buf *out);

/* ---- Streams ---- */

/* One message being decrypted. One thread at a time; the caller frees it. */
struct kf_decryptor;

/* Begins a message; nothing is asked of `cmm` (of which a reference is taken) before a header was read. */
KF_CODE kf_decryptor_new(struct kf_cmm *cmm, const struct kf_decrypt_options *options, struct kf_error *error,
                         struct kf_decryptor **out);

/*
 * Takes input and gives output, both in any sizes; codes as for kf_encryptor_poll, but that a poll with
 * neither input nor room returns KF_WANT_INPUT once materials are held. Plaintext comes out as soon as its
 * frame is authenticated; the final frame of a signed message only once the signature holds. So act on a
 * signed message only after KF_OK. After KF_OK no further input is taken: bytes that follow are the caller's.
 * Errors: KF_E_USAGE, KF_E_POLICY, KF_E_FORKED, KF_E_MALFORMED, KF_E_TRUNCATED (the input ended),
 * KF_E_FORGED, KF_E_KEYS, KF_E_LIMIT, KF_E_TIMEOUT, KF_E_SYSTEM, KF_E_NO_MEMORY, and what the CMM answers.
 */
KF_CODE kf_decryptor_poll(struct kf_decryptor *decryptor, struct kf_io *io, const struct kf_waker *waker);

/* In how many milliseconds it has to be polled at the latest, for its deadline; KF_NO_DEADLINE if never. */
KF_API uint64_t kf_decryptor_deadline(const struct kf_decryptor *decryptor);

/* Why the last poll failed; lives as long as the decryptor. */
KF_API const struct kf_error *kf_decryptor_error(const struct kf_decryptor *decryptor);

/* The header, once its tag was verified; NULL before. Borrowed. */
KF_API const struct kf_header *kf_decryptor_header(const struct kf_decryptor *decryptor);

/* The whole context, reproduced pairs included, once the header's tag was verified; NULL before. Borrowed. */
KF_API const struct kf_encryption_context *kf_decryptor_encryption_context(
    const struct kf_decryptor *decryptor);

/* Ends it; a wait for keys is cancelled. NULL is allowed. Also legal after a fork. */
KF_API void kf_decryptor_free(struct kf_decryptor *decryptor);

#ifdef __cplusplus
}
#endif

#endif
