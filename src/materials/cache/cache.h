/*
 * The cache of materials, as the caching CMM sees it.
 */
#ifndef KFI_MATERIALS_CACHE_CACHE_H
#define KFI_MATERIALS_CACHE_CACHE_H

#include <keyflight/caching_cmm.h>

#include "materials/cache/budget.h"
#include "materials/cache/key.h"
#include "materials/cache/request.h"
#include "materials/cache/stuck.h"

/* What a caching CMM wants of the cache. It lives as long as any call to that CMM. */
struct kfi_cache_policy {
    struct kfi_policy rules;
    uint64_t fetch_timeout_ms;
    uint64_t max_age_jitter_ms;
    struct kf_cache_listener *listener; /* or NULL */
    struct kfi_stuck *stuck;            /* fetches that do not come back */
};

struct kfi_cache_question {
    const struct kfi_cache_policy *policy;
    struct kfi_cache_key key;
    uint64_t length; /* bytes to charge, beside one message */
    struct kfi_asked asked;
};

/* What asking came to, for statistics of the caching CMM's own. */
enum kfi_cache_outcome {
    KFI_CACHE_REFUSED, /* by an error, of a fetch before or of ours */
    KFI_CACHE_SHARED,  /* by a key that was there, or a fetch that was under way or is to come */
    KFI_CACHE_FETCHED  /* a fetch was begun */
};

/*
 * Asks for materials and charges one use of them: KF_OK and a reference, or KF_PENDING: the caller is seated
 * in a flight or waits for his turn to be, `call` keeps that (in its state) and is woken; dropping the call
 * gives it up. Any other code is the fetch's.
 */
enum kf_code kfi_cache_ask(struct kf_cache *cache, struct kf_call *call,
                           const struct kfi_cache_question *question, struct kf_error *error,
                           enum kfi_cache_outcome *outcome, const struct kfi_materials **out);

/* Asks again for what kfi_cache_ask left pending in `call`. */
enum kf_code kfi_cache_poll(struct kf_call *call, struct kf_error *error, const struct kfi_materials **out);

/* Counts a request that went past the cache. */
void kfi_cache_count_bypass(struct kf_cache *cache, enum kfi_direction direction);

#endif
