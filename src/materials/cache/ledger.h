/*
 * The ledger: the rules by which every use of a key is charged exactly once. It is the top storey of
 *
 *     budget  <-  order, table, wheel  <-  entry  <-  flights  <-  turns  <-  ledger
 *
 * and knows no lock, no allocator, no listener and no clock. Each function here is one rule, to be run in one critical
 * section. What a rule needs is handed in: memory, and the time. What it gives up comes out in a struct aftermath.
 *
 * Called by cache.c, under its lock, and by tests, which need none.
 */
#ifndef KFI_MATERIALS_CACHE_LEDGER_H
#define KFI_MATERIALS_CACHE_LEDGER_H

#include "materials/cache/turns.h"

struct ledger {
    struct turns turns;
};

/* An empty ledger; the salt is its table's. */
void kfi_ledger_init(struct ledger *ledger, size_t capacity, uint64_t salt);

/* The table of its places, whose memory is the owner's: aftermath->buckets says when it wants some. */
struct table *kfi_ledger_table(struct ledger *ledger);

/* ---- Asking ---- */

struct ledger_question {
    struct kfi_cache_key key;
    enum kfi_direction direction;
    const struct kfi_policy *policy;
    uint64_t length; /* bytes to charge, beside one message */
};

/* What a question came to. */
enum ledger_look {
    KFI_LEDGER_REFUSED,     /* a failure is too fresh: `failure` says which */
    KFI_LEDGER_HIT,         /* charged to the entry: `materials` */
    KFI_LEDGER_COALESCED,   /* charged to a flight that was under way: the seat is taken */
    KFI_LEDGER_QUEUED,      /* the seat stands in the line */
    KFI_LEDGER_OPENED,      /* the flight was opened, and the seat in it is taken */
    KFI_LEDGER_WANTS_SEAT,  /* nothing was changed */
    KFI_LEDGER_WANTS_FLIGHT /* nothing was changed: a flight is needed, and a seat */
};

struct ledger_answer {
    enum ledger_look look;
    const struct kfi_materials *materials; /* HIT: a reference */
    bool ahead;                            /* HIT: kfi_ledger_open_ahead should follow */
    uint64_t flight;                       /* COALESCED, OPENED: its number */
    struct flight *awaited;  /* COALESCED, QUEUED: the flight to wait for; the oldest, if in line */
    struct kf_error failure; /* REFUSED */
};

/*
 * Charges one message, exactly once: to the entry, to the oldest flight with room, or to `flight`, which is then
 * opened, and offered to those who wait for their turn. `seat` and `flight` may be NULL; the answer says if they are
 * needed.
 */
void kfi_ledger_ask(struct ledger *ledger, const struct ledger_question *question, struct seat *seat,
                    struct flight *flight, uint64_t now_ms, struct ledger_answer *answer,
                    struct aftermath *after);

/*
 * Opens a flight ahead of need, and offers it to those who wait for their turn; false if there is no need for it any
 * more.
 */
bool kfi_ledger_open_ahead(struct ledger *ledger, struct flight *flight, uint64_t now_ms,
                           struct aftermath *after);

/* Counts a request that went past the cache. */
void kfi_ledger_bypass(struct ledger *ledger, enum kfi_direction direction);

/*
 * What a seat came to. KF_PENDING; or KF_OK and a reference, which an answer out of the line hands out once, then NULL;
 * or an error, whose sentence is in the flight: if the seat is in none there was no memory.
 */
enum kf_code kfi_ledger_answer(struct seat *seat, const struct kfi_materials **materials);

/* Calls `meet` for each flight that has not landed and may be the one to answer a seat. */
void kfi_ledger_awaits(struct seat *seat, void (*meet)(void *context, struct flight *flight), void *context);

/* A caller leaves: he gives up his seat or his turn, or has been answered. Those who wait for theirs get the room. */
void kfi_ledger_leave(struct ledger *ledger, struct seat *seat, struct aftermath *after);

/* ---- Landing ---- */

/* Whether callers wait for their turn behind this flight: then a landing should bring `next`. */
bool kfi_ledger_awaited(const struct flight *flight);

/*
 * Lands a flight: flight->base.code says how it ended, flight->materials what it brought. All who are seated are
 * answered; what is left of the key becomes the entry. Those who wait for their turn get that, and `next` (may be NULL)
 * is opened if somebody still has nothing: true. Whoever is left in the line waits for the oldest flight.
 */
bool kfi_ledger_land(struct ledger *ledger, struct flight *flight, struct flight *next, uint64_t now_ms,
                     struct aftermath *after);

/* ---- The whole ---- */

/*
 * A clearing. From now on nothing of what is there is used: no entry, no parked key, no failure, and no free seat of a
 * flight that is under way, whose key ends as it lands. Answers the number of the clearing.
 */
uint64_t kfi_ledger_clear(struct ledger *ledger);

/*
 * Ends entries and forgets failures from before a clearing, those of `most` places at once. False when nothing is left of
 * them.
 */
bool kfi_ledger_sweep(struct ledger *ledger, uint64_t clearing, size_t most, struct aftermath *after);

/*
 * Ends keys that outlived their age, in `most` steps of which each ends one at most. False when nothing is left to do;
 * then no key is KFI_WHEEL_LATE_MS older than it may be.
 */
bool kfi_ledger_prune(struct ledger *ledger, uint64_t now_ms, size_t most, struct aftermath *after);

/* Forgets failures that are so long ago that another one would not be in a row with them. */
void kfi_ledger_prune_failures(struct ledger *ledger, uint64_t now_ms, struct aftermath *after);

/* Whether there is anything whose time ends. */
bool kfi_ledger_ages(const struct ledger *ledger);

/* Adds the statistics of one direction to `*sum`. */
void kfi_ledger_stats_add(const struct ledger *ledger, enum kfi_direction direction,
                          struct kf_cache_stats *sum);

#endif
