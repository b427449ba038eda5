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

static bool within(const struct kfi_measures *measures, const struct kfi_measures *most)
{
    bool within = true;
    for (size_t i = 0; i < KFI_MEASURES; i++)
        within = within && measures->of[i] <= most->of[i];
    return within;
}

/* Whether the measures say the same of a message as the budget itself, and turned round too. */
static void assert_measured(const struct kfi_budget *budget, uint64_t age_ms, const struct kfi_limits *asker,
                            uint64_t length)
{
    const bool right = kfi_budget_fits(budget, asker, length) && age_ms < asker->max_age_ms;
    const struct kfi_measures gives = kfi_budget_gives(budget, age_ms);
    const struct kfi_measures needs = kfi_limits_needs(asker, length);
    const struct kfi_measures given = kfi_measures_turned(&gives), needed = kfi_measures_turned(&needs);
    assert_int_equal(within(&needs, &gives), right);
    assert_int_equal(within(&given, &needed), right);
}

/* Every budget that is not used up, and every message within its own limits, of small numbers and of the greatest. */
static void measures_say_what_fits(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, 2, 3, UINT64_MAX};
    enum {
        COUNT = sizeof numbers / sizeof numbers[0]
    };
    for (unsigned a = 0; a < COUNT * COUNT * COUNT * COUNT * COUNT; a++) {
        const struct kfi_budget budget =
            used(numbers[a % COUNT], numbers[a / COUNT % COUNT], numbers[a / COUNT / COUNT % COUNT],
                 numbers[a / COUNT / COUNT / COUNT % COUNT]);
        const uint64_t age_ms = numbers[a / COUNT / COUNT / COUNT / COUNT];
        if (kfi_budget_is_used_up(&budget) || budget.bytes > budget.limits.max_bytes)
            continue;
        for (unsigned b = 0; b < COUNT * COUNT * COUNT * COUNT; b++) {
            const struct kfi_limits asker = {numbers[b % COUNT], numbers[b / COUNT % COUNT],
                                             numbers[b / COUNT / COUNT % COUNT]};
            const uint64_t length = numbers[b / COUNT / COUNT / COUNT];
            if (asker.max_messages > 0 && asker.max_age_ms > 0 && length <= asker.max_bytes)
                assert_measured(&budget, age_ms, &asker, length);
        }
    }
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
        cmocka_unit_test(measures_say_what_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
