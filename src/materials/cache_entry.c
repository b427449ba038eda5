/*
 * Keys that are there: who may use them, when they end and what comes after them. Called by cache.c and
 * cache_fetch.c, under the cache's lock (see cache_parts.h).
 */
#include "base/clock.h"
#include "base/memory.h"
#include "materials/cache_events.h"
#include "materials/cache_parts.h"

__extension__ typedef unsigned __int128 wide;

/* Expired is who has reached max_age; so a key is never handed out at an age of max_age_ms or more. */
static bool expired(const struct entry *entry, uint64_t max_age_ms, uint64_t now)
{
    return now - entry->landed_at >= max_age_ms;
}

static bool outlived(const struct entry *entry, uint64_t now)
{
    return expired(entry, entry->budget.limits.max_age_ms, now);
}

static bool fits(const struct entry *entry, const struct kfi_cache_policy *policy, uint64_t length,
                 uint64_t now)
{
    return !outlived(entry, now) && !expired(entry, policy->limits.max_age_ms, now) &&
           kfi_budget_fits(&entry->budget, &policy->limits, length);
}

/* Takes into account what users of the key gave back. */
static void settle_locked(struct kf_cache *cache, struct entry *entry)
{
    if (!entry->settles || entry->kind->value_settled == NULL)
        return;
    const uint64_t before = entry->budget.bytes;
    kfi_budget_settle(&entry->budget, entry->kind->value_settled(entry->value));
    cache->stats.settled_bytes += before - entry->budget.bytes;
}

static uint64_t *end_counter(struct kf_cache_stats *stats, enum kf_cache_end end)
{
    switch (end) {
    case KF_CACHE_END_MESSAGES:
        return &stats->ended_messages;
    case KF_CACHE_END_BYTES:
        return &stats->ended_bytes;
    case KF_CACHE_END_AGE:
        return &stats->ended_age;
    case KF_CACHE_END_CAPACITY:
        return &stats->ended_capacity;
    case KF_CACHE_END_REPLACED:
        return &stats->ended_replaced;
    case KF_CACHE_END_CLEARED:
    default:
        return &stats->ended_cleared;
    }
}

/*
 * Ends an entry that is in no place any more, or never was, and counts why: a budget that is used up is the
 * reason even where something else ends it.
 */
static void end_locked(struct kf_cache *cache, struct entry *entry, enum kf_cache_end end,
                       struct garbage *garbage)
{
    const struct kfi_budget *budget = &entry->budget;
    if (budget->messages >= budget->limits.max_messages)
        end = KF_CACHE_END_MESSAGES;
    else if (budget->bytes >= budget->limits.max_bytes && budget->bytes > 0)
        end = KF_CACHE_END_BYTES;
    ++*end_counter(&cache->stats, end);
    entry->place = NULL;
    entry->end = end;
    kfi_list_push_back(&garbage->entries, &entry->by_use);
}

/* Makes `entry` the one of a place that has none. */
static void install_locked(struct kf_cache *cache, struct place *place, struct entry *entry)
{
    place->entry = entry;
    entry->place = place;
    kfi_list_push_front(&cache->by_use, &entry->by_use);
    cache->stats.entries++;
}

static void remove_locked(struct kf_cache *cache, struct entry *entry, enum kf_cache_end end,
                          struct garbage *garbage)
{
    entry->place->entry = NULL;
    kfi_unlink(&entry->by_use);
    cache->stats.entries--;
    end_locked(cache, entry, end, garbage);
}

static struct entry *unpark_locked(struct kf_cache *cache, struct place *place)
{
    struct entry *parked = place->parked;
    place->parked = NULL;
    if (parked != NULL)
        cache->stats.parked--;
    return parked;
}

/* Ends the entry of a place; the key that is parked behind it takes its place. */
static void succeed_locked(struct kf_cache *cache, struct place *place, enum kf_cache_end end,
                           struct garbage *garbage)
{
    remove_locked(cache, place->entry, end, garbage);
    struct entry *parked = unpark_locked(cache, place);
    if (parked != NULL)
        install_locked(cache, place, parked);
}

/* Ends the entry of a place and the key parked behind it: a place that is given up keeps neither. */
static void vacate_locked(struct kf_cache *cache, struct place *place, enum kf_cache_end end,
                          struct garbage *garbage)
{
    remove_locked(cache, place->entry, end, garbage);
    struct entry *parked = unpark_locked(cache, place);
    if (parked != NULL)
        end_locked(cache, parked, end, garbage);
}

void kfi_entry_clear_locked(struct kf_cache *cache, struct place *place, struct garbage *garbage)
{
    if (place->entry != NULL)
        vacate_locked(cache, place, KF_CACHE_END_CLEARED, garbage);
}

/* The entry of a place, once those that have outlived their time have ended. */
static struct entry *live_locked(struct kf_cache *cache, struct place *place, uint64_t now,
                                 struct garbage *garbage)
{
    while (place->entry != NULL && outlived(place->entry, now))
        succeed_locked(cache, place, KF_CACHE_END_AGE, garbage);
    return place->entry;
}

struct entry *kfi_entry_usable_locked(struct kf_cache *cache, struct place *place,
                                      const struct kfi_cache_policy *policy, uint64_t length,
                                      struct garbage *garbage)
{
    const uint64_t now = kfi_now_ms();
    struct entry *entry = live_locked(cache, place, now, garbage);
    if (entry == NULL)
        return NULL;
    settle_locked(cache, entry);
    if (fits(entry, policy, length, now))
        return entry;

    /*
     * What does not fit is a refusal, and leaves the entry as it is. But a parked key, which is there
     * already, stands for the flight that would be opened now: if that flight's key, with this message
     * charged, would take the place from the entry, the parked one does.
     */
    struct entry *parked = place->parked;
    if (parked == NULL)
        return NULL;
    settle_locked(cache, parked);
    if (!fits(parked, policy, length, now))
        return NULL;
    struct kfi_budget charged = parked->budget;
    kfi_budget_charge(&charged, &policy->limits, length);
    if (kfi_budget_compare(&charged, &entry->budget) <= 0)
        return NULL;
    succeed_locked(cache, place, KF_CACHE_END_REPLACED, garbage);
    return place->entry;
}

/* Whether little time is left. */
static bool ageing(const struct entry *entry, uint32_t permille)
{
    const uint64_t age = kfi_now_ms() - entry->landed_at, max = entry->budget.limits.max_age_ms;
    return age >= max || (wide)(max - age) * 1000 <= (wide)max * permille;
}

void *kfi_entry_charge_locked(struct kf_cache *cache, struct entry *entry,
                              const struct kfi_cache_policy *policy, uint64_t length, bool *refresh,
                              struct garbage *garbage)
{
    struct place *place = entry->place;
    const uint32_t permille = policy->refresh_ahead_permille;
    kfi_budget_charge(&entry->budget, &policy->limits, length);
    cache->stats.hits++;
    void *value = entry->kind->value_ref(entry->value);
    if (permille > 0 && !entry->refreshed && place->parked == NULL &&
        (kfi_budget_little(&entry->budget, permille) || ageing(entry, permille)))
        *refresh = entry->refreshed = true;

    if (entry->budget.messages >= entry->budget.limits.max_messages) {
        succeed_locked(cache, place, KF_CACHE_END_MESSAGES, garbage);
    } else {
        kfi_unlink(&entry->by_use);
        kfi_list_push_front(&cache->by_use, &entry->by_use);
    }
    return value;
}

/* Puts an entry into its place, making room for it. */
static void insert_locked(struct kf_cache *cache, struct place *place, struct entry *entry,
                          struct garbage *garbage)
{
    install_locked(cache, place, entry);
    while (cache->stats.entries > cache->capacity) {
        struct entry *last = KFI_CONTAINER(kfi_list_last(&cache->by_use), struct entry, by_use);
        struct place *left = last->place;
        vacate_locked(cache, left,
                      outlived(last, entry->landed_at) ? KF_CACHE_END_AGE : KF_CACHE_END_CAPACITY, garbage);
        if (left != place)
            kfi_place_tidy_locked(left, garbage);
    }
}

/* Of two candidates for a place the one with more left stays; a tie keeps the later expiry. */
static bool better(const struct entry *entry, const struct entry *other)
{
    int order = kfi_budget_compare(&entry->budget, &other->budget);
    return order > 0 || (order == 0 && kfi_ms_after(entry->landed_at, entry->budget.limits.max_age_ms) >=
                                           kfi_ms_after(other->landed_at, other->budget.limits.max_age_ms));
}

void kfi_entry_keep_locked(struct kf_cache *cache, struct fetch *fetch, struct garbage *garbage)
{
    struct entry *entry = fetch->entry;
    struct place *place = fetch->place;
    fetch->entry = NULL;
    *entry = (struct entry){
        .kind = fetch->kind,
        .listener = kf_cache_listener_ref(fetch->policy.listener),
        .value = fetch->kind->value_ref(fetch->flight.result),
        .flight = fetch->order,
        .landed_at = kfi_now_ms(),
        .budget = fetch->budget,
        .settles = fetch->policy.settle,
    };
    if (entry->budget.messages >= entry->budget.limits.max_messages) {
        end_locked(cache, entry, KF_CACHE_END_MESSAGES, garbage);
        return;
    }
    if (fetch->clearings != cache->clearings) {
        end_locked(cache, entry, KF_CACHE_END_CLEARED, garbage);
        return;
    }
    struct entry *other = live_locked(cache, place, entry->landed_at, garbage);
    if (other != NULL && fetch->refresh && place->parked == NULL) {
        place->parked = entry;
        cache->stats.parked++;
        return;
    }
    if (other != NULL) {
        settle_locked(cache, other);
        if (!better(entry, other)) {
            end_locked(cache, entry, KF_CACHE_END_REPLACED, garbage);
            return;
        }
        remove_locked(cache, other, KF_CACHE_END_REPLACED, garbage); /* what is parked stays parked */
    }
    insert_locked(cache, place, entry, garbage);
}

/* ---- What is to be freed ---- */

void kfi_garbage_init(struct garbage *garbage)
{
    kfi_list_init(&garbage->entries);
    kfi_list_init(&garbage->places);
    kfi_list_init(&garbage->failures);
}

static void entry_free(struct entry *entry)
{
    if (entry->listener != NULL && entry->end != 0)
        kfi_cache_tell(entry->listener, (struct kf_cache_event){
                                            .kind = KF_CACHE_ENDED,
                                            .decrypts = entry->kind->decrypts,
                                            .flight = entry->flight,
                                            .end = entry->end,
                                            .messages = entry->budget.messages,
                                            .bytes = entry->budget.bytes,
                                        });
    kf_cache_listener_unref(entry->listener);
    entry->kind->value_unref(entry->value);
    kfi_free(entry);
}

void kfi_garbage_free(struct garbage *garbage)
{
    for (struct kfi_link *link; (link = kfi_list_pop(&garbage->entries)) != NULL;)
        entry_free(KFI_CONTAINER(link, struct entry, by_use));
    for (struct kfi_link *link; (link = kfi_list_pop(&garbage->places)) != NULL;)
        kfi_free(KFI_CONTAINER(link, struct place, in_bucket));
    for (struct kfi_link *link; (link = kfi_list_pop(&garbage->failures)) != NULL;)
        kfi_free(KFI_CONTAINER(link, struct failure, link));
}
