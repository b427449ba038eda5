/*
 * The clock: see clock.h. Called by the cache, by timers and by operations with a deadline.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

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

uint64_t kfi_wall_clock_s(void)
{
    const time_t now = time(NULL);
    return now > 0 ? (uint64_t)now : 0;
}

void kfi_clock_test_set(uint64_t ms)
{
    atomic_store_explicit(&test_time, ms, memory_order_relaxed);
}
