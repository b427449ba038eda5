/*
 * The cryptographic provider: every algorithm of libcrypto that this room uses, fetched once for the process.
 *
 * Used by the files of this room only. What it holds never changes, so that threads and forked children share
 * it without a lock. Contexts are not kept between uses: see docs/decisions/0006-no-context-pool.md.
 */
#ifndef KFI_SUITE_PROVIDER_H
#define KFI_SUITE_PROVIDER_H

#include <openssl/evp.h>

#include "suite/suite.h"

struct kfi_provider {
    OSSL_LIB_CTX *library; /* NULL: the default one */
    char *properties;      /* NULL: none */
    bool fips;             /* the property query, or the library context's default one, names fips */
    EVP_CIPHER *aes_128_gcm;
    EVP_CIPHER *aes_192_gcm;
    EVP_CIPHER *aes_256_gcm;
    EVP_MD *digests[KFI_HASH_COUNT];
};

/*
 * The provider, made at the first call. Errors: KF_E_SYSTEM with a sentence, KF_E_NO_MEMORY; the next call
 * tries again.
 */
enum kf_code kfi_provider_get(struct kf_error *error, const struct kfi_provider **out);

/* KF_E_SYSTEM and a sentence that says what failed ("AES-GCM encryption") and why, as libcrypto has it. */
enum kf_code kfi_crypto_failed(struct kf_error *error, const char *what);

/*
 * The point of a key on a curve whose coordinates have `bytes` bytes, 66 at most: compressed, 1 + `bytes`
 * bytes. False if libcrypto has none.
 */
bool kfi_crypto_point(const EVP_PKEY *key, size_t bytes, uint8_t *point);

#endif
