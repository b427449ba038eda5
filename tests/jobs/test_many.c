/*
 * Five thousand jobs on one thread: exact counts, and wakes from many threads while they are run and freed.
 */
#include "jobs/jobs_stage.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "support/keys_used.h"

#define JOBS 5000
#define THREADS 4

struct crowd {
    struct stage stage;
    struct kf_cache *cache;
    struct kf_cmm *caching;
    struct caller *callers;
};

static void crowd_open(struct crowd *crowd, size_t capacity, uint64_t max_messages)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    stage_open(&crowd->stage);
    assert_ok(kf_cache_new(capacity, &error, &crowd->cache), &error);
    options.cache = crowd->cache;
    options.cmm = crowd->stage.cmm;
    options.max_age_ms = 3600000;
    options.max_messages = max_messages;
    options.fetch_timeout_ms = 3600000;
    assert_ok(kf_caching_cmm_new(&options, &error, &crowd->caching), &error);
    crowd->callers = calloc(JOBS, sizeof *crowd->callers);
    for (size_t i = 0; i < JOBS; i++)
        caller_encrypt(&crowd->callers[i], crowd->stage.jobs, crowd->caching, "one of many", 600000);
    assert_run(crowd->stage.jobs, KF_PENDING);
}

/* Runs whenever the bell rings, until all are done. */
static void crowd_run(struct crowd *crowd)
{
    struct kf_error error = KF_ERROR_INIT;
    enum kf_code code;
    while ((code = kf_jobs_run(crowd->stage.jobs, &error)) == KF_PENDING)
        bell_wait(&crowd->stage.bell);
    assert_ok(code, &error);
}

static void crowd_close(struct crowd *crowd)
{
    for (size_t i = 0; i < JOBS; i++)
        caller_end(&crowd->callers[i]);
    free(crowd->callers);
    kf_cmm_unref(crowd->caching);
    kf_cache_unref(crowd->cache);
    stage_close(&crowd->stage);
}

/* How many keys the answered jobs were given, and the most uses of one. */
static size_t crowd_keys(const struct crowd *crowd, size_t *answered, size_t *most)
{
    struct key_trace *traces = calloc(JOBS, sizeof *traces);
    *answered = 0;
    for (size_t i = 0; i < JOBS; i++) {
        const struct caller *caller = &crowd->callers[i];
        assert_in_range(caller->called, 0, 1);
        if (caller->called == 1) {
            assert_ok(caller->code, &caller->error);
            traces[(*answered)++] = key_trace_of_message(kf_view_of(caller->out.data, caller->out.length));
        }
    }
    const size_t keys = key_traces_count(traces, *answered, most);
    free(traces);
    return keys;
}

static void a_burst_makes_the_calls_that_its_limit_demands(void **state)
{
    (void)state;
    static const struct {
        uint64_t limit;
        size_t capacity, calls;
    } bursts[] = {{1000, 100, 5}, {1000, 0, 5}, {999, 1, 6}, {7, 0, 715}};
    for (size_t i = 0; i < sizeof bursts / sizeof bursts[0]; i++) {
        struct crowd crowd;
        size_t answered, most;
        crowd_open(&crowd, bursts[i].capacity, bursts[i].limit);
        /* All that are needed are under way at once. */
        assert_int_equal(told_in_flight(crowd.stage.told), bursts[i].calls);
        bell_wait(&crowd.stage.bell);
        told_answer_all(crowd.stage.told, KF_OK);
        crowd_run(&crowd);
        assert_int_equal(told_begun(crowd.stage.told), bursts[i].calls);
        assert_int_equal(crowd_keys(&crowd, &answered, &most), bursts[i].calls);
        assert_int_equal(answered, JOBS);
        assert_int_equal(most, bursts[i].limit);
        crowd_close(&crowd);
    }
}

/* ---- Wakes from many threads ---- */

struct wakers {
    struct told *told;
    atomic_bool stop;
};

static void *wake_on(void *context)
{
    struct wakers *wakers = context;
    while (!atomic_load(&wakers->stop))
        told_wake_all(wakers->told);
    return NULL;
}

/* Each callback frees another job, at whatever stage that is. */
static void free_a_neighbour(struct caller *caller)
{
    struct caller *neighbour = caller + 1;
    if (neighbour->job != NULL && neighbour->called == 0) {
        kf_job_free(neighbour->job);
        neighbour->job = NULL;
    }
}

static void wakes_from_many_threads_do_not_disturb(void **state)
{
    (void)state;
    enum {
        COUNT = 300
    };
    struct stage stage;
    struct caller *callers = calloc(COUNT + 1, sizeof *callers);
    pthread_t threads[THREADS];
    stage_open(&stage);
    for (size_t i = 0; i < COUNT; i++) {
        caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", i % 2 == 0 ? 0 : 600000);
        callers[i].inside = i % 5 == 0 ? free_a_neighbour : NULL;
    }
    assert_run(stage.jobs, KF_PENDING);
    struct wakers wakers = {.told = stage.told};
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wake_on, &wakers), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        told_answer(stage.told, i, KF_OK);
        if (i % 10 == 0)
            assert_run(stage.jobs, KF_PENDING);
    }
    struct kf_error error = KF_ERROR_INIT;
    enum kf_code code;
    while ((code = kf_jobs_run(stage.jobs, &error)) == KF_PENDING)
        bell_wait(&stage.bell);
    assert_ok(code, &error);
    atomic_store(&wakers.stop, true);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(callers[i].called, callers[i].job == NULL ? 0 : 1);
        assert_true(callers[i].job != NULL || i % 5 == 1);
        caller_end(&callers[i]);
    }
    free(callers);
    stage_close(&stage);
}

/* A third gives up while the flights land on the internal thread. */
static void frees_against_landings(void **state)
{
    (void)state;
    struct crowd crowd;
    size_t answered, most;
    crowd_open(&crowd, 1, 100);
    assert_int_equal(told_begun(crowd.stage.told), 50);
    for (unsigned call = 0; call < 50; call++) {
        told_answer(crowd.stage.told, call, KF_OK);
        for (size_t i = call; i < JOBS; i += 150)
            if (crowd.callers[i].called == 0)
                kf_job_free(crowd.callers[i].job);
        if (call % 10 == 0)
            (void)!kf_jobs_run(crowd.stage.jobs, NULL);
    }
    crowd_run(&crowd);
    assert_true(crowd_keys(&crowd, &answered, &most) <= 50);
    assert_true(most <= 100);
    assert_true(answered > JOBS / 2 && answered < JOBS);
    crowd_close(&crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_makes_the_calls_that_its_limit_demands),
        cmocka_unit_test(wakes_from_many_threads_do_not_disturb),
        cmocka_unit_test(frees_against_landings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
