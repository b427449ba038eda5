/*
 * Retries as in the standard mode of the AWS SDKs: how long to wait before the next attempt, and a quota of
 * tokens that bounds the requests to a service that is down. Called by request.c. Sends nothing and knows no
 * clock.
 */
#ifndef KFI_AWS_SERVICE_RETRY_H
#define KFI_AWS_SERVICE_RETRY_H

#include <keyflight/types.h>

#include "base/fork.h"
#include "base/lock.h"

/* Why an attempt failed, as far as retrying goes. */
enum kfi_aws_failure {
    KFI_AWS_FINAL,     /* asking again can't help */
    KFI_AWS_TRANSIENT, /* 5xx, connection lost, reply cut short */
    KFI_AWS_TIMEOUT,   /* the attempt took too long */
    KFI_AWS_THROTTLED
};

struct kfi_aws_retry_quota {
    struct kfi_fork_guard guard; /* a child begins with a full quota */
    struct kfi_lock lock;        /* guards the tokens; a leaf */
    uint32_t tokens;
};

void kfi_aws_retry_quota_init(struct kfi_aws_retry_quota *quota);
void kfi_aws_retry_quota_destroy(struct kfi_aws_retry_quota *quota);

/*
 * Takes the tokens that one retry after such a failure costs. False: don't retry, because the failure is final or
 * too few tokens are left. `*taken` is what kfi_aws_retry_quota_give gets back after a success.
 */
bool kfi_aws_retry_quota_take(struct kfi_aws_retry_quota *quota, enum kfi_aws_failure failure,
                              uint32_t *taken);
/* After a success: gives back what the last retry took, or 1 if there was none. */
void kfi_aws_retry_quota_give(struct kfi_aws_retry_quota *quota, uint32_t taken);

/*
 * Milliseconds to wait before retry `retry` (0, 1, …): random, up to a limit that doubles with each retry and is
 * larger after throttling. If the service asked for a longer pause (`asked_ms`, 0: none), that is granted within
 * bounds. `random` is uniform over 32 bits.
 */
uint64_t kfi_aws_retry_delay(enum kfi_aws_failure failure, uint32_t retry, uint64_t asked_ms,
                             uint32_t random);

#endif
