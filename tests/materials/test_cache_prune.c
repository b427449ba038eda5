/*
 * Expired keys are freed although nobody asks for them: a few with each use of the cache, and all of them by the internal
 * thread, where there is one. The clock stands still until it is moved, and the thread has done what was due whenever
 * support_settle returns.
 */
#include "support/asker.h"
#include "support/failing_allocator.h"

#include "base/thread.h"
#include "base/waker.h"

#define AGE 45000
#define MINUTE 60000

static struct {
    struct kf_caching_cmm_options options;
    struct kf_cmm *cmm;
    size_t held; /* allocations before */
    unsigned ended, ended_by_age;
    bool lets_go; /* of the CMM and the cache, at the next end */
} stage;

static void let_go(void)
{
    struct kf_cmm *cmm = stage.cmm;
    struct kf_cache *cache = stage.options.cache;
    stage.cmm = NULL;
    stage.options.cache = NULL;
    kf_cmm_unref(cmm);
    kf_cache_unref(cache);
}

static void on_event(void *context, const struct kf_cache_event *event)
{
    (void)context;
    if (event->kind != KF_CACHE_ENDED)
        return;
    stage.ended++;
    stage.ended_by_age += event->end == KF_CACHE_END_AGE;
    if (stage.lets_go)
        let_go();
    stage.lets_go = false;
}

static void stage_open(void)
{
    struct kf_error error = KF_ERROR_INIT;
    support_clock_stop(1000);
    stage.held = memory.held;
    stage.ended = stage.ended_by_age = 0;
    stage.options = caching_options(1000, 1000000);
    stage.options.max_age_ms = AGE;
    stage.options.keyring = support_keyring();
    assert_ok(kf_cache_listener_new(on_event, NULL, NULL, &error, &stage.options.listener), &error);
    assert_ok(kf_cache_new(10000, &error, &stage.options.cache), &error);
    assert_ok(kf_caching_cmm_new(&stage.options, &error, &stage.cmm), &error);
}

/* Closes it; what it took is given back. */
static void stage_close(void)
{
    let_go();
    kf_cache_listener_unref(stage.options.listener);
    kf_keyring_unref(stage.options.keyring);
    kf_cleanup();
    assert_int_equal(memory.held, stage.held);
    support_clock_real();
}

/* Asks for one key of many; whether that went well. */
static bool asked(unsigned key)
{
    struct kf_encryption_request request = encryption_request(1);
    struct asker asker;
    request.max_edks = (uint16_t)key;
    const enum kf_code code = asker_encrypt(&asker, stage.cmm, &request);
    asker_leave(&asker);
    return code == KF_OK;
}

static void ask(unsigned key)
{
    assert_true(asked(key));
}

static void ask_all(unsigned first, unsigned end)
{
    for (unsigned key = first; key < end; key++)
        ask(key);
}

/* What the library takes once for a process is there afterwards. */
static int warm_up(void **state)
{
    (void)state;
    stage_open();
    ask(1);
    let_go();
    kf_cache_listener_unref(stage.options.listener);
    kf_keyring_unref(stage.options.keyring);
    return 0;
}

static struct kf_cache_stats stats(void)
{
    struct kf_cache_stats read = KF_CACHE_STATS_INIT;
    kf_cache_stats_read(stage.options.cache, &read);
    return read;
}

/* Moves the clock, a second at a time, and lets the thread do what is due. */
static void pass(uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += 1000) {
        support_clock_advance(1000);
        support_settle();
    }
}

/* ---- Without an internal thread ---- */

static void each_use_ends_a_few_and_starts_no_thread(void **state)
{
    (void)state;
    stage_open();
    ask_all(1, 41);
    support_clock_advance(AGE - 1000);
    ask(100);
    support_clock_advance(10000); /* the 40 are too old, and that one is not */
    assert_int_equal(stage.ended, 0);
    unsigned before = 0, uses = 0;
    for (; stage.ended < 40; uses++) {
        ask(100);
        assert_in_range(stage.ended - before, 0, 4);
        before = stage.ended;
    }
    assert_in_range(uses, 10, 20);
    assert_true(stage.ended_by_age == 40 && stats().ended_age == 40 && stats().entries == 1);
    assert_false(kfi_thread_runs());
    stage_close();
}

/* ---- With one ---- */

static void an_idle_process_keeps_no_key_a_minute_longer(void **state)
{
    (void)state;
    stage_open();
    support_settle();                         /* the thread runs from now on */
    for (int round = 0; round < 2; round++) { /* it starts again once there is something again */
        const unsigned ended = stage.ended;
        ask_all(1, 41);
        pass(7000);
        ask_all(41, 61);
        pass(AGE - 8000);
        assert_int_equal(stage.ended, ended); /* not early */
        pass(1000 + MINUTE);
        assert_in_range(stage.ended - ended, 40, 60);
        pass(7000);
        assert_int_equal(stage.ended - ended, 60);
        assert_int_equal(stage.ended_by_age, stage.ended);
        assert_true(stats().entries == 0 && stats().ended_age == stage.ended);
    }
    stage_close();
}

static void a_key_for_decryption_ends_too(void **state)
{
    struct kf_encryption_request request = encryption_request(1);
    struct asker writer, reader;
    (void)state;
    stage_open();
    support_settle();
    assert_int_equal(asker_encrypt(&writer, stage.cmm, &request), KF_OK);
    const struct kf_edk edk = kf_encryption_materials_edk(writer.encryption_materials, 0);
    const struct kf_decryption_request reading = decryption_request(&edk, 1);
    assert_int_equal(asker_decrypt(&reader, stage.cmm, &reading), KF_OK);
    asker_leave(&writer);
    asker_leave(&reader);
    assert_int_equal(stats().entries, 2);
    pass(AGE + MINUTE);
    assert_true(stats().entries == 0 && stage.ended_by_age == 2);
    stage_close();
}

/* The thread has other things to do: it comes back for the rest. */
static void many_keys_end_in_batches(void **state)
{
    enum {
        MANY = 1000
    };
    (void)state;
    stage_open();
    support_settle();
    ask_all(1, MANY + 1);
    support_clock_advance(AGE + MINUTE);
    support_settle();
    unsigned before = 0, batches = 0;
    for (; stage.ended < MANY; batches++) {
        assert_in_range(stage.ended - before, 0, 256);
        before = stage.ended;
        support_clock_advance(1);
        support_settle();
    }
    assert_in_range(batches, MANY / 256, MANY / 256 + 2);
    assert_int_equal(stage.ended_by_age, MANY);
    stage_close();
}

static void a_thread_that_starts_later_takes_over_with_the_next_use(void **state)
{
    (void)state;
    stage_open();
    ask_all(1, 41);
    support_clock_advance(10 * AGE);
    support_settle(); /* the thread runs from now on, and does not know the cache */
    pass(2 * MINUTE);
    assert_int_equal(stage.ended, 0);
    ask(100); /* several rules, each with its few */
    assert_in_range(stage.ended, 0, 20);
    pass(31000);
    assert_int_equal(stage.ended, 40);
    pass(AGE + MINUTE);
    assert_int_equal(stage.ended, 41);
    stage_close();
}

static void a_cleanup_ends_it_until_there_is_a_thread_again(void **state)
{
    (void)state;
    stage_open();
    support_settle();
    ask_all(1, 41);
    kf_cleanup();
    assert_true(stage.ended == 0 && stats().entries == 40);
    ask(100);
    assert_false(kfi_thread_runs());
    support_clock_advance(10 * AGE);
    ask(100);
    assert_false(kfi_thread_runs());
    assert_in_range(stage.ended, 0, 8);
    support_settle();
    ask(100);
    pass(31000);
    assert_true(stats().entries == 1 && stage.ended == 41);
    stage_close();
}

static void a_cache_may_end_with_the_timer_set(void **state)
{
    (void)state;
    stage_open();
    support_settle();
    ask_all(1, 41);
    let_go();
    pass(AGE + MINUTE);
    assert_int_equal(stage.ended, 0); /* the end of the cache is none of its keys */
    stage_close();
}

/* Its last owner lets go of it inside the pruning, which has it to the end. */
static void a_listener_may_end_the_cache(void **state)
{
    (void)state;
    stage_open();
    support_settle();
    ask_all(1, 41);
    stage.lets_go = true;
    pass(AGE + MINUTE);
    assert_null(stage.cmm);
    assert_in_range(stage.ended, 1, 40);
    stage_close();
}

/* ---- Fork ---- */

static void nothing(void *context)
{
    (void)context;
}

/* The same for the 40 keys of a child, by a thread that it starts. */
static bool child_is_pruned(void)
{
    const struct kf_waker waker = {nothing, NULL};
    struct kf_call_waker *place = kfi_waker_new();
    struct kfi_timer timer = {.when = 0};
    kfi_waker_set(place, &waker);
    if (kfi_timer_set(&timer, UINT64_MAX, place, NULL) != KF_OK || !asked(100))
        return false;
    support_clock_advance(31000);
    while (stats().ended_age < 40) /* or the test is stopped */
        kfi_thread_poke();
    kfi_timer_cancel(&timer);
    kf_call_waker_unref(place);
    return stats().entries == 1;
}

static bool child_uses_it(void *context)
{
    bool well = true;
    (void)context;
    for (unsigned key = 1; key < 41; key++)
        well = well && asked(key);
    support_clock_advance(10 * AGE);
    well =
        well && asked(100) && stage.ended <= 20 && !kfi_thread_runs(); /* nothing of the parent's runs here */
    if (SUPPORT_THREADS_IN_CHILDREN)
        well = well && child_is_pruned();
    let_go();
    kf_cleanup();
    return well;
}

static void a_child_has_a_timer_of_its_own(void **state)
{
    (void)state;
    stage_open();
    support_settle();
    ask_all(1, 21);
    assert_true(support_in_child(child_uses_it, NULL));
    pass(AGE + MINUTE);
    assert_int_equal(stage.ended, 20);
    stage_close();
}

int main(void)
{
    failing_allocator_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_use_ends_a_few_and_starts_no_thread),
        cmocka_unit_test(an_idle_process_keeps_no_key_a_minute_longer),
        cmocka_unit_test(a_key_for_decryption_ends_too),
        cmocka_unit_test(many_keys_end_in_batches),
        cmocka_unit_test(a_thread_that_starts_later_takes_over_with_the_next_use),
        cmocka_unit_test(a_cleanup_ends_it_until_there_is_a_thread_again),
        cmocka_unit_test(a_cache_may_end_with_the_timer_set),
        cmocka_unit_test(a_listener_may_end_the_cache),
        cmocka_unit_test(a_child_has_a_timer_of_its_own),
    };
    return cmocka_run_group_tests(tests, warm_up, NULL);
}
