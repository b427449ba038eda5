/*
 * kf_cache_clear: every key is forgotten, and what is under way serves those who wait for it and nobody else.
 */
#include "support/asker.h"

static struct asker askers[20];

static void scene_of(struct scene *scene, uint64_t max_messages)
{
    const struct kf_caching_cmm_options options = caching_options(max_messages, KF_MAX_BYTES_LIMIT);
    scene_open(scene, 10, &options);
}

static void every_key_is_forgotten(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 100);
    told_answer_always(scene.told, true);
    struct kf_encryption_request request = encryption_request(1);
    assert_int_equal(asker_encrypt(&askers[0], scene.cmm, &request), KF_OK);
    request.max_edks = 7; /* another key */
    assert_int_equal(asker_encrypt(&askers[1], scene.cmm, &request), KF_OK);
    const struct kf_edk edk = kf_encryption_materials_edk(askers[0].encryption_materials, 0);
    const struct kf_decryption_request reading = decryption_request(&edk, 1);
    assert_int_equal(asker_decrypt(&askers[2], scene.cmm, &reading), KF_OK);
    assert_int_equal(scene_stats(&scene).entries, 3);

    kf_cache_clear(scene.cache);
    struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.entries == 0 && stats.ended_cleared == 3 && stats.hits == 0);
    /* Whoever has materials keeps them: they are wiped at the last release. */
    static const uint8_t wiped[32];
    assert_memory_not_equal(asker_key(&askers[0]).data, wiped, 32);
    assert_true(askers_share_key(&askers[0], &askers[2]));

    assert_int_equal(asker_encrypt(&askers[3], scene.cmm, &request), KF_OK);
    assert_false(askers_share_key(&askers[1], &askers[3]));
    assert_int_equal(told_begun(scene.told), 4);
    kf_cache_clear(scene.cache);
    kf_cache_clear(scene.cache); /* there is nothing */
    assert_int_equal(scene_stats(&scene).ended_cleared, 4);
    askers_leave(askers, 4);
    scene_close(&scene);
}

static void an_open_flight_is_barred_from_new_seats(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 5);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    kf_cache_clear(scene.cache);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 2);
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 2);
    assert_int_equal(scene_stats(&scene).waiting, 4);

    /* Its seated are served, and it does not become the entry. */
    scene_land(&scene, 0, KF_OK);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    assert_true(askers_share_key(&askers[0], &askers[1]));
    struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.entries == 0 && stats.ended_cleared == 1);
    assert_int_equal(asker_ask(&askers[4], scene.cmm, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 2); /* into the younger flight */

    scene_land(&scene, 1, KF_OK);
    for (size_t i = 2; i < 5; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    assert_int_equal(askers_usage(askers, 5).keys, 2);
    assert_int_equal(scene_stats(&scene).entries, 1);
    assert_int_equal(asker_ask(&askers[5], scene.cmm, 1), KF_OK);
    assert_true(askers_share_key(&askers[5], &askers[4]));
    askers_leave(askers, 6);
    scene_close(&scene);
}

static void a_barred_flight_does_not_take_the_place_of_a_new_key(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 5);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_PENDING);
    kf_cache_clear(scene.cache);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_PENDING);
    scene_land(&scene, 1, KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 1),
                     KF_OK); /* 3 left, against the 4 of the barred one */
    scene_land(&scene, 0, KF_OK);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 1), KF_OK);
    assert_true(askers_share_key(&askers[3], &askers[1]));
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.ended_cleared == 1 && stats.ended_replaced == 0);
    askers_leave(askers, 4);
    scene_close(&scene);
}

static void a_seat_freed_behind_the_clearing_stays_free(void **state)
{
    (void)state;
    /* The flight is full, or has seats left, when the cache is cleared. */
    for (size_t seated = 2; seated <= 3; seated++) {
        struct scene scene;
        scene_of(&scene, 3);
        for (size_t i = 0; i < seated; i++)
            assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
        kf_cache_clear(scene.cache);
        asker_leave(&askers[0]);
        assert_int_equal(asker_ask(&askers[4], scene.cmm, 1), KF_PENDING);
        assert_int_equal(told_begun(scene.told), 2);
        asker_leave(&askers[1]);
        assert_int_equal(scene_stats(&scene).waiting, seated - 1);
        scene_land(&scene, 0, KF_OK);
        assert_int_equal(scene_stats(&scene).entries, 0);
        assert_int_equal(scene_stats(&scene).ended_cleared, 1);
        scene_land(&scene, 1, KF_OK);
        assert_int_equal(asker_wait(&askers[4]), KF_OK);
        if (seated == 3) {
            assert_int_equal(asker_wait(&askers[2]), KF_OK);
            assert_false(askers_share_key(&askers[2], &askers[4]));
        }
        assert_int_equal(scene_stats(&scene).entries, 1);
        askers_leave(askers, 5);
        scene_close(&scene);
    }
}

static void a_full_flight_ends_as_used_up(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 2);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_PENDING);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_PENDING);
    kf_cache_clear(scene.cache);
    scene_land(&scene, 0, KF_OK);
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.ended_messages == 1 && stats.ended_cleared == 0);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    askers_leave(askers, 2);
    scene_close(&scene);
}

static void a_barred_flight_that_fails_tells_its_seated(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 2);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_PENDING);
    kf_cache_clear(scene.cache);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_PENDING);
    scene_land(&scene, 0, KF_E_REMOTE);
    assert_int_equal(asker_wait(&askers[0]), KF_E_REMOTE);
    assert_int_equal(bell_rung(&askers[1].bell), 0);
    scene_land(&scene, 1, KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    askers_leave(askers, 2);
    scene_close(&scene);
}

/* ---- Many keys: batches, with the lock left in between ---- */

#define MANY 600

static struct {
    struct kf_cmm *cmm;
    struct kf_cache *cache;
    unsigned told, told_entries; /* ends, and entries left at the first of them */
    struct asker asker;          /* asked then, for a key that was still there */
} between;

/* The request that has key number `key` of many. */
static struct kf_encryption_request request_of(unsigned key)
{
    struct kf_encryption_request request = encryption_request(1);
    request.max_edks = (uint16_t)key;
    return request;
}

/* Called in the middle of the clearing. That it comes back at all says that the lock was left. */
static void on_end(void *context, const struct kf_cache_event *event)
{
    (void)context;
    if (event->kind != KF_CACHE_ENDED || between.told++ > 0)
        return;
    struct kf_cache_stats stats = KF_CACHE_STATS_INIT;
    kf_cache_stats_read(between.cache, &stats);
    between.told_entries = (unsigned)stats.entries;
    const struct kf_encryption_request request =
        request_of(MANY); /* used last, so that its turn comes last */
    assert_int_equal(asker_encrypt(&between.asker, between.cmm, &request), KF_OK);
}

static void others_come_in_between_and_get_new_keys(void **state)
{
    static struct asker old, later;
    struct kf_caching_cmm_options options = caching_options(100, 1000);
    struct kf_cache_stats stats = KF_CACHE_STATS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    (void)state;
    options.keyring = support_keyring();
    assert_ok(kf_cache_listener_new(on_end, NULL, NULL, &error, &options.listener), &error);
    assert_ok(kf_cache_new(MANY, &error, &between.cache), &error);
    options.cache = between.cache;
    assert_ok(kf_caching_cmm_new(&options, &error, &between.cmm), &error);
    for (unsigned key = 1; key <= MANY; key++) {
        const struct kf_encryption_request request = request_of(key);
        asker_leave(&old);
        assert_int_equal(asker_encrypt(&old, between.cmm, &request), KF_OK);
    }
    kf_cache_clear(between.cache);
    assert_int_equal(between.told, MANY);
    assert_in_range(between.told_entries, 1, MANY - 1);
    assert_false(askers_share_key(&between.asker, &old));

    /* The new key stays, and is the only one. */
    kf_cache_stats_read(between.cache, &stats);
    assert_true(stats.entries == 1 && stats.ended_cleared == MANY && stats.hits == 0);
    const struct kf_encryption_request request = request_of(MANY);
    assert_int_equal(asker_encrypt(&later, between.cmm, &request), KF_OK);
    assert_true(askers_share_key(&between.asker, &later));
    asker_leave(&old);
    asker_leave(&later);
    asker_leave(&between.asker);
    kf_cmm_unref(between.cmm);
    kf_cache_unref(between.cache);
    assert_int_equal(between.told, MANY); /* the end of the cache is none of the key's */
    kf_cache_listener_unref(options.listener);
    kf_keyring_unref(options.keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_forgotten),
        cmocka_unit_test(an_open_flight_is_barred_from_new_seats),
        cmocka_unit_test(a_barred_flight_does_not_take_the_place_of_a_new_key),
        cmocka_unit_test(a_seat_freed_behind_the_clearing_stays_free),
        cmocka_unit_test(a_full_flight_ends_as_used_up),
        cmocka_unit_test(a_barred_flight_that_fails_tells_its_seated),
        cmocka_unit_test(others_come_in_between_and_get_new_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
