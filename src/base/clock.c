/*
 * The clock: see clock.h. Called by the cache, by timers and by operations with a deadline.
 */
#include "base/clock.h"

#include <stdatomic.h>

static _Atomic uint64_t test_time = UINT64_MAX;

uint64_t kfi_now_ms(void)
{
    uint64_t fixed = atomic_load_explicit(&test_time, memory_order_relaxed);
    if (fixed != UINT64_MAX)
        return fixed;
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void kfi_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct timespec kfi_condition_time(uint64_t ms)
{
    if (ms > 3600000)
        ms = 3600000;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += (time_t)(ms / 1000);
    time.tv_nsec += (long)(ms % 1000) * 1000000;
    if (time.tv_nsec >= 1000000000) {
        time.tv_sec++;
        time.tv_nsec -= 1000000000;
    }
    return time;
}

void kfi_clock_test_set(uint64_t ms)
{
    atomic_store_explicit(&test_time, ms, memory_order_relaxed);
}
