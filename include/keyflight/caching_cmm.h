/*
 * The caching CMM and its cache: one call to the key service serves many messages, and each is counted, however many
 * threads ask at once.
 *
 * Equal requests share a data key until it has encrypted max_messages messages or max_bytes bytes, or is max_age_ms
 * old. Requests that find no key share what they fetch, too: a burst makes as many calls as the limits demand, all of
 * them at once, whatever the capacity. (S: framework/caching-cmm.md)
 */
#ifndef KEYFLIGHT_CACHING_CMM_H
#define KEYFLIGHT_CACHING_CMM_H

#include <keyflight/cmm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kf_cache;

/*
 * Makes a cache of the `capacity` data keys that were used last, those for encryption and those for decryption
 * together. With 0 it keeps none, and requests at the same time still share what they fetch. Several caching CMMs may
 * share a cache. It takes memory for the keys that are there, not for the capacity. Errors: KF_E_SYSTEM, KF_E_NO_MEMORY.
 *
 * A key that is too old (max_age_ms) is freed without being asked for: a few of them with each use of the cache; and
 * where the process has the library's internal thread, all of them within a minute, in which the machine does not sleep.
 * No thread is started for this. A cache comes under a thread that started later when it is used next. Without one, a
 * cache that is not used keeps what it has until it is used, cleared or released.
 */
KF_CODE kf_cache_new(size_t capacity, struct kf_error *error, struct kf_cache **out);
KF_API struct kf_cache *kf_cache_ref(struct kf_cache *cache);
KF_API void kf_cache_unref(struct kf_cache *cache);

/*
 * Forgets every data key. A fetch that is under way answers those who wait for it already, and nobody else, and what
 * it brings is not kept. When this returns all keys from before are gone, and no request that begins then gets one.
 * Requests at the same time go on: from some moment of the call on, all of them get new keys. Many keys are freed in
 * batches, and a request waits for one batch at most.
 *
 * If a snapshot of a running machine or process is started more than once, each copy has to call this before it
 * encrypts: in copies random bytes repeat, and with them message ids, which must not happen under one data key. For
 * data keys that a raw keyring makes, each copy calls OpenSSL's RAND_poll as well.
 */
KF_API void kf_cache_clear(struct kf_cache *cache);

/*
 * What happened since the cache was made, or in a forked child since the fork. `waiting`, `entries`, `parked` and
 * `queued` say how it is now. A fetch is one call to the backing CMM.
 */
struct kf_cache_stats {
    size_t size;             /* sizeof(struct kf_cache_stats), set by the caller */
    uint64_t hits;           /* requests that were answered by a key in the cache */
    uint64_t coalesced;      /* requests that took a seat in a fetch which another one had begun */
    uint64_t flights_opened; /* fetches that were begun, bypasses not counted */
    uint64_t flights_failed; /* fetches that ended in an error */
    uint64_t bypasses;       /* requests that went to the backing CMM, past the cache */
    uint64_t waiting;        /* requests that wait for a fetch */
    uint64_t entries;        /* keys in the cache, `parked` ones not counted */
    uint64_t ended_messages; /* keys that left the cache because they reached max_messages, */
    uint64_t ended_bytes;    /* ... because they reached max_bytes, */
    uint64_t ended_age;      /* ... because they reached max_age_ms, */
    uint64_t ended_capacity; /* ... because the cache was full and other keys were used later, */
    uint64_t ended_replaced; /* ... because a key that can be used more often came, */
    uint64_t ended_cleared;  /* ... because kf_cache_clear was called */

    uint64_t refreshes;     /* fetches that were begun ahead of need (refresh_ahead_permille) */
    uint64_t parked;        /* keys that came ahead of need, and wait until the one before them is used up */
    uint64_t waves;         /* fetches that were begun for requests in line (max_flights) */
    uint64_t queued;        /* requests in line for a fetch to begin */
    uint64_t settled_bytes; /* bytes that messages gave back (settle), as far as their keys were used again */
    uint64_t failed_fast;   /* requests that got the last error without a fetch (failure_backoff_ms) */
};

#define KF_CACHE_STATS_INIT                                                                    \
    {                                                                                          \
        sizeof(struct kf_cache_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
    }

KF_API void kf_cache_stats_init(struct kf_cache_stats *out, size_t size);

/* Reads the statistics of both directions: fills `*out` as far as its size says. */
KF_API void kf_cache_stats_read(struct kf_cache *cache, struct kf_cache_stats *out);

/* The same for one direction: for decryption alone (`decrypts`), or for encryption alone. */
KF_API void kf_cache_stats_read_direction(struct kf_cache *cache, bool decrypts, struct kf_cache_stats *out);

/* ---- Events ---- */

enum kf_cache_event_kind {
    KF_CACHE_MISS = 1,      /* a fetch begins */
    KF_CACHE_COALESCED = 2, /* a request takes a seat in a fetch that another one began */
    KF_CACHE_LANDED = 3,    /* a fetch brought a data key */
    KF_CACHE_FAILED = 4,    /* a fetch failed */
    KF_CACHE_ENDED = 5,     /* a data key left the cache; not told when the cache itself ends */
    KF_CACHE_LOW_REUSE = 6, /* data keys are hardly ever used twice, because of some keys of the context */
};

KF_API const char *kf_cache_event_kind_name(enum kf_cache_event_kind kind);

/* Why a data key left the cache: see the counters ended_… of struct kf_cache_stats. */
enum kf_cache_end {
    KF_CACHE_END_MESSAGES = 1,
    KF_CACHE_END_BYTES = 2,
    KF_CACHE_END_AGE = 3,
    KF_CACHE_END_CAPACITY = 4,
    KF_CACHE_END_REPLACED = 5,
    KF_CACHE_END_CLEARED = 6,
};

KF_API const char *kf_cache_end_name(enum kf_cache_end end);

/*
 * What a listener is told. All that it points to lives until the listener returns. What does not belong to the kind
 * is zero.
 */
struct kf_cache_event {
    enum kf_cache_event_kind kind;
    bool decrypts;           /* it is about data keys for decryption */
    bool refresh;            /* MISS, LANDED, FAILED: the fetch is ahead of need */
    uint64_t flight;         /* all but LOW_REUSE: the number of the fetch, from 0 in each cache */
    const char *fingerprint; /* LANDED: that of the first EDK (kf_edk_fingerprint) */
    /* LANDED: the KMS key in the first EDK of AWS KMS; data is NULL if there is none. */
    struct kf_view key_arn;
    struct kf_view request_id;    /* LANDED, FAILED: what the keyring said (kf_call_request_id_set) */
    const struct kf_error *error; /* FAILED */
    enum kf_cache_end end;        /* ENDED */
    uint64_t messages;            /* ENDED: so many messages were charged to the data key, */
    uint64_t bytes;               /* ... and so many bytes of plaintext */
    /* LOW_REUSE: keys of the encryption context whose values are nearly always new. Never their values. */
    const struct kf_view *context_keys;
    size_t context_key_count;
    uint64_t misses; /* LOW_REUSE: so many fetches say so */
};

/*
 * Makes a listener: a function that is told what happens in a cache. Caching CMMs, fetches and data keys refer to it.
 * Once nobody does any more, `drop` (may be NULL) is called with `context`, on whatever thread that is.
 *
 * on_event(context, event) is called from any thread, also from the library's own, and from several at once. The
 * library holds no lock meanwhile, so events of different threads may come in another order than they happened. The
 * function must not block, and must not encrypt or decrypt through this cache. It may call kf_cache_stats_read.
 * Errors: KF_E_USAGE, KF_E_NO_MEMORY.
 */
struct kf_cache_listener;
KF_CODE kf_cache_listener_new(void (*on_event)(void *context, const struct kf_cache_event *event),
                              void *context, void (*drop)(void *context), struct kf_error *error,
                              struct kf_cache_listener **out);
KF_API struct kf_cache_listener *kf_cache_listener_ref(struct kf_cache_listener *listener);
KF_API void kf_cache_listener_unref(struct kf_cache_listener *listener);

/* ---- Caching CMMs ---- */

/* The default and the greatest max_messages: 2^32. */
static const uint64_t KF_MAX_MESSAGES_LIMIT = 4294967296ULL;
/* The default and the greatest max_bytes: 2^63-1. */
static const uint64_t KF_MAX_BYTES_LIMIT = 9223372036854775807ULL;

struct kf_caching_cmm_options {
    size_t size;
    struct kf_cache *cache;     /* needed */
    struct kf_cmm *cmm;         /* the backing CMM, which is asked for new data keys. Needed: either this */
    struct kf_keyring *keyring; /* or this, for a default CMM on it */
    uint64_t max_age_ms;        /* needed: at least 1, counted from the moment when the data key came */
    uint64_t max_messages;      /* 1 to 2^32 */
    uint64_t max_bytes;         /* 0 to 2^63-1; longer messages bypass the cache */
    /*
     * Caching CMMs of one cache share data keys if they have the same id, of any length. They must have equal
     * backing CMMs then. Copied. Empty: this CMM shares with none.
     */
    struct kf_view partition_id;
    /*
     * How long one call to the backing CMM may take, at least 1. Then all who wait for it get KF_E_TIMEOUT, even while a
     * keyring blocks in it (only the caller whose thread is inside the keyring stays there until it returns), and those
     * who ask next begin a new call. While 4 calls of this CMM are over time and have not come back, none is begun:
     * requests that would need one get KF_E_TIMEOUT at once.
     */
    uint64_t fetch_timeout_ms;

    /* ---- For a service that bills and throttles. All are off (0) unless set. ---- */

    /*
     * When a data key that is used has no more than so many thousandths of its messages, bytes or age left, the next
     * one is fetched in the background. It is kept until the first is used up or too old: at most one call more for
     * each data key. 0 to 999; 100 is a good choice.
     */
    uint32_t refresh_ahead_permille;
    /*
     * At most so many fetches for equal requests at once. A burst that needs more takes more round trips. 0: any.
     * Where CMMs with other limits share data keys with this one, their fetches count too: while so many are under
     * way, whoever began them, a request of this CMM begins none and waits in line. Each fetch that ends begins one for
     * the first in the line, even if others have still more under way: one ends, one begins. So a request waits for as
     * many fetches to end, at the most, as there are requests in the line up to and with it, whatever the others do.
     */
    uint32_t max_flights;
    /* Makes max_age_ms shorter by a random time up to this, for each data key anew. Less than max_age_ms. */
    uint64_t max_age_jitter_ms;
    /*
     * For so long after a fetch has failed, a request that would begin another one gets the same error at once. The
     * time doubles with each further failure in a row, up to 32 times this. A success and kf_cache_clear end the row, and so
     * does a pause of 32 times this behind the time of the last failure. 0 to 86,400,000
     * (a day).
     */
    uint64_t failure_backoff_ms;
    /*
     * Whether a stream gives back, once its message is complete, the bytes of its plaintext_bound that it did not use.
     * A CMM in between has to pass the bound on unchanged.
     */
    bool settle;
    struct kf_cache_listener *listener; /* is told what happens; NULL: nobody is */
};

#define KF_CACHING_CMM_OPTIONS_INIT                                                        \
    {                                                                                      \
        sizeof(struct kf_caching_cmm_options), NULL, NULL, NULL, 0, KF_MAX_MESSAGES_LIMIT, \
            KF_MAX_BYTES_LIMIT, {NULL, 0}, 10000, 0, 0, 0, 0, false, NULL                  \
    }

KF_API void kf_caching_cmm_options_init(struct kf_caching_cmm_options *out, size_t size);

/*
 * Makes a caching CMM. Three kinds of requests bypass the cache: those of unknown length, those that are longer than
 * max_bytes, and those for a suite that derives no key. A message of such a request has a data key of its own.
 * Errors: KF_E_USAGE, KF_E_SYSTEM, KF_E_NO_MEMORY. Its messages may also fail with KF_E_TIMEOUT (fetch_timeout_ms
 * has passed), and with KF_E_USAGE where a keyring encrypts or decrypts in a fetch and would so wait for that fetch:
 * with its own CMM, or with others whose keyrings wait for it in a circle.
 */
KF_CODE kf_caching_cmm_new(const struct kf_caching_cmm_options *options, struct kf_error *error,
                           struct kf_cmm **out);

#ifdef __cplusplus
}
#endif

#endif
