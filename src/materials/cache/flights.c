/*
 * Keys under way: see flights.h. Called by the storeys of the ledger above.
 */
#include "materials/cache/flights.h"

void kfi_flights_init(struct flights *flights, size_t capacity, uint64_t salt)
{
    kfi_shelf_init(&flights->shelf, capacity, salt);
    flights->opened = 0;
}

struct flight *kfi_flights_of(const struct kfi_seat *seat)
{
    return seat->flight == NULL ? NULL : KFI_CONTAINER(seat->flight, struct flight, base);
}

/* ---- Barring ---- */

void kfi_flights_bar(struct place *place)
{
    kfi_order_forget(&place->roomy);
}

bool kfi_flights_barred(const struct flights *flights, const struct flight *flight)
{
    return flight->clearings != flights->shelf.clearings;
}

/* ---- Flights with room ---- */

bool kfi_flights_roomy(const struct flights *flights, const struct flight *flight)
{
    return !kfi_flights_barred(flights, flight) && flight->in_place.in != NULL;
}

/* Lets others find what room there is in a flight. Nobody may take it behind a clearing. */
static void room_show(const struct flights *flights, struct flight *flight)
{
    struct order *roomy = &flight->place->roomy;
    struct order_node *node = &flight->in_place;
    if (kfi_flights_barred(flights, flight))
        return;
    if (kfi_budget_is_used_up(&flight->budget)) {
        if (node->in != NULL)
            kfi_order_take(node);
        return;
    }
    const struct kfi_measures gives = kfi_budget_gives(&flight->budget, 0);
    const struct kfi_measures turned = kfi_measures_turned(&gives);
    if (node->in != NULL)
        kfi_order_change(node, &turned);
    else
        kfi_order_put(roomy, node, flight->number, &turned);
}

struct flight *kfi_flights_find(struct place *place, const struct kfi_policy *policy, uint64_t length)
{
    const struct kfi_measures needs = kfi_limits_needs(&policy->limits, length);
    const struct kfi_measures turned = kfi_measures_turned(&needs);
    struct order_node *node = kfi_order_find(&place->roomy, &turned);
    return node == NULL ? NULL : KFI_CONTAINER(node, struct flight, in_place);
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
    room_show(flights, flight);
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
    room_show(flights, flight);
}

bool kfi_flights_leave(struct flights *flights, struct seat *seat)
{
    struct flight *flight = kfi_flights_of(&seat->base);
    if (!kfi_seat_leave_locked(&seat->base))
        return false;
    kfi_budget_refund(&flight->budget, seat->length);
    flight->seated--;
    kfi_shelf_stats(&flights->shelf, flight->place)->waiting--;
    room_show(flights, flight);
    return true;
}

void kfi_flights_close(struct flights *flights, struct flight *flight, struct kfi_list *answered)
{
    struct place *place = flight->place;
    struct kf_cache_stats *stats = kfi_shelf_stats(&flights->shelf, place);
    if (kfi_flights_roomy(flights, flight))
        kfi_order_take(&flight->in_place);
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
