/*
 * Endpoints: see endpoint.h. Called by settings.c and client.c; nothing is looked up or sent here.
 */
#include "aws/service/endpoint.h"

#include <stdio.h>
#include <strings.h>

#include "base/error.h"

/*
 * Partitions by how their regions begin, as the AWS SDKs have them: all offer FIPS and dual stack. What
 * begins like none of these is in the first, where new regions appear.
 */
static const struct partition {
    const char *prefix, *suffix, *dual_stack_suffix;
} partitions[] = {
    {"", "amazonaws.com", "api.aws"},                            /* aws */
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"}, /* aws-cn */
    {"us-gov-", "amazonaws.com", "api.aws"},                     /* aws-us-gov */
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},                 /* aws-iso */
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},             /* aws-iso-b */
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},    /* aws-iso-e */
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},        /* aws-iso-f */
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},       /* aws-eusc */
};

static const struct partition *partition_of(const char *region)
{
    for (size_t i = sizeof partitions / sizeof partitions[0] - 1; i > 0; i--) {
        if (strncmp(region, partitions[i].prefix, strlen(partitions[i].prefix)) == 0)
            return &partitions[i];
    }
    return &partitions[0];
}

static bool is_letter_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool kfi_aws_region_is_valid(struct kf_view region)
{
    if (region.length == 0 || region.length >= KFI_AWS_REGION_MAX || region.data[0] == '-' ||
        region.data[region.length - 1] == '-')
        return false;
    for (size_t i = 0; i < region.length; i++) {
        if (!is_letter_or_digit(region.data[i]) && region.data[i] != '-')
            return false;
    }
    return true;
}

bool kfi_aws_endpoint_is_valid(const char *url)
{
    size_t length = strlen(url);
    const char *host = strncasecmp(url, "https://", 8) == 0  ? url + 8
                       : strncasecmp(url, "http://", 7) == 0 ? url + 7
                                                             : NULL;
    if (host == NULL || length >= KFI_AWS_URL_MAX || host[strcspn(host, "@?#\\")] != '\0' ||
        strchr("/:", host[0]) != NULL) /* which finds the end as well */
        return false;
    for (size_t i = 0; i < length; i++) {
        if (url[i] <= ' ' || url[i] > '~')
            return false;
    }
    return true;
}

enum kf_code kfi_aws_endpoint(const struct kfi_aws_settings *settings, const char *service,
                              const char *region, struct kf_error *error, char url[KFI_AWS_URL_MAX],
                              const char **source)
{
    const struct kfi_aws_setting *configured = &settings->kms_endpoint_url;
    if (!kfi_aws_region_is_valid(kf_view_text(region)))
        return kf_error_set(error, KF_E_USAGE,
                            "That is no region: it has to be like us-east-1 (letters, digits and inner "
                            "hyphens, 63 of them at most).");
    /* A configured endpoint stands even with FIPS or dual stack: who configures it knows what it is. */
    if (strcmp(service, "kms") == 0 && configured->value != NULL) {
        snprintf(url, KFI_AWS_URL_MAX, "%s", configured->value);
        if (source != NULL)
            *source = configured->source;
        return KF_OK;
    }
    const struct partition *partition = partition_of(region);
    snprintf(url, KFI_AWS_URL_MAX, "https://%s%s.%s.%s", service, settings->use_fips ? "-fips" : "", region,
             settings->use_dual_stack ? partition->dual_stack_suffix : partition->suffix);
    if (source != NULL)
        *source = "the region's own";
    return KF_OK;
}
