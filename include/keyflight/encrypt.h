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
    /* Keys of the encryption context whose pairs are authenticated but not stored. Copied. */
    const struct kf_view *required_keys;
    size_t required_key_count;
    enum kf_suite suite; /* KF_SUITE_DEFAULT: that of the commitment policy */
    enum kf_commitment_policy commitment_policy;
    uint32_t frame_length; /* bytes of plaintext in a frame, 1 to 2^32-1 */
    uint16_t max_edks;     /* fail if there would be more encrypted data keys; 0: any number */
    /*
     * For streams: so many bytes of plaintext will come at most. A caching CMM counts them against max_bytes. With
     * KF_LENGTH_UNKNOWN the message bypasses the cache.
     */
    uint64_t plaintext_bound;
    uint64_t timeout_ms; /* how long to wait for materials at most, from the first poll on; 0: any time */
};

#define KF_ENCRYPT_OPTIONS_INIT                                               \
    {                                                                         \
        sizeof(struct kf_encrypt_options), NULL, NULL, 0, KF_SUITE_DEFAULT,   \
            KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT, 4096, 0, KF_LENGTH_UNKNOWN, 0 \
    }

KF_API void kf_encrypt_options_init(struct kf_encrypt_options *out, size_t size);

/*
 * Encrypts `plaintext` and answers the message in `*out`. Blocks while keys are fetched. `options` may be NULL: the
 * defaults. If it has a plaintext_bound, `plaintext` must not be longer. Errors: those of kf_encryptor_poll.
 */
KF_CODE kf_encrypt(struct kf_cmm *cmm, const struct kf_encrypt_options *options, struct kf_view plaintext,
                   struct kf_error *error, struct kf_buf *out);

/* ---- Streams ---- */

/* One message that is being encrypted. It is used by one thread at a time. */
struct kf_encryptor;

/*
 * Begins a message. `cmm` is asked for nothing before the first poll. `options` may be NULL: the defaults. Errors:
 * KF_E_USAGE, KF_E_POLICY, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
KF_CODE kf_encryptor_new(struct kf_cmm *cmm, const struct kf_encrypt_options *options, struct kf_error *error,
                         struct kf_encryptor **out);

/*
 * Takes input and gives output, both in pieces of any size.
 *
 * KF_OK: the message is complete. KF_WANT_INPUT, KF_WANT_OUTPUT: more input, or more room, is needed; output that is
 * ready goes first. KF_PENDING: keys are being fetched, and `waker` is called once polling again is worth while. With
 * `waker` NULL the poll blocks instead. A poll with neither input nor room answers KF_WANT_OUTPUT once materials
 * are there.
 *
 * An error is final: every later poll answers it too, except one that is about `io` (see stream.h). Errors:
 * KF_E_USAGE (also for a poll that blocks inside a fetch), KF_E_POLICY, KF_E_FORKED, KF_E_CLEANED_UP, KF_E_LIMIT
 * (more input than plaintext_bound, more than 2^32-1 frames, too many encrypted data keys), KF_E_TIMEOUT, KF_E_SYSTEM,
 * KF_E_NO_MEMORY, and what the CMM answers.
 */
KF_CODE kf_encryptor_poll(struct kf_encryptor *encryptor, struct kf_io *io, const struct kf_waker *waker);

/* In how many milliseconds it has to be polled at the latest, because of timeout_ms. Or KF_NO_DEADLINE. */
KF_API uint64_t kf_encryptor_deadline(const struct kf_encryptor *encryptor);

/* Why a poll failed. Lives as long as the encryptor. */
KF_API const struct kf_error *kf_encryptor_error(const struct kf_encryptor *encryptor);

/* The materials of this message: suite, encryption context, EDKs. NULL until they are there. */
KF_API const struct kf_encryption_materials *kf_encryptor_materials(const struct kf_encryptor *encryptor);

/* Ends the message. If it waits for keys it gives up. Also allowed in a child after a fork. */
KF_API void kf_encryptor_free(struct kf_encryptor *encryptor);

#ifdef __cplusplus
}
#endif

#endif
