/*
 * The cache: at most one entry for each key, any number of flights, and every use charged exactly once.
 *
 * Called by the caching CMM. Shape in memory: a fixed table of buckets, each with its entries and its open
 * flights, the oldest first; all entries once more in a list by their last use. A question that finds neither
 * an entry nor a flight with room opens a flight; that flight, when it lands with budget left, becomes the
 * entry.
 *
 * One lock guards all of that. Under it nothing is allocated, freed, wiped, woken or called back: what is
 * needed is prepared before, what is to be freed is collected and freed after. `ask` and `land` are one
 * critical section each: two would let a landing slip between two looks.
 */
#include "materials/cache.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/memory.h"
#include "materials/budget.h"

struct bucket {
    struct kfi_list entries; /* of struct entry, by in_bucket */
    struct kfi_list
        flights; /* of struct fetch, by in_bucket; those that have messages left, the oldest first */
};

struct kf_cache {
    struct kfi_refs refs;
    struct kfi_fork_guard guard;
    size_t capacity;
    size_t bucket_count; /* a power of 2 */
    struct bucket *buckets;

    pthread_mutex_t
        lock; /* guards what follows, the buckets' lists, entries, and flights' seats and budgets; a leaf */
    struct kfi_list by_use; /* of struct entry, the one used last in front */
    uint64_t opened;        /* flights ever opened: their order */
    uint64_t clearings;     /* how often the cache was cleared */
    struct kf_cache_stats stats;
};

/* Live materials with budget left. */
struct entry {
    struct kfi_link in_bucket;
    struct kfi_link by_use; /* or in a list of those to free */
    struct kfi_cache_key key;
    const struct kfi_cache_kind *kind;
    void *value;
    uint64_t landed_at;
    struct kfi_budget budget;
};

/* A flight of this cache. */
struct fetch {
    struct kfi_flight flight; /* first, so that a flight is its fetch */
    struct kf_cache *cache;
    const struct kfi_cache_kind *kind;
    void *request; /* its own copy */
    struct kfi_cache_key key;
    struct entry *entry; /* memory for what it may become */

    /* Under the cache's lock. */
    struct kfi_link in_bucket;
    uint64_t order; /* of opening */
    /* At the opening: if there were more since, it is barred from new seats and from becoming the entry. */
    uint64_t clearings;
    size_t seated;
    struct kfi_budget budget;
};

/* A caller's seat, and what it was charged for it. */
struct seat {
    struct kfi_seat seat; /* first */
    uint64_t length;
};

static void lock(struct kf_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
}

static void unlock(struct kf_cache *cache)
{
    pthread_mutex_unlock(&cache->lock);
}

/* ---- The cache itself ---- */

/* Makes everything that the lock guards anew; what was there is abandoned. */
static void reset(void *context)
{
    struct kf_cache *cache = context;
    pthread_mutex_init(&cache->lock, NULL);
    for (size_t i = 0; i < cache->bucket_count; i++) {
        kfi_list_init(&cache->buckets[i].entries);
        kfi_list_init(&cache->buckets[i].flights);
    }
    kfi_list_init(&cache->by_use);
    cache->opened = 0;
    cache->clearings = 0;
    cache->stats = (struct kf_cache_stats){.size = sizeof cache->stats};
}

enum kf_code kf_cache_new(size_t capacity, struct kf_error *error, struct kf_cache **out)
{
    *out = NULL;
    if (!kfi_fork_ready())
        return kf_error_set(error, KF_E_SYSTEM,
                            "The handler that keeps forked processes safe can't be registered.");
    struct kf_cache *cache = kfi_alloc_zeroed(sizeof *cache);
    if (cache == NULL)
        return kfi_no_memory(error);
    cache->bucket_count = 64;
    while (cache->bucket_count < capacity && cache->bucket_count < 65536)
        cache->bucket_count *= 2;
    cache->buckets = kfi_alloc(cache->bucket_count * sizeof(struct bucket));
    if (cache->buckets == NULL) {
        kfi_free(cache);
        return kfi_no_memory(error);
    }
    cache->capacity = capacity;
    kfi_refs_init(&cache->refs);
    kfi_fork_guard_init(&cache->guard);
    reset(cache);
    *out = cache;
    return KF_OK;
}

struct kf_cache *kf_cache_ref(struct kf_cache *cache)
{
    if (cache != NULL)
        kfi_refs_add(&cache->refs, 1);
    return cache;
}

static void entries_free(struct kfi_list *garbage)
{
    for (struct kfi_link *link; (link = kfi_list_pop(garbage)) != NULL;) {
        struct entry *entry = KFI_CONTAINER(link, struct entry, by_use);
        entry->kind->value_unref(entry->value);
        kfi_free(entry);
    }
}

void kf_cache_unref(struct kf_cache *cache)
{
    if (cache == NULL || !kfi_refs_drop(&cache->refs))
        return;
    kfi_fork_guard_check(&cache->guard, reset, cache);
    /* Flights hold a reference, so that only entries are left. */
    entries_free(&cache->by_use);
    pthread_mutex_destroy(&cache->lock);
    kfi_free(cache->buckets);
    kfi_free(cache);
}

/* ---- Entries, under the lock ---- */

static struct bucket *bucket_of(struct kf_cache *cache, const struct kfi_cache_key *key)
{
    uint64_t hash;
    memcpy(&hash, key->id, sizeof hash);
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

static bool key_equal(const struct kfi_cache_key *a, const struct kfi_cache_key *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static struct entry *entry_find_locked(struct bucket *bucket, const struct kfi_cache_key *key)
{
    for (struct kfi_link *link = kfi_list_first(&bucket->entries); link != NULL;
         link = kfi_list_next(&bucket->entries, link)) {
        struct entry *entry = KFI_CONTAINER(link, struct entry, in_bucket);
        if (key_equal(&entry->key, key))
            return entry;
    }
    return NULL;
}

/* Expired is who has reached max_age; so a key is never handed out at an age of max_age_ms or more. */
static bool entry_expired(const struct entry *entry, uint64_t max_age_ms, uint64_t now)
{
    return now - entry->landed_at >= max_age_ms;
}

/*
 * Ends an entry, or what would have become one, and counts why: a budget that is used up is the reason even
 * where something else ends it.
 */
static void entry_end_locked(struct kf_cache *cache, struct entry *entry, uint64_t *reason,
                             struct kfi_list *garbage)
{
    const struct kfi_budget *budget = &entry->budget;
    if (budget->messages >= budget->limits.max_messages)
        reason = &cache->stats.ended_messages;
    else if (budget->bytes >= budget->limits.max_bytes && budget->bytes > 0)
        reason = &cache->stats.ended_bytes;
    ++*reason;
    if (kfi_linked(&entry->in_bucket)) {
        kfi_unlink(&entry->in_bucket);
        kfi_unlink(&entry->by_use);
        cache->stats.entries--;
    }
    kfi_list_push_back(garbage, &entry->by_use);
}

/* Puts an entry into its place, making room for it. */
static void entry_insert_locked(struct kf_cache *cache, struct bucket *bucket, struct entry *entry,
                                struct kfi_list *garbage)
{
    kfi_list_push_front(&bucket->entries, &entry->in_bucket);
    kfi_list_push_front(&cache->by_use, &entry->by_use);
    cache->stats.entries++;
    while (cache->stats.entries > cache->capacity) {
        struct entry *last = KFI_CONTAINER(kfi_list_last(&cache->by_use), struct entry, by_use);
        bool expired = entry_expired(last, last->budget.limits.max_age_ms, entry->landed_at);
        entry_end_locked(cache, last, expired ? &cache->stats.ended_age : &cache->stats.ended_capacity,
                         garbage);
    }
}

/* ---- Flights ---- */

/* Puts a flight where others find it, in the order of opening. */
static void fetch_insert_locked(struct kf_cache *cache, struct fetch *fetch)
{
    struct bucket *bucket = bucket_of(cache, &fetch->key);
    struct kfi_link *place = &bucket->flights.ring;
    while (place->previous != &bucket->flights.ring &&
           KFI_CONTAINER(place->previous, struct fetch, in_bucket)->order > fetch->order)
        place = place->previous;
    kfi_link_insert_after(place->previous, &fetch->in_bucket);
}

static void fetch_seat_locked(struct kf_cache *cache, struct fetch *fetch,
                              const struct kfi_cache_question *question, struct seat *seat)
{
    kfi_budget_charge(&fetch->budget, &question->limits, question->length);
    seat->length = question->length;
    kfi_seat_take_locked(&seat->seat, &fetch->flight);
    fetch->seated++;
    cache->stats.waiting++;
    if (fetch->budget.messages >= fetch->budget.limits.max_messages && kfi_linked(&fetch->in_bucket))
        kfi_unlink(&fetch->in_bucket);
}

/* Makes an entry of a flight that landed well, if it has a place there. */
static void fetch_keep_locked(struct kf_cache *cache, struct fetch *fetch, struct kfi_list *garbage)
{
    struct entry *entry = fetch->entry;
    fetch->entry = NULL;
    entry->key = fetch->key;
    entry->kind = fetch->kind;
    entry->value = fetch->kind->value_ref(fetch->flight.result);
    entry->landed_at = kfi_now_ms();
    entry->budget = fetch->budget;

    if (entry->budget.messages >= entry->budget.limits.max_messages) {
        entry_end_locked(cache, entry, &cache->stats.ended_messages, garbage);
        return;
    }
    if (fetch->clearings != cache->clearings) {
        entry_end_locked(cache, entry, &cache->stats.ended_cleared, garbage);
        return;
    }
    struct bucket *bucket = bucket_of(cache, &entry->key);
    struct entry *other = entry_find_locked(bucket, &entry->key);
    if (other != NULL && entry_expired(other, other->budget.limits.max_age_ms, entry->landed_at)) {
        entry_end_locked(cache, other, &cache->stats.ended_age, garbage);
        other = NULL;
    }
    if (other != NULL) {
        int order = kfi_budget_compare(&other->budget, &entry->budget);
        if (order == 0) /* a tie keeps the later expiry */
            order = kfi_ms_after(other->landed_at, other->budget.limits.max_age_ms) >
                            kfi_ms_after(entry->landed_at, entry->budget.limits.max_age_ms)
                        ? 1
                        : -1;
        entry_end_locked(cache, order > 0 ? entry : other, &cache->stats.ended_replaced, garbage);
        if (order > 0)
            return;
    }
    entry_insert_locked(cache, bucket, entry, garbage);
}

static void fetch_land(struct kfi_flight *flight)
{
    struct fetch *fetch = (struct fetch *)flight;
    struct kf_cache *cache = fetch->cache;
    struct kfi_list seated, garbage;
    kfi_list_init(&seated);
    kfi_list_init(&garbage);

    lock(cache);
    if (kfi_linked(&fetch->in_bucket))
        kfi_unlink(&fetch->in_bucket);
    cache->stats.waiting -= fetch->seated;
    kfi_flight_land_locked(flight, &seated);
    if (flight->code == KF_OK)
        fetch_keep_locked(cache, fetch, &garbage);
    else
        cache->stats.flights_failed++;
    unlock(cache);

    kfi_flight_deliver(&seated);
    entries_free(&garbage);
}

static enum kf_code fetch_poll(struct kfi_flight *flight, struct kf_error *error, void **result)
{
    struct fetch *fetch = (struct fetch *)flight;
    return fetch->kind->fetch(fetch->request, &flight->call, error, result);
}

static void fetch_destroy(struct kfi_flight *flight)
{
    struct fetch *fetch = (struct fetch *)flight;
    if (flight->result != NULL)
        fetch->kind->value_unref(flight->result);
    fetch->kind->request_free(fetch->request);
    kfi_free(fetch->entry);
    kf_cache_unref(fetch->cache);
    kfi_free(fetch);
}

static struct fetch *fetch_new(struct kf_cache *cache, const struct kfi_cache_question *question)
{
    static const struct kfi_flight_class class = {
        .poll = fetch_poll, .land = fetch_land, .destroy = fetch_destroy};
    struct fetch *fetch = kfi_alloc_zeroed(sizeof *fetch);
    if (fetch == NULL)
        return NULL;
    fetch->entry = kfi_alloc_zeroed(sizeof *fetch->entry);
    fetch->request = question->kind->request_copy(question->request);
    if (fetch->entry == NULL || fetch->request == NULL) {
        if (fetch->request != NULL)
            question->kind->request_free(fetch->request);
        kfi_free(fetch->entry);
        kfi_free(fetch);
        return NULL;
    }
    kfi_flight_init(&fetch->flight, &class, question->fetch_timeout_ms);
    fetch->cache = kf_cache_ref(cache);
    fetch->kind = question->kind;
    fetch->key = question->key;
    fetch->budget.limits = question->limits;
    return fetch;
}

/* ---- Asking ---- */

/* What a look at the cache came to. */
enum look {
    HIT,
    COALESCED,
    OPENED,
    NEEDS_SEAT,
    NEEDS_FLIGHT
};

/* What was prepared outside the lock; what a look makes use of it takes away. */
struct prepared {
    struct seat *seat;
    struct fetch *fetch;
    struct kfi_list garbage;
};

static bool hit_locked(struct kf_cache *cache, struct bucket *bucket,
                       const struct kfi_cache_question *question, struct prepared *prepared, void **value)
{
    struct entry *entry = entry_find_locked(bucket, &question->key);
    if (entry == NULL)
        return false;
    uint64_t now = kfi_now_ms();
    if (entry_expired(entry, entry->budget.limits.max_age_ms, now)) {
        entry_end_locked(cache, entry, &cache->stats.ended_age, &prepared->garbage);
        return false;
    }
    /* What does not fit is a refusal: it leaves the entry as it is. */
    if (entry_expired(entry, question->limits.max_age_ms, now) ||
        !kfi_budget_fits(&entry->budget, &question->limits, question->length))
        return false;
    kfi_budget_charge(&entry->budget, &question->limits, question->length);
    *value = entry->kind->value_ref(entry->value);
    if (entry->budget.messages >= entry->budget.limits.max_messages) {
        entry_end_locked(cache, entry, &cache->stats.ended_messages, &prepared->garbage);
    } else {
        kfi_unlink(&entry->by_use);
        kfi_list_push_front(&cache->by_use, &entry->by_use);
    }
    cache->stats.hits++;
    return true;
}

/* The oldest open flight that this question fits into, or NULL. */
static struct fetch *flight_find_locked(struct bucket *bucket, const struct kfi_cache_question *question)
{
    for (struct kfi_link *link = kfi_list_first(&bucket->flights); link != NULL;
         link = kfi_list_next(&bucket->flights, link)) {
        struct fetch *fetch = KFI_CONTAINER(link, struct fetch, in_bucket);
        if (key_equal(&fetch->key, &question->key) &&
            kfi_budget_fits(&fetch->budget, &question->limits, question->length))
            return fetch;
    }
    return NULL;
}

static enum look look_locked(struct kf_cache *cache, const struct kfi_cache_question *question,
                             struct prepared *prepared, void **value)
{
    struct bucket *bucket = bucket_of(cache, &question->key);
    if (hit_locked(cache, bucket, question, prepared, value))
        return HIT;

    struct fetch *fetch = flight_find_locked(bucket, question);
    if (fetch == NULL && prepared->fetch == NULL)
        return NEEDS_FLIGHT;
    if (prepared->seat == NULL)
        return NEEDS_SEAT;
    enum look look = COALESCED;
    if (fetch == NULL) {
        look = OPENED;
        fetch = prepared->fetch;
        prepared->fetch = NULL;
        fetch->order = cache->opened++;
        fetch->clearings = cache->clearings;
        fetch_insert_locked(cache, fetch);
        cache->stats.flights_opened++;
    } else {
        cache->stats.coalesced++;
    }
    fetch_seat_locked(cache, fetch, question, prepared->seat);
    return look;
}

/* Gives up a seat, or what is left of one after its landing: the drop of a call's state. */
static void seat_drop(void *state)
{
    struct seat *seat = state;
    struct fetch *fetch = (struct fetch *)seat->seat.flight;
    struct kf_cache *cache = fetch->cache;
    lock(cache);
    if (kfi_seat_leave_locked(&seat->seat)) {
        kfi_budget_refund(&fetch->budget, seat->length);
        fetch->seated--;
        cache->stats.waiting--;
        /* There is room again. Behind a clearing nobody may take it. */
        if (!kfi_linked(&fetch->in_bucket) && fetch->clearings == cache->clearings)
            fetch_insert_locked(cache, fetch);
    }
    unlock(cache);
    kfi_seat_unref(&seat->seat);
}

enum kf_code kfi_cache_poll(struct kf_call *call, struct kf_error *error, void **value)
{
    struct seat *seat = kf_call_state(call);
    const struct fetch *fetch = (const struct fetch *)seat->seat.flight;
    lock(fetch->cache);
    bool landed = fetch->flight.landed;
    unlock(fetch->cache);
    if (!landed)
        return KF_PENDING;
    if (fetch->flight.code != KF_OK)
        return kf_error_set(error, fetch->flight.code, "%s", fetch->flight.error.text);
    *value = fetch->kind->value_ref(fetch->flight.result);
    return KF_OK;
}

/* What a question is compared by with the fetches around it. */
struct asked {
    const struct kf_cache *cache;
    const struct kfi_cache_key *key;
};

static bool is_asked(const struct kfi_flight *flight, const void *what)
{
    const struct asked *asked = what;
    if (flight->class->land != fetch_land)
        return false; /* somebody else's flight */
    const struct fetch *fetch = (const struct fetch *)flight;
    return fetch->cache == asked->cache && key_equal(&fetch->key, asked->key);
}

enum kf_code kfi_cache_ask(struct kf_cache *cache, struct kf_call *call,
                           const struct kfi_cache_question *question, struct kf_error *error, void **value)
{
    const struct asked asked = {cache, &question->key};
    if (kfi_flight_encloses(call, is_asked, &asked))
        return kf_error_set(
            error, KF_E_USAGE,
            "Inside the fetch of a key somebody asked the cache for that very key: a keyring or CMM must "
            "not encrypt with the CMM that waits for it.");

    struct prepared prepared = {NULL, NULL, {{NULL, NULL}}};
    kfi_list_init(&prepared.garbage);
    kfi_fork_guard_check(&cache->guard, reset, cache);
    struct fetch *opened = NULL;
    enum look look;
    enum kf_code code = KF_OK;
    do {
        struct fetch *fetch = prepared.fetch;
        lock(cache);
        look = look_locked(cache, question, &prepared, value);
        unlock(cache);
        if (look == OPENED)
            opened = fetch;
        if (look == NEEDS_FLIGHT && (prepared.fetch = fetch_new(cache, question)) == NULL)
            code = kfi_no_memory(error);
        if (look >= NEEDS_SEAT && prepared.seat == NULL &&
            (prepared.seat = kfi_seat_new(sizeof *prepared.seat, call)) == NULL)
            code = kfi_no_memory(error);
    } while (look >= NEEDS_SEAT && code == KF_OK);

    entries_free(&prepared.garbage);
    if (prepared.fetch != NULL)
        kfi_flight_unref(&prepared.fetch->flight);
    if (look == HIT || code != KF_OK) {
        if (prepared.seat != NULL)
            kfi_seat_unref(&prepared.seat->seat);
        return code;
    }
    kf_call_state_set(call, prepared.seat, seat_drop);
    if (look == OPENED)
        kfi_flight_launch(&opened->flight);
    return kfi_cache_poll(call, error, value);
}

void kfi_cache_count_bypass(struct kf_cache *cache)
{
    kfi_fork_guard_check(&cache->guard, reset, cache);
    lock(cache);
    cache->stats.bypasses++;
    unlock(cache);
}

/* ---- The rest of the public face ---- */

void kf_cache_clear(struct kf_cache *cache)
{
    struct kfi_list garbage;
    kfi_list_init(&garbage);
    kfi_fork_guard_check(&cache->guard, reset, cache);
    lock(cache);
    cache->clearings++;
    for (struct kfi_link *link; (link = kfi_list_first(&cache->by_use)) != NULL;)
        entry_end_locked(cache, KFI_CONTAINER(link, struct entry, by_use), &cache->stats.ended_cleared,
                         &garbage);
    for (size_t i = 0; i < cache->bucket_count; i++) {
        while (kfi_list_pop(&cache->buckets[i].flights) != NULL) {
        }
    }
    unlock(cache);
    entries_free(&garbage);
}

void kf_cache_stats(struct kf_cache *cache, struct kf_cache_stats *out)
{
    size_t size = out->size < sizeof *out ? out->size : sizeof *out;
    kfi_fork_guard_check(&cache->guard, reset, cache);
    lock(cache);
    struct kf_cache_stats stats = cache->stats;
    unlock(cache);
    stats.size = out->size;
    memcpy(out, &stats, size);
}
