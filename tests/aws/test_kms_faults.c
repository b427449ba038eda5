/*
 * A KMS that fails, throttles, falls silent, or answers wrongly: what callers get, when, and at what cost. And no data
 * key stays in the memory of the process.
 */
#include "aws/fault_stage.h"
#include "support/client.h"
#include "support/memory_search.h"

#define CALLERS 200

/* ---- Replies that can't be used ---- */

struct bad_reply {
    const char *fault;
    enum kf_code code;
};

/* Each reply has one fault. The next request is served. */
static void a_bad_reply_is_refused_and_forgotten(void **state)
{
    static const struct bad_reply bad[] = {
        {"{'kind': 'members', 'value': {'KeyId': 'alias/name'}}", KF_E_REMOTE},
        {"{'kind': 'members', 'value': {'KeyId': null}}", KF_E_REMOTE},
        {"{'kind': 'members', 'value': {'Plaintext': '@@@@'}}", KF_E_REMOTE},
        {"{'kind': 'members', 'value': {'CiphertextBlob': ''}}", KF_E_REMOTE},
        {"{'kind': 'length', 'value': 31}", KF_E_REMOTE},
        {"{'kind': 'length', 'value': 33}", KF_E_REMOTE},
        {"{'kind': 'length', 'value': 0}", KF_E_REMOTE},
        {"{'kind': 'text', 'value': ['{', '{\\'KeyId\\': \\'" FAULT_KEY "\\', ']}", KF_E_REMOTE},
        {"{'kind': 'text', 'value': ['key/', 'key/\\\\u0000']}", KF_E_REMOTE},
        {"{'kind': 'text', 'value': ['{', '{\\'Deep\\': "
         "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]], ']}",
         KF_E_REMOTE},
        {"{'kind': 'raw', 'value': ''}", KF_E_REMOTE},
        {"{'kind': 'raw', 'value': '<html></html>'}", KF_E_REMOTE},
        {"{'kind': 'raw', 'value': '[]'}", KF_E_REMOTE},
        {"{'kind': 'oversize', 'value': 1000000}", KF_E_REMOTE},
        {"{'kind': 'tear'}", KF_E_RETRY},
        {"{'kind': 'drop'}", KF_E_RETRY},
    };
    (void)state;
    struct kf_aws_client_options options = fault_stage_options();
    struct fault_stage stage;
    struct kf_error error;
    char json[1024];
    fault_stage_open(&stage, &options, 1, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(json, sizeof json, "{'faults': [%s]}", bad[i].fault);
        fault_kms_control(&stage.kms, json);
        const enum kf_code code = fault_stage_ask(stage.caching, &error);
        if (code != bad[i].code || error.text[0] == '\0')
            fail_msg("%s: %s, %s", bad[i].fault, kf_code_name(code), error.text);
        fault_kms_control(&stage.kms, "{'faults': []}");
        assert_ok(fault_stage_ask(stage.caching, &error), &error);
    }
    fault_stage_close(&stage);
}

/* A data key is refused if KMS used another key than the message names, even if that key opened it. */
static void a_data_key_of_another_key_is_refused(void **state)
{
    static const char *const faults[] = {
        "{'faults': [{'kind': 'members', 'value': {'KeyId': '" FAULT_OTHER_KEY "'}}]}",
        "{'faults': [{'kind': 'length', 'value': 16}]}",
        "{'faults': [{'kind': 'members', 'value': {'Plaintext': null}}]}",
    };
    (void)state;
    struct kf_aws_client_options options = fault_stage_options();
    const struct kf_encrypt_options encrypt = KF_ENCRYPT_OPTIONS_INIT;
    const struct kf_decrypt_options decrypt = KF_DECRYPT_OPTIONS_INIT;
    struct fault_stage stage;
    fault_stage_open(&stage, &options, 1, NULL);
    struct kf_buf message = client_message(stage.cmm, &encrypt, client_plaintext(100));
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        fault_kms_control(&stage.kms, faults[i]);
        assert_refused(stage.cmm, &decrypt, buf_view(message), KF_E_REMOTE);
    }
    fault_kms_control(&stage.kms, "{'faults': []}");
    assert_decrypts(stage.cmm, &decrypt, buf_view(message), client_plaintext(100));
    fault_kms_control(&stage.kms, "{'states': {'" FAULT_KEY "': 'PendingDeletion'}}");
    assert_refused(stage.cmm, &decrypt, buf_view(message), KF_E_KEYS);
    kf_buf_free(&message);
    fault_stage_close(&stage);
}

/* ---- Errors of the service ---- */

static void refusals_say_what_the_service_said(void **state)
{
    (void)state;
    struct kf_aws_client_options options = fault_stage_options();
    struct fault_stage stage;
    struct kf_error error;
    options.max_attempts = 5;
    fault_stage_open(&stage, &options, 1, NULL);
    fault_kms_control(&stage.kms, "{'states': {'" FAULT_KEY "': 'Disabled'}}");
    assert_int_equal(fault_stage_ask(stage.caching, &error), KF_E_REMOTE);
    assert_non_null(strstr(error.text, "DisabledException"));
    assert_non_null(strstr(error.text, FAULT_KEY " is disabled"));
    assert_int_equal(fault_kms_count(&stage.kms, "requests"), 1); /* asking again would not help */
    fault_kms_control(&stage.kms, "{'states': {}}");
    assert_ok(fault_stage_ask(stage.caching, &error), &error);
    fault_stage_close(&stage);
}

static void a_wrong_clock_is_corrected(void **state)
{
    (void)state;
    struct kf_aws_client_options options = fault_stage_options();
    struct fault_stage stage;
    struct kf_error error;
    options.max_attempts = 2;
    fault_stage_open(&stage, &options, 1, NULL);
    for (int i = 0; i < 2; i++) {
        fault_kms_control(&stage.kms, i == 0 ? "{'skew_s': 3600}" : "{'skew_s': -3600}");
        assert_ok(fault_stage_ask(stage.cmm, &error), &error);
        assert_ok(fault_stage_ask(stage.cmm, &error), &error);
        assert_int_equal(fault_kms_count(&stage.kms, "requests"),
                         3 * (i + 1)); /* the first is refused, the others are right */
    }
    fault_stage_close(&stage);
}

/* Each of 200 callers has one attempt, and 500 tokens pay for 100 retries. A dead service gets no more. */
static void a_dead_service_gets_a_bounded_number_of_requests(void **state)
{
    static struct asker askers[CALLERS];
    (void)state;
    struct kf_aws_client_options options = fault_stage_options();
    struct fault_stage stage;
    struct kf_error error;
    options.max_attempts = 3;
    fault_stage_open(&stage, &options, 1, NULL);
    fault_kms_control(&stage.kms,
                      "{'faults': [{'kind': 'error', 'value': {'status': 500, 'code': 'Dead'}}]}");
    for (size_t i = 0; i < CALLERS; i++)
        asker_ask(&askers[i], stage.caching, 1);
    for (size_t i = 0; i < CALLERS; i++) {
        assert_int_equal(asker_wait(&askers[i]), KF_E_RETRY);
        assert_non_null(strstr(askers[i].error.text, "Dead"));
        asker_leave(&askers[i]);
    }
    assert_int_equal(fault_kms_count(&stage.kms, "requests"), CALLERS + 100);
    assert_int_equal(fault_stage_ask(stage.caching, &error), KF_E_RETRY);
    assert_int_equal(fault_kms_count(&stage.kms, "requests"), CALLERS + 101);

    fault_kms_control(&stage.kms, "{'faults': []}"); /* the service recovers by itself */
    assert_ok(fault_stage_ask(stage.caching, &error), &error);
    assert_int_equal(fault_kms_count(&stage.kms, "requests"), CALLERS + 102);
    fault_stage_close(&stage);
}

static void throttled_requests_are_tried_again(void **state)
{
    (void)state;
    struct kf_aws_client_options options = fault_stage_options();
    struct fault_stage stage;
    struct kf_error error;
    options.max_attempts = 2;
    fault_stage_open(&stage, &options, 1, NULL);
    fault_kms_control(&stage.kms, "{'faults': [{'kind': 'error', 'count': 1, "
                                  "'value': {'code': 'ThrottlingException', 'message': 'Rate exceeded'}}]}");
    assert_ok(fault_stage_ask(stage.caching, &error), &error);
    assert_int_equal(fault_kms_count(&stage.kms, "requests"), 2);

    fault_kms_control(&stage.kms, "{'faults': [{'kind': 'error', 'count': 2, "
                                  "'value': {'code': 'ThrottlingException', 'message': 'Rate exceeded'}}]}");
    assert_int_equal(fault_stage_ask(stage.caching, &error), KF_E_RETRY);
    assert_non_null(strstr(error.text, "Rate exceeded"));
    assert_ok(fault_stage_ask(stage.caching, &error), &error);
    fault_stage_close(&stage);
}

/* ---- Silence ---- */

static enum kf_code poll_encryptor(struct kf_encryptor *encryptor, const struct kf_waker *waker)
{
    struct kf_io io = {0};
    return kf_encryptor_poll(encryptor, &io, waker);
}

/* The clock stands still; the test moves it past each deadline. */
static void a_silent_service_holds_no_caller_beyond_its_deadline(void **state)
{
    enum {
        WAITING = 3
    };
    (void)state;
    struct kf_aws_client_options options = fault_stage_options();
    struct fault_stage stage;
    struct kf_encryptor *encryptors[WAITING];
    struct bell bells[WAITING];
    struct kf_error error = KF_ERROR_INIT;
    fault_stage_open(&stage, &options, WAITING, NULL);
    fault_kms_control(&stage.kms, "{'faults': [{'kind': 'stall'}]}");
    support_clock_stop(1000);
    for (size_t i = 0; i < WAITING; i++) {
        struct kf_encrypt_options encrypt = KF_ENCRYPT_OPTIONS_INIT;
        encrypt.plaintext_bound = 1;
        encrypt.timeout_ms = 1000 * (i + 1);
        bell_init(&bells[i]);
        assert_ok(kf_encryptor_new(stage.caching, &encrypt, &error, &encryptors[i]), &error);
        const struct kf_waker waker = bell_waker(&bells[i]);
        assert_int_equal(poll_encryptor(encryptors[i], &waker), KF_PENDING);
    }
    fault_kms_wait(&stage.kms, "requests", 1);
    for (size_t now = 0; now < WAITING; now++) {
        support_clock_advance(1000);
        for (size_t i = now; i < WAITING; i++) {
            const struct kf_waker waker = bell_waker(&bells[i]);
            assert_int_equal(poll_encryptor(encryptors[i], &waker), i == now ? KF_E_TIMEOUT : KF_PENDING);
        }
    }
    assert_int_equal(fault_kms_count(&stage.kms, "requests"), 1); /* one for all callers, still under way */
    for (size_t i = 0; i < WAITING; i++) {
        kf_encryptor_free(encryptors[i]);
        bell_destroy(&bells[i]);
    }
    support_clock_real();
    kf_cache_clear(stage.cache);
    fault_kms_control(&stage.kms, "{'faults': []}");
    assert_ok(fault_stage_ask(stage.caching, &error), &error);
    fault_stage_close(&stage);
}

/* ---- TLS, and no endpoint ---- */

static void only_the_right_certificate_is_spoken_to(void **state)
{
    (void)state;
    struct fault_stage stage;
    struct kf_error error;
    struct kf_aws_client_options options = fault_stage_options();
    fault_stage_open(&stage, &options, 1, "127.0.0.1");
    assert_ok(fault_stage_ask(stage.cmm, &error), &error);
    assert_int_equal(fault_kms_count(&stage.kms, "requests"), 1);
    fault_stage_close(&stage);

    options = fault_stage_options();
    fault_stage_open(&stage, &options, 1, "elsewhere.example");
    assert_int_equal(fault_stage_ask(stage.cmm, &error), KF_E_REMOTE);
    assert_int_equal(fault_kms_count(&stage.kms, "requests"), 0);
    fault_stage_close(&stage);
}

/* A test that forgets the endpoint reaches only a proxy that does not exist. */
static void without_an_endpoint_nothing_is_reached(void **state)
{
    (void)state;
    struct kf_aws_client_options options = fault_stage_options();
    struct kf_aws_kms_keyring_options keyring = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *made;
    struct kf_cmm *cmm;
    environment_set("HTTPS_PROXY", "http://127.0.0.1:1");
    environment_set("https_proxy", "http://127.0.0.1:1");
    assert_ok(kf_aws_client_new(&options, &error, &keyring.client), &error);
    kf_aws_credentials_provider_unref(options.credentials);
    keyring.generator = FAULT_KEY;
    assert_ok(kf_aws_kms_keyring_new(&keyring, &error, &made), &error);
    assert_ok(kf_default_cmm_new(made, &error, &cmm), &error);
    assert_int_equal(fault_stage_ask(cmm, &error), KF_E_RETRY);
    assert_non_null(strstr(error.text, "127.0.0.1"));
    kf_cmm_unref(cmm);
    kf_keyring_unref(made);
    kf_aws_client_unref(keyring.client);
}

/* ---- The data key in memory ---- */

/* The data key that is searched for, and its base64, both backwards. */
static const char key_backwards[] = "setyB23esehTroFsehcraeSthgilfyeK";
static const char base64_backwards[] = "=MXZ0lnQyMTZzVGaUJ3bGNXZoNmchV2U0h2ZpxmZ5V2S";

static void find_after_a_call(const char *tls_host)
{
    if (!memory_searchable())
        skip();
    struct kf_aws_client_options options = fault_stage_options();
    struct fault_stage stage;
    struct asker asker;
    char json[128] = "{'data_key': '";
    fault_stage_open(&stage, &options, 1, tls_host);
    for (size_t i = sizeof key_backwards - 1; i-- > 0;)
        snprintf(json + strlen(json), sizeof json - strlen(json), "%02x", (unsigned)key_backwards[i]);
    memcpy(json + strlen(json), "'}", 3);
    fault_kms_control(&stage.kms, json);

    asker_ask(&asker, stage.cmm, 1);
    assert_int_equal(asker_wait(&asker), KF_OK);
    assert_int_equal(memory_search(key_backwards), 1); /* in the materials, and nowhere else */
    assert_int_equal(memory_search(base64_backwards), 0);
    asker_leave(&asker);
    assert_int_equal(memory_search(key_backwards), 0);
    fault_stage_close(&stage);
    kf_cleanup();
    assert_int_equal(memory_search(key_backwards), 0);
    assert_int_equal(memory_search(base64_backwards), 0);
}

static void no_data_key_stays_in_memory(void **state)
{
    (void)state;
    find_after_a_call(NULL);
}

static void no_data_key_stays_in_memory_after_tls(void **state)
{
    (void)state;
    find_after_a_call("127.0.0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        environment_test(a_bad_reply_is_refused_and_forgotten),
        environment_test(a_data_key_of_another_key_is_refused),
        environment_test(refusals_say_what_the_service_said),
        environment_test(a_wrong_clock_is_corrected),
        environment_test(a_dead_service_gets_a_bounded_number_of_requests),
        environment_test(throttled_requests_are_tried_again),
        environment_test(a_silent_service_holds_no_caller_beyond_its_deadline),
        environment_test(only_the_right_certificate_is_spoken_to),
        environment_test(without_an_endpoint_nothing_is_reached),
        environment_test(no_data_key_stays_in_memory),
        environment_test(no_data_key_stays_in_memory_after_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
