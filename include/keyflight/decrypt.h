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
    /* The pairs that the message does not store, and others that it should store with this value. NULL: empty. */
    const struct kf_encryption_context *reproduced_encryption_context;
    enum kf_commitment_policy commitment_policy;
    uint16_t max_edks; /* refuse messages with more encrypted data keys (KF_E_LIMIT); 0: any number */
    uint32_t max_header_length; /* refuse longer headers (KF_E_LIMIT), in bytes; 2^32-1: any length */
    uint64_t max_frame_length;  /* refuse longer frames or unframed bodies (KF_E_LIMIT), in bytes */
    /* How long to wait for materials at most, from the first poll for them on; 0: any time. */
    uint64_t timeout_ms;
    /* Refuse messages with more plaintext (KF_E_LIMIT), in bytes: before the frame that would exceed it. */
    uint64_t max_plaintext_length;
    /*
     * Refuse messages of suites that sign (KF_E_POLICY), as soon as the suite is read. What a stream then gives out is
     * final: no signature behind it can take it back. (S: client-apis/decrypt.md#behavior)
     */
    bool unsigned_only;
    /*
     * Refuse messages (KF_E_POLICY) whose encryption context lacks one of these pairs or one of these keys, or has
     * another value for the key of one of these pairs. Reproduced pairs count too. A stored value that differs is
     * refused before the CMM is asked. What is missing is refused once the header is authenticated, for a CMM may add
     * pairs. No plaintext has come by then. The sentence names keys, never values. Copied.
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
 * Decrypts `message`, behind which nothing may follow, and answers the plaintext in `*out` once all of it is verified.
 * Blocks while keys are fetched. `options` may be NULL: the defaults. `*header` is the verified header, of which the
 * caller owns one reference (`header` may be NULL). Errors: those of kf_decryptor_poll, and KF_E_TRAILING.
 */
KF_CODE kf_decrypt(struct kf_cmm *cmm, const struct kf_decrypt_options *options, struct kf_view message,
                   struct kf_error *error, const struct kf_header **header, struct kf_buf *out);

/* ---- Streams ---- */

/* One message that is being decrypted. It is used by one thread at a time. */
struct kf_decryptor;

/*
 * Begins a message. `cmm` is asked for nothing before the header was read. `options` may be NULL: the defaults. Errors:
 * KF_E_USAGE, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
KF_CODE kf_decryptor_new(struct kf_cmm *cmm, const struct kf_decrypt_options *options, struct kf_error *error,
                         struct kf_decryptor **out);

/*
 * Takes input and gives output, both in pieces of any size. Codes are those of kf_encryptor_poll, but a poll with
 * neither input nor room answers KF_WANT_INPUT once materials are there. After KF_OK it takes no more input: what
 * follows the message is left to the caller.
 *
 * Plaintext comes out as soon as its frame is authenticated. The last frame of a signed message comes only once the
 * signature holds. So don't act on a signed message before KF_OK.
 *
 * An error is final: every later poll answers it too, except one that is about `io` (see stream.h). Errors:
 * KF_E_USAGE (also for a poll that blocks inside a fetch), KF_E_POLICY, KF_E_FORKED, KF_E_CLEANED_UP, KF_E_MALFORMED,
 * KF_E_TRUNCATED (in_end was set too early), KF_E_FORGED, KF_E_KEYS, KF_E_LIMIT, KF_E_TIMEOUT, KF_E_SYSTEM,
 * KF_E_NO_MEMORY, and what the CMM answers.
 */
KF_CODE kf_decryptor_poll(struct kf_decryptor *decryptor, struct kf_io *io, const struct kf_waker *waker);

/* In how many milliseconds it has to be polled at the latest, because of timeout_ms. Or KF_NO_DEADLINE. */
KF_API uint64_t kf_decryptor_deadline(const struct kf_decryptor *decryptor);

/* Why a poll failed. Lives as long as the decryptor. */
KF_API const struct kf_error *kf_decryptor_error(const struct kf_decryptor *decryptor);

/* The header, once it is verified; NULL before. Lives as long as the decryptor. */
KF_API const struct kf_header *kf_decryptor_header(const struct kf_decryptor *decryptor);

/* The whole encryption context, with the reproduced pairs, once the header is verified; NULL before. */
KF_API const struct kf_encryption_context *kf_decryptor_encryption_context(
    const struct kf_decryptor *decryptor);

/* Ends the message. If it waits for keys it gives up. Also allowed in a child after a fork. */
KF_API void kf_decryptor_free(struct kf_decryptor *decryptor);

#ifdef __cplusplus
}
#endif

#endif
