/*
 * What a keyring needs to reach KMS: a client, grant tokens, and KMS in the region of a key.
 */
#ifndef KFI_AWS_KEYRINGS_KMS_ACCESS_H
#define KFI_AWS_KEYRINGS_KMS_ACCESS_H

#include "aws/service/client.h"

struct kfi_kms_access {
    struct kf_aws_client *client; /* a reference */
    char **grant_tokens;          /* in one block */
    size_t grant_token_count;
};

/*
 * Takes a reference of the client and copies the tokens. Errors: KF_E_NO_MEMORY. It has to be released even then; one
 * that is all zero may be.
 */
enum kf_code kfi_kms_access_init(struct kfi_kms_access *access, struct kf_aws_client *client,
                                 const char *const *grant_tokens, size_t grant_token_count,
                                 struct kf_error *error);
void kfi_kms_access_release(struct kfi_kms_access *access);

/*
 * KMS in `region`, or in the client's region if that is empty. It lives as long as the client. Errors: KF_E_USAGE (not a
 * region, or the client has none), KF_E_LIMIT (too many regions), KF_E_NO_MEMORY.
 */
enum kf_code kfi_kms_service_in(struct kf_aws_client *client, struct kf_view region, struct kf_error *error,
                                struct kfi_aws_service **out);

#endif
