/*
 * Memory that runs out, at every single allocation: each scenario is run with its first allocation failing, then with
 * its second, and so on until none fails. Every caller gets an answer, which is the right one or KF_E_NO_MEMORY;
 * nothing leaks; and the next question is answered.
 *
 * Other tests look closer at one part each (client/memory, materials/cache_memory, jobs/memory, aws/..._memory).
 * This one covers what happens between callers, and every way to encrypt and decrypt.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <keyflight/aws.h>

#include "support/asker.h"
#include "support/client.h"
#include "support/failing_allocator.h"
#include "support/ways.h"

#define ASKERS 3

/* ---- What the scenarios share ---- */

/* One run of a scenario. */
struct run {
    size_t number; /* of the allocation that fails */
    bool failed;   /* it was reached */
    struct scene scene;
    struct asker askers[ASKERS];
};

static void begin_failing(struct run *run)
{
    fail_allocation(run->number);
}

static void end_failing(struct run *run)
{
    run->failed = memory.made >= run->number;
    fail_allocation(0);
}

/* The scene of most scenarios: keys for two messages, the cache in front of a CMM that answers when told. */
static void run_open(struct run *run, const struct kf_caching_cmm_options *options)
{
    memset(&run->scene, 0, sizeof run->scene);
    memset(run->askers, 0, sizeof run->askers);
    scene_open(&run->scene, 10, options);
}

static struct kf_caching_cmm_options two_messages(void)
{
    return caching_options(2, 1000);
}

static void assert_answer(enum kf_code code, const struct kf_error *error, enum kf_code expected)
{
    if (code == expected)
        return;
    if (code != KF_E_NO_MEMORY)
        print_error("%s: %s\n", kf_code_name(code), error->text);
    assert_int_equal(code, KF_E_NO_MEMORY);
    assert_int_equal(error->code, KF_E_NO_MEMORY);
    assert_true(strlen(error->text) > 0);
}

/* Answers the calls that have begun, and polls whoever was woken. */
static bool round_of_answers(struct run *run, enum kf_code code)
{
    bool waiting = false;
    scene_land_all(&run->scene, code);
    for (size_t i = 0; i < ASKERS; i++) {
        struct asker *asker = &run->askers[i];
        if (asker->cmm != NULL && asker->code == KF_PENDING && bell_rung(&asker->bell) > 0) {
            bell_wait(&asker->bell);
            asker_poll(asker);
        }
        waiting = waiting || (asker->cmm != NULL && asker->code == KF_PENDING);
    }
    return waiting;
}

/*
 * Ends the scenario: all calls are answered with `code`, and everybody has to have an answer, which is `expected` if
 * there was memory.
 */
static void run_finish(struct run *run, enum kf_code code, enum kf_code expected)
{
    for (size_t rounds = 0; round_of_answers(run, code); rounds++)
        assert_true(rounds < 2 * ASKERS); /* else somebody waits for ever */
    end_failing(run);
    for (size_t i = 0; i < ASKERS; i++) {
        if (run->askers[i].cmm != NULL)
            assert_answer(run->askers[i].code, &run->askers[i].error, expected);
    }
    askers_leave(run->askers, ASKERS);
}

/* Now there is memory again. */
static void run_close(struct run *run, struct kf_cmm *cmm)
{
    struct asker asker;
    asker_ask(&asker, cmm, 1);
    while (asker.code == KF_PENDING) {
        scene_land_all(&run->scene, KF_OK);
        bell_wait(&asker.bell);
        asker_poll(&asker);
    }
    assert_ok(asker.code, &asker.error);
    asker_leave(&asker);
    scene_close(&run->scene);
}

static void ask_all(struct run *run, struct kf_cmm *cmm)
{
    for (size_t i = 0; i < ASKERS; i++)
        asker_ask(&run->askers[i], cmm, 1);
}

/* ---- Scenarios with a cache ---- */

/* Two have seats in one flight, the third opens another. */
static void seats(struct run *run)
{
    const struct kf_caching_cmm_options options = two_messages();
    run_open(run, &options);
    begin_failing(run);
    ask_all(run, run->scene.cmm);
    run_finish(run, KF_OK, KF_OK);
    run_close(run, run->scene.cmm);
}

/* The opener gives up before the landing; then the other two. */
static void cancelling_before_the_landing(struct run *run)
{
    const struct kf_caching_cmm_options options = two_messages();
    run_open(run, &options);
    begin_failing(run);
    ask_all(run, run->scene.cmm);
    asker_leave(&run->askers[0]);
    asker_ask(&run->askers[0], run->scene.cmm, 1); /* it takes the seat that became free */
    asker_leave(&run->askers[1]);
    asker_leave(&run->askers[2]);
    run_finish(run, KF_OK, KF_OK);
    run_close(run, run->scene.cmm);
}

static void everybody_cancels(struct run *run)
{
    const struct kf_caching_cmm_options options = two_messages();
    run_open(run, &options);
    begin_failing(run);
    ask_all(run, run->scene.cmm);
    askers_leave(run->askers, ASKERS);
    run_finish(run, KF_OK, KF_OK);
    run_close(run, run->scene.cmm);
}

static void fetches_that_fail(struct run *run)
{
    const struct kf_caching_cmm_options options = two_messages();
    run_open(run, &options);
    begin_failing(run);
    ask_all(run, run->scene.cmm);
    run_finish(run, KF_E_RETRY, KF_E_RETRY);
    run_close(run, run->scene.cmm);
}

static void a_line_for_one_flight(struct run *run)
{
    struct kf_caching_cmm_options options = caching_options(1, 1000);
    options.max_flights = 1;
    run_open(run, &options);
    begin_failing(run);
    ask_all(run, run->scene.cmm);
    run_finish(run, KF_OK, KF_OK);
    run_close(run, run->scene.cmm);
}

/* Hits that use a key up, while the next one is fetched in the background. */
static void refreshing_ahead(struct run *run)
{
    struct kf_caching_cmm_options options = caching_options(4, 1000);
    options.refresh_ahead_permille = 700;
    run_open(run, &options);
    told_answer_always(run->scene.told, true);
    asker_ask(&run->askers[0], run->scene.cmm, 1);
    asker_leave(&run->askers[0]);
    told_answer_always(run->scene.told, false);
    begin_failing(run);
    ask_all(run, run->scene.cmm);
    assert_int_equal(run->askers[0].code, KF_OK); /* a hit does not fail because of what is done ahead */
    run_finish(run, KF_OK, KF_OK);
    run_close(run, run->scene.cmm);
}

static void clearing_with_flights_pending(struct run *run)
{
    const struct kf_caching_cmm_options options = two_messages();
    run_open(run, &options);
    begin_failing(run);
    ask_all(run, run->scene.cmm);
    kf_cache_clear(run->scene.cache);
    run_finish(run, KF_OK, KF_OK);
    run_close(run, run->scene.cmm);
}

static void cleaning_up_with_flights_pending(struct run *run)
{
    const struct kf_caching_cmm_options options = two_messages();
    run_open(run, &options);
    begin_failing(run);
    ask_all(run, run->scene.cmm);
    kf_cleanup();
    run_finish(run, KF_OK, KF_E_CLEANED_UP);
    run_close(run, run->scene.cmm);
}

static void a_required_pair(struct run *run)
{
    const struct kf_caching_cmm_options options = two_messages();
    const struct kf_view required = kf_view_text("tenant");
    const struct kf_encryption_context *context = client_context("tenant", "7", "purpose", "tests");
    struct kf_required_encryption_context_cmm_options requiring =
        KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT;
    struct kf_encryption_request request = encryption_request(1);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    run_open(run, &options);
    requiring.cmm = run->scene.cmm;
    requiring.required_keys = &required;
    requiring.required_key_count = 1;
    assert_ok(kf_required_encryption_context_cmm_new(&requiring, &error, &cmm), &error);
    request.encryption_context = context;
    begin_failing(run);
    for (size_t i = 0; i < ASKERS; i++)
        asker_encrypt(&run->askers[i], cmm, &request);
    run_finish(run, KF_OK, KF_OK);
    run_close(run, run->scene.cmm);
    kf_cmm_unref(cmm);
    kf_encryption_context_unref(context);
}

static void decryption_through_the_cache(struct run *run)
{
    const struct kf_caching_cmm_options options = two_messages();
    struct asker writer;
    run_open(run, &options);
    told_answer_always(run->scene.told, true);
    asker_ask(&writer, run->scene.cmm, 1);
    told_answer_always(run->scene.told, false);
    const struct kf_edk edk = kf_encryption_materials_edk(writer.encryption_materials, 0);
    const struct kf_decryption_request request = decryption_request(&edk, 1);
    begin_failing(run);
    for (size_t i = 0; i < ASKERS; i++)
        asker_decrypt(&run->askers[i], run->scene.cmm, &request);
    run_finish(run, KF_OK, KF_OK);
    asker_leave(&writer);
    run_close(run, run->scene.cmm);
}

static void drop_nothing(void *context)
{
    (void)context;
}

static void see_event(void *context, const struct kf_cache_event *event)
{
    (void)context;
    (void)event;
}

/* A listener, a random age, and a pause behind failures. */
static void all_options(struct run *run)
{
    struct kf_caching_cmm_options options = two_messages();
    struct kf_error error = KF_ERROR_INIT;
    options.failure_backoff_ms = 1;
    options.max_age_jitter_ms = 10;
    assert_ok(kf_cache_listener_new(see_event, NULL, drop_nothing, &error, &options.listener), &error);
    run_open(run, &options);
    kf_cache_listener_unref(options.listener);
    begin_failing(run);
    ask_all(run, run->scene.cmm);
    run_finish(run, KF_E_RETRY, KF_E_RETRY);
    kf_cache_clear(run->scene.cache); /* which ends the pause */
    run_close(run, run->scene.cmm);
}

/* A stream that gives back what it did not use. */
static void settling(struct run *run)
{
    struct kf_caching_cmm_options caching = two_messages();
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encryptor *encryptor = NULL;
    uint8_t out[1000];
    struct kf_io io = {.in = out, .in_end = true, .out = out, .out_room = sizeof out};
    caching.settle = true;
    run_open(run, &caching);
    told_answer_always(run->scene.told, true);
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    options.plaintext_bound = 10;
    begin_failing(run);
    enum kf_code code = kf_encryptor_new(run->scene.cmm, &options, &error, &encryptor);
    if (code == KF_OK)
        code = kf_encryptor_poll(encryptor, &io, NULL);
    end_failing(run);
    assert_answer(code, encryptor != NULL ? kf_encryptor_error(encryptor) : &error, KF_OK);
    kf_encryptor_free(encryptor);
    run_close(run, run->scene.cmm);
}

/* ---- Keyrings ---- */

/* Two callers of a CMM, of which the first gives up. */
static void ask_keyring(struct run *run, struct kf_keyring *keyring)
{
    struct kf_cmm *cmm = client_cmm_on(keyring);
    struct asker askers[2];
    begin_failing(run);
    for (size_t i = 0; i < 2; i++)
        asker_ask(&askers[i], cmm, 1);
    asker_leave(&askers[0]);
    asker_wait(&askers[1]);
    end_failing(run);
    assert_answer(askers[1].code, &askers[1].error, KF_OK);
    asker_leave(&askers[1]);
    asker_ask(&askers[0], cmm, 1);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    asker_leave(&askers[0]);
    kf_cmm_unref(cmm);
}

static void a_multi_keyring_of_asynchronous_ones(struct run *run)
{
    struct kf_keyring *children[3], *multi;
    struct kf_error error = KF_ERROR_INIT;
    for (size_t i = 0; i < 3; i++)
        children[i] = way_async_keyring();
    assert_ok(kf_multi_keyring_new(children[0], children + 1, 2, &error, &multi), &error);
    for (size_t i = 0; i < 3; i++)
        kf_keyring_unref(children[i]);
    ask_keyring(run, multi);
}

static void a_blocking_keyring_of_an_asynchronous_one(struct run *run)
{
    struct kf_blocking_keyring_options options = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *blocking;
    options.keyring = way_async_keyring();
    options.max_workers = 1;
    assert_ok(kf_blocking_keyring_new(&options, &error, &blocking), &error);
    kf_keyring_unref(options.keyring);
    ask_keyring(run, blocking);
}

/* ---- Making things ---- */

static enum kf_code make_cmms(struct kf_keyring *keyring, struct kf_error *error)
{
    const struct kf_view required = kf_view_text("tenant");
    struct kf_caching_cmm_options caching = two_messages();
    struct kf_required_encryption_context_cmm_options requiring =
        KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT;
    struct kf_blocking_keyring_options blocking = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    struct kf_keyring *multi = NULL, *on_workers = NULL;
    requiring.required_keys = &required;
    requiring.required_key_count = 1;
    blocking.keyring = keyring;
    enum kf_code code = kf_blocking_keyring_new(&blocking, error, &on_workers);
    if (code == KF_OK)
        code = kf_multi_keyring_new(on_workers, &keyring, 1, error, &multi);
    caching.keyring = multi;
    if (code == KF_OK)
        code = kf_cache_new(10, error, &caching.cache);
    if (code == KF_OK)
        code = kf_caching_cmm_new(&caching, error, &requiring.cmm);
    struct kf_cmm *cmm = NULL;
    if (code == KF_OK)
        code = kf_required_encryption_context_cmm_new(&requiring, error, &cmm);
    kf_cmm_unref(cmm);
    kf_cmm_unref(requiring.cmm);
    kf_cache_unref(caching.cache);
    kf_keyring_unref(multi);
    kf_keyring_unref(on_workers);
    return code;
}

static enum kf_code make_client(struct kf_error *error)
{
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    struct kf_aws_kms_discovery_keyring_options discovery = KF_AWS_KMS_DISCOVERY_KEYRING_OPTIONS_INIT;
    struct kf_keyring *keyring = NULL;
    credentials.access_key_id = kf_view_text("AKIAIOSFODNN7EXAMPLE");
    credentials.secret_access_key = kf_view_text("a-secret-of-the-tests");
    options.region = "eu-central-1";
    enum kf_code code = kf_aws_static_credentials_new(&credentials, error, &options.credentials);
    if (code == KF_OK)
        code = kf_aws_client_new(&options, error, &discovery.client);
    if (code == KF_OK)
        code = kf_aws_kms_discovery_keyring_new(&discovery, error, &keyring);
    kf_keyring_unref(keyring);
    kf_aws_client_unref(discovery.client);
    kf_aws_credentials_provider_unref(options.credentials);
    return code;
}

static void making_things(struct run *run)
{
    struct kf_keyring *keyring = support_keyring();
    struct kf_error error = KF_ERROR_INIT;
    begin_failing(run);
    enum kf_code code = make_cmms(keyring, &error);
    if (code == KF_OK)
        code = make_client(&error);
    end_failing(run);
    assert_answer(code, &error, KF_OK);
    assert_int_equal(code == KF_OK, !run->failed);
    kf_keyring_unref(keyring);
}

/* ---- The sweeps ---- */

static void sweep(void (*scenario)(struct run *run), size_t least)
{
    struct run run = {.number = 0};
    do {
        const size_t held = memory.held;
        run.number++;
        run.failed = false;
        scenario(&run);
        kf_cleanup();
        assert_int_equal(memory.held, held);
    } while (run.failed);
    assert_true(run.number > least);
}

#define SCENARIO(name, least)              \
    static void name##_sweep(void **state) \
    {                                      \
        (void)state;                       \
        sweep(name, least);                \
    }

SCENARIO(seats, 20)
SCENARIO(cancelling_before_the_landing, 20)
SCENARIO(everybody_cancels, 20)
SCENARIO(fetches_that_fail, 10)
SCENARIO(a_line_for_one_flight, 20)
SCENARIO(refreshing_ahead, 10)
SCENARIO(clearing_with_flights_pending, 20)
SCENARIO(cleaning_up_with_flights_pending, 10)
SCENARIO(a_required_pair, 20)
SCENARIO(decryption_through_the_cache, 10)
SCENARIO(all_options, 10)
SCENARIO(settling, 10)
SCENARIO(a_multi_keyring_of_asynchronous_ones, 20)
SCENARIO(a_blocking_keyring_of_an_asynchronous_one, 10)
SCENARIO(making_things, 20)

/* Round trips of one way, enough of them to use a cached key up. */
static void sweep_way(enum ways way)
{
    const size_t trips = 4;
    size_t number = 0, failures = 0;
    bool failed;
    do {
        struct kf_error error = KF_ERROR_INIT;
        enum kf_code code = KF_OK;
        fail_allocation(++number);
        for (size_t i = 0; i < trips && code == KF_OK; i++)
            code = way_round_trip(way, &error);
        failed = memory.made >= number;
        fail_allocation(0);
        if (code != KF_OK && code != KF_E_NO_MEMORY)
            print_error("%s, allocation %zu\n", way_names[way], number);
        assert_answer(code, &error, KF_OK);
        failures += code != KF_OK;
        assert_ok(way_round_trip(way, &error), &error);
    } while (failed);
    assert_true(failures > 9);
}

static void every_way(void **state)
{
    (void)state;
    char file[64];
    snprintf(file, sizeof file, "every-allocation-%d.pem", (int)getpid());
    for (unsigned way = 0; way < WAYS; way++) {
        const size_t held = memory.held;
        ways_open(file);
        sweep_way((enum ways)way);
        ways_close();
        assert_int_equal(memory.held, held);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seats_sweep),
        cmocka_unit_test(cancelling_before_the_landing_sweep),
        cmocka_unit_test(everybody_cancels_sweep),
        cmocka_unit_test(fetches_that_fail_sweep),
        cmocka_unit_test(a_line_for_one_flight_sweep),
        cmocka_unit_test(refreshing_ahead_sweep),
        cmocka_unit_test(clearing_with_flights_pending_sweep),
        cmocka_unit_test(cleaning_up_with_flights_pending_sweep),
        cmocka_unit_test(a_required_pair_sweep),
        cmocka_unit_test(decryption_through_the_cache_sweep),
        cmocka_unit_test(all_options_sweep),
        cmocka_unit_test(settling_sweep),
        cmocka_unit_test(a_multi_keyring_of_asynchronous_ones_sweep),
        cmocka_unit_test(a_blocking_keyring_of_an_asynchronous_one_sweep),
        cmocka_unit_test(making_things_sweep),
        cmocka_unit_test(every_way),
    };
    failing_allocator_install();
    (void)signal(SIGPIPE, SIG_IGN); /* the server's, by OpenSSL */
    struct kf_error error = KF_ERROR_INIT;
    (void)client_plaintext(25);
    if (client_round_trip(support_keyring(), &error) !=
        KF_OK) /* what is made once in a process is made here */
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
