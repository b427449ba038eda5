/*
 * The keyring of one KMS key. (S: framework/aws-kms/aws-kms-keyring.md)
 */
#ifndef KFI_AWS_KEYRINGS_KMS_KEY_H
#define KFI_AWS_KEYRINGS_KMS_KEY_H

#include <keyflight/aws_kms_keyring.h>

/*
 * A keyring of the key called `name`. Grant tokens have been checked. Errors: KF_E_USAGE (the name, its
 * region), KF_E_NO_MEMORY.
 */
enum kf_code kfi_kms_key_keyring_new(struct kf_aws_client *client, const char *name,
                                     const char *const *grant_tokens, size_t grant_token_count,
                                     struct kf_error *error, struct kf_keyring **out);

#endif
