/*
 * Orders: what stands in a row, oldest first, and which of it is the first that fits. The flights of a key that have room
 * stand in one, and those who wait for their turn in another. A storey of the ledger: rules only (see entry.h); the nodes
 * sit in the elements.
 *
 * An order is a balanced tree, in which each node knows the least of each measure below it. Putting, taking and changing
 * take O(log n) steps, and so does finding among those of like limits, whatever their lengths: the tree is gone down
 * only where something fits. Where unlike limits meet it may be gone down in vain too, as the least of one measure and
 * that of another may not be of the same element.
 */
#ifndef KFI_MATERIALS_CACHE_ORDER_H
#define KFI_MATERIALS_CACHE_ORDER_H

#include "materials/cache/budget.h"

struct order_node {
    struct order *in; /* NULL: in no order */
    struct order_node *up, *left, *right;
    uint64_t number;
    struct kfi_measures own, least; /* least: of it and of all that is below it */
};

/* All zero: nothing is in it. */
struct order {
    struct order_node *root;
};

/* Puts a node that is in no order where its number belongs. No other node has the same number. */
void kfi_order_put(struct order *order, struct order_node *node, uint64_t number,
                   const struct kfi_measures *own);

/* Takes a node out of the order that it is in. */
void kfi_order_take(struct order_node *node);

/* Changes the measures of a node that is in an order. */
void kfi_order_change(struct order_node *node, const struct kfi_measures *own);

/* Makes an order empty at once. Its nodes are not looked at, nor may they be put, taken or changed after that. */
void kfi_order_forget(struct order *order);

/* The node with the least number, or NULL. */
struct order_node *kfi_order_first(const struct order *order);

/* The node with the least number of which no measure is more than `most` says, or NULL. */
struct order_node *kfi_order_find(const struct order *order, const struct kfi_measures *most);

#endif
