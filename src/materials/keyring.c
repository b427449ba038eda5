/*
 * The keyring interface. Keyrings of the library plug in here as those of users do; who asks a keyring asks
 * it through these functions. (S: framework/keyring-interface.md)
 */
#include <keyflight/keyring.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/refs.h"
#include "materials/plug.h"
#include "message/edk.h"

struct kf_keyring {
    struct kfi_refs refs;
    const struct kf_keyring_vtable *vtable;
    void *self;
};

enum kf_code kf_keyring_new(const struct kf_keyring_vtable *vtable, void *self, struct kf_error *error,
                            struct kf_keyring **out)
{
    *out = NULL;
    if (vtable == NULL || vtable->size < sizeof *vtable || vtable->on_encrypt == NULL ||
        vtable->on_decrypt == NULL)
        return kf_error_set(error, KF_E_USAGE,
                            "The vtable of a keyring needs its size, on_encrypt and on_decrypt.");
    struct kf_keyring *keyring = kfi_alloc_zeroed(sizeof *keyring);
    if (keyring == NULL)
        return kfi_no_memory(error);
    kfi_refs_init(&keyring->refs);
    keyring->vtable = vtable;
    keyring->self = self;
    *out = keyring;
    return KF_OK;
}

struct kf_keyring *kf_keyring_ref(struct kf_keyring *keyring)
{
    if (keyring != NULL)
        kfi_refs_add(&keyring->refs, 1);
    return keyring;
}

void kf_keyring_unref(struct kf_keyring *keyring)
{
    if (keyring == NULL || !kfi_refs_drop(&keyring->refs))
        return;
    if (keyring->vtable->destroy != NULL)
        keyring->vtable->destroy(keyring->self);
    kfi_free(keyring);
}

enum kf_code kf_keyring_on_encrypt(struct kf_keyring *keyring, struct kf_call *call,
                                   const struct kf_encryption_materials *materials, struct kf_error *error,
                                   struct kf_wrapped *out)
{
    if (call == NULL)
        return kfi_no_memory(error);
    enum kf_code code = keyring->vtable->on_encrypt(keyring->self, call, materials, error, out);
    return kfi_plug_answer("keyring", call, code, error);
}

/* Whether the EDKs can be unwrapped into `out`. */
static enum kf_code edks_check(const struct kf_edk *edks, size_t count, const struct kf_data_key *out,
                               struct kf_error *error)
{
    enum kf_code code = kfi_edks_check(edks, count, error);
    for (size_t i = 0; i < count && code == KF_OK; i++)
        code = kfi_apart_check(edks[i].ciphertext, out, sizeof *out, "An encrypted data key", error);
    return code;
}

enum kf_code kf_keyring_on_decrypt(struct kf_keyring *keyring, struct kf_call *call,
                                   const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                   size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    if (call == NULL)
        return kfi_no_memory(error);
    enum kf_code code = edks_check(edks, edk_count, out, error);
    if (code != KF_OK)
        return code;
    code = keyring->vtable->on_decrypt(keyring->self, call, materials, edks, edk_count, error, out);
    code = kfi_plug_answer("keyring", call, code, error);
    if (code < KF_OK)
        kfi_wipe(out, sizeof *out);
    return code;
}
