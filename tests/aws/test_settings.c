/*
 * Settings: which place comes first, how it is named, and what is refused.
 */
#include "environment.h"

#include <string.h>

#include "aws/service/settings.h"

static struct kfi_aws_settings settings;

static struct kf_aws_client_options no_options(void)
{
    const struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    return options;
}

static void read_with(const struct kf_aws_client_options *options)
{
    struct kf_error error = KF_ERROR_INIT;
    kfi_aws_settings_free(&settings);
    assert_ok(kfi_aws_settings_read(options, &error, &settings), &error);
}

static void read_all(void)
{
    const struct kf_aws_client_options options = no_options();
    read_with(&options);
}

static void assert_setting(const struct kfi_aws_setting *setting, const char *value, const char *source)
{
    if (value == NULL)
        assert_null(setting->value);
    else
        assert_string_equal(setting->value, value);
    assert_string_equal(setting->source, source);
}

/* Reading fails, and the sentence contains both. */
static void assert_refused_with(const struct kf_aws_client_options *options, const char *first,
                                const char *second)
{
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kfi_aws_settings_read(options, &error, &settings), KF_E_USAGE);
    assert_int_equal(error.code, KF_E_USAGE);
    assert_non_null(strstr(error.text, first));
    assert_non_null(strstr(error.text, second));
    assert_null(settings.profile.value);
}

static void assert_refused(const char *first, const char *second)
{
    const struct kf_aws_client_options options = no_options();
    assert_refused_with(&options, first, second);
}

/* "profile NAME in FILE". It is overwritten by the next call. */
static const char *in_profile(const char *profile, const char *file)
{
    static char phrase[256];
    snprintf(phrase, sizeof phrase, "profile %s in %s", profile, environment_path(file));
    return phrase;
}

static int forget(void **state)
{
    kfi_aws_settings_free(&settings);
    return environment_teardown(state);
}

/* ---- Each setting ---- */

static void nothing_set(void **state)
{
    (void)state;
    read_all();
    assert_setting(&settings.profile, "default", "the default");
    assert_false(settings.profile_is_explicit);
    assert_setting(&settings.region, NULL,
                   "option region, AWS_REGION, AWS_DEFAULT_REGION, region of profile default (there is no "
                   "configuration file)");
    assert_setting(&settings.max_attempts, "3", "the default");
    assert_int_equal(settings.attempts, 3);
    assert_false(settings.use_fips);
    assert_false(settings.use_dual_stack);

    environment_config("[default]\n");
    read_all();
    assert_setting(&settings.region, NULL,
                   "option region, AWS_REGION, AWS_DEFAULT_REGION, region of profile default");
    assert_setting(
        &settings.kms_endpoint_url, NULL,
        "option endpoint_url, AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, endpoint_url of profile default");
    assert_setting(&settings.ca_bundle, NULL,
                   "option ca_bundle, AWS_CA_BUNDLE, ca_bundle of profile default");
}

static void the_profile(void **state)
{
    (void)state;
    struct kf_aws_client_options options = no_options();
    environment_config("[profile one]\n[profile two]\n[profile three]\n");
    environment_set("AWS_DEFAULT_PROFILE", "one");
    read_with(&options);
    assert_setting(&settings.profile, "one", "AWS_DEFAULT_PROFILE in the environment");
    environment_set("AWS_PROFILE", "two");
    read_with(&options);
    assert_setting(&settings.profile, "two", "AWS_PROFILE in the environment");
    assert_false(settings.profile_is_explicit);
    options.profile = "three";
    read_with(&options);
    assert_setting(&settings.profile, "three", "option profile");
    assert_true(settings.profile_is_explicit);

    kfi_aws_settings_free(&settings);
    options.profile = "four";
    assert_refused_with(&options, "no profile four (option profile)", environment_path(".aws/config"));
    environment_set("AWS_PROFILE", "five");
    assert_refused("no profile five (AWS_PROFILE in the environment)", "credentials (no such file)");
    environment_set("AWS_PROFILE", ""); /* counts as not set */
    read_all();
    assert_string_equal(settings.profile.value, "one");
}

static void the_region(void **state)
{
    (void)state;
    struct kf_aws_client_options options = no_options();
    environment_config("[default]\nregion = r-profile-1\n[profile dev]\nregion = r-dev-1\n");
    read_with(&options);
    assert_setting(&settings.region, "r-profile-1", in_profile("default", ".aws/config"));
    environment_set("AWS_PROFILE", "dev");
    read_with(&options);
    assert_setting(&settings.region, "r-dev-1", in_profile("dev", ".aws/config"));
    environment_set("AWS_DEFAULT_REGION", "r-default-1");
    read_with(&options);
    assert_setting(&settings.region, "r-default-1", "AWS_DEFAULT_REGION in the environment");
    environment_set("AWS_REGION", "r-environment-1");
    read_with(&options);
    assert_setting(&settings.region, "r-environment-1", "AWS_REGION in the environment");
    options.region = "r-option-1";
    read_with(&options);
    assert_setting(&settings.region, "r-option-1", "option region");

    kfi_aws_settings_free(&settings);
    options.region = "evil.example/";
    assert_refused_with(&options, "region", "option region");
    environment_set("AWS_REGION", "a b");
    assert_refused("region", "AWS_REGION in the environment");
}

static void the_endpoint(void **state)
{
    (void)state;
    struct kf_aws_client_options options = no_options();
    environment_config("[default]\nendpoint_url = http://profile\n"
                       "[profile dev]\nendpoint_url = http://profile\nservices = local\n"
                       "[services local]\nkms =\n  endpoint_url = http://services\n");
    read_with(&options);
    assert_setting(&settings.kms_endpoint_url, "http://profile", in_profile("default", ".aws/config"));
    environment_set("AWS_PROFILE", "dev");
    read_with(&options);
    assert_string_equal(settings.kms_endpoint_url.value, "http://services");
    assert_non_null(strstr(settings.kms_endpoint_url.source, "the services of profile dev in "));
    environment_set("AWS_ENDPOINT_URL", "http://general");
    read_with(&options);
    assert_setting(&settings.kms_endpoint_url, "http://general", "AWS_ENDPOINT_URL in the environment");
    environment_set("AWS_ENDPOINT_URL_KMS", "http://kms");
    read_with(&options);
    assert_setting(&settings.kms_endpoint_url, "http://kms", "AWS_ENDPOINT_URL_KMS in the environment");

    environment_set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "True");
    read_with(&options);
    assert_setting(&settings.kms_endpoint_url, NULL, "configured endpoints are ignored");
    options.endpoint_url = "http://option";
    read_with(&options);
    assert_setting(&settings.kms_endpoint_url, "http://option", "option endpoint_url");

    kfi_aws_settings_free(&settings);
    options.endpoint_url = "";
    assert_refused_with(&options, "option endpoint_url", "http");
    environment_set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "perhaps");
    assert_refused("ignore_configured_endpoint_urls", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS in the env");
    environment_set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false");
    environment_set("AWS_ENDPOINT_URL_KMS", "ftp://SECRET@host");
    struct kf_error error = KF_ERROR_INIT;
    options.endpoint_url = NULL;
    assert_int_equal(kfi_aws_settings_read(&options, &error, &settings), KF_E_USAGE);
    assert_non_null(strstr(error.text, "AWS_ENDPOINT_URL_KMS in the environment"));
    assert_null(strstr(error.text, "SECRET"));
}

static void a_profile_can_ignore_endpoints(void **state)
{
    (void)state;
    environment_config("[default]\nendpoint_url = http://profile\nignore_configured_endpoint_urls = true\n");
    read_all();
    assert_null(settings.kms_endpoint_url.value);
}

static void the_switches(void **state)
{
    (void)state;
    struct kf_aws_client_options options = no_options();
    environment_config("[default]\nuse_fips_endpoint = true\nuse_dualstack_endpoint = TRUE\n");
    read_with(&options);
    assert_true(settings.use_fips && settings.use_dual_stack);
    environment_set("AWS_USE_FIPS_ENDPOINT", "false");
    read_with(&options);
    assert_true(!settings.use_fips && settings.use_dual_stack);
    environment_set("AWS_USE_DUALSTACK_ENDPOINT", "False");
    read_with(&options);
    assert_true(!settings.use_fips && !settings.use_dual_stack);
    options.use_fips = KF_AWS_ON;
    read_with(&options);
    assert_true(settings.use_fips && !settings.use_dual_stack);
    environment_set("AWS_USE_DUALSTACK_ENDPOINT", "true");
    options.use_dual_stack = KF_AWS_OFF;
    read_with(&options);
    assert_true(settings.use_fips && !settings.use_dual_stack);

    kfi_aws_settings_free(&settings);
    environment_set("AWS_USE_FIPS_ENDPOINT", "yes");
    assert_refused("use_fips_endpoint", "AWS_USE_FIPS_ENDPOINT in the environment");
    environment_set("AWS_USE_FIPS_ENDPOINT", NULL);
    environment_set("AWS_USE_DUALSTACK_ENDPOINT", "1");
    assert_refused("use_dualstack_endpoint", "AWS_USE_DUALSTACK_ENDPOINT in the environment");
}

static void the_certificates(void **state)
{
    (void)state;
    struct kf_aws_client_options options = no_options();
    char text[256];
    environment_write("one", "");
    environment_write("two", "");
    snprintf(text, sizeof text, "[default]\nca_bundle = %s\n", environment_path("one"));
    environment_config(text);
    read_with(&options);
    assert_setting(&settings.ca_bundle, environment_path("one"), in_profile("default", ".aws/config"));
    environment_set("AWS_CA_BUNDLE", environment_path("two"));
    read_with(&options);
    assert_setting(&settings.ca_bundle, environment_path("two"), "AWS_CA_BUNDLE in the environment");
    options.ca_bundle = environment_path("one");
    read_with(&options);
    assert_setting(&settings.ca_bundle, environment_path("one"), "option ca_bundle");

    kfi_aws_settings_free(&settings);
    environment_set("AWS_CA_BUNDLE", environment_path("missing"));
    assert_refused(environment_path("missing"), "AWS_CA_BUNDLE in the environment");
}

static void the_retries(void **state)
{
    (void)state;
    static const char *const modes[] = {"standard", "legacy", "adaptive", "Standard"};
    struct kf_aws_client_options options = no_options();
    environment_config("[default]\nmax_attempts = 7\nretry_mode = adaptive\n");
    read_with(&options);
    assert_setting(&settings.max_attempts, "7", in_profile("default", ".aws/config"));
    assert_int_equal(settings.attempts, 7);
    environment_set("AWS_MAX_ATTEMPTS", "100");
    read_with(&options);
    assert_setting(&settings.max_attempts, "100", "AWS_MAX_ATTEMPTS in the environment");
    assert_int_equal(settings.attempts, 100);
    options.max_attempts = 1;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        environment_set("AWS_RETRY_MODE", modes[i]);
        read_with(&options);
        assert_setting(&settings.max_attempts, "1", "option max_attempts");
        assert_int_equal(settings.attempts, 1);
    }

    kfi_aws_settings_free(&settings);
    static const char *const wrong[] = {"0", "101", "-1", "+1", "3 ", "three", "0x3", "4294967299"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        environment_set("AWS_MAX_ATTEMPTS", wrong[i]);
        assert_refused("1 to 100", "AWS_MAX_ATTEMPTS in the environment");
    }
    environment_set("AWS_MAX_ATTEMPTS", NULL);
    environment_set("AWS_RETRY_MODE", "never");
    assert_refused("standard", "AWS_RETRY_MODE in the environment");
}

static void a_file_that_cannot_be_parsed(void **state)
{
    (void)state;
    environment_config("nonsense\n");
    assert_refused(environment_path(".aws/config"), "line 1");
}

#define settings_test(test) cmocka_unit_test_setup_teardown(test, environment_setup, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        settings_test(nothing_set),
        settings_test(the_profile),
        settings_test(the_region),
        settings_test(the_endpoint),
        settings_test(a_profile_can_ignore_endpoints),
        settings_test(the_switches),
        settings_test(the_certificates),
        settings_test(the_retries),
        settings_test(a_file_that_cannot_be_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
