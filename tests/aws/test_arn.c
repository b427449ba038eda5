/*
 * ARNs of KMS keys and aliases. (S: framework/aws-kms/aws-kms-key-arn.md)
 */
#include "support/support.h"

#include <string.h>

#include "aws/service/arn.h"

static bool is(struct kf_view view, const char *text)
{
    return view.length == strlen(text) && memcmp(view.data, text, view.length) == 0;
}

static void the_parts_of_an_arn(void **state)
{
    (void)state;
    static const struct {
        const char *arn, *partition, *region, *account, *type, *id;
    } cases[] = {
        {"arn:aws:kms:us-east-1:2222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab", "aws", "us-east-1",
         "2222222222222", "key", "1234abcd-12ab-34cd-56ef-1234567890ab"},
        {"arn:aws:kms:us-east-1:2222222222222:key/mrk-4321abcd12ab34cd56ef1234567890ab", "aws", "us-east-1",
         "2222222222222", "key", "mrk-4321abcd12ab34cd56ef1234567890ab"},
        {"arn:aws-us-gov:kms:us-gov-west-1:1:alias/test-key", "aws-us-gov", "us-gov-west-1", "1", "alias",
         "test-key"},
        {"arn:aws:kms:r:a:alias/one/two/", "aws", "r", "a", "alias", "one/two/"},
        {"arn:aws:kms:r:a:key/one/two", "aws", "r", "a", "key", "one/two"},
        {"arn:aws:kms:r:a:key//", "aws", "r", "a", "key", "/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kfi_kms_arn arn;
        assert_true(kfi_kms_arn_parse(kf_view_text(cases[i].arn), &arn));
        assert_true(is(arn.partition, cases[i].partition));
        assert_true(is(arn.region, cases[i].region));
        assert_true(is(arn.account, cases[i].account));
        assert_true(is(arn.resource_type, cases[i].type));
        assert_true(is(arn.resource_id, cases[i].id));
        assert_int_equal(kfi_kms_arn_is_key(&arn), strcmp(cases[i].type, "key") == 0);
    }
}

static void what_is_no_arn(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "arn",
        "arn:",
        "arn:aws:kms:us-east-1:2222222222222",
        "arn:aws:kms:us-east-1:2222222222222:",
        "arn:aws:kms:us-east-1:2222222222222:key",
        "arn:aws:kms:us-east-1:2222222222222:key/",
        "arn:aws:kms:us-east-1:2222222222222:/id",
        "arn:aws:kms:us-east-1:2222222222222:id",
        "arn:aws:kms:us-east-1:2222222222222:key:id",
        "arn:aws:kms:us-east-1:2222222222222:key/id:more",
        "arn:aws:kms:us-east-1:2222222222222:alias/id:more",
        "arn:aws:kms:us-east-1:2222222222222:keys/id",
        "arn:aws:kms:us-east-1:2222222222222:Key/id",
        "arn:aws:kms:us-east-1::key/id",
        "arn:aws:kms::2222222222222:key/id",
        "arn:aws::us-east-1:2222222222222:key/id",
        "arn:aws:sqs:us-east-1:2222222222222:key/id",
        "arn::kms:us-east-1:2222222222222:key/id",
        ":aws:kms:us-east-1:2222222222222:key/id",
        "ARN:aws:kms:us-east-1:2222222222222:key/id",
        "xarn:aws:kms:us-east-1:2222222222222:key/id",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "mrk-4321abcd12ab34cd56ef1234567890ab",
        "alias/test-key",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kfi_kms_arn arn;
        assert_false(kfi_kms_arn_parse(kf_view_text(cases[i]), &arn));
    }
}

static void what_begins_like_one(void **state)
{
    (void)state;
    assert_true(kfi_kms_arn_is_meant(kf_view_text("arn:")));
    assert_true(kfi_kms_arn_is_meant(kf_view_text("arn:what:ever")));
    assert_false(kfi_kms_arn_is_meant(kf_view_text("arn")));
    assert_false(kfi_kms_arn_is_meant(kf_view_text("")));
    assert_false(kfi_kms_arn_is_meant(kf_view_text("alias/arn:x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_of_an_arn),
        cmocka_unit_test(what_is_no_arn),
        cmocka_unit_test(what_begins_like_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
