/*
 * Options of the KMS keyrings: which are accepted, and which are refused with a sentence that says what to do. Nothing is
 * sent.
 */
#include "aws/environment.h"

#include <keyflight/aws.h>

#define KEY "arn:aws:kms:eu-central-1:111122223333:key/12345678-1234-1234-1234-123456789012"

static struct kf_aws_client *client_new(const char *region)
{
    struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_aws_client *client;
    options.region = region;
    assert_ok(kf_aws_client_new(&options, &error, &client), &error);
    return client;
}

/* What a constructor answered. The sentence contains `says`; NULL: the options are accepted. */
static void check_made(enum kf_code code, struct kf_keyring *keyring, const struct kf_error *error,
                       const char *says)
{
    if (says == NULL) {
        assert_ok(code, error);
        assert_non_null(keyring);
        kf_keyring_unref(keyring);
        return;
    }
    assert_int_equal(code, KF_E_USAGE);
    assert_null(keyring);
    if (strstr(error->text, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error->text, says);
}

static void check(const struct kf_aws_kms_keyring_options *options, const char *says)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    enum kf_code code = kf_aws_kms_keyring_new(options, &error, &keyring);
    check_made(code, keyring, &error, says);
}

static void check_discovery(const struct kf_aws_kms_discovery_keyring_options *options, const char *says)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    enum kf_code code = kf_aws_kms_discovery_keyring_new(options, &error, &keyring);
    check_made(code, keyring, &error, says);
}

static void names_of_keys(void **state)
{
    (void)state;
    static const char long_alias[] = "alias/"
                                     "0123456789012345678901234567890123456789012345678901234567890123456789"
                                     "0123456789012345678901234567890123456789012345678901234567890123456789"
                                     "0123456789012345678901234567890123456789012345678901234567890123456789"
                                     "01234567890123456789012345678901234567890";
    static const struct {
        const char *name, *says;
    } cases[] = {
        {KEY, NULL},
        {"arn:aws:kms:us-west-2:111122223333:alias/some/name", NULL},
        {"arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234567890abcdef1234567890abcdef", NULL},
        {"12345678-1234-1234-1234-1234567890ab", NULL},
        {"mrk-1234567890abcdef1234567890abcdef", NULL},
        {"alias/some/name_of-a-key", NULL},
        {"", "empty"},
        {" ", "visible ASCII"},
        {"alias/schl\xc3\xbcssel", "visible ASCII"},
        {KEY " ", "visible ASCII"},
        {"alias/", "does not name a KMS key"},
        {"alias/some name", "visible ASCII"},
        {"alias/some:name", "does not name a KMS key"},
        {long_alias, "does not name a KMS key"},
        {"some-name", "does not name a KMS key"},
        {"key/12345678-1234-1234-1234-123456789012", "does not name a KMS key"},
        {"12345678-1234-1234-1234-12345678901", "does not name a KMS key"},
        {"12345678-1234-1234-1234-1234567890123", "does not name a KMS key"},
        {"12345678-1234-1234-1234+123456789012", "does not name a KMS key"},
        {"1234567g-1234-1234-1234-123456789012", "does not name a KMS key"},
        {"mrk-1234567890abcdef1234567890abcde", "does not name a KMS key"},
        {"mrk-1234567890abcdef1234567890abcdeg", "does not name a KMS key"},
        {"arn:aws:kms:eu-central-1:111122223333", "is not the ARN"},
        {"arn:aws:s3:eu-central-1:111122223333:key/1", "is not the ARN"},
        {"arn:aws:kms:eu-central-1::key/1", "is not the ARN"},
        {"arn:aws:kms:eu-central-1:111122223333:keys/1", "is not the ARN"},
        {"arn:aws:kms:eu-central-1.example.com:111122223333:key/1", "region"},
        {"arn:aws:kms:-:111122223333:key/1", "region"},
    };
    struct kf_aws_kms_keyring_options options = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    options.client = client_new("eu-central-1");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const names[2] = {KEY "0", cases[i].name};
        options.generator = cases[i].name;
        options.key_id_count = 0;
        check(&options, cases[i].says);
        options.generator = NULL; /* the same name as the last of the further keys */
        options.key_ids = names;
        options.key_id_count = 2;
        check(&options, cases[i].says);
    }
    kf_aws_client_unref(options.client);
}

static void a_name_without_a_region_takes_the_clients(void **state)
{
    (void)state;
    struct kf_aws_kms_keyring_options options = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    struct kf_aws_client *client = client_new(NULL);
    options.client = client;
    options.generator = KEY;
    check(&options, NULL);
    options.generator = "alias/name";
    check(&options, "AWS_REGION"); /* one of the places where it was looked for */
    kf_aws_client_unref(client);
}

static void keys_are_needed_and_named_once(void **state)
{
    (void)state;
    struct kf_aws_kms_keyring_options options = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    struct kf_aws_client *client = client_new("eu-central-1");
    const char *const same[] = {"alias/a", KEY, "alias/a"}, *const missing[] = {KEY, NULL};
    options.generator = KEY;
    check(&options, "client");
    check(NULL, "are missing");
    options.client = client;
    options.generator = NULL;
    check(&options, "needs a key");
    options.key_id_count = 1;
    check(&options, "key_ids is NULL");
    options.key_ids = same;
    options.key_id_count = 3;
    check(&options, "alias/a is named twice");
    options.key_id_count = 2;
    check(&options, NULL);
    options.generator = KEY;
    check(&options, "is named twice");
    options.key_ids = missing;
    options.generator = "alias/b";
    check(&options, "empty");
    options.size = sizeof options + 8;
    check(&options, "size");
    kf_aws_client_unref(client);
}

static void grant_tokens(void **state)
{
    (void)state;
    static char longest[8192 + 2];
    struct kf_aws_kms_keyring_options options = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    struct kf_aws_kms_discovery_keyring_options discovery = KF_AWS_KMS_DISCOVERY_KEYRING_OPTIONS_INIT;
    struct kf_aws_client *client = client_new(NULL);
    const char *tokens[11] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", longest, "k"};
    static const struct {
        size_t count, length;
        const char *third, *says;
    } cases[] = {
        {10, 8192, "c", NULL},       {11, 8192, "c", "at most 10"},    {10, 8193, "c", "Grant token 10"},
        {3, 1, "", "Grant token 3"}, {3, 1, "white space", "token 3"}, {3, 1, NULL, "token 3"},
    };
    options.client = discovery.client = client;
    options.generator = KEY;
    options.grant_tokens = discovery.grant_tokens = tokens;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(longest, 0, sizeof longest);
        memset(longest, 'x', cases[i].length);
        tokens[2] = cases[i].third;
        options.grant_token_count = discovery.grant_token_count = cases[i].count;
        check(&options, cases[i].says);
        check_discovery(&discovery, cases[i].says);
    }
    kf_aws_client_unref(client);
}

static void filters_of_discovery(void **state)
{
    (void)state;
    struct kf_aws_client *client = client_new(NULL);
    const struct {
        const char *partition, *account, *region, *says;
    } cases[] = {
        {NULL, NULL, NULL, NULL},
        {"aws", NULL, NULL, NULL},
        {"aws", "111122223333", "eu-central-1", NULL},
        {NULL, NULL, "eu-central-1", NULL},
        {NULL, "111122223333", NULL, "partition"},
        {"", NULL, NULL, "partition"},
        {"aws:kms", NULL, NULL, "partition"},
        {"aws", "11112222333", NULL, "Account 2"},
        {"aws", "1111222233334", NULL, "Account 2"},
        {"aws", "11112222333x", NULL, "Account 2"},
        {"aws", "", NULL, "Account 2"},
        {NULL, NULL, "", "Region 2"},
        {NULL, NULL, "eu central", "Region 2"},
        {NULL, NULL, "eu-central-1.example.com", "Region 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const accounts[] = {"222233334444", cases[i].account};
        const char *const regions[] = {"us-east-1", cases[i].region};
        struct kf_aws_kms_discovery_keyring_options options = KF_AWS_KMS_DISCOVERY_KEYRING_OPTIONS_INIT;
        options.client = client;
        options.partition = cases[i].partition;
        options.accounts = accounts;
        options.account_count = cases[i].account != NULL ? 2 : 0;
        options.regions = regions;
        options.region_count = cases[i].region != NULL ? 2 : 0;
        check_discovery(&options, cases[i].says);
    }
    struct kf_aws_kms_discovery_keyring_options options = KF_AWS_KMS_DISCOVERY_KEYRING_OPTIONS_INIT;
    check_discovery(NULL, "are missing");
    check_discovery(&options, "client");
    options.client = client;
    options.region_count = 1;
    check_discovery(&options, "regions is NULL");
    options.region_count = 0;
    options.partition = "aws";
    options.account_count = 1;
    check_discovery(&options, "accounts");
    kf_aws_client_unref(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        environment_test(names_of_keys),
        environment_test(a_name_without_a_region_takes_the_clients),
        environment_test(keys_are_needed_and_named_once),
        environment_test(grant_tokens),
        environment_test(filters_of_discovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
