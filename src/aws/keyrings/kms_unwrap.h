/*
 * Unwrapping by KMS: the EDKs that are meant for a keyring are given to Decrypt, one after another, until one
 * opens. What the KMS keyring and the discovery keyring have in common.
 */
#ifndef KFI_AWS_KEYRINGS_KMS_UNWRAP_H
#define KFI_AWS_KEYRINGS_KMS_UNWRAP_H

#include <keyflight/keyring.h>

#include "aws/keyrings/kms_access.h"
#include "aws/service/arn.h"

#define KFI_KMS_PROVIDER_ID "aws-kms"

struct kfi_kms_unwrapper {
    const struct kfi_kms_access *access;
    const void *self;

    /* Whether the keyring tries an EDK made under the key with this ARN. */
    bool (*is_meant)(const void *self, struct kf_view text, const struct kfi_kms_arn *arn);

    /* None of the EDKs is meant: KF_E_KEYS and a sentence that says what would be. */
    enum kf_code (*none_meant)(const void *self, size_t edk_count, struct kf_error *error);
};

/* OnDecrypt of a keyring: its arguments, and the codes that the public header promises. */
enum kf_code kfi_kms_unwrap(const struct kfi_kms_unwrapper *unwrapper, struct kf_call *call,
                            const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                            size_t edk_count, struct kf_error *error, struct kf_data_key *out);

#endif
