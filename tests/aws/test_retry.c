/*
 * Retries: the tokens that they take and give back, and their delays.
 */
#include "support/support.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aws/service/retry.h"

/* ---- Quota ---- */

static unsigned take_all(struct kfi_aws_retry_quota *quota, enum kfi_aws_failure failure, uint32_t cost)
{
    unsigned count = 0;
    uint32_t taken;
    while (kfi_aws_retry_quota_take(quota, failure, &taken)) {
        assert_int_equal(taken, cost);
        count++;
        assert_true(count <= 1000);
    }
    assert_int_equal(taken, 0);
    return count;
}

static void a_quota_lasts_for_so_many_retries(void **state)
{
    (void)state;
    static const struct {
        enum kfi_aws_failure failure;
        uint32_t cost;
    } cases[] = {{KFI_AWS_TRANSIENT, 5}, {KFI_AWS_THROTTLED, 5}, {KFI_AWS_TIMEOUT, 10}};
    for (size_t i = 0; i < 3; i++) {
        struct kfi_aws_retry_quota quota;
        kfi_aws_retry_quota_init(&quota);
        assert_int_equal(take_all(&quota, cases[i].failure, cases[i].cost), 500 / cases[i].cost);
        kfi_aws_retry_quota_destroy(&quota);
    }
}

static void what_is_final_takes_nothing(void **state)
{
    (void)state;
    struct kfi_aws_retry_quota quota;
    uint32_t taken = 99;
    kfi_aws_retry_quota_init(&quota);
    assert_false(kfi_aws_retry_quota_take(&quota, KFI_AWS_FINAL, &taken));
    assert_int_equal(taken, 0);
    assert_int_equal(take_all(&quota, KFI_AWS_TRANSIENT, 5), 100);
    kfi_aws_retry_quota_destroy(&quota);
}

static void successes_fill_it_again(void **state)
{
    (void)state;
    struct kfi_aws_retry_quota quota;
    uint32_t taken;
    kfi_aws_retry_quota_init(&quota);
    kfi_aws_retry_quota_give(&quota, 10); /* never more than at the beginning */
    assert_int_equal(take_all(&quota, KFI_AWS_TRANSIENT, 5), 100);

    kfi_aws_retry_quota_give(&quota, 5); /* a success after a retry */
    assert_int_equal(take_all(&quota, KFI_AWS_TRANSIENT, 5), 1);

    for (unsigned i = 0; i < 4; i++) /* successes at once */
        kfi_aws_retry_quota_give(&quota, 0);
    assert_false(kfi_aws_retry_quota_take(&quota, KFI_AWS_TRANSIENT, &taken));
    kfi_aws_retry_quota_give(&quota, 0);
    assert_false(kfi_aws_retry_quota_take(&quota, KFI_AWS_TIMEOUT, &taken)); /* a timeout costs more */
    assert_true(kfi_aws_retry_quota_take(&quota, KFI_AWS_TRANSIENT, &taken));

    for (unsigned i = 0; i < 1000; i++)
        kfi_aws_retry_quota_give(&quota, 0);
    assert_int_equal(take_all(&quota, KFI_AWS_TRANSIENT, 5), 100);
    kfi_aws_retry_quota_destroy(&quota);
}

static void a_child_begins_with_a_full_one(void **state)
{
    (void)state;
    struct kfi_aws_retry_quota quota;
    uint32_t taken;
    assert_int_equal(kfi_fork_ready(NULL), KF_OK);
    kfi_aws_retry_quota_init(&quota);
    take_all(&quota, KFI_AWS_TRANSIENT, 5);
    kfi_lock_take(&quota.lock); /* as another thread may at the fork */
    const pid_t child = fork();
    if (child == 0) {
        unsigned count = 0;
        while (kfi_aws_retry_quota_take(&quota, KFI_AWS_TRANSIENT, &taken))
            count++;
        _exit(count == 100 ? 0 : 1);
    }
    kfi_lock_leave(&quota.lock);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(
        kfi_aws_retry_quota_take(&quota, KFI_AWS_TRANSIENT, &taken)); /* the parent's quota did not change */
    kfi_aws_retry_quota_destroy(&quota);
}

/* ---- Delay ---- */

static void delays_grow_to_a_limit(void **state)
{
    (void)state;
    static const struct {
        enum kfi_aws_failure failure;
        uint32_t retry;
        uint64_t most;
    } cases[] = {
        {KFI_AWS_TRANSIENT, 0, 50},    {KFI_AWS_TRANSIENT, 1, 100},    {KFI_AWS_TRANSIENT, 8, 12800},
        {KFI_AWS_TRANSIENT, 9, 20000}, {KFI_AWS_TRANSIENT, 99, 20000}, {KFI_AWS_TIMEOUT, 0, 50},
        {KFI_AWS_TIMEOUT, 2, 200},     {KFI_AWS_THROTTLED, 0, 1000},   {KFI_AWS_THROTTLED, 1, 2000},
        {KFI_AWS_THROTTLED, 4, 16000}, {KFI_AWS_THROTTLED, 5, 20000},  {KFI_AWS_THROTTLED, UINT32_MAX, 20000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(kfi_aws_retry_delay(cases[i].failure, cases[i].retry, 0, 0), 0);
        assert_int_equal(kfi_aws_retry_delay(cases[i].failure, cases[i].retry, 0, UINT32_MAX), cases[i].most);
        assert_in_range(kfi_aws_retry_delay(cases[i].failure, cases[i].retry, 0, UINT32_MAX / 2),
                        cases[i].most / 2 - 1, cases[i].most / 2);
    }
}

static void what_the_service_asks_for_is_honoured_within_bounds(void **state)
{
    (void)state;
    assert_int_equal(kfi_aws_retry_delay(KFI_AWS_THROTTLED, 0, 700, 0), 700);
    assert_int_equal(kfi_aws_retry_delay(KFI_AWS_THROTTLED, 0, 700, UINT32_MAX),
                     1000); /* never less than our own delay */
    assert_int_equal(kfi_aws_retry_delay(KFI_AWS_THROTTLED, 0, 4999, 0), 4999);
    assert_int_equal(kfi_aws_retry_delay(KFI_AWS_THROTTLED, 0, 5000, 0), 5000);
    assert_int_equal(kfi_aws_retry_delay(KFI_AWS_THROTTLED, 0, 86400000, 0), 5000);
    assert_int_equal(kfi_aws_retry_delay(KFI_AWS_TRANSIENT, 0, UINT64_MAX, UINT32_MAX), 5050);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quota_lasts_for_so_many_retries),
        cmocka_unit_test(what_is_final_takes_nothing),
        cmocka_unit_test(successes_fill_it_again),
        cmocka_unit_test(a_child_begins_with_a_full_one),
        cmocka_unit_test(delays_grow_to_a_limit),
        cmocka_unit_test(what_the_service_asks_for_is_honoured_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
