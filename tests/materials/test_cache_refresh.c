/*
 * Refresh ahead: when the next key is fetched, that it stays parked while the entry lives, and that it costs at
 * most one call for each key.
 */
#include "support/asker.h"

#define MINUTE 60000

static struct asker askers[40];

static struct kf_caching_cmm_options ahead(uint64_t max_messages, uint64_t max_bytes, uint32_t permille)
{
    struct kf_caching_cmm_options options = caching_options(max_messages, max_bytes);
    options.refresh_ahead_permille = permille;
    return options;
}

/* Asks and lands at once. */
static void ask_now(struct scene *scene, struct asker *asker, uint64_t length)
{
    told_answer_always(scene->told, true);
    assert_int_equal(asker_ask(asker, scene->cmm, length), KF_OK);
    told_answer_always(scene->told, false);
}

static void the_next_key_is_fetched_once_and_parked_until_this_one_is_used_up(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = ahead(10, KF_MAX_BYTES_LIMIT, 300);
    struct scene scene;
    scene_open(&scene, 10, &options);
    ask_now(&scene, &askers[0], 1);
    for (size_t i = 1; i < 6; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_OK);
    assert_int_equal(told_begun(scene.told), 1); /* 4 of 10 left */
    assert_int_equal(asker_ask(&askers[6], scene.cmm, 1), KF_OK);
    assert_int_equal(told_begun(scene.told), 2); /* 3 of 10: now, and whoever asked did not wait for it */
    assert_int_equal(asker_ask(&askers[7], scene.cmm, 1), KF_OK);
    assert_int_equal(told_begun(scene.told), 2);

    scene_land(&scene, 1, KF_OK);
    struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.parked == 1 && stats.entries == 1 && stats.refreshes == 1 && stats.flights_opened == 2);
    for (size_t i = 8; i < 10; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_OK);
    for (size_t i = 1; i < 10; i++)
        assert_true(askers_share_key(&askers[0], &askers[i])); /* all ten, though another lay ready */

    assert_int_equal(asker_ask(&askers[10], scene.cmm, 1), KF_OK); /* without a wait */
    assert_false(askers_share_key(&askers[0], &askers[10]));
    stats = scene_stats(&scene);
    assert_true(stats.parked == 0 && stats.entries == 1 && stats.ended_messages == 1);
    assert_true(stats.hits == 10 && told_begun(scene.told) == 2);
    askers_leave(askers, 11);
    scene_close(&scene);
}

static void bytes_and_age_count_as_messages_do(void **state)
{
    (void)state;
    support_clock_stop(1000);
    const struct kf_caching_cmm_options options = ahead(1000, 1000, 100);
    struct scene scene;
    scene_open(&scene, 10, &options);
    ask_now(&scene, &askers[0], 899);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 0), KF_OK);
    assert_int_equal(told_begun(scene.told), 1); /* 101 of 1000 bytes left */
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 1), KF_OK);
    assert_int_equal(told_begun(scene.told), 2);
    scene_land_all(&scene, KF_OK);

    kf_cache_clear(scene.cache);
    assert_int_equal(scene_stats(&scene).parked, 0);
    assert_int_equal(scene_stats(&scene).ended_cleared, 2);
    ask_now(&scene, &askers[3], 1);
    support_clock_advance(MINUTE / 10 * 9 - 1);
    assert_int_equal(asker_ask(&askers[4], scene.cmm, 1), KF_OK);
    assert_int_equal(told_begun(scene.told), 3);
    support_clock_advance(1); /* a tenth of its time left */
    assert_int_equal(asker_ask(&askers[5], scene.cmm, 1), KF_OK);
    assert_int_equal(told_begun(scene.told), 4);
    askers_leave(askers, 6);
    scene_close(&scene);
    support_clock_real();
}

static void a_parked_key_ages_from_its_landing(void **state)
{
    (void)state;
    support_clock_stop(1000);
    const struct kf_caching_cmm_options options = ahead(100, KF_MAX_BYTES_LIMIT, 500);
    struct scene scene;
    scene_open(&scene, 10, &options);
    ask_now(&scene, &askers[0], 1);
    support_clock_advance(MINUTE / 2);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_OK);
    scene_land(&scene, 1, KF_OK); /* parked at half the time of the first */
    support_clock_advance(MINUTE / 2);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 1), KF_OK); /* the first one has expired */
    assert_false(askers_share_key(&askers[0], &askers[2]));
    assert_true(scene_stats(&scene).ended_age == 1 && scene_stats(&scene).parked == 0);
    assert_int_equal(told_begun(scene.told), 3); /* it is half through its own time: the next one */
    scene_land(&scene, 2, KF_E_RETRY);
    support_clock_advance(MINUTE / 2 - 1);
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 1), KF_OK);
    assert_true(askers_share_key(&askers[2], &askers[3]));
    support_clock_advance(1);
    assert_int_equal(asker_ask(&askers[4], scene.cmm, 1), KF_PENDING);
    assert_int_equal(scene_stats(&scene).ended_age, 2);
    askers_leave(askers, 5);
    scene_close(&scene);
    support_clock_real();
}

static void both_may_expire_in_their_places(void **state)
{
    (void)state;
    support_clock_stop(1000);
    const struct kf_caching_cmm_options options = ahead(100, KF_MAX_BYTES_LIMIT, 500);
    struct scene scene;
    scene_open(&scene, 10, &options);
    ask_now(&scene, &askers[0], 1);
    support_clock_advance(MINUTE / 2);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_OK);
    scene_land(&scene, 1, KF_OK);
    support_clock_advance(MINUTE);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 1), KF_PENDING);
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.ended_age == 2 && stats.parked == 0 && stats.entries == 0);
    askers_leave(askers, 3);
    scene_close(&scene);
    support_clock_real();
}

static void who_finds_the_key_used_up_joins_the_fetch_ahead(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = ahead(4, KF_MAX_BYTES_LIMIT, 250);
    struct scene scene;
    scene_open(&scene, 10, &options);
    ask_now(&scene, &askers[0], 1);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_OK);
    assert_int_equal(told_begun(scene.told), 2);
    for (size_t i = 4; i < 9; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 3); /* four of them sit in it; the fifth needed one of his own */
    scene_land_all(&scene, KF_OK);
    for (size_t i = 4; i < 9; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    const struct usage usage = askers_usage(askers, 9);
    assert_true(usage.keys == 3 && usage.most == 4);
    assert_int_equal(scene_stats(&scene).parked, 0);
    askers_leave(askers, 9);
    scene_close(&scene);
}

static void a_fetch_ahead_that_fails_is_not_repeated_and_fails_nobody(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = ahead(10, KF_MAX_BYTES_LIMIT, 500);
    struct scene scene;
    scene_open(&scene, 10, &options);
    ask_now(&scene, &askers[0], 1);
    for (size_t i = 1; i < 5; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_OK);
    scene_land(&scene, 1, KF_E_RETRY);
    for (size_t i = 5; i < 10; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_OK);
    assert_int_equal(told_begun(scene.told), 2);
    assert_int_equal(asker_ask(&askers[10], scene.cmm, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 3);
    assert_int_equal(scene_stats(&scene).refreshes, 1);
    askers_leave(askers, 11);
    scene_close(&scene);
}

static void nothing_is_fetched_ahead_beside_a_flight_with_room(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = ahead(100, 1000, 500);
    struct scene scene;
    scene_open(&scene, 10, &options);
    ask_now(&scene, &askers[0], 450);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 900), KF_PENDING); /* will bring a key anyhow */
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 100), KF_OK);
    assert_int_equal(told_begun(scene.told), 2);
    assert_int_equal(scene_stats(&scene).refreshes, 0);
    askers_leave(askers, 3);
    scene_close(&scene);
}

static void what_does_not_fit_takes_the_parked_key_only_if_that_is_the_better_one(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = ahead(100, 1000, 500);
    struct scene scene;
    scene_open(&scene, 10, &options);
    ask_now(&scene, &askers[0], 500);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 100), KF_OK); /* 400 left */
    scene_land(&scene, 1, KF_OK);
    assert_int_equal(scene_stats(&scene).parked, 1);

    /* 700 would leave the parked one 300: it stays parked, and the entry stays too (P7). */
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 700), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 3);
    assert_int_equal(scene_stats(&scene).parked, 1);
    scene_land(&scene, 2, KF_OK);
    assert_int_equal(asker_wait(&askers[2]), KF_OK);
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 10), KF_OK);
    assert_true(askers_share_key(&askers[0], &askers[3])); /* 390 left */

    /* 500 leaves it 500: as if its flight landed now, it takes the place. */
    assert_int_equal(asker_ask(&askers[4], scene.cmm, 500), KF_OK);
    assert_false(askers_share_key(&askers[0], &askers[4]));
    assert_false(askers_share_key(&askers[2], &askers[4]));
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.parked == 0 && stats.entries == 1 && stats.ended_replaced == 2);
    askers_leave(askers, 5);
    scene_close(&scene);
}

static void a_key_that_loses_its_place_takes_the_parked_one_along(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = ahead(10, KF_MAX_BYTES_LIMIT, 999);
    struct scene scene;
    scene_open(&scene, 1, &options);
    struct kf_caching_cmm_options others = options;
    others.partition_id = kf_view_text("others");
    struct kf_cmm *other = scene_cmm(&scene, &others);
    ask_now(&scene, &askers[0], 1);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_OK);
    scene_land(&scene, 1, KF_OK);
    assert_int_equal(scene_stats(&scene).parked, 1);
    told_answer_always(scene.told, true);
    assert_int_equal(asker_ask(&askers[2], other, 1), KF_OK);
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.parked == 0 && stats.entries == 1 && stats.ended_capacity == 2);
    askers_leave(askers, 3);
    kf_cmm_unref(other);
    scene_close(&scene);
}

static void a_clearing_bars_the_fetch_ahead(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = ahead(10, KF_MAX_BYTES_LIMIT, 999);
    struct scene scene;
    scene_open(&scene, 10, &options);
    ask_now(&scene, &askers[0], 1);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_OK);
    kf_cache_clear(scene.cache);
    scene_land_all(&scene, KF_OK);
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.parked == 0 && stats.entries == 0 && stats.ended_cleared == 2);
    askers_leave(askers, 2);
    scene_close(&scene);
}

static void keys_for_decryption_are_fetched_ahead_by_age(void **state)
{
    (void)state;
    support_clock_stop(1000);
    const struct kf_caching_cmm_options options = ahead(10, KF_MAX_BYTES_LIMIT, 100);
    struct scene scene;
    scene_open(&scene, 10, &options);
    ask_now(&scene, &askers[0], 1);
    const struct kf_edk edk = kf_encryption_materials_edk(askers[0].encryption_materials, 0);
    const struct kf_decryption_request request = decryption_request(&edk, 1);
    told_answer_always(scene.told, true);
    assert_int_equal(asker_decrypt(&askers[1], scene.cmm, &request), KF_OK);
    told_answer_always(scene.told, false);
    support_clock_advance(MINUTE / 10 * 9);
    assert_int_equal(asker_decrypt(&askers[2], scene.cmm, &request), KF_OK);
    assert_int_equal(told_begun(scene.told), 3);
    scene_land_all(&scene, KF_OK);
    assert_int_equal(scene_stats(&scene).parked, 1);
    support_clock_advance(MINUTE / 10);
    assert_int_equal(asker_decrypt(&askers[3], scene.cmm, &request), KF_OK);
    assert_int_equal(told_begun(scene.told), 3);
    askers_leave(askers, 4);
    scene_close(&scene);
    support_clock_real();
}

static void the_cache_may_go_with_a_parked_key_and_a_fetch_ahead(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = ahead(10, KF_MAX_BYTES_LIMIT, 999);
    for (int landed = 0; landed < 2; landed++) {
        struct scene scene;
        scene_open(&scene, 10, &options);
        ask_now(&scene, &askers[0], 1);
        assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_OK);
        if (landed)
            scene_land_all(&scene, KF_OK);
        askers_leave(askers, 2);
        kf_cmm_unref(scene.cmm);
        kf_cache_unref(scene.cache);
        scene.cmm = NULL;
        scene.cache = NULL;
        scene_close(&scene); /* a leak would show here */
    }
}

static void options_are_checked(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = ahead(10, 1000, 1000);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *backing = support_cmm(), *cmm;
    options.cmm = backing;
    assert_ok(kf_cache_new(1, &error, &options.cache), &error);
    assert_int_equal(kf_caching_cmm_new(&options, &error, &cmm), KF_E_USAGE);
    assert_non_null(strstr(error.text, "refresh_ahead_permille"));
    kf_cache_unref(options.cache);
    kf_cmm_unref(backing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_key_is_fetched_once_and_parked_until_this_one_is_used_up),
        cmocka_unit_test(bytes_and_age_count_as_messages_do),
        cmocka_unit_test(a_parked_key_ages_from_its_landing),
        cmocka_unit_test(both_may_expire_in_their_places),
        cmocka_unit_test(who_finds_the_key_used_up_joins_the_fetch_ahead),
        cmocka_unit_test(a_fetch_ahead_that_fails_is_not_repeated_and_fails_nobody),
        cmocka_unit_test(nothing_is_fetched_ahead_beside_a_flight_with_room),
        cmocka_unit_test(what_does_not_fit_takes_the_parked_key_only_if_that_is_the_better_one),
        cmocka_unit_test(a_key_that_loses_its_place_takes_the_parked_one_along),
        cmocka_unit_test(a_clearing_bars_the_fetch_ahead),
        cmocka_unit_test(keys_for_decryption_are_fetched_ahead_by_age),
        cmocka_unit_test(the_cache_may_go_with_a_parked_key_and_a_fetch_ahead),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
