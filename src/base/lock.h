/*
 * Locks, conditions and threads: the one seam between the library and the threads of the system. Whatever is shared
 * between threads is guarded by what is declared here, so that the tests can put their own implementation of this
 * header in the place of lock.c and decide who runs next.
 *
 * Nothing here fails at run time, but for the start of a thread, and no wait is a cancellation point. Each lock is a
 * leaf and is not taken twice by one thread.
 */
#ifndef KFI_BASE_LOCK_H
#define KFI_BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

/* ---- Locks ---- */

struct kfi_lock {
    pthread_mutex_t mutex;
};

#define KFI_LOCK_INIT             \
    {                             \
        PTHREAD_MUTEX_INITIALIZER \
    }

/* Also remakes an inherited lock in a forked child, whatever its state was. */
KFI_SHARED void kfi_lock_init(struct kfi_lock *lock);
KFI_SHARED void kfi_lock_end(struct kfi_lock *lock);
KFI_SHARED void kfi_lock_take(struct kfi_lock *lock);
KFI_SHARED void kfi_lock_leave(struct kfi_lock *lock);

/* ---- Locks with many readers or one writer ---- */

struct kfi_rwlock {
    pthread_rwlock_t rwlock;
};

/* A writer that waits goes before readers that come later, so a reader must not read again inside. */
#define KFI_RWLOCK_INIT                                   \
    {                                                     \
        PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP \
    }

/* As with kfi_lock_init: also remakes an inherited one. */
void kfi_rwlock_init(struct kfi_rwlock *lock);
void kfi_rwlock_read(struct kfi_rwlock *lock);
void kfi_rwlock_write(struct kfi_rwlock *lock);
/* Leaves it, whichever way it was taken. */
void kfi_rwlock_leave(struct kfi_rwlock *lock);

/* ---- Conditions ---- */

struct kfi_condition {
    pthread_cond_t condition;
};

/*
 * It waits by the monotonic clock, and cannot by that of kfi_now_ms, which goes on while the machine sleeps: a long
 * wait has to be looked at now and then.
 */
void kfi_condition_init(struct kfi_condition *condition);
void kfi_condition_end(struct kfi_condition *condition);

/* Waits, with the lock left meanwhile, for a signal; it may also end for no reason. */
void kfi_condition_wait(struct kfi_condition *condition, struct kfi_lock *lock);
/* The same, for `ms` milliseconds at most, and never longer than an hour. */
void kfi_condition_wait_for(struct kfi_condition *condition, struct kfi_lock *lock, uint64_t ms);

/* Both under the lock. */
void kfi_condition_signal(struct kfi_condition *condition);
void kfi_condition_broadcast(struct kfi_condition *condition);

/* ---- Once ---- */

struct kfi_once {
    pthread_once_t once;
};

#define KFI_ONCE_INIT     \
    {                     \
        PTHREAD_ONCE_INIT \
    }

/* Runs `make` unless it was run before; when this returns, it has been. */
KFI_SHARED void kfi_once_run(struct kfi_once *once, void (*make)(void));

/* ---- Threads ---- */

struct kfi_thread {
    pthread_t id;
};

/*
 * Starts a thread of the library. It blocks all signals, which are the application's. Its stack has the system's
 * default size, because keyrings and wakers of the application run on it. With `thread` NULL nobody can join it.
 * Returns 0, or the error number of pthread_create.
 */
int kfi_thread_start(void *(*run)(void *context), void *context, struct kfi_thread *thread);

/* Waits for the end of a thread. */
void kfi_thread_join(const struct kfi_thread *thread);

/* Something that has a value of its own in each thread. */
struct kfi_thread_key {
    pthread_key_t key;
};

/* `end` is called with a thread's value when that thread ends, unless it is NULL. False: no key is left. */
bool kfi_thread_key_init(struct kfi_thread_key *key, void (*end)(void *value));
/* Sets the calling thread's value. False: there is no memory. */
bool kfi_thread_key_set(const struct kfi_thread_key *key, const void *value);

#endif
