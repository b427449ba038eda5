/*
 * Cryptographic materials managers (CMMs) answer encrypt and decrypt operations with materials. They never
 * change after creation and may be used by many threads at once. (S: framework/cmm-interface.md)
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
KF_API void kf_cmm_unref(struct kf_cmm *cmm); /* NULL is allowed; legal while fetches are under way */

/*
 * The default CMM: picks the suite, makes the key pair of a signing suite and asks `keyring`, of which it
 * takes a reference. Errors: KF_E_USAGE, KF_E_NO_MEMORY. (S: framework/default-cmm.md)
 */
KF_CODE kf_default_cmm_new(struct kf_keyring *keyring, struct kf_error *error, struct kf_cmm **out);

/* ---- CMMs of your own ---- */

struct kf_cmm_vtable {
    size_t size; /* sizeof(struct kf_cmm_vtable) */

    /*
     * Answers a request with complete materials, of which `*out` becomes a reference. Called again with an
     * equal request while it answers KF_PENDING. `error` is never NULL. Usually made by a CMM that is
     * wrapped: kf_cmm_get_encryption_materials.
     */
    enum kf_code (*get_encryption_materials)(void *self, struct kf_call *call,
                                             const struct kf_encryption_request *request,
                                             struct kf_error *error,
                                             const struct kf_encryption_materials **out);
    enum kf_code (*decrypt_materials)(void *self, struct kf_call *call,
                                      const struct kf_decryption_request *request, struct kf_error *error,
                                      const struct kf_decryption_materials **out);

    void (*destroy)(void *self); /* at the last release, on whatever thread that is; may be NULL */
};

/* Plugs a CMM in; as kf_keyring_new. */
KF_CODE kf_cmm_new(const struct kf_cmm_vtable *vtable, void *self, struct kf_error *error,
                   struct kf_cmm **out);

/*
 * For CMMs that wrap others: polls `cmm` with a child of the own call. What a changed request points to has
 * to live as long as that call: keep it in the call's state. The rest as in the vtable.
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
