/*
 * Cryptographic materials managers (CMMs) answer encryptions and decryptions with materials. A CMM never changes.
 * (S: framework/cmm-interface.md)
 */
#ifndef KEYFLIGHT_CMM_H
#define KEYFLIGHT_CMM_H

#include <keyflight/call.h>
#include <keyflight/keyring.h>
#include <keyflight/materials.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kf_cmm;

KF_API struct kf_cmm *kf_cmm_ref(struct kf_cmm *cmm);
/* Also allowed while messages wait for this CMM: they hold references of their own. */
KF_API void kf_cmm_unref(struct kf_cmm *cmm);

/*
 * Makes a default CMM. It chooses the suite, makes a key pair if the suite signs, and asks `keyring` for each
 * message. Errors: KF_E_USAGE, KF_E_NO_MEMORY. (S: framework/default-cmm.md)
 */
KF_CODE kf_default_cmm_new(struct kf_keyring *keyring, struct kf_error *error, struct kf_cmm **out);

/* ---- CMMs of your own ---- */

/*
 * The functions of a CMM. They are polled (call.h), for many calls at once and from any thread. `error` is never
 * NULL; a function that fails writes a sentence there.
 */
struct kf_cmm_vtable {
    size_t size; /* sizeof(struct kf_cmm_vtable) */

    /*
     * Answers a request with complete materials, of which `*out` is a reference. It gets them from another CMM, by
     * kf_cmm_get_encryption_materials. (S: framework/cmm-interface.md#get-encryption-materials)
     */
    enum kf_code (*get_encryption_materials)(void *self, struct kf_call *call,
                                             const struct kf_encryption_request *request,
                                             struct kf_error *error,
                                             const struct kf_encryption_materials **out);

    /* The same for decryption. (S: framework/cmm-interface.md#decrypt-materials) */
    enum kf_code (*decrypt_materials)(void *self, struct kf_call *call,
                                      const struct kf_decryption_request *request, struct kf_error *error,
                                      const struct kf_decryption_materials **out);

    /* Called by the last _unref, on whatever thread that is. May be NULL. */
    void (*destroy)(void *self);

    /*
     * Whether none of its polls ever blocks, nor takes long. Then all of them may be made by the library's internal
     * thread, on which every fetch of the process depends. Without it (false) those are made by workers instead: right
     * for whatever waits for a device or a service by itself, or computes for more than a fraction of a millisecond,
     * and a little slower for a CMM that answers KF_PENDING.
     */
    bool never_blocks;
};

/*
 * Makes a CMM of your functions. `vtable` is copied. `self` is passed to them, and belongs to the CMM once this has
 * answered KF_OK. Errors: KF_E_USAGE, KF_E_NO_MEMORY.
 */
KF_CODE kf_cmm_new(const struct kf_cmm_vtable *vtable, void *self, struct kf_error *error,
                   struct kf_cmm **out);

/*
 * For CMMs that ask another CMM: one poll of `cmm`, with a child of the own call (kf_call_child). `request` may be
 * the own request or a copy that was changed. What it points to has to live until the call ends: keep that in the
 * call's state. Errors: KF_E_LIMIT (more EDKs than max_edks), KF_E_POLICY, and what `cmm` answers.
 */
KF_CODE kf_cmm_get_encryption_materials(struct kf_cmm *cmm, struct kf_call *call,
                                        const struct kf_encryption_request *request, struct kf_error *error,
                                        const struct kf_encryption_materials **out);
KF_CODE kf_cmm_decrypt_materials(struct kf_cmm *cmm, struct kf_call *call,
                                 const struct kf_decryption_request *request, struct kf_error *error,
                                 const struct kf_decryption_materials **out);

#ifdef __cplusplus
}
#endif

#endif
