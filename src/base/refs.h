/*
 * Reference counts of shared, immutable objects.
 */
#ifndef KFI_BASE_REFS_H
#define KFI_BASE_REFS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kfi_refs {
    atomic_size_t count;
};

static inline void kfi_refs_init(struct kfi_refs *refs)
{
    atomic_init(&refs->count, 1);
}

/*
 * An object that never changes is shared as const. Its count changes nevertheless, and its last owner
 * destroys it. This is the only place where the const is cast away.
 */
static inline void *kfi_refs_unconst(const void *object)
{
    return (void *)(uintptr_t)object;
}

/* Relaxed: whoever makes a reference already has one, so the object cannot end meanwhile. */
static inline void kfi_refs_add(const struct kfi_refs *refs, size_t more)
{
    struct kfi_refs *counted = kfi_refs_unconst(refs);
    atomic_fetch_add_explicit(&counted->count, more, memory_order_relaxed);
}

/* For whoever knows of an object without having a reference to it: false if its last owner is destroying it. */
static inline bool kfi_refs_add_if_any(const struct kfi_refs *refs)
{
    struct kfi_refs *counted = kfi_refs_unconst(refs);
    size_t count = atomic_load_explicit(&counted->count, memory_order_relaxed);
    while (count > 0) {
        if (atomic_compare_exchange_weak_explicit(&counted->count, &count, count + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    }
    return false;
}

/*
 * True for the last reference; the caller then destroys the object. A release publishes what its owner did
 * with the object, and the last owner acquires all of that.
 */
static inline bool kfi_refs_drop(const struct kfi_refs *refs)
{
    struct kfi_refs *counted = kfi_refs_unconst(refs);
    return atomic_fetch_sub_explicit(&counted->count, 1, memory_order_acq_rel) == 1;
}

#endif
