/*
 * Digests: see digest.h. Called for cache identifiers, fingerprints and digests of contexts. What comes piece
 * by piece goes through a transcript (signature.h).
 */
#include "suite/digest.h"

#include "base/error.h"
#include "suite/provider.h"

size_t kfi_hash_length(enum kfi_hash hash)
{
    static const size_t lengths[KFI_HASH_COUNT] = {[KFI_SHA256] = 32, [KFI_SHA384] = 48, [KFI_SHA512] = 64};
    return lengths[hash];
}

enum kf_code kfi_digest(enum kfi_hash hash, const struct kf_view *parts, size_t part_count,
                        struct kf_error *error, uint8_t *out)
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL)
        return kfi_no_memory(error);
    bool done = EVP_DigestInit_ex2(context, provider->digests[hash], NULL) == 1;
    for (size_t i = 0; i < part_count && done; i++)
        done = EVP_DigestUpdate(context, parts[i].data, parts[i].length) == 1;
    done = done && EVP_DigestFinal_ex(context, out, NULL) == 1;
    EVP_MD_CTX_free(context);
    return done ? KF_OK : kfi_crypto_failed(error, "a digest");
}
