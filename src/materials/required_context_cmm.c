/*
 * The required encryption context CMM: see its header. It asks the CMM behind it for materials that require
 * its keys too, and checks that they do. (S: framework/required-encryption-context-cmm.md)
 */
#include <keyflight/required_context_cmm.h>

#include "base/error.h"
#include "base/sized.h"
#include "base/text.h"
#include "materials/materials.h"

/* The most bytes of keys in a sentence. */
#define MISSING_ROOM 360

struct required_context_cmm {
    struct kf_cmm *backing;
    struct kf_view *keys; /* their bytes are in the same block */
    size_t key_count;
};

/* Whether `context` has every required key. If not, `missing` lists those that it lacks. */
static bool has_all(const struct required_context_cmm *self, const struct kf_encryption_context *context,
                    struct kfi_listing *missing)
{
    kfi_listing_begin(missing, MISSING_ROOM);
    for (size_t i = 0; i < self->key_count; i++) {
        if (!kf_encryption_context_get(context, self->keys[i], NULL))
            kfi_listing_add(missing, ", ", "%s", kfi_quoted(self->keys[i]).text);
    }
    return kfi_listing_is_empty(missing);
}

/* ---- Encryption ---- */

/* A request with the required keys of both. It is kept from poll to poll. */
struct encryption {
    struct kf_encryption_request request;
    struct kf_view keys[];
};

static bool is_in(struct kf_view key, const struct kf_view *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (kfi_view_equal(key, keys[i]))
            return true;
    }
    return false;
}

static enum kf_code required_encryption_begin(const struct required_context_cmm *self,
                                              const struct kf_encryption_request *request,
                                              struct kf_error *error, struct encryption **out)
{
    struct kfi_listing missing;
    if (!has_all(self, request->encryption_context, &missing))
        return kf_error_set(error, KF_E_POLICY,
                            "The encryption context lacks what this CMM requires: add the keys %s.",
                            kfi_listing_end(&missing));
    size_t count = request->required_key_count;
    struct encryption *encryption =
        kfi_alloc(sizeof *encryption + (count + self->key_count) * sizeof encryption->keys[0]);
    if (encryption == NULL)
        return kfi_no_memory(error);
    if (count > 0)
        memcpy(encryption->keys, request->required_keys, count * sizeof encryption->keys[0]);
    for (size_t i = 0; i < self->key_count; i++) {
        if (!is_in(self->keys[i], request->required_keys, request->required_key_count))
            encryption->keys[count++] = self->keys[i];
    }
    encryption->request = *request;
    encryption->request.required_keys = encryption->keys;
    encryption->request.required_key_count = count;
    *out = encryption;
    return KF_OK;
}

static enum kf_code required_cmm_get_encryption_materials(void *context, struct kf_call *call,
                                                          const struct kf_encryption_request *request,
                                                          struct kf_error *error,
                                                          const struct kf_encryption_materials **out)
{
    const struct required_context_cmm *self = context;
    struct encryption *encryption = kf_call_state(call);
    enum kf_code code;
    if (encryption == NULL) {
        code = required_encryption_begin(self, request, error, &encryption);
        if (code != KF_OK)
            return code;
        kf_call_state_set(call, encryption, kfi_free);
    }
    code = kf_cmm_get_encryption_materials(self->backing, kf_call_child(call, 0), &encryption->request, error,
                                           out);
    struct kfi_listing missing;
    if (code == KF_OK && !has_all(self, (*out)->head.required, &missing)) {
        kf_encryption_materials_unref(*out);
        *out = NULL;
        code = kf_error_set(error, KF_E_BUG,
                            "The CMM behind a required encryption context CMM would store required keys, or "
                            "leave them out: %s.",
                            kfi_listing_end(&missing));
    }
    return code;
}

/* ---- Decryption ---- */

static enum kf_code required_cmm_decrypt_materials(void *context, struct kf_call *call,
                                                   const struct kf_decryption_request *request,
                                                   struct kf_error *error,
                                                   const struct kf_decryption_materials **out)
{
    const struct required_context_cmm *self = context;
    struct kfi_listing missing;
    if (!has_all(self, request->reproduced_encryption_context, &missing))
        return kf_error_set(
            error, KF_E_POLICY,
            "The reproduced encryption context lacks what this CMM requires: add the keys %s.",
            kfi_listing_end(&missing));
    enum kf_code code = kf_cmm_decrypt_materials(self->backing, kf_call_child(call, 0), request, error, out);
    if (code == KF_OK && !has_all(self, (*out)->head.context, &missing)) {
        kf_decryption_materials_unref(*out);
        *out = NULL;
        code = kf_error_set(error, KF_E_BUG,
                            "The CMM behind a required encryption context CMM left out what has to be "
                            "authenticated: %s.",
                            kfi_listing_end(&missing));
    }
    return code;
}

/* ---- The CMM ---- */

static void required_cmm_destroy(void *context)
{
    struct required_context_cmm *self = context;
    kf_cmm_unref(self->backing);
    kfi_free(self->keys);
    kfi_free(self);
}

static enum kf_code required_cmm_options_check(
    const struct kf_required_encryption_context_cmm_options *options, struct kf_error *error)
{
    if ((options->cmm == NULL) == (options->keyring == NULL))
        return kf_error_set(error, KF_E_USAGE,
                            "A required encryption context CMM needs either a CMM or a keyring behind it, "
                            "not both.");
    enum kf_code code =
        kfi_views_check(options->required_keys, options->required_key_count, "Option required_keys", error);
    if (code != KF_OK)
        return code;
    if (options->required_key_count == 0)
        return kf_error_set(error, KF_E_USAGE,
                            "A required encryption context CMM needs at least one required key.");
    for (size_t i = 0; i < options->required_key_count; i++) {
        const struct kf_view key = options->required_keys[i];
        if (key.length > UINT16_MAX || !kfi_view_is_utf8(key))
            return kf_error_set(
                error, KF_E_USAGE,
                "Required key %zu can't be in an encryption context: its keys are UTF-8, of at "
                "most 65535 bytes.",
                i + 1);
        if (is_in(key, options->required_keys, i))
            return kf_error_set(error, KF_E_USAGE, "Required key %zu comes twice.", i + 1);
    }
    return KF_OK;
}

enum kf_code kf_required_encryption_context_cmm_new(
    const struct kf_required_encryption_context_cmm_options *given, struct kf_error *error,
    struct kf_cmm **out)
{
    static const struct kf_cmm_vtable vtable = {
        .size = sizeof vtable,
        .get_encryption_materials = required_cmm_get_encryption_materials,
        .decrypt_materials = required_cmm_decrypt_materials,
        .destroy = required_cmm_destroy,
        .never_blocks = true,
    };
    struct kf_required_encryption_context_cmm_options options =
        KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT;
    *out = NULL;
    enum kf_code code = kfi_sized_read(&options, sizeof options, given,
                                       "The options of a required encryption context CMM", error);
    if (code == KF_OK)
        code = required_cmm_options_check(&options, error);
    if (code != KF_OK)
        return code;
    struct required_context_cmm *self = kfi_alloc_zeroed(sizeof *self);
    if (self == NULL)
        return kfi_no_memory(error);
    self->key_count = options.required_key_count;
    self->keys = kfi_copy_all(options.required_keys, options.required_key_count);
    if (self->keys == NULL)
        code = kfi_no_memory(error);
    else if (options.keyring != NULL)
        code = kf_default_cmm_new(options.keyring, error, &self->backing);
    else
        self->backing = kf_cmm_ref(options.cmm);
    if (code == KF_OK)
        code = kf_cmm_new(&vtable, self, error, out);
    if (code != KF_OK)
        required_cmm_destroy(self);
    return code;
}
