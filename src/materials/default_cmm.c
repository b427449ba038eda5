/*
 * The default CMM: chooses the suite, makes the signing key, asks one keyring, and checks its answer.
 * (S: framework/default-cmm.md)
 */
#include "base/error.h"
#include "materials/materials.h"

#include <keyflight/cmm.h>

/* ---- Encryption ---- */

/* What is kept from poll to poll while the keyring wraps. */
struct encryption {
    struct kf_encryption_materials *materials;
    struct kf_wrapped wrapped;
};

static void default_encryption_drop(void *state)
{
    struct encryption *encryption = state;
    kf_encryption_materials_unref(encryption->materials);
    kfi_wrapped_free(&encryption->wrapped);
    kfi_free_secret(encryption, sizeof *encryption);
}

/* Makes the key pair of a suite that signs, and puts its public half into the context. */
static enum kf_code add_signing_key(struct kf_encryption_materials *materials,
                                    const struct kf_encryption_context *requested, struct kf_error *error)
{
    enum kf_code code =
        kfi_signing_key_generate(materials->head.suite->curve, error, &materials->signing_key);
    if (code != KF_OK)
        return code;
    const struct kf_pair pair = {kf_view_text(KFI_PUBLIC_KEY_NAME),
                                 kfi_signing_key_public_text(materials->signing_key)};
    return kfi_encryption_context_with(requested, pair, error, &materials->head.context);
}

static enum kf_code default_encryption_fill(struct kf_encryption_materials *materials,
                                            const struct kf_encryption_request *request,
                                            struct kf_error *error)
{
    if (kf_encryption_context_get(request->encryption_context, kf_view_text(KFI_PUBLIC_KEY_NAME), NULL))
        return kf_error_set(error, KF_E_POLICY,
                            "The encryption context already has a key \"%s\", which is reserved.",
                            KFI_PUBLIC_KEY_NAME);
    enum kf_code code = KF_OK;
    if (materials->head.suite->info.sign)
        code = add_signing_key(materials, request->encryption_context, error);
    else
        materials->head.context = kf_encryption_context_ref(request->encryption_context);
    if (code != KF_OK)
        return code;
    if (request->required_key_count == 0) {
        materials->stored = kf_encryption_context_ref(materials->head.context);
        return KF_OK;
    }
    return kfi_encryption_context_split(materials->head.context, request->required_keys,
                                        request->required_key_count, error, &materials->head.required,
                                        &materials->stored);
}

static enum kf_code default_encryption_begin(const struct kf_encryption_request *request,
                                             struct kf_error *error, struct encryption **out)
{
    enum kf_suite id = request->suite;
    if (id == KF_SUITE_DEFAULT)
        id = kfi_suite_default(request->commitment_policy);
    const struct kfi_suite *suite = kfi_suite_get(id);
    if (suite == NULL)
        return kf_error_set(error, KF_E_USAGE, "There is no algorithm suite %04x.", (unsigned)id);
    enum kf_code code = kfi_policy_check_encrypt(request->commitment_policy, suite, error);
    if (code != KF_OK)
        return code;

    struct encryption *encryption = kfi_alloc_zeroed(sizeof *encryption);
    if (encryption == NULL)
        return kfi_no_memory(error);
    encryption->materials = kfi_encryption_materials_new(suite);
    if (encryption->materials == NULL)
        code = kfi_no_memory(error);
    else
        code = default_encryption_fill(encryption->materials, request, error);
    if (code != KF_OK) {
        default_encryption_drop(encryption);
        return code;
    }
    kfi_wrapped_init(&encryption->wrapped, encryption->materials);
    *out = encryption;
    return KF_OK;
}

/* Moves what the keyring added to the materials. */
static enum kf_code default_encryption_complete(struct encryption *encryption, struct kf_error *error,
                                                const struct kf_encryption_materials **out)
{
    struct kf_encryption_materials *materials = encryption->materials;
    if (encryption->wrapped.data_key.length == 0)
        return kf_error_set(
            error, KF_E_KEYS,
            "The keyring made no data key: the first keyring has to be one that can generate.");
    if (encryption->wrapped.edks.count == 0)
        return kf_error_set(error, KF_E_KEYS,
                            "The keyring wrapped no data key: there is nothing to decrypt with.");
    enum kf_code code = kfi_edk_list_move(&materials->edks, &encryption->wrapped.edks, error);
    if (code != KF_OK)
        return code;
    materials->head.data_key = encryption->wrapped.data_key;
    *out = materials;
    encryption->materials = NULL;
    return KF_OK;
}

static enum kf_code default_cmm_get_encryption_materials(void *self, struct kf_call *call,
                                                         const struct kf_encryption_request *request,
                                                         struct kf_error *error,
                                                         const struct kf_encryption_materials **out)
{
    struct encryption *encryption = kf_call_state(call);
    if (encryption == NULL) {
        enum kf_code code = default_encryption_begin(request, error, &encryption);
        if (code != KF_OK)
            return code;
        kf_call_state_set(call, encryption, default_encryption_drop);
    }
    enum kf_code code = kf_keyring_on_encrypt(self, kf_call_child(call, 0), encryption->materials, error,
                                              &encryption->wrapped);
    return code == KF_OK ? default_encryption_complete(encryption, error, out) : code;
}

/* ---- Decryption ---- */

struct decryption {
    struct kf_decryption_materials *materials;
    struct kf_data_key data_key;
};

static void default_decryption_drop(void *state)
{
    struct decryption *decryption = state;
    kf_decryption_materials_unref(decryption->materials);
    kfi_free_secret(decryption, sizeof *decryption);
}

static enum kf_code default_decryption_fill(struct kf_decryption_materials *materials,
                                            const struct kf_decryption_request *request,
                                            struct kf_error *error)
{
    enum kf_code code =
        kfi_encryption_context_join(request->encryption_context, request->reproduced_encryption_context,
                                    error, &materials->head.context, &materials->head.required);
    if (code != KF_OK)
        return code;
    struct kf_view public_key;
    bool has_key =
        kf_encryption_context_get(materials->head.context, kf_view_text(KFI_PUBLIC_KEY_NAME), &public_key);
    if (has_key != materials->head.suite->info.sign)
        return kf_error_set(
            error, KF_E_MALFORMED,
            has_key ? "The encryption context has a key \"%s\" although suite %04x does not sign."
                    : "The encryption context lacks the key \"%s\", which suite %04x needs to sign.",
            KFI_PUBLIC_KEY_NAME, (unsigned)materials->head.suite->info.id);
    if (!has_key)
        return KF_OK;
    return kfi_verification_key_parse(materials->head.suite->curve, public_key, error,
                                      &materials->verification_key);
}

static enum kf_code default_decryption_begin(const struct kf_decryption_request *request,
                                             struct kf_error *error, struct decryption **out)
{
    const struct kfi_suite *suite = kfi_suite_get(request->suite);
    if (suite == NULL)
        return kf_error_set(error, KF_E_USAGE, "There is no algorithm suite %04x.", (unsigned)request->suite);
    enum kf_code code = kfi_policy_check_decrypt(request->commitment_policy, suite, error);
    if (code != KF_OK)
        return code;

    struct decryption *decryption = kfi_alloc_zeroed(sizeof *decryption);
    if (decryption == NULL)
        return kfi_no_memory(error);
    decryption->materials = kfi_decryption_materials_new(suite);
    if (decryption->materials == NULL)
        code = kfi_no_memory(error);
    else
        code = default_decryption_fill(decryption->materials, request, error);
    if (code != KF_OK) {
        default_decryption_drop(decryption);
        return code;
    }
    *out = decryption;
    return KF_OK;
}

static enum kf_code default_decryption_complete(struct decryption *decryption, struct kf_error *error,
                                                const struct kf_decryption_materials **out)
{
    struct kf_decryption_materials *materials = decryption->materials;
    if (decryption->data_key.length != materials->head.suite->info.data_key_length)
        return kf_error_set(error, KF_E_KEYS,
                            "The keyring unwrapped a data key of %zu bytes; suite %04x needs %zu.",
                            decryption->data_key.length, (unsigned)materials->head.suite->info.id,
                            materials->head.suite->info.data_key_length);
    materials->head.data_key = decryption->data_key;
    *out = materials;
    decryption->materials = NULL;
    return KF_OK;
}

static enum kf_code default_cmm_decrypt_materials(void *self, struct kf_call *call,
                                                  const struct kf_decryption_request *request,
                                                  struct kf_error *error,
                                                  const struct kf_decryption_materials **out)
{
    struct decryption *decryption = kf_call_state(call);
    if (decryption == NULL) {
        enum kf_code code = default_decryption_begin(request, error, &decryption);
        if (code != KF_OK)
            return code;
        kf_call_state_set(call, decryption, default_decryption_drop);
    }
    enum kf_code code =
        kf_keyring_on_decrypt(self, kf_call_child(call, 0), decryption->materials, request->edks,
                              request->edk_count, error, &decryption->data_key);
    return code == KF_OK ? default_decryption_complete(decryption, error, out) : code;
}

/* ---- The CMM: its self is the keyring ---- */

static void default_cmm_destroy(void *self)
{
    kf_keyring_unref(self);
}

enum kf_code kf_default_cmm_new(struct kf_keyring *keyring, struct kf_error *error, struct kf_cmm **out)
{
    static const struct kf_cmm_vtable vtable = {
        .size = sizeof vtable,
        .get_encryption_materials = default_cmm_get_encryption_materials,
        .decrypt_materials = default_cmm_decrypt_materials,
        .destroy = default_cmm_destroy,
        .never_blocks = true,
    };
    *out = NULL;
    if (keyring == NULL)
        return kf_error_set(error, KF_E_USAGE, "A default CMM needs a keyring.");
    enum kf_code code = kf_cmm_new(&vtable, keyring, error, out);
    if (code == KF_OK)
        kf_keyring_ref(keyring);
    return code;
}
