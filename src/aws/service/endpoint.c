/*
 * Endpoints: see endpoint.h. Called by settings.c and client.c; nothing is looked up or sent here.
 */
#include "aws/service/endpoint.h"

#include <stdio.h>
#include <strings.h>

#include "aws/service/text.h"
#include "base/error.h"

/*
 * Partitions by how the names of their regions begin, as the AWS SDKs have them. All offer FIPS and dual stack.
 * A region that begins like none of them belongs to the first, where new regions appear.
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

bool kfi_aws_region_is_valid(struct kf_view region)
{
    return region.length > 0 && region.length < KFI_AWS_REGION_MAX && kfi_text_consists_of(region, "-") &&
           region.data[0] != '-' && region.data[region.length - 1] != '-';
}

const char *kfi_aws_url_rest(const char *url)
{
    if (!kfi_text_is_visible(kf_view_text(url)))
        return NULL;
    if (strncasecmp(url, "https://", 8) == 0)
        return url + 8;
    return strncasecmp(url, "http://", 7) == 0 ? url + 7 : NULL;
}

bool kfi_aws_endpoint_is_valid(const char *url)
{
    const char *host = kfi_aws_url_rest(url);
    return host != NULL && strlen(url) < KFI_AWS_URL_MAX && host[strcspn(host, "@?#\\")] == '\0' &&
           host[0] != '\0' && host[0] != '/' && host[0] != ':';
}

enum kf_code kfi_aws_endpoint(const struct kfi_aws_settings *settings, const char *service,
                              const char *region, struct kf_error *error, char url[KFI_AWS_URL_MAX],
                              const char **source)
{
    const struct kfi_aws_setting *configured = &settings->kms_endpoint_url;
    if (!kfi_aws_region_is_valid(kf_view_text(region)))
        return kf_error_set(error, KF_E_USAGE,
                            "The region is not valid. Write it like us-east-1: letters, digits and inner "
                            "hyphens, at most 63.");
    /* A configured endpoint is used even with FIPS or dual stack: whoever configures it knows what it offers. */
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
