/*
 * Freeing jobs, and all of them, at every stage and from every callback.
 */
#include "jobs/jobs_stage.h"

#include <string.h>

static void a_job_can_be_freed_at_every_stage(void **state)
{
    (void)state;
    struct stage stage;
    struct caller callers[3];
    memset(callers, 0, sizeof callers);
    stage_open(&stage);
    kf_job_free(NULL);

    /* Before its first poll: nothing was asked. */
    caller_encrypt(&callers[0], stage.jobs, stage.cmm, "x", 0);
    kf_job_free(callers[0].job);
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(told_begun(stage.told), 0);

    /* While it waits: what it asked for is dropped. */
    caller_encrypt(&callers[1], stage.jobs, stage.cmm, "x", 0);
    assert_run(stage.jobs, KF_PENDING);
    kf_job_free(callers[1].job);
    assert_int_equal(told_dropped(stage.told), 1);
    assert_run(stage.jobs, KF_OK);

    /* Once it is ready: the answer came too late. */
    caller_encrypt(&callers[2], stage.jobs, stage.cmm, "x", 0);
    assert_run(stage.jobs, KF_PENDING);
    told_answer(stage.told, 1, KF_OK);
    kf_job_free(callers[2].job);
    assert_run(stage.jobs, KF_OK);
    told_wake_all(stage.told);
    assert_run(stage.jobs, KF_OK);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(callers[i].called, 0);
    stage_close(&stage);
}

/* ---- From a callback ---- */

static void free_the_one_in_mind(struct caller *caller)
{
    struct caller *other = caller->what;
    kf_job_free(other->job);
}

/*
 * Four jobs are ready; the callback of the second frees one: itself (which does nothing), one whose turn
 * comes later in the run, one that was ready for the next run, one that waits.
 */
static void a_callback_may_free_any_job(void **state)
{
    (void)state;
    for (size_t victim = 1; victim < 4; victim++) {
        struct stage stage;
        struct caller callers[4];
        memset(callers, 0, sizeof callers);
        stage_open(&stage);
        for (size_t i = 0; i < 4; i++)
            caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", 0);
        assert_run(stage.jobs, KF_PENDING);
        for (unsigned i = 0; i < 3; i++)
            told_answer(stage.told, i, KF_OK);
        callers[1].inside = free_the_one_in_mind;
        callers[1].what = &callers[victim];
        assert_run(stage.jobs, victim == 3 ? KF_OK : KF_PENDING);
        for (size_t i = 0; i < 4; i++) {
            const bool answered = i < 3 && (i != victim || victim == 1);
            assert_int_equal(callers[i].called, answered ? 1 : 0);
            if (answered)
                assert_encrypted(&callers[i], "x");
            caller_end(&callers[i]);
        }
        stage_close(&stage);
    }
}

static void free_what_was_woken_meanwhile(struct caller *caller)
{
    struct stage *stage = caller->what;
    told_answer(stage->told, 1, KF_OK); /* ready for the next run, which is told behind this one */
    assert_int_equal(bell_rung(&stage->bell), 2);
    free_the_one_in_mind(&(struct caller){.what = &caller[1]});
}

static void a_callback_may_free_a_job_of_the_next_run(void **state)
{
    (void)state;
    struct stage stage;
    struct caller callers[2];
    memset(callers, 0, sizeof callers);
    stage_open(&stage);
    for (size_t i = 0; i < 2; i++)
        caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", 0);
    assert_run(stage.jobs, KF_PENDING);
    told_answer(stage.told, 0, KF_OK);
    callers[0].inside = free_what_was_woken_meanwhile;
    callers[0].what = &stage;
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(callers[0].called, 1);
    assert_int_equal(callers[1].called, 0);
    support_settle();
    assert_int_equal(bell_rung(&stage.bell), 2); /* nothing is left to tell */
    assert_run(stage.jobs, KF_OK);
    caller_end(&callers[0]);
    stage_close(&stage);
}

static void free_everything(struct caller *caller)
{
    struct stage *stage = caller->what;
    kf_jobs_free(stage->jobs);
    stage->jobs = NULL;
    /* From here on nobody wakes the loop. */
    const unsigned rung = bell_rung(&stage->bell);
    told_answer_all(stage->told, KF_OK);
    told_wake_all(stage->told);
    assert_int_equal(bell_rung(&stage->bell), rung);
}

static void a_callback_may_free_everything(void **state)
{
    (void)state;
    for (size_t way = 0; way < 3; way++) { /* of three that are ready, the first, the second, the last */
        struct stage stage;
        struct caller callers[4];
        memset(callers, 0, sizeof callers);
        stage_open(&stage);
        for (size_t i = 0; i < 4; i++)
            caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", 100);
        assert_run(stage.jobs, KF_PENDING);
        for (unsigned i = 0; i < 3; i++)
            told_answer(stage.told, i, KF_OK);
        callers[way].inside = free_everything;
        callers[way].what = &stage;
        assert_run(stage.jobs, KF_OK);
        assert_null(stage.jobs);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(callers[i].called, i <= way ? 1 : 0);
            caller_end(&callers[i]);
        }
        assert_int_equal(told_dropped(stage.told), 1); /* the one that was not answered */
        stage_close(&stage);
    }
}

static void a_callback_may_free_everything_while_a_run_blocks(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct stage stage;
    struct caller callers[2];
    memset(callers, 0, sizeof callers);
    stage_open(&stage);
    kf_jobs_free(stage.jobs);
    assert_ok(kf_jobs_new(NULL, &error, &stage.jobs), &error);
    told_answer_always(stage.told, true);
    callers[0].inside = free_everything;
    callers[0].what = &stage;
    for (size_t i = 0; i < 2; i++)
        caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", 0);
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(callers[0].called, 1);
    assert_int_equal(callers[1].called, 0);
    caller_end(&callers[0]);
    stage_close(&stage);
}

static void freeing_everything_cancels_what_waits(void **state)
{
    (void)state;
    struct stage stage;
    struct caller callers[4];
    memset(callers, 0, sizeof callers);
    stage_open(&stage);
    kf_jobs_free(NULL);
    for (size_t i = 0; i < 3; i++)
        caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", 100);
    assert_run(stage.jobs, KF_PENDING);
    caller_encrypt(&callers[3], stage.jobs, stage.cmm, "x", 100);
    told_answer(stage.told, 1, KF_OK);
    const unsigned rung = bell_rung(&stage.bell);
    kf_jobs_free(stage.jobs);
    stage.jobs = NULL;
    assert_int_equal(told_dropped(stage.told), 2);
    told_wake_all(stage.told);
    assert_int_equal(bell_rung(&stage.bell), rung);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(callers[i].called, 0);
    stage_close(&stage);
}

/* ---- While others wait for the same key ---- */

static void others_in_the_flight_are_not_held_up(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_cmm *caching;
    struct stage stage;
    struct caller callers[3];
    memset(callers, 0, sizeof callers);
    stage_open(&stage);
    assert_ok(kf_cache_new(0, &error, &options.cache), &error);
    options.cmm = stage.cmm;
    options.max_age_ms = 60000;
    options.max_messages = 10;
    assert_ok(kf_caching_cmm_new(&options, &error, &caching), &error);
    for (size_t i = 0; i < 3; i++)
        caller_encrypt(&callers[i], stage.jobs, caching, "x", 0);
    assert_run(stage.jobs, KF_PENDING);
    bell_wait(&stage.bell); /* forgets the beginning */
    assert_int_equal(told_begun(stage.told), 1);
    kf_job_free(callers[0].job); /* it opened the flight */
    kf_cmm_unref(caching);       /* jobs hold it */
    told_answer(stage.told, 0, KF_OK);
    bell_wait(&stage.bell);
    support_settle(); /* both callbacks were called; the jobs may have become ready one after the other */
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(callers[0].called, 0);
    for (size_t i = 1; i < 3; i++) {
        assert_encrypted(&callers[i], "x");
        caller_end(&callers[i]);
    }
    kf_cache_unref(options.cache);
    stage_close(&stage);
}

/* What is pending at kf_cleanup is answered. */
static void a_cleanup_answers_who_waits(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_cmm *caching;
    struct stage stage;
    struct caller caller = {.called = 0};
    stage_open(&stage);
    assert_ok(kf_cache_new(1, &error, &options.cache), &error);
    options.cmm = stage.cmm;
    options.max_age_ms = 60000;
    assert_ok(kf_caching_cmm_new(&options, &error, &caching), &error);
    caller_encrypt(&caller, stage.jobs, caching, "x", 0);
    assert_run(stage.jobs, KF_PENDING);
    kf_cleanup();
    assert_int_equal(caller.called, 0);
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(caller.called, 1);
    assert_int_equal(caller.code, KF_E_CLEANED_UP);
    kf_cmm_unref(caching);
    kf_cache_unref(options.cache);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_can_be_freed_at_every_stage),
        cmocka_unit_test(a_callback_may_free_any_job),
        cmocka_unit_test(a_callback_may_free_a_job_of_the_next_run),
        cmocka_unit_test(a_callback_may_free_everything),
        cmocka_unit_test(a_callback_may_free_everything_while_a_run_blocks),
        cmocka_unit_test(freeing_everything_cancels_what_waits),
        cmocka_unit_test(others_in_the_flight_are_not_held_up),
        cmocka_unit_test(a_cleanup_answers_who_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
