/*
 * The caching CMM as its users see it: options, blocking and polling callers, messages under a shared key,
 * and what may be released when.
 */
#include "support/asker.h"

static struct asker askers[10];

/* ---- Options ---- */

static void every_wrong_option_is_refused(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options right = caching_options(10, 1000);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cache *cache;
    struct kf_keyring *keyring = support_keyring();
    struct kf_cmm *backing = support_cmm(), *cmm;
    assert_ok(kf_cache_new(10, &error, &cache), &error);

    struct kf_caching_cmm_options wrong[12];
    for (size_t i = 0; i < 12; i++) {
        wrong[i] = right;
        wrong[i].cache = cache;
        wrong[i].cmm = backing;
    }
    size_t count = 0;
    wrong[count++].cache = NULL;
    wrong[count++].cmm = NULL;        /* neither */
    wrong[count++].keyring = keyring; /* both */
    wrong[count++].max_age_ms = 0;
    wrong[count++].max_messages = 0;
    wrong[count++].max_messages = KF_MAX_MESSAGES_LIMIT + 1;
    wrong[count++].max_messages = UINT64_MAX;
    wrong[count++].max_bytes = KF_MAX_BYTES_LIMIT + 1;
    wrong[count++].fetch_timeout_ms = 0;
    wrong[count++].size = 0;
    wrong[count++].size = sizeof right + 1;
    wrong[count++].size = sizeof right.size - 1;
    for (size_t i = 0; i < count; i++) {
        error = (struct kf_error)KF_ERROR_INIT;
        cmm = backing;
        assert_int_equal(kf_caching_cmm_new(&wrong[i], &error, &cmm), KF_E_USAGE);
        assert_int_equal(error.code, KF_E_USAGE);
        assert_true(strlen(error.text) > 0);
        assert_null(cmm);
        assert_int_equal(kf_caching_cmm_new(&wrong[i], NULL, &cmm), KF_E_USAGE);
    }
    assert_int_equal(kf_caching_cmm_new(NULL, &error, &cmm), KF_E_USAGE);
    /* What was given by INIT lacks what has to be given. */
    struct kf_caching_cmm_options init = KF_CACHING_CMM_OPTIONS_INIT;
    init.cache = cache;
    init.cmm = backing;
    assert_int_equal(kf_caching_cmm_new(&init, &error, &cmm), KF_E_USAGE);
    assert_non_null(strstr(error.text, "max_age_ms"));

    /* The extremes are right. */
    struct kf_caching_cmm_options extreme[2] = {right, right};
    for (size_t i = 0; i < 2; i++) {
        extreme[i].cache = cache;
        extreme[i].keyring = i == 0 ? keyring : NULL;
        extreme[i].cmm = i == 1 ? backing : NULL;
        extreme[i].max_age_ms = i == 0 ? 1 : UINT64_MAX;
        extreme[i].max_messages = i == 0 ? 1 : KF_MAX_MESSAGES_LIMIT;
        extreme[i].max_bytes = i == 0 ? 0 : KF_MAX_BYTES_LIMIT;
        extreme[i].fetch_timeout_ms = i == 0 ? 1 : UINT64_MAX;
        assert_ok(kf_caching_cmm_new(&extreme[i], &error, &cmm), &error);
        assert_int_equal(asker_ask(&askers[0], cmm, 0), KF_OK);
        asker_leave(&askers[0]);
        kf_cmm_unref(cmm);
    }
    kf_cmm_unref(backing);
    kf_keyring_unref(keyring);
    kf_cache_unref(cache);
    kf_cache_unref(NULL);
}

static void an_older_caller_knows_fewer_options(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct scene scene;
    struct kf_caching_cmm_options options = caching_options(10, 1000);
    options.size = offsetof(struct kf_caching_cmm_options, fetch_timeout_ms);
    options.fetch_timeout_ms = 0; /* is not read */
    scene_open(&scene, 10, &options);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_PENDING);
    support_clock_advance(9999);
    support_settle();
    assert_int_equal(bell_rung(&askers[0].bell), 0);
    support_clock_advance(1);
    assert_int_equal(asker_wait(&askers[0]), KF_E_TIMEOUT); /* the default */
    asker_leave(&askers[0]);
    scene_close(&scene);
    support_clock_real();
}

static void the_partition_is_copied(void **state)
{
    (void)state;
    struct scene scene;
    char name[] = "partition";
    struct kf_caching_cmm_options options = caching_options(10, 1000);
    options.partition_id = kf_view_text(name);
    scene_open(&scene, 10, &options);
    told_answer_always(scene.told, true);
    name[0] = 'P';
    struct kf_cmm *other = scene_cmm(&scene, &options);
    name[0] = 'p';
    struct kf_cmm *same = scene_cmm(&scene, &options);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_OK);
    assert_int_equal(asker_ask(&askers[1], other, 1), KF_OK);
    assert_int_equal(asker_ask(&askers[2], same, 1), KF_OK);
    assert_false(askers_share_key(&askers[0], &askers[1]));
    assert_true(askers_share_key(&askers[0], &askers[2]));
    askers_leave(askers, 3);
    kf_cmm_unref(other);
    kf_cmm_unref(same);
    scene_close(&scene);
}

/* ---- Callers who block ---- */

#define THREADS 24

struct blocking {
    struct kf_cmm *cmm;
    uint64_t timeout_ms;
    enum kf_code code;
    struct kf_buf message;
    pthread_t thread;
};

static void *encrypt_blocking(void *context)
{
    struct blocking *blocking = context;
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    options.timeout_ms = blocking->timeout_ms;
    blocking->code = kf_encrypt(blocking->cmm, &options, kf_view_text("text"), NULL, &blocking->message);
    return NULL;
}

static void assert_decrypted(struct kf_cmm *cmm, struct kf_buf message)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf text = KF_BUF_INIT;
    assert_ok(kf_decrypt(cmm, NULL, kf_view_of(message.data, message.length), &error, NULL, &text), &error);
    assert_int_equal(text.length, 4);
    assert_memory_equal(text.data, "text", 4);
    kf_buf_free(&text);
}

static void callers_who_block_are_woken(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, 1000);
    struct scene scene;
    static struct blocking blocking[THREADS];
    scene_open(&scene, 10, &options);
    for (size_t i = 0; i < THREADS; i++) {
        blocking[i] = (struct blocking){.cmm = scene.cmm};
        assert_int_equal(pthread_create(&blocking[i].thread, NULL, encrypt_blocking, &blocking[i]), 0);
    }
    told_wait_begun(scene.told, 3);
    while (scene_stats(&scene).waiting < THREADS)
        support_settle();
    assert_int_equal(told_in_flight(scene.told), 3);
    told_answer_all(scene.told, KF_OK);
    struct kf_cmm *reader = support_cmm();
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(blocking[i].thread, NULL);
        assert_int_equal(blocking[i].code, KF_OK);
        assert_decrypted(reader, blocking[i].message);
        kf_buf_free(&blocking[i].message);
    }
    kf_cmm_unref(reader);
    assert_int_equal(told_begun(scene.told), 3);
    scene_close(&scene);
}

static void a_caller_who_blocks_has_a_deadline(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, 1000);
    struct scene scene;
    scene_open(&scene, 10, &options);
    struct blocking blocking = {.cmm = scene.cmm, .timeout_ms = 1};
    encrypt_blocking(&blocking); /* nobody answers */
    assert_int_equal(blocking.code, KF_E_TIMEOUT);
    assert_int_equal(blocking.message.length, 0);
    assert_int_equal(told_in_flight(scene.told), 1);
    assert_int_equal(scene_stats(&scene).waiting, 0);
    scene_land_all(&scene, KF_OK);
    blocking.timeout_ms = 0;
    encrypt_blocking(&blocking); /* it was kept for him */
    assert_int_equal(blocking.code, KF_OK);
    assert_int_equal(told_begun(scene.told), 1);
    kf_buf_free(&blocking.message);
    scene_close(&scene);
}

static void cleanup_wakes_who_blocks(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(2, 1000);
    struct scene scene;
    static struct blocking blocking[5];
    scene_open(&scene, 10, &options);
    for (size_t i = 0; i < 5; i++) {
        blocking[i] = (struct blocking){.cmm = scene.cmm};
        assert_int_equal(pthread_create(&blocking[i].thread, NULL, encrypt_blocking, &blocking[i]), 0);
    }
    while (scene_stats(&scene).waiting < 5)
        support_settle();
    kf_cleanup();
    for (size_t i = 0; i < 5; i++) {
        pthread_join(blocking[i].thread, NULL);
        assert_int_equal(blocking[i].code, KF_E_CLEANED_UP);
        assert_int_equal(blocking[i].message.length, 0);
        kf_buf_free(&blocking[i].message);
    }
    told_answer_always(scene.told, true);
    struct blocking after = {.cmm = scene.cmm};
    encrypt_blocking(&after);
    assert_int_equal(after.code, KF_OK);
    kf_buf_free(&after.message);
    scene_close(&scene);
}

/* ---- Callers who poll ---- */

static struct kf_encryptor *encryptor_new(struct kf_cmm *cmm, uint64_t bound)
{
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encryptor *encryptor;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    options.plaintext_bound = bound;
    assert_ok(kf_encryptor_new(cmm, &options, &error, &encryptor), &error);
    return encryptor;
}

static enum kf_code poll_for_materials(struct kf_encryptor *encryptor, const struct kf_waker *waker)
{
    struct kf_io nothing = {.in = NULL};
    return kf_encryptor_poll(encryptor, &nothing, waker);
}

static void the_last_waker_is_woken_and_no_other(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, 1000);
    struct scene scene;
    struct bell bells[3];
    struct kf_waker wakers[3];
    scene_open(&scene, 10, &options);
    for (size_t i = 0; i < 3; i++) {
        bell_init(&bells[i]);
        wakers[i] = bell_waker(&bells[i]);
    }
    struct kf_encryptor *moving = encryptor_new(scene.cmm, 10), *freed = encryptor_new(scene.cmm, 10);
    assert_int_equal(poll_for_materials(moving, &wakers[0]), KF_PENDING);
    assert_int_equal(poll_for_materials(freed, &wakers[2]), KF_PENDING);
    assert_int_equal(poll_for_materials(moving, &wakers[1]), KF_PENDING);
    kf_encryptor_free(freed);
    scene_land_all(&scene, KF_OK);
    assert_int_equal(bell_rung(&bells[0]), 0);
    assert_int_equal(bell_rung(&bells[1]), 1);
    assert_int_equal(bell_rung(&bells[2]), 0);

    /* Who holds materials is woken by nothing any more. */
    assert_int_equal(poll_for_materials(moving, &wakers[1]), KF_WANT_OUTPUT);
    told_wake_all(scene.told);
    support_settle();
    assert_int_equal(bell_rung(&bells[1]), 1);
    kf_encryptor_free(moving);
    for (size_t i = 0; i < 3; i++)
        bell_destroy(&bells[i]);
    scene_close(&scene);
}

/* What a waker would wait for: `held` by whoever polls. */
struct across_polls {
    bool held;
    unsigned deadlocks, wakes;
};

static void wake_across_polls(void *context)
{
    struct across_polls *across = context;
    across->wakes++;
    if (across->held)
        across->deadlocks++;
}

static void a_fetch_that_ends_within_the_poll_wakes_no_poller(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, 1000);
    struct scene scene;
    struct across_polls across = {.held = false};
    const struct kf_waker waker = {wake_across_polls, &across};
    scene_open(&scene, 10, &options);
    told_answer_always(scene.told, true);
    struct kf_encryptor *encryptor = encryptor_new(scene.cmm, 10);
    across.held = true;
    assert_int_equal(poll_for_materials(encryptor, &waker), KF_WANT_OUTPUT);
    across.held = false;
    assert_int_equal(told_begun(scene.told), 1);
    assert_int_equal(across.deadlocks, 0);
    assert_int_equal(across.wakes, 0);
    kf_encryptor_free(encryptor);
    scene_close(&scene);
}

static void a_caller_can_turn_from_polling_to_blocking(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, 1000);
    struct scene scene;
    struct bell bell;
    scene_open(&scene, 10, &options);
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    struct kf_encryptor *encryptor = encryptor_new(scene.cmm, 10);
    assert_int_equal(poll_for_materials(encryptor, &waker), KF_PENDING);
    told_answer_all(scene.told, KF_OK);
    assert_int_equal(poll_for_materials(encryptor, NULL), KF_WANT_OUTPUT);
    kf_encryptor_free(encryptor);
    bell_destroy(&bell);
    scene_close(&scene);
}

/* ---- Past the cache ---- */

static void who_goes_past_the_cache_drives_his_own_fetch(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, 1000);
    struct scene scene;
    struct bell bell;
    scene_open(&scene, 10, &options);
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    struct kf_encryptor *leaving = encryptor_new(scene.cmm, KF_LENGTH_UNKNOWN);
    struct kf_encryptor *staying = encryptor_new(scene.cmm, KF_LENGTH_UNKNOWN);
    assert_int_equal(poll_for_materials(leaving, &waker), KF_PENDING);
    assert_int_equal(poll_for_materials(staying, &waker), KF_PENDING);
    assert_int_equal(poll_for_materials(staying, &waker), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 2);
    assert_int_equal(scene_stats(&scene).bypasses, 2);
    kf_encryptor_free(leaving);
    assert_int_equal(told_dropped(scene.told), 1); /* nobody else waits for it */

    told_answer(scene.told, 1, KF_OK);
    bell_wait(&bell);
    assert_int_equal(poll_for_materials(staying, &waker), KF_WANT_OUTPUT);
    kf_encryptor_free(staying);
    bell_destroy(&bell);
    scene_close(&scene);
}

/* A CMM that waits for a timer, and one that wakes before its poll has returned. */
static bool wakes_within;

static enum kf_code waiting_get(void *self, struct kf_call *call, const struct kf_encryption_request *request,
                                struct kf_error *error, const struct kf_encryption_materials **out)
{
    if (kf_call_state(call) == NULL) {
        kf_call_state_set(call, self, NULL);
        if (!wakes_within)
            return kf_call_wake_in(call, 1000000) == KF_OK ? KF_PENDING : KF_E_SYSTEM;
        struct kf_call_waker *waker = kf_call_waker_of(call);
        kf_call_waker_wake(waker);
        kf_call_waker_unref(waker);
        return KF_PENDING;
    }
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
}

static enum kf_code waiting_decrypt(void *self, struct kf_call *call,
                                    const struct kf_decryption_request *request, struct kf_error *error,
                                    const struct kf_decryption_materials **out)
{
    return kf_cmm_decrypt_materials(self, kf_call_child(call, 0), request, error, out);
}

static struct kf_cmm *waiting_cmm(struct kf_cmm *inside)
{
    static const struct kf_cmm_vtable vtable = {sizeof vtable, waiting_get, waiting_decrypt, NULL, false};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    assert_ok(kf_cmm_new(&vtable, inside, &error, &cmm), &error);
    return cmm;
}

/* It is polled again instead, at once. */
static void a_waker_does_not_fire_inside_its_own_poll(void **state)
{
    (void)state;
    struct kf_cmm *inside = support_cmm(), *cmm = waiting_cmm(inside);
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    wakes_within = true;
    struct kf_encryptor *encryptor = encryptor_new(cmm, 10);
    assert_int_equal(poll_for_materials(encryptor, &waker), KF_WANT_OUTPUT);
    assert_int_equal(bell_rung(&bell), 0);
    kf_encryptor_free(encryptor);
    struct blocking blocking = {.cmm = cmm};
    encrypt_blocking(&blocking);
    assert_int_equal(blocking.code, KF_OK);
    kf_buf_free(&blocking.message);
    bell_destroy(&bell);
    kf_cmm_unref(cmm);
    kf_cmm_unref(inside);
}

static void cleanup_wakes_who_waits_for_a_timer(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_cmm *inside = support_cmm(), *cmm = waiting_cmm(inside);
    wakes_within = false;
    assert_int_equal(asker_ask(&askers[0], cmm, 10), KF_PENDING);
    kf_cleanup();
    assert_int_equal(bell_rung(&askers[0].bell), 1);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    asker_leave(&askers[0]);
    kf_cmm_unref(cmm);
    kf_cmm_unref(inside);
    support_clock_real();
}

/* ---- Messages ---- */

static void messages_under_one_key_are_different_messages(void **state)
{
    (void)state;
    static const enum kf_suite suites[] = {KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
                                           KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384};
    for (size_t s = 0; s < 2; s++) {
        const struct kf_caching_cmm_options options = caching_options(10, 1000);
        struct scene scene;
        struct kf_buf messages[4] = {KF_BUF_INIT, KF_BUF_INIT, KF_BUF_INIT, KF_BUF_INIT};
        const struct kf_header *headers[4];
        struct kf_encrypt_options encrypting = KF_ENCRYPT_OPTIONS_INIT;
        struct kf_error error = KF_ERROR_INIT;
        scene_open(&scene, 10, &options);
        told_answer_always(scene.told, true);
        encrypting.suite = suites[s];
        for (size_t i = 0; i < 4; i++) {
            assert_ok(kf_encrypt(scene.cmm, &encrypting, kf_view_text("text"), &error, &messages[i]), &error);
            assert_ok(
                kf_header_parse(kf_view_of(messages[i].data, messages[i].length), 0, &error, &headers[i]),
                &error);
        }
        assert_int_equal(told_begun(scene.told), 1);
        for (size_t i = 0; i < 4; i++) {
            const struct kf_view id = kf_header_message_id(headers[i]);
            const struct kf_edk edk = kf_header_edk(headers[i], 0), first = kf_header_edk(headers[0], 0);
            assert_int_equal(edk.ciphertext.length, first.ciphertext.length);
            assert_memory_equal(edk.ciphertext.data, first.ciphertext.data, edk.ciphertext.length);
            for (size_t k = 0; k < i; k++)
                assert_memory_not_equal(id.data, kf_header_message_id(headers[k]).data, id.length);
            assert_decrypted(scene.cmm, messages[i]);
        }
        /* One key for all of them: one call to read them all. */
        assert_int_equal(told_begun(scene.told), 2);
        assert_int_equal(scene_stats(&scene).entries, 2);
        for (size_t i = 0; i < 4; i++) {
            kf_header_unref(headers[i]);
            kf_buf_free(&messages[i]);
        }
        scene_close(&scene);
    }
}

/* ---- Ends ---- */

static void everything_may_be_released_while_a_fetch_is_under_way(void **state)
{
    (void)state;
    /* 0: somebody still sits in it; 1: nobody does; 2: it is cleaned up; 3: it fails. */
    for (int way = 0; way < 4; way++) {
        const struct kf_caching_cmm_options options = caching_options(10, 1000);
        struct scene scene;
        scene_open(&scene, 10, &options);
        assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_PENDING);
        assert_int_equal(asker_ask(&askers[1], scene.cmm, 1), KF_PENDING);
        asker_leave(&askers[0]);
        if (way == 1)
            asker_leave(&askers[1]);
        kf_cmm_unref(scene.cmm);
        kf_cache_unref(scene.cache);
        kf_cmm_unref(scene.backing);
        scene.cmm = scene.backing = NULL;
        scene.cache = NULL;
        if (way == 2)
            kf_cleanup();
        else
            scene_land_all(&scene, way == 3 ? KF_E_RETRY : KF_OK);
        if (way != 1) {
            static const enum kf_code expected[] = {KF_OK, KF_OK, KF_E_CLEANED_UP, KF_E_RETRY};
            assert_int_equal(asker_wait(&askers[1]), expected[way]);
        }
        asker_leave(&askers[1]);
        scene_close(&scene);
    }
}

static void materials_outlive_everything(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(1, 1000);
    struct scene scene;
    struct kf_error error = KF_ERROR_INIT;
    scene_open(&scene, 1, &options);
    told_answer_always(scene.told, true);
    struct kf_encryptor *encryptor = encryptor_new(scene.cmm, 4);
    assert_int_equal(poll_for_materials(encryptor, NULL), KF_WANT_OUTPUT);
    /* Its key is used up and others come; the cache goes. */
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_OK);
        asker_leave(&askers[0]);
    }
    scene_close(&scene);
    uint8_t message[1000];
    struct kf_io io = {.in = (const uint8_t *)"text",
                       .in_length = 4,
                       .in_end = true,
                       .out = message,
                       .out_room = sizeof message};
    assert_int_equal(kf_encryptor_poll(encryptor, &io, NULL), KF_OK);
    kf_encryptor_free(encryptor);
    struct kf_cmm *cmm = support_cmm();
    struct kf_buf text = KF_BUF_INIT;
    assert_ok(kf_decrypt(cmm, NULL, kf_view_of(message, io.out_used), &error, NULL, &text), &error);
    assert_memory_equal(text.data, "text", 4);
    kf_buf_free(&text);
    kf_cmm_unref(cmm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wrong_option_is_refused),
        cmocka_unit_test(an_older_caller_knows_fewer_options),
        cmocka_unit_test(the_partition_is_copied),
        cmocka_unit_test(callers_who_block_are_woken),
        cmocka_unit_test(a_caller_who_blocks_has_a_deadline),
        cmocka_unit_test(cleanup_wakes_who_blocks),
        cmocka_unit_test(the_last_waker_is_woken_and_no_other),
        cmocka_unit_test(a_fetch_that_ends_within_the_poll_wakes_no_poller),
        cmocka_unit_test(a_caller_can_turn_from_polling_to_blocking),
        cmocka_unit_test(who_goes_past_the_cache_drives_his_own_fetch),
        cmocka_unit_test(a_waker_does_not_fire_inside_its_own_poll),
        cmocka_unit_test(cleanup_wakes_who_waits_for_a_timer),
        cmocka_unit_test(messages_under_one_key_are_different_messages),
        cmocka_unit_test(everything_may_be_released_while_a_fetch_is_under_way),
        cmocka_unit_test(materials_outlive_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
