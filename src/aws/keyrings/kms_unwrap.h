/*
 * Unwrapping by KMS, for the KMS keyring and the discovery keyring: the EDKs that are meant for the keyring are given
 * to Decrypt, one after another, until one opens.
 */
#ifndef KFI_AWS_KEYRINGS_KMS_UNWRAP_H
#define KFI_AWS_KEYRINGS_KMS_UNWRAP_H

#include <keyflight/keyring.h>

#include "aws/keyrings/kms_access.h"
#include "aws/service/arn.h"

#define KFI_KMS_PROVIDER_ID "aws-kms"

/* The part of a keyring that unwraps. A keyring embeds it. */
struct kfi_kms_unwrapper {
    struct kfi_kms_access access;

    /* Whether the keyring tries an EDK made under the key with the ARN `text`, whose parts are `arn`. */
    bool (*is_meant)(const struct kfi_kms_unwrapper *unwrapper, struct kf_view text,
                     const struct kfi_kms_arn *arn);

    /* None of the EDKs is meant: KF_E_KEYS, and a sentence that says which would be. */
    enum kf_code (*none_meant)(const struct kfi_kms_unwrapper *unwrapper, size_t edk_count,
                               struct kf_error *error);
};

/* OnDecrypt of a keyring whose `unwrapper`, a struct kfi_kms_unwrapper, was given to kf_keyring_new. */
enum kf_code kfi_kms_on_decrypt(void *unwrapper, struct kf_call *call,
                                const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                size_t edk_count, struct kf_error *error, struct kf_data_key *out);

#endif
