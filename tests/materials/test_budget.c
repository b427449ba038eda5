/*
 * Budgets: what fits, what is charged, and which of two keys has more left.
 */
#include "support/support.h"

#include "materials/cache/budget.h"

static struct kfi_limits limits(uint64_t messages, uint64_t bytes)
{
    return (struct kfi_limits){messages, bytes, 1000};
}

/* A budget of which so much is used. */
static struct kfi_budget used(uint64_t messages, uint64_t max_messages, uint64_t bytes, uint64_t max_bytes)
{
    return (struct kfi_budget){limits(max_messages, max_bytes), messages, bytes};
}

static bool fits(struct kfi_budget budget, struct kfi_limits asker, uint64_t length)
{
    return kfi_budget_fits(&budget, &asker, length);
}

static void a_message_fits_up_to_both_limits(void **state)
{
    (void)state;
    const struct kfi_limits same = limits(3, 100);
    assert_true(fits(used(0, 3, 0, 100), same, 100));
    assert_false(fits(used(0, 3, 0, 100), same, 101));
    assert_true(fits(used(2, 3, 60, 100), same, 40));
    assert_false(fits(used(2, 3, 60, 100), same, 41));
    assert_false(fits(used(3, 3, 0, 100), same, 0));
    assert_true(fits(used(2, 3, 100, 100), same, 0));
    assert_false(fits(used(2, 3, 100, 100), same, 1));
    /* No bytes at all: empty messages only. */
    assert_true(fits(used(0, 3, 0, 0), limits(3, 0), 0));
    assert_false(fits(used(0, 3, 0, 0), limits(3, 0), 1));
}

static void the_lesser_limits_decide(void **state)
{
    (void)state;
    assert_false(fits(used(2, 5, 0, 100), limits(2, 100), 1));
    assert_true(fits(used(1, 5, 0, 100), limits(2, 100), 1));
    assert_false(fits(used(2, 2, 0, 100), limits(5, 100), 1));
    assert_false(fits(used(1, 5, 60, 100), limits(5, 70), 11));
    assert_true(fits(used(1, 5, 60, 100), limits(5, 70), 10));
    assert_false(fits(used(1, 5, 60, 70), limits(5, 100), 11));
    /* More is used already than the asker would have allowed. */
    assert_false(fits(used(4, 5, 60, 100), limits(3, 100), 0));
    assert_false(fits(used(1, 5, 60, 100), limits(5, 59), 0));
    assert_true(fits(used(1, 5, 60, 100), limits(5, 60), 0));
}

static void nothing_overflows(void **state)
{
    (void)state;
    const uint64_t most = KF_MAX_BYTES_LIMIT;
    const struct kfi_limits greatest = limits(KF_MAX_MESSAGES_LIMIT, most);
    assert_true(fits(used(0, KF_MAX_MESSAGES_LIMIT, 0, most), greatest, most));
    assert_false(fits(used(0, KF_MAX_MESSAGES_LIMIT, 0, most), greatest, most + 1));
    assert_false(fits(used(1, KF_MAX_MESSAGES_LIMIT, most, most), greatest, most));
    assert_false(fits(used(1, KF_MAX_MESSAGES_LIMIT, 1, most), greatest, UINT64_MAX));
    assert_true(fits(used(KF_MAX_MESSAGES_LIMIT - 1, KF_MAX_MESSAGES_LIMIT, most - 1, most), greatest, 1));
    assert_false(fits(used(KF_MAX_MESSAGES_LIMIT, KF_MAX_MESSAGES_LIMIT, 0, most), greatest, 0));
    assert_false(fits(used(1, UINT64_MAX, 1, UINT64_MAX), limits(UINT64_MAX, UINT64_MAX), UINT64_MAX));
    assert_true(fits(used(1, UINT64_MAX, 1, UINT64_MAX), limits(UINT64_MAX, UINT64_MAX), UINT64_MAX - 1));
}

static void a_charge_lowers_the_limits_for_good(void **state)
{
    (void)state;
    struct kfi_budget budget = {.limits = {10, 1000, 500}};
    kfi_budget_charge(&budget, &(struct kfi_limits){5, 2000, 400}, 7);
    assert_int_equal(budget.messages, 1);
    assert_int_equal(budget.bytes, 7);
    assert_int_equal(budget.limits.max_messages, 5);
    assert_int_equal(budget.limits.max_bytes, 1000);
    assert_int_equal(budget.limits.max_age_ms, 400);
    kfi_budget_charge(&budget, &(struct kfi_limits){8, 300, 900}, 0);
    assert_int_equal(budget.messages, 2);
    assert_int_equal(budget.bytes, 7);
    assert_int_equal(budget.limits.max_messages, 5);
    assert_int_equal(budget.limits.max_bytes, 300);
    assert_int_equal(budget.limits.max_age_ms, 400);
    kfi_budget_refund(&budget, 7);
    assert_int_equal(budget.messages, 1);
    assert_int_equal(budget.bytes, 0);
    assert_int_equal(budget.limits.max_messages, 5);
    assert_int_equal(budget.limits.max_bytes, 300);
}

/* Both ways round. */
static void assert_order(struct kfi_budget a, struct kfi_budget b, int expected)
{
    int order = kfi_budget_compare(&a, &b), reversed = kfi_budget_compare(&b, &a);
    assert_int_equal((order > 0) - (order < 0), expected);
    assert_int_equal((reversed > 0) - (reversed < 0), -expected);
}

static void the_lesser_share_of_what_is_left_counts(void **state)
{
    (void)state;
    assert_order(used(1, 10, 0, 100), used(2, 10, 0, 100), 1);
    assert_order(used(2, 10, 0, 100), used(2, 10, 0, 100), 0);
    /* Relative to the limit: 1 of 2 is less than 6 of 10. */
    assert_order(used(1, 2, 0, 100), used(4, 10, 0, 100), -1);
    assert_order(used(1, 2, 0, 100), used(5, 10, 0, 100), 0);
    /* Many messages left, but few bytes. */
    assert_order(used(0, 10, 90, 100), used(8, 10, 0, 100), -1);
    assert_order(used(0, 10, 80, 100), used(8, 10, 0, 100), 0);
    assert_order(used(0, 10, 100, 100), used(9, 10, 99, 100), -1);
    assert_order(used(10, 10, 0, 100), used(0, 10, 100, 100), 0);
    /* A limit of 0 bytes takes nothing away. */
    assert_order(used(1, 10, 0, 0), used(1, 10, 0, 100), 0);
    assert_order(used(1, 10, 0, 0), used(1, 10, 50, 100), 1);
}

static void shares_are_compared_exactly(void **state)
{
    (void)state;
    const uint64_t most = KF_MAX_BYTES_LIMIT;
    assert_order(used(0, 2, 1, most), used(0, 2, 2, most), 1);
    assert_order(used(0, 2, most - 1, most), used(0, 2, most, most), 1);
    assert_order(used(1, UINT64_MAX, 0, UINT64_MAX), used(2, UINT64_MAX, 0, UINT64_MAX), 1);
    assert_order(used(KF_MAX_MESSAGES_LIMIT - 1, KF_MAX_MESSAGES_LIMIT, 0, most),
                 used(0, KF_MAX_MESSAGES_LIMIT, most - 1, most), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_fits_up_to_both_limits),
        cmocka_unit_test(the_lesser_limits_decide),
        cmocka_unit_test(nothing_overflows),
        cmocka_unit_test(a_charge_lowers_the_limits_for_good),
        cmocka_unit_test(the_lesser_share_of_what_is_left_counts),
        cmocka_unit_test(shares_are_compared_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
