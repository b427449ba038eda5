/*
 * No memory, with all options of the caching CMM on and a blocking keyring behind it: whichever allocation fails,
 * everybody gets an answer, those in line too, nothing leaks, and the next question is answered.
 */
#include "support/asker.h"
#include "support/failing_allocator.h"

#include <stdlib.h>

#define ASKERS 9

static void nothing(void *context, const struct kf_cache_event *event)
{
    (void)context;
    (void)event;
}

/* Nine who ask for keys of three messages each, one fetch at a time, while allocation `number` fails. */
static bool run(struct kf_cache *cache, struct kf_cmm *cmm, unsigned long number)
{
    struct asker askers[ASKERS];
    fail_allocation(number);
    for (size_t i = 0; i < ASKERS; i++)
        asker_ask(&askers[i], cmm, 1);
    for (size_t i = 0; i < ASKERS; i++) {
        if (asker_wait(&askers[i]) != KF_OK) {
            assert_int_equal(askers[i].code, KF_E_NO_MEMORY);
            assert_true(strlen(askers[i].error.text) > 0);
        }
    }
    const bool failed = memory.made >= number;
    fail_allocation(0);
    assert_true(askers_usage(askers, ASKERS).most <= 3 || askers_usage(askers, ASKERS).answered == 0);
    askers_leave(askers, ASKERS);

    kf_cache_clear(cache); /* a failure is remembered */
    asker_ask(&askers[0], cmm, 1);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    asker_leave(&askers[0]);
    kf_cache_clear(cache);
    return failed;
}

static bool sweep(unsigned long number)
{
    struct kf_caching_cmm_options options = caching_options(3, 1000);
    struct kf_blocking_keyring_options blocking = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    blocking.keyring = support_keyring();
    assert_ok(kf_blocking_keyring_new(&blocking, &error, &options.keyring), &error);
    assert_ok(kf_cache_listener_new(nothing, NULL, NULL, &error, &options.listener), &error);
    assert_ok(kf_cache_new(10, &error, &options.cache), &error);
    options.max_age_jitter_ms = 10;
    options.refresh_ahead_permille = 500;
    options.max_flights = 1;
    options.failure_backoff_ms = 1;
    options.settle = true;
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
    const bool failed = run(options.cache, cmm, number);
    kf_cmm_unref(cmm);
    kf_cleanup(); /* what is still under way ends */
    struct kf_cache_stats stats = {.size = sizeof stats};
    kf_cache_stats_read(options.cache, &stats);
    assert_true(stats.queued == 0 && stats.waiting == 0);
    kf_cache_unref(options.cache);
    kf_cache_listener_unref(options.listener);
    kf_keyring_unref(options.keyring);
    kf_keyring_unref(blocking.keyring);
    return failed;
}

static void whichever_allocation_fails(void **state)
{
    (void)state;
    assert_false(sweep(1000000)); /* what is made once for the process */
    const size_t before = memory.held;
    unsigned long number = 1;
    while (sweep(number)) {
        assert_int_equal(memory.held, before);
        number++;
    }
    assert_true(number > 50);
}

/* Making the objects themselves. */
static void objects_need_memory(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(3, 1000);
    struct kf_blocking_keyring_options blocking = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    struct kf_cmm *cmm;
    options.keyring = blocking.keyring = support_keyring();
    assert_ok(kf_cache_new(10, &error, &options.cache), &error);
    fail_allocation(1);
    assert_int_equal(kf_cache_listener_new(nothing, NULL, NULL, &error, &options.listener), KF_E_NO_MEMORY);
    fail_allocation(0);
    assert_ok(kf_cache_listener_new(nothing, NULL, NULL, &error, &options.listener), &error);
    const size_t before = memory.held;
    unsigned long number = 1;
    for (;; number++) {
        fail_allocation(number);
        const enum kf_code code = kf_caching_cmm_new(&options, &error, &cmm);
        if (code == KF_OK)
            break;
        assert_int_equal(code, KF_E_NO_MEMORY);
        assert_int_equal(memory.held, before);
    }
    assert_true(number > 3);
    fail_allocation(0);
    kf_cmm_unref(cmm);
    for (number = 1;; number++) {
        fail_allocation(number);
        const enum kf_code code = kf_blocking_keyring_new(&blocking, &error, &keyring);
        if (code == KF_OK)
            break;
        assert_int_equal(code, KF_E_NO_MEMORY);
        assert_int_equal(memory.held, before);
    }
    assert_int_equal(number, 3);
    fail_allocation(0);
    kf_keyring_unref(keyring);
    kf_keyring_unref(blocking.keyring);
    kf_cache_listener_unref(options.listener);
    kf_cache_unref(options.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whichever_allocation_fails),
        cmocka_unit_test(objects_need_memory),
    };
    failing_allocator_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
