/*
 * HMAC over digest contexts that are reused: a key is taken in once and then serves any number of short
 * messages, for less than half of what EVP_KDF costs; see docs/decisions/0002-hkdf-by-hmac.md. (RFC 2104)
 */
#ifndef KFI_SUITE_HMAC_H
#define KFI_SUITE_HMAC_H

#include <openssl/evp.h>

#include "suite/digest.h"

/* One thread at a time. Lives on the caller's stack between kfi_hmac_begin and kfi_hmac_end. */
struct kfi_hmac {
    enum kfi_hash hash;
    const EVP_MD *digest;
    EVP_MD_CTX *inner; /* has taken the key in, as the inner hash needs it, */
    EVP_MD_CTX *outer; /* and as the outer one does */
    EVP_MD_CTX *work;
};

/*
 * To be followed by kfi_hmac_key, and by kfi_hmac_end whatever it answers. Errors: KF_E_SYSTEM,
 * KF_E_NO_MEMORY.
 */
enum kf_code kfi_hmac_begin(enum kfi_hash hash, struct kf_error *error, struct kfi_hmac *out);

/* Takes a key of any length, in the place of an earlier one. Errors: KF_E_SYSTEM. */
enum kf_code kfi_hmac_key(struct kfi_hmac *hmac, struct kf_view key, struct kf_error *error);

/*
 * The HMAC of the concatenated `parts` under the key to `out`, which has kfi_hash_length bytes and may be one
 * of the parts. Errors: KF_E_SYSTEM.
 */
enum kf_code kfi_hmac(struct kfi_hmac *hmac, const struct kf_view *parts, size_t part_count,
                      struct kf_error *error, uint8_t *out);

/* Forgets the key. */
void kfi_hmac_end(struct kfi_hmac *hmac);

#endif
