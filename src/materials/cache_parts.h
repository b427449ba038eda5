/*
 * The parts of the cache, for its own files: cache.c (the cache and asking), cache_entry.c (keys that are
 * there) and cache_fetch.c (keys under way). Nobody else includes this.
 *
 * Shape in memory: a fixed table of buckets of places. A place is all that there is for one internal key: the
 * entry, the key parked behind it, the flights under way and those among them with room, the callers who wait
 * for a flight to begin, and the last failure. It comes with the first flight and goes when it is empty.
 *
 * One lock guards all of that. Under it nothing is allocated, freed, wiped, woken or called back: what is
 * needed is prepared before, what is to be freed is collected and freed after.
 */
#ifndef KFI_MATERIALS_CACHE_PARTS_H
#define KFI_MATERIALS_CACHE_PARTS_H

#include <pthread.h>

#include "base/fork.h"
#include "materials/budget.h"
#include "materials/cache.h"

struct kf_cache {
    struct kfi_refs refs;
    struct kfi_fork_guard guard;
    size_t capacity;
    size_t bucket_count;      /* a power of 2 */
    struct kfi_list *buckets; /* of struct place */

    pthread_mutex_t lock;     /* guards what follows, and all that is in places; a leaf */
    struct kfi_list by_use;   /* of struct entry, the one used last in front; parked ones are not in it */
    struct kfi_list failures; /* of struct failure, the latest in front */
    size_t failure_count;
    uint64_t opened;    /* flights ever opened: their order, and number */
    uint64_t clearings; /* how often the cache was cleared */
    struct kf_cache_stats stats;
};

/*
 * Where looking for room may begin: before `flight` none of those with room takes a message of `length` bytes
 * or more under `limits`. A burst whose flights are full by bytes so looks at each of them once.
 */
struct hint {
    struct fetch *flight; /* NULL: none; look at all */
    uint64_t length;
    struct kfi_limits limits;
};

struct place {
    struct kfi_link in_bucket; /* or in a list of those to free */
    struct kfi_cache_key key;
    struct entry *entry;     /* or NULL */
    struct entry *parked;    /* fetched ahead; NULL if there is no entry */
    struct kfi_list flights; /* of struct fetch, by in_place; those with messages left, the oldest first */
    struct hint hint;
    size_t under_way; /* flights that have not landed, full and barred ones too */
    struct kfi_list
        waiting; /* of struct seat, the first to come in front; only while flights are under way */
    struct failure *failure; /* or NULL */
};

/* Live materials. */
struct entry {
    struct place *place;    /* NULL once it ended */
    struct kfi_link by_use; /* while it is a place's entry; or in a list of those to free */
    const struct kfi_cache_kind *kind;
    struct kf_cache_listener *listener; /* a reference */
    void *value;
    uint64_t flight; /* the number of the one it came with */
    uint64_t landed_at;
    struct kfi_budget budget;
    bool settles;
    bool refreshed; /* the next key is being fetched, or was: once for each entry */
    enum kf_cache_end end;
};

/* The last failure of a place, for the time in which nobody may try again. */
struct failure {
    struct kfi_link link; /* in cache->failures, or in a list of those to free */
    struct place *place;
    struct kf_error error;
    unsigned times;  /* in a row */
    uint64_t opened; /* flights opened before it: what fails of these is no further failure in a row */
    uint64_t until;
};

/* A flight of this cache. */
struct fetch {
    struct kfi_flight flight; /* first, so that a flight is its fetch */
    struct kf_cache *cache;
    const struct kfi_cache_kind *kind;
    struct kfi_cache_policy policy; /* the opener's, with a reference to its listener */
    void *request;                  /* a copy; those who fly after it share it */
    struct kfi_cache_key key;
    uint64_t jitter_ms;
    /* Memory for what may come of it; NULL once used. */
    struct entry *entry;
    struct place *spare;
    struct failure *failure; /* only with a backoff */

    /* Under the cache's lock. */
    struct place *place; /* from the opening to the landing */
    struct kfi_link in_place;
    uint64_t order; /* of opening */
    /* At the opening: if there were more since, it is barred from new seats and from becoming the entry. */
    uint64_t clearings;
    bool refresh; /* ahead of need */
    size_t seated;
    struct kfi_budget budget;
};

/*
 * A caller's seat, and what he is charged for it. While he waits for his turn it is in no flight, and `code`
 * is KF_PENDING; if he is then answered without a flight of his own, the answer is in `code` and `value`.
 */
struct seat {
    struct kfi_seat seat; /* first */
    struct kf_cache *cache;
    const struct kfi_cache_policy *policy;
    uint64_t length;
    const struct kfi_cache_kind *kind;
    struct place *place; /* while he waits for his turn */
    void *value;         /* a reference, until it is handed out */
    enum kf_code code;
};

/* What is to be freed once the lock was left. */
struct garbage {
    struct kfi_list entries, places, failures;
};

void kfi_cache_lock(struct kf_cache *cache);
void kfi_cache_unlock(struct kf_cache *cache);

/* The place of a key, or NULL. */
struct place *kfi_place_find_locked(struct kf_cache *cache, const struct kfi_cache_key *key);
/* Makes zeroed memory the place of a key that has none. */
struct place *kfi_place_add_locked(struct kf_cache *cache, struct place *place,
                                   const struct kfi_cache_key *key);
/* Ends a place with nothing in it. */
void kfi_place_tidy_locked(struct place *place, struct garbage *garbage);

void kfi_garbage_init(struct garbage *garbage);
/* Frees it, outside the lock, and tells of the keys that ended. */
void kfi_garbage_free(struct garbage *garbage);

/* ---- Keys that are there (cache_entry.c) ---- */

/* The key that this message may be charged to, or NULL. Ends what expired; a refusal changes nothing else. */
struct entry *kfi_entry_usable_locked(struct kf_cache *cache, struct place *place,
                                      const struct kfi_cache_policy *policy, uint64_t length,
                                      struct garbage *garbage);
/*
 * Charges one message to a usable entry and answers a reference to its materials. Counts a hit. True in
 * `*refresh` if the next key should be fetched now, which is asked of the caller once.
 */
void *kfi_entry_charge_locked(struct kf_cache *cache, struct entry *entry,
                              const struct kfi_cache_policy *policy, uint64_t length, bool *refresh,
                              struct garbage *garbage);
/* Makes an entry of a flight that landed well, or parks it, if it has a place there. */
void kfi_entry_keep_locked(struct kf_cache *cache, struct fetch *fetch, struct garbage *garbage);
/* Takes the entry of a place out, and what is parked behind it. */
void kfi_entry_clear_locked(struct kf_cache *cache, struct place *place, struct garbage *garbage);

/* ---- Keys under way (cache_fetch.c) ---- */

/* A flight for a question, not opened yet. Errors: KF_E_NO_MEMORY, KF_E_SYSTEM (no random bytes). */
enum kf_code kfi_fetch_new(struct kf_cache *cache, const struct kfi_cache_question *question,
                           struct kf_error *error, struct fetch **out);
/* The oldest flight with room for this message, or NULL. */
struct fetch *kfi_fetch_find_locked(struct place *place, const struct kfi_cache_policy *policy,
                                    uint64_t length);
/* Puts a flight where others find it, under these limits; `place` may be NULL: then it brings its own. */
void kfi_fetch_open_locked(struct kf_cache *cache, struct place *place, struct fetch *fetch,
                           const struct kfi_limits *limits);
void kfi_fetch_seat_locked(struct fetch *fetch, struct seat *seat);
/* Bars the flights of a place from new seats. */
void kfi_fetch_bar_locked(struct place *place);
/* Whether a fetch that opened now would come too early behind a failure. */
bool kfi_failure_holds(const struct place *place, const struct kfi_cache_policy *policy);
void kfi_failure_forget_locked(struct kf_cache *cache, struct failure *failure, struct garbage *garbage);
/* Gives up a seat, or a turn, or what is left of one after its answer: the drop of a call's state. */
void kfi_seat_drop(void *state);
/* Whether `flight` is a fetch of this key in this cache. */
bool kfi_fetch_is(const struct kfi_flight *flight, const struct kf_cache *cache,
                  const struct kfi_cache_key *key);

/* An event about a fetch. */
struct kf_cache_event kfi_fetch_event(const struct fetch *fetch, enum kf_cache_event_kind kind);

#endif
