/*
 * Clocks that jump. Ages, deadlines and timers go by the time since the machine was started, in which it may have slept
 * for hours (CLOCK_BOOTTIME leaps); conditions wait by a clock that stood still meanwhile. The wall clock may be set
 * to anything: it decides nothing here. (Credentials of AWS, which do expire by it: aws/credentials_cache.)
 */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "base/waker.h"
#include "support/asker.h"
#include "support/client.h"
#include "support/ways.h"

#define NIGHT_MS ((uint64_t)8 * 3600 * 1000)

/* ---- The wall clock: the linker puts these in the place of the library's calls ---- */

int __real_clock_gettime(clockid_t id, struct timespec *out);
int __wrap_clock_gettime(clockid_t id, struct timespec *out);
time_t __wrap_time(time_t *out);

static atomic_int other_clocks; /* readings of clocks that a step could move */
static atomic_uint wall_readings;

int __wrap_clock_gettime(clockid_t id, struct timespec *out)
{
    if (id != CLOCK_BOOTTIME && id != CLOCK_MONOTONIC)
        atomic_fetch_add(&other_clocks, 1);
    return __real_clock_gettime(id, out);
}

/* It is set forwards and back by years, at each reading. */
time_t __wrap_time(time_t *out)
{
    const unsigned reading = atomic_fetch_add(&wall_readings, 1);
    const time_t now = (time_t)1700000000 + (reading % 2 == 0 ? 100000000 : -100000000);
    if (out != NULL)
        *out = now;
    return now;
}

static void a_wall_clock_that_is_set_changes_nothing(void **state)
{
    (void)state;
    char file[64];
    struct kf_error error = KF_ERROR_INIT;
    snprintf(file, sizeof file, "clock-%d.pem", (int)getpid());
    ways_open(file);
    for (unsigned way = 0; way < WAY_KMS; way++) {
        for (unsigned trip = 0; trip < 4; trip++)
            assert_ok(way_round_trip((enum ways)way, &error), &error);
    }
    assert_int_equal(atomic_load(&wall_readings), 0);
    for (unsigned trip = 0; trip < 4; trip++) /* its requests are dated by the wall clock */
        assert_ok(way_round_trip(WAY_KMS, &error), &error);
    assert_true(atomic_load(&wall_readings) > 0);
    assert_int_equal(atomic_load(&other_clocks), 0);
    ways_close();
}

/* ---- Nights ---- */

/* The machine sleeps. Nobody is woken by that, not even our thread. */
static void sleep_for_a_night(void)
{
    static uint64_t now = 1000000;
    now += NIGHT_MS;
    support_clock_stop(now);
}

static void wake_our_thread(void)
{
    kfi_thread_poke();
    support_settle();
}

static int set_up(void **state)
{
    (void)state;
    sleep_for_a_night();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    support_clock_real();
    return 0;
}

static void keys_are_too_old_behind_a_night(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, 1000);
    struct scene scene;
    struct asker before, after;
    scene_open(&scene, 10, &options);
    told_answer_always(scene.told, true);
    assert_int_equal(asker_ask(&before, scene.cmm, 1), KF_OK);
    sleep_for_a_night();
    assert_int_equal(asker_ask(&after, scene.cmm, 1), KF_OK);
    assert_false(askers_share_key(&before, &after));
    assert_int_equal(told_begun(scene.told), 2);
    asker_leave(&before);
    asker_leave(&after);
    scene_close(&scene);
}

/* Its age counts from the landing, so it is used. */
static void a_fetch_without_a_limit_goes_on(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(10, 1000);
    struct scene scene;
    struct asker askers[2];
    options.fetch_timeout_ms = UINT64_MAX;
    scene_open(&scene, 10, &options);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_PENDING);
    sleep_for_a_night();
    wake_our_thread();
    assert_int_equal(bell_rung(&askers[0].bell), 0);
    scene_land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_OK);
    assert_true(askers_share_key(&askers[0], &askers[1]));
    assert_int_equal(told_begun(scene.told), 1);
    askers_leave(askers, 2);
    scene_close(&scene);
}

struct caller {
    struct kf_cmm *cmm;
    uint64_t timeout_ms;
    enum kf_code code;
    struct kf_error error;
    pthread_t thread;
};

static void *encrypt_main(void *context)
{
    struct caller *caller = context;
    struct kf_buf message = KF_BUF_INIT;
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    options.timeout_ms = caller->timeout_ms;
    caller->code = kf_encrypt(caller->cmm, &options, kf_view_text("plaintext"), &caller->error, &message);
    kf_buf_free(&message);
    return NULL;
}

#define CALLERS 4

static void start_callers(struct scene *scene, struct caller *callers, uint64_t timeout_ms)
{
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){scene->cmm, timeout_ms, KF_PENDING, KF_ERROR_INIT, 0};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, encrypt_main, &callers[i]), 0);
    }
    while (scene_stats(scene).waiting < CALLERS)
        sched_yield();
    told_wait_begun(scene->told, CALLERS / 2);
}

static void assert_all_timed_out(struct caller *callers)
{
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].code, KF_E_TIMEOUT);
        assert_int_equal(callers[i].error.code, KF_E_TIMEOUT);
    }
}

/* Blocking callers wait without a deadline of their own; the flight's limit ends it. */
static void a_fetch_is_overdue_behind_a_night(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(2, 1000);
    struct scene scene;
    struct caller callers[CALLERS];
    options.fetch_timeout_ms = 10000;
    scene_open(&scene, 10, &options);
    start_callers(&scene, callers, 0);
    support_settle(); /* the fetches are with our thread */
    sleep_for_a_night();
    wake_our_thread();
    assert_all_timed_out(callers);
    assert_int_equal(scene_stats(&scene).waiting, 0);
    assert_int_equal(told_in_flight(scene.told), 0);

    struct asker asker;
    assert_int_equal(asker_ask(&asker, scene.cmm, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), CALLERS / 2 + 1); /* a new one */
    scene_land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&asker), KF_OK);
    asker_leave(&asker);
    scene_close(&scene);
}

/*
 * Their conditions wait by the clock that stood still. So a caller looks again after at most its own timeout in time
 * that the machine is awake, and then finds its deadline passed.
 */
static void deadlines_have_passed_behind_a_night(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(2, 1000);
    struct scene scene;
    struct caller callers[CALLERS];
    options.fetch_timeout_ms = UINT64_MAX;
    scene_open(&scene, 10, &options);
    start_callers(&scene, callers, 20);
    sleep_for_a_night();
    assert_all_timed_out(callers);
    assert_int_equal(told_in_flight(scene.told), CALLERS / 2); /* the fetches have no limit, and go on */
    scene_land_all(&scene, KF_OK);
    scene_close(&scene);
}

/* An event loop asks for the deadline when it wakes up. */
static void event_loops_find_their_deadlines_passed(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(2, 1000);
    struct kf_encrypt_options encrypt_options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encryptor *encryptor;
    struct kf_io nothing = {.in = NULL};
    struct scene scene;
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    encrypt_options.plaintext_bound = 1;
    encrypt_options.timeout_ms = 60000;
    scene_open(&scene, 10, &options);
    assert_ok(kf_encryptor_new(scene.cmm, &encrypt_options, &error, &encryptor), &error);
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &waker), KF_PENDING);
    assert_int_equal(kf_encryptor_deadline(encryptor), 60000);
    sleep_for_a_night();
    assert_int_equal(kf_encryptor_deadline(encryptor), 0);
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &waker), KF_E_TIMEOUT);
    kf_encryptor_free(encryptor);
    scene_close(&scene);
    bell_destroy(&bell);
}

static void note_code(void *code, const struct kf_job_result *result)
{
    *(enum kf_code *)code = result->code;
}

static void jobs_find_their_deadlines_passed(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(2, 1000);
    struct kf_encrypt_options encrypt_options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_jobs_options jobs_options = KF_JOBS_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    enum kf_code done = KF_PENDING;
    struct kf_jobs *jobs;
    struct scene scene;
    struct bell bell;
    bell_init(&bell);
    jobs_options.waker = bell_waker(&bell);
    jobs_options.max_run_ms = UINT64_MAX;
    encrypt_options.timeout_ms = 60000;
    scene_open(&scene, 10, &options);
    assert_ok(kf_jobs_new(&jobs_options, &error, &jobs), &error);
    assert_ok(
        kf_jobs_encrypt(jobs, scene.cmm, &encrypt_options, kf_view_text("x"), note_code, &done, &error, NULL),
        &error);
    assert_int_equal(kf_jobs_run(jobs, &error), KF_PENDING);
    assert_int_equal(kf_jobs_deadline(jobs), 60000);
    sleep_for_a_night();
    assert_int_equal(kf_jobs_deadline(jobs), 0);
    assert_int_equal(kf_jobs_run(jobs, &error), KF_OK);
    assert_int_equal(done, KF_E_TIMEOUT);
    kf_jobs_free(jobs);
    scene_close(&scene);
    bell_destroy(&bell);
}

/* Keyrings have themselves polled again by timers. All that were due in the night fire. */
static void timers_fire_behind_a_night(void **state)
{
    (void)state;
    enum {
        TIMERS = 100
    };
    static struct kfi_timer timers[TIMERS];
    struct kf_call_waker *places[TIMERS];
    struct bell bell;
    struct kf_error error = KF_ERROR_INIT;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    for (uint64_t i = 0; i < TIMERS; i++) {
        places[i] = kfi_waker_new();
        kfi_waker_set(places[i], &waker);
        assert_ok(kfi_timer_set(&timers[i], kfi_now_ms() + 1000 + i * NIGHT_MS / 50, places[i], &error),
                  &error);
    }
    wake_our_thread();
    assert_int_equal(bell_rung(&bell), 0);
    sleep_for_a_night();
    wake_our_thread();
    assert_int_equal(bell_rung(&bell), 50); /* of two nights */
    for (size_t i = 0; i < TIMERS; i++) {
        kfi_timer_cancel(&timers[i]);
        kfi_waker_set(places[i], NULL);
        kf_call_waker_unref(places[i]);
    }
    bell_destroy(&bell);
    kf_cleanup();
}

/* A pause behind failures is over, and what was fetched ahead is too old as well. */
static void pauses_and_parked_keys_end_in_a_night(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(10, 1000);
    struct scene scene;
    struct asker asker;
    options.failure_backoff_ms = 3600000;
    scene_open(&scene, 10, &options);
    asker_ask(&asker, scene.cmm, 1);
    scene_land_all(&scene, KF_E_RETRY);
    assert_int_equal(asker_wait(&asker), KF_E_RETRY);
    asker_leave(&asker);
    assert_int_equal(asker_ask(&asker, scene.cmm, 1), KF_E_RETRY); /* at once */
    asker_leave(&asker);
    sleep_for_a_night();
    told_answer_always(scene.told, true);
    assert_int_equal(asker_ask(&asker, scene.cmm, 1), KF_OK);
    asker_leave(&asker);
    scene_close(&scene);

    options = caching_options(10, 1000);
    options.refresh_ahead_permille = 999;
    scene_open(&scene, 10, &options);
    told_answer_always(scene.told, true);
    for (unsigned i = 0; i < 2; i++) { /* the second one has the next key fetched */
        assert_int_equal(asker_ask(&asker, scene.cmm, 1), KF_OK);
        asker_leave(&asker);
    }
    support_settle();
    assert_int_equal(scene_stats(&scene).parked, 1);
    const unsigned begun = told_begun(scene.told);
    sleep_for_a_night();
    assert_int_equal(asker_ask(&asker, scene.cmm, 1), KF_OK);
    assert_int_equal(told_begun(scene.told), begun + 1);
    asker_leave(&asker);
    scene_close(&scene);
}

#define night_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wall_clock_that_is_set_changes_nothing),
        night_test(keys_are_too_old_behind_a_night),
        night_test(a_fetch_without_a_limit_goes_on),
        night_test(a_fetch_is_overdue_behind_a_night),
        night_test(deadlines_have_passed_behind_a_night),
        night_test(event_loops_find_their_deadlines_passed),
        night_test(jobs_find_their_deadlines_passed),
        night_test(timers_fire_behind_a_night),
        night_test(pauses_and_parked_keys_end_in_a_night),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* the server's, by OpenSSL */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
