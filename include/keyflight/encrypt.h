/*
 * Encryption: plaintext in, message out. (S: client-apis/encrypt.md)
 */
#ifndef KEYFLIGHT_ENCRYPT_H
#define KEYFLIGHT_ENCRYPT_H

#include <keyflight/cmm.h>
#include <keyflight/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kf_encrypt_options {
    size_t size;
    const struct kf_encryption_context *encryption_context; /* NULL: empty */
    const struct kf_view *required_keys; /* keys of the context to authenticate but not to store; copied */
    size_t required_key_count;
    enum kf_suite suite; /* KF_SUITE_DEFAULT: the policy's */
    enum kf_commitment_policy commitment_policy;
    uint32_t frame_length;    /* plaintext bytes of a frame, 1 to 2^32-1 */
    uint16_t max_edks;        /* fail if there would be more encrypted data keys; 0: no limit */
    uint64_t plaintext_bound; /* streams: at most so many bytes will come; unknown bypasses a caching CMM */
    uint64_t timeout_ms;      /* limit for the wait for materials; 0: none */
};

#define KF_ENCRYPT_OPTIONS_INIT                                               \
    {                                                                         \
        sizeof(struct kf_encrypt_options), NULL, NULL, 0, KF_SUITE_DEFAULT,   \
            KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT, 4096, 0, KF_LENGTH_UNKNOWN, 0 \
    }

KF_API void kf_encrypt_options_init(struct kf_encrypt_options *out, size_t size);

/*
 * Encrypts `plaintext` and answers the message in `*out`. Blocks while keys are fetched. `options` may be
 * NULL for the defaults; its plaintext_bound, if given, must not be below the length. Errors: those of
 * kf_encryptor_poll.
 */
KF_CODE kf_encrypt(struct kf_cmm *cmm, const struct kf_encrypt_options *options, struct kf_view plaintext,
                   struct kf_error *error, struct kf_buf *out);

/* ---- Streams ---- */

/* One message being encrypted. One thread at a time; the caller frees it. */
struct kf_encryptor;

/*
 * Begins a message; nothing is asked of `cmm` (of which a reference is taken) before the first poll. Errors:
 * KF_E_USAGE, KF_E_POLICY, KF_E_NO_MEMORY.
 */
KF_CODE kf_encryptor_new(struct kf_cmm *cmm, const struct kf_encrypt_options *options, struct kf_error *error,
                         struct kf_encryptor **out);

/*
 * Takes input and gives output, both in any sizes. KF_OK: the message is complete. KF_WANT_INPUT,
 * KF_WANT_OUTPUT: as they say; output that is ready comes before more input is wanted. KF_PENDING: keys are
 * being fetched, and `waker` is called once polling is worth while; with `waker` NULL the call blocks
 * instead. A poll with neither input nor room returns (KF_WANT_OUTPUT) once materials are held. An error is
 * final and is answered by every later poll, unless it is about `io` (stream.h). Errors: KF_E_USAGE (also: called from inside a fetch),
 * KF_E_POLICY, KF_E_FORKED, KF_E_LIMIT (more input than the bound, too many frames or EDKs), KF_E_TIMEOUT,
 * KF_E_SYSTEM, KF_E_NO_MEMORY, and what the CMM answers.
 */
KF_CODE kf_encryptor_poll(struct kf_encryptor *encryptor, struct kf_io *io, const struct kf_waker *waker);

/* In how many milliseconds it has to be polled at the latest, for its deadline; KF_NO_DEADLINE if never. */
KF_API uint64_t kf_encryptor_deadline(const struct kf_encryptor *encryptor);

/* Why the last poll failed; lives as long as the encryptor. */
KF_API const struct kf_error *kf_encryptor_error(const struct kf_encryptor *encryptor);

/* The materials of this message, or NULL while none are held: suite, encryption context, EDKs. Borrowed. */
KF_API const struct kf_encryption_materials *kf_encryptor_materials(const struct kf_encryptor *encryptor);

/* Ends it; a wait for keys is cancelled. NULL is allowed. Also legal after a fork. */
KF_API void kf_encryptor_free(struct kf_encryptor *encryptor);

#ifdef __cplusplus
}
#endif

#endif
