/*
 * The caching CMM and its cache: one key-service call serves many messages, exactly counted under
 * concurrency.
 *
 * Equal requests share a data key until it has encrypted max_messages messages or max_bytes bytes or is
 * max_age_ms old, whichever comes first. Requests that miss together share the fetches too: a burst of N
 * makes exactly as many calls as the limits demand, all of them at once, whatever the capacity.
 * (S: framework/caching-cmm.md)
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

    uint64_t refreshes; /* of the fetches begun: those ahead of need (refresh_ahead_permille) */
    uint64_t parked;    /* keys that wait for their entry to end, right now; not among `entries` */
    uint64_t waves;     /* of the fetches begun: those for callers who had to wait (max_flights) */
    uint64_t queued;    /* callers that wait for such a fetch to begin, right now */
    uint64_t
        settled_bytes; /* given back by messages shorter than their bound (settle), as of each key's last look */
    uint64_t failed_fast; /* callers who got the last error without a fetch (failure_backoff_ms) */
};

#define KF_CACHE_STATS_INIT                                                                    \
    {                                                                                          \
        sizeof(struct kf_cache_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
    }

KF_API void kf_cache_stats_init(struct kf_cache_stats *out, size_t size);

/* Fills as much of `*out` as out->size says. */
KF_API void kf_cache_stats_read(struct kf_cache *cache, struct kf_cache_stats *out);

/* The same, of keys for decryption alone (`decrypts`) or of keys for encryption alone, as events tell them apart. */
KF_API void kf_cache_stats_read_direction(struct kf_cache *cache, bool decrypts, struct kf_cache_stats *out);

/* ---- Events ---- */

enum kf_cache_event_kind {
    KF_CACHE_MISS = 1,      /* a fetch begins */
    KF_CACHE_COALESCED = 2, /* somebody took a seat in it, at once or when his turn came (max_flights) */
    KF_CACHE_LANDED = 3,    /* it brought a key */
    KF_CACHE_FAILED = 4,    /* it failed */
    KF_CACHE_ENDED = 5,     /* the cache let go of the key it brought (not told when the cache itself goes) */
    KF_CACHE_LOW_REUSE = 6, /* keys are hardly ever used twice, because of these keys of the context */
};

KF_API const char *kf_cache_event_kind_name(enum kf_cache_event_kind kind);

/* Why a key ended: as the counters of kf_cache_stats. */
enum kf_cache_end {
    KF_CACHE_END_MESSAGES = 1,
    KF_CACHE_END_BYTES = 2,
    KF_CACHE_END_AGE = 3,
    KF_CACHE_END_CAPACITY = 4,
    KF_CACHE_END_REPLACED = 5,
    KF_CACHE_END_CLEARED = 6,
};

KF_API const char *kf_cache_end_name(enum kf_cache_end end);

/* What a listener is told. Views live until it returns; what does not belong to the kind is zero. */
struct kf_cache_event {
    enum kf_cache_event_kind kind;
    bool decrypts;                /* it is about keys for decryption */
    bool refresh;                 /* MISS, LANDED, FAILED: fetched ahead of need */
    uint64_t flight;              /* all but LOW_REUSE: the fetch, numbered from 0 in its cache */
    const char *fingerprint;      /* LANDED: of the first EDK (kf_edk_fingerprint) */
    struct kf_view key_arn;       /* LANDED: the key's name in the first EDK of AWS KMS; none: data is NULL */
    struct kf_view request_id;    /* LANDED, FAILED: as the keyring said (kf_call_request_id_set) */
    const struct kf_error *error; /* FAILED */
    enum kf_cache_end end;        /* ENDED */
    uint64_t messages;            /* ENDED: so many were made with the key, */
    uint64_t bytes;               /* ... of so many bytes of plaintext in all */
    const struct kf_view *context_keys; /* LOW_REUSE: their values are nearly always new; never the values */
    size_t context_key_count;
    uint64_t misses; /* LOW_REUSE: the number of fetches looked at */
};

/*
 * Somebody to tell, counted: caching CMMs, fetches and keys hold it, so that it may outlive them all; `drop`
 * (may be NULL) gets `context` once nobody does, on whatever thread that is.
 *
 * `on_event` is called from any thread, the internal one included, by several at once, under no lock of ours,
 * so that events of different threads come in no certain order. It must not block, nor encrypt or decrypt
 * through a cache that tells it; kf_cache_stats_read is allowed. Errors: KF_E_USAGE, KF_E_NO_MEMORY.
 */
struct kf_cache_listener;
KF_CODE kf_cache_listener_new(void (*on_event)(void *context, const struct kf_cache_event *event),
                              void *context, void (*drop)(void *context), struct kf_error *error,
                              struct kf_cache_listener **out);
KF_API struct kf_cache_listener *kf_cache_listener_ref(struct kf_cache_listener *listener);
KF_API void kf_cache_listener_unref(struct kf_cache_listener *listener); /* NULL is allowed */

/* ---- Caching CMMs ---- */

/* The default and the greatest max_messages: 2^32. */
static const uint64_t KF_MAX_MESSAGES_LIMIT = 4294967296ULL;
/* The default and the greatest max_bytes: 2^63-1. */
static const uint64_t KF_MAX_BYTES_LIMIT = 9223372036854775807ULL;

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

    /* ---- For a service that bills and throttles. All are off (0) unless set. ---- */

    /*
     * When a key that is used has no more than so many thousandths of its messages, bytes or age left, the
     * next one is fetched in the background and kept until this one is used up or expired: at most one
     * more call for each key. At most 999; 100 is a good choice.
     */
    uint32_t refresh_ahead_permille;
    /* So many fetches of one key at once at most; a burst of more takes several round trips. 0: any number. */
    uint32_t max_flights;
    /* Shortens max_age_ms by a random time up to this, for each key anew; less than max_age_ms. */
    uint64_t max_age_jitter_ms;
    /*
     * For so long after a failed fetch whoever would begin another gets the same error at once; doubled with
     * each further failure in a row, up to 32 times that. kf_cache_clear ends it. At most a day (86,400,000).
     */
    uint64_t failure_backoff_ms;
    /*
     * A stream that reserved a bound (plaintext_bound) gives back, once its message is whole, the bytes that
     * it did not use. A CMM in between has to pass the bound on as it is.
     */
    bool settle;
    struct kf_cache_listener *listener; /* is told what happens; NULL: nobody */
};

#define KF_CACHING_CMM_OPTIONS_INIT                                                        \
    {                                                                                      \
        sizeof(struct kf_caching_cmm_options), NULL, NULL, NULL, 0, KF_MAX_MESSAGES_LIMIT, \
            KF_MAX_BYTES_LIMIT, {NULL, 0}, 10000, 0, 0, 0, 0, false, NULL                  \
    }

KF_API void kf_caching_cmm_options_init(struct kf_caching_cmm_options *out, size_t size);

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
