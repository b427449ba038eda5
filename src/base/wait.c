/*
 * Waiting: see wait.h. Called by every poll function that was given no waker.
 */
#include "base/wait.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/thread.h"

/* On the stack of the caller who sleeps. That is safe: a waker never runs after its poll has answered. */
struct sleeper {
    pthread_mutex_t lock; /* guards woken */
    pthread_cond_t changed;
    bool woken;
};

static void sleeper_wake(void *context)
{
    struct sleeper *sleeper = context;
    pthread_mutex_lock(&sleeper->lock);
    sleeper->woken = true;
    pthread_cond_signal(&sleeper->changed);
    pthread_mutex_unlock(&sleeper->lock);
}

static void sleeper_sleep(struct sleeper *sleeper, uint64_t ms)
{
    struct timespec until = kfi_condition_time(ms);
    pthread_mutex_lock(&sleeper->lock);
    int failure = 0;
    while (!sleeper->woken && failure == 0) {
        failure = pthread_cond_timedwait(&sleeper->changed, &sleeper->lock, &until);
    }
    sleeper->woken = false;
    pthread_mutex_unlock(&sleeper->lock);
}

enum kf_code kfi_wait(const struct kfi_pollable *kind, void *operation, struct kf_error *error)
{
    if (kfi_thread_is_internal())
        return kf_error_set(
            error, KF_E_USAGE,
            "A blocking call was made from inside a fetch, on the internal thread, where nothing may "
            "block: pass a waker and poll.");
    struct sleeper sleeper = {.woken = false};
    pthread_mutex_init(&sleeper.lock, NULL);
    kfi_condition_init(&sleeper.changed);

    const struct kf_waker waker = {sleeper_wake, &sleeper};
    enum kf_code code;
    while ((code = kind->poll(operation, &waker)) == KF_PENDING)
        sleeper_sleep(&sleeper, kind->deadline(operation));

    pthread_cond_destroy(&sleeper.changed);
    pthread_mutex_destroy(&sleeper.lock);
    return code;
}
