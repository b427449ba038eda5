/*
 * The table of algorithm suites. (S: framework/algorithm-suites.md)
 */
#ifndef KFI_SUITE_SUITE_H
#define KFI_SUITE_SUITE_H

#include <keyflight/suite.h>

enum kfi_hash {
    KFI_SHA256,
    KFI_SHA384,
    KFI_SHA512,
    KFI_HASH_COUNT
};
enum kfi_curve {
    KFI_NO_CURVE,
    KFI_P256,
    KFI_P384
};

#define KFI_HASH_MAX 64
#define KFI_KEY_MAX 32
#define KFI_IV_LENGTH 12
#define KFI_TAG_LENGTH 16
#define KFI_COMMIT_KEY_LENGTH 32
#define KFI_MESSAGE_ID_MAX 32
#define KFI_SIGNATURE_MAX 139 /* no DER of a P-384 or P-521 signature is longer */

struct kfi_suite {
    struct kf_suite_info info; /* first: the public function returns it */
    size_t message_id_length;  /* 16 in format 1, 32 in format 2 */
    enum kfi_hash kdf_hash;    /* if info.derives */
    enum kfi_curve curve;      /* KFI_NO_CURVE unless info.sign */
    enum kfi_hash signature_hash;
    size_t signature_length; /* of the DER that is written: 71 or 103; 0 unless info.sign */
};

/* The suite with this identifier, or NULL. */
const struct kfi_suite *kfi_suite_get(enum kf_suite id);

/* The suite that a policy prefers. */
enum kf_suite kfi_suite_default(enum kf_commitment_policy policy);

/* Checks a suite against the policy. KF_E_POLICY with a sentence that names both and says what to do. */
enum kf_code kfi_policy_check_encrypt(enum kf_commitment_policy policy, const struct kfi_suite *suite,
                                      struct kf_error *error);
enum kf_code kfi_policy_check_decrypt(enum kf_commitment_policy policy, const struct kfi_suite *suite,
                                      struct kf_error *error);

#endif
