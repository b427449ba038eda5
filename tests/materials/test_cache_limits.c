/*
 * Limits of a key that is kept: its age, what a refusal does to it (P7), CMMs of different limits on one
 * cache, and which of two keys stays.
 */
#include "support/asker.h"

#define MINUTE 60000

static struct asker askers[40];

/* Asks and lands at once: a new key, or a hit. */
static void ask_now(struct scene *scene, struct asker *asker, struct kf_cmm *cmm, uint64_t length)
{
    told_answer_always(scene->told, true);
    assert_int_equal(asker_ask(asker, cmm, length), KF_OK);
    told_answer_always(scene->told, false);
}

/*
 * Whether this question is answered by a key that is there. If not, what was begun for it is given up and
 * lands.
 */
static bool hits(struct scene *scene, struct kf_cmm *cmm, uint64_t length)
{
    struct asker asker;
    const uint64_t before = scene_stats(scene).hits;
    const bool answered = asker_ask(&asker, cmm, length) == KF_OK;
    assert_int_equal(scene_stats(scene).hits - before, answered ? 1 : 0);
    asker_leave(&asker);
    if (!answered)
        scene_land_all(scene, KF_E_RETRY);
    return answered;
}

/* ---- Age ---- */

static void a_key_expires_exactly_at_its_age(void **state)
{
    (void)state;
    support_clock_stop(1000);
    const struct kf_caching_cmm_options options = caching_options(100, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, 10, &options);
    ask_now(&scene, &askers[0], scene.cmm, 1);
    assert_true(hits(&scene, scene.cmm, 1));
    support_clock_advance(MINUTE - 1);
    assert_true(hits(&scene, scene.cmm, 1));
    assert_int_equal(scene_stats(&scene).entries, 1);
    support_clock_advance(1);
    assert_false(hits(&scene, scene.cmm, 1));
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_int_equal(stats.ended_age, 1);
    assert_int_equal(stats.entries, 0);
    ask_now(&scene, &askers[1], scene.cmm, 1);
    assert_false(askers_share_key(&askers[0], &askers[1]));
    assert_true(hits(&scene, scene.cmm, 1));
    askers_leave(askers, 2);
    scene_close(&scene);
    support_clock_real();
}

static void age_counts_from_the_landing(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_caching_cmm_options options = caching_options(100, KF_MAX_BYTES_LIMIT);
    options.max_age_ms = 100;
    options.fetch_timeout_ms = UINT64_MAX;
    struct scene scene;
    scene_open(&scene, 10, &options);
    /* The flight takes longer than a key may live; its seats stay open all the while. */
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_PENDING);
    support_clock_advance(5000);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 1);
    scene_land(&scene, 0, KF_OK);
    support_clock_advance(99);
    assert_true(hits(&scene, scene.cmm, 1));

    /* Those who were seated are served however late they look. */
    support_clock_advance(100000);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    assert_true(askers_share_key(&askers[0], &askers[1]));
    assert_false(hits(&scene, scene.cmm, 1));
    askers_leave(askers, 2);
    scene_close(&scene);
    support_clock_real();
}

static void a_key_that_expires_while_another_is_fetched_makes_room(void **state)
{
    (void)state;
    support_clock_stop(1000);
    const struct kf_caching_cmm_options options = caching_options(10, 100);
    struct scene scene;
    scene_open(&scene, 10, &options);
    ask_now(&scene, &askers[0], scene.cmm, 10);                         /* 9 of 10 left, 90 of 100 */
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 95), KF_PENDING); /* does not fit there */
    support_clock_advance(MINUTE);                                      /* the first one has expired */
    scene_land(&scene, 1, KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.ended_age == 1 && stats.ended_replaced == 0 && stats.entries == 1);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 5), KF_OK);
    assert_true(askers_share_key(&askers[1], &askers[2]));
    askers_leave(askers, 3);
    scene_close(&scene);
    support_clock_real();
}

static void who_wants_younger_keys_does_not_get_an_old_one(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, 10, &options);
    options.max_age_ms = 50;
    struct kf_cmm *strict = scene_cmm(&scene, &options);
    ask_now(&scene, &askers[0], scene.cmm, 1);
    support_clock_advance(50);
    assert_false(hits(&scene, strict, 1));
    /* That was a refusal: the key is there for the others. */
    assert_int_equal(scene_stats(&scene).entries, 1);
    assert_int_equal(scene_stats(&scene).ended_age, 0);
    assert_true(hits(&scene, scene.cmm, 1));
    assert_int_equal(scene_stats(&scene).ended_age, 0);

    /* A key that the strict one has used carries his age, for everybody. */
    kf_cache_clear(scene.cache);
    ask_now(&scene, &askers[1], scene.cmm, 1);
    support_clock_advance(49);
    assert_true(hits(&scene, strict, 1));
    support_clock_advance(1);
    assert_false(hits(&scene, scene.cmm, 1));
    assert_int_equal(scene_stats(&scene).ended_age, 1);
    askers_leave(askers, 2);
    kf_cmm_unref(strict);
    scene_close(&scene);
    support_clock_real();
}

/* ---- Refusals ---- */

static void a_message_that_does_not_fit_costs_the_key_nothing(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(100, 1000);
    struct scene scene;
    scene_open(&scene, 1, &options);
    ask_now(&scene, &askers[0], scene.cmm, 300); /* 700 left */

    /* Too large for what is left: a flight of its own, and the key stays. */
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 701), KF_PENDING);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 700), KF_OK); /* nothing was charged */
    assert_true(askers_share_key(&askers[0], &askers[2]));
    asker_leave(&askers[1]);
    scene_land_all(&scene, KF_E_RETRY);

    /* Larger than any key may be used: past the cache. */
    kf_cache_clear(scene.cache);
    ask_now(&scene, &askers[3], scene.cmm, 300);
    static const uint64_t too_large[] = {1001, UINT64_MAX / 2, UINT64_MAX - 1, KF_LENGTH_UNKNOWN};
    for (size_t i = 0; i < 4; i++) {
        const uint64_t bypasses = scene_stats(&scene).bypasses;
        assert_int_equal(asker_ask(&askers[4], scene.cmm, too_large[i]), KF_PENDING);
        assert_int_equal(scene_stats(&scene).bypasses, bypasses + 1);
        told_answer_all(scene.told, KF_OK);
        assert_int_equal(asker_wait(&askers[4]), KF_OK);
        assert_false(askers_share_key(&askers[3], &askers[4]));
        asker_leave(&askers[4]);
    }
    assert_int_equal(asker_ask(&askers[5], scene.cmm, 700), KF_OK);
    assert_true(askers_share_key(&askers[3], &askers[5]));
    askers_leave(askers, 6);
    scene_close(&scene);
}

static void the_large_message_and_the_small_ones_go_their_ways(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(100, 1000);
    struct scene scene;
    scene_open(&scene, 1, &options);
    ask_now(&scene, &askers[0], scene.cmm, 300);                         /* 70 % left */
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 900), KF_PENDING); /* opens a flight: 10 % left in it */
    assert_true(hits(&scene, scene.cmm, 50));                            /* small ones go on hitting */
    scene_land(&scene, 1, KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    /* The key with more left stays, whoever landed last. */
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 50), KF_OK);
    assert_true(askers_share_key(&askers[0], &askers[2]));
    assert_false(askers_share_key(&askers[1], &askers[2]));
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.ended_replaced == 1 && stats.ended_capacity == 0 && stats.entries == 1);
    askers_leave(askers, 3);
    scene_close(&scene);
}

static void a_bound_counts_as_the_length(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(100, 1000);
    struct scene scene;
    scene_open(&scene, 10, &options);
    told_answer_always(scene.told, true);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encrypt_options encrypting = KF_ENCRYPT_OPTIONS_INIT;
    encrypting.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;

    /* A stream that says nothing goes past the cache. */
    struct kf_io nothing = {.in = NULL};
    struct kf_encryptor *unbounded[2], *bounded[3];
    for (size_t i = 0; i < 2; i++) {
        assert_ok(kf_encryptor_new(scene.cmm, &encrypting, &error, &unbounded[i]), &error);
        assert_int_equal(kf_encryptor_poll(unbounded[i], &nothing, NULL), KF_WANT_OUTPUT);
    }
    assert_ptr_not_equal(kf_encryptor_materials(unbounded[0]), kf_encryptor_materials(unbounded[1]));
    assert_int_equal(scene_stats(&scene).bypasses, 2);
    assert_int_equal(scene_stats(&scene).flights_opened, 0);

    /* 600 promised and 600 do not fit into 1000, though hardly a byte will come. */
    encrypting.plaintext_bound = 600;
    for (size_t i = 0; i < 3; i++) {
        if (i == 2)
            encrypting.plaintext_bound = 400;
        assert_ok(kf_encryptor_new(scene.cmm, &encrypting, &error, &bounded[i]), &error);
        assert_int_equal(kf_encryptor_poll(bounded[i], &nothing, NULL), KF_WANT_OUTPUT);
    }
    assert_ptr_not_equal(kf_encryptor_materials(bounded[0]), kf_encryptor_materials(bounded[1]));
    assert_ptr_equal(kf_encryptor_materials(bounded[1]), kf_encryptor_materials(bounded[2]));
    assert_int_equal(scene_stats(&scene).flights_opened, 2);

    /* More than was reserved is refused. */
    uint8_t in[601] = {0}, out[2000];
    struct kf_io whole = {.in = in, .in_length = 600, .in_end = true, .out = out, .out_room = sizeof out};
    assert_int_equal(kf_encryptor_poll(bounded[0], &whole, NULL), KF_OK);
    whole.in_length = 601;
    assert_int_equal(kf_encryptor_poll(bounded[1], &whole, NULL), KF_E_LIMIT);
    assert_int_equal(whole.out_used, 0);
    for (size_t i = 0; i < 3; i++)
        kf_encryptor_free(bounded[i]);
    kf_encryptor_free(unbounded[0]);
    kf_encryptor_free(unbounded[1]);
    scene_close(&scene);
}

/* ---- CMMs of different limits on one cache and partition ---- */

static void a_key_carries_the_least_limits_of_those_that_used_it(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(10, 1000);
    struct scene scene;
    scene_open(&scene, 10, &options);
    options.max_messages = 3;
    struct kf_cmm *few = scene_cmm(&scene, &options);
    options.max_messages = 10;
    options.max_bytes = 100;
    struct kf_cmm *small = scene_cmm(&scene, &options);

    /* Two uses by the generous one; the strict one takes the third and last. */
    ask_now(&scene, &askers[0], scene.cmm, 10);
    assert_true(hits(&scene, scene.cmm, 10));
    assert_true(hits(&scene, few, 10));
    assert_false(hits(&scene, scene.cmm, 10));
    assert_int_equal(scene_stats(&scene).ended_messages, 1);

    /* A key that has been used more often than he allows is none for him, and stays. */
    ask_now(&scene, &askers[1], scene.cmm, 10);
    assert_true(hits(&scene, scene.cmm, 10));
    assert_true(hits(&scene, scene.cmm, 10));
    assert_false(hits(&scene, few, 10));
    assert_true(hits(&scene, scene.cmm, 10));

    /* Bytes likewise: 40 are used, 60 fit for the one who allows 100, and nobody gets any more. */
    assert_false(hits(&scene, small, 61));
    assert_true(hits(&scene, small, 60));
    assert_false(hits(&scene, scene.cmm, 1));
    assert_int_equal(scene_stats(&scene).ended_messages, 1);
    askers_leave(askers, 2);
    kf_cmm_unref(few);
    kf_cmm_unref(small);
    scene_close(&scene);
}

static void seats_carry_the_least_limits_too(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(10, 1000);
    struct scene scene;
    scene_open(&scene, 0, &options);
    options.max_messages = 3;
    options.max_bytes = 100;
    struct kf_cmm *strict = scene_cmm(&scene, &options);

    /* Opened by the generous one; once the strict one sits there it has three seats. */
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 30), KF_PENDING);
    assert_int_equal(asker_ask(&askers[1], strict, 30), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 1);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 41), KF_PENDING); /* 100 bytes, too */
    assert_int_equal(told_begun(scene.told), 2);
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 40), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 2);
    assert_int_equal(asker_ask(&askers[4], scene.cmm, 0), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 2);

    /*
     * Opened by the strict one: so much from the beginning. The last one fits nowhere but in the second
     * flight.
     */
    kf_cache_clear(scene.cache);
    assert_int_equal(asker_ask(&askers[5], strict, 0), KF_PENDING);
    for (size_t i = 6; i < 9; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 0), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 4);

    scene_land_all(&scene, KF_OK);
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    static const unsigned flight[9] = {0, 0, 1, 0, 1, 2, 2, 2, 3};
    for (size_t i = 0; i < 9; i++) {
        for (size_t k = 0; k < 9; k++)
            assert_int_equal(askers_share_key(&askers[i], &askers[k]), flight[i] == flight[k]);
    }
    askers_leave(askers, 9);
    kf_cmm_unref(strict);
    scene_close(&scene);
}

static void different_partitions_share_nothing(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(10, 1000);
    struct scene scene;
    scene_open(&scene, 10, &options);
    struct kf_cmm *others[4];
    options.partition_id = kf_view_text("Scene");
    others[0] = scene_cmm(&scene, &options);
    options.partition_id = kf_view_text("scene2");
    others[1] = scene_cmm(&scene, &options);
    options.partition_id = kf_view_of(NULL, 0); /* one of its own, each time */
    others[2] = scene_cmm(&scene, &options);
    others[3] = scene_cmm(&scene, &options);
    options.partition_id = kf_view_text("scene");
    struct kf_cmm *same = scene_cmm(&scene, &options);

    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_PENDING);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(asker_ask(&askers[1 + i], others[i], 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 5);
    assert_int_equal(asker_ask(&askers[5], same, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 5);
    scene_land_all(&scene, KF_OK);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    assert_int_equal(askers_usage(askers, 6).keys, 5);
    assert_true(askers_share_key(&askers[0], &askers[5]));

    /* Nor does a key that is there. */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(asker_ask(&askers[6], others[i], 1), KF_OK);
        assert_true(askers_share_key(&askers[6], &askers[1 + i]));
        asker_leave(&askers[6]);
        kf_cmm_unref(others[i]);
    }
    askers_leave(askers, 6);
    kf_cmm_unref(same);
    scene_close(&scene);
}

/* ---- Of two candidates ---- */

/*
 * Two flights for one key, so many messages seated in each, landing in this order. Which one serves the next
 * question? A byte limit of 10 keeps messages of 6 bytes out of a flight that has one, so that two flights
 * come about.
 */
static unsigned who_stays(unsigned first_empty, unsigned second_empty, unsigned lands_first,
                          uint64_t between_ms)
{
    const struct kf_caching_cmm_options options = caching_options(10, 10);
    struct scene scene;
    size_t count = 0;
    scene_open(&scene, 10, &options);
    assert_int_equal(asker_ask(&askers[count++], scene.cmm, 6), KF_PENDING);
    for (unsigned i = 0; i < first_empty; i++)
        assert_int_equal(asker_ask(&askers[count++], scene.cmm, 0), KF_PENDING);
    /* Empty messages prefer the oldest flight, so those of the second come while the first is full. */
    const size_t second = count;
    struct asker fillers[10];
    unsigned filled = 9 - first_empty;
    for (unsigned i = 0; i < filled; i++)
        assert_int_equal(asker_ask(&fillers[i], scene.cmm, 0), KF_PENDING);
    assert_int_equal(asker_ask(&askers[count++], scene.cmm, 6), KF_PENDING);
    for (unsigned i = 0; i < second_empty; i++)
        assert_int_equal(asker_ask(&askers[count++], scene.cmm, 0), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 2);
    askers_leave(fillers, filled);

    scene_land(&scene, lands_first, KF_OK);
    support_clock_advance(between_ms);
    scene_land(&scene, 1 - lands_first, KF_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    assert_int_equal(scene_stats(&scene).entries, 1);
    assert_int_equal(scene_stats(&scene).ended_replaced, 1);
    assert_int_equal(asker_ask(&askers[count], scene.cmm, 0), KF_OK);
    const unsigned stayed = askers_share_key(&askers[count], &askers[0]) ? 0 : 1;
    assert_true(askers_share_key(&askers[count], &askers[stayed == 0 ? 0 : second]));
    askers_leave(askers, count + 1);
    scene_close(&scene);
    return stayed;
}

static void the_key_with_more_left_stays(void **state)
{
    (void)state;
    support_clock_stop(1000);
    for (unsigned first = 0; first < 2; first++) {
        /* Each has 4 of 10 bytes left; messages decide where fewer than 4 of 10 are left. */
        assert_int_equal(who_stays(6, 7, first, 5), 0); /* 3 against 2 */
        assert_int_equal(who_stays(7, 6, first, 5), 1);
        /* The lesser share is that of the bytes for both: a tie, which keeps the later expiry. */
        assert_int_equal(who_stays(0, 3, first, 5), 1 - first);
        assert_int_equal(who_stays(3, 0, first, 5), 1 - first);
        assert_int_equal(who_stays(7, 7, first, 5), 1 - first);
    }
    support_clock_real();
}

static void a_tie_keeps_the_later_expiry_not_the_later_landing(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    options.max_age_ms = 1000;
    struct scene scene;
    scene_open(&scene, 10, &options);
    options.max_age_ms = 50;
    struct kf_cmm *strict = scene_cmm(&scene, &options);
    ask_now(&scene, &askers[0], scene.cmm, 0); /* until 2000; 9 left */
    support_clock_advance(100);
    assert_int_equal(asker_ask(&askers[1], strict, 0), KF_PENDING); /* too old for him */
    scene_land_all(&scene, KF_OK);                                  /* until 1150; 9 left */
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    assert_int_equal(scene_stats(&scene).ended_replaced, 1);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 0), KF_OK);
    assert_true(askers_share_key(&askers[2], &askers[0]));
    askers_leave(askers, 3);
    kf_cmm_unref(strict);
    scene_close(&scene);
    support_clock_real();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_expires_exactly_at_its_age),
        cmocka_unit_test(age_counts_from_the_landing),
        cmocka_unit_test(a_key_that_expires_while_another_is_fetched_makes_room),
        cmocka_unit_test(who_wants_younger_keys_does_not_get_an_old_one),
        cmocka_unit_test(a_message_that_does_not_fit_costs_the_key_nothing),
        cmocka_unit_test(the_large_message_and_the_small_ones_go_their_ways),
        cmocka_unit_test(a_bound_counts_as_the_length),
        cmocka_unit_test(a_key_carries_the_least_limits_of_those_that_used_it),
        cmocka_unit_test(seats_carry_the_least_limits_too),
        cmocka_unit_test(different_partitions_share_nothing),
        cmocka_unit_test(the_key_with_more_left_stays),
        cmocka_unit_test(a_tie_keeps_the_later_expiry_not_the_later_landing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
