/*
 * The cryptographic provider: every algorithm of libcrypto that this room uses, fetched once for the process.
 *
 * Only the files of this room use it. It never changes, so threads and forked children share it without a
 * lock. Contexts are not kept between uses: see docs/decisions/0006-no-context-pool.md.
 */
#ifndef KFI_SUITE_PROVIDER_H
#define KFI_SUITE_PROVIDER_H

#include <openssl/evp.h>

#include "suite/libcrypto.h"
#include "suite/suite.h"

struct kfi_provider {
    OSSL_LIB_CTX *library; /* NULL: the default one */
    char *properties;      /* NULL: none */
    bool fips; /* the property query mentions fips, or the default one of the library context does */
    EVP_CIPHER *aes_128_gcm;
    EVP_CIPHER *aes_192_gcm;
    EVP_CIPHER *aes_256_gcm;
    EVP_MD *digests[KFI_HASH_COUNT];
};

/*
 * The provider. The first call makes it; after an error the next call tries again. Also prepares the calling
 * thread, so whoever uses libcrypto asks for it first. Errors: KF_E_SYSTEM with a
 * sentence, KF_E_NO_MEMORY.
 */
enum kf_code kfi_provider_get(struct kf_error *error, const struct kfi_provider **out);

/* KF_E_SYSTEM and a sentence: what failed ("AES-GCM encryption"), and the reason that libcrypto gives. */
enum kf_code kfi_crypto_failed(struct kf_error *error, const char *what);

/*
 * What libcrypto did not take is answered as `code`, without a sentence, unless it had no memory to look at it: then
 * KF_E_NO_MEMORY. Between kfi_crypto_enter and kfi_crypto_leave.
 */
enum kf_code kfi_crypto_refused(enum kf_code code, struct kf_error *error);

/*
 * Writes the point of a key on a curve: compressed, 1 + `bytes` bytes. Coordinates have `bytes` bytes, at
 * most 66. False if libcrypto does not give it.
 */
bool kfi_crypto_point(const EVP_PKEY *key, size_t bytes, uint8_t *point);

#endif
