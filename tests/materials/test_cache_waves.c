/*
 * max_flights: so many fetches of one key at once, the others wait for their turn. The number of calls stays
 * exact, each wave begins as the one before lands, and whoever waits can be neither lost nor in the way.
 */
#include "support/asker.h"

#define ASKERS 60

static struct asker askers[ASKERS];

static struct kf_caching_cmm_options waves(uint64_t max_messages, uint64_t max_bytes, uint32_t max_flights)
{
    struct kf_caching_cmm_options options = caching_options(max_messages, max_bytes);
    options.max_flights = max_flights;
    return options;
}

/* Calls that were answered already. */
static bool answered[ASKERS];

static void open_scene(struct scene *scene, size_t capacity, const struct kf_caching_cmm_options *options)
{
    scene_open(scene, capacity, options);
    memset(answered, 0, sizeof answered);
}

/* The call of this number lands, and the one that may follow it begins: one stands in the thread's queue behind the other. */
static void land(struct scene *scene, unsigned index, enum kf_code code)
{
    answered[index] = true;
    scene_land(scene, index, code);
    support_settle();
}

/* The calls under way now land, and none that begins by that. */
static void land_all(struct scene *scene, enum kf_code code)
{
    const unsigned begun = told_begun(scene->told);
    for (unsigned i = 0; i < begun; i++) {
        if (!answered[i])
            land(scene, i, code);
    }
}

static void ask_all(struct scene *scene, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(asker_ask(&askers[i], scene->cmm, 1), KF_PENDING);
}

static void assert_exact(size_t count, size_t keys, size_t limit)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    const struct usage usage = askers_usage(askers, count);
    assert_int_equal(usage.keys, keys);
    assert_true(usage.most <= limit);
}

static void a_burst_takes_the_waves_that_the_limit_demands(void **state)
{
    (void)state;
    static const size_t capacities[] = {0, 1, 10};
    for (size_t c = 0; c < 3; c++) {
        for (uint32_t flights = 1; flights <= 7; flights++) {
            const struct kf_caching_cmm_options options = waves(10, KF_MAX_BYTES_LIMIT, flights);
            struct scene scene;
            open_scene(&scene, capacities[c], &options);
            ask_all(&scene, ASKERS); /* 6 calls */
            const unsigned calls = ASKERS / 10;
            unsigned done = 0, wave = 0;
            for (; done < calls; wave++) {
                const unsigned now = calls - done < flights ? calls - done : flights;
                assert_int_equal(told_in_flight(scene.told), now);
                done += now;
                assert_int_equal(told_begun(scene.told), done);
                assert_int_equal(scene_stats(&scene).waiting, now * 10);
                assert_int_equal(scene_stats(&scene).queued, ASKERS - done * 10);
                land_all(&scene, KF_OK);
            }
            assert_int_equal(wave, (calls + flights - 1) / flights);
            assert_exact(ASKERS, calls, 10);
            const struct kf_cache_stats stats = scene_stats(&scene);
            assert_int_equal(told_begun(scene.told), calls);
            assert_int_equal(stats.hits + stats.coalesced + stats.flights_opened, ASKERS);
            assert_int_equal(stats.waves, calls - (calls < flights ? calls : flights));
            assert_true(stats.queued == 0 && stats.waiting == 0);
            askers_leave(askers, ASKERS);
            scene_close(&scene);
        }
    }
}

static void a_flight_that_lands_first_lets_the_next_begin(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = waves(5, KF_MAX_BYTES_LIMIT, 2);
    struct scene scene;
    open_scene(&scene, 10, &options);
    ask_all(&scene, 20);
    land(&scene, 1, KF_OK); /* the second one */
    assert_int_equal(told_begun(scene.told), 3);
    assert_int_equal(told_in_flight(scene.told), 2);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(bell_rung(&askers[i].bell) > 0, i / 5 == 1);
    land_all(&scene, KF_OK);
    land_all(&scene, KF_OK);
    assert_exact(20, 4, 5);
    askers_leave(askers, 20);
    scene_close(&scene);
}

static void who_comes_later_waits_behind_or_takes_what_is_free(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = waves(5, KF_MAX_BYTES_LIMIT, 1);
    struct scene scene;
    open_scene(&scene, 10, &options);
    ask_all(&scene, 7); /* 5 and 2 */
    land_all(&scene, KF_OK);
    assert_int_equal(told_begun(scene.told), 2);
    for (size_t i = 7; i < 12; i++) /* 3 seats, and 2 turns */
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    assert_int_equal(scene_stats(&scene).queued, 2);
    land_all(&scene, KF_OK);
    land_all(&scene, KF_OK);
    assert_exact(12, 3, 5);
    assert_true(askers_share_key(&askers[5], &askers[9]));
    assert_true(askers_share_key(&askers[10], &askers[11]));
    assert_int_equal(asker_ask(&askers[12], scene.cmm, 1), KF_OK); /* a key with 3 left is there */
    askers_leave(askers, 13);
    scene_close(&scene);
}

static void leaving_the_line_or_a_seat_loses_nobody(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = waves(5, KF_MAX_BYTES_LIMIT, 1);
    struct scene scene;
    open_scene(&scene, 10, &options);
    ask_all(&scene, 20);
    for (size_t i = 5; i < 10; i++)
        asker_leave(&askers[i]); /* the front of the line */
    assert_int_equal(scene_stats(&scene).queued, 10);
    asker_leave(&askers[0]); /* its seat goes to the first who waits */
    assert_int_equal(scene_stats(&scene).queued, 9);
    assert_int_equal(scene_stats(&scene).waiting, 5);
    land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&askers[10]), KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    assert_true(askers_share_key(&askers[1], &askers[10]));
    assert_int_equal(told_in_flight(scene.told), 1);

    /* All who are seated leave: the flight lands all the same, and its key serves those who wait. */
    for (size_t i = 11; i < 16; i++)
        asker_leave(&askers[i]);
    assert_int_equal(scene_stats(&scene).queued, 0); /* 16 to 19 sit there now */
    land_all(&scene, KF_OK);
    for (size_t i = 16; i < 20; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    assert_int_equal(told_begun(scene.told), 2);
    askers_leave(askers, 20);
    scene_close(&scene);
}

static void everybody_may_leave_the_line(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = waves(5, KF_MAX_BYTES_LIMIT, 1);
    struct scene scene;
    open_scene(&scene, 10, &options);
    ask_all(&scene, 20);
    askers_leave(askers, 20);
    assert_true(scene_stats(&scene).queued == 0 && scene_stats(&scene).waiting == 0);
    land_all(&scene, KF_OK);
    assert_int_equal(told_begun(scene.told), 1);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_OK); /* its key is paid for, and there */
    asker_leave(&askers[0]);
    scene_close(&scene);
}

/* Answered without a flight of their own, out of a key that landed with room, they are charged at that moment. */
static void what_lands_with_room_serves_the_line_and_is_charged_for_it(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = waves(10, 1000, 1);
    struct scene scene;
    open_scene(&scene, 10, &options);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 600), KF_PENDING);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 500), KF_PENDING); /* waits: does not fit beside 600 */
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 500), KF_PENDING);
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 400), KF_PENDING); /* fits beside 600 */
    assert_int_equal(scene_stats(&scene).queued, 2);
    land_all(&scene, KF_OK);
    assert_int_equal(scene_stats(&scene).queued, 0); /* 500 and 500 */
    land_all(&scene, KF_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    assert_true(askers_share_key(&askers[0], &askers[3]));
    assert_true(askers_share_key(&askers[1], &askers[2]));
    askers_leave(askers, 4);

    /* The seated one whose place made him wait leaves; whoever is behind him never looks again. */
    kf_cache_clear(scene.cache);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 600), KF_PENDING);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 900), KF_PENDING);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 90), KF_PENDING); /* seated */
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 950), KF_PENDING);
    asker_leave(&askers[0]);
    assert_int_equal(scene_stats(&scene).queued, 1); /* 900 sits beside 90 */
    land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    assert_int_equal(asker_wait(&askers[2]), KF_OK);
    assert_true(askers_share_key(&askers[1], &askers[2]));
    land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&askers[3]), KF_OK);
    askers_leave(askers, 4);
    scene_close(&scene);
}

static void who_fits_does_not_wait_behind_one_who_does_not(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = waves(10, 1000, 1);
    struct scene scene;
    open_scene(&scene, 10, &options);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 600), KF_PENDING);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 350), KF_PENDING);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 900), KF_PENDING); /* waits */
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 90), KF_PENDING);  /* waits: does not fit beside 950 */
    asker_leave(&askers[1]);
    assert_int_equal(scene_stats(&scene).queued, 1); /* 90 has the room that 900 has no use for */
    land_all(&scene, KF_OK);
    assert_int_equal(told_begun(scene.told), 2); /* and 900 is passed by no landing */
    land_all(&scene, KF_OK);
    for (size_t i = 0; i < 4; i++) {
        if (i != 1)
            assert_int_equal(asker_wait(&askers[i]), KF_OK);
    }
    assert_true(askers_share_key(&askers[0], &askers[3]));
    assert_false(askers_share_key(&askers[0], &askers[2]));
    askers_leave(askers, 4);
    scene_close(&scene);
}

static void a_key_that_lands_empty_serves_the_line(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = waves(10, 1000, 1);
    struct kf_caching_cmm_options small_options = options;
    small_options.max_messages = 1;
    struct scene scene;
    open_scene(&scene, 10, &options);
    struct kf_cmm *small = scene_cmm(&scene, &small_options);
    /* The small CMM's limits close the flight for everybody; those who wait have room in nothing. */
    assert_int_equal(asker_ask(&askers[0], small, 1), KF_PENDING);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_PENDING);
    assert_int_equal(scene_stats(&scene).queued, 1);
    land_all(&scene, KF_OK);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 1), KF_PENDING); /* sits beside 1 */
    assert_int_equal(asker_ask(&askers[3], small, 1), KF_PENDING); /* used already: its turn comes later */
    asker_leave(&askers[1]);
    asker_leave(&askers[2]);
    assert_int_equal(scene_stats(&scene).queued, 0);
    land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    assert_int_equal(asker_wait(&askers[3]), KF_OK);
    assert_false(askers_share_key(&askers[0], &askers[3]));
    askers_leave(askers, 4);
    kf_cmm_unref(small);
    scene_close(&scene);
}

static void failures_stay_with_the_seated_and_the_line_moves_on(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = waves(5, KF_MAX_BYTES_LIMIT, 1);
    struct scene scene;
    open_scene(&scene, 10, &options);
    ask_all(&scene, 20);
    land_all(&scene, KF_E_RETRY);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_E_RETRY);
    land_all(&scene, KF_E_REMOTE);
    land_all(&scene, KF_E_SYSTEM); /* of the service's: the next one may have more luck */
    land_all(&scene, KF_OK);
    for (size_t i = 5; i < 10; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_E_REMOTE);
    for (size_t i = 10; i < 15; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_E_SYSTEM);
    for (size_t i = 15; i < 20; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    assert_int_equal(told_begun(scene.told), 4);
    askers_leave(askers, 20);
    scene_close(&scene);
}

static void each_wave_has_the_whole_time_of_a_fetch(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_caching_cmm_options options = waves(1, KF_MAX_BYTES_LIMIT, 1);
    options.fetch_timeout_ms = 100;
    struct scene scene;
    open_scene(&scene, 10, &options);
    ask_all(&scene, 3);
    support_clock_advance(100);
    support_settle();
    support_settle();
    assert_int_equal(asker_wait(&askers[0]), KF_E_TIMEOUT);
    support_clock_advance(99);
    support_settle();
    assert_int_equal(asker_poll(&askers[1]), KF_PENDING);
    land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    support_clock_advance(100);
    support_settle();
    support_settle();
    assert_int_equal(asker_wait(&askers[2]), KF_E_TIMEOUT);
    assert_int_equal(told_begun(scene.told), 3);
    askers_leave(askers, 3);
    scene_close(&scene);
    support_clock_real();
}

static void a_clearing_lets_the_line_wait_for_fresh_keys(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = waves(5, KF_MAX_BYTES_LIMIT, 1);
    struct scene scene;
    open_scene(&scene, 10, &options);
    ask_all(&scene, 3); /* two seats are free, and barred by this: */
    kf_cache_clear(scene.cache);
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 1), KF_PENDING);
    assert_int_equal(scene_stats(&scene).queued, 1);
    assert_int_equal(told_begun(scene.told), 1); /* still one at once */
    land_all(&scene, KF_OK);
    assert_int_equal(told_begun(scene.told), 2);
    land_all(&scene, KF_OK);
    assert_exact(4, 2, 5);
    assert_false(askers_share_key(&askers[0], &askers[3]));
    askers_leave(askers, 4);
    scene_close(&scene);
}

static void a_cleanup_fails_the_line_too(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = waves(5, KF_MAX_BYTES_LIMIT, 2);
    struct scene scene;
    open_scene(&scene, 10, &options);
    ask_all(&scene, 30);
    kf_cleanup();
    for (size_t i = 0; i < 30; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_E_CLEANED_UP);
    assert_true(scene_stats(&scene).queued == 0 && scene_stats(&scene).waiting == 0);
    assert_int_equal(told_begun(scene.told), 2);
    askers_leave(askers, 30);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_PENDING); /* usable again */
    land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    asker_leave(&askers[0]);
    scene_close(&scene);
}

/* A limit that another CMM on the same key does not have. */
static void who_has_no_limit_of_flights_does_not_wait(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = waves(1, KF_MAX_BYTES_LIMIT, 1),
                                        unlimited = waves(1, KF_MAX_BYTES_LIMIT, 0);
    struct scene scene;
    open_scene(&scene, 10, &unlimited);
    struct kf_cmm *patient = scene_cmm(&scene, &options);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_PENDING);
    assert_int_equal(asker_ask(&askers[1], patient, 1), KF_PENDING);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 2);
    land(&scene, 1, KF_OK); /* another one is still under way: it is the patient one's turn all the same */
    assert_int_equal(scene_stats(&scene).queued, 0);
    assert_int_equal(told_begun(scene.told), 3);
    land(&scene, 2, KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    land_all(&scene, KF_OK);
    assert_exact(3, 3, 1);
    askers_leave(askers, 3);
    kf_cmm_unref(patient);
    scene_close(&scene);
}

static bool child_starts_afresh(void *context)
{
    struct scene *scene = context;
    struct kf_buf message = KF_BUF_INIT;
    told_answer_always(scene->told, true);
    const enum kf_code code = kf_encrypt(scene->cmm, NULL, kf_view_text("child"), NULL, &message);
    kf_buf_free(&message);
    return code == KF_OK && scene_stats(scene).queued == 0;
}

static void a_child_has_no_line(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = waves(2, KF_MAX_BYTES_LIMIT, 1);
    struct scene scene;
    open_scene(&scene, 10, &options);
    ask_all(&scene, 6);
    assert_true(support_in_child(child_starts_afresh, &scene));
    for (int i = 0; i < 3; i++)
        land_all(&scene, KF_OK);
    assert_exact(6, 3, 2);
    askers_leave(askers, 6);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_takes_the_waves_that_the_limit_demands),
        cmocka_unit_test(a_flight_that_lands_first_lets_the_next_begin),
        cmocka_unit_test(who_comes_later_waits_behind_or_takes_what_is_free),
        cmocka_unit_test(leaving_the_line_or_a_seat_loses_nobody),
        cmocka_unit_test(everybody_may_leave_the_line),
        cmocka_unit_test(what_lands_with_room_serves_the_line_and_is_charged_for_it),
        cmocka_unit_test(who_fits_does_not_wait_behind_one_who_does_not),
        cmocka_unit_test(a_key_that_lands_empty_serves_the_line),
        cmocka_unit_test(failures_stay_with_the_seated_and_the_line_moves_on),
        cmocka_unit_test(each_wave_has_the_whole_time_of_a_fetch),
        cmocka_unit_test(a_clearing_lets_the_line_wait_for_fresh_keys),
        cmocka_unit_test(a_cleanup_fails_the_line_too),
        cmocka_unit_test(who_has_no_limit_of_flights_does_not_wait),
        cmocka_unit_test(a_child_has_no_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
