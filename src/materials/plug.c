/*
 * Where keyrings and CMMs plug in: the library's own and those of users. Everybody who asks one asks it
 * through these functions. They check the answers, so that encrypt.c, decrypt.c and the cache need not know
 * where an answer came from. (S: framework/keyring-interface.md, framework/cmm-interface.md)
 */
#include <keyflight/cmm.h>
#include <keyflight/keyring.h>

#include "base/call.h"
#include "base/error.h"
#include "base/flight.h"
#include "base/memory.h"
#include "base/refs.h"
#include "base/sized.h"
#include "materials/materials.h"
#include "message/edk.h"

/* ---- Answers ---- */

/* Whether a call may end with this code: done, or an error that exists. */
static bool is_answer(enum kf_code code)
{
    return code == KF_OK || code == KF_E_BUG || (code < KF_OK && strcmp(kf_code_name(code), "KF_E_BUG") != 0);
}

/*
 * Takes the code that a `what` ("keyring", "CMM") answered to one poll. Anything but KF_PENDING ends its node
 * of the call. An unknown code becomes KF_E_BUG. An error without a sentence gets one, and a sentence without
 * an error is removed.
 */
static enum kf_code plug_answer(const char *what, struct kf_call *call, enum kf_code code,
                                struct kf_error *error)
{
    const enum kf_code forked = kfi_call_check(call, error);
    if (forked != KF_OK)
        return forked; /* it forked inside */
    /* What failed on the way to a good answer no longer matters. */
    if (code == KF_OK || code == KF_PENDING)
        kfi_error_clear(error);
    if (code == KF_PENDING)
        return code;
    kfi_call_reset(call);
    if (code < KF_OK && call->root->request_id != NULL)
        call->root->request_id->failed = true;
    if (!is_answer(code))
        return kf_error_set(error, KF_E_BUG, "A %s answered with the code %d, which it may not use.", what,
                            (int)code);
    if (code < KF_OK && (error->code != code || error->text[0] == '\0'))
        return kf_error_set(error, code, "A %s failed with %s and did not say why.", what,
                            kf_code_name(code));
    return code;
}

/* Where a sentence goes: to `error`, or to `unheard` if the caller wants none. What is plugged in never sees NULL. */
static struct kf_error *plug_error(struct kf_error *error, struct kf_error *unheard)
{
    kfi_error_clear(unheard);
    return error != NULL ? error : unheard;
}

/*
 * Whether what is plugged in is not to be called now: this is the internal thread, and it may block. The call stays as it
 * is, and is polled again by a worker.
 */
static bool plug_defers(bool never_blocks, struct kf_error *error)
{
    if (never_blocks || !kfi_inside_defers())
        return false;
    kfi_error_clear(error);
    return true;
}

/* ---- Keyrings ---- */

struct kf_keyring {
    struct kfi_refs refs;
    struct kf_keyring_vtable vtable;
    void *self;
};

enum kf_code kf_keyring_new(const struct kf_keyring_vtable *vtable, void *self, struct kf_error *error,
                            struct kf_keyring **out)
{
    *out = NULL;
    struct kf_keyring_vtable own = {.size = sizeof own};
    enum kf_code code = kfi_sized_read(&own, sizeof own, vtable, "The functions of a keyring", error);
    if (code != KF_OK)
        return code;
    if (own.on_encrypt == NULL || own.on_decrypt == NULL)
        return kf_error_set(error, KF_E_USAGE, "The functions of a keyring lack on_encrypt or on_decrypt.");
    struct kf_keyring *keyring = kfi_alloc_zeroed(sizeof *keyring);
    if (keyring == NULL)
        return kfi_no_memory(error);
    kfi_refs_init(&keyring->refs);
    keyring->vtable = own;
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
    if (keyring->vtable.destroy != NULL)
        keyring->vtable.destroy(keyring->self);
    kfi_free(keyring);
}

enum kf_code kf_keyring_on_encrypt(struct kf_keyring *keyring, struct kf_call *call,
                                   const struct kf_encryption_materials *materials, struct kf_error *error,
                                   struct kf_wrapped *out)
{
    struct kf_error unheard;
    error = plug_error(error, &unheard);
    if (call == NULL)
        return kfi_no_memory(error);
    enum kf_code code = kfi_call_check(call, error);
    if (code != KF_OK)
        return code;
    if (plug_defers(keyring->vtable.never_blocks, error))
        return KF_PENDING;
    code = keyring->vtable.on_encrypt(keyring->self, call, materials, error, out);
    return plug_answer("keyring", call, code, error);
}

/* Checks that these EDKs can be unwrapped into `out`. */
static enum kf_code keyring_edks_check(const struct kf_edk *edks, size_t count, const struct kf_data_key *out,
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
    struct kf_error unheard;
    error = plug_error(error, &unheard);
    if (call == NULL)
        return kfi_no_memory(error);
    enum kf_code code = kfi_call_check(call, error);
    if (code == KF_OK)
        code = keyring_edks_check(edks, edk_count, out, error);
    if (code != KF_OK)
        return code;
    if (plug_defers(keyring->vtable.never_blocks, error))
        return KF_PENDING;
    code = keyring->vtable.on_decrypt(keyring->self, call, materials, edks, edk_count, error, out);
    code = plug_answer("keyring", call, code, error);
    if (code < KF_OK)
        kfi_wipe(out, sizeof *out);
    return code;
}

/* ---- CMMs ---- */

struct kf_cmm {
    struct kfi_refs refs;
    struct kf_cmm_vtable vtable;
    void *self;
};

enum kf_code kf_cmm_new(const struct kf_cmm_vtable *vtable, void *self, struct kf_error *error,
                        struct kf_cmm **out)
{
    *out = NULL;
    struct kf_cmm_vtable own = {.size = sizeof own};
    enum kf_code code = kfi_sized_read(&own, sizeof own, vtable, "The functions of a CMM", error);
    if (code != KF_OK)
        return code;
    if (own.get_encryption_materials == NULL || own.decrypt_materials == NULL)
        return kf_error_set(error, KF_E_USAGE,
                            "The functions of a CMM lack get_encryption_materials or decrypt_materials.");
    struct kf_cmm *cmm = kfi_alloc_zeroed(sizeof *cmm);
    if (cmm == NULL)
        return kfi_no_memory(error);
    kfi_refs_init(&cmm->refs);
    cmm->vtable = own;
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
    if (cmm->vtable.destroy != NULL)
        cmm->vtable.destroy(cmm->self);
    kfi_free(cmm);
}

enum kf_code kf_cmm_get_encryption_materials(struct kf_cmm *cmm, struct kf_call *call,
                                             const struct kf_encryption_request *request,
                                             struct kf_error *error,
                                             const struct kf_encryption_materials **out)
{
    struct kf_error unheard;
    error = plug_error(error, &unheard);
    *out = NULL;
    if (call == NULL)
        return kfi_no_memory(error);
    enum kf_code code = kfi_call_check(call, error);
    if (code == KF_OK)
        code = kfi_views_check(request->required_keys, request->required_key_count,
                               "required_keys of a request", error);
    if (code != KF_OK)
        return code;
    if (plug_defers(cmm->vtable.never_blocks, error))
        return KF_PENDING;
    code = cmm->vtable.get_encryption_materials(cmm->self, call, request, error, out);
    code = plug_answer("CMM", call, code, error);
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
    struct kf_error unheard;
    error = plug_error(error, &unheard);
    *out = NULL;
    if (call == NULL)
        return kfi_no_memory(error);
    enum kf_code code = kfi_call_check(call, error);
    if (code == KF_OK)
        code = kfi_edks_check(request->edks, request->edk_count, error);
    if (code != KF_OK)
        return code;
    if (plug_defers(cmm->vtable.never_blocks, error))
        return KF_PENDING;
    code = cmm->vtable.decrypt_materials(cmm->self, call, request, error, out);
    code = plug_answer("CMM", call, code, error);
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
