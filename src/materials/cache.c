/*
 * The cache: at most one entry for each key, any number of flights, and every use charged exactly once.
 *
 * Called by the caching CMM. A question that finds neither an entry nor a flight with room opens a flight;
 * that flight, when it lands with budget left, becomes the entry. Where so many flights are under way as the
 * asker wants at most, it waits for its turn instead.
 *
 * `ask` and `land` (cache_fetch.c) are one critical section each: two would let a landing slip between two
 * looks.
 */
#include "materials/cache.h"

#include "base/error.h"
#include "base/memory.h"
#include "materials/cache_events.h"
#include "materials/cache_parts.h"

void kfi_cache_lock(struct kf_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
}

void kfi_cache_unlock(struct kf_cache *cache)
{
    pthread_mutex_unlock(&cache->lock);
}

/* ---- The cache itself ---- */

/* Makes everything that the lock guards anew; what was there is abandoned. */
static void reset(void *context)
{
    struct kf_cache *cache = context;
    pthread_mutex_init(&cache->lock, NULL);
    for (size_t i = 0; i < cache->bucket_count; i++)
        kfi_list_init(&cache->buckets[i]);
    kfi_list_init(&cache->by_use);
    kfi_list_init(&cache->failures);
    cache->failure_count = 0;
    cache->opened = 0;
    cache->clearings = 0;
    cache->stats = (struct kf_cache_stats){.size = sizeof cache->stats};
}

enum kf_code kf_cache_new(size_t capacity, struct kf_error *error, struct kf_cache **out)
{
    *out = NULL;
    enum kf_code code = kfi_fork_ready(error);
    if (code != KF_OK)
        return code;
    struct kf_cache *cache = kfi_alloc_zeroed(sizeof *cache);
    if (cache == NULL)
        return kfi_no_memory(error);
    cache->bucket_count = 64;
    while (cache->bucket_count < capacity && cache->bucket_count < 65536)
        cache->bucket_count *= 2;
    cache->buckets = kfi_alloc(cache->bucket_count * sizeof(struct kfi_list));
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

/* The entry of a place and what is parked behind it are let go without an end being told: nothing ended them. */
static void place_free(struct place *place)
{
    struct entry *entries[] = {place->entry, place->parked};
    struct garbage garbage;
    kfi_garbage_init(&garbage);
    for (size_t i = 0; i < 2; i++) {
        if (entries[i] == NULL)
            continue;
        if (kfi_linked(&entries[i]->by_use))
            kfi_unlink(&entries[i]->by_use);
        kfi_list_push_back(&garbage.entries, &entries[i]->by_use);
    }
    kfi_free(place->failure);
    kfi_list_push_back(&garbage.places, &place->in_bucket);
    kfi_garbage_free(&garbage);
}

void kf_cache_unref(struct kf_cache *cache)
{
    if (cache == NULL || !kfi_refs_drop(&cache->refs))
        return;
    kfi_fork_guard_check(&cache->guard, reset, cache);
    /* Flights hold a reference, so that only keys and failures are left. */
    for (size_t i = 0; i < cache->bucket_count; i++) {
        for (struct kfi_link *link; (link = kfi_list_pop(&cache->buckets[i])) != NULL;)
            place_free(KFI_CONTAINER(link, struct place, in_bucket));
    }
    pthread_mutex_destroy(&cache->lock);
    kfi_free(cache->buckets);
    kfi_free(cache);
}

/* ---- Places ---- */

static struct kfi_list *bucket_of(struct kf_cache *cache, const struct kfi_cache_key *key)
{
    uint64_t hash;
    memcpy(&hash, key->id, sizeof hash);
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

struct place *kfi_place_find_locked(struct kf_cache *cache, const struct kfi_cache_key *key)
{
    struct kfi_list *bucket = bucket_of(cache, key);
    for (struct kfi_link *link = kfi_list_first(bucket); link != NULL; link = kfi_list_next(bucket, link)) {
        struct place *place = KFI_CONTAINER(link, struct place, in_bucket);
        if (memcmp(&place->key, key, sizeof *key) == 0)
            return place;
    }
    return NULL;
}

struct place *kfi_place_add_locked(struct kf_cache *cache, struct place *place,
                                   const struct kfi_cache_key *key)
{
    place->key = *key;
    kfi_list_init(&place->flights);
    kfi_list_init(&place->waiting);
    kfi_list_push_front(bucket_of(cache, key), &place->in_bucket);
    return place;
}

void kfi_place_tidy_locked(struct place *place, struct garbage *garbage)
{
    if (place->entry != NULL || place->under_way > 0 || place->failure != NULL)
        return;
    kfi_unlink(&place->in_bucket);
    kfi_list_push_back(&garbage->places, &place->in_bucket);
}

/* ---- Asking ---- */

/* What was prepared outside the lock; what a look makes use of it takes away. */
struct prepared {
    struct seat *seat;
    struct fetch *fetch;
    struct garbage garbage;
};

/* What a look came to. */
struct looked {
    enum kfi_cache_look look;
    enum kf_code code; /* REFUSED */
    void *value;       /* HIT */
    bool refresh;      /* HIT: the next key should be fetched now */
    uint64_t order;    /* COALESCED: of the flight, for the event */
};

/* A question that finds nothing there and nothing under way. */
static enum kfi_cache_look miss_locked(struct kf_cache *cache, const struct kfi_cache_question *question,
                                       struct place *place, struct prepared *prepared, struct kf_error *error,
                                       struct looked *looked)
{
    const struct kfi_cache_policy *policy = question->policy;
    if (place != NULL && kfi_failure_holds(place, policy)) {
        cache->stats.failed_fast++;
        looked->code = place->failure->error.code;
        if (error != NULL)
            *error = place->failure->error;
        return KFI_CACHE_REFUSED;
    }
    const bool waits = place != NULL && policy->max_flights > 0 && place->under_way >= policy->max_flights;
    if (!waits && prepared->fetch == NULL)
        return KFI_CACHE_NEEDS_FLIGHT;
    if (prepared->seat == NULL)
        return KFI_CACHE_NEEDS_SEAT;
    if (waits) {
        prepared->seat->place = place;
        kfi_refs_add(&prepared->seat->seat.refs, 1);
        kfi_list_push_back(&place->waiting, &prepared->seat->seat.link);
        cache->stats.queued++;
        return KFI_CACHE_QUEUED;
    }
    kfi_fetch_open_locked(cache, place, prepared->fetch, &policy->limits);
    kfi_fetch_seat_locked(prepared->fetch, prepared->seat);
    prepared->fetch = NULL;
    return KFI_CACHE_OPENED;
}

static void look_locked(struct kf_cache *cache, const struct kfi_cache_question *question,
                        struct prepared *prepared, struct kf_error *error, struct looked *looked)
{
    const struct kfi_cache_policy *policy = question->policy;
    struct place *place = kfi_place_find_locked(cache, &question->key);
    if (place != NULL) {
        struct entry *entry =
            kfi_entry_usable_locked(cache, place, policy, question->length, &prepared->garbage);
        if (entry != NULL) {
            looked->look = KFI_CACHE_HIT;
            looked->value = kfi_entry_charge_locked(cache, entry, policy, question->length, &looked->refresh,
                                                    &prepared->garbage);
            kfi_place_tidy_locked(place, &prepared->garbage);
            return;
        }
        struct fetch *fetch = kfi_fetch_find_locked(place, policy, question->length);
        if (fetch != NULL && prepared->seat == NULL) {
            looked->look = KFI_CACHE_NEEDS_SEAT;
            return;
        }
        if (fetch != NULL) {
            kfi_fetch_seat_locked(fetch, prepared->seat);
            cache->stats.coalesced++;
            looked->look = KFI_CACHE_COALESCED;
            looked->order = fetch->order;
            return;
        }
    }
    looked->look = miss_locked(cache, question, place, prepared, error, looked);
}

/*
 * Fetches the next key ahead, as a hit was asked to. Whatever keeps it from beginning is nobody's failure:
 * the callers that will need it fetch it themselves.
 */
static void refresh(struct kf_cache *cache, const struct kfi_cache_question *question)
{
    const struct kfi_cache_policy *policy = question->policy;
    struct fetch *fetch;
    if (kfi_fetch_new(cache, question, NULL, &fetch) != KF_OK)
        return;
    kfi_cache_lock(cache);
    struct place *place = kfi_place_find_locked(cache, &question->key);
    /* Meanwhile others may have fetched the next key, or be doing it. */
    const bool needed =
        place == NULL || ((place->entry == NULL || place->entry->refreshed) && place->parked == NULL &&
                          kfi_list_empty(&place->flights) && !kfi_failure_holds(place, policy) &&
                          (policy->max_flights == 0 || place->under_way < policy->max_flights));
    if (needed) {
        fetch->refresh = true;
        kfi_fetch_open_locked(cache, place, fetch, &policy->limits);
        cache->stats.refreshes++;
    }
    kfi_cache_unlock(cache);
    if (!needed) {
        kfi_flight_unref(&fetch->flight);
        return;
    }
    kfi_cache_tell(policy->listener, kfi_fetch_event(fetch, KF_CACHE_MISS));
    kfi_flight_launch(&fetch->flight);
}

static enum kf_code prepare(struct kf_cache *cache, struct kf_call *call,
                            const struct kfi_cache_question *question, enum kfi_cache_look look,
                            struct prepared *prepared, struct kf_error *error)
{
    if (look == KFI_CACHE_NEEDS_FLIGHT) {
        enum kf_code code = kfi_fetch_new(cache, question, error, &prepared->fetch);
        if (code != KF_OK)
            return code;
    }
    if (prepared->seat == NULL) {
        prepared->seat = kfi_seat_new(sizeof *prepared->seat, call);
        if (prepared->seat == NULL)
            return kfi_no_memory(error);
        prepared->seat->cache = cache;
        prepared->seat->policy = question->policy;
        prepared->seat->length = question->length;
        prepared->seat->kind = question->kind;
        prepared->seat->code = KF_PENDING;
    }
    return KF_OK;
}

struct asked {
    const struct kf_cache *cache;
    const struct kfi_cache_key *key;
};

static bool is_asked(const struct kfi_flight *flight, const void *what)
{
    const struct asked *asked = what;
    return kfi_fetch_is(flight, asked->cache, asked->key);
}

/* Looks, and prepares and looks again, until it has come to something. */
static enum kf_code look(struct kf_cache *cache, struct kf_call *call,
                         const struct kfi_cache_question *question, struct prepared *prepared,
                         struct kf_error *error, struct looked *looked, struct fetch **opened)
{
    for (;;) {
        struct fetch *fetch = prepared->fetch;
        kfi_cache_lock(cache);
        look_locked(cache, question, prepared, error, looked);
        kfi_cache_unlock(cache);
        if (looked->look == KFI_CACHE_REFUSED)
            return looked->code;
        if (looked->look == KFI_CACHE_OPENED)
            *opened = fetch;
        if (looked->look < KFI_CACHE_NEEDS_SEAT)
            return KF_OK;
        enum kf_code code = prepare(cache, call, question, looked->look, prepared, error);
        if (code != KF_OK) {
            looked->look = KFI_CACHE_REFUSED;
            return code;
        }
    }
}

enum kf_code kfi_cache_ask(struct kf_cache *cache, struct kf_call *call,
                           const struct kfi_cache_question *question, struct kf_error *error,
                           enum kfi_cache_look *came_to, void **value)
{
    const struct asked asked = {cache, &question->key};
    *came_to = KFI_CACHE_REFUSED;
    if (kfi_flight_encloses(call, is_asked, &asked))
        return kf_error_set(
            error, KF_E_USAGE,
            "Inside the fetch of a key somebody asked the cache for that very key: a keyring or CMM must "
            "not encrypt with the CMM that waits for it.");

    struct prepared prepared = {.seat = NULL};
    struct looked looked = {.look = KFI_CACHE_REFUSED};
    struct fetch *opened = NULL;
    kfi_garbage_init(&prepared.garbage);
    kfi_fork_guard_check(&cache->guard, reset, cache);
    enum kf_code code = look(cache, call, question, &prepared, error, &looked, &opened);
    *came_to = looked.look;

    kfi_garbage_free(&prepared.garbage);
    if (prepared.fetch != NULL)
        kfi_flight_unref(&prepared.fetch->flight);
    if (code != KF_OK || looked.look == KFI_CACHE_HIT) {
        if (prepared.seat != NULL)
            kfi_seat_unref(&prepared.seat->seat);
        if (looked.refresh)
            refresh(cache, question);
        *value = looked.value;
        return code;
    }
    kf_call_state_set(call, prepared.seat, kfi_seat_drop);
    if (looked.look == KFI_CACHE_COALESCED)
        kfi_cache_tell(question->policy->listener, (struct kf_cache_event){
                                                       .kind = KF_CACHE_COALESCED,
                                                       .decrypts = question->kind->decrypts,
                                                       .flight = looked.order,
                                                   });
    if (looked.look == KFI_CACHE_OPENED) {
        kfi_cache_tell(question->policy->listener, kfi_fetch_event(opened, KF_CACHE_MISS));
        kfi_flight_launch(&opened->flight);
    }
    return kfi_cache_poll(call, error, value);
}

enum kf_code kfi_cache_poll(struct kf_call *call, struct kf_error *error, void **value)
{
    struct seat *seat = kf_call_state(call);
    kfi_cache_lock(seat->cache);
    const struct fetch *fetch = (const struct fetch *)seat->seat.flight;
    const bool landed = fetch != NULL && fetch->flight.landed;
    const enum kf_code code = landed ? fetch->flight.code : fetch != NULL ? KF_PENDING : seat->code;
    *value = seat->value;
    seat->value = NULL;
    kfi_cache_unlock(seat->cache);
    if (code == KF_PENDING || (code == KF_OK && !landed))
        return code;
    if (code == KF_OK)
        *value = fetch->kind->value_ref(fetch->flight.result);
    else if (landed)
        return kf_error_set(error, code, "%s", fetch->flight.error.text);
    else
        return kfi_no_memory(error);
    return KF_OK;
}

void kfi_cache_count_bypass(struct kf_cache *cache)
{
    kfi_fork_guard_check(&cache->guard, reset, cache);
    kfi_cache_lock(cache);
    cache->stats.bypasses++;
    kfi_cache_unlock(cache);
}

/* ---- The rest of the public face ---- */

void kf_cache_clear(struct kf_cache *cache)
{
    struct garbage garbage;
    kfi_garbage_init(&garbage);
    kfi_fork_guard_check(&cache->guard, reset, cache);
    kfi_cache_lock(cache);
    cache->clearings++;
    for (size_t i = 0; i < cache->bucket_count; i++) {
        struct kfi_list *bucket = &cache->buckets[i];
        for (struct kfi_link *link = kfi_list_first(bucket), *next; link != NULL; link = next) {
            next = kfi_list_next(bucket, link);
            struct place *place = KFI_CONTAINER(link, struct place, in_bucket);
            kfi_entry_clear_locked(cache, place, &garbage);
            kfi_fetch_bar_locked(place);
            if (place->failure != NULL)
                kfi_failure_forget_locked(cache, place->failure, &garbage);
            kfi_place_tidy_locked(place, &garbage);
        }
    }
    kfi_cache_unlock(cache);
    kfi_garbage_free(&garbage);
}

void kf_cache_stats_read(struct kf_cache *cache, struct kf_cache_stats *out)
{
    size_t size = out->size < sizeof *out ? out->size : sizeof *out;
    kfi_fork_guard_check(&cache->guard, reset, cache);
    kfi_cache_lock(cache);
    struct kf_cache_stats stats = cache->stats;
    kfi_cache_unlock(cache);
    stats.size = out->size;
    memcpy(out, &stats, size);
}
