/*
 * Requests: see request.h. Called by the caching CMM for what goes past the cache, and by the cache for its fetches.
 */
#include "materials/cache/request.h"

#include "base/bytes.h"
#include "base/error.h"

struct kfi_request {
    struct kfi_refs refs;
    struct kfi_asked asked; /* points to what follows, and holds the CMM and the contexts */
    struct kf_encryption_request encryption;
    struct kf_view *required_keys;
    struct kf_decryption_request decryption;
    struct kfi_edk_list edks;
};

/* ---- One poll ---- */

static enum kf_code encryption_poll(const struct kfi_asked *asked, struct kf_call *child,
                                    struct kf_error *error, const struct kfi_materials **out)
{
    const struct kf_encryption_materials *materials;
    enum kf_code code =
        kf_cmm_get_encryption_materials(asked->backing, child, asked->request.encryption, error, &materials);
    if (code == KF_OK)
        *out = &materials->head;
    return code;
}

static enum kf_code decryption_poll(const struct kfi_asked *asked, struct kf_call *child,
                                    struct kf_error *error, const struct kfi_materials **out)
{
    const struct kf_decryption_materials *materials;
    enum kf_code code =
        kf_cmm_decrypt_materials(asked->backing, child, asked->request.decryption, error, &materials);
    if (code == KF_OK)
        *out = &materials->head;
    return code;
}

enum kf_code kfi_asked_poll(const struct kfi_asked *asked, struct kf_call *call, struct kf_error *error,
                            const struct kfi_materials **out)
{
    struct kf_call *child = kf_call_child(call, 0);
    *out = NULL;
    enum kf_code code = asked->direction == KFI_ENCRYPTION ? encryption_poll(asked, child, error, out)
                                                           : decryption_poll(asked, child, error, out);
    if (code != KF_OK || !kfi_materials_mark_cached(*out))
        return code;
    kfi_materials_unref(*out);
    *out = NULL;
    return kf_error_set(
        error, KF_E_USAGE,
        "The materials that this caching CMM fetched came out of a caching CMM already: a second one around "
        "it would multiply the limits. Put one caching CMM outermost, or use CMMs that make new materials.");
}

enum kf_code kfi_request_poll(const struct kfi_request *request, struct kf_call *call, struct kf_error *error,
                              const struct kfi_materials **out)
{
    const struct kfi_materials *materials;
    enum kf_code code = kfi_asked_poll(&request->asked, call, error, &materials);
    *out = materials;
    if (code != KF_OK || materials->suite->info.derives)
        return code;
    code = kf_error_set(
        error, KF_E_POLICY,
        "The backing CMM chose suite %04x unasked; without a key derivation its keys must not be "
        "shared. Name that suite in the request, and the cache is bypassed.",
        (unsigned)materials->suite->info.id);
    kfi_materials_unref(materials);
    *out = NULL;
    return code;
}

/* ---- Copies ---- */

static bool encryption_copy(struct kfi_request *copy, const struct kf_encryption_request *request)
{
    copy->required_keys = kfi_copy_all(request->required_keys, request->required_key_count);
    copy->encryption = *request;
    copy->encryption.required_keys = copy->required_keys;
    /* The materials will serve other messages too, so that this one's length is nobody's business. */
    copy->encryption.plaintext_bound = KF_LENGTH_UNKNOWN;
    copy->asked.request.encryption = &copy->encryption;
    kf_encryption_context_ref(request->encryption_context);
    return copy->required_keys != NULL;
}

static bool decryption_copy(struct kfi_request *copy, const struct kf_decryption_request *request)
{
    copy->decryption = *request;
    copy->asked.request.decryption = &copy->decryption;
    kf_encryption_context_ref(request->encryption_context);
    kf_encryption_context_ref(request->reproduced_encryption_context);
    for (size_t i = 0; i < request->edk_count; i++) {
        if (kfi_edk_list_add(&copy->edks, &request->edks[i], NULL) != KF_OK)
            return false;
    }
    copy->decryption.edks = copy->edks.items;
    return true;
}

struct kfi_request *kfi_request_copy(const struct kfi_asked *asked)
{
    struct kfi_request *copy = kfi_alloc_zeroed(sizeof *copy);
    if (copy == NULL)
        return NULL;
    kfi_refs_init(&copy->refs);
    copy->asked = *asked;
    kf_cmm_ref(asked->backing);
    const bool whole = asked->direction == KFI_ENCRYPTION ? encryption_copy(copy, asked->request.encryption)
                                                          : decryption_copy(copy, asked->request.decryption);
    if (whole)
        return copy;
    kfi_request_unref(copy);
    return NULL;
}

struct kfi_request *kfi_request_ref(struct kfi_request *request)
{
    kfi_refs_add(&request->refs, 1);
    return request;
}

void kfi_request_unref(struct kfi_request *request)
{
    if (request == NULL || !kfi_refs_drop(&request->refs))
        return;
    kf_encryption_context_unref(request->encryption.encryption_context);
    kf_encryption_context_unref(request->decryption.encryption_context);
    kf_encryption_context_unref(request->decryption.reproduced_encryption_context);
    kfi_free(request->required_keys);
    kfi_edk_list_free(&request->edks);
    kf_cmm_unref(request->asked.backing);
    kfi_free(request);
}

const struct kfi_edk_list *kfi_request_edks(const struct kfi_request *request,
                                            const struct kfi_materials *materials)
{
    return request->asked.direction == KFI_DECRYPTION ? &request->edks
                                                      : &kfi_encryption_materials_of(materials)->edks;
}
