/*
 * The raw RSA keyring: wraps data keys by RSA under a public key, and unwraps them by its private key.
 * (S: framework/raw-rsa-keyring.md)
 */
#include <keyflight/raw_keyrings.h>

#include "base/error.h"
#include "base/names.h"
#include "base/sized.h"
#include "base/text.h"
#include "keyrings/raw_names.h"
#include "materials/materials.h"
#include "suite/rsa.h"

struct raw_rsa {
    struct kf_view key_namespace, key_name; /* their bytes are behind the struct */
    enum kf_rsa_padding padding;
    struct kfi_rsa_key *public_key;  /* NULL: it only decrypts */
    struct kfi_rsa_key *private_key; /* NULL: it only encrypts */
};

static enum kf_code raw_rsa_on_encrypt(void *context, struct kf_call *call,
                                       const struct kf_encryption_materials *materials,
                                       struct kf_error *error, struct kf_wrapped *out)
{
    (void)call;
    const struct raw_rsa *self = context;
    if (self->public_key == NULL)
        return kf_error_set(error, KF_E_KEYS,
                            "The raw RSA keyring %s has no public key, so that it can't encrypt.",
                            kfi_quoted(self->key_name).text);
    struct kf_data_key data_key;
    const size_t length = kfi_rsa_key_length(self->public_key);
    uint8_t *ciphertext = kfi_alloc(length);
    if (ciphertext == NULL)
        return kfi_no_memory(error);
    enum kf_code code = kfi_data_key_to_wrap(materials, out, error, &data_key);
    if (code == KF_OK)
        code = kfi_rsa_encrypt(self->public_key, self->padding, kf_view_of(data_key.bytes, data_key.length),
                               error, ciphertext);
    if (code == KF_OK) {
        const struct kf_edk edk = {
            .provider_id = self->key_namespace,
            .provider_info = self->key_name,
            .ciphertext = kf_view_of(ciphertext, length),
        };
        code = kf_wrapped_edk_add(out, &edk, error);
    }
    kfi_free(ciphertext);
    kfi_wipe(&data_key, sizeof data_key);
    return code;
}

static enum kf_code raw_rsa_on_decrypt(void *context, struct kf_call *call,
                                       const struct kf_decryption_materials *materials,
                                       const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                                       struct kf_data_key *out)
{
    (void)call;
    const struct raw_rsa *self = context;
    const size_t length = materials->head.suite->info.data_key_length;
    size_t tried = 0;
    if (self->private_key == NULL)
        return kf_error_set(error, KF_E_KEYS,
                            "The raw RSA keyring %s has no private key, so that it can't decrypt.",
                            kfi_quoted(self->key_name).text);
    enum kf_code code = KF_E_FORGED;
    for (size_t i = 0; i < edk_count && code == KF_E_FORGED; i++) {
        if (!kfi_view_equal(edks[i].provider_id, self->key_namespace) ||
            !kfi_view_equal(edks[i].provider_info, self->key_name))
            continue;
        tried++;
        code =
            kfi_rsa_decrypt(self->private_key, self->padding, edks[i].ciphertext, error, out->bytes, length);
    }
    if (code == KF_OK)
        out->length = length;
    if (code != KF_E_FORGED)
        return code;
    return kfi_raw_names_unwrap_none("RSA", self->key_namespace, self->key_name, edk_count, tried,
                                     "the padding differs", error);
}

static void raw_rsa_destroy(void *context)
{
    struct raw_rsa *self = context;
    kfi_rsa_key_free(self->public_key);
    kfi_rsa_key_free(self->private_key);
    kfi_free(self);
}

static enum kf_code raw_rsa_options_check(const struct kf_raw_rsa_keyring_options *options,
                                          struct kf_error *error)
{
    enum kf_code code = kfi_view_check(options->public_key, "Option public_key", error);
    if (code == KF_OK)
        code = kfi_view_check(options->private_key, "Option private_key", error);
    if (code != KF_OK)
        return code;
    if (options->padding < KF_RSA_PKCS1 || options->padding > KF_RSA_OAEP_SHA512)
        return kf_error_set(error, KF_E_USAGE, "There is no padding %d for RSA.", (int)options->padding);
    if (options->public_key.length == 0 && options->private_key.length == 0)
        return kf_error_set(error, KF_E_USAGE,
                            "A raw RSA keyring needs a public key, a private key or both.");
    return kfi_raw_names_check("RSA", options->key_namespace, options->key_name, UINT16_MAX, error);
}

static enum kf_code raw_rsa_keys_new(const struct kf_raw_rsa_keyring_options *options, struct kf_error *error,
                                     struct raw_rsa *self)
{
    enum kf_code code = KF_OK;
    if (options->public_key.length > 0)
        code = kfi_rsa_key_new(options->public_key, false, NULL, error, &self->public_key);
    if (code == KF_OK && options->private_key.length > 0)
        code = kfi_rsa_key_new(options->private_key, true, &options->passphrase, error, &self->private_key);
    if (code == KF_OK && self->public_key != NULL && self->private_key != NULL &&
        !kfi_rsa_key_matches(self->public_key, self->private_key))
        code = kf_error_set(error, KF_E_USAGE,
                            "The public and the private key of a raw RSA keyring are not a pair: the "
                            "keyring could not decrypt what it encrypts.");
    return code;
}

enum kf_code kf_raw_rsa_keyring_new(const struct kf_raw_rsa_keyring_options *given, struct kf_error *error,
                                    struct kf_keyring **out)
{
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable,
        .on_encrypt = raw_rsa_on_encrypt,
        .on_decrypt = raw_rsa_on_decrypt,
        .destroy = raw_rsa_destroy,
    };
    struct kf_raw_rsa_keyring_options options = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    *out = NULL;
    enum kf_code code =
        kfi_sized_read(&options, sizeof options, given, "The options of a raw RSA keyring", error);
    if (code == KF_OK)
        code = raw_rsa_options_check(&options, error);
    if (code != KF_OK)
        return code;
    const size_t names_length = options.key_namespace.length + options.key_name.length;
    struct raw_rsa *self = kfi_alloc_zeroed(sizeof *self + names_length);
    if (self == NULL)
        return kfi_no_memory(error);
    self->key_namespace = options.key_namespace;
    self->key_name = options.key_name;
    kfi_raw_names_keep(self + 1, &self->key_namespace, &self->key_name);
    self->padding = options.padding;
    code = raw_rsa_keys_new(&options, error, self);
    if (code == KF_OK)
        code = kf_keyring_new(&vtable, self, error, out);
    if (code != KF_OK)
        raw_rsa_destroy(self);
    return code;
}

/* ---- Names ---- */

const char *kf_rsa_padding_name(enum kf_rsa_padding padding)
{
    static const struct kfi_name paddings[] = {
        {KF_RSA_PKCS1, "pkcs1"},
        {KF_RSA_OAEP_SHA1, "oaep-sha1"},
        {KF_RSA_OAEP_SHA256, "oaep-sha256"},
        {KF_RSA_OAEP_SHA384, "oaep-sha384"},
        {KF_RSA_OAEP_SHA512, "oaep-sha512"},
    };
    return KFI_NAME_OF(paddings, padding, "unknown");
}
