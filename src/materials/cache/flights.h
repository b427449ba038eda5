/*
 * Keys under way: which flight has room, who is seated in it, and when it is barred. A storey of the ledger: rules
 * only (see entry.h). A flight is driven by base/flight.h; here it is what callers find and sit in.
 */
#ifndef KFI_MATERIALS_CACHE_FLIGHTS_H
#define KFI_MATERIALS_CACHE_FLIGHTS_H

#include "base/seat.h"
#include "materials/cache/entry.h"

struct flight {
    struct kfi_flight base; /* first */

    /* Filled in by whoever makes it, and constant from then on. */
    struct kfi_cache_key key;
    enum kfi_direction direction;
    const struct kfi_policy *policy; /* the opener's; lives as long as the flight */
    uint64_t jitter_ms;              /* taken off the age of its key */

    /* Memory for what may come of it, handed in with it; NULL once used. */
    struct entry *entry;
    struct place *spare;     /* where its place may be missing */
    struct failure *failure; /* where its policy has a backoff */

    /* What the fetch brought: a reference, written before the landing. */
    const struct kfi_materials *materials;

    /* The ledger's, from the opening on. */
    struct place *place;        /* until the landing */
    struct order_node in_place; /* while it has room; whatever stands there means nothing once it is barred */
    struct kfi_link in_flying;
    uint64_t number;    /* in the order of opening */
    uint64_t clearings; /* at the opening: if there were more since, it is barred */
    bool ahead;         /* it was opened ahead of need */
    size_t seated;
    struct kfi_budget budget; /* charged by the seated */
};

/*
 * A caller's seat, and what he is charged for it. While he waits for his turn he is in no flight and `code` is
 * KF_PENDING. If he is then answered without a flight, the answer is in `code` and `materials`.
 */
struct seat {
    struct kfi_seat base; /* first */

    /* Filled in by whoever makes it, and constant from then on. */
    const struct kfi_policy *policy; /* lives as long as the seat is in a line or in a flight */
    uint64_t length;

    struct place *place; /* while he waits for his turn */
    struct order_node in_line;
    struct kfi_link told;
    const struct kfi_materials *materials; /* a reference, until it is handed out */
    enum kf_code code;                     /* KF_PENDING to begin with */
};

/* The shelf, and what numbers its flights. */
struct flights {
    struct shelf shelf;
    uint64_t opened; /* flights ever opened: the number of the next one */
};

void kfi_flights_init(struct flights *flights, size_t capacity, uint64_t salt);

/* The flight that a seat is in, or NULL. */
struct flight *kfi_flights_of(const struct kfi_seat *seat);

/* The oldest flight of a place that has room for this message, or NULL. */
struct flight *kfi_flights_find(struct place *place, const struct kfi_policy *policy, uint64_t length);

/* Puts a flight into a place, where others find it, under these limits. */
void kfi_flights_open(struct flights *flights, struct place *place, struct flight *flight,
                      const struct kfi_limits *limits);

/* The oldest flight of a place that has not landed, or NULL. */
struct flight *kfi_flights_oldest(struct place *place);

/* Whether others find room in a flight that is under way. */
bool kfi_flights_roomy(const struct flights *flights, const struct flight *flight);

/* Seats and charges a caller, for whom there has to be room. */
void kfi_flights_seat(struct flights *flights, struct flight *flight, struct seat *seat);

/* Gives up a seat: true if the flight had not landed. Its charge is then taken back and others find the room. */
bool kfi_flights_leave(struct flights *flights, struct seat *seat);

/*
 * A flight from before a clearing is barred: nobody takes a seat in it any more, and it does not become an entry. This
 * forgets the room that the flights of a place had before they were.
 */
void kfi_flights_bar(struct place *place);
bool kfi_flights_barred(const struct flights *flights, const struct flight *flight);

/* Lands a flight as far as its seats are concerned: moves the seated to `answered`. It still holds its place. */
void kfi_flights_close(struct flights *flights, struct flight *flight, struct kfi_list *answered);

/* Keeps what a flight brought, in its place. */
void kfi_flights_keep(struct flights *flights, struct flight *flight, uint64_t now_ms,
                      struct aftermath *after);

#endif
