/*
 * An owner who holds a lock while he calls the library, and whose waker takes that lock: so a wake by his own thread
 * inside his own call would never end. The lock finds out, and the test with it.
 */
#ifndef TESTS_SUPPORT_OWNER_H
#define TESTS_SUPPORT_OWNER_H

#include <errno.h>

#include "support/support.h"

struct owner {
    pthread_mutex_t lock; /* error-checking */
    unsigned stuck;       /* wakes by the thread that holds the lock */
    struct bell bell;     /* rung for all others */
};

static inline void owner_wake(void *context)
{
    struct owner *owner = context;
    if (pthread_mutex_lock(&owner->lock) == EDEADLK) {
        owner->stuck++;
        return;
    }
    const struct kf_waker bell = bell_waker(&owner->bell);
    bell.wake(bell.context);
    pthread_mutex_unlock(&owner->lock);
}

static inline struct kf_waker owner_waker(struct owner *owner)
{
    return (struct kf_waker){owner_wake, owner};
}

static inline void owner_init(struct owner *owner)
{
    pthread_mutexattr_t checking;
    pthread_mutexattr_init(&checking);
    pthread_mutexattr_settype(&checking, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&owner->lock, &checking);
    pthread_mutexattr_destroy(&checking);
    owner->stuck = 0;
    bell_init(&owner->bell);
}

/* Begins and ends a call of the library by the owner. */
static inline void owner_enter(struct owner *owner)
{
    assert_int_equal(pthread_mutex_lock(&owner->lock), 0);
}

static inline void owner_leave(struct owner *owner)
{
    assert_int_equal(pthread_mutex_unlock(&owner->lock), 0);
}

/* He was never woken inside a call of his. */
static inline void owner_end(struct owner *owner)
{
    assert_int_equal(owner->stuck, 0);
    bell_destroy(&owner->bell);
    pthread_mutex_destroy(&owner->lock);
}

#endif
