/*
 * New key pairs of RSA and of elliptic curves, as they are written to files; and what tells RSA keys apart: their
 * length, and the name that both halves have in common.
 */
#ifndef KFI_SUITE_PKEY_PAIR_H
#define KFI_SUITE_PKEY_PAIR_H

#include "suite/pkey.h"
#include "suite/suite.h"

/*
 * Makes a key pair, of RSA with `rsa_bits` or, if that is 0, on `curve`, either of them known to be good:
 * SubjectPublicKeyInfo and PKCS#8 in PEM. The buffers are given empty, and are so again after an error. Errors:
 * KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
enum kf_code kfi_pkey_pair_generate(size_t rsa_bits, enum kf_ecdh_curve curve, struct kf_error *error,
                                    struct kf_buf *public_key, struct kf_buf *private_key);

/* How many bits the modulus of an RSA key has. */
size_t kfi_pkey_rsa_bits(const struct kfi_pkey *pkey);

/* SHA-256 over the public half of an RSA key as SubjectPublicKeyInfo in DER. Errors: KF_E_SYSTEM. */
enum kf_code kfi_pkey_rsa_digest(const struct kfi_pkey *pkey, struct kf_error *error,
                                 uint8_t out[KFI_HASH_MAX]);

#endif
