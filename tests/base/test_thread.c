/*
 * The internal thread: tasks run when they are woken, timers fire by the clock, and kf_cleanup ends all of
 * it.
 */
#include "base/thread_stage.h"

#include <sched.h>
#include <signal.h>

/* ---- Tasks ---- */

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
        /* Those two cannot be blocked, and two more belong to the C library. */
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
    kf_cleanup(); /* on the internal thread it returns, because it can't wait for itself */
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

    /* The task stayed with its maker, who has to begin anew: what began before a cleanup ends with it. */
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

static struct {
    unsigned before; /* cleanups that had been called when the test began */
    pthread_t other;
    atomic_bool finished, other_returned, other_waited;
} two_cleanups;

static void *clean_up_too(void *unused)
{
    kf_cleanup();
    atomic_store(&two_cleanups.other_waited, atomic_load(&two_cleanups.finished));
    atomic_store(&two_cleanups.other_returned, true);
    return unused;
}

/*
 * Within the task that the first cleanup ends a second cleanup begins. It has every chance to return too
 * early.
 */
static void let_another_clean_up(void)
{
    struct kfi_task probe; /* says how many have begun */
    if (pthread_create(&two_cleanups.other, NULL, clean_up_too, NULL) != 0)
        return;
    do {
        sched_yield();
        kfi_task_init(&probe, job_run);
    } while (probe.cleanups < two_cleanups.before + 2);
    for (int i = 0; i < 1000 && !atomic_load(&two_cleanups.other_returned); i++)
        sched_yield();
    atomic_store(&two_cleanups.finished, true);
}

static void a_second_cleanup_waits_for_the_first(void **state)
{
    (void)state;
    struct job job;
    job_init(&job);
    two_cleanups.before = job.task.cleanups;
    job.inside = let_another_clean_up;
    job_hand_over(&job);
    kf_cleanup();
    assert_true(two_cleanups.finished);
    assert_int_equal(pthread_join(two_cleanups.other, NULL), 0);
    assert_true(two_cleanups.other_waited);
    bell_destroy(&job.ran);
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
        cmocka_unit_test(a_second_cleanup_waits_for_the_first),
        cmocka_unit_test(what_began_before_a_cleanup_is_ended_by_it),
        cmocka_unit_test(cleanup_wakes_who_relies_on_a_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
