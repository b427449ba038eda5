/*
 * Wakers: see waker.h. Calls set them (call.c); flights, timers and keyrings of users wake them.
 */
#include "base/waker.h"

#include "base/cancel.h"
#include "base/fork.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/refs.h"

struct kf_call_waker {
    struct kfi_refs refs;
    unsigned generation;  /* of the process that made it; in a child nobody is left to wake or to wait for */
    struct kfi_lock lock; /* guards what follows; a leaf, never held while a waker runs */
    struct kfi_condition idle; /* running became 0 */
    struct kf_waker waker;     /* wake is NULL: none */
    unsigned running;          /* threads inside waker.wake */
};

/* The innermost poll that this thread is in. */
static _Thread_local struct kfi_hush *hushed_here;

struct kf_call_waker *kfi_waker_new(void)
{
    struct kf_call_waker *place = kfi_alloc_zeroed(sizeof *place);
    if (place == NULL)
        return NULL;
    kfi_refs_init(&place->refs);
    place->generation = kfi_fork_generation();
    kfi_lock_init(&place->lock);
    kfi_condition_init(&place->idle);
    return place;
}

struct kf_call_waker *kf_call_waker_ref(struct kf_call_waker *place)
{
    if (place != NULL)
        kfi_refs_add(&place->refs, 1);
    return place;
}

void kf_call_waker_unref(struct kf_call_waker *place)
{
    if (place == NULL || !kfi_refs_drop(&place->refs))
        return;
    if (place->generation == kfi_fork_generation()) {
        kfi_condition_end(&place->idle);
        kfi_lock_end(&place->lock);
    }
    kfi_free(place);
}

void kfi_waker_set(struct kf_call_waker *place, const struct kf_waker *waker)
{
    static const struct kf_waker none;
    if (place->generation != kfi_fork_generation())
        return;
    kfi_lock_take(&place->lock);
    place->waker = waker != NULL ? *waker : none;
    while (place->running > 0)
        kfi_condition_wait(&place->idle, &place->lock);
    kfi_lock_leave(&place->lock);
}

void kfi_waker_hush(struct kfi_hush *hush, struct kf_call_waker *const *place)
{
    *hush = (struct kfi_hush){.place = place, .outer = hushed_here};
    hushed_here = hush;
}

bool kfi_waker_unhush(const struct kfi_hush *hush)
{
    hushed_here = hush->outer;
    return hush->woken;
}

/* The poll of `place` that this thread is in, or NULL. */
static struct kfi_hush *hush_of(const struct kf_call_waker *place)
{
    struct kfi_hush *hush = hushed_here;
    while (hush != NULL && *hush->place != place)
        hush = hush->outer;
    return hush;
}

bool kfi_waker_is_hushed(const struct kf_call_waker *place)
{
    return hush_of(place) != NULL;
}

void kf_call_waker_wake(struct kf_call_waker *place)
{
    if (place->generation != kfi_fork_generation())
        return;
    struct kfi_hush *hush = hush_of(place);
    if (hush != NULL) {
        hush->woken = true;
        return;
    }
    kfi_lock_take(&place->lock);
    struct kf_waker waker = place->waker;
    if (waker.wake == NULL) {
        kfi_lock_leave(&place->lock);
        return;
    }
    place->running++;
    kfi_lock_leave(&place->lock);

    const int cancel = kfi_cancel_disable(); /* a waker that ended its thread would be waited for for ever */
    waker.wake(waker.context);
    kfi_cancel_restore(cancel);

    kfi_lock_take(&place->lock);
    if (--place->running == 0)
        kfi_condition_broadcast(&place->idle);
    kfi_lock_leave(&place->lock);
}
