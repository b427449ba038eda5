/*
 * Retries: see retry.h. The numbers are those of the AWS SDKs' standard mode.
 */
#include "aws/service/retry.h"

#define TOKENS_FULL 500
#define COST 5
#define COST_TIMEOUT 10 /* more, because a timeout keeps a connection busy for long */

#define BASE_MS 50
#define BASE_THROTTLED_MS 1000
#define DELAY_MAX_MS 20000
#define ASKED_MORE_MAX_MS 5000 /* how much longer than our own delay a service may make us wait */

/* ---- Quota ---- */

/* In a forked child the lock may have been held by a thread that the child does not have. */
static void quota_reset(void *context)
{
    struct kfi_aws_retry_quota *quota = context;
    kfi_lock_init(&quota->lock);
    quota->tokens = TOKENS_FULL;
}

void kfi_aws_retry_quota_init(struct kfi_aws_retry_quota *quota)
{
    kfi_fork_guard_init(&quota->guard);
    quota_reset(quota);
}

void kfi_aws_retry_quota_destroy(struct kfi_aws_retry_quota *quota)
{
    kfi_fork_guard_check(&quota->guard, quota_reset, quota);
    kfi_lock_end(&quota->lock);
}

bool kfi_aws_retry_quota_take(struct kfi_aws_retry_quota *quota, enum kfi_aws_failure failure,
                              uint32_t *taken)
{
    const uint32_t cost = failure == KFI_AWS_TIMEOUT ? COST_TIMEOUT : COST;
    *taken = 0;
    if (failure == KFI_AWS_FINAL)
        return false;
    kfi_fork_guard_check(&quota->guard, quota_reset, quota);
    kfi_lock_take(&quota->lock);
    if (quota->tokens >= cost) {
        quota->tokens -= cost;
        *taken = cost;
    }
    kfi_lock_leave(&quota->lock);
    return *taken > 0;
}

void kfi_aws_retry_quota_give(struct kfi_aws_retry_quota *quota, uint32_t taken)
{
    const uint32_t given = taken > 0 ? taken : 1;
    kfi_fork_guard_check(&quota->guard, quota_reset, quota);
    kfi_lock_take(&quota->lock);
    quota->tokens = given < TOKENS_FULL - quota->tokens ? quota->tokens + given : TOKENS_FULL;
    kfi_lock_leave(&quota->lock);
}

/* ---- Delay ---- */

uint64_t kfi_aws_retry_delay(enum kfi_aws_failure failure, uint32_t retry, uint64_t asked_ms, uint32_t random)
{
    uint64_t most = failure == KFI_AWS_THROTTLED ? BASE_THROTTLED_MS : BASE_MS;
    for (uint32_t i = 0; i < retry && most < DELAY_MAX_MS; i++)
        most *= 2;
    if (most > DELAY_MAX_MS)
        most = DELAY_MAX_MS;
    const uint64_t own = most * random / UINT32_MAX;
    if (asked_ms <= own)
        return own;
    return asked_ms - own < ASKED_MORE_MAX_MS ? asked_ms : own + ASKED_MORE_MAX_MS;
}
