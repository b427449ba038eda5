/*
 * The pruner: see pruner.h. Called by cache.c, outside its lock but where it says otherwise.
 */
#include "materials/cache/pruner.h"

#include "base/waker.h"

bool kfi_pruner_claim(struct pruner *pruner)
{
    if (pruner->on || !kfi_thread_runs())
        return false;
    pruner->on = true;
    return true;
}

bool kfi_pruner_set(struct pruner *pruner, uint64_t when, const struct kf_waker *prune)
{
    if (pruner->place == NULL) {
        pruner->place = kfi_waker_new();
        if (pruner->place == NULL)
            return false;
        kfi_waker_set(pruner->place, prune);
    }
    return kfi_timer_set_if_runs(&pruner->timer, when, pruner->place);
}

void kfi_pruner_end(struct pruner *pruner, bool waits)
{
    if (pruner->place == NULL)
        return;
    if (waits)
        kfi_waker_set(pruner->place, NULL);
    kfi_timer_cancel(&pruner->timer);
    kf_call_waker_unref(pruner->place);
}
