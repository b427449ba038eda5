/*
 * Credentials and their providers: which credentials are valid, and what a provider may answer.
 */
#include "secrets.h"

#include "aws/service/credentials.h"
#include "base/call.h"

#define NOW 1000000ULL /* seconds of the wall clock */

/* One poll of a provider. */
static enum kf_code fetch_from(struct kf_aws_credentials_provider *provider, struct kf_error *error,
                               struct kfi_aws_credentials **got)
{
    struct kf_call call;
    kfi_call_init(&call, NULL);
    enum kf_code code = kfi_aws_credentials_fetch(provider, &call, error, got);
    kfi_call_end(&call);
    return code;
}

static struct kf_aws_credentials given(void)
{
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    credentials.access_key_id = kf_view_text("AKID");
    credentials.secret_access_key = kf_view_text(SECRET);
    return credentials;
}

static void static_credentials_are_what_was_given(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_aws_credentials_provider *provider;
    struct kfi_aws_credentials *got;
    const struct kf_aws_credentials credentials = given();
    assert_ok(kf_aws_static_credentials_new(&credentials, &error, &provider), &error);
    assert_int_equal(fetch_from(provider, &error, &got), KF_OK);
    assert_string_equal(got->access_key_id, "AKID");
    assert_string_equal(got->secret_access_key, SECRET);
    assert_null(got->session_token);
    assert_string_equal(got->source, "the credentials that the application gave");
    assert_true(got->expires_at == KF_AWS_NEVER_EXPIRES);
    kf_aws_credentials_provider_unref(provider);
    kfi_aws_credentials_unref(got);
}

static void assert_refused(const struct kf_aws_credentials *credentials, const char *sentence)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_aws_credentials_provider *provider;
    assert_int_equal(kf_aws_static_credentials_new(credentials, &error, &provider), KF_E_USAGE);
    assert_non_null(strstr(error.text, sentence));
    assert_null(strstr(error.text, SECRET));
    assert_null(provider);
}

static void what_can_be_credentials(void **state)
{
    (void)state;
    static char long_text[16386];
    memset(long_text, 'x', sizeof long_text);
    struct kf_aws_credentials credentials = given();
    assert_refused(NULL, "NULL");
    credentials.size--;
    credentials.size = sizeof credentials + 1;
    assert_refused(&credentials, "size");
    credentials = given();
    credentials.access_key_id.length = 0;
    assert_refused(&credentials, "access key id has 0 bytes");
    credentials.access_key_id = kf_view_of(long_text, 129);
    assert_refused(&credentials, "access key id has 129 bytes");
    credentials.access_key_id = kf_view_text("AK ID");
    assert_refused(&credentials, "access key id has characters");
    credentials = given();
    credentials.secret_access_key = kf_view_text(SECRET "\n");
    assert_refused(&credentials, "secret access key has characters");
    credentials.secret_access_key = kf_view_of(long_text, 257);
    assert_refused(&credentials, "secret access key has 257 bytes");
    credentials = given();
    credentials.session_token = kf_view_of("a\0b", 3);
    assert_refused(&credentials, "session token has characters");
    credentials.session_token = kf_view_of(long_text, 16385);
    assert_refused(&credentials, "session token has 16385 bytes");

    struct kf_error error = KF_ERROR_INIT;
    struct kf_aws_credentials_provider *provider;
    credentials.access_key_id = kf_view_of(long_text, 128);
    credentials.secret_access_key = kf_view_of(long_text, 256);
    credentials.session_token = kf_view_of(long_text, 16384);
    assert_ok(kf_aws_static_credentials_new(&credentials, &error, &provider), &error);
    kf_aws_credentials_provider_unref(provider);
}

/* A provider that answers as the test says. */
static enum kf_code (*odd)(struct kf_call *call, struct kf_error *error,
                           struct kf_aws_credentials_result *out);
static unsigned destroyed;

static enum kf_code odd_fetch(void *self, struct kf_call *call, struct kf_error *error,
                              struct kf_aws_credentials_result *out)
{
    (void)self;
    return odd(call, error, out);
}

static void odd_destroy(void *self)
{
    (void)self;
    destroyed++;
}

static enum kf_code gives_nothing(struct kf_call *call, struct kf_error *error,
                                  struct kf_aws_credentials_result *out)
{
    (void)call;
    (void)error;
    (void)out;
    return KF_OK;
}

static enum kf_code answers_no_code(struct kf_call *call, struct kf_error *error,
                                    struct kf_aws_credentials_result *out)
{
    (void)gives_nothing(call, error, out);
    return (enum kf_code) - 305;
}

static enum kf_code wants_input(struct kf_call *call, struct kf_error *error,
                                struct kf_aws_credentials_result *out)
{
    (void)gives_nothing(call, error, out);
    return KF_WANT_INPUT;
}

static enum kf_code says_nothing(struct kf_call *call, struct kf_error *error,
                                 struct kf_aws_credentials_result *out)
{
    (void)gives_nothing(call, error, out);
    return KF_E_REMOTE;
}

static enum kf_code gives_and_fails(struct kf_call *call, struct kf_error *error,
                                    struct kf_aws_credentials_result *out)
{
    struct kf_aws_credentials credentials = given();
    (void)call;
    if (kf_aws_credentials_result_set(out, &credentials, error) != KF_OK ||
        kf_aws_credentials_result_set(out, &credentials, error) != KF_OK)
        return KF_E_BUG;
    return kf_error_set(error, KF_E_RETRY, "After all, no.");
}

static enum kf_code gives_expired(struct kf_call *call, struct kf_error *error,
                                  struct kf_aws_credentials_result *out)
{
    struct kf_aws_credentials credentials = given();
    (void)call;
    credentials.expires_at = NOW;
    return kf_aws_credentials_result_set(out, &credentials, error);
}

static enum kf_code leaves_an_error(struct kf_call *call, struct kf_error *error,
                                    struct kf_aws_credentials_result *out)
{
    struct kf_aws_credentials credentials = given();
    (void)call;
    kf_error_set(error, KF_E_RETRY, "On the way this failed.");
    return kf_aws_credentials_result_set(out, &credentials, error);
}

static void what_a_provider_may_answer(void **state)
{
    (void)state;
    static const struct kf_aws_credentials_vtable vtable = {sizeof vtable, odd_fetch, odd_destroy};
    static const struct {
        enum kf_code (*odd)(struct kf_call *call, struct kf_error *error,
                            struct kf_aws_credentials_result *out);
        enum kf_code code;
        const char *sentence;
    } cases[] = {
        {gives_nothing, KF_E_BUG, "without credentials"},
        {answers_no_code, KF_E_BUG, "-305"},
        {wants_input, KF_E_BUG, "2"},
        {says_nothing, KF_E_REMOTE, "KF_E_REMOTE"},
        {gives_and_fails, KF_E_RETRY, "After all, no."},
        {gives_expired, KF_E_RETRY, "expired already"},
        {leaves_an_error, KF_OK, ""},
    };
    struct kf_error error = KF_ERROR_INIT;
    struct kf_aws_credentials_provider *provider;
    struct kfi_aws_credentials *got;
    kfi_aws_wall_clock_test_set(NOW);
    assert_ok(kf_aws_credentials_provider_new(&vtable, NULL, &error, &provider), &error);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        odd = cases[i].odd;
        assert_int_equal(fetch_from(provider, &error, &got), cases[i].code);
        assert_int_equal(error.code, cases[i].code);
        assert_non_null(strstr(error.text, cases[i].sentence));
        assert_int_equal(got != NULL, cases[i].code == KF_OK);
        kfi_aws_credentials_unref(got);
    }
    assert_int_equal(destroyed, 0);
    kf_aws_credentials_provider_unref(provider);
    assert_int_equal(destroyed, 1);
    kfi_aws_wall_clock_test_set(UINT64_MAX);
}

static void what_can_be_a_provider(void **state)
{
    (void)state;
    struct kf_aws_credentials_vtable vtable = {sizeof vtable, NULL, NULL};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_aws_credentials_provider *provider;
    assert_int_equal(kf_aws_credentials_provider_new(NULL, NULL, &error, &provider), KF_E_USAGE);
    assert_int_equal(kf_aws_credentials_provider_new(&vtable, NULL, &error, &provider), KF_E_USAGE);
    vtable.fetch = odd_fetch;
    vtable.size++;
    assert_int_equal(kf_aws_credentials_provider_new(&vtable, NULL, &error, &provider), KF_E_USAGE);
    vtable.size = offsetof(struct kf_aws_credentials_vtable, destroy); /* as an older program has it */
    assert_ok(kf_aws_credentials_provider_new(&vtable, NULL, &error, &provider), &error);
    kf_aws_credentials_provider_unref(kf_aws_credentials_provider_ref(provider));
    kf_aws_credentials_provider_unref(provider);
    kf_aws_credentials_provider_unref(NULL);
}

int main(void)
{
    secrets_watch();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(static_credentials_are_what_was_given),
        cmocka_unit_test(what_can_be_credentials),
        cmocka_unit_test(what_a_provider_may_answer),
        cmocka_unit_test(what_can_be_a_provider),
        cmocka_unit_test(no_secret_was_left_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
