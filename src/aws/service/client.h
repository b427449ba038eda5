/*
 * The client as the rest of src/aws/ sees it. Keyrings and requests get all that they share from it.
 */
#ifndef KFI_AWS_SERVICE_CLIENT_H
#define KFI_AWS_SERVICE_CLIENT_H

#include <keyflight/aws_client.h>

#include "aws/service/credentials.h"
#include "aws/service/http.h"
#include "aws/service/retry.h"
#include "aws/service/settings.h"

/* One service in one region. The client makes each once and keeps it as long as it lives itself. */
struct kfi_aws_service {
    struct kf_aws_client *client; /* not counted */
    struct kfi_aws_service *next; /* in the client's list */
    char *name, *region, *url;
    struct kfi_aws_retry_quota quota;
    _Atomic int64_t
        clock_skew; /* seconds to add to the local clock, learnt from the service's last refusal */
};

/*
 * The service `name` ("kms") in `region`. Whoever uses it has to hold the client. A forked child makes services of its
 * own; one that was found before the fork may still be used. Errors: KF_E_USAGE (the region is invalid), KF_E_LIMIT
 * (too many regions), KF_E_NO_MEMORY.
 */
enum kf_code kfi_aws_client_service(struct kf_aws_client *client, const char *name, const char *region,
                                    struct kf_error *error, struct kfi_aws_service **out);

/* The client's region, or NULL. */
const char *kfi_aws_client_region(const struct kf_aws_client *client);
/* KF_E_USAGE, and a sentence that lists where a region was looked for. */
enum kf_code kfi_aws_client_no_region(const struct kf_aws_client *client, struct kf_error *error);

struct kfi_http_pool *kfi_aws_client_pool(const struct kf_aws_client *client);
struct kfi_aws_credentials_cache *kfi_aws_client_credentials(const struct kf_aws_client *client);

struct kfi_aws_limits {
    uint32_t max_attempts;
    uint64_t connect_timeout_ms, attempt_timeout_ms, request_timeout_ms;
};
const struct kfi_aws_limits *kfi_aws_client_limits(const struct kf_aws_client *client);

#endif
