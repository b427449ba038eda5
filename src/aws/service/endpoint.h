/*
 * Regions, partitions and the endpoints of services in them.
 */
#ifndef KFI_AWS_SERVICE_ENDPOINT_H
#define KFI_AWS_SERVICE_ENDPOINT_H

#include "aws/service/settings.h"

#define KFI_AWS_REGION_MAX 64
#define KFI_AWS_URL_MAX 512

/* Whether `region` fits into a host name: letters, digits and inner hyphens, 1 to 63 of them. */
bool kfi_aws_region_is_valid(struct kf_view region);

/*
 * The rest of a URL behind "http://" or "https://", or NULL if it begins with neither, or is not visible ASCII.
 */
const char *kfi_aws_url_rest(const char *url);

/* Whether `url` is fit to be an endpoint: http or https, a host, and neither user, query nor fragment. */
bool kfi_aws_endpoint_is_valid(const char *url);

/*
 * The URL of `service` ("kms") in `region`: the configured one, or the region's own, with FIPS and dual stack
 * as set. `*source` (may be NULL) becomes a phrase in static storage or in `settings`. Errors: KF_E_USAGE (the
 * region is invalid).
 */
enum kf_code kfi_aws_endpoint(const struct kfi_aws_settings *settings, const char *service,
                              const char *region, struct kf_error *error, char url[KFI_AWS_URL_MAX],
                              const char **source);

#endif
