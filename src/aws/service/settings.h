/*
 * Settings: the outcome of options, environment and shared configuration files, with the source of each. Read once for
 * a client. They follow the AWS SDKs and Tools Reference Guide, as all AWS SDKs do.
 */
#ifndef KFI_AWS_SERVICE_SETTINGS_H
#define KFI_AWS_SERVICE_SETTINGS_H

#include <keyflight/aws_client.h>

#define KFI_AWS_ATTEMPTS_MAX 100

struct kfi_aws_setting {
    char *value; /* or NULL */
    /* A phrase: "option region", "AWS_REGION in the environment", "profile dev in /…/config". Without a value
     * it lists where one was looked for. */
    char *source;
};

struct kfi_aws_settings {
    struct kfi_aws_setting profile; /* always has a value */
    bool profile_is_explicit;       /* by option: then credentials in the environment don't count */
    struct kfi_aws_setting region;
    struct kfi_aws_setting kms_endpoint_url; /* without a value the region's own is used */
    struct kfi_aws_setting ca_bundle;
    struct kfi_aws_setting max_attempts;
    uint32_t attempts;
    bool use_fips, use_dual_stack;
};

/* Errors: KF_E_USAGE (a setting is not valid, a file is malformed, there is no such profile), KF_E_NO_MEMORY. */
enum kf_code kfi_aws_settings_read(const struct kf_aws_client_options *options, struct kf_error *error,
                                   struct kfi_aws_settings *out);
void kfi_aws_settings_free(struct kfi_aws_settings *settings);

#endif
