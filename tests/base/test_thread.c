/*
 * The internal thread: tasks run when they are woken, timers fire by the clock, and kf_cleanup ends all of
 * it.
 */
#include "support/support.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "base/waker.h"

/* ---- Tasks ---- */

/* A task that notes how it is run. */
struct job {
    struct kfi_task task; /* first */
    struct bell ran;
    atomic_uint runs, stops;
    atomic_bool on_internal; /* at the last run */
    atomic_uint wake_itself; /* so many more times, while it runs */
    atomic_bool finish;      /* at the next run */
    void (*inside)(void);    /* called within, or NULL */
};

static bool job_run(struct kfi_task *task, bool stop)
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

static void job_init(struct job *job)
{
    *job = (struct job){.inside = NULL};
    bell_init(&job->ran);
    kfi_task_init(&job->task, job_run);
}

static void job_hand_over(struct job *job)
{
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kfi_task_hand_over(&job->task, &error), &error);
}

/* Lets the job finish, so that its memory can go. */
static void job_end(struct job *job)
{
    atomic_store(&job->finish, true);
    kfi_task_wake(&job->task);
    support_settle();
    bell_destroy(&job->ran);
}

static void a_task_runs_once_for_each_wake(void **state)
{
    (void)state;
    struct job job;
    job_init(&job);
    job_hand_over(&job);
    support_settle();
    assert_int_equal(job.runs, 0);

    kfi_task_wake(&job.task);
    bell_wait(&job.ran);
    assert_true(job.on_internal);
    assert_false(kfi_thread_is_internal());
    support_settle();
    assert_int_equal(job.runs, 1);

    kfi_task_wake(&job.task);
    support_settle();
    assert_int_equal(job.runs, 2);
    job_end(&job);
    assert_int_equal(job.runs, 3);
    assert_int_equal(job.stops, 0);
    kf_cleanup();
}

static void a_wake_before_the_hand_over_is_not_lost(void **state)
{
    (void)state;
    struct job job;
    job_init(&job);
    kfi_task_wake(&job.task);
    kfi_task_wake(&job.task);
    job_hand_over(&job);
    support_settle();
    assert_int_equal(job.runs, 1);
    job_end(&job);
    kf_cleanup();
}

static void a_wake_while_it_runs_makes_it_run_again(void **state)
{
    (void)state;
    struct job job;
    job_init(&job);
    job.wake_itself = 3;
    job_hand_over(&job);
    kfi_task_wake(&job.task);
    for (int i = 0; i < 4; i++)
        support_settle();
    assert_int_equal(job.runs, 4);
    job_end(&job);
    kf_cleanup();
}

static atomic_bool gate_open, gate_reached;

static void stand_at_the_gate(void)
{
    atomic_store(&gate_reached, true);
    while (!atomic_load(&gate_open))
        sched_yield();
}

static void wakes_that_come_together_are_one_run(void **state)
{
    (void)state;
    struct job gate, job;
    job_init(&gate);
    job_init(&job);
    gate.inside = stand_at_the_gate;
    atomic_store(&gate_open, false);
    atomic_store(&gate_reached, false);
    job_hand_over(&gate);
    job_hand_over(&job);
    kfi_task_wake(&gate.task);
    while (!atomic_load(&gate_reached))
        sched_yield();
    for (int i = 0; i < 100; i++)
        kfi_task_wake(&job.task);
    atomic_store(&gate_open, true);
    support_settle();
    assert_int_equal(job.runs, 1);
    gate.inside = NULL;
    job_end(&gate);
    job_end(&job);
    kf_cleanup();
}

/* ---- Signals ---- */

static atomic_uint unblocked;

static void look_at_signals(void)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    unsigned open = 0;
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
        /* Those two can't be blocked, and two more are the C library's own. */
        if (signal != SIGKILL && signal != SIGSTOP && (signal < 32 || signal >= SIGRTMIN) &&
            sigismember(&mask, signal) == 0)
            open++;
    }
    atomic_store(&unblocked, open);
}

static void signals_are_blocked_on_it_and_nowhere_else(void **state)
{
    (void)state;
    look_at_signals();
    unsigned before = unblocked;
    assert_true(before > 0);
    struct job job;
    job_init(&job);
    job.inside = look_at_signals;
    job_hand_over(&job);
    kfi_task_wake(&job.task);
    support_settle();
    assert_int_equal(job.runs, 1);
    assert_int_equal(unblocked, 0);
    look_at_signals();
    assert_int_equal(unblocked, before);
    job.inside = NULL;
    job_end(&job);
    kf_cleanup();
}

/* ---- Timers ---- */

static void timer_set(struct kfi_timer *timer, uint64_t when, struct kf_call_waker *waker)
{
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kfi_timer_set(timer, when, waker, &error), &error);
}

/* A timer and who it wakes. */
struct alarm {
    struct kfi_timer timer;
    struct bell bell;
    struct kf_call_waker *place;
};

static void alarm_init(struct alarm *alarm)
{
    *alarm = (struct alarm){.place = kfi_waker_new()};
    bell_init(&alarm->bell);
    const struct kf_waker waker = bell_waker(&alarm->bell);
    kfi_waker_set(alarm->place, &waker);
}

static void alarm_end(struct alarm *alarm)
{
    kfi_timer_cancel(&alarm->timer);
    kfi_waker_set(alarm->place, NULL);
    kf_call_waker_unref(alarm->place);
    bell_destroy(&alarm->bell);
}

static void timers_fire_when_the_clock_reaches_them(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct alarm alarms[3];
    static const uint64_t when[3] = {1030, 1010, 1020};
    for (size_t i = 0; i < 3; i++) {
        alarm_init(&alarms[i]);
        timer_set(&alarms[i].timer, when[i], alarms[i].place);
    }
    for (uint64_t now = 1001; now <= 1040; now++) {
        support_clock_advance(1);
        support_settle();
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(bell_rung(&alarms[i].bell), now >= when[i] ? 1 : 0);
    }
    /* One that is due already. */
    timer_set(&alarms[0].timer, 5, alarms[0].place);
    support_settle();
    assert_int_equal(bell_rung(&alarms[0].bell), 2);
    for (size_t i = 0; i < 3; i++)
        alarm_end(&alarms[i]);
    kf_cleanup();
    support_clock_real();
}

static void a_timer_can_be_moved_and_turned_off(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct alarm alarm;
    alarm_init(&alarm);
    kfi_timer_cancel(&alarm.timer); /* it is off */
    timer_set(&alarm.timer, 1010, alarm.place);
    timer_set(&alarm.timer, 1020, alarm.place);
    support_clock_advance(19);
    support_settle();
    assert_int_equal(bell_rung(&alarm.bell), 0);
    timer_set(&alarm.timer, 1015, alarm.place);
    support_settle();
    assert_int_equal(bell_rung(&alarm.bell), 1);
    support_clock_advance(100);
    support_settle();
    assert_int_equal(bell_rung(&alarm.bell), 1);

    timer_set(&alarm.timer, 2000, alarm.place);
    kfi_timer_cancel(&alarm.timer);
    kfi_timer_cancel(&alarm.timer);
    support_clock_advance(2000);
    support_settle();
    assert_int_equal(bell_rung(&alarm.bell), 1);
    alarm_end(&alarm);
    kf_cleanup();
    support_clock_real();
}

#define MANY 300

static void many_timers_with_some_turned_off(void **state)
{
    (void)state;
    support_clock_stop(0);
    static struct alarm alarms[MANY];
    uint64_t seed = 3;
    uint64_t when[MANY];
    for (size_t i = 0; i < MANY; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        when[i] = 1 + (seed >> 33) % 1000;
        alarm_init(&alarms[i]);
        timer_set(&alarms[i].timer, when[i], alarms[i].place);
    }
    for (size_t i = 0; i < MANY; i += 3)
        kfi_timer_cancel(&alarms[i].timer);
    for (uint64_t now = 100; now <= 1100; now += 100) {
        support_clock_advance(100);
        support_settle();
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(bell_rung(&alarms[i].bell), i % 3 != 0 && now >= when[i] ? 1 : 0);
    }
    for (size_t i = 0; i < MANY; i++)
        alarm_end(&alarms[i]);
    kf_cleanup();
    support_clock_real();
}

/* ---- Cleaning up ---- */

static void cleanup_finishes_every_task(void **state)
{
    (void)state;
    kf_cleanup(); /* there is no thread */
    struct job jobs[10];
    for (size_t i = 0; i < 10; i++) {
        job_init(&jobs[i]);
        job_hand_over(&jobs[i]);
    }
    kfi_task_wake(&jobs[4].task);
    support_settle();
    kf_cleanup();
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(jobs[i].stops, 1);
        assert_int_equal(jobs[i].runs, i == 4 ? 2 : 1);
        assert_true(jobs[i].on_internal);
        bell_destroy(&jobs[i].ran);
    }
    kf_cleanup();

    /* And it starts again. */
    struct job again;
    job_init(&again);
    job_hand_over(&again);
    kfi_task_wake(&again.task);
    bell_wait(&again.ran);
    job_end(&again);
    assert_int_equal(again.stops, 0);
    kf_cleanup();
}

static struct late {
    struct job job;
    struct alarm alarm;
    enum kf_code hand_over, timer;
    struct kf_error error;
} late;

static void come_late(void)
{
    late.hand_over = kfi_task_hand_over(&late.job.task, &late.error);
    late.timer = kfi_timer_set(&late.alarm.timer, 1, late.alarm.place, NULL);
    kf_cleanup(); /* on the internal thread it can't wait for itself; it returns */
}

static void nothing_can_be_begun_while_it_cleans_up(void **state)
{
    (void)state;
    struct job job;
    job_init(&job);
    job_init(&late.job);
    alarm_init(&late.alarm);
    job.inside = come_late;
    job_hand_over(&job);
    kf_cleanup();
    assert_int_equal(job.stops, 1);
    assert_int_equal(late.hand_over, KF_E_CLEANED_UP);
    assert_int_equal(late.error.code, KF_E_CLEANED_UP);
    assert_int_equal(late.timer, KF_E_CLEANED_UP);
    assert_int_equal(late.job.runs, 0);
    assert_int_equal(bell_rung(&late.alarm.bell), 0);

    /* The task stayed with its maker, who can only begin anew: what began before a cleanup ends by it. */
    assert_int_equal(kfi_task_hand_over(&late.job.task, NULL), KF_E_CLEANED_UP);
    kfi_task_init(&late.job.task, job_run);
    job_hand_over(&late.job);
    kfi_task_wake(&late.job.task);
    bell_wait(&late.job.ran);
    job_end(&late.job);
    alarm_end(&late.alarm);
    bell_destroy(&job.ran);
    kf_cleanup();
}

static void what_began_before_a_cleanup_is_ended_by_it(void **state)
{
    (void)state;
    /* Whether there is a thread to stop or not. */
    for (int i = 0; i < 2; i++) {
        struct job job;
        struct kf_error error = KF_ERROR_INIT;
        if (i == 1)
            support_settle();
        job_init(&job);
        kf_cleanup();
        assert_int_equal(kfi_task_hand_over(&job.task, &error), KF_E_CLEANED_UP);
        assert_int_equal(error.code, KF_E_CLEANED_UP);
        assert_int_equal(job.runs, 0);
        bell_destroy(&job.ran);
    }
}

static void cleanup_wakes_who_relies_on_a_timer(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct alarm alarms[3];
    for (size_t i = 0; i < 3; i++) {
        alarm_init(&alarms[i]);
        timer_set(&alarms[i].timer, 1000000 + i, alarms[i].place);
    }
    kf_cleanup();
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(bell_rung(&alarms[i].bell), 1);
        alarm_end(&alarms[i]);
    }
    support_clock_real();
}

/* ---- Sleepers ---- */

/* A sleeper that counts, and sleeps by a condition. */
struct cot {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool interrupted; /* until a sleep has ended by it */
    bool asleep;
    bool gate_shut; /* a sleep ends no sooner than the gate is open */
    unsigned sleeps, interrupts, stops;
    bool in_order;              /* that job was */
    bool on_internal;           /* at each call that has to be */
    uint64_t ms;                /* of the last sleep */
    struct job *stopped_before; /* a job that has to be stopped before this is, or NULL */
};

static struct cot cot;

static void cot_sleep(void *context, uint64_t ms)
{
    struct cot *self = context;
    pthread_mutex_lock(&self->lock);
    self->sleeps++;
    self->ms = ms;
    self->asleep = true;
    self->on_internal = self->on_internal && kfi_thread_is_internal();
    pthread_cond_broadcast(&self->changed);
    while ((!self->interrupted && ms > 0) || self->gate_shut)
        pthread_cond_wait(&self->changed, &self->lock);
    self->asleep = false;
    self->interrupted = false;
    pthread_mutex_unlock(&self->lock);
}

static void cot_interrupt(void *context)
{
    struct cot *self = context;
    pthread_mutex_lock(&self->lock);
    self->interrupts++;
    self->interrupted = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

static void cot_stop(void *context)
{
    struct cot *self = context;
    pthread_mutex_lock(&self->lock);
    self->stops++;
    self->on_internal = self->on_internal && kfi_thread_is_internal();
    if (self->stopped_before != NULL)
        self->in_order = self->stopped_before->stops == 1;
    while (self->gate_shut)
        pthread_cond_wait(&self->changed, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

static const struct kfi_sleeper cot_sleeper = {cot_sleep, cot_interrupt, cot_stop, &cot};

static void cot_init(void)
{
    cot = (struct cot){.on_internal = true};
    pthread_mutex_init(&cot.lock, NULL);
    pthread_cond_init(&cot.changed, NULL);
}

static void cot_plug(void)
{
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kfi_thread_plug(&cot_sleeper, &error), &error);
}

/* Waits until it sleeps for at least the `sleeps`th time; answers for how long. */
static uint64_t cot_wait_asleep(unsigned sleeps)
{
    pthread_mutex_lock(&cot.lock);
    while (!cot.asleep || cot.sleeps < sleeps)
        pthread_cond_wait(&cot.changed, &cot.lock);
    uint64_t ms = cot.ms;
    pthread_mutex_unlock(&cot.lock);
    return ms;
}

static void cot_gate(bool shut)
{
    pthread_mutex_lock(&cot.lock);
    cot.gate_shut = shut;
    pthread_cond_broadcast(&cot.changed);
    pthread_mutex_unlock(&cot.lock);
}

static unsigned cot_count(const unsigned *which)
{
    pthread_mutex_lock(&cot.lock);
    unsigned count = *which;
    pthread_mutex_unlock(&cot.lock);
    return count;
}

static void it_sleeps_in_what_is_plugged_in(void **state)
{
    (void)state;
    for (int warm = 0; warm < 2; warm++) { /* whether it slept by the condition before or not */
        struct job job;
        cot_init();
        job_init(&job);
        if (warm == 1) {
            job_hand_over(&job);
            support_settle();
        }
        cot_plug();
        assert_true(cot_wait_asleep(1) == UINT64_MAX);
        if (warm == 0)
            job_hand_over(&job);
        for (unsigned i = 1; i <= 20; i++) {
            kfi_task_wake(&job.task);
            bell_wait(&job.ran);
            assert_int_equal(job.runs, i);
        }
        unsigned sleeps = cot_count(&cot.sleeps);
        cot_plug();
        (void)cot_wait_asleep(sleeps + 1);
        cot.stopped_before = &job;
        kf_cleanup();
        assert_int_equal(job.stops, 1);
        assert_int_equal(cot_count(&cot.stops), 1);
        assert_true(cot.on_internal && cot.in_order);

        /* Nothing is plugged in any more, until it is again. */
        sleeps = cot_count(&cot.sleeps);
        support_settle();
        assert_int_equal(cot_count(&cot.sleeps), sleeps);
        cot.stopped_before = NULL;
        cot_plug();
        (void)cot_wait_asleep(sleeps + 1);
        kf_cleanup();
        assert_int_equal(cot_count(&cot.stops), 2);
        bell_destroy(&job.ran);
    }
}

static void wakes_during_one_sleep_are_one_interrupt(void **state)
{
    (void)state;
    struct job jobs[100];
    cot_init();
    cot_plug();
    for (size_t i = 0; i < 100; i++) {
        job_init(&jobs[i]);
        job_hand_over(&jobs[i]);
    }
    (void)cot_wait_asleep(1);
    cot_gate(true);
    unsigned before = cot_count(&cot.interrupts);
    for (size_t i = 0; i < 100; i++)
        kfi_task_wake(&jobs[i].task);
    assert_true(cot_count(&cot.interrupts) - before <= 1);
    cot_gate(false);
    for (size_t i = 0; i < 100; i++) {
        bell_wait(&jobs[i].ran);
        job_end(&jobs[i]);
    }
    kf_cleanup();
}

static void a_sleep_lasts_until_the_first_timer(void **state)
{
    (void)state;
    struct alarm alarm;
    support_clock_stop(1000);
    cot_init();
    cot_plug();
    (void)cot_wait_asleep(1);
    alarm_init(&alarm);
    timer_set(&alarm.timer, 1250, alarm.place);
    while (cot_wait_asleep(2) == UINT64_MAX)
        sched_yield();
    assert_true(cot_wait_asleep(2) == 250);
    support_clock_advance(250);
    bell_wait(&alarm.bell);
    alarm_end(&alarm);
    kf_cleanup();
    support_clock_real();
}

static void *clean_up(void *done)
{
    kf_cleanup();
    atomic_store((atomic_bool *)done, true);
    return NULL;
}

static void a_second_cleanup_waits_for_the_first(void **state)
{
    (void)state;
    atomic_bool done[2];
    pthread_t threads[2];
    cot_init();
    cot_plug();
    (void)cot_wait_asleep(1);
    cot_gate(true); /* the thread can't end */
    for (size_t i = 0; i < 2; i++) {
        atomic_init(&done[i], false);
        assert_int_equal(pthread_create(&threads[i], NULL, clean_up, &done[i]), 0);
    }
    /* Once one of them is refused the other is on its way; a few turns for one that returns too early. */
    while (kfi_thread_plug(&cot_sleeper, NULL) != KF_E_CLEANED_UP)
        sched_yield();
    for (int i = 0; i < 1000; i++)
        sched_yield();
    assert_false(atomic_load(&done[0]) || atomic_load(&done[1]));
    cot_gate(false);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(cot_count(&cot.stops), 1);
}

static bool nothing_is_plugged(void *context)
{
    unsigned sleeps = cot.sleeps; /* nobody else is here, and the lock may have been held */
    (void)context;
    if (SUPPORT_THREADS_IN_CHILDREN)
        support_settle();
    kfi_thread_poke();
    kf_cleanup();
    return cot.sleeps == sleeps && cot.stops == 0;
}

static void a_forked_child_has_nothing_plugged_in(void **state)
{
    (void)state;
    cot_init();
    cot_plug();
    (void)cot_wait_asleep(1);
    assert_true(support_in_child(nothing_is_plugged, NULL));
    unsigned sleeps = cot_count(&cot.sleeps);
    kfi_thread_poke();
    (void)cot_wait_asleep(sleeps + 1);
    kf_cleanup();
    assert_int_equal(cot_count(&cot.stops), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_runs_once_for_each_wake),
        cmocka_unit_test(a_wake_before_the_hand_over_is_not_lost),
        cmocka_unit_test(a_wake_while_it_runs_makes_it_run_again),
        cmocka_unit_test(wakes_that_come_together_are_one_run),
        cmocka_unit_test(signals_are_blocked_on_it_and_nowhere_else),
        cmocka_unit_test(timers_fire_when_the_clock_reaches_them),
        cmocka_unit_test(a_timer_can_be_moved_and_turned_off),
        cmocka_unit_test(many_timers_with_some_turned_off),
        cmocka_unit_test(cleanup_finishes_every_task),
        cmocka_unit_test(nothing_can_be_begun_while_it_cleans_up),
        cmocka_unit_test(what_began_before_a_cleanup_is_ended_by_it),
        cmocka_unit_test(cleanup_wakes_who_relies_on_a_timer),
        cmocka_unit_test(it_sleeps_in_what_is_plugged_in),
        cmocka_unit_test(wakes_during_one_sleep_are_one_interrupt),
        cmocka_unit_test(a_sleep_lasts_until_the_first_timer),
        cmocka_unit_test(a_second_cleanup_waits_for_the_first),
        cmocka_unit_test(a_forked_child_has_nothing_plugged_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
