/*
 * Orders: see order.h. Called by the storeys of the ledger above.
 *
 * A treap: by number it is a search tree, and by weight a heap. As a weight is a number mixed up, the tree is as deep as
 * one that was filled in random order, whatever comes and goes.
 */
#include "materials/cache/order.h"

#include <stddef.h>

static uint64_t node_weight(const struct order_node *node)
{
    uint64_t mixed = node->number + UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

/* ---- Sums ---- */

static void least_take(struct kfi_measures *least, const struct order_node *below)
{
    if (below == NULL)
        return;
    for (size_t i = 0; i < KFI_MEASURES; i++) {
        if (below->least.of[i] < least->of[i])
            least->of[i] = below->least.of[i];
    }
}

static bool measures_equal(const struct kfi_measures *a, const struct kfi_measures *b)
{
    uint64_t differ = 0;
    for (size_t i = 0; i < KFI_MEASURES; i++)
        differ |= a->of[i] ^ b->of[i];
    return differ == 0;
}

static bool measures_within(const struct kfi_measures *measures, const struct kfi_measures *most)
{
    bool within = true;
    for (size_t i = 0; i < KFI_MEASURES; i++)
        within = within && measures->of[i] <= most->of[i];
    return within;
}

/* Sums a node up again; false if that changed nothing. */
static bool node_sum(struct order_node *node)
{
    struct kfi_measures least = node->own;
    least_take(&least, node->left);
    least_take(&least, node->right);
    const bool changes = !measures_equal(&least, &node->least);
    node->least = least;
    return changes;
}

/* Sums up from here to the root, as far as anything changes. */
static void sum_upward(struct order_node *node)
{
    while (node != NULL && node_sum(node))
        node = node->up;
}

/* ---- Shape ---- */

static void node_adopt(struct order_node *node, struct order_node *left, struct order_node *right)
{
    node->left = left;
    node->right = right;
    if (left != NULL)
        left->up = node;
    if (right != NULL)
        right->up = node;
    (void)node_sum(node);
}

/* Parts a tree into those before a number and the others. */
static void tree_part(struct order_node *root, uint64_t number, struct order_node **before,
                      struct order_node **others)
{
    struct order_node *inner;
    if (root == NULL) {
        *before = *others = NULL;
    } else if (root->number < number) {
        tree_part(root->right, number, &inner, others);
        node_adopt(root, root->left, inner);
        *before = root;
    } else {
        tree_part(root->left, number, before, &inner);
        node_adopt(root, inner, root->right);
        *others = root;
    }
}

/* Joins two trees; all of the first come before all of the second. */
static struct order_node *tree_join(struct order_node *left, struct order_node *right)
{
    if (left == NULL || right == NULL)
        return left != NULL ? left : right;
    if (node_weight(left) >= node_weight(right)) {
        node_adopt(left, left->left, tree_join(left->right, right));
        return left;
    }
    node_adopt(right, tree_join(left, right->left), right->right);
    return right;
}

void kfi_order_put(struct order *order, struct order_node *node, uint64_t number,
                   const struct kfi_measures *own)
{
    struct order_node **at = &order->root, *up = NULL, *before, *others;
    node->in = order;
    node->number = number;
    node->own = *own;
    const uint64_t weight = node_weight(node);
    while (*at != NULL && node_weight(*at) >= weight) {
        up = *at;
        at = number < up->number ? &up->left : &up->right;
    }
    tree_part(*at, number, &before, &others);
    node_adopt(node, before, others);
    node->up = up;
    *at = node;
    sum_upward(up);
}

void kfi_order_take(struct order_node *node)
{
    struct order_node *up = node->up, *below = tree_join(node->left, node->right);
    struct order_node **at = up == NULL ? &node->in->root : up->left == node ? &up->left : &up->right;
    *at = below;
    if (below != NULL)
        below->up = up;
    sum_upward(up);
    node->in = NULL;
}

void kfi_order_change(struct order_node *node, const struct kfi_measures *own)
{
    node->own = *own;
    sum_upward(node);
}

void kfi_order_forget(struct order *order)
{
    order->root = NULL;
}

/* ---- Looking ---- */

struct order_node *kfi_order_first(const struct order *order)
{
    struct order_node *node = order->root;
    while (node != NULL && node->left != NULL)
        node = node->left;
    return node;
}

static struct order_node *tree_find(struct order_node *root, const struct kfi_measures *most)
{
    while (root != NULL && measures_within(&root->least, most)) {
        struct order_node *found = tree_find(root->left, most);
        if (found != NULL)
            return found;
        if (measures_within(&root->own, most))
            return root;
        root = root->right;
    }
    return NULL;
}

struct order_node *kfi_order_find(const struct order *order, const struct kfi_measures *most)
{
    return tree_find(order->root, most);
}
