/*
 * The bound on fetches that do not come back.
 */
#include "support/support.h"

#include <string.h>

#include "materials/cache/stuck.h"

static void four_fetches_may_hang_and_no_more_begin(void **state)
{
    (void)state;
    struct kfi_stuck *stuck = kfi_stuck_new();
    struct kf_error error = KF_ERROR_INIT;
    assert_non_null(stuck);
    for (unsigned i = 1; i <= 4; i++) {
        assert_ok(kfi_stuck_check(stuck, &error), &error);
        assert_int_equal(kfi_stuck_more(stuck), i == 4);
    }
    assert_int_equal(kfi_stuck_check(stuck, &error), KF_E_TIMEOUT);
    assert_non_null(strstr(error.text, "4 fetches"));
    kfi_stuck_less(stuck);
    assert_int_equal(kfi_stuck_check(stuck, NULL), KF_OK);
    kfi_stuck_unref(stuck);
}

static void coming_back_may_be_said_first(void **state)
{
    (void)state;
    struct kfi_stuck *stuck = kfi_stuck_new();
    assert_non_null(stuck);
    kfi_stuck_less(stuck);
    for (unsigned i = 1; i <= 5; i++)
        assert_int_equal(kfi_stuck_more(stuck), i == 5);
    kfi_stuck_unref(stuck);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_fetches_may_hang_and_no_more_begin),
        cmocka_unit_test(coming_back_may_be_said_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
