/*
 * A wheel: what ends at some time, found once that time is over. Each step is a few instructions, however much there is,
 * and finds one or none. In return it is up to KFI_WHEEL_LATE_MS late.
 *
 * Time is cut into ticks. The ends of one tick are in one slot, and those of a whole turn later too: they are passed over
 * when it comes round.
 */
#ifndef KFI_MATERIALS_CACHE_WHEEL_H
#define KFI_MATERIALS_CACHE_WHEEL_H

#include <stdint.h>

#include "base/list.h"

#define WHEEL_TICK_LOG2 13 /* of milliseconds */
#define WHEEL_SLOTS 256    /* a turn is 35 minutes */
#define KFI_WHEEL_LATE_MS (UINT64_C(1) << WHEEL_TICK_LOG2)

/* What ends, embedded in whatever it is about. */
struct ending {
    struct kfi_link link; /* in a slot, or among those that are due */
    uint64_t at_ms;
};

struct wheel {
    struct kfi_list slots[WHEEL_SLOTS];
    struct kfi_list due; /* out of slots whose time has come, to be looked at one by one */
    uint64_t next_tick;  /* the first whose slot was not emptied yet */
    size_t count;
};

void kfi_wheel_init(struct wheel *wheel);

/* Puts what is in no wheel where its time belongs. That may be over already. */
void kfi_wheel_put(struct wheel *wheel, struct ending *ending, uint64_t at_ms, uint64_t now_ms);
void kfi_wheel_take(struct wheel *wheel, struct ending *ending);

/*
 * One step. False if nothing is to be done before the next tick. `*over` is something whose time is over, which the caller
 * has to take, or NULL.
 */
bool kfi_wheel_step(struct wheel *wheel, uint64_t now_ms, struct ending **over);

#endif
