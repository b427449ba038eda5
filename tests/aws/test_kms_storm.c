/*
 * Many callers at once, with data keys from a KMS on loopback: the KMS counts requests, connections, and fetches of
 * credentials. Replies are held until all requests have come, so that no result depends on timing.
 */
#include "aws/fault_stage.h"

#include "aws/service/credentials.h"

#define CALLERS 10000
#define LIMIT 100
#define CONNECTIONS 50

static struct asker askers[CALLERS];

static void ask_all(struct kf_cmm *cmm, size_t count)
{
    for (size_t i = 0; i < count; i++)
        asker_ask(&askers[i], cmm, 1);
}

static void all_are_served(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (askers[i].code == KF_PENDING)
            asker_wait(&askers[i]);
        assert_ok(askers[i].code, &askers[i].error);
    }
}

static int by_key(const void *left, const void *right)
{
    return memcmp(left, right, 32);
}

static void each_key_serves_so_many(size_t uses)
{
    static uint8_t keys[CALLERS][32];
    for (size_t i = 0; i < CALLERS; i++)
        memcpy(keys[i], asker_key(&askers[i]).data, 32);
    qsort(keys, CALLERS, 32, by_key);
    for (size_t i = 0; i < CALLERS; i++)
        assert_int_equal(i > 0 && memcmp(keys[i], keys[i - 1], 32) == 0, i % uses != 0);
}

/* ---- Requests and connections ---- */

static void a_burst_costs_what_the_limit_demands(void **state)
{
    (void)state;
    struct kf_aws_client_options options = fault_stage_options();
    struct fault_stage stage;
    options.max_connections = CONNECTIONS;
    fault_stage_open(&stage, &options, LIMIT, NULL);
    fault_kms_control(&stage.kms, "{'gate': 50}");
    ask_all(stage.caching, CALLERS);
    all_are_served(CALLERS);
    assert_int_equal(fault_kms_count(&stage.kms, "GenerateDataKey"), CALLERS / LIMIT);
    assert_int_equal(fault_kms_count(&stage.kms, "requests"), CALLERS / LIMIT);
    assert_int_equal(fault_kms_count(&stage.kms, "in_flight_peak"), CONNECTIONS);
    assert_int_equal(fault_kms_count(&stage.kms, "open_peak"), CONNECTIONS);
    assert_int_equal(fault_kms_count(&stage.kms, "connections"), CONNECTIONS); /* each was used again */
    each_key_serves_so_many(LIMIT);
    askers_leave(askers, CALLERS);
    fault_stage_close(&stage);
}

static void connections_close_with_the_client(void **state)
{
    (void)state;
    struct kf_aws_client_options options = fault_stage_options();
    struct fault_stage stage;
    struct kf_error error;
    fault_stage_open(&stage, &options, 1, NULL);
    assert_ok(fault_stage_ask(stage.cmm, &error), &error);
    assert_int_equal(fault_kms_count(&stage.kms, "open"), 1);
    struct fault_kms kms = stage.kms;
    stage.kms = (struct fault_kms){.process = 0};
    fault_stage_close(&stage);
    kf_cleanup();
    fault_kms_wait_down(&kms, "open", 0);
    fault_kms_stop(&kms);
}

/* ---- Credentials ---- */

static void a_thousand_share_the_credentials_that_are_fetched(void **state)
{
    (void)state;
    struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    struct fault_stage stage;
    struct fault_kms metadata;
    struct kf_error error;
    fault_kms_start(&metadata, NULL);
    environment_set("AWS_EC2_METADATA_DISABLED", NULL);
    environment_set("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url);
    options.max_connections = CONNECTIONS;
    fault_stage_open(&stage, &options, 10, NULL);
    fault_kms_control(&stage.kms,
                      "{'verify': false}"); /* it does not know the credentials of the other server */
    assert_ok(fault_stage_ask(stage.cmm, &error), &error);
    assert_int_equal(fault_kms_count(&metadata, "imds_credentials"), 1);

    kfi_aws_wall_clock_test_set(kfi_aws_wall_clock() + 7200);
    fault_kms_control(&metadata, "{'skew_s': 7200, 'latency_ms': 1}");
    ask_all(stage.caching, 1000);
    all_are_served(1000);
    assert_int_equal(fault_kms_count(&metadata, "imds_credentials"), 2);
    assert_int_equal(fault_kms_count(&stage.kms, "GenerateDataKey"), 1 + 1000 / 10);
    askers_leave(askers, 1000);
    kfi_aws_wall_clock_test_set(0);
    fault_stage_close(&stage);
    fault_kms_stop(&metadata);
}

static void credentials_of_a_container_sign(void **state)
{
    (void)state;
    struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    struct fault_stage stage;
    struct kf_error error;
    char url[128];
    fault_stage_open(&stage, &options, 1, NULL);
    snprintf(url, sizeof url, "%s/container", stage.kms.url);
    environment_set("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
    environment_set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-token");
    fault_kms_control(&stage.kms, "{'container_token': 'the-token'}");
    assert_ok(fault_stage_ask(stage.cmm, &error), &error); /* the KMS verifies signature and session token */
    assert_int_equal(fault_kms_count(&stage.kms, "container_credentials"), 1);
    fault_stage_close(&stage);
}

/* ---- Fork ---- */

static bool asks_in_the_child(void *context)
{
    struct kf_cmm *cmm = context;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT;
    const enum kf_code code = kf_encrypt(cmm, NULL, kf_view_text("text"), &error, &message);
    kf_buf_free(&message);
    return code == KF_OK;
}

static void a_child_leaves_the_connections_of_its_parent_alone(void **state)
{
    (void)state;
    struct kf_aws_client_options options = fault_stage_options();
    struct fault_stage stage;
    struct kf_error error;
    if (!SUPPORT_THREADS_IN_CHILDREN)
        skip();
    fault_stage_open(&stage, &options, 1, NULL);
    assert_ok(fault_stage_ask(stage.cmm, &error), &error);
    assert_int_equal(fault_kms_count(&stage.kms, "connections"), 1);
    assert_true(support_in_child(asks_in_the_child, stage.cmm));
    assert_int_equal(fault_kms_count(&stage.kms, "connections"), 2); /* the child's own */
    assert_ok(fault_stage_ask(stage.cmm, &error), &error);
    assert_int_equal(fault_kms_count(&stage.kms, "connections"), 2);
    assert_int_equal(fault_kms_count(&stage.kms, "GenerateDataKey"), 3);
    fault_stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        environment_test(a_burst_costs_what_the_limit_demands),
        environment_test(connections_close_with_the_client),
        environment_test(a_thousand_share_the_credentials_that_are_fetched),
        environment_test(credentials_of_a_container_sign),
        environment_test(a_child_leaves_the_connections_of_its_parent_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
