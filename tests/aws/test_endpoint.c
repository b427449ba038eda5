/*
 * Endpoints: the region's own in every partition, and the configured one.
 */
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#include "aws/service/endpoint.h"

static void assert_endpoint(const struct kfi_aws_settings *settings, const char *region, const char *expected)
{
    struct kf_error error = KF_ERROR_INIT;
    char url[KFI_AWS_URL_MAX];
    const char *source = NULL;
    assert_ok(kfi_aws_endpoint(settings, "kms", region, &error, url, &source), &error);
    assert_string_equal(url, expected);
    assert_string_equal(source, "the region's own");
}

static void every_partition(void **state)
{
    (void)state;
    static const struct {
        const char *region, *suffix, *dual_stack_suffix;
    } cases[] = {
        {"us-east-1", "amazonaws.com", "api.aws"},
        {"eu-central-1", "amazonaws.com", "api.aws"},
        {"mars-north-1", "amazonaws.com", "api.aws"}, /* of no known partition */
        {"cn-north-1", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
        {"us-gov-west-1", "amazonaws.com", "api.aws"},
        {"us-iso-east-1", "c2s.ic.gov", "api.aws.ic.gov"},
        {"us-isob-east-1", "sc2s.sgov.gov", "api.aws.scloud"},
        {"eu-isoe-west-1", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
        {"us-isof-south-1", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
        {"eusc-de-east-1", "amazonaws.eu", "api.amazonwebservices.eu"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *region = cases[i].region;
        for (int variant = 0; variant < 4; variant++) {
            const struct kfi_aws_settings settings = {
                .use_fips = (variant & 1) != 0,
                .use_dual_stack = (variant & 2) != 0,
            };
            char expected[KFI_AWS_URL_MAX];
            snprintf(expected, sizeof expected, "https://kms%s.%s.%s", settings.use_fips ? "-fips" : "",
                     region, settings.use_dual_stack ? cases[i].dual_stack_suffix : cases[i].suffix);
            assert_endpoint(&settings, region, expected);
        }
    }
}

static void a_configured_endpoint_stands(void **state)
{
    (void)state;
    static char url_text[] = "http://127.0.0.1:4566", source_text[] = "option endpoint_url";
    const struct kfi_aws_settings settings = {
        .kms_endpoint_url = {url_text, source_text}, .use_fips = true, .use_dual_stack = true};
    struct kf_error error = KF_ERROR_INIT;
    char url[KFI_AWS_URL_MAX];
    const char *source = NULL;
    assert_ok(kfi_aws_endpoint(&settings, "kms", "us-east-1", &error, url, &source), &error);
    assert_string_equal(url, url_text);
    assert_string_equal(source, source_text);
    /* It is the endpoint of KMS alone. */
    assert_ok(kfi_aws_endpoint(&settings, "sts", "us-east-1", &error, url, NULL), &error);
    assert_string_equal(url, "https://sts-fips.us-east-1.api.aws");
}

static void what_can_be_a_region(void **state)
{
    (void)state;
    static const char longest[] = "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g23";
    static const char *const wrong[] = {"",    "-a",          "a-",           "a.b", "a/b",     "a b",
                                        "a_b", "us-east-1\n", "us-east-1:80", "a@b", "\xc3\xa9"};
    assert_int_equal(strlen(longest), 63);
    assert_true(kfi_aws_region_is_valid(kf_view_text(longest)));
    assert_true(kfi_aws_region_is_valid(kf_view_text("x")));
    assert_false(kfi_aws_region_is_valid(kf_view_of("a\0b", 3)));
    char longer[65];
    snprintf(longer, sizeof longer, "%s4", longest);
    assert_false(kfi_aws_region_is_valid(kf_view_text(longer)));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct kfi_aws_settings settings = {.use_fips = false};
        struct kf_error error = KF_ERROR_INIT;
        char url[KFI_AWS_URL_MAX];
        assert_false(kfi_aws_region_is_valid(kf_view_text(wrong[i])));
        assert_int_equal(kfi_aws_endpoint(&settings, "kms", wrong[i], &error, url, NULL), KF_E_USAGE);
        assert_non_null(strstr(error.text, "region"));
    }
}

static void what_can_be_an_endpoint(void **state)
{
    (void)state;
    static const char *const right[] = {"http://localhost", "https://127.0.0.1:4566/", "HTTPS://h/path",
                                        "http://[::1]:80"};
    static const char *const wrong[] = {"",
                                        "localhost",
                                        "ftp://h",
                                        "http:/h",
                                        "http://",
                                        "http:///path",
                                        "http://:80",
                                        "https://user@h",
                                        "https://h/?x=y",
                                        "https://h/#x",
                                        "https://h\\x",
                                        "https://h x",
                                        "https://h\r\n",
                                        "https://\xc3\xa9"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_true(kfi_aws_endpoint_is_valid(right[i]));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(kfi_aws_endpoint_is_valid(wrong[i]));
    char url[KFI_AWS_URL_MAX + 1] = "http://";
    memset(url + 7, 'a', KFI_AWS_URL_MAX - 8);
    assert_true(kfi_aws_endpoint_is_valid(url));
    url[KFI_AWS_URL_MAX - 1] = 'a';
    assert_false(kfi_aws_endpoint_is_valid(url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_partition),
        cmocka_unit_test(a_configured_endpoint_stands),
        cmocka_unit_test(what_can_be_a_region),
        cmocka_unit_test(what_can_be_an_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
