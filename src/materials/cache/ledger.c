/*
 * The ledger: see ledger.h.
 */
#include "materials/cache/ledger.h"

void kfi_ledger_init(struct ledger *ledger, size_t capacity, uint64_t salt)
{
    kfi_turns_init(&ledger->turns, capacity, salt);
}

static struct shelf *ledger_shelf(struct ledger *ledger)
{
    return &ledger->turns.flights.shelf;
}

struct table *kfi_ledger_table(struct ledger *ledger)
{
    return &ledger_shelf(ledger)->table;
}

/* ---- Places ---- */

/* Ends what a place has from before a clearing. A rule does so before it looks at anything else there. */
static void place_freshen(struct ledger *ledger, struct place *place, struct aftermath *after)
{
    struct shelf *shelf = ledger_shelf(ledger);
    if (!kfi_place_is_stale(shelf, place))
        return;
    place->clearings = shelf->clearings;
    kfi_entry_clear(shelf, place, after);
    kfi_flights_bar(place);
    kfi_failure_forget(&ledger->turns, place, after);
}

/* Holds a place that somebody else holds too, for a rule that works on it. */
static void place_hold(struct ledger *ledger, struct place *place, struct aftermath *after)
{
    place->holds++;
    place_freshen(ledger, place, after);
}

/* The place of a key, held likewise, or NULL. */
static struct place *place_find(struct ledger *ledger, const struct kfi_cache_key *key,
                                struct aftermath *after)
{
    struct place *place = kfi_place_hold(ledger_shelf(ledger), key);
    if (place != NULL)
        place_freshen(ledger, place, after);
    return place;
}

static void place_release(struct ledger *ledger, struct place *place, struct aftermath *after)
{
    kfi_place_release(ledger_shelf(ledger), place, after);
}

/* The place that a flight brings for a key that has none, held likewise. */
static struct place *place_add(struct ledger *ledger, struct flight *flight, struct aftermath *after)
{
    struct place *place = flight->spare;
    flight->spare = NULL;
    kfi_place_add(ledger_shelf(ledger), place, &flight->key, flight->direction, after);
    return place;
}

/* ---- Asking ---- */

/* Charges the message to what is there or under way; false if neither has room for it. */
static bool ask_place(struct ledger *ledger, struct place *place, const struct ledger_question *question,
                      struct seat *seat, uint64_t now_ms, struct ledger_answer *answer,
                      struct aftermath *after)
{
    struct shelf *shelf = ledger_shelf(ledger);
    const struct kfi_policy *policy = question->policy;
    struct entry *entry = kfi_entry_usable(shelf, place, policy, question->length, now_ms, after);
    if (entry != NULL) {
        answer->look = KFI_LEDGER_HIT;
        answer->materials =
            kfi_entry_charge(shelf, entry, policy, question->length, now_ms, &answer->ahead, after);
        return true;
    }
    struct flight *flight = kfi_flights_find(place, policy, question->length);
    if (flight == NULL)
        return false;
    if (seat == NULL) {
        answer->look = KFI_LEDGER_WANTS_SEAT;
        return true;
    }
    answer->look = KFI_LEDGER_COALESCED;
    answer->flight = flight->number;
    answer->awaited = flight;
    kfi_flights_seat(&ledger->turns.flights, flight, seat);
    kfi_shelf_stats(shelf, place)->coalesced++;
    return true;
}

/* Sends away whoever may not open a flight in this place now; false if he may. */
static bool ask_barrier(struct ledger *ledger, struct place *place, const struct ledger_question *question,
                        struct seat *seat, uint64_t now_ms, struct ledger_answer *answer)
{
    if (kfi_failure_holds(place, question->policy, now_ms)) {
        answer->look = KFI_LEDGER_REFUSED;
        answer->failure = place->failure->error;
        kfi_shelf_stats(ledger_shelf(ledger), place)->failed_fast++;
        return true;
    }
    if (!kfi_turns_full(place, question->policy))
        return false;
    answer->look = seat == NULL ? KFI_LEDGER_WANTS_SEAT : KFI_LEDGER_QUEUED;
    answer->awaited = kfi_flights_oldest(place);
    if (seat != NULL)
        kfi_turns_wait(&ledger->turns, place, seat);
    return true;
}

/* Opens a flight for whoever found nothing. `place` is NULL if the key has none yet. */
static void ask_open(struct ledger *ledger, struct place *place, struct seat *seat, struct flight *flight,
                     struct ledger_answer *answer, struct aftermath *after)
{
    if (seat == NULL || flight == NULL) {
        answer->look = KFI_LEDGER_WANTS_FLIGHT;
        return;
    }
    struct place *own = place == NULL ? place_add(ledger, flight, after) : NULL;
    kfi_flights_open(&ledger->turns.flights, own != NULL ? own : place, flight, &seat->policy->limits);
    kfi_flights_seat(&ledger->turns.flights, flight, seat);
    kfi_turns_offer(&ledger->turns, flight, after);
    answer->look = KFI_LEDGER_OPENED;
    answer->flight = flight->number;
    if (own != NULL)
        place_release(ledger, own, after);
}

void kfi_ledger_ask(struct ledger *ledger, const struct ledger_question *question, struct seat *seat,
                    struct flight *flight, uint64_t now_ms, struct ledger_answer *answer,
                    struct aftermath *after)
{
    struct place *place = place_find(ledger, &question->key, after);
    answer->materials = NULL;
    answer->ahead = false;
    if (place == NULL || (!ask_place(ledger, place, question, seat, now_ms, answer, after) &&
                          !ask_barrier(ledger, place, question, seat, now_ms, answer)))
        ask_open(ledger, place, seat, flight, answer, after);
    if (place != NULL)
        place_release(ledger, place, after);
}

/* Whether a flight ahead would be in vain: others fetched the next key meanwhile, or are doing it, or it may not begin. */
static bool ahead_is_needless(const struct place *place, const struct kfi_policy *policy, uint64_t now_ms)
{
    return (place->entry != NULL && !place->entry->refreshed) || place->parked != NULL ||
           place->roomy.root != NULL || kfi_failure_holds(place, policy, now_ms) ||
           kfi_turns_full(place, policy);
}

bool kfi_ledger_open_ahead(struct ledger *ledger, struct flight *flight, uint64_t now_ms,
                           struct aftermath *after)
{
    struct place *place = place_find(ledger, &flight->key, after);
    const bool needed = place == NULL || !ahead_is_needless(place, flight->policy, now_ms);
    if (place == NULL)
        place = place_add(ledger, flight, after);
    if (needed) {
        flight->ahead = true;
        kfi_flights_open(&ledger->turns.flights, place, flight, &flight->policy->limits);
        kfi_shelf_stats(ledger_shelf(ledger), place)->refreshes++;
        kfi_turns_offer(&ledger->turns, flight, after);
    }
    place_release(ledger, place, after);
    return needed;
}

void kfi_ledger_bypass(struct ledger *ledger, enum kfi_direction direction)
{
    ledger_shelf(ledger)->stats[direction].bypasses++;
}

enum kf_code kfi_ledger_answer(struct seat *seat, const struct kfi_materials **materials)
{
    struct flight *flight = kfi_flights_of(&seat->base);
    if (flight == NULL) {
        *materials = seat->materials;
        seat->materials = NULL;
        return seat->code;
    }
    if (!flight->base.landed)
        return KF_PENDING;
    if (flight->base.code == KF_OK)
        *materials = kfi_materials_ref(flight->materials);
    return flight->base.code;
}

void kfi_ledger_awaits(struct seat *seat, void (*meet)(void *context, struct flight *flight), void *context)
{
    struct flight *flight = kfi_flights_of(&seat->base);
    struct place *place = seat->place;
    if (flight != NULL && !flight->base.landed)
        meet(context, flight);
    if (place == NULL)
        return;
    for (struct kfi_link *link = kfi_list_first(&place->flying); link != NULL;
         link = kfi_list_next(&place->flying, link))
        meet(context, KFI_CONTAINER(link, struct flight, in_flying));
}

void kfi_ledger_leave(struct ledger *ledger, struct seat *seat, struct aftermath *after)
{
    if (seat->place != NULL)
        kfi_turns_leave(&ledger->turns, seat);
    else if (seat->base.flight != NULL && kfi_flights_leave(&ledger->turns.flights, seat))
        kfi_turns_offer(&ledger->turns, kfi_flights_of(&seat->base), after);
}

/* ---- Landing ---- */

bool kfi_ledger_awaited(const struct flight *flight)
{
    return flight->place->line.root != NULL;
}

/*
 * Whether those who wait for their turn share the failure of a flight: where the next one would not be allowed to
 * begin, or can't.
 */
static bool fails_all(const struct flight *flight, uint64_t now_ms)
{
    return flight->base.refused || flight->base.code == KF_E_CLEANED_UP ||
           kfi_failure_holds(flight->place, flight->policy, now_ms);
}

/* Those in the line wait for the oldest flight, so that it must not be without a driver. */
static void await_oldest(struct place *place, struct aftermath *after)
{
    after->awaited = kfi_flights_oldest(place);
    kfi_refs_add(&after->awaited->base.refs, 1);
}

bool kfi_ledger_land(struct ledger *ledger, struct flight *flight, struct flight *next, uint64_t now_ms,
                     struct aftermath *after)
{
    struct turns *turns = &ledger->turns;
    struct place *place = flight->place;
    place_freshen(ledger, place, after);
    kfi_flights_close(&turns->flights, flight, &after->answered);
    if (flight->base.code == KF_OK) {
        kfi_failure_forget(turns, place, after);
        kfi_flights_keep(&turns->flights, flight, now_ms, after);
    } else {
        kfi_failure_note(turns, flight, now_ms, after);
        if (fails_all(flight, now_ms))
            kfi_turns_dismiss(turns, place, flight, after);
    }
    const bool opened = kfi_turns_serve(turns, place, next, now_ms, after);
    if (place->under_way == 0)
        kfi_turns_dismiss(turns, place, NULL, after); /* nobody is left for whom they could wait */
    else if (place->line.root != NULL)
        await_oldest(place, after);
    flight->place = NULL;
    place_release(ledger, place, after);
    return opened;
}

/* ---- The whole ---- */

uint64_t kfi_ledger_clear(struct ledger *ledger)
{
    return ++ledger_shelf(ledger)->clearings;
}

/* In a forked child the count of clearings begins anew; then nothing is from before one that began in the parent. */
static bool is_from_before(const struct shelf *shelf, const struct place *place, uint64_t clearing)
{
    return kfi_place_is_stale(shelf, place) && place->clearings < clearing;
}

/*
 * A place that has an entry or a failure from before a clearing, or NULL. Both lists have the oldest at their ends. Places
 * with flights alone are seen to when somebody comes to them.
 */
static struct place *place_from_before(struct ledger *ledger, uint64_t clearing)
{
    struct shelf *shelf = ledger_shelf(ledger);
    struct kfi_link *used = kfi_list_last(&shelf->by_use);
    struct kfi_link *failed = kfi_list_last(&ledger->turns.failures);
    struct place *place = used != NULL ? KFI_CONTAINER(used, struct entry, by_use)->place : NULL;
    if (place != NULL && is_from_before(shelf, place, clearing))
        return place;
    place = failed != NULL ? KFI_CONTAINER(failed, struct failure, link)->place : NULL;
    return place != NULL && is_from_before(shelf, place, clearing) ? place : NULL;
}

bool kfi_ledger_sweep(struct ledger *ledger, uint64_t clearing, size_t most, struct aftermath *after)
{
    struct place *place;
    while ((place = place_from_before(ledger, clearing)) != NULL && most-- > 0) {
        place_hold(ledger, place, after);
        place_release(ledger, place, after);
    }
    return place != NULL;
}

static void prune_entry(struct ledger *ledger, struct entry *entry, struct aftermath *after)
{
    struct place *place = entry->place;
    place_hold(ledger, place, after);
    if (entry->place == place) /* else it had been cleared */
        kfi_entry_expire(ledger_shelf(ledger), entry, after);
    place_release(ledger, place, after);
}

bool kfi_ledger_prune(struct ledger *ledger, uint64_t now_ms, size_t most, struct aftermath *after)
{
    struct wheel *wheel = &ledger_shelf(ledger)->by_age;
    struct ending *over;
    for (; most > 0 && kfi_wheel_step(wheel, now_ms, &over); most--) {
        if (over != NULL)
            prune_entry(ledger, KFI_CONTAINER(over, struct entry, by_age), after);
    }
    return most == 0;
}

void kfi_ledger_prune_failures(struct ledger *ledger, uint64_t now_ms, struct aftermath *after)
{
    kfi_failure_prune(&ledger->turns, now_ms, after);
}

bool kfi_ledger_ages(const struct ledger *ledger)
{
    return ledger->turns.flights.shelf.by_age.count > 0 || ledger->turns.failure_count > 0;
}

void kfi_ledger_stats_add(const struct ledger *ledger, enum kfi_direction direction,
                          struct kf_cache_stats *sum)
{
    /* Behind its size the struct has nothing but counters. */
    enum {
        START = offsetof(struct kf_cache_stats, hits),
        COUNT = (sizeof *sum - START) / sizeof(uint64_t)
    };
    const struct kf_cache_stats *stats = &ledger->turns.flights.shelf.stats[direction];
    uint64_t counters[COUNT], sums[COUNT];
    memcpy(counters, (const char *)stats + START, sizeof counters);
    memcpy(sums, (const char *)sum + START, sizeof sums);
    for (size_t i = 0; i < COUNT; i++)
        sums[i] += counters[i];
    memcpy((char *)sum + START, sums, sizeof sums);
}
