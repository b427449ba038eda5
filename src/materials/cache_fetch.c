/*
 * Keys under way: flights, who is seated in them, who waits for one to begin, and what a failed one leaves
 * behind. Called by cache.c, and by base/flight.c when a fetch is over. `_locked` functions run under the
 * cache's lock (see cache_parts.h).
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "materials/cache_events.h"
#include "materials/cache_parts.h"
#include "suite/random.h"

/* Places that remember a failure at most; the one whose failure is the longest ago forgets it. */
#define FAILURES_MAX 256
/* How often the time behind a failure is doubled at most. */
#define DOUBLINGS_MAX 5

struct kf_cache_event kfi_fetch_event(const struct fetch *fetch, enum kf_cache_event_kind kind)
{
    return (struct kf_cache_event){
        .kind = kind,
        .decrypts = fetch->kind->decrypts,
        .refresh = fetch->refresh,
        .flight = fetch->order,
        .request_id = kfi_request_id_of(&fetch->flight.request_id, fetch->flight.code),
    };
}

/* ---- Flights with room ---- */

static bool barred(const struct fetch *fetch)
{
    return fetch->clearings != fetch->cache->clearings;
}

/* Puts a flight where others find it, in the order of opening. */
static void insert_locked(struct place *place, struct fetch *fetch)
{
    struct kfi_link *at = &place->flights.ring;
    while (at->previous != &place->flights.ring &&
           KFI_CONTAINER(at->previous, struct fetch, in_place)->order > fetch->order)
        at = at->previous;
    kfi_link_insert_after(at->previous, &fetch->in_place);
}

static void unlink_locked(struct place *place, struct fetch *fetch)
{
    if (!kfi_linked(&fetch->in_place))
        return;
    if (place->hint.flight == fetch) {
        struct kfi_link *near = fetch->in_place.next;
        if (near == &place->flights.ring)
            near = fetch->in_place.previous;
        place->hint.flight =
            near == &place->flights.ring ? NULL : KFI_CONTAINER(near, struct fetch, in_place);
    }
    kfi_unlink(&fetch->in_place);
}

/* Lets others find a flight in which a seat became free. Behind a clearing nobody may take it. */
static void room_again_locked(struct fetch *fetch)
{
    struct hint *hint = &fetch->place->hint;
    if (barred(fetch))
        return;
    if (!kfi_linked(&fetch->in_place))
        insert_locked(fetch->place, fetch);
    if (hint->flight != NULL && hint->flight->order > fetch->order)
        hint->flight = fetch;
}

struct fetch *kfi_fetch_find_locked(struct place *place, const struct kfi_cache_policy *policy,
                                    uint64_t length)
{
    const struct kfi_limits *limits = &policy->limits;
    struct hint *hint = &place->hint;
    const bool holds = hint->flight != NULL && length >= hint->length &&
                       limits->max_messages <= hint->limits.max_messages &&
                       limits->max_bytes <= hint->limits.max_bytes;
    struct kfi_link *link = holds ? &hint->flight->in_place : kfi_list_first(&place->flights);
    struct fetch *last = NULL;
    for (; link != NULL; link = kfi_list_next(&place->flights, link)) {
        last = KFI_CONTAINER(link, struct fetch, in_place);
        if (kfi_budget_fits(&last->budget, limits, length))
            break;
    }
    *hint = (struct hint){last, length, *limits};
    return link != NULL ? last : NULL;
}

void kfi_fetch_bar_locked(struct place *place)
{
    while (kfi_list_pop(&place->flights) != NULL) {
    }
    place->hint.flight = NULL;
}

void kfi_fetch_open_locked(struct kf_cache *cache, struct place *place, struct fetch *fetch,
                           const struct kfi_limits *limits)
{
    if (place == NULL) {
        place = kfi_place_add_locked(cache, fetch->spare, &fetch->key);
        fetch->spare = NULL;
    }
    fetch->budget.limits = *limits;
    fetch->budget.limits.max_age_ms =
        limits->max_age_ms > fetch->jitter_ms ? limits->max_age_ms - fetch->jitter_ms : 1;
    fetch->place = place;
    fetch->order = cache->opened++;
    fetch->clearings = cache->clearings;
    place->under_way++;
    cache->stats.flights_opened++;
    insert_locked(place, fetch);
}

void kfi_fetch_seat_locked(struct fetch *fetch, struct seat *seat)
{
    kfi_budget_charge(&fetch->budget, &seat->policy->limits, seat->length);
    kfi_seat_take_locked(&seat->seat, &fetch->flight);
    fetch->seated++;
    fetch->cache->stats.waiting++;
    if (fetch->budget.messages >= fetch->budget.limits.max_messages)
        unlink_locked(fetch->place, fetch);
}

/* ---- Failures ---- */

bool kfi_failure_holds(const struct place *place, const struct kfi_cache_policy *policy)
{
    return policy->failure_backoff_ms > 0 && place->failure != NULL && kfi_now_ms() < place->failure->until;
}

void kfi_failure_forget_locked(struct kf_cache *cache, struct failure *failure, struct garbage *garbage)
{
    failure->place->failure = NULL;
    kfi_unlink(&failure->link);
    cache->failure_count--;
    kfi_list_push_back(&garbage->failures, &failure->link);
}

/* Remembers that a fetch failed, if its opener wants the next ones to come later. */
static void failure_note_locked(struct kf_cache *cache, struct fetch *fetch, struct garbage *garbage)
{
    struct place *place = fetch->place;
    struct failure *failure = place->failure;
    if (fetch->policy.failure_backoff_ms == 0 || fetch->flight.code == KF_E_CLEANED_UP || barred(fetch))
        return;
    if (failure == NULL) {
        failure = fetch->failure;
        fetch->failure = NULL;
        failure->place = place;
        place->failure = failure;
        kfi_list_push_front(&cache->failures, &failure->link);
        if (++cache->failure_count > FAILURES_MAX) {
            struct failure *last = KFI_CONTAINER(kfi_list_last(&cache->failures), struct failure, link);
            struct place *left = last->place;
            kfi_failure_forget_locked(cache, last, garbage);
            kfi_place_tidy_locked(left, garbage);
        }
    } else if (fetch->order < failure->opened) {
        return; /* one of a burst of which others failed before */
    } else {
        kfi_unlink(&failure->link);
        kfi_list_push_front(&cache->failures, &failure->link);
    }
    const unsigned doublings = failure->times < DOUBLINGS_MAX ? failure->times : DOUBLINGS_MAX;
    failure->times++;
    failure->error = fetch->flight.error;
    failure->opened = cache->opened;
    failure->until = kfi_ms_after(kfi_now_ms(), fetch->policy.failure_backoff_ms << doublings);
}

/* ---- Those who wait for a flight to begin ---- */

/* Takes one who waits out of the line, whose reference goes to the caller. */
static void leave_line_locked(struct kf_cache *cache, struct seat *seat)
{
    kfi_unlink(&seat->seat.link);
    cache->stats.queued--;
}

/*
 * Gives those who wait what room there is, the first to come first, up to one who fits nowhere: in the entry,
 * in a flight, or in `next` (may be NULL), which is then opened: true. Who is answered by that goes to
 * `answered`.
 */
static bool serve_locked(struct kf_cache *cache, struct place *place, struct fetch *next,
                         struct kfi_list *answered, struct garbage *garbage)
{
    bool opened = false;
    for (struct kfi_link *link; (link = kfi_list_first(&place->waiting)) != NULL;) {
        struct seat *seat = KFI_CONTAINER(link, struct seat, seat.link);
        const struct kfi_cache_policy *policy = seat->policy;
        struct entry *entry = kfi_entry_usable_locked(cache, place, policy, seat->length, garbage);
        if (entry != NULL) {
            bool refresh = false;
            seat->value = kfi_entry_charge_locked(cache, entry, policy, seat->length, &refresh, garbage);
            seat->code = KF_OK;
            if (refresh)
                entry->refreshed = false; /* somebody who can fetch it will be asked again */
            leave_line_locked(cache, seat);
            kfi_list_push_back(answered, &seat->seat.link);
            continue;
        }
        struct fetch *fetch = kfi_fetch_find_locked(place, policy, seat->length);
        if (fetch != NULL) {
            cache->stats.coalesced++;
        } else if (next != NULL && !opened &&
                   (policy->max_flights == 0 || place->under_way < policy->max_flights)) {
            kfi_fetch_open_locked(cache, place, next, &policy->limits);
            cache->stats.waves++;
            opened = true;
            fetch = next;
        } else {
            break;
        }
        leave_line_locked(cache, seat);
        kfi_fetch_seat_locked(fetch, seat);
        (void)kfi_refs_drop(&seat->seat.refs); /* the line's; never the last one, the caller has one */
    }
    return opened;
}

/* Answers all who wait: with the error of `flight`, or, if that is NULL, that there is no memory. */
static void dismiss_locked(struct kf_cache *cache, struct place *place, struct kfi_flight *flight,
                           struct kfi_list *answered)
{
    for (struct kfi_link *link; (link = kfi_list_first(&place->waiting)) != NULL;) {
        struct seat *seat = KFI_CONTAINER(link, struct seat, seat.link);
        leave_line_locked(cache, seat);
        seat->code = KF_E_NO_MEMORY;
        if (flight != NULL) {
            seat->seat.flight = flight;
            kfi_refs_add(&flight->refs, 1);
        }
        kfi_list_push_back(answered, &seat->seat.link);
    }
}

void kfi_seat_drop(void *state)
{
    struct seat *seat = state;
    struct kf_cache *cache = seat->cache;
    struct kfi_list answered;
    struct garbage garbage;
    kfi_list_init(&answered);
    kfi_garbage_init(&garbage);

    kfi_cache_lock(cache);
    struct fetch *fetch = (struct fetch *)seat->seat.flight;
    struct place *place = NULL; /* where others may have room now */
    if (fetch == NULL && seat->code == KF_PENDING) {
        place = seat->place;
        leave_line_locked(cache, seat);
        (void)kfi_refs_drop(&seat->seat.refs); /* never the last one: it is ours */
    } else if (fetch != NULL && kfi_seat_leave_locked(&seat->seat)) {
        kfi_budget_refund(&fetch->budget, seat->length);
        fetch->seated--;
        cache->stats.waiting--;
        room_again_locked(fetch);
        place = fetch->place;
    }
    if (place != NULL)
        serve_locked(cache, place, NULL, &answered, &garbage);
    kfi_cache_unlock(cache);

    kfi_flight_deliver(&answered);
    kfi_garbage_free(&garbage);
    if (seat->value != NULL)
        seat->kind->value_unref(seat->value);
    kfi_seat_unref(&seat->seat);
}

/* ---- Making, landing and ending flights ---- */

static void fetch_destroy(struct kfi_flight *flight)
{
    struct fetch *fetch = (struct fetch *)flight;
    if (flight->result != NULL)
        fetch->kind->value_unref(flight->result);
    if (fetch->request != NULL)
        fetch->kind->request_unref(fetch->request);
    kfi_free(fetch->entry);
    kfi_free(fetch->spare);
    kfi_free(fetch->failure);
    kf_cache_listener_unref(fetch->policy.listener);
    kf_cache_unref(fetch->cache);
    kfi_free(fetch);
}

static enum kf_code fetch_poll(struct kfi_flight *flight, struct kf_error *error, void **result)
{
    struct fetch *fetch = (struct fetch *)flight;
    return fetch->kind->fetch(fetch->request, &flight->call, error, result);
}

static void fetch_land(struct kfi_flight *flight);

/* A flight that brings no memory for a place of its own, and has no request yet. */
static enum kf_code fetch_make(struct kf_cache *cache, const struct kfi_cache_kind *kind,
                               const struct kfi_cache_policy *policy, const struct kfi_cache_key *key,
                               struct kf_error *error, struct fetch **out)
{
    static const struct kfi_flight_class class = {
        .poll = fetch_poll, .land = fetch_land, .destroy = fetch_destroy};
    *out = NULL;
    struct fetch *fetch = kfi_alloc_zeroed(sizeof *fetch);
    if (fetch == NULL)
        return kfi_no_memory(error);
    kfi_flight_init(&fetch->flight, &class, policy->fetch_timeout_ms);
    fetch->cache = kf_cache_ref(cache);
    fetch->kind = kind;
    fetch->policy = *policy;
    kf_cache_listener_ref(policy->listener);
    fetch->key = *key;
    fetch->entry = kfi_alloc_zeroed(sizeof *fetch->entry);
    if (policy->failure_backoff_ms > 0)
        fetch->failure = kfi_alloc_zeroed(sizeof *fetch->failure);
    enum kf_code code = KF_OK;
    if (fetch->entry == NULL || (policy->failure_backoff_ms > 0 && fetch->failure == NULL))
        code = kfi_no_memory(error);
    if (code == KF_OK && policy->max_age_jitter_ms > 0) {
        uint64_t random;
        code = kfi_random((uint8_t *)&random, sizeof random, error);
        fetch->jitter_ms = random % (policy->max_age_jitter_ms + 1);
    }
    if (code == KF_OK)
        *out = fetch;
    else
        kfi_flight_unref(&fetch->flight);
    return code;
}

enum kf_code kfi_fetch_new(struct kf_cache *cache, const struct kfi_cache_question *question,
                           struct kf_error *error, struct fetch **out)
{
    struct fetch *fetch;
    *out = NULL;
    enum kf_code code = fetch_make(cache, question->kind, question->policy, &question->key, error, &fetch);
    if (code != KF_OK)
        return code;
    fetch->request = question->kind->request_copy(question->request);
    fetch->spare = kfi_alloc_zeroed(sizeof *fetch->spare);
    if (fetch->request == NULL || fetch->spare == NULL) {
        kfi_flight_unref(&fetch->flight);
        return kfi_no_memory(error);
    }
    *out = fetch;
    return KF_OK;
}

/* The flight that may follow this one: it asks the same, and comes into the same place. NULL: no memory. */
static struct fetch *fetch_after(const struct fetch *fetch)
{
    struct fetch *next;
    if (fetch_make(fetch->cache, fetch->kind, &fetch->policy, &fetch->key, NULL, &next) == KF_OK)
        next->request = fetch->kind->request_ref(fetch->request);
    return next;
}

/*
 * Whether those who wait for their turn share the failure of a flight: where the next one would not be allowed to
 * begin, or can't.
 */
static bool fails_all(const struct fetch *fetch)
{
    return fetch->flight.refused || fetch->flight.code == KF_E_CLEANED_UP ||
           kfi_failure_holds(fetch->place, &fetch->policy);
}

/* What became of a flight, under the lock; true if `next` was opened. */
static bool land_locked(struct fetch *fetch, struct fetch *next, struct kfi_list *answered,
                        struct garbage *garbage)
{
    struct kf_cache *cache = fetch->cache;
    struct place *place = fetch->place;
    unlink_locked(place, fetch);
    place->under_way--;
    cache->stats.waiting -= fetch->seated;
    kfi_flight_land_locked(&fetch->flight, answered);
    if (fetch->flight.code == KF_OK) {
        if (place->failure != NULL)
            kfi_failure_forget_locked(cache, place->failure, garbage);
        kfi_entry_keep_locked(cache, fetch, garbage);
    } else {
        cache->stats.flights_failed++;
        failure_note_locked(cache, fetch, garbage);
        if (fails_all(fetch))
            dismiss_locked(cache, place, &fetch->flight, answered);
    }
    const bool opened = serve_locked(cache, place, next, answered, garbage);
    if (place->under_way == 0)
        dismiss_locked(cache, place, NULL, answered); /* nobody is left for whom they could wait */
    fetch->place = NULL;
    kfi_place_tidy_locked(place, garbage);
    return opened;
}

static void fetch_land(struct kfi_flight *flight)
{
    struct fetch *fetch = (struct fetch *)flight, *next = NULL;
    struct kf_cache *cache = fetch->cache;
    struct kfi_list answered;
    struct garbage garbage;
    kfi_list_init(&answered);
    kfi_garbage_init(&garbage);

    kfi_cache_lock(cache);
    if (!kfi_list_empty(&fetch->place->waiting)) {
        kfi_cache_unlock(cache);
        next = fetch_after(fetch);
        kfi_cache_lock(cache);
    }
    const bool opened = land_locked(fetch, next, &answered, &garbage);
    kfi_cache_unlock(cache);

    kfi_flight_deliver(&answered);
    struct kf_cache_event event =
        kfi_fetch_event(fetch, flight->code == KF_OK ? KF_CACHE_LANDED : KF_CACHE_FAILED);
    if (flight->code == KF_OK) {
        kfi_cache_tell_landed(fetch->policy.listener, event,
                              fetch->kind->edks(fetch->request, flight->result));
    } else {
        event.error = &flight->error;
        kfi_cache_tell(fetch->policy.listener, event);
    }
    kfi_garbage_free(&garbage);
    if (opened) {
        kfi_cache_tell(next->policy.listener, kfi_fetch_event(next, KF_CACHE_MISS));
        kfi_flight_launch_apart(&next->flight);
    } else if (next != NULL) {
        kfi_flight_unref(&next->flight);
    }
}

bool kfi_fetch_is(const struct kfi_flight *flight, const struct kf_cache *cache,
                  const struct kfi_cache_key *key)
{
    if (flight->class->land != fetch_land)
        return false; /* somebody else's flight */
    const struct fetch *fetch = (const struct fetch *)flight;
    return fetch->cache == cache && memcmp(&fetch->key, key, sizeof *key) == 0;
}
