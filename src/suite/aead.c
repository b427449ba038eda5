/*
 * AES-GCM: see aead.h. Called by encrypt and decrypt for header tags and frames, and by keyrings that wrap
 * data keys.
 */
#include "suite/aead.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/error.h"
#include "base/memory.h"
#include "suite/provider.h"

/* EVP takes lengths as int. Longer input goes in pieces of whole cipher blocks. */
#define PIECE_MAX (1 << 30)

struct kfi_aead {
    EVP_CIPHER_CTX *context;
};

static const EVP_CIPHER *cipher_for(const struct kfi_provider *provider, size_t key_length)
{
    switch (key_length) {
    case 16:
        return provider->aes_128_gcm;
    case 24:
        return provider->aes_192_gcm;
    default:
        return provider->aes_256_gcm;
    }
}

enum kf_code kfi_aead_new(struct kf_view key, struct kf_error *error, struct kfi_aead **out)
{
    *out = NULL;
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    struct kfi_aead *aead = kfi_alloc(sizeof *aead);
    if (aead == NULL)
        return kfi_no_memory(error);
    aead->context = EVP_CIPHER_CTX_new();
    /* The direction comes with each IV; the key serves both. */
    if (aead->context == NULL ||
        EVP_EncryptInit_ex2(aead->context, cipher_for(provider, key.length), key.data, NULL, NULL) != 1) {
        kfi_aead_free(aead);
        return kfi_crypto_failed(error, "AES-GCM");
    }
    *out = aead;
    return KF_OK;
}

void kfi_aead_free(struct kfi_aead *aead)
{
    if (aead == NULL)
        return;
    /* libcrypto wipes the expanded key as it frees it. */
    EVP_CIPHER_CTX_free(aead->context);
    kfi_free(aead);
}

/* Feeds data, or additional data if `out` is NULL. */
static bool aead_update(EVP_CIPHER_CTX *context, uint8_t *out, const uint8_t *in, size_t length)
{
    while (length > 0) {
        int piece = length < PIECE_MAX ? (int)length : PIECE_MAX;
        int written;
        if (EVP_CipherUpdate(context, out, &written, in, piece) != 1)
            return false;
        in += piece;
        length -= (size_t)piece;
        if (out != NULL)
            out += piece;
    }
    return true;
}

/* Everything before the tag. */
static bool aead_begin(EVP_CIPHER_CTX *context, bool encrypts, const uint8_t iv[KFI_IV_LENGTH],
                       const struct kf_view *aad, size_t aad_count)
{
    if (EVP_CipherInit_ex2(context, NULL, NULL, iv, encrypts, NULL) != 1)
        return false;
    for (size_t i = 0; i < aad_count; i++) {
        if (!aead_update(context, NULL, aad[i].data, aad[i].length))
            return false;
    }
    return true;
}

/* GCM holds no bytes back, so the end writes none. */
static bool aead_finish(EVP_CIPHER_CTX *context)
{
    uint8_t none[EVP_MAX_BLOCK_LENGTH];
    int written;
    return EVP_CipherFinal_ex(context, none, &written) == 1;
}

enum kf_code kfi_aead_seal(struct kfi_aead *aead, const uint8_t iv[KFI_IV_LENGTH], const struct kf_view *aad,
                           size_t aad_count, const uint8_t *in, size_t length, struct kf_error *error,
                           uint8_t *out, uint8_t tag[KFI_TAG_LENGTH])
{
    OSSL_PARAM get_tag[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, KFI_TAG_LENGTH),
        OSSL_PARAM_construct_end()};
    if (aead_begin(aead->context, true, iv, aad, aad_count) && aead_update(aead->context, out, in, length) &&
        aead_finish(aead->context) && EVP_CIPHER_CTX_get_params(aead->context, get_tag) == 1)
        return KF_OK;
    kfi_wipe(out, length);
    kfi_wipe(tag, KFI_TAG_LENGTH);
    return kfi_crypto_failed(error, "AES-GCM");
}

enum kf_code kfi_aead_open(struct kfi_aead *aead, const uint8_t iv[KFI_IV_LENGTH], const struct kf_view *aad,
                           size_t aad_count, const uint8_t *in, size_t length,
                           const uint8_t tag[KFI_TAG_LENGTH], struct kf_error *error, uint8_t *out)
{
    uint8_t expected[KFI_TAG_LENGTH];
    memcpy(expected, tag, sizeof expected);
    OSSL_PARAM set_tag[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, expected, sizeof expected),
        OSSL_PARAM_construct_end()};
    enum kf_code code = KF_OK;
    if (!aead_begin(aead->context, false, iv, aad, aad_count) ||
        !aead_update(aead->context, out, in, length) ||
        EVP_CIPHER_CTX_set_params(aead->context, set_tag) != 1)
        code = kfi_crypto_failed(error, "AES-GCM");
    else if (!aead_finish(aead->context))
        code = KF_E_FORGED;
    if (code != KF_OK)
        kfi_wipe(out, length);
    return code;
}
