/*
 * Pruning: keys that outlived their age end although nobody asks for them, for the right reason, and never early; each
 * critical section does as much as it was told to.
 */
#include "support/support.h"

#include <stdlib.h>

#include "support/bare_ledger.h"

#define TICK KFI_WHEEL_LATE_MS
#define AGE (10 * TICK)

static struct kf_cache_stats stats;

static void fill(struct bare *bare, unsigned first, unsigned end, const struct kfi_policy *policy)
{
    for (unsigned key = first; key < end; key++) {
        struct seat *seat;
        struct flight *flight;
        assert_int_equal(bare_ask(bare, key, policy, 1, &seat, &flight).look, KFI_LEDGER_OPENED);
        bare_land(bare, flight, KF_OK, NULL);
        bare_leave(bare, seat);
        bare_tidy(bare);
    }
}

static void hit(struct bare *bare, unsigned key, const struct kfi_policy *policy)
{
    struct seat *seat;
    struct flight *flight;
    const struct ledger_answer answer = bare_ask(bare, key, policy, 1, &seat, &flight);
    assert_int_equal(answer.look, KFI_LEDGER_HIT);
    kfi_materials_unref(answer.materials);
}

/* Lands a key behind the entry that is there. */
static void park(struct bare *bare, unsigned key, const struct kfi_policy *policy)
{
    struct flight *flight = bare_flight_new(key, policy);
    bare_place(bare, key)->entry->refreshed = true;
    assert_true(kfi_ledger_open_ahead(&bare->ledger, flight, bare->now_ms, &bare->after));
    bare_land(bare, flight, KF_OK, NULL);
    assert_non_null(bare_place(bare, key)->parked);
}

/* Prunes to the end, and leaves the statistics in `stats`. */
static void prune(struct bare *bare)
{
    while (kfi_ledger_prune(&bare->ledger, bare->now_ms, 7, &bare->after)) {
    }
    bare_tidy(bare);
    stats = bare_stats(bare);
}

static void no_critical_section_does_more_than_it_was_told_to(void **state)
{
    enum {
        COUNT = 20000,
        BATCH = 256
    };
    struct bare bare;
    const struct kfi_policy policy = bare_policy(UINT64_MAX, UINT64_MAX, AGE);
    size_t ended = 0, sections = 0;
    (void)state;
    bare_open(&bare, COUNT);
    fill(&bare, 0, COUNT, &policy);
    bare.now_ms += AGE - 1;
    assert_false(
        kfi_ledger_prune(&bare.ledger, bare.now_ms, BATCH, &bare.after)); /* nothing, but empty slots */
    assert_int_equal(bare_stats(&bare).entries, COUNT);
    bare.now_ms += 1 + TICK;
    for (bool more = true; more; sections++) {
        more = kfi_ledger_prune(&bare.ledger, bare.now_ms, BATCH, &bare.after);
        const size_t here = bare_count(&bare.after.ended);
        assert_in_range(here, 0, BATCH);
        assert_int_equal(bare_count(&bare.after.places), here);
        ended += here;
        bare_tidy(&bare);
    }
    assert_int_equal(ended, COUNT);
    assert_in_range(sections, COUNT / BATCH, COUNT / BATCH + 2);
    stats = bare_stats(&bare);
    assert_true(stats.entries == 0 && stats.ended_age == COUNT);
    assert_false(kfi_ledger_ages(&bare.ledger));
    bare_close(&bare);
}

static void keys_of_either_direction_end_and_younger_ones_stay(void **state)
{
    struct bare bare;
    const struct kfi_policy policy = bare_policy(UINT64_MAX, UINT64_MAX, AGE);
    const struct kfi_policy longer = bare_policy(UINT64_MAX, UINT64_MAX, 1000 * AGE);
    (void)state;
    bare_open(&bare, 10);
    fill(&bare, 0, 2, &policy); /* one to encrypt, one to decrypt */
    fill(&bare, 2, 4, &longer);
    bare.now_ms += AGE / 2;
    fill(&bare, 4, 6, &policy);
    bare.now_ms += AGE / 2 + TICK;
    prune(&bare);
    assert_true(stats.entries == 4 && stats.ended_age == 2);
    assert_null(bare_place(&bare, 0));
    assert_null(bare_place(&bare, 1));
    bare.now_ms += AGE;
    prune(&bare);
    assert_true(stats.entries == 2 && stats.ended_age == 4);
    bare.now_ms += 999 * AGE;
    prune(&bare);
    assert_true(stats.entries == 0 && stats.ended_age == 6);
    bare_close(&bare);
}

/* Whoever uses a key gives it his own limit of age: it may end sooner than was said at its landing. */
static void an_age_that_became_shorter_is_heeded(void **state)
{
    struct bare bare;
    const struct kfi_policy policy = bare_policy(UINT64_MAX, UINT64_MAX, 100 * AGE);
    const struct kfi_policy shorter = bare_policy(UINT64_MAX, UINT64_MAX, AGE);
    (void)state;
    bare_open(&bare, 10);
    fill(&bare, 0, 1, &policy);
    bare.now_ms += AGE / 2;
    hit(&bare, 0, &shorter);
    bare.now_ms += AGE / 2 - 1;
    prune(&bare);
    assert_int_equal(stats.entries, 1);
    bare.now_ms += 1 + TICK;
    prune(&bare);
    assert_true(stats.entries == 0 && stats.ended_age == 1);
    bare_close(&bare);
}

static void a_parked_key_follows_an_entry_that_was_pruned(void **state)
{
    struct bare bare;
    const struct kfi_policy policy = bare_policy(UINT64_MAX, UINT64_MAX, AGE);
    (void)state;
    bare_open(&bare, 10);
    fill(&bare, 0, 1, &policy);
    bare.now_ms += AGE / 2;
    park(&bare, 0, &policy);
    bare.now_ms += AGE / 2 + TICK;
    prune(&bare);
    assert_true(stats.entries == 1 && stats.parked == 0 && stats.ended_age == 1);
    hit(&bare, 0, &policy);
    bare.now_ms += AGE;
    prune(&bare);
    assert_true(stats.entries == 0 && stats.ended_age == 2);
    bare_close(&bare);
}

static void a_parked_key_that_is_too_old_goes_alone(void **state)
{
    struct bare bare;
    const struct kfi_policy policy = bare_policy(UINT64_MAX, UINT64_MAX, 100 * AGE);
    const struct kfi_policy shorter = bare_policy(UINT64_MAX, UINT64_MAX, AGE);
    (void)state;
    bare_open(&bare, 10);
    fill(&bare, 0, 1, &policy);
    park(&bare, 0, &shorter);
    bare.now_ms += AGE + TICK;
    prune(&bare);
    assert_true(stats.entries == 1 && stats.parked == 0 && stats.ended_age == 1);
    assert_null(bare_place(&bare, 0)->parked);
    hit(&bare, 0, &policy);
    bare_close(&bare);
}

/* That it was too old as well is not why it ended. */
static void what_was_cleared_is_pruned_as_cleared(void **state)
{
    struct bare bare;
    const struct kfi_policy policy = bare_policy(UINT64_MAX, UINT64_MAX, AGE);
    (void)state;
    bare_open(&bare, 10);
    fill(&bare, 0, 1, &policy);
    park(&bare, 0, &policy);
    kfi_ledger_clear(&bare.ledger);
    bare.now_ms += AGE + TICK;
    prune(&bare);
    assert_true(stats.entries == 0 && stats.parked == 0 && stats.ended_age == 0 && stats.ended_cleared == 2);
    bare_close(&bare);
}

/* Fails once more, and answers for how long nobody may try again. */
static uint64_t pause_behind_failure(struct bare *bare, const struct kfi_policy *policy)
{
    struct seat *seat;
    struct flight *flight;
    assert_int_equal(bare_ask(bare, 0, policy, 1, &seat, &flight).look, KFI_LEDGER_OPENED);
    bare_land(bare, flight, KF_E_REMOTE, NULL);
    bare_leave(bare, seat);
    bare_tidy(bare);
    return bare_place(bare, 0)->failure->until_ms - bare->now_ms;
}

/* With pruning and without it a failure behind a long pause is the first in a row. */
static void a_failure_of_long_ago_is_forgotten(void **state)
{
    (void)state;
    for (int pruned = 0; pruned < 2; pruned++) {
        struct bare bare;
        struct kfi_policy policy = bare_policy(UINT64_MAX, UINT64_MAX, AGE);
        policy.failure_backoff_ms = 100;
        bare_open(&bare, 10);
        assert_int_equal(pause_behind_failure(&bare, &policy), 100);
        bare.now_ms += 100 + 3199;
        kfi_ledger_prune_failures(&bare.ledger, bare.now_ms, &bare.after);
        assert_int_equal(pause_behind_failure(&bare, &policy), 200);
        assert_true(kfi_ledger_ages(&bare.ledger));
        bare.now_ms += 200 + 3200;
        if (pruned) {
            kfi_ledger_prune_failures(&bare.ledger, bare.now_ms, &bare.after);
            assert_int_equal(bare_count(&bare.after.failures), 1);
            bare_tidy(&bare);
            assert_null(bare_place(&bare, 0));
            assert_false(kfi_ledger_ages(&bare.ledger));
        }
        assert_int_equal(pause_behind_failure(&bare, &policy), 100);
        bare_close(&bare);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_critical_section_does_more_than_it_was_told_to),
        cmocka_unit_test(keys_of_either_direction_end_and_younger_ones_stay),
        cmocka_unit_test(an_age_that_became_shorter_is_heeded),
        cmocka_unit_test(a_parked_key_follows_an_entry_that_was_pruned),
        cmocka_unit_test(a_parked_key_that_is_too_old_goes_alone),
        cmocka_unit_test(what_was_cleared_is_pruned_as_cleared),
        cmocka_unit_test(a_failure_of_long_ago_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
