/*
 * Runs: which jobs are polled, how often the waker is called, and how long a run goes on.
 */
#include "jobs/jobs_stage.h"

#include <stdlib.h>

#include "base/thread.h"

#define MANY 1000

/* ---- A CMM that counts its polls, and whose calls can be woken ---- */

static struct {
    unsigned polls;
    struct kf_call_waker *wakers[MANY]; /* of the calls, as they begin */
    unsigned calls;
    bool answers;      /* from the second poll of a call on */
    bool wakes_itself; /* within its first poll */
} counting;

static enum kf_code counting_encrypt(void *self, struct kf_call *call,
                                     const struct kf_encryption_request *request, struct kf_error *error,
                                     const struct kf_encryption_materials **out)
{
    counting.polls++;
    if (kf_call_state(call) == NULL) {
        struct kf_call_waker *waker = kf_call_waker_of(call);
        kf_call_state_set(call, self, NULL);
        counting.wakers[counting.calls++] = waker;
        if (counting.wakes_itself)
            kf_call_waker_wake(waker);
        return KF_PENDING;
    }
    if (!counting.answers)
        return KF_PENDING;
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
}

static enum kf_code counting_decrypt(void *self, struct kf_call *call,
                                     const struct kf_decryption_request *request, struct kf_error *error,
                                     const struct kf_decryption_materials **out)
{
    return kf_cmm_decrypt_materials(self, call, request, error, out);
}

static struct kf_cmm *counting_cmm(struct kf_cmm *inner)
{
    static const struct kf_cmm_vtable vtable = {sizeof vtable, counting_encrypt, counting_decrypt, NULL,
                                                false};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    memset(&counting, 0, sizeof counting);
    assert_ok(kf_cmm_new(&vtable, inner, &error, &cmm), &error);
    return cmm;
}

static void counting_end(void)
{
    for (unsigned i = 0; i < counting.calls; i++)
        kf_call_waker_unref(counting.wakers[i]);
}

static void only_those_that_are_ready_are_polled(void **state)
{
    (void)state;
    struct bell bell;
    bell_init(&bell);
    struct kf_jobs *jobs = jobs_with_bell(&bell, UINT64_MAX);
    struct kf_cmm *inner = support_cmm(), *cmm = counting_cmm(inner);
    struct caller *callers = calloc(MANY, sizeof *callers);
    for (size_t i = 0; i < MANY; i++)
        caller_encrypt(&callers[i], jobs, cmm, "x", 0);
    assert_run(jobs, KF_PENDING);
    assert_int_equal(counting.polls, MANY);
    assert_run(jobs, KF_PENDING); /* nobody is ready */
    assert_int_equal(counting.polls, MANY);

    kf_call_waker_wake(counting.wakers[7]); /* for no reason */
    assert_run(jobs, KF_PENDING);
    assert_int_equal(counting.polls, MANY + 1);
    counting.answers = true;
    for (unsigned i = 0; i < 3; i++)
        for (unsigned times = 0; times < 5; times++)
            kf_call_waker_wake(counting.wakers[7 * i]);
    assert_run(jobs, KF_PENDING);
    assert_int_equal(counting.polls, MANY + 4);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(callers[i].called, i % 7 == 0 && i / 7 < 3 ? 1 : 0);
        kf_call_waker_wake(counting.wakers[i]);
    }
    assert_run(jobs, KF_OK);
    assert_int_equal(counting.polls, 2 * MANY + 1); /* jobs that are done were not polled again */
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(callers[i].called, 1);
        caller_end(&callers[i]);
    }
    free(callers);
    kf_jobs_free(jobs);
    counting_end();
    kf_cmm_unref(cmm);
    kf_cmm_unref(inner);
    bell_destroy(&bell);
}

static void a_burst_of_wakes_is_told_once(void **state)
{
    (void)state;
    struct stage stage;
    struct caller *callers = calloc(MANY, sizeof *callers);
    stage_open(&stage);
    for (size_t i = 0; i < MANY; i++)
        caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", 0);
    assert_int_equal(bell_rung(&stage.bell), 1); /* all that began */
    assert_run(stage.jobs, KF_PENDING);
    assert_int_equal(bell_rung(&stage.bell), 1);
    told_wake_all(stage.told);
    told_answer_all(stage.told, KF_OK);
    assert_int_equal(bell_rung(&stage.bell), 2);
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(bell_rung(&stage.bell), 2);
    told_wake_all(stage.told); /* nobody listens any more */
    assert_int_equal(bell_rung(&stage.bell), 2);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(callers[i].called, 1);
        caller_end(&callers[i]);
    }
    free(callers);
    stage_close(&stage);
}

/* The job goes on at once, in the same turn, and nobody is woken. */
static void a_wake_within_a_poll_is_not_lost(void **state)
{
    (void)state;
    struct bell bell;
    bell_init(&bell);
    struct kf_jobs *jobs = jobs_with_bell(&bell, UINT64_MAX);
    struct kf_cmm *inner = support_cmm(), *cmm = counting_cmm(inner);
    struct caller caller = {.called = 0};
    counting.answers = counting.wakes_itself = true;
    caller_encrypt(&caller, jobs, cmm, "x", 0);
    assert_run(jobs, KF_OK);
    assert_int_equal(counting.polls, 2);
    assert_int_equal(bell_rung(&bell), 1); /* for its beginning */
    assert_encrypted(&caller, "x");
    caller_end(&caller);
    kf_jobs_free(jobs);
    counting_end();
    kf_cmm_unref(cmm);
    kf_cmm_unref(inner);
    bell_destroy(&bell);
}

/* ---- How long a run goes on ---- */

struct begins {
    struct caller *caller;
    struct kf_jobs *jobs;
    struct kf_cmm *cmm;
};

static void begin_the_one_in_mind(struct caller *caller)
{
    struct begins *begins = caller->what;
    caller_encrypt(begins->caller, begins->jobs, begins->cmm, "x", 0);
}

static void with_no_time_each_run_does_one_job(void **state)
{
    (void)state;
    struct bell bell;
    bell_init(&bell);
    struct kf_jobs *jobs = jobs_with_bell(&bell, 0);
    struct kf_cmm *cmm = support_cmm();
    struct caller callers[5];
    memset(callers, 0, sizeof callers);
    for (size_t i = 0; i < 3; i++)
        caller_encrypt(&callers[i], jobs, cmm, "x", 0);
    struct begins begins = {&callers[3], jobs, cmm};
    callers[0].inside = begin_the_one_in_mind; /* it comes behind those that are left */
    callers[0].what = &begins;
    for (unsigned runs = 1; runs <= 5; runs++) {
        if (runs == 3)
            caller_encrypt(&callers[4], jobs, cmm, "x", 0); /* the bell has rung for this run */
        assert_int_equal(bell_rung(&bell), runs);           /* again for what was left */
        assert_run(jobs, runs < 5 ? KF_PENDING : KF_OK);
        support_settle(); /* the waker is called elsewhere */
        for (unsigned i = 0; i < 5; i++)
            assert_int_equal(callers[i].called, i < runs ? 1 : 0);
    }
    assert_int_equal(bell_rung(&bell), 5);
    for (size_t i = 0; i < 5; i++)
        caller_end(&callers[i]);
    kf_jobs_free(jobs);
    kf_cmm_unref(cmm);
    bell_destroy(&bell);
}

static void spend_4_ms(struct caller *caller)
{
    (void)caller;
    support_clock_advance(4);
}

static void a_run_ends_with_its_time(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_jobs_options defaults = KF_JOBS_OPTIONS_INIT;
    assert_true(defaults.max_run_ms == 10);
    struct bell bell;
    bell_init(&bell);
    struct kf_jobs *jobs = jobs_with_bell(&bell, defaults.max_run_ms);
    struct kf_cmm *cmm = support_cmm();
    struct caller callers[7];
    memset(callers, 0, sizeof callers);
    for (size_t i = 0; i < 7; i++) {
        callers[i].inside = spend_4_ms;
        caller_encrypt(&callers[i], jobs, cmm, "x", 0);
    }
    static const size_t after[] = {3, 6, 7};
    for (size_t runs = 0; runs < 3; runs++) {
        assert_run(jobs, runs < 2 ? KF_PENDING : KF_OK);
        for (size_t i = 0; i < 7; i++)
            assert_int_equal(callers[i].called, i < after[runs] ? 1 : 0);
    }
    for (size_t i = 0; i < 7; i++)
        caller_end(&callers[i]);
    kf_jobs_free(jobs);
    kf_cmm_unref(cmm);
    bell_destroy(&bell);
    support_clock_real();
}

static void begin_another(struct caller *caller)
{
    struct stage *stage = caller->what;
    caller->inside = NULL;
    caller_encrypt(caller, stage->jobs, stage->cmm, "another", 0);
}

static void what_a_callback_begins_has_its_turn_in_the_next_run(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    told_answer_always(stage.told, true);
    struct caller caller = {.inside = begin_another, .what = &stage};
    caller_encrypt(&caller, stage.jobs, stage.cmm, "one", 0);
    assert_run(stage.jobs, KF_PENDING);
    assert_int_equal(caller.called, 1);
    support_settle();
    assert_int_equal(bell_rung(&stage.bell), 2);
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(caller.called, 2);
    caller.called = 1;
    assert_encrypted(&caller, "another");
    caller_end(&caller);
    stage_close(&stage);
}

static void run_again(struct caller *caller)
{
    struct stage *stage = caller->what;
    assert_run(stage->jobs, KF_E_USAGE);
}

static void a_callback_cannot_run_its_own_jobs(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    told_answer_always(stage.told, true);
    struct caller callers[2] = {{.inside = run_again, .what = &stage}, {.called = 0}};
    for (size_t i = 0; i < 2; i++)
        caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", 0);
    assert_run(stage.jobs, KF_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_encrypted(&callers[i], "x");
        caller_end(&callers[i]);
    }
    stage_close(&stage);
}

/* ---- Without a waker ---- */

/* Answers at the second poll of a call, which comes from the internal thread's timer. */
static enum kf_code soon_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_request *request, struct kf_error *error,
                                 const struct kf_encryption_materials **out)
{
    if (kf_call_state(call) == NULL) {
        kf_call_state_set(call, self, NULL);
        const enum kf_code code = kf_call_wake_in(call, 0);
        return code == KF_OK ? KF_PENDING : kf_error_set(error, code, "It can't be woken.");
    }
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
}

static struct kf_cmm *soon_cmm(struct kf_cmm *inner)
{
    static const struct kf_cmm_vtable vtable = {sizeof vtable, soon_encrypt, counting_decrypt, NULL, false};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    assert_ok(kf_cmm_new(&vtable, inner, &error, &cmm), &error);
    return cmm;
}

static void without_a_waker_a_run_blocks_until_all_is_done(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *inner = support_cmm();
    struct stage stage = {.cmm = soon_cmm(inner)};
    assert_ok(kf_jobs_new(NULL, &error, &stage.jobs), &error);
    assert_run(stage.jobs, KF_OK);
    for (unsigned times = 0; times < 2; times++) {
        struct caller callers[100];
        memset(callers, 0, sizeof callers);
        callers[50].inside = begin_another;
        callers[50].what = &stage;
        for (size_t i = 0; i < 100; i++)
            caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", 0);
        assert_run(stage.jobs, KF_OK);
        for (size_t i = 0; i < 100; i++) {
            assert_int_equal(callers[i].called, i == 50 ? 2 : 1);
            assert_true(pthread_equal(callers[i].thread, pthread_self()));
            caller_end(&callers[i]);
        }
    }
    kf_jobs_free(stage.jobs);
    kf_cmm_unref(stage.cmm);
    kf_cmm_unref(inner);
    kf_cleanup();
}

struct internal_run {
    struct kfi_task task; /* first */
    struct kf_jobs *jobs;
    struct bell done;
    enum kf_code code;
};

static bool run_internally(struct kfi_task *task, bool stop)
{
    struct internal_run *internal = (struct internal_run *)task;
    (void)stop;
    internal->code = kf_jobs_run(internal->jobs, NULL);
    const struct kf_waker done = bell_waker(&internal->done);
    done.wake(done.context);
    return true;
}

static void nothing_blocks_on_the_internal_thread(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct internal_run internal;
    bell_init(&internal.done);
    assert_ok(kf_jobs_new(NULL, &error, &internal.jobs), &error);
    kfi_task_init(&internal.task, run_internally);
    kfi_task_wake(&internal.task);
    assert_ok(kfi_task_hand_over(&internal.task, &error), &error);
    bell_wait(&internal.done);
    assert_int_equal(internal.code, KF_E_USAGE);
    kf_cleanup();
    assert_run(internal.jobs, KF_OK);
    kf_jobs_free(internal.jobs);
    bell_destroy(&internal.done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_those_that_are_ready_are_polled),
        cmocka_unit_test(a_burst_of_wakes_is_told_once),
        cmocka_unit_test(a_wake_within_a_poll_is_not_lost),
        cmocka_unit_test(with_no_time_each_run_does_one_job),
        cmocka_unit_test(a_run_ends_with_its_time),
        cmocka_unit_test(what_a_callback_begins_has_its_turn_in_the_next_run),
        cmocka_unit_test(a_callback_cannot_run_its_own_jobs),
        cmocka_unit_test(without_a_waker_a_run_blocks_until_all_is_done),
        cmocka_unit_test(nothing_blocks_on_the_internal_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
