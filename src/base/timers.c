/*
 * A pairing heap of timers: see timers.h. It inserts in a few steps and removes any element without a search.
 * Thousands of fetches need both: each sets a time limit and is done long before it.
 */
#include "base/timers.h"

/* The later of two roots becomes the first child of the earlier one. */
static struct kfi_timer *meld(struct kfi_timer *a, struct kfi_timer *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (b->when < a->when) {
        struct kfi_timer *earlier = b;
        b = a;
        a = earlier;
    }
    b->previous = a;
    b->next = a->child;
    if (b->next != NULL)
        b->next->previous = b;
    a->child = b;
    a->next = a->previous = NULL;
    return a;
}

/*
 * Melds a row of siblings: in pairs from the left, then all pairs from the right. That keeps the heap
 * shallow.
 */
static struct kfi_timer *meld_siblings(struct kfi_timer *first)
{
    struct kfi_timer *pairs = NULL; /* linked by next, the rightmost first */
    while (first != NULL) {
        struct kfi_timer *a = first, *b = a->next;
        first = b != NULL ? b->next : NULL;
        a->next = a->previous = NULL;
        if (b != NULL)
            b->next = b->previous = NULL;
        struct kfi_timer *pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    struct kfi_timer *root = NULL;
    while (pairs != NULL) {
        struct kfi_timer *pair = pairs;
        pairs = pair->next;
        pair->next = NULL;
        root = meld(root, pair);
    }
    return root;
}

struct kfi_timer *kfi_timers_insert(struct kfi_timer *root, struct kfi_timer *timer)
{
    timer->child = timer->next = timer->previous = NULL;
    return meld(root, timer);
}

struct kfi_timer *kfi_timers_remove(struct kfi_timer *root, struct kfi_timer *timer)
{
    struct kfi_timer *orphans = meld_siblings(timer->child);
    timer->child = NULL;
    if (timer == root)
        return orphans;
    if (timer->previous->child == timer)
        timer->previous->child = timer->next;
    else
        timer->previous->next = timer->next;
    if (timer->next != NULL)
        timer->next->previous = timer->previous;
    timer->next = timer->previous = NULL;
    return meld(root, orphans);
}
