/*
 * Doubly linked lists. The links sit in the elements, so inserting allocates nothing.
 */
#ifndef KFI_BASE_LIST_H
#define KFI_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/container.h"

struct kfi_link {
    struct kfi_link *next, *previous; /* both NULL while in no list */
};

/* A list is a ring through its own link. */
struct kfi_list {
    struct kfi_link ring;
};

static inline void kfi_list_init(struct kfi_list *list)
{
    list->ring.next = list->ring.previous = &list->ring;
}

static inline bool kfi_list_empty(const struct kfi_list *list)
{
    return list->ring.next == &list->ring;
}

static inline bool kfi_linked(const struct kfi_link *link)
{
    return link->next != NULL;
}

static inline struct kfi_link *kfi_list_first(struct kfi_list *list)
{
    return kfi_list_empty(list) ? NULL : list->ring.next;
}

static inline struct kfi_link *kfi_list_last(struct kfi_list *list)
{
    return kfi_list_empty(list) ? NULL : list->ring.previous;
}

static inline struct kfi_link *kfi_list_next(struct kfi_list *list, struct kfi_link *link)
{
    return link->next == &list->ring ? NULL : link->next;
}

/* Inserts `link`, which is in no list, behind `place`. */
static inline void kfi_link_insert_after(struct kfi_link *place, struct kfi_link *link)
{
    link->previous = place;
    link->next = place->next;
    place->next->previous = link;
    place->next = link;
}

static inline void kfi_list_push_front(struct kfi_list *list, struct kfi_link *link)
{
    kfi_link_insert_after(&list->ring, link);
}

static inline void kfi_list_push_back(struct kfi_list *list, struct kfi_link *link)
{
    kfi_link_insert_after(list->ring.previous, link);
}

/* Removes `link` from its list. */
static inline void kfi_unlink(struct kfi_link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->next = link->previous = NULL;
}

static inline struct kfi_link *kfi_list_pop(struct kfi_list *list)
{
    struct kfi_link *first = kfi_list_first(list);
    if (first != NULL)
        kfi_unlink(first);
    return first;
}

/* Moves all elements of `from` to the end of `to`. */
static inline void kfi_list_splice(struct kfi_list *to, struct kfi_list *from)
{
    if (kfi_list_empty(from))
        return;
    struct kfi_link *first = from->ring.next, *last = from->ring.previous;
    first->previous = to->ring.previous;
    to->ring.previous->next = first;
    last->next = &to->ring;
    to->ring.previous = last;
    kfi_list_init(from);
}

#endif
