/*
 * What the tests of the internal thread share: tasks that note how they are run, and timers that note whom
 * they wake.
 */
#ifndef TESTS_BASE_THREAD_STAGE_H
#define TESTS_BASE_THREAD_STAGE_H

#include "support/support.h"

#include <stdatomic.h>

#include "base/thread.h"
#include "base/waker.h"

/* A task that notes how it is run. */
struct job {
    struct kfi_task task; /* first */
    struct bell ran;
    atomic_uint runs, stops;
    atomic_bool on_internal; /* at the last run */
    atomic_uint wake_itself; /* it is woken so often while it runs */
    atomic_bool finish;      /* at the next run */
    void (*inside)(void);    /* called within, or NULL */
};

static inline bool job_run(struct kfi_task *task, bool stop)
{
    struct job *job = (struct job *)task;
    bool finished = stop || atomic_load(&job->finish);
    atomic_fetch_add(&job->runs, 1);
    if (stop)
        atomic_fetch_add(&job->stops, 1);
    atomic_store(&job->on_internal, kfi_thread_is_internal());
    if (job->inside != NULL)
        job->inside();
    if (atomic_load(&job->wake_itself) > 0) {
        atomic_fetch_sub(&job->wake_itself, 1);
        kfi_task_wake(task);
        kfi_task_wake(task);
    }
    const struct kf_waker ran = bell_waker(&job->ran);
    ran.wake(ran.context);
    return finished;
}

static inline void job_init(struct job *job)
{
    *job = (struct job){.inside = NULL};
    bell_init(&job->ran);
    kfi_task_init(&job->task, job_run);
}

static inline void job_hand_over(struct job *job)
{
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kfi_task_hand_over(&job->task, &error), &error);
}

/* Lets the job finish, so that its memory can go. */
static inline void job_end(struct job *job)
{
    atomic_store(&job->finish, true);
    kfi_task_wake(&job->task);
    support_settle();
    bell_destroy(&job->ran);
}

static inline void timer_set(struct kfi_timer *timer, uint64_t when, struct kf_call_waker *waker)
{
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kfi_timer_set(timer, when, waker, &error), &error);
}

/* A timer, and the bell that it rings. */
struct alarm {
    struct kfi_timer timer;
    struct bell bell;
    struct kf_call_waker *place;
};

static inline void alarm_init(struct alarm *alarm)
{
    *alarm = (struct alarm){.place = kfi_waker_new()};
    bell_init(&alarm->bell);
    const struct kf_waker waker = bell_waker(&alarm->bell);
    kfi_waker_set(alarm->place, &waker);
}

static inline void alarm_end(struct alarm *alarm)
{
    kfi_timer_cancel(&alarm->timer);
    kfi_waker_set(alarm->place, NULL);
    kf_call_waker_unref(alarm->place);
    bell_destroy(&alarm->bell);
}

#endif
