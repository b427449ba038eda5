/*
 * Deadlines: the next one of all jobs, and what becomes of those whose time is over.
 */
#include "jobs/jobs_stage.h"

#include <stdlib.h>
#include <string.h>

#define MANY 500

static void the_next_deadline_is_the_least_of_all(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct stage stage;
    struct caller callers[4];
    memset(callers, 0, sizeof callers);
    stage_open(&stage);
    assert_true(kf_jobs_deadline(stage.jobs) == KF_NO_DEADLINE);
    static const uint64_t timeouts[] = {50, 20, 0, 20};
    for (size_t i = 0; i < 4; i++)
        caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", timeouts[i]);
    assert_true(kf_jobs_deadline(stage.jobs) == KF_NO_DEADLINE); /* it counts from the first poll */
    support_clock_advance(500);
    assert_run(stage.jobs, KF_PENDING);
    assert_true(kf_jobs_deadline(stage.jobs) == 20);
    support_clock_advance(19);
    assert_true(kf_jobs_deadline(stage.jobs) == 1);
    told_wake_all(stage.told);
    assert_run(stage.jobs, KF_PENDING); /* another poll changes nothing */
    assert_true(kf_jobs_deadline(stage.jobs) == 1);
    assert_int_equal(callers[1].called, 0);

    const unsigned rung = bell_rung(&stage.bell);
    support_clock_advance(1);
    assert_true(kf_jobs_deadline(stage.jobs) == 0);
    assert_run(stage.jobs, KF_PENDING);
    assert_int_equal(bell_rung(&stage.bell), rung); /* the loop ran by itself */
    assert_int_equal(callers[1].code, KF_E_TIMEOUT);
    assert_int_equal(callers[3].code, KF_E_TIMEOUT);
    assert_int_equal(callers[0].called + callers[2].called, 0);
    assert_true(kf_jobs_deadline(stage.jobs) == 30);

    told_answer_all(stage.told, KF_OK);
    support_clock_advance(1000); /* due and ready: the answer counts */
    assert_run(stage.jobs, KF_OK);
    assert_true(kf_jobs_deadline(stage.jobs) == KF_NO_DEADLINE);
    assert_encrypted(&callers[0], "x");
    assert_encrypted(&callers[2], "x");
    for (size_t i = 0; i < 4; i++)
        caller_end(&callers[i]);
    stage_close(&stage);
    support_clock_real();
}

static void who_is_freed_has_no_deadline(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct stage stage;
    struct caller callers[3];
    memset(callers, 0, sizeof callers);
    stage_open(&stage);
    for (size_t i = 0; i < 3; i++)
        caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", 10 + 10 * i);
    assert_run(stage.jobs, KF_PENDING);
    assert_true(kf_jobs_deadline(stage.jobs) == 10);
    kf_job_free(callers[0].job);
    assert_true(kf_jobs_deadline(stage.jobs) == 20);
    kf_job_free(callers[2].job);
    assert_true(kf_jobs_deadline(stage.jobs) == 20);
    kf_job_free(callers[1].job);
    assert_true(kf_jobs_deadline(stage.jobs) == KF_NO_DEADLINE);
    assert_run(stage.jobs, KF_OK);
    stage_close(&stage);
    support_clock_real();
}

/* A few hundred deadlines in disorder, of which a third is answered and a third given up meanwhile. */
static void deadlines_come_in_order(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct stage stage;
    struct caller *callers = calloc(MANY, sizeof *callers);
    uint64_t timeouts[MANY];
    stage_open(&stage);
    for (unsigned i = 0; i < MANY; i++) {
        timeouts[i] = 10 + (i * 7919) % 997;
        caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", timeouts[i]);
    }
    assert_run(stage.jobs, KF_PENDING);
    for (unsigned i = 0; i < MANY; i++) {
        if (i % 3 == 1)
            told_answer(stage.told, i, KF_OK);
        else if (i % 3 == 2)
            kf_job_free(callers[i].job);
    }
    assert_run(stage.jobs, KF_PENDING);
    for (uint64_t ms = 0, next; (next = kf_jobs_deadline(stage.jobs)) != KF_NO_DEADLINE;) {
        assert_true(next > 0);
        support_clock_advance(next);
        ms += next;
        const enum kf_code code = kf_jobs_run(stage.jobs, NULL);
        assert_int_equal(code, kf_jobs_deadline(stage.jobs) == KF_NO_DEADLINE ? KF_OK : KF_PENDING);
        for (unsigned i = 0; i < MANY; i += 3) {
            assert_int_equal(callers[i].called, timeouts[i] <= ms ? 1 : 0);
            if (callers[i].called > 0)
                assert_int_equal(callers[i].code, KF_E_TIMEOUT);
        }
    }
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(callers[i].called, i % 3 == 2 ? 0 : 1);
        caller_end(&callers[i]);
    }
    free(callers);
    stage_close(&stage);
    support_clock_real();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_deadline_is_the_least_of_all),
        cmocka_unit_test(who_is_freed_has_no_deadline),
        cmocka_unit_test(deadlines_come_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
