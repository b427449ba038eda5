/*
 * Orders, against an array in which all is looked at: what comes, goes and changes in any order, and the first that fits.
 */
#include "support/support.h"

#include "materials/cache/order.h"

#define NODES 600

static struct order order;
static struct order_node nodes[NODES]; /* by their numbers */
static uint64_t state_of_random;

static uint64_t random_below(uint64_t count)
{
    state_of_random = state_of_random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (state_of_random >> 33) % count;
}

static struct kfi_measures random_measures(void)
{
    struct kfi_measures measures;
    for (size_t i = 0; i < KFI_MEASURES; i++)
        measures.of[i] = random_below(30);
    return measures;
}

static bool within(const struct kfi_measures *measures, const struct kfi_measures *most)
{
    bool within = true;
    for (size_t i = 0; i < KFI_MEASURES; i++)
        within = within && measures->of[i] <= most->of[i];
    return within;
}

static struct order_node *first_within(const struct kfi_measures *most)
{
    for (size_t i = 0; i < NODES; i++) {
        if (nodes[i].in != NULL && within(&nodes[i].own, most))
            return &nodes[i];
    }
    return NULL;
}

static size_t depth_of(const struct order_node *node)
{
    if (node == NULL)
        return 0;
    const size_t left = depth_of(node->left), right = depth_of(node->right);
    return 1 + (left > right ? left : right);
}

/* One node comes, goes or changes. */
static void step(void)
{
    const uint64_t number = random_below(NODES);
    struct order_node *node = &nodes[number];
    const struct kfi_measures own = random_measures();
    if (node->in == NULL)
        kfi_order_put(&order, node, number, &own);
    else if (random_below(2) == 0)
        kfi_order_take(node);
    else
        kfi_order_change(node, &own);
}

static void the_first_that_fits_is_found(void **state)
{
    (void)state;
    static const struct kfi_measures any = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < 20000; i++) {
        step();
        const struct kfi_measures most = random_measures();
        assert_ptr_equal(kfi_order_find(&order, &most), first_within(&most));
        assert_ptr_equal(kfi_order_first(&order), first_within(&any));
    }
    for (struct order_node *node; (node = kfi_order_first(&order)) != NULL;)
        kfi_order_take(node);
    assert_null(order.root);
}

static void whatever_the_order_of_coming_and_going_the_tree_stays_low(void **state)
{
    (void)state;
    const struct kfi_measures own = random_measures();
    for (size_t i = 0; i < NODES; i++)
        kfi_order_put(&order, &nodes[i], i, &own);
    assert_in_range(depth_of(order.root), 10, 40);
    for (size_t i = 0; i < NODES / 2; i++)
        kfi_order_take(&nodes[i]);
    for (size_t i = NODES / 2; i-- > 0;)
        kfi_order_put(&order, &nodes[i], i, &own);
    assert_in_range(depth_of(order.root), 10, 40);
    for (size_t i = 0; i < NODES; i++)
        kfi_order_take(&nodes[i]);
}

static void what_was_forgotten_is_not_found(void **state)
{
    (void)state;
    const struct kfi_measures own = {{0}};
    kfi_order_put(&order, &nodes[0], 0, &own);
    kfi_order_forget(&order);
    assert_null(kfi_order_first(&order));
    assert_null(kfi_order_find(&order, &own));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_fits_is_found),
        cmocka_unit_test(whatever_the_order_of_coming_and_going_the_tree_stays_low),
        cmocka_unit_test(what_was_forgotten_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
