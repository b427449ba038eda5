/*
 * The waker of a set of jobs is never called inside kf_jobs_run, kf_job_poll or kf_job_free by the thread that is in
 * there, and what has become ready inside is told all the same. The loop here holds a lock across these calls, and its
 * waker takes it.
 */
#include "jobs/jobs_stage.h"
#include "support/no_threads.h"
#include "support/owner.h"

struct loop {
    struct owner owner;
    struct kf_jobs *jobs;
    struct told *told;
    struct kf_cmm *cmm; /* the told one */
};

static void loop_open(struct loop *loop, uint64_t max_run_ms)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_jobs_options options = KF_JOBS_OPTIONS_INIT;
    owner_init(&loop->owner);
    options.waker = owner_waker(&loop->owner);
    options.max_run_ms = max_run_ms;
    assert_ok(kf_jobs_new(&options, &error, &loop->jobs), &error);
    loop->told = told_new(&loop->cmm);
}

static void loop_close(struct loop *loop)
{
    owner_enter(&loop->owner);
    kf_jobs_free(loop->jobs);
    owner_leave(&loop->owner);
    kf_cmm_unref(loop->cmm);
    kf_cleanup();
    told_free(loop->told);
    owner_end(&loop->owner);
}

/* Runs with the lock held. */
static void loop_run(struct loop *loop, enum kf_code expected)
{
    owner_enter(&loop->owner);
    assert_run(loop->jobs, expected);
    owner_leave(&loop->owner);
}

/* Begins a job and has it wait for its answer; the bell has not rung since. */
static void begin_and_wait(struct loop *loop, struct caller *caller)
{
    caller_encrypt(caller, loop->jobs, loop->cmm, "x", 0);
    loop_run(loop, KF_PENDING);
    bell_wait(&loop->owner.bell);
}

/* ---- In a run ---- */

static void answer_the_other_one(struct caller *caller)
{
    struct loop *loop = caller->what;
    told_answer(loop->told, 1, KF_OK);
}

static void what_a_run_makes_ready_is_told_behind_it(void **state)
{
    (void)state;
    struct loop loop;
    struct caller callers[2] = {{.inside = answer_the_other_one, .what = &loop}, {.called = 0}};
    loop_open(&loop, UINT64_MAX);
    for (size_t i = 0; i < 2; i++)
        begin_and_wait(&loop, &callers[i]);
    told_answer(loop.told, 0, KF_OK);
    bell_wait(&loop.owner.bell);
    loop_run(&loop, KF_PENDING);
    assert_int_equal(callers[0].called, 1);
    assert_int_equal(callers[1].called, 0);
    bell_wait(&loop.owner.bell);
    loop_run(&loop, KF_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_encrypted(&callers[i], "x");
        caller_end(&callers[i]);
    }
    support_settle();
    assert_int_equal(bell_rung(&loop.owner.bell), 0);
    loop_close(&loop);
}

static void what_a_run_leaves_over_is_told_behind_it(void **state)
{
    (void)state;
    struct loop loop;
    struct caller callers[3];
    memset(callers, 0, sizeof callers);
    loop_open(&loop, 0);
    told_answer_always(loop.told, true);
    for (size_t i = 0; i < 3; i++)
        caller_encrypt(&callers[i], loop.jobs, loop.cmm, "x", 0);
    for (size_t run = 0; run < 3; run++) {
        bell_wait(&loop.owner.bell);
        loop_run(&loop, run < 2 ? KF_PENDING : KF_OK);
        assert_encrypted(&callers[run], "x");
        caller_end(&callers[run]);
    }
    loop_close(&loop);
}

static void begin_another_one(struct caller *caller)
{
    struct loop *loop = caller->what;
    caller->inside = NULL;
    caller_encrypt(caller, loop->jobs, loop->cmm, "x", 0);
}

static void what_a_callback_begins_is_told_behind_the_run(void **state)
{
    (void)state;
    struct loop loop;
    struct caller caller = {.inside = begin_another_one, .what = &loop};
    loop_open(&loop, UINT64_MAX);
    told_answer_always(loop.told, true);
    caller_encrypt(&caller, loop.jobs, loop.cmm, "x", 0);
    bell_wait(&loop.owner.bell);
    loop_run(&loop, KF_PENDING);
    bell_wait(&loop.owner.bell);
    loop_run(&loop, KF_OK);
    assert_int_equal(caller.called, 2);
    caller_end(&caller);
    loop_close(&loop);
}

/* A run that comes before the waker takes its place. */
static void who_runs_before_is_not_told(void **state)
{
    (void)state;
    struct loop loop;
    struct caller caller = {.inside = begin_another_one, .what = &loop};
    loop_open(&loop, UINT64_MAX);
    told_answer_always(loop.told, true);
    caller_encrypt(&caller, loop.jobs, loop.cmm, "x", 0);
    loop_run(&loop, KF_PENDING);
    loop_run(&loop, KF_OK);
    caller_end(&caller);
    loop_close(&loop);
}

/* If nobody can be found to call the waker, the deadline tells. */
static void without_threads_the_deadline_tells(void **state)
{
    (void)state;
    struct loop loop;
    struct caller callers[2];
    memset(callers, 0, sizeof callers);
    loop_open(&loop, 0);
    told_answer_always(loop.told, true);
    for (size_t i = 0; i < 2; i++)
        caller_encrypt(&callers[i], loop.jobs, loop.cmm, "x", 0);
    bell_wait(&loop.owner.bell);
    atomic_store(&no_threads, true);
    loop_run(&loop, KF_PENDING);
    assert_true(kf_jobs_deadline(loop.jobs) == 0);
    assert_int_equal(bell_rung(&loop.owner.bell), 0);
    loop_run(&loop, KF_OK);
    assert_true(kf_jobs_deadline(loop.jobs) == KF_NO_DEADLINE);
    atomic_store(&no_threads, false);
    for (size_t i = 0; i < 2; i++) {
        assert_encrypted(&callers[i], "x");
        caller_end(&callers[i]);
    }
    loop_close(&loop);
}

/* ---- In a poll of a stream, and in the end of a job ---- */

/* A CMM whose calls wait, and wake `meddled_with` when they are polled and when they end. */
static struct kf_call_waker *meddled_with;

static void meddle(void *unused)
{
    (void)unused;
    kf_call_waker_wake(meddled_with);
}

static enum kf_code meddling_encrypt(void *self, struct kf_call *call,
                                     const struct kf_encryption_request *request, struct kf_error *error,
                                     const struct kf_encryption_materials **out)
{
    (void)request, (void)error, (void)out;
    if (kf_call_state(call) == NULL)
        kf_call_state_set(call, self, meddle);
    meddle(NULL);
    return KF_PENDING;
}

static enum kf_code meddling_decrypt(void *self, struct kf_call *call,
                                     const struct kf_decryption_request *request, struct kf_error *error,
                                     const struct kf_decryption_materials **out)
{
    (void)self, (void)call, (void)request, (void)out;
    return kf_error_set(error, KF_E_KEYS, "This CMM only encrypts.");
}

/* The victim's: waits, and leaves its waker. */
static enum kf_code victim_encrypt(void *self, struct kf_call *call,
                                   const struct kf_encryption_request *request, struct kf_error *error,
                                   const struct kf_encryption_materials **out)
{
    (void)self, (void)request, (void)error, (void)out;
    if (meddled_with == NULL)
        meddled_with = kf_call_waker_of(call);
    return KF_PENDING;
}

static struct kf_cmm *cmm_of(const struct kf_cmm_vtable *vtable)
{
    static int self;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    assert_ok(kf_cmm_new(vtable, &self, &error, &cmm), &error);
    return cmm;
}

static void never_ready(void *unused)
{
    (void)unused;
    fail_msg("nobody polls this stream again");
}

static void what_another_job_makes_ready_is_told_behind_its_poll(void **state)
{
    (void)state;
    static const struct kf_cmm_vtable victims = {sizeof victims, victim_encrypt, meddling_decrypt, NULL,
                                                 false};
    static const struct kf_cmm_vtable meddlers = {sizeof meddlers, meddling_encrypt, meddling_decrypt, NULL,
                                                  false};
    struct kf_cmm *victim_cmm = cmm_of(&victims), *meddler_cmm = cmm_of(&meddlers);
    struct kf_error error = KF_ERROR_INIT;
    struct caller victim = {.called = 0};
    struct kf_encryptor *encryptor;
    struct kf_job *job;
    struct loop loop;
    loop_open(&loop, UINT64_MAX);
    caller_encrypt(&victim, loop.jobs, victim_cmm, "x", 0);
    loop_run(&loop, KF_PENDING);
    bell_wait(&loop.owner.bell);
    assert_ok(kf_encryptor_new(meddler_cmm, NULL, &error, &encryptor), &error);
    assert_ok(kf_jobs_encryptor_take(loop.jobs, encryptor, never_ready, NULL, &error, &job), &error);

    uint8_t out[100];
    struct kf_io io = {.out = out, .out_room = sizeof out};
    owner_enter(&loop.owner);
    assert_int_equal(kf_job_poll(job, &io), KF_PENDING);
    owner_leave(&loop.owner);
    bell_wait(&loop.owner.bell);
    loop_run(&loop, KF_PENDING);

    owner_enter(&loop.owner);
    kf_job_free(job);
    owner_leave(&loop.owner);
    bell_wait(&loop.owner.bell);
    loop_run(&loop, KF_PENDING);
    support_settle();
    assert_int_equal(bell_rung(&loop.owner.bell), 0);
    loop_close(&loop);
    kf_call_waker_unref(meddled_with);
    kf_cmm_unref(victim_cmm);
    kf_cmm_unref(meddler_cmm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_run_makes_ready_is_told_behind_it),
        cmocka_unit_test(what_a_run_leaves_over_is_told_behind_it),
        cmocka_unit_test(what_a_callback_begins_is_told_behind_the_run),
        cmocka_unit_test(who_runs_before_is_not_told),
        cmocka_unit_test(without_threads_the_deadline_tells),
        cmocka_unit_test(what_another_job_makes_ready_is_told_behind_its_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
