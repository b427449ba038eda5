/*
 * HMAC (RFC 2104) over digest contexts that are reused. It takes a key in once and then serves any number of
 * short messages, for less than half of what EVP_KDF costs: see docs/decisions/0002-hkdf-by-hmac.md.
 */
#ifndef KFI_SUITE_HMAC_H
#define KFI_SUITE_HMAC_H

#include <openssl/evp.h>

#include "suite/digest.h"

/* One thread at a time may use it. It lives on the caller's stack from kfi_hmac_begin to kfi_hmac_end. */
struct kfi_hmac {
    enum kfi_hash hash;
    const EVP_MD *digest;
    EVP_MD_CTX *inner; /* has taken in the key of the inner hash */
    EVP_MD_CTX *outer; /* has taken in the key of the outer hash */
    EVP_MD_CTX *work;
};

/*
 * Begins. Then call kfi_hmac_key, and at the end kfi_hmac_end, which is due also after an error. Errors:
 * KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
enum kf_code kfi_hmac_begin(enum kfi_hash hash, struct kf_error *error, struct kfi_hmac *out);

/* Takes in a key of any length; it replaces an earlier one. Errors: KF_E_SYSTEM. */
enum kf_code kfi_hmac_key(struct kfi_hmac *hmac, struct kf_view key, struct kf_error *error);

/*
 * Writes the HMAC of the concatenated `parts` to `out`. That has kfi_hash_length bytes and may be one of the
 * parts. Errors: KF_E_SYSTEM.
 */
enum kf_code kfi_hmac(struct kfi_hmac *hmac, const struct kf_view *parts, size_t part_count,
                      struct kf_error *error, uint8_t *out);

/* Forgets the key. */
void kfi_hmac_end(struct kfi_hmac *hmac);

#endif
