/*
 * The operations of KMS with a service on loopback: the bodies that are sent, the replies that are accepted or refused.
 * And no data key is left in memory.
 */
#include "aws/environment.h"
#include "aws/scripted_server.h"
#include "aws/secrets.h"

#include "aws/service/json.h"
#include "aws/service/kms.h"
#include "base/call.h"

#define KEY_ID "arn:aws:kms:eu-test-1:111122223333:key/1"

/* Two data keys. The memory is searched for SECRET, which is in the first as bytes and in the second as base64. */
#define KEY SECRET "-0123456789abcdef"
#define KEY_BASE64 "dEhpU2lTdEhlU2VDckV0LTAxMjM0NTY3ODlhYmNkZWY="
#define OTHER_BASE64 SECRET "AAAAAAAAAAAAAAAAAAAAAAAAAAAA="

struct stage {
    struct kf_aws_client *client;
    struct kfi_aws_service *service;
    const struct kf_encryption_context *context;
    struct bell bell;
    struct kf_call call;
    struct kfi_kms_request *request;
    const struct kfi_kms_answer *answer;
    struct kf_error error;
};

static int setup(void **state)
{
    struct stage *stage = calloc(1, sizeof *stage);
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    assert_int_equal(environment_setup(state), 0);
    server_start((struct server_habits){.closes = true, .repeats_last = true});
    credentials.access_key_id = kf_view_text("AKID");
    credentials.secret_access_key = kf_view_text(SECRET);
    options.region = "eu-test-1";
    options.endpoint_url = server.url;
    options.max_attempts = 1;
    assert_ok(kf_aws_static_credentials_new(&credentials, &stage->error, &options.credentials),
              &stage->error);
    assert_ok(kf_aws_client_new(&options, &stage->error, &stage->client), &stage->error);
    kf_aws_credentials_provider_unref(options.credentials);
    assert_ok(kfi_aws_client_service(stage->client, "kms", "eu-test-1", &stage->error, &stage->service),
              &stage->error);
    assert_ok(
        kf_encryption_context_of(&stage->error, &stage->context, "b", "", "a\"", "\xc3\xa9\n", (char *)NULL),
        &stage->error);
    bell_init(&stage->bell);
    kfi_call_init(&stage->call, NULL);
    const struct kf_waker waker = bell_waker(&stage->bell);
    kfi_call_drive(&stage->call, &waker);
    *state = stage;
    return 0;
}

static int teardown(void **state)
{
    struct stage *stage = *state;
    kfi_kms_request_free(stage->request);
    kfi_call_end(&stage->call);
    bell_destroy(&stage->bell);
    kf_encryption_context_unref(stage->context);
    kf_aws_client_unref(stage->client);
    free(stage);
    kf_cleanup();
    server_stop();
    return environment_teardown(state);
}

/* Polls stage->request to its end. `code` is what making it answered. */
static enum kf_code finish(struct stage *stage, enum kf_code code)
{
    assert_ok(code, &stage->error);
    while ((code = kfi_kms_request_poll(stage->request, &stage->call, &stage->error, &stage->answer)) ==
           KF_PENDING)
        bell_wait(&stage->bell);
    return code;
}

static void again(struct stage *stage)
{
    kfi_kms_request_free(stage->request);
    stage->request = NULL;
    kfi_call_reset(&stage->call);
}

static enum kf_code generate(struct stage *stage, const struct kfi_kms_arguments *arguments, size_t length)
{
    return finish(
        stage, kfi_kms_generate_data_key(stage->service, arguments, length, &stage->error, &stage->request));
}

static enum kf_code encrypt(struct stage *stage, const struct kfi_kms_arguments *arguments)
{
    return finish(
        stage, kfi_kms_encrypt(stage->service, arguments, kf_view_text(KEY), &stage->error, &stage->request));
}

static enum kf_code decrypt(struct stage *stage, const struct kfi_kms_arguments *arguments)
{
    return finish(stage, kfi_kms_decrypt(stage->service, arguments, kf_view_of("\1\2\3\4", 4), &stage->error,
                                         &stage->request));
}

static const char *const tokens[] = {"token", "quo\"ted"};

#define TELL(text) server_say(200, "x-amzn-requestid: id-1\r\n", text)
#define REPLY \
    "{\"CiphertextBlob\":\"AQID\",\"KeyId\":\"" KEY_ID "\",\"Plaintext\":\"" KEY_BASE64 "\",\"More\":[]}"
#define CONTEXT "\"EncryptionContext\":{\"a\\\"\":\"\xc3\xa9\\u000a\",\"b\":\"\"}"
#define TOKENS "\"GrantTokens\":[\"token\",\"quo\\\"ted\"]"

/* ---- What is asked ---- */

static void the_least_is_a_key_and_an_empty_context(void **state)
{
    struct stage *stage = *state;
    const struct kfi_kms_arguments arguments = {KEY_ID, NULL, NULL, 0};
    TELL(REPLY);
    assert_ok(generate(stage, &arguments, 32), &stage->error);
    assert_true(server_has(0, "x-amz-target: TrentService.GenerateDataKey"));
    assert_string_equal(server_body(0),
                        "{\"KeyId\":\"" KEY_ID "\",\"EncryptionContext\":{},\"NumberOfBytes\":32}");
    again(stage);
    assert_ok(encrypt(stage, &arguments), &stage->error);
    assert_true(server_has(1, "x-amz-target: TrentService.Encrypt"));
    assert_string_equal(server_body(1), "{\"KeyId\":\"" KEY_ID "\",\"Plaintext\":\"" KEY_BASE64
                                        "\",\"EncryptionContext\":{}}");
    again(stage);
    assert_ok(decrypt(stage, &arguments), &stage->error);
    assert_true(server_has(2, "x-amz-target: TrentService.Decrypt"));
    assert_string_equal(server_body(2),
                        "{\"CiphertextBlob\":\"AQIDBA==\",\"EncryptionContext\":{},\"KeyId\":\"" KEY_ID
                        "\"}");
}

static void context_and_grant_tokens_go_along(void **state)
{
    struct stage *stage = *state;
    const struct kfi_kms_arguments arguments = {KEY_ID, stage->context, tokens, 2};
    TELL(REPLY);
    assert_ok(generate(stage, &arguments, 16), &stage->error);
    assert_string_equal(server_body(0),
                        "{\"KeyId\":\"" KEY_ID "\"," CONTEXT ",\"NumberOfBytes\":16," TOKENS "}");
    again(stage);
    assert_ok(encrypt(stage, &arguments), &stage->error);
    assert_string_equal(server_body(1),
                        "{\"KeyId\":\"" KEY_ID "\",\"Plaintext\":\"" KEY_BASE64 "\"," CONTEXT "," TOKENS "}");
    again(stage);
    assert_ok(decrypt(stage, &arguments), &stage->error);
    assert_string_equal(server_body(2),
                        "{\"CiphertextBlob\":\"AQIDBA==\"," CONTEXT ",\"KeyId\":\"" KEY_ID "\"," TOKENS "}");
}

/* ---- What is answered ---- */

static void answers_have_what_the_operation_promises(void **state)
{
    struct stage *stage = *state;
    const struct kfi_kms_arguments arguments = {KEY_ID, NULL, NULL, 0};
    TELL(REPLY);
    assert_ok(generate(stage, &arguments, 32), &stage->error);
    assert_string_equal(stage->answer->key_id, KEY_ID);
    assert_int_equal(stage->answer->ciphertext.length, 3);
    assert_memory_equal(stage->answer->ciphertext.data, "\1\2\3", 3);
    assert_int_equal(stage->answer->plaintext.length, 32);
    assert_memory_equal(stage->answer->plaintext.bytes, KEY, 32);
    assert_string_equal(kfi_kms_request_id(stage->request), "id-1");
    again(stage);
    assert_ok(encrypt(stage, &arguments), &stage->error);
    assert_int_equal(stage->answer->ciphertext.length, 3);
    assert_int_equal(stage->answer->plaintext.length, 0);
    again(stage);
    assert_ok(decrypt(stage, &arguments), &stage->error);
    assert_int_equal(stage->answer->ciphertext.length, 0);
    assert_memory_equal(stage->answer->plaintext.bytes, KEY, 32);
}

static void the_largest_ciphertext_is_taken(void **state)
{
    struct stage *stage = *state;
    const struct kfi_kms_arguments arguments = {KEY_ID, NULL, NULL, 0};
    static char blob[8193], reply[9000];
    memset(blob, 'A', sizeof blob - 1);
    snprintf(reply, sizeof reply, "{\"CiphertextBlob\":\"%s\",\"KeyId\":\"k\"}", blob);
    TELL(reply);
    assert_ok(encrypt(stage, &arguments), &stage->error);
    assert_int_equal(stage->answer->ciphertext.length, KFI_KMS_BLOB_MAX);
}

static void errors_of_the_service_come_through(void **state)
{
    struct stage *stage = *state;
    const struct kfi_kms_arguments arguments = {KEY_ID, NULL, NULL, 0};
    server_say(400, NULL, "{\"__type\":\"DisabledException\"}");
    assert_int_equal(decrypt(stage, &arguments), KF_E_REMOTE);
    assert_string_equal(kfi_kms_request_error_code(stage->request), "DisabledException");
    assert_string_equal(kfi_kms_request_id(stage->request), "");
    assert_null(stage->answer);
}

#define FIELDS(key_id, ciphertext, plaintext) \
    "{\"KeyId\":" key_id ",\"CiphertextBlob\":" ciphertext ",\"Plaintext\":" plaintext "}"

static void replies_that_break_a_promise_are_refused(void **state)
{
    struct stage *stage = *state;
    const struct kfi_kms_arguments arguments = {KEY_ID, NULL, NULL, 0};
    static char long_id[2100], long_blob[8300], id_reply[2200], blob_reply[8400];
    memset(long_id, 'k', KFI_KMS_KEY_ID_MAX + 1);
    memset(long_blob, 'A', 8196);
    snprintf(id_reply, sizeof id_reply,
             "{\"CiphertextBlob\":\"AQID\",\"Plaintext\":\"AQID\",\"KeyId\":\"%s\"}", long_id);
    snprintf(blob_reply, sizeof blob_reply,
             "{\"Plaintext\":\"AQID\",\"KeyId\":\"k\",\"CiphertextBlob\":\"%s\"}", long_blob);
    const struct {
        const char *reply, *says;
    } cases[] = {
        {"", "it is not JSON"},
        {"<html>", "it is not JSON"},
        {"[]", "it is not an object"},
        {REPLY "x", "it is not JSON"},
        {"{\"Plaintext\":\"" KEY_BASE64 "\",\"Plaintext\":\"AQID\"}", "an object has a member twice"},
        {"{\"CiphertextBlob\":\"AQID\",\"Plaintext\":\"AQID\"}", "it has no KeyId"},
        {FIELDS("null", "\"AQID\"", "\"AQID\""), "it has no KeyId"},
        {FIELDS("\"\"", "\"AQID\"", "\"AQID\""), "it has no KeyId"},
        {FIELDS("\"k\\u0000\"", "\"AQID\"", "\"AQID\""), "there is a NUL in a string"},
        {FIELDS("7", "\"AQID\"", "\"AQID\""), "a member that has to be text is not"},
        {FIELDS("\"k\"", "\"AQI\"", "\"AQID\""), "its CiphertextBlob"},
        {FIELDS("\"k\"", "\"\"", "\"AQID\""), "its CiphertextBlob"},
        {FIELDS("\"k\"", "null", "\"AQID\""), "its CiphertextBlob"},
        {FIELDS("\"k\"", "\"AQID\"", "null"), "its Plaintext"},
        {FIELDS("\"k\"", "\"AQID\"", "\"\""), "its Plaintext"},
        {FIELDS("\"k\"", "\"AQID\"", "\"" SECRET "_\""), "its Plaintext"},
        {FIELDS("\"k\"", "\"AQID\"", "\"" SECRET "AAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""), "its Plaintext"},
        {id_reply, "its KeyId is too long"},
        {blob_reply, "its CiphertextBlob"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        again(stage);
        server_forget();
        TELL(cases[i].reply);
        assert_int_equal(generate(stage, &arguments, 32), KF_E_REMOTE);
        assert_null(stage->answer);
        if (strstr(stage->error.text, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", stage->error.text, cases[i].says);
        assert_non_null(strstr(stage->error.text, "GenerateDataKey"));
        assert_non_null(strstr(stage->error.text, "request id id-1"));
        assert_null(strstr(stage->error.text, SECRET));
        assert_int_equal(server_asked(), 1);
    }
}

/* no_secret_was_left_in_memory checks what is left of it. */
static void a_data_key_in_base64_passes_through(void **state)
{
    struct stage *stage = *state;
    const struct kfi_kms_arguments arguments = {KEY_ID, stage->context, tokens, 2};
    uint8_t other[32];
    size_t length;
    assert_true(kfi_base64_decode(OTHER_BASE64, sizeof OTHER_BASE64 - 1, other, sizeof other, &length));
    TELL("{\"CiphertextBlob\":\"AQID\",\"KeyId\":\"k\",\"Plaintext\":\"" OTHER_BASE64 "\"}");
    assert_ok(generate(stage, &arguments, 32), &stage->error);
    assert_memory_equal(stage->answer->plaintext.bytes, other, sizeof other);
    again(stage);
    assert_ok(finish(stage, kfi_kms_encrypt(stage->service, &arguments, kf_view_of(other, sizeof other),
                                            &stage->error, &stage->request)),
              &stage->error);
    assert_non_null(strstr(server_body(1), "\"Plaintext\":\"" OTHER_BASE64 "\""));
    again(stage);
    server_forget();
    server_say(202, NULL, "{\"Plaintext\":\"" OTHER_BASE64 "\"");
    assert_int_equal(decrypt(stage, &arguments), KF_E_REMOTE);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    secrets_watch();
    const struct CMUnitTest tests[] = {
        TEST(the_least_is_a_key_and_an_empty_context),  TEST(context_and_grant_tokens_go_along),
        TEST(answers_have_what_the_operation_promises), TEST(the_largest_ciphertext_is_taken),
        TEST(errors_of_the_service_come_through),       TEST(replies_that_break_a_promise_are_refused),
        TEST(a_data_key_in_base64_passes_through),      cmocka_unit_test(no_secret_was_left_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
