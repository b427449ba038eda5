/*
 * The clock for ages, deadlines and timers. It also counts while the machine sleeps.
 */
#ifndef KFI_BASE_CLOCK_H
#define KFI_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "base/memory.h"
#include "base/ms.h"

/* Milliseconds since a moment before the process began (CLOCK_BOOTTIME). */
KFI_SHARED uint64_t kfi_now_ms(void);

/*
 * A condition cannot wait by that clock, so it waits by the monotonic one. kfi_condition_init makes such a
 * condition. kfi_condition_time is the moment `ms` milliseconds from now, at most an hour: the monotonic
 * clock stands still while the machine sleeps, so a long wait has to be looked at now and then.
 */
void kfi_condition_init(pthread_cond_t *condition);
struct timespec kfi_condition_time(uint64_t ms);

/* For tests: the clock shows `ms` until it is set again. UINT64_MAX: the real time. */
void kfi_clock_test_set(uint64_t ms);

#endif
