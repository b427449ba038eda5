/*
 * The clock for ages, deadlines and timers. It also counts while the machine sleeps.
 */
#ifndef KFI_BASE_CLOCK_H
#define KFI_BASE_CLOCK_H

#include <stdint.h>

#include "base/memory.h"
#include "base/ms.h"

/* Milliseconds since a moment before the process began (CLOCK_BOOTTIME). */
KFI_SHARED uint64_t kfi_now_ms(void);

/* For tests: the clock shows `ms` until it is set again. UINT64_MAX: the real time. */
void kfi_clock_test_set(uint64_t ms);

#endif
