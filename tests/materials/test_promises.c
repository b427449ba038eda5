/*
 * The promises of the caching CMM, one interleaving at a time: a stopped clock, and a backing CMM that
 * answers when told.
 */
#include "support/asker.h"

static struct kf_caching_cmm_options limit(uint64_t max_messages)
{
    return caching_options(max_messages, KF_MAX_BYTES_LIMIT);
}

static void test_what_is_left_of_the_entry_counts_first(void **state)
{
    (void)state;
    struct scene scene;
    struct asker warm = {0}, burst[10] = {{0}};
    const struct kf_caching_cmm_options options = limit(5);
    scene_open(&scene, 100, &options);
    assert_int_equal(asker_ask(&warm, scene.cmm, 10), KF_PENDING);
    scene_land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&warm), KF_OK);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(asker_ask(&burst[i], scene.cmm, 10), i < 4 ? KF_OK : KF_PENDING);
    assert_int_equal(told_begun(scene.told), 3);
    scene_land_all(&scene, KF_OK);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(asker_wait(&burst[i]), KF_OK);
    const struct usage usage = askers_usage(burst, 10);
    assert_int_equal(usage.keys, 3);
    assert_int_equal(usage.most, 5);
    assert_int_equal(usage.least, 1);
    asker_leave(&warm);
    askers_leave(burst, 10);
    scene_close(&scene);
}

static void test_an_oversized_message_neither_charges_nor_evicts(void **state)
{
    (void)state;
    struct scene scene;
    struct asker first = {0}, big = {0}, small = {0}, bypass = {0};
    const struct kf_caching_cmm_options options = caching_options(5, 100);
    scene_open(&scene, 100, &options);
    assert_int_equal(asker_ask(&first, scene.cmm, 60), KF_PENDING);
    scene_land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&first), KF_OK);
    assert_int_equal(asker_ask(&big, scene.cmm, 41), KF_PENDING); /* 40 are left */
    assert_int_equal(asker_ask(&bypass, scene.cmm, 101), KF_PENDING);
    assert_int_equal(asker_ask(&small, scene.cmm, 40), KF_OK);
    assert_true(askers_share_key(&first, &small));
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_int_equal(stats.bypasses, 1);
    assert_int_equal(stats.flights_opened, 2);
    told_answer_all(scene.told, KF_OK);
    assert_int_equal(asker_wait(&big), KF_OK);
    assert_int_equal(asker_wait(&bypass), KF_OK);
    assert_false(askers_share_key(&first, &big));
    asker_leave(&first);
    asker_leave(&big);
    asker_leave(&small);
    asker_leave(&bypass);
    scene_close(&scene);
}

static void test_age_counts_from_the_landing_and_ends_on_the_dot(void **state)
{
    (void)state;
    struct scene scene;
    struct asker first = {0}, late = {0}, later = {0};
    const struct kf_caching_cmm_options options = limit(100);
    support_clock_stop(1000000);
    scene_open(&scene, 100, &options);
    assert_int_equal(asker_ask(&first, scene.cmm, 10), KF_PENDING);
    support_clock_advance(5000); /* during the flight */
    scene_land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&first), KF_OK);
    support_clock_advance(options.max_age_ms - 1);
    assert_int_equal(asker_ask(&late, scene.cmm, 10), KF_OK);
    support_clock_advance(1);
    assert_int_equal(asker_ask(&later, scene.cmm, 10), KF_PENDING);
    assert_int_equal(scene_stats(&scene).ended_age, 1);
    asker_leave(&first);
    asker_leave(&late);
    asker_leave(&later);
    scene_land_all(&scene, KF_OK);
    scene_close(&scene);
    support_clock_real();
}

static void test_a_failure_answers_its_seated_and_is_forgotten(void **state)
{
    (void)state;
    struct scene scene;
    struct asker failed[2] = {{0}}, later = {0};
    const struct kf_caching_cmm_options options = limit(2);
    scene_open(&scene, 100, &options);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(asker_ask(&failed[i], scene.cmm, 10), KF_PENDING);
    assert_int_equal(asker_ask(&later, scene.cmm, 10), KF_PENDING); /* the second flight */
    told_answer(scene.told, 0, KF_E_RETRY);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(asker_wait(&failed[i]), KF_E_RETRY);
        asker_leave(&failed[i]);
    }
    assert_int_equal(asker_poll(&later), KF_PENDING);
    told_answer(scene.told, 1, KF_OK);
    assert_int_equal(asker_wait(&later), KF_OK);
    assert_int_equal(scene_stats(&scene).flights_failed, 1);
    asker_leave(&later);
    scene_close(&scene);
}

static void test_whoever_leaves_holds_nobody_up(void **state)
{
    (void)state;
    struct scene scene;
    struct asker first = {0}, second = {0}, third = {0}, next = {0};
    const struct kf_caching_cmm_options options = limit(2);
    scene_open(&scene, 100, &options);
    assert_int_equal(asker_ask(&first, scene.cmm, 10), KF_PENDING);
    assert_int_equal(asker_ask(&second, scene.cmm, 10), KF_PENDING);
    asker_leave(&first); /* who opened it; the seat is free again */
    assert_int_equal(asker_ask(&third, scene.cmm, 10), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 1);
    asker_leave(&second);
    asker_leave(&third); /* nobody is seated, and the flight still lands, unused */
    assert_int_equal(scene_stats(&scene).waiting, 0);
    scene_land_all(&scene, KF_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(asker_ask(&next, scene.cmm, 10), KF_OK);
        asker_leave(&next);
    }
    assert_int_equal(told_begun(scene.told), 1);
    assert_int_equal(scene_stats(&scene).ended_messages, 1);
    scene_close(&scene);
}

/* Two requests that differ only in what the specification's identifier leaves out. */
static void test_other_questions_get_other_keys(void **state)
{
    (void)state;
    struct scene scene;
    const struct kf_caching_cmm_options options = limit(100);
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_encryption_context *context;
    const struct kf_view required = kf_view_text("a");
    assert_ok(kf_encryption_context_of(&error, &context, "a", "1", "b", "2", (char *)NULL), &error);
    scene_open(&scene, 100, &options);

    struct kf_encryption_request requests[4];
    for (size_t i = 0; i < 4; i++) {
        requests[i] = encryption_request(10);
        requests[i].encryption_context = context;
    }
    requests[1].commitment_policy = KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT;
    requests[2].max_edks = 3;
    requests[3].required_keys = &required;
    requests[3].required_key_count = 1;
    struct asker askers[8] = {{0}};
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(asker_encrypt(&askers[i], scene.cmm, &requests[i % 4]), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 4);
    scene_land_all(&scene, KF_OK);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    for (size_t i = 0; i < 4; i++)
        assert_true(askers_share_key(&askers[i], &askers[i + 4]));
    assert_int_equal(askers_usage(askers, 8).keys, 4);
    askers_leave(askers, 8);
    kf_encryption_context_unref(context);
    scene_close(&scene);
}

static void test_the_least_limits_of_those_who_used_a_key_hold(void **state)
{
    (void)state;
    struct scene scene;
    const struct kf_caching_cmm_options wide = limit(10), narrow = limit(3);
    scene_open(&scene, 100, &wide);
    struct kf_cmm *narrow_cmm = scene_cmm(&scene, &narrow);
    struct asker askers[4] = {{0}};
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 10), KF_PENDING);
    scene_land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    assert_int_equal(asker_ask(&askers[1], narrow_cmm, 10), KF_OK);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 10), KF_OK); /* the third use, which ends the key */
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 10), KF_PENDING);
    assert_int_equal(scene_stats(&scene).ended_messages, 1);
    askers_leave(askers, 4);
    scene_land_all(&scene, KF_OK);
    kf_cmm_unref(narrow_cmm);
    scene_close(&scene);
}

static void test_clearing_bars_open_flights(void **state)
{
    (void)state;
    struct scene scene;
    struct asker seated = {0}, left = {0}, later = {0};
    const struct kf_caching_cmm_options options = limit(5);
    scene_open(&scene, 100, &options);
    assert_int_equal(asker_ask(&seated, scene.cmm, 10), KF_PENDING);
    assert_int_equal(asker_ask(&left, scene.cmm, 10), KF_PENDING);
    kf_cache_clear(scene.cache);
    asker_leave(&left);
    assert_int_equal(asker_ask(&later, scene.cmm, 10), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 2);
    told_answer(scene.told, 0, KF_OK);
    assert_int_equal(asker_wait(&seated), KF_OK);
    assert_int_equal(scene_stats(&scene).entries, 0);
    assert_int_equal(scene_stats(&scene).ended_cleared, 1);
    told_answer(scene.told, 1, KF_OK);
    assert_int_equal(asker_wait(&later), KF_OK);
    assert_int_equal(scene_stats(&scene).entries, 1);
    asker_leave(&seated);
    asker_leave(&later);
    scene_close(&scene);
}

static void test_a_second_caching_cmm_around_the_first_is_refused(void **state)
{
    (void)state;
    struct kf_cmm *inner = support_cmm(), *first, *second;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options options = limit(5);
    assert_ok(kf_cache_new(10, &error, &options.cache), &error);
    options.cmm = inner;
    assert_ok(kf_caching_cmm_new(&options, &error, &first), &error);
    options.partition_id = kf_view_text("outer");
    options.cmm = first;
    assert_ok(kf_caching_cmm_new(&options, &error, &second), &error);
    struct kf_buf message = KF_BUF_INIT;
    assert_int_equal(kf_encrypt(second, NULL, kf_view_text("x"), &error, &message), KF_E_USAGE);
    assert_int_equal(kf_encrypt(first, NULL, kf_view_text("x"), &error, &message), KF_OK);
    kf_buf_free(&message);
    kf_cmm_unref(second);
    kf_cmm_unref(first);
    kf_cmm_unref(inner);
    kf_cache_unref(options.cache);
}

static void test_cleaning_up_fails_what_is_pending(void **state)
{
    (void)state;
    struct scene scene;
    struct asker waiting = {0}, again = {0};
    const struct kf_caching_cmm_options options = limit(5);
    scene_open(&scene, 100, &options);
    assert_int_equal(asker_ask(&waiting, scene.cmm, 10), KF_PENDING);
    kf_cleanup();
    assert_int_equal(asker_wait(&waiting), KF_E_CLEANED_UP);
    assert_int_equal(asker_ask(&again, scene.cmm, 10), KF_PENDING);
    scene_land(&scene, 1, KF_OK);
    assert_int_equal(asker_wait(&again), KF_OK);
    asker_leave(&waiting);
    asker_leave(&again);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_left_of_the_entry_counts_first),
        cmocka_unit_test(test_an_oversized_message_neither_charges_nor_evicts),
        cmocka_unit_test(test_age_counts_from_the_landing_and_ends_on_the_dot),
        cmocka_unit_test(test_a_failure_answers_its_seated_and_is_forgotten),
        cmocka_unit_test(test_whoever_leaves_holds_nobody_up),
        cmocka_unit_test(test_other_questions_get_other_keys),
        cmocka_unit_test(test_the_least_limits_of_those_who_used_a_key_hold),
        cmocka_unit_test(test_clearing_bars_open_flights),
        cmocka_unit_test(test_a_second_caching_cmm_around_the_first_is_refused),
        cmocka_unit_test(test_cleaning_up_fails_what_is_pending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
