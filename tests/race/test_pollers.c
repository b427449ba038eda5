/*
 * Twenty thousand callers on one thread, or on a few: exact counts, all fetches at once, at any capacity. The internal
 * thread lands the flights while the callers' threads poll, cancel and free.
 */
#include <stdlib.h>

#include "support/keys_used.h"

#define POLLERS 20000

struct burst {
    size_t callers, contexts, capacity;
    uint64_t max_messages, max_bytes, bytes;
    size_t calls; /* expected */
};

struct poller {
    struct kf_encryptor *encryptor;
    struct bell bell;
};

struct scenario {
    struct told *told;
    struct kf_cmm *backing, *cmm;
    struct kf_cache *cache;
    const struct kf_encryption_context *contexts[4];
    struct poller *pollers;
};

static void scenario_open(struct scenario *scenario, const struct burst *burst)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    static const char *const names[] = {"a", "b", "c", "d"};
    scenario->told = told_new(&scenario->backing);
    assert_ok(kf_cache_new(burst->capacity, &error, &scenario->cache), &error);
    options.cache = scenario->cache;
    options.cmm = scenario->backing;
    options.max_age_ms = 3600000;
    options.max_messages = burst->max_messages;
    options.max_bytes = burst->max_bytes;
    options.fetch_timeout_ms = 3600000;
    assert_ok(kf_caching_cmm_new(&options, &error, &scenario->cmm), &error);
    for (size_t i = 0; i < 4; i++)
        assert_ok(kf_encryption_context_of(&error, &scenario->contexts[i], "name", names[i], (char *)NULL),
                  &error);
    scenario->pollers = calloc(burst->callers, sizeof *scenario->pollers);
}

static void scenario_close(struct scenario *scenario)
{
    for (size_t i = 0; i < 4; i++)
        kf_encryption_context_unref(scenario->contexts[i]);
    free(scenario->pollers);
    kf_cmm_unref(scenario->cmm);
    kf_cmm_unref(scenario->backing);
    kf_cache_unref(scenario->cache);
    kf_cleanup();
    told_free(scenario->told);
}

static enum kf_code poll_for_keys(struct poller *poller)
{
    struct kf_io nothing = {.in = NULL};
    const struct kf_waker waker = bell_waker(&poller->bell);
    return kf_encryptor_poll(poller->encryptor, &nothing, &waker);
}

static void ask(struct scenario *scenario, const struct burst *burst, size_t i)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    options.plaintext_bound = burst->bytes;
    options.encryption_context = scenario->contexts[i % burst->contexts];
    bell_init(&scenario->pollers[i].bell);
    assert_ok(kf_encryptor_new(scenario->cmm, &options, &error, &scenario->pollers[i].encryptor), &error);
    assert_int_equal(poll_for_keys(&scenario->pollers[i]), KF_PENDING);
}

static void leave(struct poller *poller)
{
    kf_encryptor_free(poller->encryptor);
    poller->encryptor = NULL;
    bell_destroy(&poller->bell);
}

/* Waits for the key of each caller that is still there, and counts keys and uses. */
static size_t collect(struct scenario *scenario, size_t callers, size_t *answered, size_t *most)
{
    struct key_trace *traces = calloc(callers, sizeof *traces);
    *answered = 0;
    for (size_t i = 0; i < callers; i++) {
        struct poller *poller = &scenario->pollers[i];
        if (poller->encryptor == NULL)
            continue;
        enum kf_code code;
        while ((code = poll_for_keys(poller)) == KF_PENDING)
            bell_wait(&poller->bell);
        assert_int_equal(code, KF_WANT_OUTPUT);
        traces[(*answered)++] = key_trace_of_materials(kf_encryptor_materials(poller->encryptor));
        leave(poller);
    }
    size_t keys = key_traces_count(traces, *answered, most);
    free(traces);
    return keys;
}

static void run_burst(const struct burst *burst)
{
    struct scenario scenario;
    scenario_open(&scenario, burst);
    for (size_t i = 0; i < burst->callers; i++)
        ask(&scenario, burst, i);
    /* Nothing has landed, so all calls that the burst needs are under way, and no more. */
    assert_int_equal(told_begun(scenario.told), burst->calls);
    assert_int_equal(told_in_flight(scenario.told), burst->calls);
    told_answer_all(scenario.told, KF_OK);

    size_t answered, most;
    assert_int_equal(collect(&scenario, burst->callers, &answered, &most), burst->calls);
    assert_int_equal(answered, burst->callers);
    assert_true(most <= burst->max_messages);
    assert_true(burst->bytes == 0 || most <= burst->max_bytes / burst->bytes);
    assert_int_equal(told_begun(scenario.told), burst->calls);
    scenario_close(&scenario);
}

static void test_bursts_are_exact_at_any_capacity(void **state)
{
    (void)state;
    static const size_t capacities[] = {0, 1, 2, 100000};
    for (size_t i = 0; i < 4; i++)
        run_burst(&(struct burst){POLLERS, 1, capacities[i], 1000, KF_MAX_BYTES_LIMIT, 1024, 20});
}

static void test_a_small_limit_opens_many_flights_at_once(void **state)
{
    (void)state;
    run_burst(&(struct burst){POLLERS, 1, 1, 5, KF_MAX_BYTES_LIMIT, 1024, 4000});
}

static void test_contexts_count_each_for_itself(void **state)
{
    (void)state;
    static const size_t capacities[] = {0, 1, 4};
    for (size_t i = 0; i < 3; i++)
        run_burst(&(struct burst){POLLERS, 4, capacities[i], 1000, KF_MAX_BYTES_LIMIT, 16, 20});
}

static void test_bytes_limit_too(void **state)
{
    (void)state;
    run_burst(&(struct burst){POLLERS, 1, 2, 1000, 100 * 1024 + 7, 1024, 200});
}

/*
 * A part of the callers gives up while the flights land on the other thread: nobody else is held up, no key
 * is over-used.
 */
static void test_cancelling_against_landings(void **state)
{
    (void)state;
    const struct burst burst = {POLLERS, 1, 1, 100, KF_MAX_BYTES_LIMIT, 16, 200};
    struct scenario scenario;
    scenario_open(&scenario, &burst);
    for (size_t i = 0; i < burst.callers; i++)
        ask(&scenario, &burst, i);
    assert_int_equal(told_begun(scenario.told), burst.calls);
    for (unsigned call = 0; call < burst.calls; call++) {
        told_answer(scenario.told, call, KF_OK);
        for (size_t i = call; i < burst.callers; i += 3 * burst.calls)
            leave(&scenario.pollers[i]);
    }
    size_t answered, most;
    size_t keys = collect(&scenario, burst.callers, &answered, &most);
    assert_true(keys <= burst.calls);
    assert_true(most <= burst.max_messages);
    assert_true(answered > burst.callers / 2 && answered < burst.callers);
    scenario_close(&scenario);
}

/* ---- A few threads, in any order ---- */

#define DRIVERS 4
#define SHARE (POLLERS / DRIVERS)

/* A thread that drives its share of the callers. It asserts nothing. */
struct driver {
    struct scenario *scenario;
    const struct burst *burst;
    struct poller *pollers;
    uint64_t random;
    unsigned wrong; /* answers that should not have been */
    pthread_t thread;
};

/* xorshift*, so that a seed is a case everywhere. */
static size_t draw(uint64_t *state, size_t below)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (size_t)((*state * UINT64_C(0x2545F4914F6CDD1D)) >> 33) % below;
}

static void begin(struct driver *driver, struct poller *poller)
{
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    options.plaintext_bound = driver->burst->bytes;
    bell_init(&poller->bell);
    if (kf_encryptor_new(driver->scenario->cmm, &options, NULL, &poller->encryptor) != KF_OK ||
        poll_for_keys(poller) != KF_PENDING)
        driver->wrong++;
}

/* Nobody is answered: callers come, are polled for no reason, and go. In the end all are there. */
static void *come_and_go(void *context)
{
    struct driver *driver = context;
    for (size_t i = 0; i < 2 * (size_t)SHARE; i++) {
        struct poller *poller = &driver->pollers[draw(&driver->random, SHARE)];
        if (poller->encryptor == NULL)
            begin(driver, poller);
        else if (draw(&driver->random, 3) == 0)
            leave(poller);
        else if (poll_for_keys(poller) != KF_PENDING)
            driver->wrong++;
    }
    for (size_t i = 0; i < SHARE; i++) {
        if (driver->pollers[i].encryptor == NULL)
            begin(driver, &driver->pollers[i]);
    }
    return NULL;
}

/* The flights land meanwhile: callers are polled for no reason, and go. */
static void *poll_and_go(void *context)
{
    struct driver *driver = context;
    for (size_t i = 0; i < 2 * (size_t)SHARE; i++) {
        struct poller *poller = &driver->pollers[draw(&driver->random, SHARE)];
        if (poller->encryptor == NULL)
            continue;
        const enum kf_code code = poll_for_keys(poller);
        if (code != KF_PENDING && code != KF_WANT_OUTPUT)
            driver->wrong++;
        if (draw(&driver->random, 4) == 0)
            leave(poller);
    }
    return NULL;
}

static void drive(struct driver *drivers, void *(*work)(void *))
{
    for (size_t i = 0; i < DRIVERS; i++)
        assert_int_equal(pthread_create(&drivers[i].thread, NULL, work, &drivers[i]), 0);
}

static void join(struct driver *drivers)
{
    for (size_t i = 0; i < DRIVERS; i++) {
        pthread_join(drivers[i].thread, NULL);
        assert_int_equal(drivers[i].wrong, 0);
    }
}

/* Answers all calls, in any order. */
static void answer_in_any_order(struct scenario *scenario, unsigned calls, uint64_t *random)
{
    unsigned *order = calloc(calls, sizeof *order);
    for (unsigned i = 0; i < calls; i++) {
        const size_t place = draw(random, i + 1);
        order[i] = order[place];
        order[place] = i;
    }
    for (unsigned i = 0; i < calls; i++)
        told_answer(scenario->told, order[i], KF_OK);
    free(order);
}

/*
 * A seat that becomes free is taken again, so there are as many calls as 20,000 callers need, however many came and
 * went before.
 */
static void test_threads_that_drive_callers_in_any_order(void **state)
{
    (void)state;
    static const size_t capacities[] = {0, 1, 1000};
    for (size_t c = 0; c < 3; c++) {
        const struct burst burst = {POLLERS, 1, capacities[c], 100, KF_MAX_BYTES_LIMIT, 16, 200};
        struct scenario scenario;
        struct driver drivers[DRIVERS];
        uint64_t random = 1 + c;
        scenario_open(&scenario, &burst);
        for (size_t i = 0; i < DRIVERS; i++)
            drivers[i] =
                (struct driver){&scenario, &burst, &scenario.pollers[i * SHARE], 1000 * (c + 1) + i, 0, 0};
        drive(drivers, come_and_go);
        join(drivers);
        assert_int_equal(told_begun(scenario.told), burst.calls);
        assert_int_equal(told_in_flight(scenario.told), burst.calls);

        drive(drivers, poll_and_go);
        answer_in_any_order(&scenario, (unsigned)burst.calls, &random);
        join(drivers);
        size_t answered, most;
        assert_true(collect(&scenario, burst.callers, &answered, &most) <= burst.calls);
        assert_in_range(answered, 1, burst.callers - 1);
        assert_in_range(most, 1, burst.max_messages);
        assert_int_equal(told_begun(scenario.told), burst.calls);
        scenario_close(&scenario);
    }
}

/* All calls fail: each caller gets its error, and the next burst starts afresh. */
static void test_failures_answer_everybody(void **state)
{
    (void)state;
    const struct burst burst = {1000, 1, 10, 10, KF_MAX_BYTES_LIMIT, 16, 100};
    struct scenario scenario;
    scenario_open(&scenario, &burst);
    for (size_t i = 0; i < burst.callers; i++)
        ask(&scenario, &burst, i);
    told_answer_all(scenario.told, KF_E_RETRY);
    for (size_t i = 0; i < burst.callers; i++) {
        enum kf_code code;
        while ((code = poll_for_keys(&scenario.pollers[i])) == KF_PENDING)
            bell_wait(&scenario.pollers[i].bell);
        assert_int_equal(code, KF_E_RETRY);
        leave(&scenario.pollers[i]);
    }
    for (size_t i = 0; i < burst.callers; i++)
        ask(&scenario, &burst, i);
    assert_int_equal(told_begun(scenario.told), 2 * burst.calls);
    told_answer_all(scenario.told, KF_OK);
    size_t answered, most;
    assert_int_equal(collect(&scenario, burst.callers, &answered, &most), burst.calls);
    assert_int_equal(most, burst.max_messages);
    scenario_close(&scenario);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bursts_are_exact_at_any_capacity),
        cmocka_unit_test(test_a_small_limit_opens_many_flights_at_once),
        cmocka_unit_test(test_contexts_count_each_for_itself),
        cmocka_unit_test(test_bytes_limit_too),
        cmocka_unit_test(test_cancelling_against_landings),
        cmocka_unit_test(test_threads_that_drive_callers_in_any_order),
        cmocka_unit_test(test_failures_answer_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
