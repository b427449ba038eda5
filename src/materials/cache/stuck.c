/*
 * Fetches that do not come back: see stuck.h. Made by the caching CMM; counted and asked by the cache.
 */
#include "materials/cache/stuck.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/refs.h"

/* Enough for a device of which single calls hang. The header of the caching CMM names the number. */
#define STUCK_MAX 4

struct kfi_stuck {
    struct kfi_refs refs;
    atomic_int fetches;
};

struct kfi_stuck *kfi_stuck_new(void)
{
    struct kfi_stuck *stuck = kfi_alloc_zeroed(sizeof *stuck);
    if (stuck != NULL)
        kfi_refs_init(&stuck->refs);
    return stuck;
}

void kfi_stuck_ref(struct kfi_stuck *stuck)
{
    kfi_refs_add(&stuck->refs, 1);
}

void kfi_stuck_unref(struct kfi_stuck *stuck)
{
    if (stuck != NULL && kfi_refs_drop(&stuck->refs))
        kfi_free(stuck);
}

bool kfi_stuck_more(struct kfi_stuck *stuck)
{
    return atomic_fetch_add_explicit(&stuck->fetches, 1, memory_order_relaxed) + 1 >= STUCK_MAX;
}

void kfi_stuck_less(struct kfi_stuck *stuck)
{
    atomic_fetch_sub_explicit(&stuck->fetches, 1, memory_order_relaxed);
}

enum kf_code kfi_stuck_check(struct kfi_stuck *stuck, struct kf_error *error)
{
    const int fetches = atomic_load_explicit(&stuck->fetches, memory_order_relaxed);
    if (fetches < STUCK_MAX)
        return KF_OK;
    return kf_error_set(
        error, KF_E_TIMEOUT,
        "%d fetches have not come back from the keyring, though their time (fetch_timeout_ms) is "
        "over; no more are begun until one does.",
        fetches);
}
