/*
 * Where credentials come from: the order of the sources, the environment, the profile, and the error if none has
 * credentials. Nothing is sent beyond loopback.
 */
#include "chain.h"

/* ---- Nothing ---- */

static void when_there_are_none_all_that_was_tried_is_listed(void **state)
{
    (void)state;
    char expected[508];
    snprintf(
        expected, sizeof expected,
        "There are no AWS credentials. Tried: environment: AWS_ACCESS_KEY_ID is not set; profile default: %s "
        "is not there, %s is not there; container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are "
        "not set; instance metadata: AWS_EC2_METADATA_DISABLED is true.",
        environment_path(".aws/credentials"), environment_path(".aws/config"));
    assert_int_equal(fetch(), KF_E_USAGE);
    assert_string_equal(error.text, expected);

    environment_config("[profile dev]\nregion = a\n");
    options.profile = "dev";
    assert_fails(KF_E_USAGE, "environment: not looked at, since option profile is given; profile dev: no "
                             "aws_access_key_id in it; container");
    options.profile = NULL;
    assert_fails(KF_E_USAGE, ".aws/config has no such profile; container");
}

/* ---- Environment ---- */

static void the_environment(void **state)
{
    (void)state;
    environment_set("AWS_ACCESS_KEY_ID", "AKIDENV");
    environment_set("AWS_SECRET_ACCESS_KEY", SECRET "env");
    assert_got("AKIDENV", SECRET "env", NULL, "the environment");
    assert_true(got->expires_at == KF_AWS_NEVER_EXPIRES);
    environment_set("AWS_SESSION_TOKEN", SECRET "token");
    environment_credentials("[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = " SECRET "\n");
    assert_got("AKIDENV", SECRET "env", SECRET "token", "the environment");

    environment_set("AWS_SECRET_ACCESS_KEY", "");
    assert_fails(KF_E_USAGE, "credentials of the environment are incomplete: AWS_ACCESS_KEY_ID is set, but "
                             "AWS_SECRET_ACCESS_KEY is not.");
    environment_set("AWS_SECRET_ACCESS_KEY", SECRET);
    environment_set("AWS_ACCESS_KEY_ID", NULL);
    assert_fails(KF_E_USAGE, "credentials of the environment are incomplete: AWS_SECRET_ACCESS_KEY is set, "
                             "but AWS_ACCESS_KEY_ID is not.");
    environment_set("AWS_ACCESS_KEY_ID", "AKIDENV");
    environment_set("AWS_SECRET_ACCESS_KEY", SECRET "\n");
    assert_fails(KF_E_USAGE,
                 "credentials of the environment are not valid: The secret access key has characters");
}

static void a_web_identity_is_not_passed_over(void **state)
{
    (void)state;
    environment_credentials("[default]\naws_access_key_id = AKID\naws_secret_access_key = " SECRET "\n");
    environment_set("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
    environment_set("AWS_ROLE_ARN", "arn:aws:iam::1:role/x");
    assert_fails(KF_E_USAGE, "a web identity (AWS_WEB_IDENTITY_TOKEN_FILE), which is not supported");
    environment_set("AWS_ACCESS_KEY_ID", "AKIDENV");
    environment_set("AWS_SECRET_ACCESS_KEY", SECRET);
    assert_got("AKIDENV", SECRET, NULL, "the environment");
}

/* ---- Profile ---- */

static const char *in_profile(const char *profile, const char *file)
{
    static char phrase[256];
    snprintf(phrase, sizeof phrase, "profile %s in %s", profile, environment_path(file));
    return phrase;
}

static void a_profile(void **state)
{
    (void)state;
    environment_credentials("[default]\naws_access_key_id = AKID1\naws_secret_access_key = " SECRET "1\n"
                            "aws_session_token = " SECRET "token\n");
    environment_config("[profile dev]\naws_access_key_id = AKID2\naws_secret_access_key = " SECRET "2\n");
    assert_got("AKID1", SECRET "1", SECRET "token", in_profile("default", ".aws/credentials"));
    environment_set("AWS_PROFILE", "dev");
    assert_got("AKID2", SECRET "2", NULL, in_profile("dev", ".aws/config"));
    /* The environment comes before a profile that a variable names, and after one that the option names. */
    environment_set("AWS_ACCESS_KEY_ID", "AKIDENV");
    environment_set("AWS_SECRET_ACCESS_KEY", SECRET "env");
    assert_got("AKIDENV", SECRET "env", NULL, "the environment");
    options.profile = "dev";
    assert_got("AKID2", SECRET "2", NULL, in_profile("dev", ".aws/config"));
}

static void the_files_are_read_anew(void **state)
{
    (void)state;
    struct kfi_http_pool *pool;
    struct kf_aws_credentials_provider *chain = chain_new(&pool);
    struct kf_call call;
    static const char *const ids[] = {"AKID1", "AKID2"};
    kfi_call_init(&call, NULL);
    for (size_t i = 0; i < 2; i++) {
        char text[128];
        snprintf(text, sizeof text, "[default]\naws_access_key_id = %s\naws_secret_access_key = " SECRET "\n",
                 ids[i]);
        environment_credentials(text);
        assert_ok(kfi_aws_credentials_fetch(chain, &call, &error, &got), &error);
        assert_string_equal(got->access_key_id, ids[i]);
        kfi_aws_credentials_unref(got);
    }
    environment_credentials("nonsense\n");
    assert_int_equal(kfi_aws_credentials_fetch(chain, &call, &error, &got), KF_E_USAGE);
    assert_non_null(strstr(error.text, "line 1"));
    kf_aws_credentials_provider_unref(chain);
    kfi_http_pool_unref(pool);
}

static void halves_do_not_make_a_pair(void **state)
{
    (void)state;
    environment_credentials("[default]\naws_access_key_id = AKID\n");
    assert_fails(KF_E_USAGE, "incomplete: aws_access_key_id is set, but aws_secret_access_key is not.");
    environment_config("[default]\naws_access_key_id = OTHER\naws_secret_access_key = " SECRET "\n");
    assert_fails(KF_E_USAGE, "incomplete: aws_access_key_id is set, but aws_secret_access_key is not.");
    environment_credentials("[default]\naws_secret_access_key = " SECRET "\n");
    environment_config("");
    assert_fails(KF_E_USAGE, "incomplete: aws_secret_access_key is set, but aws_access_key_id is not.");
    /* A token in the other file belongs to another access key. */
    environment_credentials("[default]\naws_access_key_id = AKID\naws_secret_access_key = " SECRET "\n");
    environment_config("[default]\naws_session_token = " SECRET "old\n");
    assert_got("AKID", SECRET, NULL, in_profile("default", ".aws/credentials"));
    environment_credentials("[default]\naws_access_key_id = AK ID\naws_secret_access_key = " SECRET "\n");
    assert_fails(KF_E_USAGE, "The access key id has characters");
}

static void kinds_that_are_not_supported_are_named(void **state)
{
    (void)state;
    static const char *const keys[] = {"role_arn",      "web_identity_token_file", "sso_session",
                                       "sso_start_url", "login_session",           "credential_process"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char text[256], sentence[64];
        snprintf(text, sizeof text, "[default]\n%s = x\n", keys[i]);
        snprintf(sentence, sizeof sentence, "(%s), which is not supported", keys[i]);
        environment_config(text);
        assert_fails(KF_E_USAGE, sentence);
        /* If the profile has static credentials too, the first four come before them; the others do not count. */
        environment_credentials("[default]\naws_access_key_id = AKID\naws_secret_access_key = " SECRET "\n");
        if (i < 4)
            assert_fails(KF_E_USAGE, sentence);
        else
            assert_got("AKID", SECRET, NULL, in_profile("default", ".aws/credentials"));
        environment_credentials("");
    }
}

int main(void)
{
    secrets_watch();
    const struct CMUnitTest tests[] = {
        chain_test(when_there_are_none_all_that_was_tried_is_listed),
        chain_test(the_environment),
        chain_test(a_web_identity_is_not_passed_over),
        chain_test(a_profile),
        chain_test(the_files_are_read_anew),
        chain_test(halves_do_not_make_a_pair),
        chain_test(kinds_that_are_not_supported_are_named),
        cmocka_unit_test(no_secret_was_left_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
