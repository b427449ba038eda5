/*
 * Backoff behind failures: for a growing and bounded time whoever would fetch gets the last error at once; who
 * can be answered without a fetch is answered.
 */
#include "support/asker.h"

#include <stdio.h>

static struct asker askers[40];

static struct kf_caching_cmm_options backing_off(uint64_t max_messages, uint64_t ms)
{
    struct kf_caching_cmm_options options = caching_options(max_messages, KF_MAX_BYTES_LIMIT);
    options.failure_backoff_ms = ms;
    return options;
}

/* Whether one who asks now begins a fetch, which is failed then; else he has got `code` at once. */
static bool tries(struct scene *scene, enum kf_code code)
{
    const unsigned begun = told_begun(scene->told);
    struct asker asker;
    const enum kf_code answer = asker_ask(&asker, scene->cmm, 1);
    const bool tried = told_begun(scene->told) > begun;
    assert_int_equal(answer, tried ? KF_PENDING : code);
    if (tried) {
        scene_land_all(scene, code);
        assert_int_equal(asker_wait(&asker), code);
    }
    assert_string_equal(asker.error.text, "The test told this call to fail.");
    asker_leave(&asker);
    return tried;
}

static void the_time_doubles_up_to_a_bound(void **state)
{
    (void)state;
    support_clock_stop(1000);
    const struct kf_caching_cmm_options options = backing_off(10, 100);
    struct scene scene;
    scene_open(&scene, 10, &options);
    assert_true(tries(&scene, KF_E_RETRY));
    static const uint64_t waits[] = {100, 200, 400, 800, 1600, 3200, 3200, 3200};
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        assert_false(tries(&scene, KF_E_RETRY));
        support_clock_advance(waits[i] - 1);
        assert_false(tries(&scene, KF_E_RETRY));
        support_clock_advance(1);
        assert_true(tries(&scene, KF_E_RETRY));
    }
    assert_int_equal(scene_stats(&scene).failed_fast, 16);
    assert_int_equal(scene_stats(&scene).flights_failed, 9);

    /* A success ends it: the next failure is the first again. */
    support_clock_advance(3200);
    told_answer_always(scene.told, true);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_OK);
        asker_leave(&askers[0]);
    }
    told_answer_always(scene.told, false);
    assert_true(tries(&scene, KF_E_REMOTE));
    support_clock_advance(99);
    assert_false(tries(&scene, KF_E_REMOTE));
    support_clock_advance(1);
    assert_true(tries(&scene, KF_E_REMOTE));
    scene_close(&scene);
    support_clock_real();
}

static void a_burst_that_fails_counts_once(void **state)
{
    (void)state;
    support_clock_stop(1000);
    const struct kf_caching_cmm_options options = backing_off(1, 100);
    struct scene scene;
    scene_open(&scene, 10, &options);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    for (unsigned i = 0; i < 20; i++)
        scene_land(&scene, i, KF_E_RETRY);
    askers_leave(askers, 20);
    support_clock_advance(99);
    assert_false(tries(&scene, KF_E_RETRY));
    support_clock_advance(1);
    assert_true(tries(&scene, KF_E_RETRY));
    scene_close(&scene);
    support_clock_real();
}

static void what_needs_no_fetch_is_answered(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_caching_cmm_options options = backing_off(3, 100);
    options.max_bytes = 100;
    struct scene scene;
    scene_open(&scene, 10, &options);
    told_answer_always(scene.told, true);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 10), KF_OK);
    told_answer_always(scene.told, false);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 95), KF_PENDING); /* two fetches for long messages */
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 96), KF_PENDING);
    scene_land(&scene, 1, KF_E_RETRY);
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 97), KF_E_RETRY);
    assert_int_equal(asker_ask(&askers[4], scene.cmm, 10), KF_OK);     /* a hit */
    assert_int_equal(asker_ask(&askers[5], scene.cmm, 10), KF_OK);     /* the last */
    assert_int_equal(asker_ask(&askers[6], scene.cmm, 4), KF_PENDING); /* a seat in what is under way */
    scene_land(&scene, 2, KF_OK);
    assert_int_equal(asker_wait(&askers[6]), KF_OK);
    assert_int_equal(asker_ask(&askers[7], scene.cmm, 97), KF_PENDING); /* that it landed ends the backoff */
    askers_leave(askers, 8);
    scene_close(&scene);
    support_clock_real();
}

static void each_key_has_its_own_and_each_cmm_its_choice(void **state)
{
    (void)state;
    support_clock_stop(1000);
    const struct kf_caching_cmm_options options = backing_off(10, 100), off = backing_off(10, 0);
    struct kf_caching_cmm_options others = options;
    others.partition_id = kf_view_text("others");
    struct scene scene;
    scene_open(&scene, 10, &options);
    struct kf_cmm *other = scene_cmm(&scene, &others), *eager = scene_cmm(&scene, &off);
    assert_true(tries(&scene, KF_E_RETRY));
    assert_int_equal(asker_ask(&askers[0], other, 1), KF_PENDING);
    assert_int_equal(asker_ask(&askers[1], eager, 1), KF_PENDING);
    askers_leave(askers, 2);
    kf_cmm_unref(other);
    kf_cmm_unref(eager);
    scene_close(&scene);
    support_clock_real();
}

static void clearing_and_cleaning_up_leave_no_backoff(void **state)
{
    (void)state;
    support_clock_stop(1000);
    const struct kf_caching_cmm_options options = backing_off(10, 100);
    struct scene scene;
    scene_open(&scene, 10, &options);
    assert_true(tries(&scene, KF_E_RETRY));
    kf_cache_clear(scene.cache);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_PENDING);
    kf_cleanup();
    assert_int_equal(asker_wait(&askers[0]), KF_E_CLEANED_UP);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_PENDING);
    kf_cache_clear(scene.cache); /* what was begun before it says nothing about afterwards */
    scene_land_all(&scene, KF_E_RETRY);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 1), KF_PENDING);
    askers_leave(askers, 3);
    scene_close(&scene);
    support_clock_real();
}

static void who_waits_for_a_turn_fails_with_the_fetch_before(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_caching_cmm_options options = backing_off(5, 100);
    options.max_flights = 1;
    struct scene scene;
    scene_open(&scene, 10, &options);
    for (size_t i = 0; i < 40; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    scene_land_all(&scene, KF_E_RETRY);
    for (size_t i = 0; i < 40; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_E_RETRY);
    assert_int_equal(told_begun(scene.told), 1);
    assert_int_equal(scene_stats(&scene).queued, 0);
    askers_leave(askers, 40);
    scene_close(&scene);
    support_clock_real();
}

static void a_failed_fetch_ahead_holds_back_too(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_caching_cmm_options options = backing_off(3, 100);
    options.refresh_ahead_permille = 400;
    struct scene scene;
    scene_open(&scene, 10, &options);
    told_answer_always(scene.told, true);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_OK);
    told_answer_always(scene.told, false);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_OK);
    scene_land_all(&scene, KF_E_RETRY);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 1), KF_OK);
    assert_false(tries(&scene, KF_E_RETRY));
    support_clock_advance(100);
    assert_true(tries(&scene, KF_E_RETRY));
    askers_leave(askers, 3);
    scene_close(&scene);
    support_clock_real();
}

static void nothing_is_fetched_ahead_behind_a_failure(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_caching_cmm_options options = backing_off(100, 100);
    options.refresh_ahead_permille = 500;
    options.max_bytes = 1000;
    struct scene scene;
    scene_open(&scene, 10, &options);
    told_answer_always(scene.told, true);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 450), KF_OK);
    told_answer_always(scene.told, false);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 900), KF_PENDING);
    scene_land_all(&scene, KF_E_RETRY);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 100), KF_OK);
    assert_int_equal(told_begun(scene.told), 2);
    assert_int_equal(scene_stats(&scene).refreshes, 0);
    askers_leave(askers, 3);
    scene_close(&scene);
    support_clock_real();
}

/* One who asks with the context {"key": number}. */
static enum kf_code ask_with(struct scene *scene, unsigned number)
{
    struct kf_encryption_request request = encryption_request(1);
    const struct kf_encryption_context *context;
    struct kf_error error = KF_ERROR_INIT;
    char value[16];
    snprintf(value, sizeof value, "%u", number);
    assert_ok(kf_encryption_context_of(&error, &context, "key", value, (char *)NULL), &error);
    request.encryption_context = context;
    const enum kf_code code = asker_encrypt(&askers[0], scene->cmm, &request);
    if (code == KF_PENDING)
        scene_land_all(scene, KF_E_RETRY);
    asker_leave(&askers[0]);
    kf_encryption_context_unref(context);
    return code;
}

/* Failures are remembered for a bounded number of keys; whoever asks for a forgotten one simply tries. */
static void the_memory_of_failures_is_bounded(void **state)
{
    (void)state;
    support_clock_stop(1000);
    const struct kf_caching_cmm_options options = backing_off(3, 100);
    struct scene scene;
    scene_open(&scene, 10, &options);
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(ask_with(&scene, i), KF_PENDING);
        assert_int_equal(ask_with(&scene, i), KF_E_RETRY);
    }
    assert_int_equal(ask_with(&scene, 100), KF_E_RETRY);
    assert_int_equal(ask_with(&scene, 0), KF_PENDING);
    scene_close(&scene);
    support_clock_real();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_time_doubles_up_to_a_bound),
        cmocka_unit_test(a_burst_that_fails_counts_once),
        cmocka_unit_test(what_needs_no_fetch_is_answered),
        cmocka_unit_test(each_key_has_its_own_and_each_cmm_its_choice),
        cmocka_unit_test(clearing_and_cleaning_up_leave_no_backoff),
        cmocka_unit_test(who_waits_for_a_turn_fails_with_the_fetch_before),
        cmocka_unit_test(a_failed_fetch_ahead_holds_back_too),
        cmocka_unit_test(nothing_is_fetched_ahead_behind_a_failure),
        cmocka_unit_test(the_memory_of_failures_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
