/*
 * The caching CMM and its cache: one key-service call serves many messages, exactly counted under
 * concurrency.
 *
 * Equal requests share a data key until it has encrypted max_messages messages or max_bytes bytes or is
 * max_age_ms old, whichever comes first. Requests that miss together share the fetches too: a burst of N
 * makes exactly as many calls as the limits demand, all of them at once, whatever the capacity. (S:
 * framework/caching-cmm.md)
 */
#ifndef KEYFLIGHT_CACHING_CMM_H
#define KEYFLIGHT_CACHING_CMM_H

#include <keyflight/cmm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kf_cache;

/*
 * A cache that keeps the `capacity` keys used last, of both directions (0: it keeps nothing, and still
 * coalesces). Several caching CMMs may share it. Errors: KF_E_USAGE, KF_E_NO_MEMORY.
 */
KF_CODE kf_cache_new(size_t capacity, struct kf_error *error, struct kf_cache **out);
KF_API struct kf_cache *kf_cache_ref(struct kf_cache *cache);
KF_API void kf_cache_unref(struct kf_cache *cache); /* NULL is allowed */

/*
 * Forgets every key. Fetches under way still answer those who already wait for them, but nobody else, and are
 * not kept.
 */
KF_API void kf_cache_clear(struct kf_cache *cache);

/* Counters since the cache was made (in a forked child: since the fork). */
struct kf_cache_stats {
    size_t size;             /* sizeof(struct kf_cache_stats), set by the caller */
    uint64_t hits;           /* answered by a key that was there */
    uint64_t coalesced;      /* took a seat in a fetch that somebody else had opened */
    uint64_t flights_opened; /* fetches begun; equals the calls to the backing CMM, bypasses apart */
    uint64_t flights_failed; /* of these, ended by an error */
    uint64_t bypasses;       /* requests that went to the backing CMM uncached */
    uint64_t waiting;        /* callers seated in a fetch right now */
    uint64_t entries;        /* keys held right now */
    uint64_t ended_messages; /* keys that ended because max_messages was reached, */
    uint64_t ended_bytes;    /* ... max_bytes was reached, */
    uint64_t ended_age;      /* ... max_age_ms was reached, */
    uint64_t ended_capacity; /* ... others were used later and the cache was full, */
    uint64_t ended_replaced; /* ... a key with more budget came, */
    uint64_t ended_cleared;  /* ... kf_cache_clear was called */
};

/* Fills as much of `*out` as out->size says. */
KF_API void kf_cache_stats(struct kf_cache *cache, struct kf_cache_stats *out);

#define KF_MAX_MESSAGES_LIMIT (UINT64_C(1) << 32)    /* the default and the greatest max_messages */
#define KF_MAX_BYTES_LIMIT ((UINT64_C(1) << 63) - 1) /* the default and the greatest max_bytes */

struct kf_caching_cmm_options {
    size_t size;
    struct kf_cache *cache;     /* needed; the CMM takes a reference */
    struct kf_cmm *cmm;         /* the backing CMM: either this */
    struct kf_keyring *keyring; /* or this, behind a default CMM */
    uint64_t max_age_ms;        /* needed, at least 1; counted from the moment a key arrived */
    uint64_t max_messages;      /* 1 to 2^32 */
    uint64_t max_bytes;         /* 0 to 2^63-1; a message longer than this bypasses the cache */
    /* CMMs with equal ones share keys, and must then have equal backing CMMs; length 0: one of its own */
    struct kf_view partition_id;
    uint64_t fetch_timeout_ms; /* limit of one call to the backing CMM, at least 1 */
};

#define KF_CACHING_CMM_OPTIONS_INIT                                                        \
    {                                                                                      \
        sizeof(struct kf_caching_cmm_options), NULL, NULL, NULL, 0, KF_MAX_MESSAGES_LIMIT, \
            KF_MAX_BYTES_LIMIT, {NULL, 0}, 10000                                           \
    }

/*
 * Makes a caching CMM. Requests of unknown length, requests longer than max_bytes, and suites without a key
 * derivation bypass the cache. Errors: KF_E_USAGE, KF_E_NO_MEMORY, KF_E_SYSTEM.
 */
KF_CODE kf_caching_cmm_new(const struct kf_caching_cmm_options *options, struct kf_error *error,
                           struct kf_cmm **out);

#ifdef __cplusplus
}
#endif

#endif
