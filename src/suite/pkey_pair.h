/*
 * New key pairs of RSA and of elliptic curves, as files have them. Also what tells RSA keys apart: their
 * length, and the digest that both halves have in common.
 */
#ifndef KFI_SUITE_PKEY_PAIR_H
#define KFI_SUITE_PKEY_PAIR_H

#include "suite/pkey.h"
#include "suite/suite.h"

/*
 * Makes a key pair: of RSA with `rsa_bits`, or on `curve` if `rsa_bits` is 0. The caller has checked them.
 * Writes SubjectPublicKeyInfo and PKCS#8 in PEM. The buffers are empty before, and after an error. Errors:
 * KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
enum kf_code kfi_pkey_pair_generate(size_t rsa_bits, enum kf_ecdh_curve curve, struct kf_error *error,
                                    struct kf_buf *public_key, struct kf_buf *private_key);

/* The number of bits of an RSA modulus. */
size_t kfi_pkey_rsa_bits(const struct kfi_pkey *pkey);

/* SHA-256 over the public half of an RSA key as SubjectPublicKeyInfo in DER. Errors: KF_E_SYSTEM. */
enum kf_code kfi_pkey_rsa_digest(const struct kfi_pkey *pkey, struct kf_error *error,
                                 uint8_t out[KFI_HASH_MAX]);

#endif
