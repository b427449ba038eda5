/*
 * The wheel: nothing is over before its time, nor much later, and a step finds one thing at most.
 */
#include "support/support.h"

#include <stdlib.h>

#include "materials/cache/wheel.h"

#define TICK KFI_WHEEL_LATE_MS
#define START UINT64_C(1000000000)

static struct wheel wheel;
static uint64_t now;

static void begin(void)
{
    kfi_wheel_init(&wheel);
    now = START;
}

/* Steps until there is nothing to do; how many things were over, each of which is taken. */
static size_t drain(size_t *steps)
{
    struct ending *over;
    size_t found = 0;
    *steps = 0;
    while (kfi_wheel_step(&wheel, now, &over)) {
        ++*steps;
        if (over == NULL)
            continue;
        assert_true(over->at_ms <= now);
        kfi_wheel_take(&wheel, over);
        found++;
    }
    return found;
}

static void nothing_is_over_before_its_time(void **state)
{
    struct ending ending;
    size_t steps;
    (void)state;
    begin();
    const uint64_t end = START + 10 * TICK + 17;
    kfi_wheel_put(&wheel, &ending, end, now);
    for (now = START; now < end; now += TICK / 4)
        assert_int_equal(drain(&steps), 0);
    now = end - 1;
    assert_int_equal(drain(&steps), 0);
    now = end + TICK;
    assert_int_equal(drain(&steps), 1);
    assert_int_equal(wheel.count, 0);
}

static void what_ends_together_comes_one_by_one(void **state)
{
    enum {
        COUNT = 1000
    };
    static struct ending endings[COUNT];
    struct ending *over;
    size_t steps;
    (void)state;
    begin();
    for (size_t i = 0; i < COUNT; i++)
        kfi_wheel_put(&wheel, &endings[i], START + TICK + i % 100, now);
    now = START + 3 * TICK;
    for (size_t found = 0; found < COUNT;) {
        assert_true(kfi_wheel_step(&wheel, now, &over));
        if (over == NULL)
            continue;
        kfi_wheel_take(&wheel, over);
        found++;
        assert_int_equal(wheel.count, COUNT - found);
    }
    drain(&steps);
    assert_in_range(steps, 0, 3); /* empty slots */
}

/* However long nobody looked, it is one turn until all was passed; and what ends turns later is passed over. */
static void a_long_pause_costs_one_turn(void **state)
{
    struct ending soon, late;
    size_t steps;
    (void)state;
    begin();
    kfi_wheel_put(&wheel, &soon, START + TICK, now);
    kfi_wheel_put(&wheel, &late, START + 5000 * WHEEL_SLOTS * TICK, now);
    now = START + 1000 * WHEEL_SLOTS * TICK;
    assert_int_equal(drain(&steps), 1);
    assert_in_range(steps, 2, WHEEL_SLOTS + 2);
    drain(&steps);
    assert_int_equal(steps, 0);
    assert_int_equal(wheel.count, 1);
    now = START + (5000 * WHEEL_SLOTS + 1) * TICK;
    assert_int_equal(drain(&steps), 1);
    /* An empty wheel has nothing to catch up with. */
    now += 100 * TICK;
    kfi_wheel_put(&wheel, &soon, now, now);
    drain(&steps);
    assert_int_equal(steps, 0);
    now += TICK;
    assert_int_equal(drain(&steps), 1);
}

static void a_time_that_is_over_already_is_found_at_once(void **state)
{
    struct ending early, other;
    size_t steps;
    (void)state;
    begin();
    kfi_wheel_put(&wheel, &other, START + WHEEL_SLOTS * TICK, now);
    now += 10 * TICK;
    assert_int_equal(drain(&steps), 0);
    kfi_wheel_put(&wheel, &early, START, now);
    assert_int_equal(drain(&steps), 1);
    /* What never ends is as good as any. */
    kfi_wheel_put(&wheel, &early, UINT64_MAX, now);
    now += 3 * WHEEL_SLOTS * TICK;
    assert_int_equal(drain(&steps), 1);
    assert_int_equal(wheel.count, 1);
    kfi_wheel_take(&wheel, &early);
    assert_int_equal(drain(&steps), 0);
}

/* Random ends and looks, against a list of all. */
static void random_ends_are_found_in_time(void **state)
{
    enum {
        COUNT = 500,
        ROUNDS = 20000
    };
    static struct ending endings[COUNT];
    static bool there[COUNT];
    unsigned random = 1;
    size_t steps;
    (void)state;
    begin();
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 1103515245 + 12345;
        struct ending *ending = &endings[(random >> 16) % COUNT];
        bool *is_there = &there[ending - endings];
        const uint64_t span = (random >> 8) % 4 == 0 ? 3 * WHEEL_SLOTS * TICK : 3 * TICK;
        if (*is_there)
            kfi_wheel_take(&wheel, ending);
        else
            kfi_wheel_put(&wheel, ending, now + (uint64_t)(random >> 4) * 977 % span, now);
        *is_there = !*is_there;
        now += round % 997 == 0 ? 300 * TICK : random % 4001;
        if (round % 3 != 0)
            continue;
        drain(&steps);
        size_t left = 0;
        for (size_t i = 0; i < COUNT; i++) {
            there[i] = there[i] && kfi_linked(&endings[i].link);
            left += there[i];
            assert_false(there[i] && endings[i].at_ms + TICK <= now);
        }
        assert_int_equal(wheel.count, left);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_over_before_its_time),
        cmocka_unit_test(what_ends_together_comes_one_by_one),
        cmocka_unit_test(a_long_pause_costs_one_turn),
        cmocka_unit_test(a_time_that_is_over_already_is_found_at_once),
        cmocka_unit_test(random_ends_are_found_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
