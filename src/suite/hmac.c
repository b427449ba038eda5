/*
 * HMAC: see hmac.h. Called by derive.c.
 */
#include "suite/hmac.h"

#include "base/error.h"
#include "base/memory.h"
#include "suite/provider.h"

#define BLOCK_MAX 128

static size_t hmac_block_length(enum kfi_hash hash)
{
    return hash == KFI_SHA256 ? 64 : 128;
}

enum kf_code kfi_hmac_begin(enum kfi_hash hash, struct kf_error *error, struct kfi_hmac *out)
{
    *out = (struct kfi_hmac){.hash = hash};
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    out->digest = provider->digests[hash];
    out->inner = EVP_MD_CTX_new();
    out->outer = EVP_MD_CTX_new();
    out->work = EVP_MD_CTX_new();
    if (out->inner == NULL || out->outer == NULL || out->work == NULL)
        return kfi_no_memory(error);
    return KF_OK;
}

enum kf_code kfi_hmac_key(struct kfi_hmac *hmac, struct kf_view key, struct kf_error *error)
{
    uint8_t block[BLOCK_MAX] = {0};
    size_t length = hmac_block_length(hmac->hash);
    enum kf_code code = KF_OK;
    if (key.length > length)
        code = kfi_digest(hmac->hash, &key, 1, error, block);
    else if (key.length > 0)
        memcpy(block, key.data, key.length);

    if (code == KF_OK) {
        for (size_t i = 0; i < length; i++)
            block[i] ^= 0x36;
        bool done = EVP_DigestInit_ex2(hmac->inner, hmac->digest, NULL) == 1 &&
                    EVP_DigestUpdate(hmac->inner, block, length) == 1;
        for (size_t i = 0; i < length; i++)
            block[i] ^= 0x36 ^ 0x5c;
        done = done && EVP_DigestInit_ex2(hmac->outer, hmac->digest, NULL) == 1 &&
               EVP_DigestUpdate(hmac->outer, block, length) == 1;
        if (!done)
            code = kfi_crypto_failed(error, "HMAC");
    }
    kfi_wipe(block, sizeof block);
    return code;
}

enum kf_code kfi_hmac(struct kfi_hmac *hmac, const struct kf_view *parts, size_t part_count,
                      struct kf_error *error, uint8_t *out)
{
    bool done = EVP_MD_CTX_copy_ex(hmac->work, hmac->inner) == 1;
    for (size_t i = 0; i < part_count && done; i++)
        done = EVP_DigestUpdate(hmac->work, parts[i].data, parts[i].length) == 1;
    done = done && EVP_DigestFinal_ex(hmac->work, out, NULL) == 1 &&
           EVP_MD_CTX_copy_ex(hmac->work, hmac->outer) == 1 &&
           EVP_DigestUpdate(hmac->work, out, kfi_hash_length(hmac->hash)) == 1 &&
           EVP_DigestFinal_ex(hmac->work, out, NULL) == 1;
    return done ? KF_OK : kfi_crypto_failed(error, "HMAC");
}

void kfi_hmac_end(struct kfi_hmac *hmac)
{
    /* libcrypto wipes the state of a digest when it frees it. */
    EVP_MD_CTX_free(hmac->inner);
    EVP_MD_CTX_free(hmac->outer);
    EVP_MD_CTX_free(hmac->work);
}
