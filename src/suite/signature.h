/*
 * ECDSA signatures over messages: key pairs, signing, verifying. There are two implementations, by nettle and
 * by OpenSSL. (S: framework/transitive-requirements.md#ecdsa, data-format/message-footer.md)
 */
#ifndef KFI_SUITE_SIGNATURE_H
#define KFI_SUITE_SIGNATURE_H

#include "suite/suite.h"

/* Compressed SEC1 points: 33 bytes on P-256, 49 on P-384. In base64: 44 and 68 characters. */
#define KFI_POINT_MAX 49
#define KFI_POINT_TEXT_MAX 68

/*
 * A key pair. It never changes, is counted, and many threads use it at once. Its secret is wiped at the last
 * release.
 */
struct kfi_signing_key;

enum kf_code kfi_signing_key_generate(enum kfi_curve curve, struct kf_error *error,
                                      struct kfi_signing_key **out);
struct kfi_signing_key *kfi_signing_key_ref(struct kfi_signing_key *key);
void kfi_signing_key_unref(struct kfi_signing_key *key); /* NULL is allowed */

/*
 * The public key as encryption contexts have it: the compressed point in base64. It lives as long as the key.
 */
struct kf_view kfi_signing_key_public_text(const struct kfi_signing_key *key);

/* A public key for verification. It never changes, is counted, and many threads use it at once. */
struct kfi_verification_key;

/*
 * Reads the text of an encryption context: a compressed point on the curve, not that at infinity, in base64
 * of the standard alphabet with padding. Errors: KF_E_MALFORMED with a sentence, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
enum kf_code kfi_verification_key_parse(enum kfi_curve curve, struct kf_view text, struct kf_error *error,
                                        struct kfi_verification_key **out);
struct kfi_verification_key *kfi_verification_key_ref(struct kfi_verification_key *key);
void kfi_verification_key_unref(struct kfi_verification_key *key); /* NULL is allowed */

/*
 * A running digest of one message. A signature or its verification ends it. One thread at a time may use it.
 */
struct kfi_transcript;

enum kf_code kfi_transcript_new(enum kfi_hash hash, struct kf_error *error, struct kfi_transcript **out);
void kfi_transcript_free(struct kfi_transcript *transcript); /* NULL is allowed */
enum kf_code kfi_transcript_add(struct kfi_transcript *transcript, struct kf_view bytes,
                                struct kf_error *error);

/*
 * Signs what was added. The DER always has exactly `length` bytes (71 on P-256, 103 on P-384), so that the
 * size of a message is known before. A signature of another length gets a negated s. If that does not help,
 * another one is made.
 */
enum kf_code kfi_transcript_sign(struct kfi_transcript *transcript, const struct kfi_signing_key *key,
                                 size_t length, struct kf_error *error, uint8_t *out);

/*
 * Verifies `der` over what was added. It is strict DER of any length, with nothing behind it. If the
 * signature is not valid: KF_E_FORGED with a sentence. Errors: also KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
enum kf_code kfi_transcript_verify(struct kfi_transcript *transcript, const struct kfi_verification_key *key,
                                   struct kf_view der, struct kf_error *error);

#endif
