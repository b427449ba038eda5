/*
 * The heap of timers: always the earliest at the root, whatever is put in and taken out.
 */
#include "support/support.h"

#include "base/timers.h"

/* A sequence of numbers that is the same in every run. */
static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/*
 * Checks every link below `first` and its siblings, none of which may be earlier than `parent`; counts them.
 */
static size_t check_row(const struct kfi_timer *first, const struct kfi_timer *parent)
{
    size_t count = 0;
    const struct kfi_timer *previous = parent;
    for (const struct kfi_timer *timer = first; timer != NULL; previous = timer, timer = timer->next) {
        assert_ptr_equal(timer->previous, previous);
        assert_true(timer->when >= parent->when);
        count += 1 + check_row(timer->child, timer);
    }
    return count;
}

static size_t check_heap(const struct kfi_timer *root)
{
    if (root == NULL)
        return 0;
    assert_null(root->next);
    assert_null(root->previous);
    return 1 + check_row(root->child, root);
}

#define MANY 500

static void the_heap_holds_under_random_insertions_and_removals(void **state)
{
    (void)state;
    static struct kfi_timer timers[MANY];
    bool inside[MANY] = {false};
    uint64_t seed = 1;
    struct kfi_timer *root = NULL;
    size_t count = 0;
    for (int step = 0; step < 6000; step++) {
        size_t index = next_random(&seed) % MANY;
        struct kfi_timer *timer = &timers[index];
        if (inside[index]) {
            root = kfi_timers_remove(root, timer);
            assert_null(timer->child);
            assert_null(timer->next);
            assert_null(timer->previous);
            count--;
        } else {
            timer->when = next_random(&seed) % 100; /* many are equal */
            root = kfi_timers_insert(root, timer);
            count++;
        }
        inside[index] = !inside[index];
        assert_int_equal(check_heap(root), count);
        /* From time to time the earliest is taken out, as if it were due. */
        if (root != NULL && next_random(&seed) % 4 == 0) {
            inside[root - timers] = false;
            root = kfi_timers_remove(root, root);
            count--;
            assert_int_equal(check_heap(root), count);
        }
    }
    assert_true(count > 0);
    for (uint64_t last = 0; root != NULL; count--) {
        assert_true(root->when >= last);
        last = root->when;
        root = kfi_timers_remove(root, root);
    }
    assert_int_equal(count, 0);
}

static void timers_come_out_in_order(void **state)
{
    (void)state;
    /* Ascending, descending and equal times, which give the heap its extreme shapes. */
    for (int shape = 0; shape < 3; shape++) {
        static struct kfi_timer timers[MANY];
        struct kfi_timer *root = NULL;
        for (uint64_t i = 0; i < MANY; i++) {
            timers[i].when = shape == 0 ? i : shape == 1 ? MANY - 1 - i : 7;
            root = kfi_timers_insert(root, &timers[i]);
        }
        for (uint64_t i = 0; i < MANY; i++) {
            assert_non_null(root);
            assert_int_equal(root->when, shape == 2 ? 7 : i);
            root = kfi_timers_remove(root, root);
        }
        assert_null(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_heap_holds_under_random_insertions_and_removals),
        cmocka_unit_test(timers_come_out_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
