/*
 * Jobs across a fork: in the child they go no further, and freeing them is all that is allowed; the parent
 * notices nothing.
 */
#include "jobs/jobs_stage.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct before_fork {
    struct stage stage;
    struct caller fresh, waiting, ready;
    struct kf_job *stream;
    struct kf_encryptor *encryptor;
};

static void ready(void *context)
{
    struct before_fork *before = context;
    struct kf_io io = {.in = NULL};
    assert_int_equal(kf_job_poll(before->stream, &io), KF_WANT_OUTPUT);
}

static bool refused(enum kf_code code, const struct kf_error *error)
{
    return code == KF_E_FORKED && error->code == KF_E_FORKED && error->text[0] != '\0';
}

static void unexpected(void *context, const struct kf_job_result *result)
{
    (void)result;
    ++*(unsigned *)context;
}

static bool child_is_refused(void *context)
{
    struct before_fork *before = context;
    struct kf_jobs *jobs = before->stage.jobs;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_io io = {.in = NULL};
    struct kf_job *job;
    unsigned called = 0;
    bool good = kf_jobs_deadline(jobs) == KF_NO_DEADLINE;
    good = good && refused(kf_jobs_run(jobs, &error), &error);
    error.code = KF_OK;
    good = good && refused(kf_jobs_encrypt(jobs, before->stage.cmm, NULL, kf_view_text("x"), unexpected,
                                           &called, &error, &job),
                           &error);
    error.code = KF_OK;
    good = good && refused(kf_jobs_decrypt(jobs, before->stage.cmm, NULL, kf_view_text("x"), unexpected,
                                           &called, &error, NULL),
                           &error);
    good = good && kf_job_poll(before->stream, &io) == KF_E_FORKED;
    good = good && kf_encryptor_error(before->encryptor)->code == KF_E_FORKED;
    kf_job_free(before->stream);
    kf_job_free(before->ready.job);
    good = good && refused(kf_jobs_run(jobs, &error), &error);
    kf_jobs_free(jobs);
    return good && called + before->fresh.called + before->waiting.called + before->ready.called == 0;
}

/* The child's own jobs work. */
static bool child_can_begin_anew(void *context)
{
    struct before_fork *before = context;
    kf_jobs_free(before->stage.jobs);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = support_cmm();
    struct kf_jobs *jobs;
    unsigned called = 0;
    bool good =
        kf_jobs_new(NULL, &error, &jobs) == KF_OK &&
        kf_jobs_encrypt(jobs, cmm, NULL, kf_view_text("x"), unexpected, &called, &error, NULL) == KF_OK &&
        kf_jobs_run(jobs, &error) == KF_OK && called == 1;
    kf_jobs_free(jobs);
    kf_cmm_unref(cmm);
    return good;
}

static void test_jobs_end_with_the_fork(void **state)
{
    (void)state;
    struct before_fork before;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_io io = {.in = NULL};
    memset(&before, 0, sizeof before);
    stage_open(&before.stage);
    caller_encrypt(&before.waiting, before.stage.jobs, before.stage.cmm, "waiting", 60000);
    caller_encrypt(&before.ready, before.stage.jobs, before.stage.cmm, "ready", 60000);
    assert_ok(kf_encryptor_new(before.stage.cmm, NULL, &error, &before.encryptor), &error);
    assert_ok(
        kf_jobs_encryptor_take(before.stage.jobs, before.encryptor, ready, &before, &error, &before.stream),
        &error);
    assert_run(before.stage.jobs, KF_PENDING);
    assert_int_equal(kf_job_poll(before.stream, &io), KF_PENDING);
    caller_encrypt(&before.fresh, before.stage.jobs, before.stage.cmm, "fresh", 0);
    told_answer(before.stage.told, 1, KF_OK);

    assert_true(support_in_child(child_is_refused, &before));
    assert_true(support_in_child(child_can_begin_anew, &before));

    told_answer_always(before.stage.told, true);
    told_answer_all(before.stage.told, KF_OK);
    assert_run(before.stage.jobs, KF_OK);
    assert_encrypted(&before.waiting, "waiting");
    assert_encrypted(&before.ready, "ready");
    assert_encrypted(&before.fresh, "fresh");
    caller_end(&before.waiting);
    caller_end(&before.ready);
    caller_end(&before.fresh);
    stage_close(&before.stage);
}

/* ---- A fork while the list of the ready is locked, and one from inside a callback ---- */

static struct {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool inside, leave;
} held_up = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void hold_up(void *context)
{
    (void)context;
    pthread_mutex_lock(&held_up.lock);
    held_up.inside = true;
    pthread_cond_broadcast(&held_up.changed);
    while (!held_up.leave)
        pthread_cond_wait(&held_up.changed, &held_up.lock);
    pthread_mutex_unlock(&held_up.lock);
}

static void *wake_all(void *told)
{
    told_wake_all(told);
    return NULL;
}

static bool free_in_child(void *context)
{
    kf_jobs_free(context);
    return true;
}

/* Another thread is inside the user's waker, from which the child has no way out. */
static void test_a_child_does_not_wait_for_a_waker_of_the_parent(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_jobs_options options = KF_JOBS_OPTIONS_INIT;
    struct kf_jobs *jobs;
    struct kf_cmm *cmm;
    struct told *told = told_new(&cmm);
    struct caller caller = {.called = 0};
    pthread_t thread;
    options.waker = (struct kf_waker){hold_up, NULL};
    held_up.leave = true; /* for the beginning of the job */
    assert_ok(kf_jobs_new(&options, &error, &jobs), &error);
    caller_encrypt(&caller, jobs, cmm, "x", 0);
    assert_run(jobs, KF_PENDING);
    held_up.inside = held_up.leave = false;
    assert_int_equal(pthread_create(&thread, NULL, wake_all, told), 0);
    pthread_mutex_lock(&held_up.lock);
    while (!held_up.inside)
        pthread_cond_wait(&held_up.changed, &held_up.lock);
    pthread_mutex_unlock(&held_up.lock);
    assert_true(support_in_child(free_in_child, jobs));
    pthread_mutex_lock(&held_up.lock);
    held_up.leave = true;
    pthread_cond_broadcast(&held_up.changed);
    pthread_mutex_unlock(&held_up.lock);
    pthread_join(thread, NULL);
    told_answer(told, 0, KF_OK);
    assert_run(jobs, KF_OK);
    assert_encrypted(&caller, "x");
    caller_end(&caller);
    kf_jobs_free(jobs);
    kf_cmm_unref(cmm);
    told_free(told);
}

static pid_t forked_inside;

static void fork_inside(struct caller *caller)
{
    (void)caller;
    forked_inside = fork();
}

static void test_a_callback_may_fork(void **state)
{
    (void)state;
    for (int frees = 0; frees < 2; frees++) {
        struct stage stage;
        struct caller callers[2];
        memset(callers, 0, sizeof callers);
        stage_open(&stage);
        told_answer_always(stage.told, true);
        callers[0].inside = fork_inside;
        for (size_t i = 0; i < 2; i++)
            caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", 0);
        struct kf_error error = KF_ERROR_INIT;
        const enum kf_code code = kf_jobs_run(stage.jobs, &error);
        if (forked_inside == 0) {
            kf_jobs_free(frees != 0 ? stage.jobs : NULL);
            _exit(refused(code, &error) && callers[1].called == 0 ? 0 : 1);
        }
        int status = 0;
        assert_int_equal(code, KF_OK);
        assert_true(forked_inside > 0);
        assert_int_equal(waitpid(forked_inside, &status, 0), forked_inside);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        for (size_t i = 0; i < 2; i++) {
            assert_encrypted(&callers[i], "x");
            caller_end(&callers[i]);
        }
        stage_close(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs_end_with_the_fork),
        cmocka_unit_test(test_a_child_does_not_wait_for_a_waker_of_the_parent),
        cmocka_unit_test(test_a_callback_may_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
