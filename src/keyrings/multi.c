/*
 * The multi-keyring: one keyring made of several. (S: framework/multi-keyring.md)
 *
 * On encryption the generator comes first. Then all children wrap side by side; each sees the same materials,
 * and their EDKs are put together in the order of the children. On decryption one keyring after the other is
 * asked until one succeeds.
 */
#include <keyflight/keyring.h>

#include "base/error.h"
#include "base/text.h"
#include "materials/materials.h"

struct multi {
    bool has_generator; /* then keyrings[0] is it */
    size_t count;
    struct kf_keyring *keyrings[];
};

/* ---- Encryption ---- */

struct part {
    bool done;
    struct kf_wrapped wrapped;
};

struct encryption {
    const struct kf_encryption_materials *with_key; /* what the children see, once there is a data key */
    size_t count;
    struct part parts[];
};

static void multi_encryption_drop(void *state)
{
    struct encryption *encryption = state;
    for (size_t i = 0; i < encryption->count; i++)
        kfi_wrapped_free(&encryption->parts[i].wrapped);
    kf_encryption_materials_unref(encryption->with_key);
    kfi_free(encryption);
}

static struct encryption *multi_encryption_new(const struct multi *self,
                                               const struct kf_encryption_materials *materials)
{
    struct encryption *encryption = kfi_alloc_zeroed(sizeof *encryption + self->count * sizeof(struct part));
    if (encryption == NULL)
        return NULL;
    encryption->count = self->count;
    for (size_t i = 0; i < self->count; i++)
        kfi_wrapped_init(&encryption->parts[i].wrapped, materials);
    return encryption;
}

/* One poll of keyring `index`. */
static enum kf_code multi_wrap(const struct multi *self, struct kf_call *call, size_t index,
                               const struct kf_encryption_materials *materials, struct encryption *encryption,
                               struct kf_error *error)
{
    struct part *part = &encryption->parts[index];
    if (part->done)
        return KF_OK;
    enum kf_code code = kf_keyring_on_encrypt(self->keyrings[index], kf_call_child(call, index), materials,
                                              error, &part->wrapped);
    if (code == KF_OK && part->wrapped.edks.count == 0)
        code = kf_error_set(
            error, KF_E_KEYS,
            "Keyring %zu of the multi-keyring wrapped no data key: it could not decrypt the message.",
            index + 1);
    part->done = code == KF_OK;
    return code;
}

/* Asks the generator. Afterwards there is a data key, and materials that have it. */
static enum kf_code multi_generate(const struct multi *self, struct kf_call *call,
                                   const struct kf_encryption_materials *materials,
                                   struct encryption *encryption, struct kf_error *error)
{
    if (self->has_generator) {
        enum kf_code code = multi_wrap(self, call, 0, materials, encryption, error);
        if (code != KF_OK)
            return code;
    }
    const struct kf_data_key *data_key = &materials->head.data_key;
    if (data_key->length == 0 && self->has_generator)
        data_key = &encryption->parts[0].wrapped.data_key;
    if (data_key->length == 0)
        return kf_error_set(
            error, KF_E_KEYS,
            self->has_generator
                ? "The generator of the multi-keyring made no data key."
                : "A multi-keyring without a generator can't make a data key, only wrap one.");
    encryption->with_key = kfi_encryption_materials_with_key(materials, data_key);
    if (encryption->with_key == NULL)
        return kfi_no_memory(error);
    for (size_t i = self->has_generator ? 1 : 0; i < self->count; i++)
        encryption->parts[i].wrapped.has_key = true;
    return KF_OK;
}

static enum kf_code multi_put_together(const struct multi *self,
                                       const struct kf_encryption_materials *materials,
                                       struct encryption *encryption, struct kf_error *error,
                                       struct kf_wrapped *out)
{
    enum kf_code code = KF_OK;
    if (materials->head.data_key.length == 0) {
        const struct kf_data_key *data_key = &encryption->parts[0].wrapped.data_key;
        code = kf_wrapped_data_key_set(out, kf_view_of(data_key->bytes, data_key->length), error);
    }
    for (size_t i = 0; i < self->count && code == KF_OK; i++)
        code = kfi_edk_list_move(&out->edks, &encryption->parts[i].wrapped.edks, error);
    return code;
}

static enum kf_code multi_on_encrypt(void *context, struct kf_call *call,
                                     const struct kf_encryption_materials *materials, struct kf_error *error,
                                     struct kf_wrapped *out)
{
    const struct multi *self = context;
    struct encryption *encryption = kf_call_state(call);
    if (encryption == NULL) {
        encryption = multi_encryption_new(self, materials);
        if (encryption == NULL)
            return kfi_no_memory(error);
        kf_call_state_set(call, encryption, multi_encryption_drop);
    }
    if (encryption->with_key == NULL) {
        enum kf_code code = multi_generate(self, call, materials, encryption, error);
        if (code != KF_OK)
            return code;
    }
    bool pending = false;
    for (size_t i = self->has_generator ? 1 : 0; i < self->count; i++) {
        enum kf_code code = multi_wrap(self, call, i, encryption->with_key, encryption, error);
        if (code == KF_PENDING)
            pending = true;
        else if (code != KF_OK)
            return code;
    }
    return pending ? KF_PENDING : multi_put_together(self, materials, encryption, error, out);
}

/* ---- Decryption ---- */

struct decryption {
    size_t next; /* the keyring to ask next */
    enum kf_code code;
    struct kfi_listing said; /* by the keyrings before it */
};

/* Keeps what keyring `index` said. */
static void multi_collect(struct decryption *decryption, size_t index, enum kf_code code,
                          const struct kf_error *error)
{
    kfi_listing_add(&decryption->said, " ", "Keyring %zu: %s", index + 1, error->text);
    /* The first other error counts. KF_E_KEYS is the answer only if all keyrings lack the key. */
    if (decryption->code == KF_E_KEYS)
        decryption->code = code;
}

static enum kf_code multi_on_decrypt(void *context, struct kf_call *call,
                                     const struct kf_decryption_materials *materials,
                                     const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                                     struct kf_data_key *out)
{
    const struct multi *self = context;
    struct decryption *decryption = kf_call_state(call);
    if (decryption == NULL) {
        decryption = kfi_alloc_zeroed(sizeof *decryption);
        if (decryption == NULL)
            return kfi_no_memory(error);
        decryption->code = KF_E_KEYS;
        kfi_listing_begin(&decryption->said, KFI_LISTING_MAX);
        kf_call_state_set(call, decryption, kfi_free);
    }
    for (; decryption->next < self->count; decryption->next++) {
        enum kf_code code =
            kf_keyring_on_decrypt(self->keyrings[decryption->next], kf_call_child(call, decryption->next),
                                  materials, edks, edk_count, error, out);
        if (code == KF_OK || code == KF_PENDING)
            return code;
        multi_collect(decryption, decryption->next, code, error);
    }
    return kf_error_set(error, decryption->code, "%s", kfi_listing_end(&decryption->said));
}

/* ---- The keyring ---- */

static void multi_destroy(void *context)
{
    struct multi *self = context;
    for (size_t i = 0; i < self->count; i++)
        kf_keyring_unref(self->keyrings[i]);
    kfi_free(self);
}

enum kf_code kf_multi_keyring_new(struct kf_keyring *generator, struct kf_keyring *const *children,
                                  size_t child_count, struct kf_error *error, struct kf_keyring **out)
{
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable,
        .on_encrypt = multi_on_encrypt,
        .on_decrypt = multi_on_decrypt,
        .destroy = multi_destroy,
        .never_blocks = true,
    };
    *out = NULL;
    if (generator == NULL && child_count == 0)
        return kf_error_set(error, KF_E_USAGE, "A multi-keyring needs a generator or at least one child.");
    if (child_count > UINT16_MAX)
        return kf_error_set(error, KF_E_USAGE,
                            "A multi-keyring has at most 65535 children: a message holds no more keys.");
    if (children == NULL && child_count > 0)
        return kf_error_set(error, KF_E_USAGE,
                            "The children of a multi-keyring are NULL, but their count is %zu.", child_count);
    for (size_t i = 0; i < child_count; i++) {
        if (children[i] == NULL)
            return kf_error_set(error, KF_E_USAGE, "Child %zu of the multi-keyring is NULL.", i);
    }
    struct multi *self = kfi_alloc_zeroed(sizeof *self + (child_count + 1) * sizeof(struct kf_keyring *));
    if (self == NULL)
        return kfi_no_memory(error);
    self->has_generator = generator != NULL;
    if (generator != NULL)
        self->keyrings[self->count++] = kf_keyring_ref(generator);
    for (size_t i = 0; i < child_count; i++)
        self->keyrings[self->count++] = kf_keyring_ref(children[i]);
    enum kf_code code = kf_keyring_new(&vtable, self, error, out);
    if (code != KF_OK)
        multi_destroy(self);
    return code;
}
