/*
 * The KMS keyring with a KMS on loopback that answers as it is told: what KMS is asked, which answers are refused, what
 * becomes of errors, and which EDKs are never sent.
 */
#include "aws/kms_stage.h"

/* ---- Encryption ---- */

static void the_generator_makes_the_key(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    stage_keys(&stage, KEY, NULL, NULL);
    kms_reply(200, GENERATED(KEY, DATA_KEY));
    assert_ok(wrap(&stage), &stage.asker.error);
    check_key(&stage);
    assert_int_equal(kf_encryption_materials_edk_count(stage.asker.encryption_materials), 1);
    check_edk(&stage, 0, KEY, "wrapped-1");
    check_request(0, "GenerateDataKey", "\"KeyId\":\"" KEY "\"", "\"NumberOfBytes\":32",
                  "\"EncryptionContext\":{}", "\"GrantTokens\":[\"token-1\",\"token-2\"]");
    assert_int_equal(server_asked(), 1);
    stage_close(&stage);
}

static void its_length_is_the_suites(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_encryption_request request = encryption_request(1);
    request.suite = KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256;
    request.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    stage_open(&stage);
    stage_keys(&stage, KEY, NULL, NULL);
    for (int right = 0; right < 2; right++) {
        kms_reply(200, right ? GENERATED(KEY, DATA_KEY_16) : GENERATED(KEY, DATA_KEY));
        asker_leave(&stage.asker);
        asker_encrypt(&stage.asker, stage.cmm, &request);
        assert_int_equal(asker_wait(&stage.asker), right ? KF_OK : KF_E_REMOTE);
        check_request((size_t)right, "GenerateDataKey", "\"NumberOfBytes\":16");
    }
    assert_int_equal(asker_key(&stage.asker).length, 16);
    stage_close(&stage);
}

/* That includes what the message does not store, and the public key of a signing suite. */
static void the_context_goes_along_whole(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_view public_key;
    char piece[256];
    const struct kf_encryption_context *context =
        client_context("tenant", "4\"2", "schl\xc3\xbcssel", "\xe9\x8d\xb5");
    const struct kf_view required = kf_view_text("tenant");
    struct kf_encryption_request request = encryption_request(1);
    request.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
    request.encryption_context = context;
    request.required_keys = &required;
    request.required_key_count = 1;
    stage_open(&stage);
    stage_keys(&stage, KEY, NULL, NULL);
    kms_reply(200, GENERATED(KEY, DATA_KEY));
    asker_encrypt(&stage.asker, stage.cmm, &request);
    assert_ok(asker_wait(&stage.asker), &stage.asker.error);
    const struct kf_encryption_context *whole =
        kf_encryption_materials_encryption_context(stage.asker.encryption_materials);
    assert_true(kf_encryption_context_get(whole, kf_view_text("aws-crypto-public-key"), &public_key));
    snprintf(
        piece, sizeof piece,
        "\"EncryptionContext\":{\"aws-crypto-public-key\":\"%.*s\",\"schl\xc3\xbcssel\":\"\xe9\x8d\xb5\","
        "\"tenant\":\"4\\\"2\"}",
        (int)public_key.length, (const char *)public_key.data);
    check_request(0, "GenerateDataKey", piece);
    stage_close(&stage);
    kf_encryption_context_unref(context);
}

static void answers_that_are_not_believed(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *says;
    } cases[] = {
        {GENERATED(KEY, DATA_KEY_31), "31 bytes"},
        {GENERATED(KEY, DATA_KEY_16), "16 bytes"},
        {GENERATED(ALIAS, DATA_KEY), "KeyId"},
        {GENERATED("12345678-1234-1234-1234-123456789012", DATA_KEY), "KeyId"},
        {GENERATED("arn:aws:kms:eu-central-1::key/1", DATA_KEY), "KeyId"},
        {ENCRYPTED(KEY, WRAPPED_1), ""},
        {DECRYPTED(KEY, DATA_KEY), ""},
        {"{}", ""},
    };
    struct stage stage;
    stage_open(&stage);
    stage_keys(&stage, KEY, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kms_reply(200, cases[i].reply);
        assert_int_equal(wrap(&stage), KF_E_REMOTE);
        check_says(&stage, cases[i].says);
        check_says(&stage, KEY);
    }
    stage_keys(&stage, KEY, KEY_2, NULL);
    kms_reply(200, GENERATED(KEY, DATA_KEY));
    kms_reply(200, ENCRYPTED(ALIAS, WRAPPED_2));
    assert_int_equal(wrap(&stage), KF_E_REMOTE);
    check_says(&stage, KEY_2);
    stage_close(&stage);
}

static void what_kms_refuses_fails_it(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    stage_keys(&stage, "alias/name", KEY_2, NULL);
    kms_reply(400, REFUSED("AccessDeniedException"));
    assert_int_equal(wrap(&stage), KF_E_REMOTE);
    check_says(&stage, "KMS key alias/name");
    check_says(&stage, "because of AccessDeniedException");
    check_request(0, "GenerateDataKey", "\"KeyId\":\"alias/name\"");

    kms_reply(200, GENERATED(KEY, DATA_KEY));
    kms_reply(500, REFUSED("KMSInternalException"));
    assert_int_equal(wrap(&stage), KF_E_RETRY);
    check_says(&stage, "KMS key " KEY_2);
    assert_int_equal(server_asked(), 3);
    stage_close(&stage);
}

/* All are asked at once and may answer in any order. The EDKs are in the order of the keys. */
static void further_keys_wrap_side_by_side(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    stage_keys(&stage, ALIAS, KEY_WEST, KEY_2);
    server_hold(1, 2); /* both are answered once both have come */
    kms_reply(200, GENERATED(KEY, DATA_KEY));
    kms_reply_about(KEY_WEST, 200, ENCRYPTED(KEY_WEST, WRAPPED_2));
    kms_reply_about(KEY_2, 200, ENCRYPTED(KEY_2, WRAPPED_3));
    assert_ok(wrap(&stage), &stage.asker.error);
    check_key(&stage);
    assert_int_equal(kf_encryption_materials_edk_count(stage.asker.encryption_materials), 3);
    check_edk(&stage, 0, KEY, "wrapped-1");
    check_edk(&stage, 1, KEY_WEST, "wrapped-2");
    check_edk(&stage, 2, KEY_2, "wrapped-3");
    check_request(0, "GenerateDataKey", "\"KeyId\":\"" ALIAS "\"");
    for (size_t i = 1; i < 3; i++)
        check_request(i, "Encrypt", "\"Plaintext\":\"" DATA_KEY "\"", "\"EncryptionContext\":{}",
                      "\"GrantTokens\":[\"token-1\",\"token-2\"]");
    stage_close(&stage);
}

/* In a multi-keyring whose generator is another keyring, KMS only wraps. */
static void without_a_generator_it_wraps(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *raw = client_keyring("raw", 1), *both;
    stage_open(&stage);
    stage_keys(&stage, NULL, KEY, NULL);
    assert_int_equal(wrap(&stage), KF_E_KEYS);
    check_says(&stage, "generator");
    assert_int_equal(server_asked(), 0);

    assert_ok(kf_multi_keyring_new(raw, &stage.keyring, 1, &error, &both), &error);
    kf_keyring_unref(raw);
    stage_use(&stage, both);
    kms_reply(200, ENCRYPTED(KEY, WRAPPED_1));
    assert_ok(wrap(&stage), &stage.asker.error);
    check_edk(&stage, 1, KEY, "wrapped-1");
    check_request(0, "Encrypt", "\"KeyId\":\"" KEY "\"");
    stage_close(&stage);
}

/* ---- Decryption ---- */

static void only_its_own_keys_are_tried(void **state)
{
    (void)state;
    struct stage stage;
    const struct kf_edk edks[] = {
        edk_of("aws-kms", KEY_2, "wrapped-1"), edk_of("aws-kms-rsa", KEY, "wrapped-1"),
        edk_of("AWS-KMS", KEY, "wrapped-1"),   edk_of("", "", ""),
        edk_of("raw", ALIAS, "wrapped-1"), /* the provider info of another provider */
        edk_of("aws-kms", KEY, "wrapped-2"),   edk_of("aws-kms", KEY, "wrapped-3"),
    };
    stage_open(&stage);
    stage_keys(&stage, KEY, NULL, NULL);
    assert_int_equal(unwrap(&stage, edks, 5), KF_E_KEYS);
    check_says(&stage, "None of the 5 encrypted data keys was made under the KMS key " KEY);
    assert_int_equal(server_asked(), 0);

    kms_reply(200, DECRYPTED(KEY, DATA_KEY));
    assert_ok(unwrap(&stage, edks, 7), &stage.asker.error);
    check_key(&stage);
    assert_int_equal(server_asked(), 1);
    check_request(0, "Decrypt", "\"KeyId\":\"" KEY "\"", "\"CiphertextBlob\":\"" WRAPPED_2 "\"",
                  "\"EncryptionContext\":{}", "\"GrantTokens\":[\"token-1\",\"token-2\"]");
    stage_close(&stage);
}

static void names_that_are_no_key_arn_decrypt_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {ALIAS, "alias/name", "12345678-1234-1234-1234-123456789012"};
    struct stage stage;
    const struct kf_edk edk = edk_of("aws-kms", KEY, "wrapped-1");
    stage_open(&stage);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        stage_keys(&stage, names[i], NULL, NULL);
        assert_int_equal(unwrap(&stage, &edk, 1), KF_E_KEYS);
        check_says(&stage, "ARN of the key");
    }
    assert_int_equal(server_asked(), 0);
    stage_close(&stage);
}

/* An EDK that claims to be of KMS and names no key ends it; the others are not tried. */
static void an_edk_of_kms_without_a_key_ends_it(void **state)
{
    (void)state;
    static const char *const infos[] = {
        "", ALIAS, "alias/name", "arn:aws:kms:eu-central-1:111122223333", (KEY "\n"), ("x" KEY),
    };
    struct stage stage;
    stage_open(&stage);
    for (size_t i = 0; i < sizeof infos / sizeof infos[0]; i++) {
        const struct kf_edk edks[] = {
            edk_of("aws-kms", KEY, "wrapped-1"),
            edk_of("aws-kms", infos[i], "wrapped-1"),
        };
        stage_keys(&stage, KEY, NULL, NULL);
        assert_int_equal(unwrap(&stage, edks, 2), KF_E_MALFORMED);
        check_says(&stage, "Encrypted data key 2 of 2");
        stage_discovery(&stage, NULL, NULL, NULL);
        assert_int_equal(unwrap(&stage, edks, 2), KF_E_MALFORMED);
    }
    const struct kf_edk with_nul = {kf_view_text("aws-kms"), kf_view_of(KEY, sizeof KEY),
                                    kf_view_text("wrapped-1")};
    assert_int_equal(unwrap(&stage, &with_nul, 1), KF_E_MALFORMED);
    assert_int_equal(server_asked(), 0);
    stage_close(&stage);
}

/* The error about one EDK is kept, and the next EDK is tried. */
static void the_next_is_tried(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply, *says;
        enum kf_code code; /* if no other EDK follows */
    } cases[] = {
        {400, REFUSED("InvalidCiphertextException"), "because of InvalidCiphertextException", KF_E_KEYS},
        {400, REFUSED("IncorrectKeyException"), "IncorrectKeyException", KF_E_KEYS},
        {400, REFUSED("NotFoundException"), "NotFoundException", KF_E_KEYS},
        {400, REFUSED("AccessDeniedException"), "AccessDeniedException", KF_E_KEYS},
        {400, REFUSED("DisabledException"), "DisabledException", KF_E_KEYS},
        {400, REFUSED("KMSInvalidStateException"), "KMSInvalidStateException", KF_E_KEYS},
        {400, REFUSED("UnrecognizedClientException"), "UnrecognizedClientException", KF_E_REMOTE},
        {500, REFUSED("KMSInternalException"), "KMSInternalException", KF_E_RETRY},
        {400, REFUSED("ThrottlingException"), "ThrottlingException", KF_E_RETRY},
        {200, DECRYPTED(KEY_2, DATA_KEY), "another key", KF_E_REMOTE},
        {200, DECRYPTED(ALIAS, DATA_KEY), "another key", KF_E_REMOTE},
        {200, DECRYPTED("12345678-1234-1234-1234-123456789012", DATA_KEY), "another key", KF_E_REMOTE},
        {200, DECRYPTED(KEY, DATA_KEY_31), "31 bytes", KF_E_REMOTE},
        {200, DECRYPTED(KEY, DATA_KEY_16), "16 bytes", KF_E_REMOTE},
        {200, "{}", "", KF_E_REMOTE},
    };
    struct stage stage;
    const struct kf_edk edks[] = {
        edk_of("aws-kms", KEY_2, ""),
        edk_of("aws-kms", KEY, "wrapped-1"),
        edk_of("aws-kms", KEY, "wrapped-2"),
    };
    stage_open(&stage);
    stage_keys(&stage, KEY, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t before = server_asked();
        kms_reply(cases[i].status, cases[i].reply);
        assert_int_equal(unwrap(&stage, edks, 2), cases[i].code);
        check_says(&stage, "Number 2 (" KEY ")");
        check_says(&stage, cases[i].says);

        kms_reply(cases[i].status, cases[i].reply);
        kms_reply(200, DECRYPTED(KEY, DATA_KEY));
        assert_ok(unwrap(&stage, edks, 3), &stage.asker.error);
        check_key(&stage);
        assert_int_equal(server_asked(), before + 3);
        check_request(before + 1, "Decrypt", "\"CiphertextBlob\":\"" WRAPPED_1 "\"");
        check_request(before + 2, "Decrypt", "\"CiphertextBlob\":\"" WRAPPED_2 "\"");
    }
    stage_close(&stage);
}

/* Of several errors one that may pass decides. KF_E_KEYS remains only if there is no other. */
static void troubles_add_up(void **state)
{
    (void)state;
    static const struct {
        int first_status, second_status;
        const char *first, *second;
        enum kf_code code;
    } cases[] = {
        {400, 400, REFUSED("NotFoundException"), REFUSED("InvalidCiphertextException"), KF_E_KEYS},
        {400, 500, REFUSED("NotFoundException"), REFUSED("KMSInternalException"), KF_E_RETRY},
        {500, 400, REFUSED("KMSInternalException"), REFUSED("NotFoundException"), KF_E_RETRY},
        {200, 400, DECRYPTED(KEY_2, DATA_KEY), REFUSED("NotFoundException"), KF_E_REMOTE},
        {400, 200, REFUSED("NotFoundException"), DECRYPTED(KEY_2, DATA_KEY), KF_E_REMOTE},
        {200, 500, DECRYPTED(KEY_2, DATA_KEY), REFUSED("KMSInternalException"), KF_E_RETRY},
        {500, 200, REFUSED("KMSInternalException"), DECRYPTED(KEY_2, DATA_KEY), KF_E_RETRY},
    };
    struct stage stage;
    const struct kf_edk edks[] = {edk_of("aws-kms", KEY, "wrapped-1"), edk_of("aws-kms", KEY, "wrapped-2")};
    stage_open(&stage);
    stage_keys(&stage, KEY, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kms_reply(cases[i].first_status, cases[i].first);
        kms_reply(cases[i].second_status, cases[i].second);
        assert_int_equal(unwrap(&stage, edks, 2), cases[i].code);
        check_says(&stage, "Number 1 (" KEY ")");
        check_says(&stage, "none of 2");
    }
    stage_close(&stage);
}

/* Errors for which the sentence has no room are counted. */
static void troubles_left_out_are_counted(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_edk edks[8];
    stage_open(&stage);
    stage_keys(&stage, KEY, NULL, NULL);
    for (size_t i = 0; i < 8; i++) {
        edks[i] = edk_of("aws-kms", KEY, "wrapped-1");
        kms_reply(400, REFUSED("NotFoundException"));
    }
    assert_int_equal(unwrap(&stage, edks, 8), KF_E_KEYS);
    check_says(&stage, "none of 8");
    check_says(&stage, "Number 1 (" KEY ")");
    const char *end = strstr(stage.asker.error.text, " (and ");
    assert_non_null(end);
    unsigned shown = 1, left_out;
    assert_int_equal(sscanf(end, " (and %u more)", &left_out), 1);
    for (const char *next = stage.asker.error.text; (next = strstr(next, " Number ")) != NULL; next++)
        assert_int_equal(atoi(next + strlen(" Number ")), shown++);
    assert_int_equal(shown - 1 + left_out, 8);
    stage_close(&stage);
}

/* An EDK whose ciphertext or ARN KMS can't have made is not sent; the next is tried. */
static void what_kms_never_made_is_not_sent(void **state)
{
    (void)state;
    static char too_long[6145 + 1], long_arn[2100];
    struct stage stage;
    memset(too_long, 'x', sizeof too_long - 1);
    snprintf(long_arn, sizeof long_arn, "arn:aws:kms:eu-central-1:111122223333:key/%02040d", 1);
    const struct kf_edk edks[] = {
        edk_of("aws-kms", KEY, ""),
        edk_of("aws-kms", KEY, too_long),
        edk_of("aws-kms", long_arn, "wrapped-1"),
        edk_of("aws-kms", "arn:aws:kms:eu-central-1.example.com:111122223333:key/1", "wrapped-1"),
        edk_of("aws-kms", KEY, "wrapped-2"),
    };
    stage_open(&stage);
    stage_discovery(&stage, NULL, NULL, NULL);
    assert_int_equal(unwrap(&stage, edks, 4), KF_E_KEYS);
    check_says(&stage, "none of 4");
    assert_int_equal(server_asked(), 0);
    kms_reply(200, DECRYPTED(KEY, DATA_KEY));
    assert_ok(unwrap(&stage, edks, 5), &stage.asker.error);
    stage_close(&stage);
}

/* ---- Events ---- */

/* What a cache told of the last fetch that ended, and a bell that rings then. */
struct told_event {
    struct bell bell;
    enum kf_cache_event_kind kind;
    char key_arn[128], request_id[64];
};

static void on_event(void *context, const struct kf_cache_event *event)
{
    struct told_event *told = context;
    if (event->kind != KF_CACHE_LANDED && event->kind != KF_CACHE_FAILED)
        return;
    told->kind = event->kind;
    snprintf(told->key_arn, sizeof told->key_arn, "%.*s", (int)event->key_arn.length,
             event->key_arn.data != NULL ? (const char *)event->key_arn.data : "");
    snprintf(told->request_id, sizeof told->request_id, "%.*s", (int)event->request_id.length,
             (const char *)event->request_id.data);
    const struct kf_waker waker = bell_waker(&told->bell);
    waker.wake(waker.context);
}

static void check_told(struct told_event *told, enum kf_cache_event_kind kind, const char *key_arn,
                       const char *request_id)
{
    bell_wait(&told->bell);
    assert_int_equal(told->kind, kind);
    assert_string_equal(told->key_arn, key_arn);
    assert_string_equal(told->request_id, request_id);
}

/* A cache tells the id of the request that made or opened the key, or that was refused. */
static void a_cache_tells_the_id_of_the_request(void **state)
{
    (void)state;
    struct stage stage;
    struct told_event told;
    struct kf_caching_cmm_options caching = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_edk edks[] = {edk_of("aws-kms", KEY, "wrapped-1"), edk_of("aws-kms", KEY, "wrapped-2")};
    const struct kf_edk edks_of_two[] = {edk_of("aws-kms", KEY, "wrapped-1"),
                                         edk_of("aws-kms", KEY_2, "wrapped-2")};
    bell_init(&told.bell);
    stage_open(&stage);
    stage_keys(&stage, KEY, KEY_2, NULL);
    assert_ok(kf_cache_listener_new(on_event, &told, NULL, &error, &caching.listener), &error);
    assert_ok(kf_cache_new(10, &error, &caching.cache), &error);
    caching.keyring = stage.keyring;
    caching.max_age_ms = 60000;
    caching.max_messages = 1;
    kf_cmm_unref(stage.cmm);
    assert_ok(kf_caching_cmm_new(&caching, &error, &stage.cmm), &error);

    kms_reply(200, GENERATED(KEY, DATA_KEY));
    kms_reply(200, ENCRYPTED(KEY_2, WRAPPED_2));
    assert_ok(wrap(&stage), &stage.asker.error);
    check_told(&told, KF_CACHE_LANDED, KEY, "request-1"); /* the generator's */
    kms_reply(400, REFUSED("DisabledException"));
    assert_int_equal(wrap(&stage), KF_E_REMOTE);
    check_told(&told, KF_CACHE_FAILED, "", "request-3");
    kms_reply(400, REFUSED("InvalidCiphertextException"));
    kms_reply(200, DECRYPTED(KEY, DATA_KEY));
    assert_ok(unwrap(&stage, edks, 2), &stage.asker.error);
    check_told(&told, KF_CACHE_LANDED, KEY, "request-5");
    kms_reply(400, REFUSED("InvalidCiphertextException"));
    assert_int_equal(unwrap(&stage, edks, 1), KF_E_KEYS);
    check_told(&told, KF_CACHE_FAILED, "", "request-6");

    /* With several keys it is the request that decided: the one that was refused, or the one that opened the key. */
    kms_reply(200, GENERATED(KEY, DATA_KEY));
    kms_reply(400, REFUSED("DisabledException"));
    assert_int_equal(wrap(&stage), KF_E_REMOTE);
    check_told(&told, KF_CACHE_FAILED, "", "request-8");
    kms_reply(400, REFUSED("AccessDeniedException"));
    kms_reply(200, DECRYPTED(KEY_2, DATA_KEY));
    assert_ok(unwrap(&stage, edks_of_two, 2), &stage.asker.error);
    check_told(&told, KF_CACHE_LANDED, KEY, "request-10");

    stage_close(&stage);
    kf_cache_unref(caching.cache);
    kf_cache_listener_unref(caching.listener);
    bell_destroy(&told.bell);
}

/* ---- Giving up ---- */

static void giving_up_leaves_nothing_behind(void **state)
{
    (void)state;
    struct stage stage;
    const struct kf_edk edk = edk_of("aws-kms", KEY, "wrapped-1");
    const struct kf_decryption_request request = decryption_request(&edk, 1);
    stage_open(&stage);
    stage_keys(&stage, KEY, KEY_2, KEY_WEST);
    server_hold(0, 3); /* the third never comes */
    kms_reply(200, GENERATED(KEY, DATA_KEY));
    kms_reply(200, DECRYPTED(KEY, DATA_KEY));
    assert_int_equal(asker_ask(&stage.asker, stage.cmm, 1), KF_PENDING);
    server_wait(1);
    asker_leave(&stage.asker);
    assert_int_equal(asker_decrypt(&stage.asker, stage.cmm, &request), KF_PENDING);
    server_wait(2);
    asker_leave(&stage.asker);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        environment_test(the_generator_makes_the_key),
        environment_test(its_length_is_the_suites),
        environment_test(the_context_goes_along_whole),
        environment_test(answers_that_are_not_believed),
        environment_test(what_kms_refuses_fails_it),
        environment_test(further_keys_wrap_side_by_side),
        environment_test(without_a_generator_it_wraps),
        environment_test(only_its_own_keys_are_tried),
        environment_test(names_that_are_no_key_arn_decrypt_nothing),
        environment_test(an_edk_of_kms_without_a_key_ends_it),
        environment_test(the_next_is_tried),
        environment_test(troubles_add_up),
        environment_test(troubles_left_out_are_counted),
        environment_test(what_kms_never_made_is_not_sent),
        environment_test(a_cache_tells_the_id_of_the_request),
        environment_test(giving_up_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
