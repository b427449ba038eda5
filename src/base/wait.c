/*
 * Waiting: see wait.h. Called by every poll function that was given no waker.
 */
#include "base/wait.h"

#include "base/lock.h"
#include "base/thread.h"

/* On the stack of the caller who sleeps. That is safe: a waker never runs after its poll has answered. */
struct sleeper {
    struct kfi_lock lock; /* guards woken */
    struct kfi_condition changed;
    bool woken;
};

static void sleeper_wake(void *context)
{
    struct sleeper *sleeper = context;
    kfi_lock_take(&sleeper->lock);
    sleeper->woken = true;
    kfi_condition_signal(&sleeper->changed);
    kfi_lock_leave(&sleeper->lock);
}

static void sleeper_sleep(struct sleeper *sleeper, uint64_t ms)
{
    kfi_lock_take(&sleeper->lock);
    if (!sleeper->woken)
        kfi_condition_wait_for(&sleeper->changed, &sleeper->lock, ms);
    sleeper->woken = false;
    kfi_lock_leave(&sleeper->lock);
}

enum kf_code kfi_wait(const struct kfi_pollable *kind, void *operation, struct kf_error *error)
{
    if (kfi_thread_is_internal())
        return kf_error_set(
            error, KF_E_USAGE,
            "A blocking call was made from inside a fetch, on the internal thread, where nothing may "
            "block: pass a waker and poll.");
    struct sleeper sleeper = {.woken = false};
    kfi_lock_init(&sleeper.lock);
    kfi_condition_init(&sleeper.changed);

    const struct kf_waker waker = {sleeper_wake, &sleeper};
    enum kf_code code;
    while ((code = kind->poll(operation, &waker)) == KF_PENDING)
        sleeper_sleep(&sleeper, kind->deadline(operation));

    kfi_condition_end(&sleeper.changed);
    kfi_lock_end(&sleeper.lock);
    return code;
}
