/*
 * The internal thread: it runs tasks when they are woken, and keeps timers. A process has at most one; it
 * starts when it is first needed.
 *
 * It works in rounds, so that nobody starves: the timers that are due, then each task that is in the queue, once, then
 * the sleeper, which gets no time to sleep while tasks are in the queue.
 */
#ifndef KFI_BASE_THREAD_H
#define KFI_BASE_THREAD_H

#include <keyflight/call.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/memory.h"

/* Whether the calling thread is the internal one, where nothing may block. */
bool kfi_thread_is_internal(void);

/* Whether this process has an internal thread now. Takes no lock: whoever has to be sure tries what needs it. */
bool kfi_thread_runs(void);

/* ---- What it sleeps in ---- */

/* What the thread sleeps in instead of a condition, if it has more to watch than its queue. */
struct kfi_sleeper {
    /*
     * Does what is due, and sleeps until it is interrupted or `ms` have passed (UINT64_MAX: no limit). On the
     * internal thread, under no lock of ours.
     */
    void (*sleep)(void *context, uint64_t ms);
    /*
     * Ends the sleep that is under way; if there is none, the next one. It must not block. From any thread,
     * under the thread's lock.
     */
    void (*interrupt)(void *context);
    /*
     * Called last, by kf_cleanup: the sleeper is unplugged, and nothing of it runs. On the internal thread.
     */
    void (*stop)(void *context);
    void *context;
};

/*
 * Starts the thread if need be, and makes it sleep in `*sleeper` (which is copied) until kf_cleanup. This
 * function itself calls nothing but `interrupt`. With the same sleeper again, `sleep` is called once more. A
 * process has one sleeper, a forked child none. Errors: KF_E_SYSTEM, KF_E_CLEANED_UP.
 */
KFI_SHARED enum kf_code kfi_thread_plug(const struct kfi_sleeper *sleeper, struct kf_error *error);

/* Makes the thread look at its queue, the clock, and whatever its sleeper watches. */
KFI_SHARED void kfi_thread_poke(void);

/* ---- Timers ---- */

/*
 * Wakes a place, or a task, at a given time. All zero: it is off. The owner sets it and turns it off, one thread at a
 * time; the internal thread fires it. `set` and `generation` are used by the owner alone, all else under the thread's
 * lock.
 */
struct kfi_timer {
    uint64_t when;               /* by kfi_now_ms */
    bool on;                     /* it is in the heap */
    struct kf_call_waker *waker; /* whom it wakes: a reference, while the timer is on; */
    struct kfi_task *task;       /* ... or the task that it is the limit of */
    unsigned generation;         /* of the process that set it */
    bool set;                    /* it was set, and not turned off since; it may have fired */
    struct kfi_timer *child, *next,
        *previous; /* in the heap: first child, next sibling, previous sibling or parent */
};

/*
 * Sets the timer; a former time is replaced. Takes a reference of `waker`. Errors: KF_E_SYSTEM,
 * KF_E_CLEANED_UP.
 */
enum kf_code kfi_timer_set(struct kfi_timer *timer, uint64_t when, struct kf_call_waker *waker,
                           struct kf_error *error);

/* The same where the thread runs already. False if it does not: then there is no timer, and none is started. */
bool kfi_timer_set_if_runs(struct kfi_timer *timer, uint64_t when, struct kf_call_waker *waker);

/* Turns the timer off, if it is on. Takes no lock unless it was set: each message has timers that never are. */
void kfi_timer_cancel(struct kfi_timer *timer);

/* ---- Tasks ---- */

/*
 * Work that the internal thread runs whenever it was woken. At first its maker has it. Then the maker keeps it for
 * good or hands it over.
 */
struct kfi_task {
    struct kfi_link link; /* in the queue or among the idle; under the thread's lock, as is the state */
    enum {
        KFI_TASK_RUNNING, /* or its maker still has it */
        KFI_TASK_RUNNING_WOKEN,
        KFI_TASK_IDLE,
        KFI_TASK_QUEUED
    } state;
    unsigned generation; /* of the process that made it */
    unsigned cleanups;   /* how often kf_cleanup had been called when the task began */
    uint64_t limit_ms; /* by kfi_now_ms: it is woken then; UINT64_MAX: it is not. Set before the hand-over */
    struct kfi_timer limit; /* from the hand-over on */

    /*
     * Runs it on the internal thread. True if it is finished; it may be gone then, and kfi_task_withdraw has to have
     * been called. With `stop` it has to finish, since the library is being cleaned up.
     */
    bool (*run)(struct kfi_task *task, bool stop);
};

/* A task that its maker has from now on, without a limit. After a cleanup it cannot be handed over. */
void kfi_task_init(struct kfi_task *task, bool (*run)(struct kfi_task *task, bool stop));

/*
 * Hands `task` over: the internal thread runs it at the next wake, or at once if it was woken meanwhile.
 * Errors: KF_E_SYSTEM, KF_E_CLEANED_UP; the task then stays with its maker.
 */
enum kf_code kfi_task_hand_over(struct kfi_task *task, struct kf_error *error);

/* A waker function. Its context is a task, which has to outlive it. */
void kfi_task_wake(void *task);

/*
 * Takes back a task that has nothing left to do, and turns its limit off. True: the internal thread will not run it
 * any more. False: it is running, or on the way from its maker; then it runs once more, to finish. (A task without a
 * limit that finishes by itself need not call this.)
 */
bool kfi_task_withdraw(struct kfi_task *task);

#endif
