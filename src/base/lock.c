/*
 * Locks, conditions and threads: see lock.h. Here they are those of the system.
 */
#include "base/lock.h"

#include <signal.h>
#include <time.h>

#include "base/cancel.h"

#define HOUR_MS 3600000

void kfi_lock_init(struct kfi_lock *lock)
{
    pthread_mutex_init(&lock->mutex, NULL);
}

void kfi_lock_end(struct kfi_lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

void kfi_lock_take(struct kfi_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
}

void kfi_lock_leave(struct kfi_lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}

void kfi_rwlock_init(struct kfi_rwlock *lock)
{
    pthread_rwlockattr_t writers_first;
    pthread_rwlockattr_init(&writers_first);
    pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&lock->rwlock, &writers_first);
    pthread_rwlockattr_destroy(&writers_first);
}

void kfi_rwlock_read(struct kfi_rwlock *lock)
{
    pthread_rwlock_rdlock(&lock->rwlock);
}

void kfi_rwlock_write(struct kfi_rwlock *lock)
{
    pthread_rwlock_wrlock(&lock->rwlock);
}

void kfi_rwlock_leave(struct kfi_rwlock *lock)
{
    pthread_rwlock_unlock(&lock->rwlock);
}

void kfi_condition_init(struct kfi_condition *condition)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&condition->condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void kfi_condition_end(struct kfi_condition *condition)
{
    pthread_cond_destroy(&condition->condition);
}

void kfi_condition_wait(struct kfi_condition *condition, struct kfi_lock *lock)
{
    const int before = kfi_cancel_disable();
    pthread_cond_wait(&condition->condition, &lock->mutex);
    kfi_cancel_restore(before);
}

void kfi_condition_wait_for(struct kfi_condition *condition, struct kfi_lock *lock, uint64_t ms)
{
    if (ms > HOUR_MS)
        ms = HOUR_MS;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    const int before = kfi_cancel_disable();
    pthread_cond_timedwait(&condition->condition, &lock->mutex, &until);
    kfi_cancel_restore(before);
}

void kfi_condition_signal(struct kfi_condition *condition)
{
    pthread_cond_signal(&condition->condition);
}

void kfi_condition_broadcast(struct kfi_condition *condition)
{
    pthread_cond_broadcast(&condition->condition);
}

void kfi_once_run(struct kfi_once *once, void (*make)(void))
{
    const int before = kfi_cancel_disable();
    pthread_once(&once->once, make);
    kfi_cancel_restore(before);
}

int kfi_thread_start(void *(*run)(void *context), void *context, struct kfi_thread *thread)
{
    sigset_t all, before;
    pthread_t id;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a thread inherits the mask */
    const int failure = pthread_create(&id, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure == 0 && thread == NULL)
        pthread_detach(id);
    else if (failure == 0)
        thread->id = id;
    return failure;
}

void kfi_thread_join(const struct kfi_thread *thread)
{
    const int before = kfi_cancel_disable();
    pthread_join(thread->id, NULL);
    kfi_cancel_restore(before);
}

bool kfi_thread_key_init(struct kfi_thread_key *key, void (*end)(void *value))
{
    return pthread_key_create(&key->key, end) == 0;
}

bool kfi_thread_key_set(const struct kfi_thread_key *key, const void *value)
{
    return pthread_setspecific(key->key, value) == 0;
}
