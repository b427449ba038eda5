/*
 * The KMS discovery keyring with a KMS on loopback: each key is used in its own region, and none that the filter
 * excludes.
 */
#include "aws/kms_stage.h"

static void discovery_asks_each_key_in_its_region(void **state)
{
    (void)state;
    struct stage stage;
    const struct kf_edk edks[] = {
        edk_of("raw", KEY, "wrapped-1"),
        edk_of("aws-kms", KEY_STRANGER, "wrapped-1"),
        edk_of("aws-kms", KEY_WEST, "wrapped-2"),
    };
    stage_open(&stage);
    stage_discovery(&stage, NULL, NULL, NULL);
    kms_reply(400, REFUSED("AccessDeniedException"));
    kms_reply(200, DECRYPTED(KEY_WEST, DATA_KEY));
    assert_ok(unwrap(&stage, edks, 3), &stage.asker.error);
    check_key(&stage);
    check_request(0, "Decrypt", "\"KeyId\":\"" KEY_STRANGER "\"", "\"CiphertextBlob\":\"" WRAPPED_1 "\"");
    check_request(1, "Decrypt", "\"KeyId\":\"" KEY_WEST "\"", "\"CiphertextBlob\":\"" WRAPPED_2 "\"");
    assert_non_null(strstr(server_header(0, "authorization"), "/eu-central-1/kms/"));
    assert_non_null(strstr(server_header(1, "authorization"), "/eu-west-1/kms/"));

    kms_reply(200, DECRYPTED(KEY, DATA_KEY)); /* another key than the one that was asked for */
    assert_int_equal(unwrap(&stage, &edks[2], 1), KF_E_REMOTE);
    check_says(&stage, "another key");
    stage_close(&stage);
}

static void discovery_keeps_to_its_filter(void **state)
{
    (void)state;
    static const struct {
        const char *partition, *account, *region, *allowed;
    } cases[] = {
        {"aws", "111122223333", "eu-west-1", KEY_WEST},
        {"aws", "444455556666", NULL, KEY_STRANGER},
        {"aws-cn", "111122223333", NULL, KEY_CHINA},
        {"aws-cn", NULL, NULL, KEY_CHINA},
        {NULL, NULL, "eu-west-1", KEY_WEST},
        {"aws-cn", "444455556666", NULL, NULL},
        {"aws", "111122223333", "eu-west", NULL},
    };
    struct stage stage;
    const struct kf_edk edks[] = {
        edk_of("aws-kms", KEY_CHINA, "wrapped-1"),
        edk_of("aws-kms", KEY_WEST, "wrapped-1"),
        edk_of("aws-kms", KEY_STRANGER, "wrapped-1"),
    };
    size_t asked = 0;
    stage_open(&stage);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stage_discovery(&stage, cases[i].partition, cases[i].account, cases[i].region);
        if (cases[i].allowed != NULL)
            kms_reply(400, REFUSED("NotFoundException"));
        assert_int_equal(unwrap(&stage, edks, 3), KF_E_KEYS);
        check_says(&stage, cases[i].allowed != NULL ? "did not open" : "that are allowed");
        if (cases[i].allowed != NULL)
            assert_non_null(strstr(server_body(asked++), cases[i].allowed));
        assert_int_equal(server_asked(), asked);
    }
    stage_close(&stage);
}

static void discovery_does_not_encrypt(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    stage_discovery(&stage, NULL, NULL, NULL);
    assert_int_equal(wrap(&stage), KF_E_USAGE);
    check_says(&stage, "can only decrypt");
    assert_int_equal(server_asked(), 0);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        environment_test(discovery_asks_each_key_in_its_region),
        environment_test(discovery_keeps_to_its_filter),
        environment_test(discovery_does_not_encrypt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
