/*
 * Retries as the standard mode of the AWS SDKs does them: how long to wait before the next attempt, and a
 * quota of tokens that keeps a dead service at a bounded rate of requests. Called by request.c; sends nothing,
 * knows no clock.
 */
#ifndef KFI_AWS_SERVICE_RETRY_H
#define KFI_AWS_SERVICE_RETRY_H

#include <pthread.h>

#include <keyflight/types.h>

#include "base/fork.h"

/* Why an attempt failed, as far as retrying goes. */
enum kfi_aws_failure {
    KFI_AWS_FINAL,     /* asking again can't help */
    KFI_AWS_TRANSIENT, /* 5xx, connection lost, torn reply */
    KFI_AWS_TIMEOUT,   /* an attempt's time was over */
    KFI_AWS_THROTTLED
};

struct kfi_aws_retry_quota {
    struct kfi_fork_guard guard; /* a child begins with a full quota */
    pthread_mutex_t lock;        /* guards the tokens; a leaf */
    uint32_t tokens;
};

void kfi_aws_retry_quota_init(struct kfi_aws_retry_quota *quota);
void kfi_aws_retry_quota_destroy(struct kfi_aws_retry_quota *quota);

/*
 * Takes what one retry after such a failure costs; false: not enough is left (or the failure is final), don't
 * retry. `*taken` is for the release.
 */
bool kfi_aws_retry_quota_take(struct kfi_aws_retry_quota *quota, enum kfi_aws_failure failure,
                              uint32_t *taken);
/* After a success: gives back what its last retry took (or 1 if it needed none). */
void kfi_aws_retry_quota_give(struct kfi_aws_retry_quota *quota, uint32_t taken);

/*
 * Milliseconds to wait before retry `retry` (0, 1, …): jittered and exponential, throttling from a longer
 * base; what the service asked for (`asked_ms`, or 0) is honoured within bounds. `random` is uniform over 32
 * bits.
 */
uint64_t kfi_aws_retry_delay(enum kfi_aws_failure failure, uint32_t retry, uint64_t asked_ms,
                             uint32_t random);

#endif
