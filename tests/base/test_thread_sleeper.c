/*
 * The internal thread and what is plugged in for it to sleep in.
 */
#include "base/thread_stage.h"

#include <sched.h>
#include <string.h>

/* A sleeper that counts, and sleeps by a condition. */
struct cot {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool interrupted; /* until a sleep has ended by it */
    bool asleep;
    bool gate_shut; /* a sleep ends no sooner than the gate is open */
    unsigned sleeps, interrupts, stops;
    bool in_order;              /* that job was stopped */
    bool on_internal;           /* at each call that has to come from it */
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

/* Waits until it sleeps for at least the `sleeps`th time. Returns for how long it sleeps. */
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

        /* It is not plugged in any more, until it is plugged in again. */
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

#define RESTLESS_RUNS 1000

/* Two tasks that wake themselves in every run, and what they see of the others. */
static struct {
    struct job jobs[2];
    unsigned runs[2], sleeps[2]; /* the sleeper's, at the last run */
    bool in_rotation;            /* between two runs the sleeper had one turn, with no time to sleep */
    struct alarm alarm;          /* set in the middle, due at once */
    bool alarm_in_time;
} restless;

static void restless_run(unsigned which)
{
    const unsigned sleeps = cot_count(&cot.sleeps), run = restless.runs[which]++;
    if (run > 0 && run <= RESTLESS_RUNS)
        restless.in_rotation = restless.in_rotation && sleeps == restless.sleeps[which] + 1 && cot.ms == 0;
    restless.sleeps[which] = sleeps;
    if (which == 0 && run == RESTLESS_RUNS / 2)
        timer_set(&restless.alarm.timer, 0, restless.alarm.place);
    if (which == 0 && run == RESTLESS_RUNS / 2 + 1)
        restless.alarm_in_time = bell_rung(&restless.alarm.bell) == 1;
}

static void restless_first(void)
{
    restless_run(0);
}

static void restless_second(void)
{
    restless_run(1);
}

static void everybody_has_a_turn_in_each_round(void **state)
{
    (void)state;
    memset(&restless, 0, sizeof restless);
    restless.in_rotation = true;
    alarm_init(&restless.alarm);
    cot_init();
    cot_plug();
    for (size_t i = 0; i < 2; i++) {
        job_init(&restless.jobs[i]);
        restless.jobs[i].inside = i == 0 ? restless_first : restless_second;
        atomic_store(&restless.jobs[i].wake_itself, RESTLESS_RUNS);
        job_hand_over(&restless.jobs[i]);
        kfi_task_wake(&restless.jobs[i].task);
    }
    for (size_t i = 0; i < 2; i++) {
        while (atomic_load(&restless.jobs[i].runs) <= RESTLESS_RUNS)
            support_settle();
    }
    for (size_t i = 0; i < 2; i++)
        job_end(&restless.jobs[i]);
    kf_cleanup();
    assert_true(restless.in_rotation);
    assert_true(restless.alarm_in_time);
    assert_int_equal(restless.runs[0], RESTLESS_RUNS + 2);
    assert_int_equal(restless.runs[1], RESTLESS_RUNS + 2);
    alarm_end(&restless.alarm);
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
    /*
     * Once one cleanup is refused the other is under way. A few turns let it return, should it return too
     * early.
     */
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
    unsigned sleeps =
        cot.sleeps; /* there is no other thread here, and the lock may have been held at the fork */
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
        cmocka_unit_test(it_sleeps_in_what_is_plugged_in),
        cmocka_unit_test(wakes_during_one_sleep_are_one_interrupt),
        cmocka_unit_test(a_sleep_lasts_until_the_first_timer),
        cmocka_unit_test(everybody_has_a_turn_in_each_round),
        cmocka_unit_test(a_second_cleanup_waits_for_the_first),
        cmocka_unit_test(a_forked_child_has_nothing_plugged_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
