/*
 * The internal thread: it runs tasks when they are woken, and keeps timers. One in a process, started on
 * first need.
 */
#ifndef KFI_BASE_THREAD_H
#define KFI_BASE_THREAD_H

#include <pthread.h>

#include <keyflight/call.h>

#include "base/list.h"
#include "base/memory.h"

/*
 * Starts a thread of the library. It blocks all signals: they are the application's. With `id` NULL nobody can
 * join it. Answers the error number of pthread_create, or 0.
 */
int kfi_thread_start(void *(*run)(void *context), void *context, pthread_t *id);

/* Whether the calling thread is the internal one: there nothing may block. */
bool kfi_thread_is_internal(void);

/* ---- What it sleeps in ---- */

/* Something that the thread sleeps in instead of a condition, because it has to watch more than its queue. */
struct kfi_sleeper {
    /*
     * Does what is due and sleeps, `ms` at most (UINT64_MAX: any time) or until interrupted. On the internal
     * thread, under no lock of ours.
     */
    void (*sleep)(void *context, uint64_t ms);
    /*
     * Ends the sleep that is under way, or else the next one. From any thread, under the thread's lock: it
     * only posts.
     */
    void (*interrupt)(void *context);
    /* kf_cleanup: it is plugged in no more, and nothing of it runs. On the internal thread, its last call. */
    void (*stop)(void *context);
    void *context;
};

/*
 * Makes the thread run, and sleep in `*sleeper` (which is copied) until kf_cleanup; nothing of it is called
 * from here but `interrupt`. Again with the same sleeper: its `sleep` is called once more. There is one sleeper
 * in a process, and none in a forked child. Errors: KF_E_SYSTEM, KF_E_CLEANED_UP.
 */
KFI_SHARED enum kf_code kfi_thread_plug(const struct kfi_sleeper *sleeper, struct kf_error *error);

/* Makes the thread look again: at its queue, the clock, and whatever its sleeper watches. */
KFI_SHARED void kfi_thread_poke(void);

/* ---- Tasks ---- */

/*
 * Something that is run, by one thread at a time, whenever it was woken. It begins in the hands of its maker,
 * who may run it inline and then either keeps it for good or hands it over to the internal thread.
 */
struct kfi_task {
    struct kfi_link
        link; /* in the queue of those to run, or of the idle; under the thread's lock, as is the state */
    enum {
        KFI_TASK_RUNNING,
        KFI_TASK_RUNNING_WOKEN,
        KFI_TASK_IDLE,
        KFI_TASK_QUEUED
    } state;
    unsigned cleanups; /* how often kf_cleanup had been called when it began */

    /*
     * Runs it on the internal thread; true if it is finished (and may be gone). With `stop` it has to finish:
     * the library is being cleaned up.
     */
    bool (*run)(struct kfi_task *task, bool stop);
};

/* A task that its maker is running, from now on: after a cleanup it can't be handed over. */
void kfi_task_init(struct kfi_task *task, bool (*run)(struct kfi_task *task, bool stop));

/*
 * Hands `task` over: the internal thread runs it from the next wake on (or at once, if it was woken
 * meanwhile). Errors: KF_E_SYSTEM, KF_E_CLEANED_UP; the task then stays with its maker.
 */
enum kf_code kfi_task_hand_over(struct kfi_task *task, struct kf_error *error);

/* A waker function whose context is a task. Its task must outlive it. */
void kfi_task_wake(void *task);

/* ---- Timers ---- */

/* Wakes a place at a time. Zero-initialised it is off. Its links are under the thread's lock. */
struct kfi_timer {
    uint64_t when;               /* by kfi_now_ms */
    struct kf_call_waker *waker; /* a reference, while it is on */
    unsigned generation;         /* of the process that set it */
    struct kfi_timer *child, *next,
        *previous; /* in the heap: first child; siblings; previous sibling or parent */
};

/*
 * Sets the timer, replacing its former time. Takes a reference of `waker`. Errors: KF_E_SYSTEM,
 * KF_E_CLEANED_UP.
 */
enum kf_code kfi_timer_set(struct kfi_timer *timer, uint64_t when, struct kf_call_waker *waker,
                           struct kf_error *error);

/* Turns it off, if it is on. */
void kfi_timer_cancel(struct kfi_timer *timer);

#endif
