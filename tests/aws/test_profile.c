/*
 * The shared configuration files: what is read from them, and what is refused without being quoted.
 */
#include "environment.h"

#include <string.h>

#include "aws/service/profile.h"

static struct kfi_aws_profiles profiles;

static void read_files(void)
{
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kfi_aws_profiles_read(&error, &profiles), &error);
}

static void read_config(const char *text)
{
    environment_config(text);
    read_files();
}

static void assert_value(const char *profile, const char *key, const char *expected)
{
    const char *value = kfi_aws_profile_get(&profiles, profile, key, NULL);
    if (expected == NULL) {
        assert_null(value);
    } else {
        assert_non_null(value);
        assert_string_equal(value, expected);
    }
}

static void nothing_there_is_nothing_found(void **state)
{
    (void)state;
    read_files();
    assert_false(profiles.config.found);
    assert_false(profiles.credentials.found);
    assert_string_equal(profiles.config.path, environment_path(".aws/config"));
    assert_string_equal(profiles.credentials.path, environment_path(".aws/credentials"));
    assert_false(kfi_aws_profile_exists(&profiles, "default"));
    assert_value("default", "region", NULL);
    kfi_aws_profiles_free(&profiles);
}

static void keys_values_and_comments(void **state)
{
    (void)state;
    read_config("\xef\xbb\xbf# a comment\n"
                "; another\r\n"
                "\r\n"
                "[default]\r\n"
                "Region=eu-central-1\r\n"
                "output =\tjson \t\n"
                "with_hash = a#b;c\n"
                "with_comment = value # comment = x\n"
                "other_comment = value\t; comment\n"
                "only_comment = # comment\n"
                "twice = one\n"
                "twice = two\n"
                "equals = a=b==\n"
                "quoted = \"as it is\"\n"
                "empty =\n"
                "[ profile\t dev ]  # comment\n"
                "region = us-west-2");
    assert_true(profiles.config.found);
    assert_value("default", "region", "eu-central-1");
    assert_value("default", "REGION", "eu-central-1");
    assert_value("default", "output", "json");
    assert_value("default", "with_hash", "a#b;c");
    assert_value("default", "with_comment", "value");
    assert_value("default", "other_comment", "value");
    assert_value("default", "only_comment", "");
    assert_value("default", "twice", "two");
    assert_value("default", "equals", "a=b==");
    assert_value("default", "quoted", "\"as it is\"");
    assert_value("default", "empty", "");
    assert_value("default", "comment", NULL);
    assert_value("dev", "region", "us-west-2");
    assert_value("dev", "output", NULL);
    assert_value("Dev", "region", NULL);
    kfi_aws_profiles_free(&profiles);
}

static void an_indented_line_continues_a_value(void **state)
{
    (void)state;
    read_config("[default]\n"
                "long = one # comment\n"
                "  two # no comment here\n"
                "\tthree = 3\n"
                "\n"
                "    # a comment\n"
                "  four\n"
                "after = x\n");
    assert_value("default", "long", "one\ntwo # no comment here\nthree = 3\nfour");
    assert_value("default", "three", NULL);
    assert_value("default", "after", "x");
    kfi_aws_profiles_free(&profiles);
}

static void sections_of_the_config_file(void **state)
{
    (void)state;
    read_config("[profile empty]\n"
                "[bare]\n"
                "region = of-no-profile\n"
                "[profile \"two words\"]\n"
                "region = a\n"
                "[profile 'single']\n"
                "region = b\n"
                "[profile two words]\n"
                "region = of-no-name\n"
                "[sso-session corp]\n"
                "sso_region = c\n"
                "[profilex]\n"
                "region = d\n"
                "[profile dev]\n"
                "region = e\n"
                "[plugins]\n"
                "x = y\n"
                "[profile dev]\n"
                "output = f\n");
    assert_true(kfi_aws_profile_exists(&profiles, "empty"));
    assert_false(kfi_aws_profile_exists(&profiles, "bare"));
    assert_false(kfi_aws_profile_exists(&profiles, "corp"));
    assert_false(kfi_aws_profile_exists(&profiles, "default"));
    assert_value("two words", "region", "a");
    assert_value("single", "region", "b");
    /* Two sections of one name count as one. */
    assert_value("dev", "region", "e");
    assert_value("dev", "output", "f");
    kfi_aws_profiles_free(&profiles);
}

static void the_default_profile_has_two_names_in_the_config_file(void **state)
{
    (void)state;
    read_config("[profile default]\nregion = a\n[default]\nregion = b\noutput = c\n");
    assert_value("default", "region", "a");
    assert_value("default", "output", NULL);
    kfi_aws_profiles_free(&profiles);
}

static void the_credentials_file_comes_first(void **state)
{
    (void)state;
    environment_config("[default]\nregion = a\nshared = config\n[profile dev]\nshared = config\n");
    environment_credentials("[default]\nshared = credentials\n"
                            "[dev]\nshared = credentials\n"
                            "[profile odd]\nshared = of-no-profile\n");
    read_files();
    const char *path = NULL;
    assert_value("default", "shared", "credentials");
    assert_value("default", "region", "a");
    assert_value("dev", "shared", "credentials");
    assert_false(kfi_aws_profile_exists(&profiles, "odd"));
    assert_non_null(kfi_aws_profile_get(&profiles, "dev", "shared", &path));
    assert_ptr_equal(path, profiles.credentials.path);
    assert_non_null(kfi_aws_profile_get(&profiles, "default", "region", &path));
    assert_ptr_equal(path, profiles.config.path);
    kfi_aws_profiles_free(&profiles);
}

static void services_have_nested_keys(void **state)
{
    (void)state;
    read_config("[services local]\n"
                "kms =\n"
                "  endpoint_url = http://127.0.0.1:1 \n"
                "  # comment\n"
                "  Other = x # y\n"
                "sts = \n"
                "\tendpoint_url = http://127.0.0.1:2\n"
                "plain = z\n"
                "[profile dev]\n"
                "services = local\n"
                "s3 =\n"
                "  services = nested\n"
                "[profile lost]\n"
                "services = missing\n");
    const char *path = NULL;
    const char *url = kfi_aws_profile_get_service(&profiles, "dev", "kms", "endpoint_url", &path);
    assert_non_null(url);
    assert_string_equal(url, "http://127.0.0.1:1");
    assert_ptr_equal(path, profiles.config.path);
    url = kfi_aws_profile_get_service(&profiles, "dev", "STS", "Endpoint_URL", NULL);
    assert_non_null(url);
    assert_string_equal(url, "http://127.0.0.1:2");
    assert_string_equal(kfi_aws_profile_get_service(&profiles, "dev", "kms", "other", NULL), "x");
    assert_null(kfi_aws_profile_get_service(&profiles, "dev", "plain", "endpoint_url", NULL));
    assert_null(kfi_aws_profile_get_service(&profiles, "dev", "dynamodb", "endpoint_url", NULL));
    assert_null(kfi_aws_profile_get_service(&profiles, "lost", "kms", "endpoint_url", NULL));
    assert_null(kfi_aws_profile_get_service(&profiles, "default", "kms", "endpoint_url", NULL));
    assert_value("dev", "services", "local"); /* not the nested one */
    kfi_aws_profiles_free(&profiles);
}

static void the_environment_says_which_files(void **state)
{
    (void)state;
    environment_config("[default]\nregion = not-this\n");
    environment_set("AWS_CONFIG_FILE", environment_write("one", "[default]\nregion = this\n"));
    environment_set("AWS_SHARED_CREDENTIALS_FILE", "~/two");
    environment_write("two", "[default]\naws_access_key_id = AKID\n");
    read_files();
    assert_value("default", "region", "this");
    assert_value("default", "aws_access_key_id", "AKID");
    assert_string_equal(profiles.credentials.path, environment_path("two"));
    kfi_aws_profiles_free(&profiles);

    environment_set("AWS_CONFIG_FILE", "/dev/null");
    environment_set("AWS_SHARED_CREDENTIALS_FILE", environment_path("one/two")); /* no directory */
    read_files();
    assert_false(profiles.credentials.found);
    assert_int_equal(profiles.count, 0);
    kfi_aws_profiles_free(&profiles);
}

static void there_can_be_many(void **state)
{
    (void)state;
    static char text[40000];
    size_t length = 0;
    for (int i = 0; i < 1000; i++)
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "[profile p%d]\nregion = r%d\n", i, i);
    read_config(text);
    assert_value("p0", "region", "r0");
    assert_value("p500", "region", "r500");
    assert_value("p999", "region", "r999");
    assert_false(kfi_aws_profile_exists(&profiles, "p1000"));
    kfi_aws_profiles_free(&profiles);
}

static void what_cannot_be_parsed_is_named_and_not_quoted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line;
    } cases[] = {
        {"[default]\nSECRET\n", 2},   {"# x\n\n[default]\n\nregion = a\nSECRET line\n", 6},
        {"SECRET = 1\n", 1},          {"[default\nregion = a\n", 1},
        {"[default] SECRET\n", 1},    {"[default]\n  SECRET = a\n", 2},
        {"[default]\n= SECRET\n", 2}, {"[services x]\nkms =\n  SECRET\n", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kf_error error = KF_ERROR_INIT;
        char place[160];
        environment_config(cases[i].text);
        snprintf(place, sizeof place, "%s, line %u:", environment_path(".aws/config"), cases[i].line);
        assert_int_equal(kfi_aws_profiles_read(&error, &profiles), KF_E_USAGE);
        assert_non_null(strstr(error.text, place));
        assert_null(strstr(error.text, "SECRET"));
        assert_null(profiles.entries);
    }
    struct kf_error error = KF_ERROR_INIT;
    static const char with_nul[] = "[default]\na = b\0c\n";
    environment_write_bytes(".aws/config", with_nul, sizeof with_nul - 1);
    assert_int_equal(kfi_aws_profiles_read(&error, &profiles), KF_E_USAGE);
    assert_non_null(strstr(error.text, "line 2"));
}

static void what_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    environment_set("AWS_CONFIG_FILE", environment_home); /* a directory */
    assert_int_equal(kfi_aws_profiles_read(&error, &profiles), KF_E_SYSTEM);
    assert_non_null(strstr(error.text, environment_home));

    environment_set("AWS_CONFIG_FILE", "/dev/zero"); /* endless */
    assert_int_equal(kfi_aws_profiles_read(&error, &profiles), KF_E_USAGE);
    assert_non_null(strstr(error.text, "larger than"));

    /* The largest file that is allowed. */
    char *text = malloc(KFI_AWS_PROFILE_FILE_MAX + 1);
    assert_non_null(text);
    memset(text, ' ', KFI_AWS_PROFILE_FILE_MAX + 1);
    memcpy(text, "[default]\nregion = a\n#", 22);
    environment_set("AWS_CONFIG_FILE", environment_write_bytes("one", text, KFI_AWS_PROFILE_FILE_MAX));
    read_files();
    assert_value("default", "region", "a");
    kfi_aws_profiles_free(&profiles);
    environment_write_bytes("one", text, KFI_AWS_PROFILE_FILE_MAX + 1);
    assert_int_equal(kfi_aws_profiles_read(&error, &profiles), KF_E_USAGE);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        environment_test(nothing_there_is_nothing_found),
        environment_test(keys_values_and_comments),
        environment_test(an_indented_line_continues_a_value),
        environment_test(sections_of_the_config_file),
        environment_test(the_default_profile_has_two_names_in_the_config_file),
        environment_test(the_credentials_file_comes_first),
        environment_test(services_have_nested_keys),
        environment_test(the_environment_says_which_files),
        environment_test(there_can_be_many),
        environment_test(what_cannot_be_parsed_is_named_and_not_quoted),
        environment_test(what_cannot_be_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
