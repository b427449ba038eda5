/*
 * Callers who give up, time out or fall silent: nobody waits for them (P6), their seats are taken again, and
 * what was paid for is kept.
 */
#include "support/asker.h"

#include <sched.h>

static struct asker askers[60];

static void ask_some(struct scene *scene, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        assert_int_equal(asker_ask(&askers[i], scene->cmm, 10), KF_PENDING);
}

static void scene_of(struct scene *scene, size_t capacity, uint64_t max_messages)
{
    const struct kf_caching_cmm_options options = caching_options(max_messages, KF_MAX_BYTES_LIMIT);
    scene_open(scene, capacity, &options);
}

/* ---- The opener ---- */

static void the_opener_may_leave_before_the_landing(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 10, 5);
    ask_some(&scene, 0, 3);
    asker_leave(&askers[0]);
    assert_int_equal(told_in_flight(scene.told), 1);
    assert_int_equal(told_dropped(scene.told), 0);
    assert_int_equal(scene_stats(&scene).waiting, 2);
    scene_land(&scene, 0, KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    assert_int_equal(asker_wait(&askers[2]), KF_OK);
    /* He was not charged: three uses are left. */
    for (size_t i = 3; i < 6; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 10), KF_OK);
    assert_int_equal(asker_ask(&askers[6], scene.cmm, 10), KF_PENDING);
    assert_int_equal(askers_usage(askers, 7).keys, 1);
    askers_leave(askers, 7);
    scene_close(&scene);
}

static void the_opener_may_leave_after_the_landing(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 10, 5);
    ask_some(&scene, 0, 3);
    scene_land(&scene, 0, KF_OK);
    asker_leave(&askers[0]); /* who never polled again: he has been served all the same */
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    assert_int_equal(asker_wait(&askers[2]), KF_OK);
    /* He stays charged: two uses are left. */
    for (size_t i = 3; i < 5; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 10), KF_OK);
    assert_int_equal(asker_ask(&askers[5], scene.cmm, 10), KF_PENDING);
    askers_leave(askers, 6);
    scene_close(&scene);
}

static void nobody_waits_for_an_opener_who_never_polls_again(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 10, 5);
    ask_some(&scene, 0, 12);
    scene_land_all(&scene, KF_OK);
    /* The openers of all three flights stay silent for good. */
    for (size_t i = 0; i < 12; i++) {
        if (i % 5 != 0)
            assert_int_equal(asker_wait(&askers[i]), KF_OK);
    }
    const struct usage usage = askers_usage(askers, 12);
    assert_true(usage.answered == 9 && usage.keys == 3 && usage.most == 4);
    for (size_t i = 12; i < 15; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 10), KF_OK);
    askers_leave(askers, 15);
    scene_close(&scene);
}

/* ---- Everybody ---- */

static void a_flight_that_nobody_sits_in_lands_all_the_same(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 10, 3);
    ask_some(&scene, 0, 2);
    askers_leave(askers, 2);
    assert_int_equal(scene_stats(&scene).waiting, 0);
    assert_int_equal(told_in_flight(scene.told), 1);
    scene_land(&scene, 0, KF_OK);
    assert_int_equal(scene_stats(&scene).entries, 1);
    /* With usage 0: all three uses are there. */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 10), KF_OK);
    assert_int_equal(askers_usage(askers, 3).keys, 1);
    assert_int_equal(scene_stats(&scene).entries, 0);
    assert_int_equal(told_begun(scene.told), 1);
    askers_leave(askers, 3);
    scene_close(&scene);
}

static void a_full_flight_that_all_left_becomes_the_entry(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 1, 1);
    ask_some(&scene, 0, 1);
    asker_leave(&askers[0]);
    scene_land(&scene, 0, KF_OK);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 10), KF_OK);
    asker_leave(&askers[1]);
    scene_close(&scene);
}

static void callers_who_are_too_impatient_still_warm_the_cache(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct scene scene;
    scene_of(&scene, 10, 5);
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_io nothing = {.in = NULL};
    struct kf_encryptor *encryptors[3];
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    options.plaintext_bound = 10;
    options.timeout_ms = 20;
    for (size_t i = 0; i < 2; i++) {
        assert_ok(kf_encryptor_new(scene.cmm, &options, &error, &encryptors[i]), &error);
        assert_true(kf_encryptor_deadline(encryptors[i]) == KF_NO_DEADLINE);
        assert_int_equal(kf_encryptor_poll(encryptors[i], &nothing, &waker), KF_PENDING);
        assert_int_equal(kf_encryptor_deadline(encryptors[i]), 20);
        support_clock_advance(19);
        assert_int_equal(kf_encryptor_deadline(encryptors[i]), 1);
        assert_int_equal(kf_encryptor_poll(encryptors[i], &nothing, &waker), KF_PENDING);
        support_clock_advance(1);
        assert_int_equal(kf_encryptor_deadline(encryptors[i]), 0);
        assert_int_equal(kf_encryptor_poll(encryptors[i], &nothing, &waker), KF_E_TIMEOUT);
        assert_true(kf_encryptor_deadline(encryptors[i]) == KF_NO_DEADLINE);
        assert_int_equal(kf_encryptor_poll(encryptors[i], &nothing, &waker), KF_E_TIMEOUT);
        assert_int_equal(kf_code_class(kf_encryptor_error(encryptors[i])->code), KF_CLASS_RETRY);
        /* His seat is free at once, though he has not been freed. */
        assert_int_equal(scene_stats(&scene).waiting, 0);
    }
    /* The flight went on: a caller's deadline is none of its business. */
    assert_int_equal(told_begun(scene.told), 1);
    scene_land(&scene, 0, KF_OK);
    assert_int_equal(bell_rung(&bell), 0);
    assert_ok(kf_encryptor_new(scene.cmm, &options, &error, &encryptors[2]), &error);
    assert_int_equal(kf_encryptor_poll(encryptors[2], &nothing, &waker), KF_WANT_OUTPUT);
    for (size_t i = 0; i < 3; i++)
        kf_encryptor_free(encryptors[i]);
    bell_destroy(&bell);
    scene_close(&scene);
    support_clock_real();
}

/* ---- Seats that are free again ---- */

static void a_freed_seat_is_taken_again(void **state)
{
    (void)state;
    static const size_t capacities[] = {0, 10};
    for (size_t c = 0; c < 2; c++) {
        struct scene scene;
        scene_of(&scene, capacities[c], 3);
        ask_some(&scene, 0, 3); /* full */
        asker_leave(&askers[1]);
        ask_some(&scene, 3, 1); /* in his place */
        assert_int_equal(told_begun(scene.told), 1);
        ask_some(&scene, 4, 1);
        assert_int_equal(told_begun(scene.told), 2);
        scene_land_all(&scene, KF_OK);
        static const size_t seated[] = {0, 2, 3, 4};
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(asker_wait(&askers[seated[i]]), KF_OK);
        assert_true(askers_share_key(&askers[0], &askers[3]));
        assert_false(askers_share_key(&askers[0], &askers[4]));
        assert_int_equal(askers_usage(askers, 5).most, 3);
        askers_leave(askers, 5);
        scene_close(&scene);
    }
}

static void bytes_of_a_freed_seat_are_free_too(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(100, 100);
    struct scene scene;
    scene_open(&scene, 10, &options);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 60), KF_PENDING);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 40), KF_PENDING);
    asker_leave(&askers[0]);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 60), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 1);
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 2);
    asker_leave(&askers[1]);
    scene_land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&askers[2]), KF_OK);
    assert_int_equal(asker_wait(&askers[3]), KF_OK);
    askers_leave(askers, 4);
    scene_close(&scene);
}

static void freed_seats_of_the_oldest_flight_go_first(void **state)
{
    (void)state;
    struct scene scene;
    scene_of(&scene, 0, 2);
    ask_some(&scene, 0, 8); /* four flights, all full: seats 0 1, 2 3, 4 5, 6 7 */
    assert_int_equal(told_begun(scene.told), 4);
    /* Freed in an order that is not theirs. */
    asker_leave(&askers[7]);
    asker_leave(&askers[2]);
    asker_leave(&askers[5]);
    asker_leave(&askers[0]);
    ask_some(&scene, 8, 4);
    assert_int_equal(told_begun(scene.told), 4);
    scene_land_all(&scene, KF_OK);
    static const size_t partners[4][2] = {{8, 1}, {9, 3}, {10, 4}, {11, 6}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(asker_wait(&askers[partners[i][0]]), KF_OK);
        assert_int_equal(asker_wait(&askers[partners[i][1]]), KF_OK);
        assert_true(askers_share_key(&askers[partners[i][0]], &askers[partners[i][1]]));
    }
    assert_int_equal(askers_usage(askers, 12).keys, 4);
    askers_leave(askers, 12);
    scene_close(&scene);
}

static void with_cancellations_a_burst_makes_at_most_its_calls(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (int round = 0; round < 50; round++) {
        const uint64_t limit = 1 + (unsigned)round % 5;
        const size_t count = 50;
        struct scene scene;
        scene_of(&scene, (size_t)round % 3, limit);
        size_t asked = 0, left = 0;
        while (asked < count) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            const size_t choice = (size_t)(seed >> 40);
            if (choice % 3 == 0 && asked > 0 && askers[choice / 3 % asked].cmm != NULL) {
                asker_leave(&askers[choice / 3 % asked]);
                left++;
            } else {
                assert_int_equal(asker_ask(&askers[asked++], scene.cmm, 10), KF_PENDING);
            }
        }
        assert_true(told_begun(scene.told) <= (count + (size_t)limit - 1) / limit);
        assert_int_equal(told_in_flight(scene.told), told_begun(scene.told));
        assert_int_equal(scene_stats(&scene).waiting, count - left);
        scene_land_all(&scene, KF_OK);
        for (size_t i = 0; i < count; i++) {
            if (askers[i].cmm != NULL)
                assert_int_equal(asker_wait(&askers[i]), KF_OK);
        }
        const struct usage usage = askers_usage(askers, count);
        assert_int_equal(usage.answered, count - left);
        assert_true(usage.answered == 0 || usage.most <= limit);
        assert_int_equal(scene_stats(&scene).waiting, 0);
        askers_leave(askers, count);
        scene_close(&scene);
    }
}

/* ---- Cancelling while it lands ---- */

static void *answer_all(void *told)
{
    told_answer_all(told, KF_OK);
    return NULL;
}

static void cancelling_while_it_lands_never_gives_a_use_too_many(void **state)
{
    (void)state;
    const size_t limit = 4;
    for (int round = 0; round < 150; round++) {
        struct scene scene;
        scene_of(&scene, 10, limit);
        ask_some(&scene, 0, limit);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, answer_all, scene.told), 0);
        for (int i = 0; i < round % 12; i++)
            sched_yield();
        asker_leave(&askers[0]);
        asker_leave(&askers[3]);
        pthread_join(thread, NULL);
        assert_int_equal(asker_wait(&askers[1]), KF_OK);
        assert_int_equal(asker_wait(&askers[2]), KF_OK);
        support_settle();
        /* Those two came in time and their uses are left, or they came too late and the uses are gone. */
        told_answer_always(scene.told, true);
        size_t uses = 2;
        for (size_t i = 4; i < 8; i++) {
            assert_int_equal(asker_ask(&askers[i], scene.cmm, 10), KF_OK);
            uses += askers_share_key(&askers[1], &askers[i]) ? 1 : 0;
        }
        assert_true(uses >= 2 && uses <= limit);
        askers_leave(askers, 8);
        scene_close(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_opener_may_leave_before_the_landing),
        cmocka_unit_test(the_opener_may_leave_after_the_landing),
        cmocka_unit_test(nobody_waits_for_an_opener_who_never_polls_again),
        cmocka_unit_test(a_flight_that_nobody_sits_in_lands_all_the_same),
        cmocka_unit_test(a_full_flight_that_all_left_becomes_the_entry),
        cmocka_unit_test(callers_who_are_too_impatient_still_warm_the_cache),
        cmocka_unit_test(a_freed_seat_is_taken_again),
        cmocka_unit_test(bytes_of_a_freed_seat_are_free_too),
        cmocka_unit_test(freed_seats_of_the_oldest_flight_go_first),
        cmocka_unit_test(with_cancellations_a_burst_makes_at_most_its_calls),
        cmocka_unit_test(cancelling_while_it_lands_never_gives_a_use_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
