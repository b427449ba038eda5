/*
 * Keys that are there: see entry.h. Called by the storeys of the ledger above.
 */
#include "materials/cache/entry.h"

#include "base/ms.h"

__extension__ typedef unsigned __int128 wide;

void kfi_aftermath_init(struct aftermath *after)
{
    kfi_list_init(&after->answered);
    kfi_list_init(&after->seated);
    kfi_list_init(&after->ended);
    kfi_list_init(&after->places);
    kfi_list_init(&after->failures);
    after->awaited = NULL;
    after->buckets = 0;
}

/* ---- Shelf and places ---- */

void kfi_shelf_init(struct shelf *shelf, size_t capacity, uint64_t salt)
{
    *shelf = (struct shelf){.capacity = capacity};
    kfi_table_init(&shelf->table, salt);
    kfi_list_init(&shelf->by_use);
    kfi_wheel_init(&shelf->by_age);
}

struct kf_cache_stats *kfi_shelf_stats(struct shelf *shelf, const struct place *place)
{
    return &shelf->stats[place->direction];
}

struct place *kfi_place_hold(struct shelf *shelf, const struct kfi_cache_key *key)
{
    struct keyed *keyed = kfi_table_find(&shelf->table, key);
    if (keyed == NULL)
        return NULL;
    struct place *place = KFI_CONTAINER(keyed, struct place, keyed);
    place->holds++;
    return place;
}

void kfi_place_add(struct shelf *shelf, struct place *place, const struct kfi_cache_key *key,
                   enum kfi_direction direction, struct aftermath *after)
{
    place->keyed.key = *key;
    place->direction = direction;
    place->clearings = shelf->clearings;
    place->holds = 1;
    kfi_list_init(&place->flying);
    kfi_table_add(&shelf->table, &place->keyed);
    after->buckets = kfi_table_wants(&shelf->table);
}

bool kfi_place_is_stale(const struct shelf *shelf, const struct place *place)
{
    return place->clearings != shelf->clearings;
}

void kfi_place_release(struct shelf *shelf, struct place *place, struct aftermath *after)
{
    if (--place->holds > 0)
        return;
    kfi_table_remove(&shelf->table, &place->keyed);
    kfi_list_push_back(&after->places, &place->keyed.in_bucket);
}

/* ---- Age ---- */

/* A key is never handed out at an age of max_age_ms or more. */
static bool entry_reached(const struct entry *entry, uint64_t max_age_ms, uint64_t now_ms)
{
    return now_ms - entry->landed_at >= max_age_ms;
}

static bool entry_outlived(const struct entry *entry, uint64_t now_ms)
{
    return entry_reached(entry, entry->budget.limits.max_age_ms, now_ms);
}

static bool entry_fits(const struct entry *entry, const struct kfi_policy *policy, uint64_t length,
                       uint64_t now_ms)
{
    return !entry_outlived(entry, now_ms) && !entry_reached(entry, policy->limits.max_age_ms, now_ms) &&
           kfi_budget_fits(&entry->budget, &policy->limits, length);
}

/* Whether no more than `permille` thousandths of its age are left. */
static bool entry_ages(const struct entry *entry, uint32_t permille, uint64_t now_ms)
{
    const uint64_t age = now_ms - entry->landed_at, max = entry->budget.limits.max_age_ms;
    return age >= max || (wide)(max - age) * 1000 <= (wide)max * permille;
}

/* Puts an entry where its age ends, anew if that is sooner than it was. */
static void entry_watch(struct shelf *shelf, struct entry *entry, uint64_t now_ms)
{
    const uint64_t at_ms = kfi_ms_after(entry->landed_at, entry->budget.limits.max_age_ms);
    const bool watched = kfi_linked(&entry->by_age.link);
    if (watched && entry->by_age.at_ms == at_ms)
        return;
    if (watched)
        kfi_wheel_take(&shelf->by_age, &entry->by_age);
    kfi_wheel_put(&shelf->by_age, &entry->by_age, at_ms, now_ms);
}

/* ---- Ends ---- */

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
static void entry_end(struct shelf *shelf, const struct place *place, struct entry *entry,
                      enum kf_cache_end end, struct aftermath *after)
{
    const struct kfi_budget *budget = &entry->budget;
    if (kfi_budget_is_used_up(budget))
        end = KF_CACHE_END_MESSAGES;
    else if (budget->bytes >= budget->limits.max_bytes && budget->bytes > 0)
        end = KF_CACHE_END_BYTES;
    ++*end_counter(kfi_shelf_stats(shelf, place), end);
    if (kfi_linked(&entry->by_age.link))
        kfi_wheel_take(&shelf->by_age, &entry->by_age);
    entry->place = NULL;
    entry->end = end;
    kfi_list_push_back(&after->ended, &entry->by_use);
}

/* ---- In and out of a place ---- */

/* Makes `entry` the one of a place that has none. */
static void place_fill(struct shelf *shelf, struct place *place, struct entry *entry)
{
    place->entry = entry;
    place->holds++;
    entry->place = place;
    kfi_list_push_front(&shelf->by_use, &entry->by_use);
    shelf->count++;
    kfi_shelf_stats(shelf, place)->entries++;
}

/* Takes the entry out of a place that somebody else holds too. */
static struct entry *place_empty(struct shelf *shelf, struct place *place)
{
    struct entry *entry = place->entry;
    place->entry = NULL;
    place->holds--;
    kfi_unlink(&entry->by_use);
    shelf->count--;
    kfi_shelf_stats(shelf, place)->entries--;
    return entry;
}

static void place_park(struct shelf *shelf, struct place *place, struct entry *entry)
{
    place->parked = entry;
    entry->place = place;
    entry_watch(shelf, entry, entry->landed_at);
    kfi_shelf_stats(shelf, place)->parked++;
}

static struct entry *place_unpark(struct shelf *shelf, struct place *place)
{
    struct entry *parked = place->parked;
    place->parked = NULL;
    if (parked != NULL)
        kfi_shelf_stats(shelf, place)->parked--;
    return parked;
}

/* Ends the entry of a place; the key that is parked behind it takes its place. */
static void entry_succeed(struct shelf *shelf, struct place *place, enum kf_cache_end end,
                          struct aftermath *after)
{
    entry_end(shelf, place, place_empty(shelf, place), end, after);
    struct entry *parked = place_unpark(shelf, place);
    if (parked != NULL)
        place_fill(shelf, place, parked);
}

void kfi_entry_clear(struct shelf *shelf, struct place *place, struct aftermath *after)
{
    if (place->entry == NULL)
        return;
    entry_end(shelf, place, place_empty(shelf, place), KF_CACHE_END_CLEARED, after);
    struct entry *parked = place_unpark(shelf, place);
    if (parked != NULL)
        entry_end(shelf, place, parked, KF_CACHE_END_CLEARED, after);
}

void kfi_entry_expire(struct shelf *shelf, struct entry *entry, struct aftermath *after)
{
    struct place *place = entry->place;
    if (place->parked == entry)
        entry_end(shelf, place, place_unpark(shelf, place), KF_CACHE_END_AGE, after);
    else
        entry_succeed(shelf, place, KF_CACHE_END_AGE, after);
}

/* The entry of a place, once those that outlived their age have ended. */
static struct entry *entry_live(struct shelf *shelf, struct place *place, uint64_t now_ms,
                                struct aftermath *after)
{
    while (place->entry != NULL && entry_outlived(place->entry, now_ms))
        entry_succeed(shelf, place, KF_CACHE_END_AGE, after);
    return place->entry;
}

/* ---- Use ---- */

/* Takes into account what users of the key gave back. */
static void entry_settle(struct shelf *shelf, const struct place *place, struct entry *entry)
{
    if (!entry->settles)
        return;
    const uint64_t before = entry->budget.bytes;
    kfi_budget_settle(&entry->budget, kfi_materials_settled(entry->materials));
    kfi_shelf_stats(shelf, place)->settled_bytes += before - entry->budget.bytes;
}

/*
 * Whether the parked key takes the place of an entry that has no room for this message. It stands for the flight that
 * would be opened now: it takes the place if that flight's key, with this message charged, would.
 */
static bool parked_takes_over(struct shelf *shelf, struct place *place, const struct kfi_policy *policy,
                              uint64_t length, uint64_t now_ms)
{
    struct entry *parked = place->parked;
    if (parked == NULL)
        return false;
    entry_settle(shelf, place, parked);
    if (!entry_fits(parked, policy, length, now_ms))
        return false;
    struct kfi_budget charged = parked->budget;
    kfi_budget_charge(&charged, &policy->limits, length);
    return kfi_budget_compare(&charged, &place->entry->budget) > 0;
}

struct entry *kfi_entry_usable(struct shelf *shelf, struct place *place, const struct kfi_policy *policy,
                               uint64_t length, uint64_t now_ms, struct aftermath *after)
{
    struct entry *entry = entry_live(shelf, place, now_ms, after);
    if (entry == NULL)
        return NULL;
    entry_settle(shelf, place, entry);
    if (entry_fits(entry, policy, length, now_ms))
        return entry;
    if (!parked_takes_over(shelf, place, policy, length, now_ms))
        return NULL;
    entry_succeed(shelf, place, KF_CACHE_END_REPLACED, after);
    return place->entry;
}

const struct kfi_materials *kfi_entry_charge(struct shelf *shelf, struct entry *entry,
                                             const struct kfi_policy *policy, uint64_t length,
                                             uint64_t now_ms, bool *ahead, struct aftermath *after)
{
    struct place *place = entry->place;
    const uint32_t permille = policy->refresh_ahead_permille;
    kfi_budget_charge(&entry->budget, &policy->limits, length);
    kfi_shelf_stats(shelf, place)->hits++;
    const struct kfi_materials *materials = kfi_materials_ref(entry->materials);
    if (ahead != NULL && permille > 0 && !entry->refreshed && place->parked == NULL &&
        (kfi_budget_is_low(&entry->budget, permille) || entry_ages(entry, permille, now_ms)))
        *ahead = entry->refreshed = true;

    if (kfi_budget_is_used_up(&entry->budget)) {
        entry_succeed(shelf, place, KF_CACHE_END_MESSAGES, after);
    } else {
        entry_watch(shelf, entry, now_ms);
        kfi_unlink(&entry->by_use);
        kfi_list_push_front(&shelf->by_use, &entry->by_use);
    }
    return materials;
}

/* ---- Keeping what landed ---- */

static enum kf_cache_end evicted_end(bool stale, const struct entry *entry, uint64_t now_ms)
{
    if (stale)
        return KF_CACHE_END_CLEARED;
    return entry_outlived(entry, now_ms) ? KF_CACHE_END_AGE : KF_CACHE_END_CAPACITY;
}

/* Makes room: ends the entry that was used the longest ago, and what is parked behind it. */
static void entry_evict(struct shelf *shelf, uint64_t now_ms, struct aftermath *after)
{
    struct entry *last = KFI_CONTAINER(kfi_list_last(&shelf->by_use), struct entry, by_use);
    struct place *place = last->place;
    const bool stale = kfi_place_is_stale(shelf, place);
    place->holds++;
    entry_end(shelf, place, place_empty(shelf, place), evicted_end(stale, last, now_ms), after);
    struct entry *parked = place_unpark(shelf, place);
    if (parked != NULL)
        entry_end(shelf, place, parked, evicted_end(stale, parked, now_ms), after);
    kfi_place_release(shelf, place, after);
}

/* Puts an entry into its place, and makes room for it. */
static void entry_insert(struct shelf *shelf, struct place *place, struct entry *entry,
                         struct aftermath *after)
{
    const uint64_t now_ms = entry->landed_at;
    place_fill(shelf, place, entry);
    entry_watch(shelf, entry, now_ms);
    while (shelf->count > shelf->capacity)
        entry_evict(shelf, now_ms, after);
}

/* Of two candidates for a place the one with more left stays; a tie keeps the later expiry. */
static bool entry_beats(const struct entry *entry, const struct entry *other)
{
    int order = kfi_budget_compare(&entry->budget, &other->budget);
    return order > 0 || (order == 0 && kfi_ms_after(entry->landed_at, entry->budget.limits.max_age_ms) >=
                                           kfi_ms_after(other->landed_at, other->budget.limits.max_age_ms));
}

void kfi_entry_keep(struct shelf *shelf, struct place *place, struct entry *entry, enum kfi_keep keep,
                    struct aftermath *after)
{
    if (keep == KFI_KEEP_BARRED || kfi_budget_is_used_up(&entry->budget)) {
        entry_end(shelf, place, entry, KF_CACHE_END_CLEARED, after);
        return;
    }
    struct entry *other = entry_live(shelf, place, entry->landed_at, after);
    if (other != NULL && keep == KFI_KEEP_PARKED && place->parked == NULL) {
        place_park(shelf, place, entry);
        return;
    }
    if (other != NULL) {
        entry_settle(shelf, place, other);
        if (!entry_beats(entry, other)) {
            entry_end(shelf, place, entry, KF_CACHE_END_REPLACED, after);
            return;
        }
        entry_end(shelf, place, place_empty(shelf, place), KF_CACHE_END_REPLACED,
                  after); /* the parked one stays */
    }
    entry_insert(shelf, place, entry, after);
}
