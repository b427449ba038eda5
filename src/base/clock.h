/*
 * The clock that ages, deadlines and timers go by: it counts on while the machine sleeps.
 */
#ifndef KFI_BASE_CLOCK_H
#define KFI_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "base/memory.h"
#include "base/ms.h"

/* Milliseconds since some moment before the process began (CLOCK_BOOTTIME). */
KFI_SHARED uint64_t kfi_now_ms(void);

/*
 * Conditions can't wait by that clock, so they wait by the monotonic one for as long as is left: a condition
 * of that kind, and the moment in `ms` milliseconds (at most an hour away: a sleep through suspension has to
 * end some time) as it wants it.
 */
void kfi_condition_init(pthread_cond_t *condition);
struct timespec kfi_condition_time(uint64_t ms);

/* For tests: from now on the clock shows `ms` until it is set again; UINT64_MAX: the real time again. */
void kfi_clock_test_set(uint64_t ms);

#endif
