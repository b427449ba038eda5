/*
 * The raw AES keyring: wraps data keys by AES-GCM under a key that the caller holds.
 * (S: framework/raw-aes-keyring.md)
 */
#include <keyflight/keyring.h>

#include "base/error.h"
#include "base/sized.h"
#include "keyrings/raw_names.h"
#include "materials/materials.h"
#include "suite/aead.h"
#include "suite/random.h"

/*
 * What follows the name of the key in the provider information: the tag length in bits, the IV length in
 * bytes, and the IV.
 */
#define INFO_TAIL_LENGTH (4 + 4 + KFI_IV_LENGTH)

struct raw_aes {
    struct kf_view key_namespace, key_name; /* their bytes are behind the struct */
    struct kf_data_key wrapping_key;
    size_t size; /* of the struct and these bytes */
};

static enum kf_code raw_aes_on_encrypt(void *context, struct kf_call *call,
                                       const struct kf_encryption_materials *materials,
                                       struct kf_error *error, struct kf_wrapped *out)
{
    (void)call;
    const struct raw_aes *self = context;
    struct kf_data_key data_key;
    uint8_t wrapped[KF_DATA_KEY_MAX + KFI_TAG_LENGTH];
    uint8_t iv[KFI_IV_LENGTH];
    struct kfi_aead *aead = NULL;
    uint8_t *info = NULL;
    enum kf_code code = kfi_data_key_to_wrap(materials, out, error, &data_key);

    if (code == KF_OK)
        code = kfi_random(iv, sizeof iv, error);
    if (code == KF_OK)
        code = kfi_aead_new(kf_view_of(self->wrapping_key.bytes, self->wrapping_key.length), error, &aead);
    if (code == KF_OK) {
        const struct kf_view aad = kf_encryption_context_serialized(materials->head.context);
        code = kfi_aead_seal(aead, iv, &aad, 1, data_key.bytes, data_key.length, error, wrapped,
                             wrapped + data_key.length);
    }
    size_t info_length = self->key_name.length + INFO_TAIL_LENGTH;
    if (code == KF_OK && (info = kfi_alloc(info_length)) == NULL)
        code = kfi_no_memory(error);
    if (code == KF_OK) {
        struct kfi_writer writer = {info, info_length, false};
        kfi_write_bytes(&writer, self->key_name);
        kfi_write_u32(&writer, KFI_TAG_LENGTH * 8);
        kfi_write_u32(&writer, KFI_IV_LENGTH);
        kfi_write_bytes(&writer, kf_view_of(iv, sizeof iv));
        const struct kf_edk edk = {
            .provider_id = self->key_namespace,
            .provider_info = kf_view_of(info, info_length),
            .ciphertext = kf_view_of(wrapped, data_key.length + KFI_TAG_LENGTH),
        };
        code = kf_wrapped_edk_add(out, &edk, error);
    }
    kfi_free(info);
    kfi_aead_free(aead);
    kfi_wipe(&data_key, sizeof data_key);
    return code;
}

/* Whether an EDK was made under this namespace and name, and in the form that we write. If so, its IV. */
static bool raw_aes_edk_is_ours(const struct raw_aes *self, const struct kf_edk *edk, struct kf_view *iv)
{
    if (!kfi_view_equal(edk->provider_id, self->key_namespace) ||
        edk->provider_info.length != self->key_name.length + INFO_TAIL_LENGTH)
        return false;
    struct kfi_reader reader = {edk->provider_info, false};
    bool same_name = kfi_view_equal(kfi_read_bytes(&reader, self->key_name.length), self->key_name);
    bool same_tag = kfi_read_u32(&reader) == KFI_TAG_LENGTH * 8;
    bool same_iv = kfi_read_u32(&reader) == KFI_IV_LENGTH;
    *iv = kfi_read_bytes(&reader, KFI_IV_LENGTH);
    return same_name && same_tag && same_iv;
}

static enum kf_code raw_aes_on_decrypt(void *context, struct kf_call *call,
                                       const struct kf_decryption_materials *materials,
                                       const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                                       struct kf_data_key *out)
{
    (void)call;
    const struct raw_aes *self = context;
    const size_t length = materials->head.suite->info.data_key_length;
    const struct kf_view aad = kf_encryption_context_serialized(materials->head.context);
    size_t tried = 0;
    struct kfi_aead *aead;
    enum kf_code code =
        kfi_aead_new(kf_view_of(self->wrapping_key.bytes, self->wrapping_key.length), error, &aead);
    if (code != KF_OK)
        return code;
    code = KF_E_FORGED;
    for (size_t i = 0; i < edk_count && code == KF_E_FORGED; i++) {
        struct kf_view iv;
        if (!raw_aes_edk_is_ours(self, &edks[i], &iv))
            continue;
        tried++;
        if (edks[i].ciphertext.length != length + KFI_TAG_LENGTH)
            continue;
        const uint8_t *ciphertext = edks[i].ciphertext.data;
        code =
            kfi_aead_open(aead, iv.data, &aad, 1, ciphertext, length, ciphertext + length, error, out->bytes);
    }
    kfi_aead_free(aead);
    if (code == KF_OK)
        out->length = length;
    if (code != KF_E_FORGED)
        return code;
    return kfi_raw_names_unwrap_none("AES", self->key_namespace, self->key_name, edk_count, tried,
                                     "the encryption context differs", error);
}

static void raw_aes_destroy(void *context)
{
    struct raw_aes *self = context;
    kfi_free_secret(self, self->size);
}

static enum kf_code raw_aes_options_check(const struct kf_raw_aes_keyring_options *options,
                                          struct kf_error *error)
{
    size_t key_length = options->wrapping_key.length;
    enum kf_code code = kfi_view_check(options->wrapping_key, "Option wrapping_key", error);
    if (code != KF_OK)
        return code;
    if (key_length != 16 && key_length != 24 && key_length != 32)
        return kf_error_set(error, KF_E_USAGE, "A wrapping key for AES has 16, 24 or 32 bytes, not %zu.",
                            key_length);
    return kfi_raw_names_check("AES", options->key_namespace, options->key_name,
                               UINT16_MAX - INFO_TAIL_LENGTH, error);
}

enum kf_code kf_raw_aes_keyring_new(const struct kf_raw_aes_keyring_options *given, struct kf_error *error,
                                    struct kf_keyring **out)
{
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable,
        .on_encrypt = raw_aes_on_encrypt,
        .on_decrypt = raw_aes_on_decrypt,
        .destroy = raw_aes_destroy,
        .never_blocks = true,
    };
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    *out = NULL;
    enum kf_code code =
        kfi_sized_read(&options, sizeof options, given, "The options of a raw AES keyring", error);
    if (code == KF_OK)
        code = raw_aes_options_check(&options, error);
    if (code != KF_OK)
        return code;
    size_t size = sizeof(struct raw_aes) + options.key_namespace.length + options.key_name.length;
    struct raw_aes *self = kfi_alloc_zeroed(size);
    if (self == NULL)
        return kfi_no_memory(error);
    self->size = size;
    self->key_namespace = options.key_namespace;
    self->key_name = options.key_name;
    kfi_raw_names_keep(self + 1, &self->key_namespace, &self->key_name);
    self->wrapping_key.length = options.wrapping_key.length;
    memcpy(self->wrapping_key.bytes, options.wrapping_key.data, options.wrapping_key.length);
    code = kf_keyring_new(&vtable, self, error, out);
    if (code != KF_OK)
        raw_aes_destroy(self);
    return code;
}
