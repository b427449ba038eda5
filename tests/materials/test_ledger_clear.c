/*
 * Clearing in batches: what was there is not used from the first moment on, and no batch is long, however much there is.
 */
#include "support/support.h"

#include <stdlib.h>

#include "support/bare_ledger.h"

static struct kf_cache_stats stats;

/* Asks, and gives back what it got. The flight is left to land. */
static enum ledger_look ask(struct bare *bare, unsigned key, const struct kfi_policy *policy,
                            struct flight **flight)
{
    struct seat *seat;
    const struct ledger_answer answer = bare_ask(bare, key, policy, 1, &seat, flight);
    if (answer.look == KFI_LEDGER_HIT)
        kfi_materials_unref(answer.materials);
    if (seat != NULL)
        bare_leave(bare, seat);
    return answer.look;
}

/* Puts entries with these numbers into the ledger. */
static void fill(struct bare *bare, unsigned first, unsigned end, const struct kfi_policy *policy)
{
    for (unsigned key = first; key < end; key++) {
        struct flight *flight;
        assert_int_equal(ask(bare, key, policy, &flight), KFI_LEDGER_OPENED);
        bare_land(bare, flight, KF_OK, NULL);
        bare_tidy(bare);
    }
}

static bool sweep(struct bare *bare, uint64_t clearing, size_t most)
{
    return kfi_ledger_sweep(&bare->ledger, clearing, most, &bare->after);
}

static void no_batch_is_longer_than_was_asked_for(void **state)
{
    enum {
        COUNT = 20000,
        BATCH = 256
    };
    struct bare bare;
    const struct kfi_policy policy = bare_policy(UINT64_MAX, UINT64_MAX, 1000);
    (void)state;
    bare_open(&bare, COUNT);
    fill(&bare, 0, COUNT, &policy);
    const uint64_t clearing = kfi_ledger_clear(&bare.ledger);
    assert_int_equal(bare_count(&bare.after.ended), 0);
    for (size_t batches = 1;; batches++) {
        const bool more = sweep(&bare, clearing, BATCH);
        const size_t left = COUNT - (batches * BATCH < COUNT ? batches * BATCH : COUNT);
        assert_int_equal(bare_stats(&bare).entries, left);
        assert_in_range(bare_count(&bare.after.ended), 1, BATCH);
        assert_in_range(bare_count(&bare.after.places), 1, BATCH);
        assert_int_equal(more, left > 0);
        bare_tidy(&bare);
        if (!more)
            break;
    }
    assert_int_equal(bare_stats(&bare).ended_cleared, COUNT);
    bare_close(&bare);
}

/* Between the clearing and its last batch. */
static void what_is_not_swept_yet_is_not_used_either(void **state)
{
    struct bare bare;
    struct flight *flight;
    struct kfi_policy policy = bare_policy(UINT64_MAX, UINT64_MAX, 1000);
    (void)state;
    policy.failure_backoff_ms = 500;
    bare_open(&bare, 10);
    fill(&bare, 0, 3, &policy);
    assert_int_equal(ask(&bare, 5, &policy, &flight), KFI_LEDGER_OPENED);
    bare_land(&bare, flight, KF_E_REMOTE, NULL);
    assert_int_equal(ask(&bare, 5, &policy, &flight), KFI_LEDGER_REFUSED);
    struct flight *open;
    assert_int_equal(ask(&bare, 6, &policy, &open), KFI_LEDGER_OPENED);
    bare_tidy(&bare);

    const uint64_t clearing = kfi_ledger_clear(&bare.ledger);
    static const unsigned before[] = {1, 5, 6}; /* an entry, a failure, a flight with free seats */
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ask(&bare, before[i], &policy, &flight), KFI_LEDGER_OPENED);
        bare_land(&bare, flight, KF_OK, NULL);
        assert_int_equal(ask(&bare, before[i], &policy, &flight), KFI_LEDGER_HIT); /* it is new */
    }
    bare_land(&bare, open, KF_OK, NULL); /* ends at once, and does not take the place of the new one */
    stats = bare_stats(&bare);
    assert_true(stats.entries == 5 && stats.ended_cleared == 2);

    /* What came behind the clearing is not swept. */
    assert_false(sweep(&bare, clearing, 2));
    stats = bare_stats(&bare);
    assert_true(stats.entries == 3 && stats.ended_cleared == 4);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ask(&bare, before[i], &policy, &flight), KFI_LEDGER_HIT);
    assert_false(sweep(&bare, clearing, 2));
    assert_int_equal(bare_stats(&bare).entries, 3);
    bare_close(&bare);
}

static void what_is_not_swept_yet_makes_room_first(void **state)
{
    struct bare bare;
    const struct kfi_policy policy = bare_policy(UINT64_MAX, UINT64_MAX, 1000);
    (void)state;
    bare_open(&bare, 3);
    fill(&bare, 0, 3, &policy);
    kfi_ledger_clear(&bare.ledger);
    fill(&bare, 10, 13, &policy);
    stats = bare_stats(&bare);
    assert_true(stats.entries == 3 && stats.ended_cleared == 3 && stats.ended_capacity == 0);
    bare_close(&bare);
}

static void a_parked_key_goes_with_the_entry_before_it(void **state)
{
    struct bare bare;
    struct kfi_policy policy = bare_policy(3, UINT64_MAX, 1000);
    struct flight *flight;
    (void)state;
    policy.refresh_ahead_permille = 900;
    bare_open(&bare, 10);
    fill(&bare, 0, 1, &policy);
    assert_int_equal(ask(&bare, 0, &policy, &flight), KFI_LEDGER_HIT);
    flight = bare_flight_new(0, &policy);
    assert_true(kfi_ledger_open_ahead(&bare.ledger, flight, bare.now_ms, &bare.after));
    bare_land(&bare, flight, KF_OK, NULL);
    assert_int_equal(bare_stats(&bare).parked, 1);
    /* Its age ends the entry: then the parked one would come, were it not cleared. */
    kfi_ledger_clear(&bare.ledger);
    bare.now_ms += 1000;
    assert_int_equal(ask(&bare, 0, &policy, &flight), KFI_LEDGER_OPENED);
    stats = bare_stats(&bare);
    assert_true(stats.entries == 0 && stats.parked == 0 && stats.ended_cleared == 2 && stats.ended_age == 0);
    bare_land(&bare, flight, KF_OK, NULL);
    bare_close(&bare);
}

/* Whoever clears is not held up by others who clear after him. */
static void a_clearing_sweeps_what_was_there_before_it_and_no_more(void **state)
{
    struct bare bare;
    const struct kfi_policy policy = bare_policy(UINT64_MAX, UINT64_MAX, 1000);
    (void)state;
    bare_open(&bare, 100);
    fill(&bare, 0, 10, &policy);
    const uint64_t first = kfi_ledger_clear(&bare.ledger);
    fill(&bare, 10, 20, &policy);
    const uint64_t second = kfi_ledger_clear(&bare.ledger);
    assert_false(sweep(&bare, first, 10));
    assert_int_equal(bare_stats(&bare).entries, 10);
    fill(&bare, 20, 30, &policy);
    assert_true(sweep(&bare, second, 9));
    assert_false(sweep(&bare, second, 9));
    assert_int_equal(bare_stats(&bare).entries, 10);
    bare_close(&bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_batch_is_longer_than_was_asked_for),
        cmocka_unit_test(what_is_not_swept_yet_is_not_used_either),
        cmocka_unit_test(what_is_not_swept_yet_makes_room_first),
        cmocka_unit_test(a_parked_key_goes_with_the_entry_before_it),
        cmocka_unit_test(a_clearing_sweeps_what_was_there_before_it_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
