/*
 * RSA encryption of data keys.
 */
#ifndef KFI_SUITE_RSA_H
#define KFI_SUITE_RSA_H

#include <keyflight/raw_keyrings.h>

#define KFI_RSA_BITS_MIN 2048
#define KFI_RSA_BITS_MAX 16384
#define KFI_RSA_BYTES_MAX (KFI_RSA_BITS_MAX / 8)

/* A public or a private key. It never changes, and many threads use it at once. */
struct kfi_rsa_key;

/*
 * Reads a key from PEM or DER. Its modulus is within the bounds, its exponent odd and from 3 to 64 bits long.
 * `passphrase` may be NULL. Errors: KF_E_USAGE with a sentence, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
enum kf_code kfi_rsa_key_new(struct kf_view text, bool is_private, const struct kf_passphrase *passphrase,
                             struct kf_error *error, struct kfi_rsa_key **out);

/* Wipes and frees the key. NULL is allowed. */
void kfi_rsa_key_free(struct kfi_rsa_key *key);

/* The length of the modulus and of every ciphertext, in bytes. */
size_t kfi_rsa_key_length(const struct kfi_rsa_key *key);

/* Whether two keys have the same modulus and exponent. Each may be of either half. */
bool kfi_rsa_key_matches(const struct kfi_rsa_key *a, const struct kfi_rsa_key *b);

/*
 * Encrypts at most 32 bytes by the public key to `out`, which has kfi_rsa_key_length bytes. Errors:
 * KF_E_SYSTEM.
 */
enum kf_code kfi_rsa_encrypt(const struct kfi_rsa_key *key, enum kf_rsa_padding padding,
                             struct kf_view plaintext, struct kf_error *error, uint8_t *out);

/*
 * Decrypts by the private key. The plaintext has to have exactly `length` bytes. If anything is wrong with
 * the ciphertext: KF_E_FORGED, without a sentence. The reason would help somebody who tries ciphertexts out.
 * Errors: also KF_E_SYSTEM.
 */
enum kf_code kfi_rsa_decrypt(const struct kfi_rsa_key *key, enum kf_rsa_padding padding,
                             struct kf_view ciphertext, struct kf_error *error, uint8_t *out, size_t length);

#endif
