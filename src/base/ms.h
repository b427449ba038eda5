/*
 * Moments and spans in milliseconds, as numbers: no clock is read here.
 */
#ifndef KFI_BASE_MS_H
#define KFI_BASE_MS_H

#include <stdint.h>

/* `now` plus `ms`; UINT64_MAX, which is never, if that is too much. */
static inline uint64_t kfi_ms_after(uint64_t now, uint64_t ms)
{
    return ms > UINT64_MAX - now ? UINT64_MAX : now + ms;
}

#endif
