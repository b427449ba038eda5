/*
 * Reference counts of shared, immutable objects.
 */
#ifndef KFI_BASE_REFS_H
#define KFI_BASE_REFS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct kfi_refs {
    atomic_size_t count;
};

static inline void kfi_refs_init(struct kfi_refs *refs)
{
    atomic_init(&refs->count, 1);
}

/* Relaxed: who makes a reference has one already, so that the object can't end meanwhile. */
static inline void kfi_refs_add(struct kfi_refs *refs, size_t more)
{
    atomic_fetch_add_explicit(&refs->count, more, memory_order_relaxed);
}

/*
 * True for the last one, which then destroys the object. Each release publishes what its owner did with the
 * object; the last owner acquires all of that before it destroys.
 */
static inline bool kfi_refs_drop(struct kfi_refs *refs)
{
    return atomic_fetch_sub_explicit(&refs->count, 1, memory_order_acq_rel) == 1;
}

#endif
