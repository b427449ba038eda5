/*
 * Places, and the keys that are there: who may use them, when they end, and what comes after them. A storey of the
 * ledger: rules only. It allocates, frees, wakes and calls back nothing; what is to be done later it puts into a
 * struct aftermath.
 */
#ifndef KFI_MATERIALS_CACHE_ENTRY_H
#define KFI_MATERIALS_CACHE_ENTRY_H

#include <keyflight/caching_cmm.h>

#include "base/list.h"
#include "materials/cache/order.h"
#include "materials/cache/table.h"
#include "materials/cache/wheel.h"
#include "materials/materials.h"

struct entry;
struct flight;
struct failure;

/* What a rule leaves to be done outside the lock. Empty lists to begin with (kfi_aftermath_init). */
struct aftermath {
    struct kfi_list answered; /* struct seat, by base.link, with a reference: to be woken */
    struct kfi_list seated;   /* struct seat, by told, with a reference: they got a seat out of the line */
    struct kfi_list ended;    /* struct entry, by by_use: to be told of, and freed */
    struct kfi_list places;   /* struct place, by keyed.in_bucket: to be freed */
    struct kfi_list failures; /* struct failure, by link: to be freed */
    struct flight
        *awaited; /* a reference, or NULL: those in the line wait for it now, so that it is to be followed */
    size_t buckets; /* the shelf's table wants memory for so many */
};

void kfi_aftermath_init(struct aftermath *after);

/* All that there is for one key. It comes with the first flight and ends when nothing holds it any more. */
struct place {
    struct keyed keyed; /* first */
    enum kfi_direction direction;
    uint64_t clearings; /* the shelf's, when a rule last saw to it: if there were more since, it is stale */
    size_t holds;       /* by the entry, by each flight under way, by the failure, by a rule at work */

    struct entry *entry;  /* or NULL */
    struct entry *parked; /* fetched ahead of need; NULL if there is no entry */

    /* Of flights.h: */
    struct order roomy;     /* struct flight, by in_place: those with messages left, by their numbers */
    size_t under_way;       /* flights that have not landed, full and barred ones too */
    struct kfi_list flying; /* the same as struct flight, by in_flying: the oldest first */

    /* Of turns.h: */
    struct order line;       /* struct seat, by in_line, as they came; only while flights are under way */
    struct failure *failure; /* or NULL */
};

/* Live materials. */
struct entry {
    struct place *place;                   /* where it is, or is parked; NULL once it ended */
    struct kfi_link by_use;                /* while it is a place's entry; or in aftermath->ended */
    struct ending by_age;                  /* while it is in a place, parked or not */
    const struct kfi_materials *materials; /* a reference */
    uint64_t flight;                       /* the number of the one that it came with */
    uint64_t landed_at;                    /* ms */
    struct kfi_budget budget;
    bool settles;
    bool refreshed;        /* the next key was asked for ahead of need: once for each entry */
    enum kf_cache_end end; /* 0 while it lives */
};

/* All places, and what they share: the capacity, the order of use, and the statistics. */
struct shelf {
    struct table table; /* of struct place */
    uint64_t clearings; /* how often the cache was cleared */
    size_t capacity;
    size_t count; /* entries; parked ones are not counted */
    /*
     * struct entry, the one used last in front; parked ones are not in it. As nobody uses what is stale, those from
     * before a clearing are behind all others.
     */
    struct kfi_list by_use;
    struct wheel by_age; /* struct entry, parked ones too */
    struct kf_cache_stats stats[KFI_DIRECTIONS];
};

/* An empty shelf; the salt is its table's. */
void kfi_shelf_init(struct shelf *shelf, size_t capacity, uint64_t salt);
/* The statistics of a place's direction. */
struct kf_cache_stats *kfi_shelf_stats(struct shelf *shelf, const struct place *place);

/* The place of a key, held until kfi_place_release, or NULL. */
struct place *kfi_place_hold(struct shelf *shelf, const struct kfi_cache_key *key);
/* Makes zeroed memory the place of a key that has none, held likewise. */
void kfi_place_add(struct shelf *shelf, struct place *place, const struct kfi_cache_key *key,
                   enum kfi_direction direction, struct aftermath *after);
/* Whether a place has not been seen to since the cache was cleared: what is in it may not be used. */
bool kfi_place_is_stale(const struct shelf *shelf, const struct place *place);
/* Lets go of a place; the last one takes it off the shelf. */
void kfi_place_release(struct shelf *shelf, struct place *place, struct aftermath *after);

/*
 * The entry that this message may be charged to, or NULL. Ends what outlived its age. A refusal changes nothing
 * else, but a parked key with more left takes the place of one that is too small.
 */
struct entry *kfi_entry_usable(struct shelf *shelf, struct place *place, const struct kfi_policy *policy,
                               uint64_t length, uint64_t now_ms, struct aftermath *after);

/*
 * Charges one message to a usable entry; a reference to its materials. True in `*ahead` if the next key should be
 * fetched now, which is asked of one caller for each entry; NULL: this caller can't.
 */
const struct kfi_materials *kfi_entry_charge(struct shelf *shelf, struct entry *entry,
                                             const struct kfi_policy *policy, uint64_t length,
                                             uint64_t now_ms, bool *ahead, struct aftermath *after);

/* What may become of a key that landed. */
enum kfi_keep {
    KFI_KEEP_AS_ENTRY,
    KFI_KEEP_PARKED, /* behind an entry, if there is one */
    KFI_KEEP_BARRED  /* the cache was cleared since the flight began: it ends at once */
};

/*
 * Makes `entry`, which is filled in but for its place, the entry of a place that the caller holds; or parks it; or
 * ends it, or the entry that is there, by the rule of the candidates.
 */
void kfi_entry_keep(struct shelf *shelf, struct place *place, struct entry *entry, enum kfi_keep keep,
                    struct aftermath *after);

/* Ends an entry, or a parked key, that outlived its age, in a place that the caller holds. */
void kfi_entry_expire(struct shelf *shelf, struct entry *entry, struct aftermath *after);

/* Ends the entry of a place that the caller holds, and what is parked behind it: the cache is cleared. */
void kfi_entry_clear(struct shelf *shelf, struct place *place, struct aftermath *after);

#endif
