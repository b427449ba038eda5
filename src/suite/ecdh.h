/*
 * Elliptic curve Diffie-Hellman on the NIST curves, and the key derivation that goes with it.
 */
#ifndef KFI_SUITE_ECDH_H
#define KFI_SUITE_ECDH_H

#include <keyflight/raw_keyrings.h>

#include "suite/suite.h"

#define KFI_ECDH_SECRET_MAX 66
#define KFI_ECDH_POINT_MAX (1 + KFI_ECDH_SECRET_MAX) /* compressed */

/* A public key, or a private key with its public key. It never changes, and many threads use it at once. */
struct kfi_ecdh_key;

/* Whether there is such a curve. */
bool kfi_ecdh_curve_known(enum kf_ecdh_curve curve);

/* The name of a curve, as NIST and libcrypto have it: "P-256". */
const char *kfi_ecdh_curve_name(enum kf_ecdh_curve curve);

/*
 * The length of a coordinate and of a shared secret in bytes: 32, 48 or 66. A compressed point has one more.
 */
size_t kfi_ecdh_secret_length(enum kf_ecdh_curve curve);

/*
 * Reads a key from PEM or DER and checks it. A public key is a point on the curve, not that at infinity. A
 * private key is from 1 to the order less 1, and belongs to the public key if there is one beside it.
 * `passphrase` may be NULL. Errors: KF_E_USAGE with a sentence, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
enum kf_code kfi_ecdh_key_new(enum kf_ecdh_curve curve, struct kf_view text, bool is_private,
                              const struct kf_passphrase *passphrase, struct kf_error *error,
                              struct kfi_ecdh_key **out);

/* Makes a key pair. Errors: KF_E_SYSTEM, KF_E_NO_MEMORY. */
enum kf_code kfi_ecdh_key_generate(enum kf_ecdh_curve curve, struct kf_error *error,
                                   struct kfi_ecdh_key **out);

/*
 * The public key of a compressed point. KF_E_MALFORMED (without a sentence) if it is not a point of the curve
 * in that form. Errors: also KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
enum kf_code kfi_ecdh_key_of_point(enum kf_ecdh_curve curve, struct kf_view point, struct kf_error *error,
                                   struct kfi_ecdh_key **out);

/* Wipes and frees the key. NULL is allowed. */
void kfi_ecdh_key_free(struct kfi_ecdh_key *key);

/* The compressed point of the public key. It lives as long as the key. */
struct kf_view kfi_ecdh_key_point(const struct kfi_ecdh_key *key);

/* Writes the secret that both parties share, kfi_ecdh_secret_length bytes. Errors: KF_E_SYSTEM. */
enum kf_code kfi_ecdh_agree(const struct kfi_ecdh_key *own, const struct kfi_ecdh_key *peer,
                            struct kf_error *error, uint8_t *out);

/*
 * The key derivation of NIST SP 800-108, in counter mode with HMAC. Writes `length` bytes to `out`. Errors:
 * KF_E_SYSTEM; `out` is then wiped.
 */
enum kf_code kfi_kdf_counter(enum kfi_hash hash, struct kf_view key, struct kf_view label,
                             struct kf_view context, struct kf_error *error, uint8_t *out, size_t length);

#endif
