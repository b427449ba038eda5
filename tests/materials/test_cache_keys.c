/*
 * Same question, same answer (P8): requests share a key, or a seat, only if they agree in everything that
 * decides whether the answer is allowed. And the other direction: decryption materials are shared by EDKs,
 * without budgets.
 */
#include "support/asker.h"

#define MAX 12

static struct asker askers[40];

static const struct kf_encryption_context *context_of(const char *key, const char *value)
{
    const struct kf_encryption_context *context;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryption_context_of(&error, &context, key, value, "fixed", "", (char *)NULL), &error);
    return context;
}

/*
 * Requests that differ from each other, each asked twice: as many calls as requests, in the air and when they
 * have landed.
 */
static void none_shares(const struct kf_encryption_request *requests, size_t count)
{
    const struct kf_caching_cmm_options options = caching_options(100, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, 100, &options);
    for (size_t i = 0; i < 2 * count; i++)
        assert_int_equal(asker_encrypt(&askers[i], scene.cmm, &requests[i % count]), KF_PENDING);
    assert_int_equal(told_begun(scene.told), count);
    scene_land_all(&scene, KF_OK);
    for (size_t i = 0; i < 2 * count; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    for (size_t i = 2 * count; i < 3 * count; i++)
        assert_int_equal(asker_encrypt(&askers[i], scene.cmm, &requests[i % count]), KF_OK);
    assert_int_equal(told_begun(scene.told), count);
    for (size_t i = 0; i < 3 * count; i++) {
        for (size_t k = 0; k < 3 * count; k++)
            assert_int_equal(askers_share_key(&askers[i], &askers[k]), i % count == k % count);
    }
    askers_leave(askers, 3 * count);
    scene_close(&scene);
}

static void requests_to_encrypt_that_differ_do_not_share(void **state)
{
    (void)state;
    const struct kf_encryption_context *a = context_of("a", "1"), *b = context_of("a", "2"),
                                       *c = context_of("b", "1");
    const struct kf_view required[] = {kf_view_text("a"), kf_view_text("fixed")};
    struct kf_encryption_request requests[MAX];
    size_t count = 0;
    for (size_t i = 0; i < MAX; i++) {
        requests[i] = encryption_request(1);
        requests[i].encryption_context = a;
    }
    count++; /* as it is */
    requests[count++].encryption_context = NULL;
    requests[count++].encryption_context = b;
    requests[count++].encryption_context = c;
    requests[count++].suite = KF_SUITE_DEFAULT;
    requests[count++].suite =
        KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384; /* the default by its name, too */
    requests[count++].commitment_policy = KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT;
    requests[count++].max_edks = 1;
    requests[count++].max_edks = 2;
    for (size_t i = 1; i <= 2; i++) {
        requests[count].required_keys = required;
        requests[count++].required_key_count = i;
    }
    none_shares(requests, count);
    kf_encryption_context_unref(a);
    kf_encryption_context_unref(b);
    kf_encryption_context_unref(c);
}

static void a_policy_is_never_answered_by_another_ones_key(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(100, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, 100, &options);
    told_answer_always(scene.told, true);
    struct kf_encryption_request request = encryption_request(1);
    assert_int_equal(asker_encrypt(&askers[0], scene.cmm, &request), KF_OK);
    request.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT; /* forbids suite 0478 */
    assert_int_equal(asker_encrypt(&askers[1], scene.cmm, &request), KF_E_POLICY);
    assert_int_equal(scene_stats(&scene).hits, 0);

    /* Nor does a number that is no policy pass for one. */
    const struct kf_edk edk = kf_encryption_materials_edk(askers[0].encryption_materials, 0);
    struct kf_decryption_request reading = decryption_request(&edk, 1);
    assert_int_equal(asker_decrypt(&askers[2], scene.cmm, &reading), KF_OK);
    reading.commitment_policy = (enum kf_commitment_policy)256;
    assert_int_equal(asker_decrypt(&askers[3], scene.cmm, &reading), KF_E_POLICY);
    askers_leave(askers, 4);
    scene_close(&scene);
}

static void who_requires_a_pair_gets_it_required(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(100, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, 100, &options);
    told_answer_always(scene.told, true);
    const struct kf_encryption_context *context = context_of("a", "1");
    struct kf_encryption_request request = encryption_request(1);
    const struct kf_view required = kf_view_text("a");
    request.encryption_context = context;
    for (size_t i = 0; i < 4; i++) {
        request.required_keys = &required;
        request.required_key_count = i % 2;
        assert_int_equal(asker_encrypt(&askers[i], scene.cmm, &request), KF_OK);
        const struct kf_encryption_context *own =
            kf_encryption_materials_required_context(askers[i].encryption_materials);
        assert_int_equal(kf_encryption_context_count(own), i % 2);
    }
    assert_int_equal(scene_stats(&scene).hits, 2);

    /* A required key that the context lacks is refused, though a key for that context is there. */
    const struct kf_view lacking = kf_view_text("lacking");
    request.required_keys = &lacking;
    request.required_key_count = 1;
    assert_int_equal(asker_encrypt(&askers[4], scene.cmm, &request), KF_E_POLICY);
    askers_leave(askers, 5);
    kf_encryption_context_unref(context);
    scene_close(&scene);
}

/* ---- Decryption ---- */

/* A message with a stored and a required pair, as its reader sees it. */
struct message {
    struct asker writer;
    const struct kf_encryption_context *whole, *stored, *reproduced;
    struct kf_edk edk;
};

static void message_write(struct message *message)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = support_cmm();
    const struct kf_view required = kf_view_text("required");
    struct kf_encryption_request request = encryption_request(1);
    assert_ok(kf_encryption_context_of(&error, &message->whole, "required", "r", "stored", "s", (char *)NULL),
              &error);
    assert_ok(kf_encryption_context_of(&error, &message->stored, "stored", "s", (char *)NULL), &error);
    assert_ok(kf_encryption_context_of(&error, &message->reproduced, "required", "r", (char *)NULL), &error);
    request.encryption_context = message->whole;
    request.required_keys = &required;
    request.required_key_count = 1;
    assert_int_equal(asker_encrypt(&message->writer, cmm, &request), KF_OK);
    message->edk = kf_encryption_materials_edk(message->writer.encryption_materials, 0);
    kf_cmm_unref(cmm);
}

static void message_free(struct message *message)
{
    asker_leave(&message->writer);
    kf_encryption_context_unref(message->whole);
    kf_encryption_context_unref(message->stored);
    kf_encryption_context_unref(message->reproduced);
}

static struct kf_decryption_request message_request(const struct message *message)
{
    struct kf_decryption_request request = decryption_request(&message->edk, 1);
    request.encryption_context = message->stored;
    request.reproduced_encryption_context = message->reproduced;
    return request;
}

static void one_call_serves_any_number_of_readers(void **state)
{
    (void)state;
    static const size_t capacities[] = {0, 1};
    struct message message;
    message_write(&message);
    for (size_t c = 0; c < 2; c++) {
        /* Limits are for encryption. */
        const struct kf_caching_cmm_options options = caching_options(1, 0);
        struct scene scene;
        scene_open(&scene, capacities[c], &options);
        const struct kf_decryption_request request = message_request(&message);
        for (size_t i = 0; i < 20; i++)
            assert_int_equal(asker_decrypt(&askers[i], scene.cmm, &request), KF_PENDING);
        assert_int_equal(told_begun(scene.told), 1);
        scene_land_all(&scene, KF_OK);
        for (size_t i = 0; i < 20; i++) {
            assert_int_equal(asker_wait(&askers[i]), KF_OK);
            assert_true(askers_share_key(&askers[i], &message.writer));
        }
        if (capacities[c] > 0) {
            for (size_t i = 20; i < 40; i++)
                assert_int_equal(asker_decrypt(&askers[i], scene.cmm, &request), KF_OK);
            assert_int_equal(told_begun(scene.told), 1);
        }
        assert_int_equal(scene_stats(&scene).ended_messages, 0);
        askers_leave(askers, 40);
        scene_close(&scene);
    }
    message_free(&message);
}

static void a_key_for_reading_expires_too(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct message message;
    message_write(&message);
    const struct kf_caching_cmm_options options = caching_options(1, 0);
    struct scene scene;
    scene_open(&scene, 10, &options);
    told_answer_always(scene.told, true);
    const struct kf_decryption_request request = message_request(&message);
    assert_int_equal(asker_decrypt(&askers[0], scene.cmm, &request), KF_OK);
    support_clock_advance(59999);
    assert_int_equal(asker_decrypt(&askers[1], scene.cmm, &request), KF_OK);
    assert_int_equal(told_begun(scene.told), 1);
    support_clock_advance(1);
    assert_int_equal(asker_decrypt(&askers[2], scene.cmm, &request), KF_OK);
    assert_int_equal(told_begun(scene.told), 2);
    assert_int_equal(scene_stats(&scene).ended_age, 1);
    askers_leave(askers, 3);
    scene_close(&scene);
    message_free(&message);
    support_clock_real();
}

static void who_does_not_bring_the_required_pair_reads_nothing(void **state)
{
    (void)state;
    struct message message;
    const struct kf_encryption_context *wrong, *more;
    struct kf_error error = KF_ERROR_INIT;
    message_write(&message);
    assert_ok(kf_encryption_context_of(&error, &wrong, "required", "x", (char *)NULL), &error);
    assert_ok(kf_encryption_context_of(&error, &more, "required", "r", "more", "m", (char *)NULL), &error);
    const struct kf_caching_cmm_options options = caching_options(1, 0);
    struct scene scene;
    scene_open(&scene, 10, &options);
    struct kf_decryption_request request = message_request(&message);
    /* Beside one who brings it: in the air, ... */
    assert_int_equal(asker_decrypt(&askers[0], scene.cmm, &request), KF_PENDING);
    const struct kf_encryption_context *const brought[] = {NULL, wrong, more};
    for (size_t i = 0; i < 3; i++) {
        request.reproduced_encryption_context = brought[i];
        assert_int_equal(asker_decrypt(&askers[1 + i], scene.cmm, &request), KF_PENDING);
    }
    assert_int_equal(told_begun(scene.told), 4);
    scene_land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    /* ... and when the key is there. */
    told_answer_always(scene.told, true);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(asker_wait(&askers[1 + i]), KF_E_KEYS);
        request.reproduced_encryption_context = brought[i];
        assert_int_equal(asker_decrypt(&askers[4 + i], scene.cmm, &request), KF_E_KEYS);
    }
    /* One who reproduces what is stored anyway may read, but asks for himself. */
    request.reproduced_encryption_context = message.whole;
    assert_int_equal(asker_decrypt(&askers[7], scene.cmm, &request), KF_OK);
    assert_int_equal(scene_stats(&scene).hits, 0);
    askers_leave(askers, 8);
    scene_close(&scene);
    kf_encryption_context_unref(wrong);
    kf_encryption_context_unref(more);
    message_free(&message);
}

static void edks_in_any_order_are_the_same_message(void **state)
{
    (void)state;
    struct message message;
    message_write(&message);
    const struct kf_caching_cmm_options options = caching_options(1, 0);
    struct scene scene;
    scene_open(&scene, 10, &options);
    told_answer_always(scene.told, true);
    const struct kf_edk foreign = {kf_view_text("aws-kms"), kf_view_text("arn"), kf_view_text("ciphertext")};
    const struct kf_edk other = {kf_view_text("aws-kms"), kf_view_text("arn"), kf_view_text("ciphertexu")};
    const struct kf_edk orders[4][3] = {{message.edk, foreign, other},
                                        {foreign, message.edk, other},
                                        {other, foreign, message.edk},
                                        {foreign, other, message.edk}};
    struct kf_decryption_request request = message_request(&message);
    request.edk_count = 3;
    for (size_t i = 0; i < 4; i++) {
        request.edks = orders[i];
        assert_int_equal(asker_decrypt(&askers[i], scene.cmm, &request), KF_OK);
    }
    assert_int_equal(told_begun(scene.told), 1);
    assert_int_equal(scene_stats(&scene).hits, 3);

    /* Fewer of them, or others, are another message; so are another policy and another limit. */
    request.edks = orders[0];
    request.edk_count = 2;
    assert_int_equal(asker_decrypt(&askers[4], scene.cmm, &request), KF_OK);
    request = message_request(&message);
    request.commitment_policy = KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT;
    assert_int_equal(asker_decrypt(&askers[5], scene.cmm, &request), KF_OK);
    request = message_request(&message);
    request.max_edks = 1;
    assert_int_equal(asker_decrypt(&askers[6], scene.cmm, &request), KF_OK);
    assert_int_equal(told_begun(scene.told), 4);
    request.edks = &foreign;
    assert_int_equal(asker_decrypt(&askers[7], scene.cmm, &request), KF_E_KEYS);
    assert_int_equal(scene_stats(&scene).hits, 3);
    askers_leave(askers, 8);
    scene_close(&scene);
    message_free(&message);
}

static void a_reader_may_leave_like_anybody(void **state)
{
    (void)state;
    struct message message;
    message_write(&message);
    const struct kf_caching_cmm_options options = caching_options(1, 0);
    struct scene scene;
    scene_open(&scene, 10, &options);
    const struct kf_decryption_request request = message_request(&message);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(asker_decrypt(&askers[i], scene.cmm, &request), KF_PENDING);
    asker_leave(&askers[0]); /* the opener */
    asker_leave(&askers[1]);
    scene_land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&askers[2]), KF_OK);
    asker_leave(&askers[2]);
    assert_int_equal(asker_decrypt(&askers[3], scene.cmm, &request), KF_OK);
    asker_leave(&askers[3]);
    scene_close(&scene);
    message_free(&message);
}

/* What a flight asks lives on its own: the opener's request may go as soon as he is gone. */
static void a_flight_keeps_its_own_copy_of_the_question(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, 10, &options);
    for (int direction = 0; direction < 2; direction++) {
        struct message message;
        message_write(&message);
        char name[] = "required";
        struct kf_view required = kf_view_text(name);
        struct kf_encryption_request writing = encryption_request(1);
        writing.encryption_context = message.whole;
        writing.required_keys = &required;
        writing.required_key_count = 1;
        const struct kf_decryption_request reading = message_request(&message);
        if (direction == 0)
            assert_int_equal(asker_encrypt(&askers[0], scene.cmm, &writing), KF_PENDING);
        else
            assert_int_equal(asker_decrypt(&askers[0], scene.cmm, &reading), KF_PENDING);
        asker_leave(&askers[0]);
        memset(name, 'x', sizeof name - 1);
        required = kf_view_of(NULL, 0);
        message_free(&message);
        scene_land_all(&scene, KF_OK);
    }
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.flights_failed == 0 && stats.entries == 2);
    assert_true(told_last_bound(scene.told) ==
                KF_LENGTH_UNKNOWN); /* and says nothing of that message's length */
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_to_encrypt_that_differ_do_not_share),
        cmocka_unit_test(a_policy_is_never_answered_by_another_ones_key),
        cmocka_unit_test(who_requires_a_pair_gets_it_required),
        cmocka_unit_test(one_call_serves_any_number_of_readers),
        cmocka_unit_test(a_key_for_reading_expires_too),
        cmocka_unit_test(who_does_not_bring_the_required_pair_reads_nothing),
        cmocka_unit_test(edks_in_any_order_are_the_same_message),
        cmocka_unit_test(a_reader_may_leave_like_anybody),
        cmocka_unit_test(a_flight_keeps_its_own_copy_of_the_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
