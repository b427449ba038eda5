/*
 * The clock for ages, deadlines and timers, which also counts while the machine sleeps; and the wall clock, for times that
 * others name. With lock.h this is the seam that tests replace: nobody else asks the system for the time.
 */
#ifndef KFI_BASE_CLOCK_H
#define KFI_BASE_CLOCK_H

#include <stdint.h>

#include "base/memory.h"
#include "base/ms.h"

/* Milliseconds since a moment before the process began (CLOCK_BOOTTIME). */
KFI_SHARED uint64_t kfi_now_ms(void);

/* Seconds since 1970 by the wall clock, which may be moved. */
KFI_SHARED uint64_t kfi_wall_clock_s(void);

/* For tests: kfi_now_ms answers `ms` until it is set again. UINT64_MAX: the real time. */
void kfi_clock_test_set(uint64_t ms);

#endif
