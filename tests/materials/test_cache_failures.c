/*
 * Fetches that fail: their errors go to those who are seated and to nobody else (P5), and what would be a
 * fetch waiting for itself is refused.
 */
#include "support/asker.h"

#include <stdatomic.h>

static struct asker askers[40];

/* ---- Failing ---- */

static void a_failed_fetch_answers_its_seated_and_is_forgotten(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(3, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, 10, &options);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 3);
    scene_land(&scene, 1, KF_E_REMOTE); /* the second of three */
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(bell_rung(&askers[i].bell), i / 3 == 1 ? 1 : 0);
    for (size_t i = 3; i < 6; i++) {
        assert_int_equal(asker_wait(&askers[i]), KF_E_REMOTE);
        assert_int_equal(askers[i].error.code, KF_E_REMOTE);
        assert_string_equal(askers[i].error.text, "The test told this call to fail.");
    }
    struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.flights_opened == 3 && stats.flights_failed == 1 && stats.waiting == 5 &&
                stats.entries == 0);

    /* Later ones: the third flight has a seat left; the next opens a flight, afresh. */
    assert_int_equal(asker_ask(&askers[8], scene.cmm, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 3);
    assert_int_equal(asker_ask(&askers[9], scene.cmm, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 4);
    scene_land_all(&scene, KF_OK);
    for (size_t i = 0; i < 10; i++) {
        if (i / 3 != 1)
            assert_int_equal(asker_wait(&askers[i]), KF_OK);
    }
    const struct usage usage = askers_usage(askers, 10);
    assert_true(usage.answered == 7 && usage.keys == 3 && usage.most == 3);
    stats = scene_stats(&scene);
    assert_true(stats.flights_failed == 1 && stats.waiting == 0 && stats.entries == 1);
    askers_leave(askers, 10);
    scene_close(&scene);
}

static void a_failure_at_once_is_no_different(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(3, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, 10, &options);
    told_answer_always(scene.told, true);
    struct kf_encryption_request request = encryption_request(1);
    request.suite = KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256; /* against the policy */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(asker_encrypt(&askers[0], scene.cmm, &request), KF_E_POLICY);
        assert_int_equal(askers[0].error.code, KF_E_POLICY);
        asker_leave(&askers[0]);
    }
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.flights_opened == 3 && stats.flights_failed == 3 && stats.entries == 0 &&
                stats.waiting == 0);
    scene_close(&scene);
}

static void an_error_does_not_disturb_a_key_that_is_there(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, 100);
    struct scene scene;
    scene_open(&scene, 10, &options);
    told_answer_always(scene.told, true);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 60), KF_OK);
    told_answer_always(scene.told, false);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 60), KF_PENDING); /* does not fit any more */
    scene_land_all(&scene, KF_E_RETRY);
    assert_int_equal(asker_wait(&askers[1]), KF_E_RETRY);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 40), KF_OK);
    assert_true(askers_share_key(&askers[0], &askers[2]));
    askers_leave(askers, 3);
    scene_close(&scene);
}

/* ---- Time ---- */

static void a_fetch_is_given_up_after_its_time(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_caching_cmm_options options = caching_options(3, KF_MAX_BYTES_LIMIT);
    options.fetch_timeout_ms = 200;
    struct scene scene;
    scene_open(&scene, 10, &options);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_PENDING);
    support_clock_advance(150);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_PENDING); /* late, into the same */
    support_clock_advance(49);
    support_settle();
    assert_int_equal(bell_rung(&askers[0].bell) + bell_rung(&askers[1].bell), 0);
    support_clock_advance(1);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(asker_wait(&askers[i]), KF_E_TIMEOUT);
        assert_non_null(strstr(askers[i].error.text, "200 ms"));
    }
    assert_int_equal(told_dropped(scene.told), 1);
    assert_int_equal(scene_stats(&scene).flights_failed, 1);
    told_answer(scene.told, 0, KF_OK); /* too late, and harmless */

    /* The next one starts afresh, with all the time. */
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 1), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 2);
    support_clock_advance(199);
    scene_land(&scene, 1, KF_OK);
    assert_int_equal(asker_wait(&askers[2]), KF_OK);
    askers_leave(askers, 3);
    scene_close(&scene);
    support_clock_real();
}

/* ---- Cleaning up ---- */

static void cleanup_fails_all_that_is_under_way(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(2, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, 10, &options);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    kf_cleanup();
    assert_int_equal(told_dropped(scene.told), 3);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(bell_rung(&askers[i].bell), 1);
        assert_int_equal(asker_wait(&askers[i]), KF_E_CLEANED_UP);
    }
    assert_int_equal(scene_stats(&scene).waiting, 0);
    assert_int_equal(scene_stats(&scene).flights_failed, 3);

    /* And all of it works again. */
    assert_int_equal(asker_ask(&askers[5], scene.cmm, 1), KF_PENDING);
    scene_land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&askers[5]), KF_OK);
    assert_int_equal(asker_ask(&askers[6], scene.cmm, 1), KF_OK);
    kf_cleanup();                                     /* what is kept stays */
    assert_int_equal(scene_stats(&scene).entries, 0); /* used up by those two */
    askers_leave(askers, 7);
    scene_close(&scene);
}

/* ---- Suites without a key derivation ---- */

static void a_suite_without_derivation_goes_past_the_cache(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, 10, &options);
    told_answer_always(scene.told, true);
    static const enum kf_suite suites[] = {KF_AES_128_GCM_IV12_TAG16_NO_KDF, KF_AES_192_GCM_IV12_TAG16_NO_KDF,
                                           KF_AES_256_GCM_IV12_TAG16_NO_KDF};
    for (size_t i = 0; i < 3; i++) {
        struct kf_encryption_request request = encryption_request(1);
        request.suite = suites[i];
        request.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
        assert_int_equal(asker_encrypt(&askers[0], scene.cmm, &request), KF_OK);
        assert_int_equal(asker_encrypt(&askers[1], scene.cmm, &request), KF_OK);
        assert_false(askers_share_key(&askers[0], &askers[1]));

        /* Reading them, too. */
        const struct kf_edk edk = kf_encryption_materials_edk(askers[0].encryption_materials, 0);
        struct kf_decryption_request reading = decryption_request(&edk, 1);
        reading.suite = suites[i];
        reading.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
        assert_int_equal(asker_decrypt(&askers[2], scene.cmm, &reading), KF_OK);
        assert_true(askers_share_key(&askers[0], &askers[2]));
        askers_leave(askers, 3);
    }
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.bypasses == 9 && stats.flights_opened == 0 && stats.entries == 0 && stats.hits == 0);

    /* A number that is no suite does not pass for one: all of it counts. */
    struct kf_encryption_request request = encryption_request(1);
    assert_int_equal(asker_encrypt(&askers[0], scene.cmm, &request), KF_OK);
    request.suite = (enum kf_suite)(0x10000 + (unsigned)request.suite);
    assert_int_equal(asker_encrypt(&askers[1], scene.cmm, &request), KF_E_USAGE);
    askers_leave(askers, 2);
    scene_close(&scene);
}

/* ---- A CMM that does something of its own ---- */

static struct {
    struct kf_cmm *inside; /* answers in the end */
    struct kf_cmm *asks;   /* is asked before, or NULL */
    bool through_call;     /* as a child of the call; else by a one-shot call */
    bool with_other_context;
    bool waits_first;    /* answers KF_PENDING once, so that it goes on on the internal thread */
    enum kf_suite suite; /* instead of the one that was asked for */
    enum kf_code answer; /* of what it asked */
    struct kf_error error;
    atomic_uint polls;
} within;

static enum kf_code ask_within(struct kf_call *call, const struct kf_encryption_request *request)
{
    const struct kf_encryption_context *context;
    struct kf_encryption_request own = encryption_request(4);
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_buf message = KF_BUF_INIT;
    if (kf_encryption_context_of(NULL, &context, "other", "context", (char *)NULL) != KF_OK)
        return KF_E_NO_MEMORY;
    own.encryption_context = within.with_other_context ? context : request->encryption_context;
    options.encryption_context = own.encryption_context;
    options.suite = own.suite;
    enum kf_code code;
    if (within.through_call) {
        const struct kf_encryption_materials *materials;
        code = kf_cmm_get_encryption_materials(within.asks, kf_call_child(call, 1), &own, &within.error,
                                               &materials);
        if (code == KF_OK)
            kf_encryption_materials_unref(materials);
    } else {
        code = kf_encrypt(within.asks, &options, kf_view_text("text"), &within.error, &message);
    }
    kf_buf_free(&message);
    kf_encryption_context_unref(context);
    return code;
}

static enum kf_code within_get(void *self, struct kf_call *call, const struct kf_encryption_request *request,
                               struct kf_error *error, const struct kf_encryption_materials **out)
{
    (void)self;
    struct kf_encryption_request changed = *request;
    if (atomic_fetch_add(&within.polls, 1) == 0 && within.waits_first)
        return kf_call_wake_in(call, 0) == KF_OK ? KF_PENDING : KF_E_SYSTEM;
    /* Where the question lies inside of itself it is not asked a second time. */
    struct kf_cmm *asks = within.asks;
    if (asks != NULL && !within.with_other_context) {
        within.answer = ask_within(call, request);
    } else if (asks != NULL && kf_encryption_context_count(request->encryption_context) == 0) {
        within.answer = ask_within(call, request);
    }
    if (within.suite != KF_SUITE_DEFAULT)
        changed.suite = within.suite;
    return kf_cmm_get_encryption_materials(within.inside, kf_call_child(call, 0), &changed, error, out);
}

static enum kf_code within_decrypt(void *self, struct kf_call *call,
                                   const struct kf_decryption_request *request, struct kf_error *error,
                                   const struct kf_decryption_materials **out)
{
    (void)self;
    return kf_cmm_decrypt_materials(within.inside, kf_call_child(call, 0), request, error, out);
}

/* A caching CMM in front of such a one, and what is behind. */
static struct {
    struct kf_cache *cache;
    struct kf_cmm *backing, *cmm;
} house;

static void house_open_that(size_t capacity, bool never_blocks)
{
    const struct kf_cmm_vtable vtable = {sizeof vtable, within_get, within_decrypt, NULL, never_blocks};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    memset(&within, 0, sizeof within);
    within.inside = support_cmm();
    assert_ok(kf_cache_new(capacity, &error, &house.cache), &error);
    assert_ok(kf_cmm_new(&vtable, NULL, &error, &house.backing), &error);
    options.cache = house.cache;
    options.cmm = house.backing;
    assert_ok(kf_caching_cmm_new(&options, &error, &house.cmm), &error);
}

static void house_open(size_t capacity)
{
    house_open_that(capacity, false);
}

static void house_close(void)
{
    kf_cmm_unref(house.cmm);
    kf_cmm_unref(house.backing);
    kf_cache_unref(house.cache);
    kf_cleanup();
    kf_cmm_unref(within.inside);
}

static struct kf_cache_stats house_stats(void)
{
    struct kf_cache_stats stats = {.size = sizeof stats};
    kf_cache_stats_read(house.cache, &stats);
    return stats;
}

static void a_suite_without_derivation_that_comes_unasked_fails_the_flight(void **state)
{
    (void)state;
    house_open(10);
    within.suite = KF_AES_256_GCM_IV12_TAG16_NO_KDF;
    struct kf_encryption_request request = encryption_request(1);
    request.suite = KF_SUITE_DEFAULT;
    request.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(asker_encrypt(&askers[0], house.cmm, &request), KF_E_POLICY);
        assert_non_null(strstr(askers[0].error.text, "0078"));
        asker_leave(&askers[0]);
    }
    struct kf_cache_stats stats = house_stats();
    assert_true(stats.flights_opened == 2 && stats.flights_failed == 2 && stats.entries == 0);
    /* Asked for, it is none of the cache's business. */
    request.suite = KF_AES_256_GCM_IV12_TAG16_NO_KDF;
    assert_int_equal(asker_encrypt(&askers[0], house.cmm, &request), KF_OK);
    asker_leave(&askers[0]);
    house_close();
}

/* ---- One caching CMM around another ---- */

static void a_caching_cmm_around_another_is_refused(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, 1000);
    struct kf_caching_cmm_options outer_options = options;
    struct scene scene;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *outer;
    scene_open(&scene, 10, &options);
    outer_options.cache = scene.cache;
    outer_options.cmm = scene.cmm;
    outer_options.partition_id = kf_view_text("outer");
    assert_ok(kf_caching_cmm_new(&outer_options, &error, &outer), &error);
    told_answer_always(scene.told, true);
    struct kf_encryption_request request = encryption_request(1);
    struct kf_edk edk = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    /*
     * Through the outer cache and past it; what goes upstream has no length, so it goes past the inner one.
     */
    for (int i = 0; i < 2; i++) {
        request.plaintext_bound = i == 1 ? 1001 : 1;
        assert_int_equal(asker_encrypt(&askers[0], outer, &request), KF_E_USAGE);
        assert_non_null(strstr(askers[0].error.text, "caching CMM"));
        asker_leave(&askers[0]);
    }
    assert_int_equal(scene_stats(&scene).entries, 0);

    /* Decryption too: a miss and a hit inside. */
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_OK);
    edk = kf_encryption_materials_edk(askers[1].encryption_materials, 0);
    const struct kf_decryption_request reading = decryption_request(&edk, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(asker_decrypt(&askers[0], outer, &reading), KF_E_USAGE);
        asker_leave(&askers[0]);
    }
    /* The inner one works as before. */
    assert_int_equal(asker_decrypt(&askers[0], scene.cmm, &reading), KF_OK);
    assert_true(askers_share_key(&askers[0], &askers[1]));
    askers_leave(askers, 2);
    kf_cmm_unref(outer);
    scene_close(&scene);
}

/* ---- Asking inside of a fetch ---- */

static void asking_inside_a_fetch_for_its_key_is_refused(void **state)
{
    (void)state;
    /*
     * Inline, on a worker, and on the internal thread, where it says that it never blocks; through the call and by a call
     * of its own.
     */
    for (int way = 0; way < 6; way++) {
        const bool on_internal = way / 2 == 2;
        house_open_that(10, on_internal);
        within.asks = house.cmm;
        within.through_call = way % 2 == 1;
        within.waits_first = way / 2 >= 1;
        asker_ask(&askers[0], house.cmm, 4); /* the internal thread may be quicker than this poll */
        assert_int_equal(asker_wait(&askers[0]), KF_OK);
        assert_int_equal(within.answer, KF_E_USAGE);
        if (on_internal && !within.through_call)
            assert_non_null(strstr(within.error.text, "internal thread"));
        else
            assert_non_null(strstr(within.error.text, "that very key"));
        const struct kf_cache_stats stats = house_stats();
        assert_true(stats.flights_opened == 1 && stats.coalesced == 0 && stats.waiting == 0);
        asker_leave(&askers[0]);
        house_close();
    }
}

static void asking_inside_a_fetch_for_another_key_is_not(void **state)
{
    (void)state;
    for (int way = 0; way < 6; way++) {
        const bool on_internal = way / 2 == 2;
        house_open_that(10, on_internal);
        within.asks = house.cmm;
        within.with_other_context = true;
        within.through_call = way % 2 == 1;
        within.waits_first = way / 2 >= 1;
        asker_ask(&askers[0], house.cmm, 4);
        assert_int_equal(asker_wait(&askers[0]), KF_OK);
        /* Only blocking on the internal thread is refused, whatever is asked. */
        const bool blocks = on_internal && !within.through_call;
        assert_int_equal(within.answer, blocks ? KF_E_USAGE : KF_OK);
        assert_int_equal(house_stats().flights_opened, blocks ? 1 : 2);
        asker_leave(&askers[0]);
        house_close();
    }
}

static void the_same_question_to_another_cache_is_another_key(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    struct scene other;
    scene_open(&other, 10, &options);
    told_answer_always(other.told, true);
    for (int way = 0; way < 2; way++) {
        house_open(10);
        within.asks = other.cmm;
        within.through_call = way == 1;
        assert_int_equal(asker_ask(&askers[0], house.cmm, 4), KF_OK);
        assert_int_equal(within.answer, KF_OK);
        asker_leave(&askers[0]);
        house_close();
    }
    scene_close(&other);
}

/* ---- A fetch that is woken all the time ---- */

static void spurious_wakes_are_polls_and_nothing_more(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, 10, &options);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    for (int round = 0; round < 50; round++) {
        told_wake_all(scene.told);
        support_settle();
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(bell_rung(&askers[i].bell), 0); /* a poll of the fetch is not their business */
            assert_int_equal(asker_poll(&askers[i]), KF_PENDING);
        }
    }
    assert_int_equal(told_begun(scene.told), 1);
    assert_int_equal(scene_stats(&scene).waiting, 3);
    scene_land_all(&scene, KF_OK);
    told_wake_all(scene.told);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    askers_leave(askers, 3);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_fetch_answers_its_seated_and_is_forgotten),
        cmocka_unit_test(a_failure_at_once_is_no_different),
        cmocka_unit_test(an_error_does_not_disturb_a_key_that_is_there),
        cmocka_unit_test(a_fetch_is_given_up_after_its_time),
        cmocka_unit_test(cleanup_fails_all_that_is_under_way),
        cmocka_unit_test(a_suite_without_derivation_goes_past_the_cache),
        cmocka_unit_test(a_suite_without_derivation_that_comes_unasked_fails_the_flight),
        cmocka_unit_test(a_caching_cmm_around_another_is_refused),
        cmocka_unit_test(asking_inside_a_fetch_for_its_key_is_refused),
        cmocka_unit_test(asking_inside_a_fetch_for_another_key_is_not),
        cmocka_unit_test(the_same_question_to_another_cache_is_another_key),
        cmocka_unit_test(spurious_wakes_are_polls_and_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
