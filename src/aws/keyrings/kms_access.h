/*
 * How a keyring reaches KMS: its client, its grant tokens, and KMS in the region that a key is in.
 */
#ifndef KFI_AWS_KEYRINGS_KMS_ACCESS_H
#define KFI_AWS_KEYRINGS_KMS_ACCESS_H

#include "aws/service/client.h"

struct kfi_kms_access {
    struct kf_aws_client *client; /* a reference */
    char **grant_tokens;          /* in one block */
    size_t grant_token_count;
};

/* Takes a reference and copies. Errors: KF_E_NO_MEMORY. Either way, or if all is zero, it can be released. */
enum kf_code kfi_kms_access_init(struct kfi_kms_access *access, struct kf_aws_client *client,
                                 const char *const *grant_tokens, size_t grant_token_count,
                                 struct kf_error *error);
void kfi_kms_access_release(struct kfi_kms_access *access);

/*
 * KMS in `region`, or, if that is empty, in the client's; lives as long as the client. Errors: KF_E_USAGE
 * (not a region, or none), KF_E_NO_MEMORY.
 */
enum kf_code kfi_kms_service_in(struct kf_aws_client *client, struct kf_view region, struct kf_error *error,
                                struct kfi_aws_service **out);

#endif
