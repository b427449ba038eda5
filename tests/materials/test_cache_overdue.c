/*
 * Keyrings that block: whoever waits for a fetch whose poll does not come back leaves it when its time is over, and
 * others begin anew, up to a bound. The opener itself is inside the keyring, and stays there until that returns.
 */
#include "support/held.h"

#define TIMEOUT_MS 10000

struct stage {
    struct held held;
    struct kf_cache *cache;
    struct kf_cmm *cmm;
};

/* A caching CMM on the keyring that blocks; the clock stands still. */
static void stage_open(struct stage *stage, struct kf_caching_cmm_options options)
{
    struct kf_error error = KF_ERROR_INIT;
    held_open(&stage->held);
    assert_ok(kf_cache_new(10, &error, &stage->cache), &error);
    options.fetch_timeout_ms = TIMEOUT_MS;
    options.cache = stage->cache;
    options.keyring = stage->held.keyring;
    assert_ok(kf_caching_cmm_new(&options, &error, &stage->cmm), &error);
    support_clock_stop(1000000);
}

static void stage_close(struct stage *stage)
{
    kf_cmm_unref(stage->cmm);
    kf_cache_unref(stage->cache);
    kf_cleanup();
    held_close(&stage->held);
    support_clock_real();
}

static struct kf_cache_stats stage_stats(struct stage *stage)
{
    struct kf_cache_stats stats = KF_CACHE_STATS_INIT;
    kf_cache_stats_read(stage->cache, &stats);
    return stats;
}

/* The opener of a fetch, which is inside the keyring when this returns. */
static void opener_start(struct stage *stage, struct asking_thread *opener)
{
    const unsigned begun = stage->held.begun;
    asking_thread_start(opener, stage->cmm);
    held_wait_begun(&stage->held, begun + 1);
}

static void opener_end(struct asking_thread *opener, enum kf_code code)
{
    assert_int_equal(asking_thread_end(opener), code);
    asker_leave(&opener->asker);
}

static void whoever_asks_alone_starts_no_thread(void **state)
{
    (void)state;
    struct stage stage;
    struct asker asker = {.cmm = NULL};
    const unsigned threads = support_threads();
    stage_open(&stage, caching_options(1, KF_MAX_BYTES_LIMIT));
    held_let_go_all(&stage.held);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(asker_ask(&asker, stage.cmm, 1), KF_OK);
        asker_leave(&asker);
    }
    assert_int_equal(stage.held.begun, 10);
    assert_int_equal(support_threads(), threads);
    stage_close(&stage);
}

static void the_seated_leave_when_the_time_is_over(void **state)
{
    (void)state;
    struct stage stage;
    struct asking_thread opener;
    struct asker seated[3] = {{.cmm = NULL}}, later = {.cmm = NULL};
    stage_open(&stage, caching_options(10, KF_MAX_BYTES_LIMIT));
    opener_start(&stage, &opener);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(asker_ask(&seated[i], stage.cmm, 1), KF_PENDING);
    support_clock_advance(TIMEOUT_MS - 1);
    support_settle();
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(asker_poll(&seated[i]), KF_PENDING);
    support_clock_advance(1);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(asker_wait(&seated[i]), KF_E_TIMEOUT);
        assert_string_equal(seated[i].error.text,
                            "The fetch of keys was given up after 10000 ms (the limit is fetch_timeout_ms).");
    }
    assert_int_equal(stage_stats(&stage).waiting, 0);
    assert_int_equal(stage_stats(&stage).flights_failed, 1);

    /* The place is free: a new caller begins anew, and its key is kept. */
    held_let_go(&stage.held, 1);
    assert_int_equal(asker_ask(&later, stage.cmm, 1), KF_OK);
    assert_int_equal(stage_stats(&stage).flights_opened, 2);
    asker_leave(&later);

    /* The opener comes back to the same answer; its key is dropped. */
    held_let_go(&stage.held, 0);
    opener_end(&opener, KF_E_TIMEOUT);
    assert_int_equal(stage_stats(&stage).entries, 1);
    assert_int_equal(asker_ask(&later, stage.cmm, 1), KF_OK);
    assert_int_equal(stage_stats(&stage).hits, 1);
    assert_int_equal(stage_stats(&stage).flights_failed, 1);
    asker_leave(&later);
    for (size_t i = 0; i < 3; i++)
        asker_leave(&seated[i]);
    stage_close(&stage);
}

static void an_answer_in_time_serves_all(void **state)
{
    (void)state;
    struct stage stage;
    struct asking_thread opener;
    struct asker seated = {.cmm = NULL};
    stage_open(&stage, caching_options(10, KF_MAX_BYTES_LIMIT));
    for (unsigned i = 0; i < 20; i++) {
        opener_start(&stage, &opener);
        assert_int_equal(asker_ask(&seated, stage.cmm, 1), KF_PENDING);
        held_let_go(&stage.held, i);
        assert_int_equal(asker_wait(&seated), KF_OK);
        assert_int_equal(asking_thread_end(&opener), KF_OK);
        assert_true(askers_share_key(&opener.asker, &seated));
        asker_leave(&seated);
        asker_leave(&opener.asker);
        kf_cache_clear(stage.cache);
    }
    support_clock_advance(TIMEOUT_MS); /* no limit is left behind */
    support_settle();
    assert_int_equal(stage_stats(&stage).flights_failed, 0);
    stage_close(&stage);
}

static void the_line_is_served_by_the_next_fetch(void **state)
{
    (void)state;
    struct stage stage;
    struct asking_thread opener;
    struct asker waiting = {.cmm = NULL};
    struct kf_caching_cmm_options options = caching_options(1, KF_MAX_BYTES_LIMIT);
    options.max_flights = 1;
    stage_open(&stage, options);
    opener_start(&stage, &opener);
    assert_int_equal(asker_ask(&waiting, stage.cmm, 1), KF_PENDING);
    assert_int_equal(stage_stats(&stage).queued, 1);
    held_let_go(&stage.held, 1);
    support_clock_advance(TIMEOUT_MS);
    assert_int_equal(asker_wait(&waiting), KF_OK);
    held_let_go(&stage.held, 0);
    opener_end(&opener, KF_E_TIMEOUT);
    asker_leave(&waiting);
    stage_close(&stage);
}

/*
 * Two openers, and two in the line behind both. The first landing begins a fetch for the first in the line, who waits in it.
 * The other one now waits for the second opener's fetch, of which nobody has kept the time before.
 */
static void those_in_line_outlast_every_fetch_before_them(void **state)
{
    (void)state;
    struct stage stage;
    struct asking_thread openers[2];
    struct asker waiting[2] = {{.cmm = NULL}};
    struct kf_caching_cmm_options options = caching_options(1, KF_MAX_BYTES_LIMIT);
    struct kf_cmm *narrow;
    options.max_flights = 2;
    stage_open(&stage, options);
    opener_start(&stage, &openers[0]);
    support_clock_advance(100);
    opener_start(&stage, &openers[1]);
    support_clock_advance(100);
    options.fetch_timeout_ms = TIMEOUT_MS;
    options.cache = stage.cache;
    options.keyring = stage.held.keyring;
    options.max_flights = 1;
    assert_ok(kf_caching_cmm_new(&options, NULL, &narrow), NULL);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(asker_ask(&waiting[i], narrow, 1), KF_PENDING);
    assert_int_equal(stage_stats(&stage).queued, 2);
    held_let_go(&stage.held, 0);
    opener_end(&openers[0], KF_OK);
    held_wait_begun(&stage.held, 3);
    assert_int_equal(stage_stats(&stage).queued, 1);
    held_let_go(&stage.held, 3);
    support_clock_advance(TIMEOUT_MS -
                          100); /* the second opener's time is over, that of the third fetch is not */
    assert_int_equal(asker_wait(&waiting[1]), KF_OK);
    assert_int_equal(asker_poll(&waiting[0]), KF_PENDING);
    held_let_go_all(&stage.held);
    assert_int_equal(asker_wait(&waiting[0]), KF_OK);
    opener_end(&openers[1], KF_E_TIMEOUT);
    for (size_t i = 0; i < 2; i++)
        asker_leave(&waiting[i]);
    kf_cmm_unref(narrow);
    stage_close(&stage);
}

#define BOUND 4

static void a_dead_device_does_not_gather_threads(void **state)
{
    (void)state;
    struct stage stage;
    struct asking_thread openers[BOUND + 1];
    struct asker asker = {.cmm = NULL};
    stage_open(&stage, caching_options(10, KF_MAX_BYTES_LIMIT));
    for (unsigned i = 0; i < BOUND; i++) {
        opener_start(&stage, &openers[i]);
        assert_int_equal(asker_ask(&asker, stage.cmm, 1), KF_PENDING);
        support_clock_advance(TIMEOUT_MS);
        assert_int_equal(asker_wait(&asker), KF_E_TIMEOUT);
        asker_leave(&asker);
    }
    assert_int_equal(asker_ask(&asker, stage.cmm, 1), KF_E_TIMEOUT);
    assert_string_equal(asker.error.text, "4 fetches have not come back from the keyring, though their time "
                                          "(fetch_timeout_ms) is over; no more are begun until one does.");
    asker_leave(&asker);
    assert_int_equal(stage.held.begun, BOUND);

    held_let_go(&stage.held, 2);
    opener_end(&openers[2], KF_E_TIMEOUT);
    opener_start(&stage, &openers[BOUND]);
    held_let_go(&stage.held, BOUND);
    opener_end(&openers[BOUND], KF_OK);
    held_let_go_all(&stage.held);
    for (unsigned i = 0; i < BOUND; i++) {
        if (i != 2)
            opener_end(&openers[i], KF_E_TIMEOUT);
    }
    assert_int_equal(asker_ask(&asker, stage.cmm, 1), KF_OK);
    asker_leave(&asker);
    stage_close(&stage);
}

/* Those in the line behind the last fetch that may begin get its error, for no other one may. */
static void the_line_behind_a_dead_device_fails(void **state)
{
    (void)state;
    struct stage stage;
    struct asking_thread openers[BOUND];
    struct asker asker = {.cmm = NULL}, waiting = {.cmm = NULL};
    struct kf_caching_cmm_options options = caching_options(2, KF_MAX_BYTES_LIMIT);
    options.max_flights = 1;
    stage_open(&stage, options);
    for (unsigned i = 0; i < BOUND; i++) {
        opener_start(&stage, &openers[i]);
        assert_int_equal(asker_ask(&asker, stage.cmm, 1), KF_PENDING);
        if (i + 1 == BOUND)
            assert_int_equal(asker_ask(&waiting, stage.cmm, 1), KF_PENDING);
        support_clock_advance(TIMEOUT_MS);
        assert_int_equal(asker_wait(&asker), KF_E_TIMEOUT);
        asker_leave(&asker);
    }
    assert_int_equal(asker_wait(&waiting), KF_E_TIMEOUT);
    assert_int_equal(stage.held.begun, BOUND);
    held_let_go_all(&stage.held);
    for (unsigned i = 0; i < BOUND; i++)
        opener_end(&openers[i], KF_E_TIMEOUT);
    asker_leave(&waiting);
    stage_close(&stage);
}

static void cleanup_ends_the_wait_of_all_but_the_blocked(void **state)
{
    (void)state;
    struct stage stage;
    struct asking_thread opener;
    struct asker seated = {.cmm = NULL};
    stage_open(&stage, caching_options(10, KF_MAX_BYTES_LIMIT));
    opener_start(&stage, &opener);
    assert_int_equal(asker_ask(&seated, stage.cmm, 1), KF_PENDING);
    kf_cleanup();
    assert_int_equal(asker_wait(&seated), KF_E_CLEANED_UP);
    asker_leave(&seated);

    /* The library goes on. */
    held_let_go(&stage.held, 1);
    assert_int_equal(asker_ask(&seated, stage.cmm, 1), KF_OK);
    asker_leave(&seated);
    held_let_go(&stage.held, 0);
    opener_end(&opener, KF_E_CLEANED_UP);
    stage_close(&stage);
}

static void whoever_comes_after_a_cleanup_does_not_wait_for_what_it_ended(void **state)
{
    (void)state;
    struct stage stage;
    struct asking_thread opener;
    struct asker seated = {.cmm = NULL};
    stage_open(&stage, caching_options(10, KF_MAX_BYTES_LIMIT));
    opener_start(&stage, &opener); /* nobody waits for it, so that no thread knows it */
    kf_cleanup();
    (void)asker_ask(&seated, stage.cmm, 1);
    assert_int_equal(asker_wait(&seated), KF_E_CLEANED_UP);
    asker_leave(&seated);
    held_let_go(&stage.held, 0);
    opener_end(&opener, KF_E_CLEANED_UP);
    stage_close(&stage);
}

/* The poll comes back as the time ends: one of the two lands the fetch, and all agree with it. */
static void a_poll_that_comes_back_just_then_is_in_time_or_not(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct stage stage;
        struct asking_thread opener;
        struct asker seated = {.cmm = NULL};
        stage_open(&stage, caching_options(10, KF_MAX_BYTES_LIMIT));
        opener_start(&stage, &opener);
        assert_int_equal(asker_ask(&seated, stage.cmm, 1), KF_PENDING);
        if (i % 2 == 0)
            held_let_go(&stage.held, 0);
        support_clock_advance(TIMEOUT_MS);
        if (i % 2 == 1)
            held_let_go(&stage.held, 0);
        const enum kf_code code = asker_wait(&seated);
        assert_true(code == KF_OK || code == KF_E_TIMEOUT);
        assert_int_equal(asking_thread_end(&opener), code);
        if (code == KF_OK)
            assert_true(askers_share_key(&opener.asker, &seated));
        assert_int_equal(stage_stats(&stage).entries, code == KF_OK);
        asker_leave(&seated);
        asker_leave(&opener.asker);
        stage_close(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_asks_alone_starts_no_thread),
        cmocka_unit_test(the_seated_leave_when_the_time_is_over),
        cmocka_unit_test(an_answer_in_time_serves_all),
        cmocka_unit_test(the_line_is_served_by_the_next_fetch),
        cmocka_unit_test(those_in_line_outlast_every_fetch_before_them),
        cmocka_unit_test(a_dead_device_does_not_gather_threads),
        cmocka_unit_test(the_line_behind_a_dead_device_fails),
        cmocka_unit_test(cleanup_ends_the_wait_of_all_but_the_blocked),
        cmocka_unit_test(whoever_comes_after_a_cleanup_does_not_wait_for_what_it_ended),
        cmocka_unit_test(a_poll_that_comes_back_just_then_is_in_time_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
