/*
 * The client: its options, its services, what a diagnosis sees, and the lookup of credentials. Nothing is sent
 * beyond loopback.
 */
#include "environment.h"
#include "metadata_server.h"
#include "secrets.h"

#include "aws/service/client.h"

static struct kf_error error;
static struct kf_aws_client_options options;
static struct kf_aws_client *client;

static int setup(void **state)
{
    const struct kf_aws_client_options none = KF_AWS_CLIENT_OPTIONS_INIT;
    options = none;
    metadata_script(NULL, 0);
    return environment_setup(state);
}

static int teardown(void **state)
{
    kf_aws_client_unref(client);
    client = NULL;
    kf_cleanup();
    return environment_teardown(state);
}

static void make_client(void)
{
    kf_aws_client_unref(client);
    assert_ok(kf_aws_client_new(&options, &error, &client), &error);
}

static void assert_refused(const char *sentence)
{
    struct kf_aws_client *none;
    assert_int_equal(kf_aws_client_new(&options, &error, &none), KF_E_USAGE);
    assert_non_null(strstr(error.text, sentence));
    assert_null(none);
}

/* ---- Options and settings ---- */

static void options_have_bounds(void **state)
{
    const struct kf_aws_client_options good = options;
    static char long_name[258];
    (void)state;
    memset(long_name, 'x', sizeof long_name - 1);
    options.max_connections = 0;
    assert_refused("max_connections");
    options.max_connections = 10001;
    assert_refused("max_connections");
    options = good;
    options.max_attempts = 101;
    assert_refused("max_attempts");
    options = good;
    options.connect_timeout_ms = 0;
    assert_refused("connect_timeout_ms");
    options = good;
    options.attempt_timeout_ms = 0;
    assert_refused("attempt_timeout_ms");
    options = good;
    options.request_timeout_ms = 0;
    assert_refused("request_timeout_ms");
    options = good;
    options.use_fips = (enum kf_aws_switch)3;
    assert_refused("use_fips");
    options = good;
    static const char *const names[] = {"", "a\r\nX: y", "b\xc3\xa9", long_name};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        options.application = names[i];
        assert_refused("application");
    }
    options = good;
    options.size = 3;
    assert_refused("size");
    options.size = sizeof options + 1;
    assert_refused("size");
    options = good;
    options.region = "no region";
    assert_refused("option region");

    options = good;
    options.size = offsetof(struct kf_aws_client_options, max_connections); /* as an older program has it */
    options.max_connections = 0;
    make_client();
    assert_int_equal(kfi_aws_client_limits(client)->request_timeout_ms, 10000);
    kf_aws_client_unref(client);
    assert_ok(kf_aws_client_new(NULL, &error, &client), &error);
}

static void what_a_diagnosis_sees(void **state)
{
    (void)state;
    struct kf_aws_settings settings = {.size = sizeof settings};
    environment_set("AWS_REGION", "eu-central-1");
    options.use_fips = KF_AWS_ON;
    make_client();
    kf_aws_client_settings(client, &settings);
    assert_int_equal(settings.size, sizeof settings);
    assert_string_equal(settings.profile.value, "default");
    assert_string_equal(settings.region.value, "eu-central-1");
    assert_string_equal(settings.region.source, "AWS_REGION in the environment");
    assert_string_equal(settings.kms_endpoint.value, "https://kms-fips.eu-central-1.amazonaws.com");
    assert_string_equal(settings.kms_endpoint.source, "the region's own");
    assert_null(settings.ca_bundle.value);
    assert_string_equal(settings.max_attempts.value, "3");
    assert_string_equal(settings.max_attempts.source, "the default");

    options.endpoint_url = "http://127.0.0.1:9";
    make_client();
    kf_aws_client_settings(client, &settings);
    assert_string_equal(settings.kms_endpoint.value, "http://127.0.0.1:9");
    assert_string_equal(settings.kms_endpoint.source, "option endpoint_url");

    /* A caller whose struct is shorter. */
    memset(&settings, 'x', sizeof settings);
    settings.size = offsetof(struct kf_aws_settings, region);
    kf_aws_client_settings(client, &settings);
    assert_string_equal(settings.profile.value, "default");
    const char *untouched;
    memset(&untouched, 'x', sizeof untouched);
    assert_ptr_equal(settings.region.value, untouched);
}

static void the_endpoint_of_a_region(void **state)
{
    (void)state;
    struct kf_buf url = KF_BUF_INIT;
    make_client();
    assert_int_equal(kf_aws_client_kms_endpoint(client, NULL, &error, &url), KF_E_USAGE);
    assert_string_equal(error.text,
                        "No AWS region is set. Tried: option region, AWS_REGION, AWS_DEFAULT_REGION, "
                        "region of profile default (there is no configuration file).");
    assert_null(kfi_aws_client_region(client));
    struct kf_aws_settings settings = {.size = sizeof settings};
    kf_aws_client_settings(client, &settings);
    assert_null(settings.kms_endpoint.value);
    assert_string_equal(settings.kms_endpoint.source, settings.region.source);

    assert_ok(kf_aws_client_kms_endpoint(client, "cn-north-1", &error, &url), &error);
    assert_int_equal(url.length, strlen("https://kms.cn-north-1.amazonaws.com.cn"));
    assert_memory_equal(url.data, "https://kms.cn-north-1.amazonaws.com.cn", url.length);
    assert_int_equal(kf_aws_client_kms_endpoint(client, "x.y", &error, &url), KF_E_USAGE);
    assert_int_equal(url.length, 0);
    options.region = "us-west-2";
    make_client();
    assert_ok(kf_aws_client_kms_endpoint(client, NULL, &error, &url), &error);
    assert_memory_equal(url.data, "https://kms.us-west-2.amazonaws.com", url.length);
    kf_buf_free(&url);
}

static void limits_are_what_was_set(void **state)
{
    (void)state;
    options.max_attempts = 9;
    options.connect_timeout_ms = 1;
    options.attempt_timeout_ms = 2;
    options.request_timeout_ms = 3;
    options.region = "us-west-2";
    make_client();
    const struct kfi_aws_limits *limits = kfi_aws_client_limits(client);
    assert_int_equal(limits->max_attempts, 9);
    assert_int_equal(limits->connect_timeout_ms, 1);
    assert_int_equal(limits->attempt_timeout_ms, 2);
    assert_int_equal(limits->request_timeout_ms, 3);
    assert_string_equal(kfi_aws_client_region(client), "us-west-2");
    assert_non_null(kfi_aws_client_pool(client));
    assert_non_null(kfi_aws_client_credentials(client));
    kf_aws_client_unref(kf_aws_client_ref(client));
    kf_aws_client_unref(NULL);
}

/* ---- Services ---- */

static struct kfi_aws_service *service(const char *name, const char *region)
{
    struct kfi_aws_service *found;
    return kfi_aws_client_service(client, name, region, NULL, &found) == KF_OK ? found : NULL;
}

static void each_service_is_made_once(void **state)
{
    (void)state;
    make_client();
    struct kfi_aws_service *kms = service("kms", "us-west-2");
    assert_non_null(kms);
    assert_ptr_equal(kms->client, client);
    assert_string_equal(kms->name, "kms");
    assert_string_equal(kms->region, "us-west-2");
    assert_string_equal(kms->url, "https://kms.us-west-2.amazonaws.com");
    assert_int_equal(kms->clock_skew, 0);
    struct kfi_aws_service *elsewhere = service("kms", "us-west-1"), *other = service("sts", "us-west-2");
    assert_non_null(elsewhere);
    assert_non_null(other);
    assert_true(elsewhere != kms && other != kms && other != elsewhere);
    assert_ptr_equal(service("kms", "us-west-2"), kms);
    assert_ptr_equal(service("kms", "us-west-1"), elsewhere);
    assert_ptr_equal(service("sts", "us-west-2"), other);
    struct kfi_aws_service *none;
    assert_int_equal(kfi_aws_client_service(client, "kms", "../", &error, &none), KF_E_USAGE);
    assert_null(none);
}

static void regions_out_of_messages_do_not_fill_the_memory(void **state)
{
    (void)state;
    make_client();
    struct kfi_aws_service *first = service("kms", "region-0"), *none;
    char region[32];
    size_t count = 1;
    do {
        snprintf(region, sizeof region, "region-%zu", count);
    } while (service("kms", region) != NULL && ++count < 10000);
    assert_int_equal(count, 256);
    assert_int_equal(kfi_aws_client_service(client, "kms", region, &error, &none), KF_E_LIMIT);
    assert_null(none);
    assert_non_null(strstr(error.text, "regions"));
    assert_ptr_equal(service("kms", "region-0"), first);
}

#define THREADS 8

static pthread_barrier_t barrier;

static void *find_service(void *region)
{
    pthread_barrier_wait(&barrier);
    return service("kms", region);
}

static void threads_find_the_same_service(void **state)
{
    (void)state;
    make_client();
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (int round = 0; round < 50; round++) {
        pthread_t threads[THREADS];
        void *found[THREADS];
        char region[32];
        snprintf(region, sizeof region, "us-west-%d", round);
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, find_service, region), 0);
        for (size_t i = 0; i < THREADS; i++)
            pthread_join(threads[i], &found[i]);
        assert_non_null(found[0]);
        for (size_t i = 1; i < THREADS; i++)
            assert_ptr_equal(found[i], found[0]);
    }
    pthread_barrier_destroy(&barrier);
}

static bool makes_its_own(void *inherited)
{
    struct kfi_aws_service *own = service("kms", "us-west-2");
    bool right = own != NULL && own != inherited && service("kms", "us-west-2") == own;
    kf_aws_client_unref(client);
    return right;
}

static void a_child_makes_its_own_services(void **state)
{
    (void)state;
    make_client();
    struct kfi_aws_service *kms = service("kms", "us-west-2");
    assert_true(support_in_child(makes_its_own, kms));
    assert_ptr_equal(service("kms", "us-west-2"), kms);
}

/* ---- The lookup of credentials ---- */

static struct kf_aws_credentials_lookup *lookup_new(uint64_t timeout_ms)
{
    struct kf_aws_credentials_lookup *lookup;
    assert_ok(kf_aws_credentials_lookup_new(client, timeout_ms, &error, &lookup), &error);
    return lookup;
}

static void a_lookup_says_what_and_whence(void **state)
{
    (void)state;
    environment_set("AWS_ACCESS_KEY_ID", "AKIDENV");
    environment_set("AWS_SECRET_ACCESS_KEY", SECRET);
    make_client();
    struct kf_aws_credentials_lookup *lookup = lookup_new(0);
    assert_null(kf_aws_credentials_lookup_access_key_id(lookup));
    assert_null(kf_aws_credentials_lookup_source(lookup));
    assert_ok(kf_aws_credentials_lookup_poll(lookup, NULL), kf_aws_credentials_lookup_error(lookup));
    assert_ok(kf_aws_credentials_lookup_poll(lookup, NULL), kf_aws_credentials_lookup_error(lookup));
    assert_string_equal(kf_aws_credentials_lookup_access_key_id(lookup), "AKIDENV");
    assert_string_equal(kf_aws_credentials_lookup_source(lookup), "the environment");
    assert_true(kf_aws_credentials_lookup_expires_at(lookup) == KF_AWS_NEVER_EXPIRES);
    assert_true(kf_aws_credentials_lookup_deadline(lookup) == KF_NO_DEADLINE);
    /* The lookup holds the client. */
    kf_aws_client_unref(client);
    client = NULL;
    assert_string_equal(kf_aws_credentials_lookup_access_key_id(lookup), "AKIDENV");
    kf_aws_credentials_lookup_free(lookup);
    kf_aws_credentials_lookup_free(NULL);
    assert_int_equal(kf_aws_credentials_lookup_new(NULL, 0, &error, &lookup), KF_E_USAGE);
}

static void a_lookup_that_finds_nothing_lists_what_was_tried(void **state)
{
    (void)state;
    make_client();
    struct kf_aws_credentials_lookup *lookup = lookup_new(0);
    for (int i = 0; i < 2; i++) { /* the second poll answers the same */
        assert_int_equal(kf_aws_credentials_lookup_poll(lookup, NULL), KF_E_USAGE);
        assert_non_null(strstr(kf_aws_credentials_lookup_error(lookup)->text, "Tried: environment: "));
    }
    assert_null(kf_aws_credentials_lookup_access_key_id(lookup));
    kf_aws_credentials_lookup_free(lookup);
    /* A later lookup does not know of the failure. */
    environment_credentials("[default]\naws_access_key_id = AKID\naws_secret_access_key = " SECRET "\n");
    lookup = lookup_new(0);
    assert_int_equal(kf_aws_credentials_lookup_poll(lookup, NULL), KF_OK);
    kf_aws_credentials_lookup_free(lookup);
}

static void a_lookup_can_ask_a_container(void **state)
{
    (void)state;
    static const struct metadata_answer answer = {
        NULL, 200,
        "{\"AccessKeyId\": \"AKIDC\", \"SecretAccessKey\": \"" SECRET
        "\", \"Token\": \"t\", \"Expiration\": \"2096-01-01T00:00:00Z\"}"};
    environment_set("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url);
    metadata_script(&answer, 1);
    options.application = "tests/1";
    make_client();
    struct kf_aws_credentials_lookup *lookups[] = {lookup_new(0), lookup_new(0)};
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    assert_int_equal(kf_aws_credentials_lookup_poll(lookups[0], &waker), KF_PENDING);
    assert_int_equal(kf_aws_credentials_lookup_poll(lookups[1], NULL), KF_OK);
    enum kf_code code;
    while ((code = kf_aws_credentials_lookup_poll(lookups[0], &waker)) == KF_PENDING)
        bell_wait(&bell);
    assert_int_equal(code, KF_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(kf_aws_credentials_lookup_access_key_id(lookups[i]), "AKIDC");
        assert_string_equal(kf_aws_credentials_lookup_source(lookups[i]), "the container endpoint");
        kf_aws_credentials_lookup_free(lookups[i]);
    }
    assert_int_equal(server_asked(), 1);
    assert_true(server_has(0, "user-agent: keyflight/" KF_VERSION " tests/1"));
    bell_destroy(&bell);
}

/* A provider that never answers. */
static unsigned destroyed;

static enum kf_code never(void *self, struct kf_call *call, struct kf_error *unused,
                          struct kf_aws_credentials_result *out)
{
    (void)self;
    (void)call;
    (void)unused;
    (void)out;
    return KF_PENDING;
}

static void count_destroyed(void *self)
{
    (void)self;
    destroyed++;
}

static void use_a_provider_that_never_answers(void)
{
    static const struct kf_aws_credentials_vtable vtable = {sizeof vtable, never, count_destroyed};
    struct kf_aws_credentials_provider *provider;
    destroyed = 0;
    assert_ok(kf_aws_credentials_provider_new(&vtable, NULL, &error, &provider), &error);
    options.credentials = provider;
    make_client();
    kf_aws_credentials_provider_unref(provider);
}

static void a_lookup_has_a_deadline(void **state)
{
    (void)state;
    support_clock_stop(1000);
    use_a_provider_that_never_answers();
    struct kf_aws_credentials_lookup *lookup = lookup_new(300);
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    assert_int_equal(kf_aws_credentials_lookup_poll(lookup, &waker), KF_PENDING);
    assert_int_equal(kf_aws_credentials_lookup_deadline(lookup), 300);
    support_clock_advance(299);
    assert_int_equal(kf_aws_credentials_lookup_poll(lookup, &waker), KF_PENDING);
    support_clock_advance(1);
    assert_int_equal(kf_aws_credentials_lookup_poll(lookup, &waker), KF_E_TIMEOUT);
    assert_string_equal(kf_aws_credentials_lookup_error(lookup)->text,
                        "No AWS credentials were there within 300 ms.");
    kf_aws_credentials_lookup_free(lookup);

    /* The fetch goes on, up to the time limit of the client. */
    lookup = lookup_new(0);
    assert_int_equal(kf_aws_credentials_lookup_poll(lookup, &waker), KF_PENDING);
    support_clock_advance(10000 - 300);
    bell_wait(&bell);
    assert_int_equal(kf_aws_credentials_lookup_poll(lookup, &waker), KF_E_TIMEOUT);
    assert_string_equal(kf_aws_credentials_lookup_error(lookup)->text,
                        "AWS credentials did not come within 10000 ms.");
    kf_aws_credentials_lookup_free(lookup);
    bell_destroy(&bell);
    support_clock_real();
}

static void a_lookup_can_be_given_up_and_the_client_too(void **state)
{
    (void)state;
    use_a_provider_that_never_answers();
    struct kf_aws_credentials_lookup *lookup = lookup_new(0);
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    assert_int_equal(kf_aws_credentials_lookup_poll(lookup, &waker), KF_PENDING);
    kf_aws_credentials_lookup_free(lookup);
    kf_aws_client_unref(client);
    client = NULL;
    assert_int_equal(destroyed, 0); /* its fetch is still under way */
    kf_cleanup();
    assert_int_equal(destroyed, 1);
    bell_destroy(&bell);
}

static bool cannot_go_on(void *context)
{
    struct kf_aws_credentials_lookup *lookup = context;
    bool right = kf_aws_credentials_lookup_poll(lookup, NULL) == KF_E_FORKED &&
                 kf_aws_credentials_lookup_poll(lookup, NULL) == KF_E_FORKED;
    kf_aws_credentials_lookup_free(lookup);
    return right;
}

static void a_lookup_does_not_outlive_a_fork(void **state)
{
    (void)state;
    use_a_provider_that_never_answers();
    struct kf_aws_credentials_lookup *lookup = lookup_new(0);
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    assert_int_equal(kf_aws_credentials_lookup_poll(lookup, &waker), KF_PENDING);
    assert_true(support_in_child(cannot_go_on, lookup));
    assert_int_equal(kf_aws_credentials_lookup_poll(lookup, &waker), KF_PENDING);
    kf_aws_credentials_lookup_free(lookup);
    bell_destroy(&bell);
}

/* ---- Memory ---- */

/* Makes a client and uses it; allocations may fail. */
static enum kf_code make_and_look(void)
{
    struct kfi_aws_service *kms;
    struct kf_aws_credentials_lookup *lookup = NULL;
    enum kf_code code = kf_aws_client_new(&options, &error, &client);
    if (code == KF_OK)
        code = kfi_aws_client_service(client, "kms", "us-west-2", &error, &kms);
    if (code == KF_OK)
        code = kf_aws_credentials_lookup_new(client, 0, &error, &lookup);
    if (code == KF_OK && (code = kf_aws_credentials_lookup_poll(lookup, NULL)) != KF_OK)
        error = *kf_aws_credentials_lookup_error(lookup);
    kf_aws_credentials_lookup_free(lookup);
    kf_aws_client_unref(client);
    client = NULL;
    return code;
}

static void without_memory_nothing_is_left_behind(void **state)
{
    (void)state;
    environment_config("[profile dev]\nregion = us-west-2\nservices = local\n"
                       "[services local]\nkms =\n  endpoint_url = http://127.0.0.1:9\n");
    environment_credentials("[dev]\naws_access_key_id = AKID\naws_secret_access_key = " SECRET "\n");
    environment_set("AWS_PROFILE", "dev");
    int failing = 0;
    enum kf_code code;
    do {
        unsigned held = secrets_held;
        secrets_fail_in = ++failing;
        code = make_and_look();
        bool failed = secrets_fail_in < 1;
        secrets_fail_in = 0;
        assert_int_equal(secrets_held, held);
        assert_int_equal(code, failed ? KF_E_NO_MEMORY : KF_OK);
    } while (code != KF_OK);
    assert_true(failing > 30);
}

#define client_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    secrets_watch();
    const struct CMUnitTest tests[] = {
        client_test(options_have_bounds),
        client_test(what_a_diagnosis_sees),
        client_test(the_endpoint_of_a_region),
        client_test(limits_are_what_was_set),
        client_test(each_service_is_made_once),
        client_test(regions_out_of_messages_do_not_fill_the_memory),
        client_test(threads_find_the_same_service),
        client_test(a_child_makes_its_own_services),
        client_test(a_lookup_says_what_and_whence),
        client_test(a_lookup_that_finds_nothing_lists_what_was_tried),
        client_test(a_lookup_can_ask_a_container),
        client_test(a_lookup_has_a_deadline),
        client_test(a_lookup_can_be_given_up_and_the_client_too),
        client_test(a_lookup_does_not_outlive_a_fork),
        client_test(without_memory_nothing_is_left_behind),
        cmocka_unit_test(no_secret_was_left_in_memory),
    };
    metadata_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    server_stop();
    return failed;
}
