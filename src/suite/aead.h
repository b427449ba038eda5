/*
 * AES-GCM with a 12-byte IV and a 16-byte tag. One key serves many IVs.
 */
#ifndef KFI_SUITE_AEAD_H
#define KFI_SUITE_AEAD_H

#include "suite/suite.h"

/* A cipher with its key. One thread at a time may use it. */
struct kfi_aead;

/* `key` has 16, 24 or 32 bytes and is not kept. Errors: KF_E_SYSTEM, KF_E_NO_MEMORY. */
enum kf_code kfi_aead_new(struct kf_view key, struct kf_error *error, struct kfi_aead **out);

/* Forgets the key. NULL is allowed. */
void kfi_aead_free(struct kfi_aead *aead);

/*
 * Encrypts `length` bytes (0 is allowed) from `in` to `out`, which may be the same memory, and writes the
 * tag. The additional data are the concatenated `aad` parts. Errors: KF_E_SYSTEM; the output is then wiped.
 */
enum kf_code kfi_aead_seal(struct kfi_aead *aead, const uint8_t iv[KFI_IV_LENGTH], const struct kf_view *aad,
                           size_t aad_count, const uint8_t *in, size_t length, struct kf_error *error,
                           uint8_t *out, uint8_t tag[KFI_TAG_LENGTH]);

/*
 * Decrypts likewise. If the tag does not match: KF_E_FORGED, and the output is wiped. The sentence is the
 * caller's, who knows what was forged. Errors: also KF_E_SYSTEM.
 */
enum kf_code kfi_aead_open(struct kfi_aead *aead, const uint8_t iv[KFI_IV_LENGTH], const struct kf_view *aad,
                           size_t aad_count, const uint8_t *in, size_t length,
                           const uint8_t tag[KFI_TAG_LENGTH], struct kf_error *error, uint8_t *out);

#endif
