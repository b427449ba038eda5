/*
 * Turns and failures: see turns.h. Called by the ledger.
 */
#include "materials/cache/turns.h"

#include "base/ms.h"

/* How many places remember a failure at most; the one whose failure is the longest ago forgets it. */
#define FAILURES_MAX 256
/* How often the time behind a failure is doubled at most. */
#define DOUBLINGS_MAX 5

void kfi_turns_init(struct turns *turns, size_t capacity, uint64_t salt)
{
    kfi_flights_init(&turns->flights, capacity, salt);
    kfi_list_init(&turns->failures);
    turns->failure_count = 0;
    turns->waited = 0;
}

static struct kf_cache_stats *turns_stats(struct turns *turns, const struct place *place)
{
    return kfi_shelf_stats(&turns->flights.shelf, place);
}

/* ---- Failures ---- */

bool kfi_failure_holds(const struct place *place, const struct kfi_policy *policy, uint64_t now_ms)
{
    return policy->failure_backoff_ms > 0 && place->failure != NULL && now_ms < place->failure->until_ms;
}

void kfi_failure_forget(struct turns *turns, struct place *place, struct aftermath *after)
{
    struct failure *failure = place->failure;
    if (failure == NULL)
        return;
    place->failure = NULL;
    kfi_unlink(&failure->link);
    turns->failure_count--;
    kfi_list_push_back(&after->failures, &failure->link);
    kfi_place_release(&turns->flights.shelf, place, after);
}

static bool failure_is_past(const struct failure *failure, uint64_t now_ms)
{
    return now_ms >= failure->past_ms;
}

void kfi_failure_prune(struct turns *turns, uint64_t now_ms, struct aftermath *after)
{
    for (struct kfi_link *link = kfi_list_first(&turns->failures), *next; link != NULL; link = next) {
        const struct failure *failure = KFI_CONTAINER(link, struct failure, link);
        next = kfi_list_next(&turns->failures, link);
        if (failure_is_past(failure, now_ms))
            kfi_failure_forget(turns, failure->place, after);
    }
}

/* Makes the memory that a flight brought the failure of its place, which had none. */
static struct failure *failure_add(struct turns *turns, struct flight *flight, struct aftermath *after)
{
    struct place *place = flight->place;
    struct failure *failure = flight->failure;
    flight->failure = NULL;
    failure->place = place;
    place->failure = failure;
    place->holds++;
    kfi_list_push_front(&turns->failures, &failure->link);
    if (++turns->failure_count > FAILURES_MAX) {
        struct kfi_link *last = kfi_list_last(&turns->failures);
        kfi_failure_forget(turns, KFI_CONTAINER(last, struct failure, link)->place, after);
    }
    return failure;
}

void kfi_failure_note(struct turns *turns, struct flight *flight, uint64_t now_ms, struct aftermath *after)
{
    const uint64_t backoff_ms = flight->policy->failure_backoff_ms;
    struct failure *failure = flight->place->failure;
    const bool in_a_row = failure != NULL && !failure_is_past(failure, now_ms);
    if (backoff_ms == 0 || flight->base.code == KF_E_CLEANED_UP ||
        kfi_flights_barred(&turns->flights, flight))
        return;
    if (in_a_row && flight->number < failure->opened)
        return; /* one of a burst of which others failed before */
    if (failure == NULL) {
        failure = failure_add(turns, flight, after);
    } else {
        kfi_unlink(&failure->link);
        kfi_list_push_front(&turns->failures, &failure->link);
    }
    if (!in_a_row)
        failure->times = 0;
    const unsigned doublings = failure->times < DOUBLINGS_MAX ? failure->times : DOUBLINGS_MAX;
    failure->times++;
    failure->error = flight->base.error;
    failure->opened = turns->flights.opened;
    failure->until_ms = kfi_ms_after(now_ms, backoff_ms << doublings);
    failure->past_ms = kfi_ms_after(failure->until_ms, backoff_ms << DOUBLINGS_MAX);
}

/* ---- The line ---- */

bool kfi_turns_full(const struct place *place, const struct kfi_policy *policy)
{
    return policy->max_flights > 0 && place->under_way >= policy->max_flights;
}

void kfi_turns_wait(struct turns *turns, struct place *place, struct seat *seat)
{
    const struct kfi_measures needs = kfi_limits_needs(&seat->policy->limits, seat->length);
    seat->place = place;
    kfi_refs_add(&seat->base.refs, 1);
    kfi_order_put(&place->line, &seat->in_line, turns->waited++, &needs);
    turns_stats(turns, place)->queued++;
}

/* Takes a seat out of the line, whose reference goes to the caller. */
static void line_take(struct turns *turns, struct seat *seat)
{
    kfi_order_take(&seat->in_line);
    turns_stats(turns, seat->place)->queued--;
    seat->place = NULL;
}

void kfi_turns_leave(struct turns *turns, struct seat *seat)
{
    line_take(turns, seat);
    (void)kfi_refs_drop(&seat->base.refs); /* never the last one: whoever leaves has his own */
}

static struct seat *line_seat(struct order_node *node)
{
    return node == NULL ? NULL : KFI_CONTAINER(node, struct seat, in_line);
}

static struct seat *line_first(struct place *place)
{
    return line_seat(kfi_order_first(&place->line));
}

/* The first in the line for whom there is room in a key of this age, or NULL. */
static struct seat *line_find(struct place *place, const struct kfi_budget *budget, uint64_t age_ms)
{
    const struct kfi_measures gives = kfi_budget_gives(budget, age_ms);
    return line_seat(kfi_order_find(&place->line, &gives));
}

/* The same for the entry of the place, or else for the key that is parked behind it. */
static struct seat *line_find_kept(struct place *place, uint64_t now_ms)
{
    const struct entry *const kept[] = {place->entry, place->parked};
    struct seat *seat = NULL;
    for (size_t i = 0; i < 2 && seat == NULL; i++) {
        if (kept[i] != NULL)
            seat = line_find(place, &kept[i]->budget, now_ms - kept[i]->landed_at);
    }
    return seat;
}

/* Answers somebody in the line from the entry, if that has room. */
static bool serve_entry(struct turns *turns, struct place *place, struct seat *seat, uint64_t now_ms,
                        struct aftermath *after)
{
    struct shelf *shelf = &turns->flights.shelf;
    struct entry *entry = kfi_entry_usable(shelf, place, seat->policy, seat->length, now_ms, after);
    if (entry == NULL)
        return false;
    line_take(turns, seat);
    seat->materials = kfi_entry_charge(shelf, entry, seat->policy, seat->length, now_ms, NULL, after);
    seat->code = KF_OK;
    kfi_list_push_back(&after->answered, &seat->base.link);
    return true;
}

/* Opens a flight for somebody in the line. */
static void serve_next(struct turns *turns, struct flight *next, struct seat *seat)
{
    struct place *place = seat->place;
    turns_stats(turns, place)->waves++;
    kfi_flights_open(&turns->flights, place, next, &seat->policy->limits);
    line_take(turns, seat);
    kfi_flights_seat(&turns->flights, next, seat);
    (void)kfi_refs_drop(&seat->base.refs); /* the line's; the flight has one of its own */
}

void kfi_turns_offer(struct turns *turns, struct flight *flight, struct aftermath *after)
{
    struct place *place = flight->place;
    struct seat *seat;
    while (kfi_flights_roomy(&turns->flights, flight) &&
           (seat = line_find(place, &flight->budget, 0)) != NULL) {
        turns_stats(turns, place)->coalesced++;
        line_take(turns, seat);
        kfi_flights_seat(&turns->flights, flight, seat);
        kfi_list_push_back(&after->seated, &seat->told);
    }
}

bool kfi_turns_serve(struct turns *turns, struct place *place, struct flight *next, uint64_t now_ms,
                     struct aftermath *after)
{
    struct seat *seat = line_first(place);
    /* The first one is tried in any case: that ends what has expired, and counts what was given back. */
    if (seat != NULL)
        (void)serve_entry(turns, place, seat, now_ms, after);
    do
        seat = line_find_kept(place, now_ms);
    while (seat != NULL && serve_entry(turns, place, seat, now_ms, after));
    seat = line_first(place);
    if (seat == NULL || next == NULL)
        return false;
    serve_next(turns, next, seat);
    kfi_turns_offer(turns, next, after);
    return true;
}

void kfi_turns_dismiss(struct turns *turns, struct place *place, struct flight *flight,
                       struct aftermath *after)
{
    for (struct seat *seat; (seat = line_first(place)) != NULL;) {
        line_take(turns, seat);
        seat->code = KF_E_NO_MEMORY;
        if (flight != NULL) {
            seat->base.flight = &flight->base;
            kfi_refs_add(&flight->base.refs, 1);
        }
        kfi_list_push_back(&after->answered, &seat->base.link);
    }
}
