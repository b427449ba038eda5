/*
 * Keyrings wrap data keys for encryption and unwrap them for decryption. They never change after creation and
 * may be used by many threads at once. (S: framework/keyring-interface.md)
 */
#ifndef KEYFLIGHT_KEYRING_H
#define KEYFLIGHT_KEYRING_H

#include <keyflight/call.h>
#include <keyflight/materials.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kf_keyring;

KF_API struct kf_keyring *kf_keyring_ref(struct kf_keyring *keyring);
KF_API void kf_keyring_unref(struct kf_keyring *keyring); /* NULL is allowed */

/* ---- Keyrings of the library ---- */

/*
 * A raw AES keyring: wraps by AES-GCM under a key that the caller holds. (S: framework/raw-aes-keyring.md)
 */
struct kf_raw_aes_keyring_options {
    size_t size;
    struct kf_view key_namespace; /* UTF-8, 0 to 65,535 bytes; not beginning with "aws-kms" */
    struct kf_view key_name;      /* UTF-8, 0 to 65,515 bytes */
    struct kf_view wrapping_key;  /* 16, 24 or 32 bytes; copied, wiped with the keyring */
};

#define KF_RAW_AES_KEYRING_OPTIONS_INIT                                  \
    {                                                                    \
        sizeof(struct kf_raw_aes_keyring_options), {NULL, 0}, {NULL, 0}, \
        {                                                                \
            NULL, 0                                                      \
        }                                                                \
    }

KF_API void kf_raw_aes_keyring_options_init(struct kf_raw_aes_keyring_options *out, size_t size);

/* Errors: KF_E_USAGE, KF_E_NO_MEMORY. The caller owns one reference of `*out`. */
KF_CODE kf_raw_aes_keyring_new(const struct kf_raw_aes_keyring_options *options, struct kf_error *error,
                               struct kf_keyring **out);

/*
 * A multi-keyring: `generator` (may be NULL) makes or wraps the data key, then every child wraps it, side by
 * side; on decryption the first one that can unwraps it, generator first. Takes references of its own. At
 * least one keyring is needed. Errors: KF_E_USAGE, KF_E_NO_MEMORY. (S: framework/multi-keyring.md)
 */
KF_CODE kf_multi_keyring_new(struct kf_keyring *generator, struct kf_keyring *const *children,
                             size_t child_count, struct kf_error *error, struct kf_keyring **out);

/*
 * A blocking keyring: runs `keyring`, which may block (a vendor's SDK, a hardware module), on worker threads of
 * its own, so that callers wait for it as for any asynchronous one and nothing of the library is held up.
 * Workers start on demand, block all signals, and end with the keyring. A call that is cancelled is left
 * before its work ends; what that brings is wiped. The wrapped keyring's own calls may come from any worker,
 * and so may its destructor. To encrypt there with the CMM that waits for it is a deadlock until the limit of
 * the fetch.
 */
struct kf_blocking_keyring_options {
    size_t size;
    struct kf_keyring *keyring; /* needed; the blocking keyring takes a reference */
    uint32_t max_workers;       /* threads at most, 1 to 1,000; more calls than that wait for their turn */
};

#define KF_BLOCKING_KEYRING_OPTIONS_INIT                    \
    {                                                       \
        sizeof(struct kf_blocking_keyring_options), NULL, 4 \
    }

KF_API void kf_blocking_keyring_options_init(struct kf_blocking_keyring_options *out, size_t size);

/*
 * Errors: KF_E_USAGE, KF_E_NO_MEMORY, KF_E_SYSTEM. Its calls answer what the wrapped keyring answers, or
 * KF_E_NO_MEMORY, KF_E_SYSTEM (no worker can be started).
 */
KF_CODE kf_blocking_keyring_new(const struct kf_blocking_keyring_options *options, struct kf_error *error,
                                struct kf_keyring **out);

/* ---- Keyrings of your own ---- */

/* What OnEncrypt adds: EDKs and, if the materials had none, a data key. */
struct kf_wrapped;

/*
 * Sets the data key that this keyring generated; copied. Errors: KF_E_USAGE (the materials have one, wrong
 * length).
 */
KF_CODE kf_wrapped_data_key_set(struct kf_wrapped *wrapped, struct kf_view data_key, struct kf_error *error);

/* Adds an EDK; copied. Errors: KF_E_USAGE (a part too long), KF_E_NO_MEMORY. */
KF_CODE kf_wrapped_edk_add(struct kf_wrapped *wrapped, const struct kf_edk *edk, struct kf_error *error);

struct kf_keyring_vtable {
    size_t size; /* sizeof(struct kf_keyring_vtable) */

    /*
     * Wraps the data key of `materials`, or makes one (kf_suite_info_of says its length) and wraps that. Called
     * again with the same arguments while it answers KF_PENDING. KF_OK needs at least one EDK and a data key.
     * `error` is never NULL.
     */
    enum kf_code (*on_encrypt)(void *self, struct kf_call *call,
                               const struct kf_encryption_materials *materials, struct kf_error *error,
                               struct kf_wrapped *out);

    /*
     * Unwraps one of `edks`, trying each that may be meant for this keyring until one works, and writes the
     * data key to `*out`. KF_E_KEYS if none works, with a sentence that says why. `materials` have no data
     * key yet; the EDKs and the materials live until the call ends.
     */
    enum kf_code (*on_decrypt)(void *self, struct kf_call *call,
                               const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                               size_t edk_count, struct kf_error *error, struct kf_data_key *out);

    void (*destroy)(void *self); /* at the last release, on whatever thread that is; may be NULL */
};

/*
 * Plugs a keyring in. `vtable` has to outlive it; `self` is passed to its functions and belongs to it once
 * this returned KF_OK. Errors: KF_E_USAGE, KF_E_NO_MEMORY.
 */
KF_CODE kf_keyring_new(const struct kf_keyring_vtable *vtable, void *self, struct kf_error *error,
                       struct kf_keyring **out);

/* For keyrings that wrap others: polls `keyring` with a child of the own call. The rest as in the vtable. */
KF_CODE kf_keyring_on_encrypt(struct kf_keyring *keyring, struct kf_call *call,
                              const struct kf_encryption_materials *materials, struct kf_error *error,
                              struct kf_wrapped *out);
KF_CODE kf_keyring_on_decrypt(struct kf_keyring *keyring, struct kf_call *call,
                              const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                              size_t edk_count, struct kf_error *error, struct kf_data_key *out);

#ifdef __cplusplus
}
#endif

#endif
