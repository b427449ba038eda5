/*
 * What the cache keeps, what it counts, and why keys ended.
 */
#include "support/asker.h"

static struct asker askers[30];

static void scene_of(struct scene *scene, size_t capacity, uint64_t max_messages, uint64_t max_bytes)
{
    const struct kf_caching_cmm_options options = caching_options(max_messages, max_bytes);
    scene_open(scene, capacity, &options);
    told_answer_always(scene->told, true);
}

/* A question for key `number`: they differ in the EDK limit. */
static struct kf_encryption_request request_for(unsigned number, uint64_t length)
{
    struct kf_encryption_request request = encryption_request(length);
    request.max_edks = (uint16_t)(1 + number);
    return request;
}

/* Asks for key `number`; whether it was there. */
static bool use(struct scene *scene, unsigned number, uint64_t length)
{
    struct asker asker;
    const uint64_t hits = scene_stats(scene).hits;
    const struct kf_encryption_request request = request_for(number, length);
    assert_int_equal(asker_encrypt(&asker, scene->cmm, &request), KF_OK);
    asker_leave(&asker);
    return scene_stats(scene).hits > hits;
}

/* ---- Capacity ---- */

static void the_key_used_longest_ago_makes_room(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 3, 100, KF_MAX_BYTES_LIMIT);
    for (unsigned i = 0; i < 3; i++)
        assert_false(use(&scene, i, 1));
    assert_true(use(&scene, 0, 1));  /* used last: 0, 2, 1 */
    assert_false(use(&scene, 3, 1)); /* instead of 1 */
    assert_int_equal(scene_stats(&scene).entries, 3);
    assert_int_equal(scene_stats(&scene).ended_capacity, 1);
    assert_true(use(&scene, 2, 1));
    assert_true(use(&scene, 0, 1));
    assert_true(use(&scene, 3, 1));  /* 3, 0, 2 */
    assert_false(use(&scene, 1, 1)); /* instead of 2 */
    assert_false(use(&scene, 2, 1)); /* instead of 0 */
    assert_true(use(&scene, 3, 1));
    assert_true(use(&scene, 1, 1));
    assert_false(use(&scene, 0, 1)); /* instead of 2 */
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.entries == 3 && stats.ended_capacity == 4);
    scene_close(&scene);
}

static void many_keys_are_found_again(void **state)
{
    (void)state;
    struct scene scene;
    const unsigned count = 500;
    scene_of(&scene, 400, 100, KF_MAX_BYTES_LIMIT);
    for (unsigned i = 0; i < count; i++)
        assert_false(use(&scene, i, 1));
    assert_int_equal(scene_stats(&scene).entries, 400);
    assert_int_equal(scene_stats(&scene).ended_capacity, 100);
    for (unsigned i = count; i-- > 100;)
        assert_true(use(&scene, i, 1));
    assert_false(use(&scene, 99, 1)); /* instead of the one used longest ago */
    assert_false(use(&scene, 499, 1));
    assert_true(use(&scene, 497, 1));
    scene_close(&scene);
}

static void a_refusal_is_no_use(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 2, 100, 100);
    told_answer_always(scene.told, true);
    assert_false(use(&scene, 0, 90));
    assert_false(use(&scene, 1, 1)); /* 1, 0 */
    told_answer_always(scene.told, false);
    const struct kf_encryption_request request = request_for(0, 11);
    assert_int_equal(asker_encrypt(&askers[0], scene.cmm, &request), KF_PENDING); /* does not fit in 0 */
    asker_leave(&askers[0]);
    scene_land_all(&scene, KF_E_RETRY);
    told_answer_always(scene.told, true);
    assert_false(use(&scene, 2, 1)); /* instead of 0 */
    assert_true(use(&scene, 1, 1));
    assert_false(use(&scene, 0, 1));
    scene_close(&scene);
}

static void capacity_zero_keeps_nothing(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 0, 100, KF_MAX_BYTES_LIMIT);
    for (unsigned i = 0; i < 4; i++)
        assert_false(use(&scene, 0, 1));
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.entries == 0 && stats.ended_capacity == 4 && stats.flights_opened == 4);
    scene_close(&scene);
}

/* ---- Why keys ended ---- */

/* What has been counted so far, as one line. */
static void assert_ended(struct scene *scene, uint64_t messages, uint64_t bytes, uint64_t age,
                         uint64_t capacity, uint64_t replaced, uint64_t cleared)
{
    const struct kf_cache_stats stats = scene_stats(scene);
    assert_int_equal(stats.ended_messages, messages);
    assert_int_equal(stats.ended_bytes, bytes);
    assert_int_equal(stats.ended_age, age);
    assert_int_equal(stats.ended_capacity, capacity);
    assert_int_equal(stats.ended_replaced, replaced);
    assert_int_equal(stats.ended_cleared, cleared);
    /* Every key that came is there or has ended. */
    assert_int_equal(stats.flights_opened - stats.flights_failed,
                     stats.entries + messages + bytes + age + capacity + replaced + cleared);
}

static void messages_that_are_used_up(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 10, 3, KF_MAX_BYTES_LIMIT);
    use(&scene, 0, 1);
    use(&scene, 0, 1);
    assert_ended(&scene, 0, 0, 0, 0, 0, 0);
    use(&scene, 0, 1); /* the last use ends it, and not the next question */
    assert_ended(&scene, 1, 0, 0, 0, 0, 0);
    assert_int_equal(scene_stats(&scene).entries, 0);

    /* All at once: full when it lands. */
    told_answer_always(scene.told, false);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    scene_land_all(&scene, KF_OK);
    assert_ended(&scene, 2, 0, 0, 0, 0, 0);
    askers_leave(askers, 3);
    scene_close(&scene);

    /* At capacity 0 the reason is the same one. */
    scene_of(&scene, 0, 1, KF_MAX_BYTES_LIMIT);
    use(&scene, 0, 1);
    assert_ended(&scene, 1, 0, 0, 0, 0, 0);
    scene_close(&scene);
}

static void bytes_that_are_used_up(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 10, 100, 100);
    use(&scene, 0, 60);
    use(&scene, 0, 40);
    /* It would serve empty messages, so it is there; but when it ends, bytes are the reason. */
    assert_ended(&scene, 0, 0, 0, 0, 0, 0);
    assert_true(use(&scene, 0, 0));
    assert_false(use(&scene, 0, 30));
    assert_ended(&scene, 0, 1, 0, 0, 0, 0);
    assert_true(use(&scene, 0, 70));
    kf_cache_clear(scene.cache);
    assert_ended(&scene, 0, 2, 0, 0, 0, 0);
    scene_close(&scene);
}

static void age_capacity_replacement_and_clearing(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct scene scene;
    scene_of(&scene, 2, 100, 100);
    use(&scene, 0, 1);
    support_clock_advance(60000);
    use(&scene, 0, 1); /* found expired */
    assert_ended(&scene, 0, 0, 1, 0, 0, 0);
    use(&scene, 1, 1);
    use(&scene, 2, 1); /* instead of 0, which is young */
    assert_ended(&scene, 0, 0, 1, 1, 0, 0);
    support_clock_advance(60000);
    use(&scene, 3, 1); /* instead of 1, which had expired before: that is why it ended */
    assert_ended(&scene, 0, 0, 2, 1, 0, 0);
    use(&scene, 3, 95); /* of 99 that are left */
    use(&scene, 3, 10); /* a new one, which has more left */
    assert_ended(&scene, 0, 0, 2, 1, 1, 0);
    kf_cache_clear(scene.cache); /* 3, and 2, which has expired, but nobody has looked */
    assert_ended(&scene, 0, 0, 2, 1, 1, 2);
    scene_close(&scene);
    support_clock_real();
}

/* ---- Counting ---- */

static void waiting_is_who_sits_in_a_flight(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 10, 3, 100);
    told_answer_always(scene.told, false);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
        assert_int_equal(scene_stats(&scene).waiting, i + 1);
    }
    assert_int_equal(asker_ask(&askers[7], scene.cmm, 101), KF_PENDING); /* past the cache: in no flight */
    assert_int_equal(scene_stats(&scene).waiting, 7);
    asker_leave(&askers[0]);
    assert_int_equal(scene_stats(&scene).waiting, 6);
    scene_land(&scene, 0, KF_OK);
    assert_int_equal(scene_stats(&scene).waiting, 4); /* landed is answered, polled or not */
    asker_leave(&askers[1]);
    assert_int_equal(scene_stats(&scene).waiting, 4);
    scene_land(&scene, 1, KF_E_RETRY);
    assert_int_equal(scene_stats(&scene).waiting, 1);
    kf_cache_clear(scene.cache);
    assert_int_equal(scene_stats(&scene).waiting, 1);
    asker_leave(&askers[6]);
    assert_int_equal(scene_stats(&scene).waiting, 0);
    askers_leave(askers, 8);
    scene_close(&scene);
}

static void every_question_is_counted_once(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 10, 4, 100);
    told_answer_always(scene.told, false);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    assert_int_equal(asker_ask(&askers[6], scene.cmm, 101), KF_PENDING);
    assert_int_equal(asker_ask(&askers[7], scene.cmm, KF_LENGTH_UNKNOWN), KF_PENDING);
    scene_land_all(&scene, KF_OK);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    assert_int_equal(asker_ask(&askers[8], scene.cmm, 1), KF_OK);
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_int_equal(stats.hits, 1);
    assert_int_equal(stats.coalesced, 4);
    assert_int_equal(stats.flights_opened, 2);
    assert_int_equal(stats.bypasses, 2);
    assert_int_equal(told_begun(scene.told), stats.flights_opened + stats.bypasses);
    askers_leave(askers, 9);
    scene_close(&scene);
}

static void each_direction_has_its_own_counters(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 10, 2, 100);
    struct asker asker;
    assert_int_equal(asker_ask(&asker, scene.cmm, 30), KF_OK); /* a fetch */
    const struct kf_edk edk = kf_encryption_materials_edk(asker.encryption_materials, 0);
    const struct kf_encryption_materials *held = kf_encryption_materials_ref(asker.encryption_materials);
    const struct kf_decryption_request request = decryption_request(&edk, 1);
    asker_leave(&asker);
    assert_int_equal(asker_ask(&asker, scene.cmm, 30), KF_OK); /* a hit, with which the key ends */
    asker_leave(&asker);
    use(&scene, 1, 101);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(asker_decrypt(&asker, scene.cmm, &request), KF_OK);
        asker_leave(&asker);
    }
    struct kf_cache_stats encryption = {.size = sizeof encryption}, decryption = {.size = sizeof decryption};
    kf_cache_stats_read_direction(scene.cache, false, &encryption);
    kf_cache_stats_read_direction(scene.cache, true, &decryption);
    assert_int_equal(encryption.flights_opened, 1);
    assert_int_equal(encryption.hits, 1);
    assert_int_equal(encryption.ended_messages, 1);
    assert_int_equal(encryption.bypasses, 1);
    assert_int_equal(encryption.entries, 0);
    assert_int_equal(decryption.flights_opened, 1);
    assert_int_equal(decryption.hits, 3);
    assert_int_equal(decryption.ended_messages, 0);
    assert_int_equal(decryption.bypasses, 0);
    assert_int_equal(decryption.entries, 1);
    const struct kf_cache_stats both = scene_stats(&scene);
    assert_int_equal(both.flights_opened, 2);
    assert_int_equal(both.hits, 4);
    assert_int_equal(both.entries, 1);
    assert_int_equal(both.bypasses, 1);
    kf_encryption_materials_unref(held);
    scene_close(&scene);
}

static void as_much_is_filled_in_as_there_is_room(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 10, 4, 100);
    use(&scene, 0, 1);
    use(&scene, 0, 1);

    struct kf_cache_stats older = {.size = offsetof(struct kf_cache_stats, flights_opened),
                                   .flights_opened = 77};
    kf_cache_stats_read(scene.cache, &older);
    assert_int_equal(older.size, offsetof(struct kf_cache_stats, flights_opened));
    assert_int_equal(older.hits, 1);
    assert_int_equal(older.flights_opened, 77);

    struct {
        struct kf_cache_stats stats;
        uint64_t behind;
    } newer = {.stats = {.size = sizeof newer}, .behind = 88};
    kf_cache_stats_read(scene.cache, &newer.stats);
    assert_int_equal(newer.stats.size, sizeof newer);
    assert_int_equal(newer.stats.hits, 1);
    assert_int_equal(newer.stats.flights_opened, 1);
    assert_int_equal(newer.behind, 88);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_used_longest_ago_makes_room),
        cmocka_unit_test(many_keys_are_found_again),
        cmocka_unit_test(a_refusal_is_no_use),
        cmocka_unit_test(capacity_zero_keeps_nothing),
        cmocka_unit_test(messages_that_are_used_up),
        cmocka_unit_test(bytes_that_are_used_up),
        cmocka_unit_test(age_capacity_replacement_and_clearing),
        cmocka_unit_test(waiting_is_who_sits_in_a_flight),
        cmocka_unit_test(every_question_is_counted_once),
        cmocka_unit_test(each_direction_has_its_own_counters),
        cmocka_unit_test(as_much_is_filled_in_as_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
