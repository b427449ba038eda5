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

/* Whether `text` is a valid ARN of a KMS key or alias. Then `*out` is filled. */
bool kfi_kms_arn_parse(struct kf_view text, struct kfi_kms_arn *out);

/* Whether it names a key, not an alias. */
bool kfi_kms_arn_is_key(const struct kfi_kms_arn *arn);

/* Whether `text` begins like an ARN. Whatever does is meant as one, and refused if it is not one. */
bool kfi_kms_arn_is_meant(struct kf_view text);

#endif
