/*
 * Keys under way: see flights.h. Called by the storeys of the ledger above.
 */
#include "materials/cache/flights.h"

void kfi_flights_init(struct flights *flights, size_t capacity, uint64_t salt)
{
    kfi_shelf_init(&flights->shelf, capacity, salt);
    flights->opened = 0;
}

static struct flight *flight_at(struct kfi_link *link)
{
    return KFI_CONTAINER(link, struct flight, in_place);
}

struct flight *kfi_flights_of(const struct kfi_seat *seat)
{
    return seat->flight == NULL ? NULL : KFI_CONTAINER(seat->flight, struct flight, base);
}

/* ---- Barring ---- */

void kfi_flights_bar(struct place *place)
{
    while (kfi_list_pop(&place->roomy) != NULL) {
    }
    place->hint.flight = NULL;
}

bool kfi_flights_barred(const struct flights *flights, const struct flight *flight)
{
    return flight->clearings != flights->shelf.clearings;
}

/* ---- Flights with room ---- */

/* Puts a flight among those with room, in the order of opening. */
static void room_show(struct place *place, struct flight *flight)
{
    struct kfi_link *at = &place->roomy.ring;
    while (at->previous != &place->roomy.ring && flight_at(at->previous)->number > flight->number)
        at = at->previous;
    kfi_link_insert_after(at->previous, &flight->in_place);
}

static void room_hide(struct place *place, struct flight *flight)
{
    if (!kfi_linked(&flight->in_place))
        return;
    if (place->hint.flight == flight) {
        struct kfi_link *near = flight->in_place.next;
        if (near == &place->roomy.ring)
            near = flight->in_place.previous;
        place->hint.flight = near == &place->roomy.ring ? NULL : flight_at(near);
    }
    kfi_unlink(&flight->in_place);
}

/* Lets others find a flight in which a seat became free. Nobody may take it behind a clearing. */
static void room_again(const struct flights *flights, struct flight *flight)
{
    struct hint *hint = &flight->place->hint;
    if (kfi_flights_barred(flights, flight))
        return;
    if (!kfi_linked(&flight->in_place))
        room_show(flight->place, flight);
    if (hint->flight != NULL && hint->flight->number > flight->number)
        hint->flight = flight;
}

struct flight *kfi_flights_find(struct place *place, const struct kfi_policy *policy, uint64_t length)
{
    const struct kfi_limits *limits = &policy->limits;
    struct hint *hint = &place->hint;
    const bool holds = hint->flight != NULL && length >= hint->length &&
                       limits->max_messages <= hint->limits.max_messages &&
                       limits->max_bytes <= hint->limits.max_bytes;
    struct kfi_link *link = holds ? &hint->flight->in_place : kfi_list_first(&place->roomy);
    struct flight *last = NULL;
    for (; link != NULL; link = kfi_list_next(&place->roomy, link)) {
        last = flight_at(link);
        if (kfi_budget_fits(&last->budget, limits, length))
            break;
    }
    *hint = (struct hint){last, length, *limits};
    return link != NULL ? last : NULL;
}

/* ---- The life of a flight ---- */

void kfi_flights_open(struct flights *flights, struct place *place, struct flight *flight,
                      const struct kfi_limits *limits)
{
    flight->budget = (struct kfi_budget){.limits = *limits};
    flight->budget.limits.max_age_ms =
        limits->max_age_ms > flight->jitter_ms ? limits->max_age_ms - flight->jitter_ms : 1;
    flight->place = place;
    flight->number = flights->opened++;
    flight->clearings = flights->shelf.clearings;
    place->holds++;
    place->under_way++;
    kfi_list_push_back(&place->flying, &flight->in_flying);
    kfi_shelf_stats(&flights->shelf, place)->flights_opened++;
    room_show(place, flight);
}

struct flight *kfi_flights_oldest(struct place *place)
{
    struct kfi_link *link = kfi_list_first(&place->flying);
    return link == NULL ? NULL : KFI_CONTAINER(link, struct flight, in_flying);
}

void kfi_flights_seat(struct flights *flights, struct flight *flight, struct seat *seat)
{
    kfi_budget_charge(&flight->budget, &seat->policy->limits, seat->length);
    kfi_seat_take_locked(&seat->base, &flight->base);
    flight->seated++;
    kfi_shelf_stats(&flights->shelf, flight->place)->waiting++;
    if (kfi_budget_is_used_up(&flight->budget))
        room_hide(flight->place, flight);
}

bool kfi_flights_leave(struct flights *flights, struct seat *seat)
{
    struct flight *flight = kfi_flights_of(&seat->base);
    if (!kfi_seat_leave_locked(&seat->base))
        return false;
    kfi_budget_refund(&flight->budget, seat->length);
    flight->seated--;
    kfi_shelf_stats(&flights->shelf, flight->place)->waiting--;
    room_again(flights, flight);
    return true;
}

void kfi_flights_close(struct flights *flights, struct flight *flight, struct kfi_list *answered)
{
    struct place *place = flight->place;
    struct kf_cache_stats *stats = kfi_shelf_stats(&flights->shelf, place);
    room_hide(place, flight);
    place->under_way--;
    kfi_unlink(&flight->in_flying);
    stats->waiting -= flight->seated;
    if (flight->base.code != KF_OK)
        stats->flights_failed++;
    kfi_seats_land_locked(&flight->base, answered);
}

void kfi_flights_keep(struct flights *flights, struct flight *flight, uint64_t now_ms,
                      struct aftermath *after)
{
    struct entry *entry = flight->entry;
    flight->entry = NULL;
    entry->materials = kfi_materials_ref(flight->materials);
    entry->flight = flight->number;
    entry->landed_at = now_ms;
    entry->budget = flight->budget;
    entry->settles = flight->policy->settle;
    kfi_entry_keep(&flights->shelf, flight->place, entry,
                   kfi_flights_barred(flights, flight) ? KFI_KEEP_BARRED
                   : flight->ahead                     ? KFI_KEEP_PARKED
                                                       : KFI_KEEP_AS_ENTRY,
                   after);
}
