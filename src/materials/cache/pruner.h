/*
 * The timer by which a cache frees expired keys that nobody asks for. It is set only where an internal thread runs
 * already: a process whose keyrings need none is to have none.
 */
#ifndef KFI_MATERIALS_CACHE_PRUNER_H
#define KFI_MATERIALS_CACHE_PRUNER_H

#include "base/thread.h"

/* How often it looks. */
#define KFI_PRUNE_EVERY_MS 30000

/* All zero: it is off. In a forked child its owner makes it that. */
struct pruner {
    bool on; /* under the owner's lock: the timer is set or somebody is about to set it */
    struct kfi_timer timer;
    struct kf_call_waker *place; /* NULL until it is first set */
};

/*
 * Whether the caller is to set the timer, once he left the lock: it was off, and there is a thread for it. Under the
 * owner's lock. From now on it is on.
 */
bool kfi_pruner_claim(struct pruner *pruner);

/*
 * Has `prune` called at that time, on the internal thread. False if there is no thread any more, or no memory: it is off
 * then, which the caller notes under the lock.
 */
bool kfi_pruner_set(struct pruner *pruner, uint64_t when, const struct kf_waker *prune);

/* Turns it off for good; for the last owner. With `waits` `prune` does not run any more when this returns. */
void kfi_pruner_end(struct pruner *pruner, bool waits);

#endif
