/*
 * Keyrings wrap data keys for encryption and unwrap them for decryption. A keyring never changes.
 * (S: framework/keyring-interface.md)
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
KF_API void kf_keyring_unref(struct kf_keyring *keyring);

/* ---- Keyrings of the library ---- */

/*
 * A raw AES keyring wraps by AES-GCM under a key that the caller has. (S: framework/raw-aes-keyring.md)
 */
struct kf_raw_aes_keyring_options {
    size_t size;
    struct kf_view key_namespace; /* UTF-8, 0 to 65,535 bytes; does not begin with "aws-kms" */
    struct kf_view key_name;      /* UTF-8, 0 to 65,515 bytes */
    struct kf_view wrapping_key;  /* needed: 16, 24 or 32 bytes */
};

#define KF_RAW_AES_KEYRING_OPTIONS_INIT                                  \
    {                                                                    \
        sizeof(struct kf_raw_aes_keyring_options), {NULL, 0}, {NULL, 0}, \
        {                                                                \
            NULL, 0                                                      \
        }                                                                \
    }

KF_API void kf_raw_aes_keyring_options_init(struct kf_raw_aes_keyring_options *out, size_t size);

/* Everything is copied; the copy of the key is wiped with the keyring. Errors: KF_E_USAGE, KF_E_NO_MEMORY. */
KF_CODE kf_raw_aes_keyring_new(const struct kf_raw_aes_keyring_options *options, struct kf_error *error,
                               struct kf_keyring **out);

/*
 * Makes a multi-keyring. To encrypt, `generator` makes the data key, and then all children wrap it side by side.
 * Without a generator (NULL) it only wraps a data key that is there. To decrypt, the generator is asked first,
 * and then each child in turn, until one has unwrapped the data key. `children` may be NULL if `child_count` is
 * 0; at least one keyring is needed. Errors: KF_E_USAGE, KF_E_NO_MEMORY. (S: framework/multi-keyring.md)
 */
KF_CODE kf_multi_keyring_new(struct kf_keyring *generator, struct kf_keyring *const *children,
                             size_t child_count, struct kf_error *error, struct kf_keyring **out);

/*
 * A blocking keyring runs another one, which may block (a vendor's SDK, a hardware module), on worker threads of the
 * library, of which so many are there for it alone. Whoever asks the blocking keyring waits as for any that answers
 * KF_PENDING, and nothing of the library is held up: not even the thread that asks first, which without it is inside
 * the keyring.
 *
 * A worker is started when there is work for it, and blocks all signals. One that is idle ends with the keyring, or at
 * kf_cleanup. The keyring that is run is called from any worker, and so is its destructor. If whoever asked gives up,
 * the work goes on, and what it brings is wiped. If the keyring encrypts with the CMM that is waiting for it, that is
 * refused (KF_E_USAGE).
 */
struct kf_blocking_keyring_options {
    size_t size;
    struct kf_keyring *keyring; /* needed */
    uint32_t max_workers;       /* threads, 1 to 1,000; work beyond that waits for its turn */
};

#define KF_BLOCKING_KEYRING_OPTIONS_INIT                    \
    {                                                       \
        sizeof(struct kf_blocking_keyring_options), NULL, 4 \
    }

KF_API void kf_blocking_keyring_options_init(struct kf_blocking_keyring_options *out, size_t size);

/*
 * Errors: KF_E_USAGE, KF_E_NO_MEMORY, KF_E_SYSTEM. The keyring itself answers what the one that it runs answers,
 * or KF_E_NO_MEMORY, KF_E_SYSTEM (no worker can be started).
 */
KF_CODE kf_blocking_keyring_new(const struct kf_blocking_keyring_options *options, struct kf_error *error,
                                struct kf_keyring **out);

/* ---- Keyrings of your own ---- */

/* What a keyring adds to encryption materials: EDKs, and a data key if they have none. */
struct kf_wrapped;

/*
 * Adds the data key that this keyring has made. It is copied. Errors: KF_E_USAGE (the materials have one, or the
 * suite needs another length).
 */
KF_CODE kf_wrapped_data_key_set(struct kf_wrapped *wrapped, struct kf_view data_key, struct kf_error *error);

/* Adds an EDK. It is copied. Errors: KF_E_USAGE (a part is too long), KF_E_NO_MEMORY. */
KF_CODE kf_wrapped_edk_add(struct kf_wrapped *wrapped, const struct kf_edk *edk, struct kf_error *error);

/*
 * The functions of a keyring. They are polled (call.h), for many calls at once and from any thread. `error` is
 * never NULL; a function that fails writes a sentence there. What is passed lives until the call ends.
 */
struct kf_keyring_vtable {
    size_t size; /* sizeof(struct kf_keyring_vtable) */

    /*
     * Wraps the data key of `materials`, or makes one (kf_suite_info_of knows its length) and wraps that. What it
     * brings it adds to `out`. In the end, when the last keyring has answered KF_OK, there have to be a data key
     * and an EDK. (S: framework/keyring-interface.md#onencrypt)
     */
    enum kf_code (*on_encrypt)(void *self, struct kf_call *call,
                               const struct kf_encryption_materials *materials, struct kf_error *error,
                               struct kf_wrapped *out);

    /*
     * Unwraps one of `edks`: tries those that may be meant for this keyring, until one works, and writes the data
     * key to `*out`. If none works it answers KF_E_KEYS, and says why. `materials` have no data key yet.
     * (S: framework/keyring-interface.md#ondecrypt)
     */
    enum kf_code (*on_decrypt)(void *self, struct kf_call *call,
                               const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                               size_t edk_count, struct kf_error *error, struct kf_data_key *out);

    /* Called by the last _unref, on whatever thread that is. May be NULL. */
    void (*destroy)(void *self);

    /*
     * Whether none of its polls ever blocks, nor takes long. Then all of them may be made by the library's internal
     * thread, on which every fetch of the process depends. Without it (false) those are made by workers instead: right
     * for whatever waits for a device or a service by itself, or computes for more than a fraction of a millisecond,
     * and a little slower for a keyring that answers KF_PENDING.
     */
    bool never_blocks;
};

/*
 * Makes a keyring of your functions. `vtable` is copied. `self` is passed to them, and belongs to the keyring once
 * this has answered KF_OK. Errors: KF_E_USAGE, KF_E_NO_MEMORY.
 */
KF_CODE kf_keyring_new(const struct kf_keyring_vtable *vtable, void *self, struct kf_error *error,
                       struct kf_keyring **out);

/*
 * For keyrings and CMMs that ask another keyring: one poll of `keyring`, with a child of the own call
 * (kf_call_child). Arguments and answers are as in the vtable.
 */
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
