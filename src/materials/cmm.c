/*
 * The CMM interface, as keyring.c for keyrings. Answers are checked here, so that encrypt.c, decrypt.c and
 * the cache need not know who gave them. (S: framework/cmm-interface.md)
 */
#include <keyflight/cmm.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/refs.h"
#include "materials/materials.h"
#include "materials/plug.h"

struct kf_cmm {
    struct kfi_refs refs;
    const struct kf_cmm_vtable *vtable;
    void *self;
};

enum kf_code kf_cmm_new(const struct kf_cmm_vtable *vtable, void *self, struct kf_error *error,
                        struct kf_cmm **out)
{
    *out = NULL;
    if (vtable == NULL || vtable->size < sizeof *vtable || vtable->get_encryption_materials == NULL ||
        vtable->decrypt_materials == NULL)
        return kf_error_set(
            error, KF_E_USAGE,
            "The vtable of a CMM needs its size, get_encryption_materials and decrypt_materials.");
    struct kf_cmm *cmm = kfi_alloc_zeroed(sizeof *cmm);
    if (cmm == NULL)
        return kfi_no_memory(error);
    kfi_refs_init(&cmm->refs);
    cmm->vtable = vtable;
    cmm->self = self;
    *out = cmm;
    return KF_OK;
}

struct kf_cmm *kf_cmm_ref(struct kf_cmm *cmm)
{
    if (cmm != NULL)
        kfi_refs_add(&cmm->refs, 1);
    return cmm;
}

void kf_cmm_unref(struct kf_cmm *cmm)
{
    if (cmm == NULL || !kfi_refs_drop(&cmm->refs))
        return;
    if (cmm->vtable->destroy != NULL)
        cmm->vtable->destroy(cmm->self);
    kfi_free(cmm);
}

enum kf_code kf_cmm_get_encryption_materials(struct kf_cmm *cmm, struct kf_call *call,
                                             const struct kf_encryption_request *request,
                                             struct kf_error *error,
                                             const struct kf_encryption_materials **out)
{
    *out = NULL;
    if (call == NULL)
        return kfi_no_memory(error);
    enum kf_code code = kfi_views_check(request->required_keys, request->required_key_count,
                                        "required_keys of a request", error);
    if (code != KF_OK)
        return code;
    code = cmm->vtable->get_encryption_materials(cmm->self, call, request, error, out);
    code = kfi_plug_answer("CMM", call, code, error);
    if (code != KF_OK) {
        *out = NULL; /* whatever it left there, it is not ours */
        return code;
    }
    if (*out == NULL)
        return kf_error_set(error, KF_E_BUG, "A CMM answered without materials.");

    const struct kf_encryption_materials *materials = *out;
    code = kfi_policy_check_encrypt(request->commitment_policy, materials->head.suite, error);
    if (code == KF_OK && request->max_edks > 0 && materials->edks.count > request->max_edks)
        code = kf_error_set(error, KF_E_LIMIT, "There would be %zu encrypted data keys; max_edks allows %u.",
                            materials->edks.count, (unsigned)request->max_edks);
    if (code != KF_OK) {
        kf_encryption_materials_unref(*out);
        *out = NULL;
    }
    return code;
}

enum kf_code kf_cmm_decrypt_materials(struct kf_cmm *cmm, struct kf_call *call,
                                      const struct kf_decryption_request *request, struct kf_error *error,
                                      const struct kf_decryption_materials **out)
{
    *out = NULL;
    if (call == NULL)
        return kfi_no_memory(error);
    enum kf_code code = kfi_edks_check(request->edks, request->edk_count, error);
    if (code != KF_OK)
        return code;
    code = cmm->vtable->decrypt_materials(cmm->self, call, request, error, out);
    code = kfi_plug_answer("CMM", call, code, error);
    if (code != KF_OK) {
        *out = NULL; /* whatever it left there, it is not ours */
        return code;
    }
    if (*out == NULL)
        return kf_error_set(error, KF_E_BUG, "A CMM answered without materials.");
    if ((*out)->head.suite->info.id != request->suite) {
        code = kf_error_set(error, KF_E_BUG,
                            "A CMM answered with materials for suite %04x to a message of suite %04x.",
                            (unsigned)(*out)->head.suite->info.id, (unsigned)request->suite);
        kf_decryption_materials_unref(*out);
        *out = NULL;
    }
    return code;
}
