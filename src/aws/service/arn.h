/*
 * Amazon Resource Names of KMS keys and aliases. (S: framework/aws-kms/aws-kms-key-arn.md)
 */
#ifndef KFI_AWS_SERVICE_ARN_H
#define KFI_AWS_SERVICE_ARN_H

#include <keyflight/types.h>

/* Views into the text that was parsed. */
struct kfi_kms_arn {
    struct kf_view partition, region, account;
    struct kf_view resource_type; /* "key" or "alias" */
    struct kf_view resource_id;   /* the rest, which may contain slashes */
};

/* Whether `text` is the ARN of a KMS key or alias, as the specification has it; then `*out` is filled. */
bool kfi_kms_arn_parse(struct kf_view text, struct kfi_kms_arn *out);

bool kfi_kms_arn_is_key(const struct kfi_kms_arn *arn); /* a key, not an alias */

/* Whether `text` begins like an ARN: then it has to be one. */
bool kfi_kms_arn_is_meant(struct kf_view text);

#endif
