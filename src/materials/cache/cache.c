/*
 * The cache: one lock around one ledger. Called by the caching CMM, and by base/flight.c when a fetch is over.
 *
 * The ledger has the rules. Here is all that rules must not touch: the lock, memory, the clock, events, and the
 * launching of fetches. Each rule runs in one critical section, in which nothing is allocated, freed, wiped, woken,
 * or called back: what it needs is made before, and what it leaves to be done is done after.
 */
#include "materials/cache/cache.h"

#include "base/asking.h"
#include "base/circle.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/sized.h"
#include "materials/cache/events.h"
#include "materials/cache/ledger.h"
#include "materials/cache/pruner.h"
#include "suite/random.h"

struct kf_cache {
    struct kfi_refs refs;
    struct kfi_fork_guard guard;
    struct kfi_lock lock; /* guards the ledger, and all that it reaches; a leaf */
    struct ledger ledger;
    struct pruner pruner;
};

/* An entry, and whom its end is told to. */
struct kept {
    struct entry entry;                 /* first */
    struct kf_cache_listener *listener; /* a reference, or NULL */
};

/* A flight of this cache, and what it needs to fetch. */
struct fetch {
    struct flight flight; /* first */
    struct kf_cache *cache;
    struct kfi_cache_policy policy; /* the opener's, with references to its listener and to `stuck` */
    struct kfi_request *request;    /* those who fly after it share it */
};

/* A caller who waits. */
struct caller {
    struct seat seat; /* first */
    struct kf_cache *cache;
    struct kf_cache_listener *listener; /* a reference, or NULL */
};

static struct fetch *fetch_of(const struct kfi_flight *flight)
{
    return KFI_CONTAINER(flight, struct fetch, flight.base);
}

static struct caller *caller_of(const struct kfi_seat *seat)
{
    return KFI_CONTAINER(seat, struct caller, seat.base);
}

/* ---- The lock ---- */

static void cache_lock(struct kf_cache *cache)
{
    kfi_lock_take(&cache->lock);
}

/* Locks it for a rule that needs the time: as it is read under the lock, it never runs backwards between two rules. */
static uint64_t cache_lock_now(struct kf_cache *cache)
{
    cache_lock(cache);
    return kfi_now_ms();
}

static void cache_unlock(struct kf_cache *cache)
{
    kfi_lock_leave(&cache->lock);
}

/* Makes everything that the lock guards anew; what was there is abandoned. */
static void cache_reset(void *context)
{
    struct kf_cache *cache = context;
    struct ledger *ledger = &cache->ledger;
    kfi_lock_init(&cache->lock);
    kfi_ledger_init(ledger, ledger->turns.flights.shelf.capacity, kfi_ledger_table(ledger)->salt);
    cache->pruner = (struct pruner){.on = false};
}

static void cache_use(struct kf_cache *cache)
{
    kfi_fork_guard_check(&cache->guard, cache_reset, cache);
}

/* ---- Expired keys ---- */

/* How many steps of pruning come with each rule that has the time. */
#define PRUNE_FEW 4
/* How many steps, or places, are done at once before the lock is left, for others to come in between. */
#define BATCH 256

static void cache_prune(void *context);

static void pruner_set(struct kf_cache *cache, uint64_t when)
{
    const struct kf_waker prune = {cache_prune, cache};
    if (kfi_pruner_set(&cache->pruner, when, &prune))
        return;
    cache_use(cache); /* a listener may have forked */
    cache_lock(cache);
    cache->pruner.on = false; /* the next rule tries again */
    cache_unlock(cache);
}

/* Leaves the lock behind a rule: prunes a little before, and sees that a timer prunes what nobody comes for. */
static void cache_unlock_pruned(struct kf_cache *cache, uint64_t now_ms, struct aftermath *after)
{
    (void)kfi_ledger_prune(&cache->ledger, now_ms, PRUNE_FEW, after);
    const bool sets = kfi_ledger_ages(&cache->ledger) && kfi_pruner_claim(&cache->pruner);
    cache_unlock(cache);
    if (sets)
        pruner_set(cache, kfi_ms_after(now_ms, KFI_PRUNE_EVERY_MS));
}

/* ---- Events ---- */

static struct kf_cache_event fetch_event(const struct fetch *fetch, enum kf_cache_event_kind kind)
{
    const struct flight *flight = &fetch->flight;
    return (struct kf_cache_event){
        .kind = kind,
        .decrypts = flight->direction == KFI_DECRYPTION,
        .refresh = flight->ahead,
        .flight = flight->number,
        .request_id = kfi_request_id_of(&flight->base.request_id, flight->base.code),
    };
}

static void tell_miss(const struct fetch *fetch)
{
    kfi_cache_tell(fetch->policy.listener, fetch_event(fetch, KF_CACHE_MISS));
}

static void tell_landed(const struct fetch *fetch)
{
    const struct kfi_flight *base = &fetch->flight.base;
    struct kf_cache_event event = fetch_event(fetch, base->code == KF_OK ? KF_CACHE_LANDED : KF_CACHE_FAILED);
    if (base->code == KF_OK) {
        kfi_cache_tell_landed(fetch->policy.listener, event,
                              kfi_request_edks(fetch->request, fetch->flight.materials));
    } else {
        event.error = &base->error;
        kfi_cache_tell(fetch->policy.listener, event);
    }
}

static void tell_coalesced(struct kf_cache_listener *listener, enum kfi_direction direction, uint64_t flight)
{
    kfi_cache_tell(listener, (struct kf_cache_event){
                                 .kind = KF_CACHE_COALESCED,
                                 .decrypts = direction == KFI_DECRYPTION,
                                 .flight = flight,
                             });
}

static void tell_ended(const struct kept *kept)
{
    const struct entry *entry = &kept->entry;
    kfi_cache_tell(kept->listener, (struct kf_cache_event){
                                       .kind = KF_CACHE_ENDED,
                                       .decrypts = entry->materials->direction == KFI_DECRYPTION,
                                       .flight = entry->flight,
                                       .end = entry->end,
                                       .messages = entry->budget.messages,
                                       .bytes = entry->budget.bytes,
                                   });
}

/* ---- What rules leave to be done ---- */

/* Frees memory for an entry, and the entry in it, if it became one. */
static void kept_free(struct kept *kept)
{
    kf_cache_listener_unref(kept->listener);
    kfi_materials_unref(kept->entry.materials);
    kfi_free(kept);
}

/* Frees the keys that ended, and tells of them before. */
static void after_ended(struct kfi_list *ended, bool tells)
{
    for (struct kfi_link *link; (link = kfi_list_pop(ended)) != NULL;) {
        struct kept *kept = KFI_CONTAINER(link, struct kept, entry.by_use);
        if (tells)
            tell_ended(kept);
        kept_free(kept);
    }
}

/* Tells those who got a seat out of the line. Another thread may have told them of the landing before. */
static void after_seated(struct kfi_list *seated)
{
    for (struct kfi_link *link; (link = kfi_list_pop(seated)) != NULL;) {
        struct seat *seat = KFI_CONTAINER(link, struct seat, told);
        const struct flight *flight = kfi_flights_of(&seat->base);
        tell_coalesced(caller_of(&seat->base)->listener, flight->direction, flight->number);
        kfi_flight_follow(seat->base.flight);
        kfi_seat_unref(&seat->base);
    }
}

/* Gives the table of places memory for so many buckets. If there is none it is asked for again. */
static void after_growth(struct kf_cache *cache, size_t buckets)
{
    struct kfi_list *memory = kfi_alloc(buckets * sizeof *memory);
    if (memory == NULL)
        return;
    cache_lock(cache);
    memory = kfi_table_give(kfi_ledger_table(&cache->ledger), memory, buckets);
    cache_unlock(cache);
    kfi_free(memory);
}

/*
 * Does all that a rule left to be done, outside the lock: wakes, tells and frees. `landed` is the fetch that the rule
 * landed, `opened` the one that it opened; both may be NULL.
 */
static void after_rule(struct kf_cache *cache, struct aftermath *after, const struct fetch *landed,
                       const struct fetch *opened)
{
    if (after->buckets > 0)
        after_growth(cache, after->buckets);
    kfi_seats_deliver(&after->answered);
    if (landed != NULL)
        tell_landed(landed);
    after_ended(&after->ended, true);
    if (opened != NULL)
        tell_miss(opened);
    after_seated(&after->seated);
    for (struct kfi_link *link; (link = kfi_list_pop(&after->places)) != NULL;)
        kfi_free(KFI_CONTAINER(link, struct place, keyed.in_bucket));
    for (struct kfi_link *link; (link = kfi_list_pop(&after->failures)) != NULL;)
        kfi_free(KFI_CONTAINER(link, struct failure, link));
    if (after->awaited != NULL) {
        kfi_flight_follow(&after->awaited->base);
        kfi_flight_unref(&after->awaited->base);
    }
}

/* ---- Fetches ---- */

static enum kf_code fetch_poll(struct kfi_flight *flight, struct kf_error *error)
{
    struct fetch *fetch = fetch_of(flight);
    return kfi_request_poll(fetch->request, &flight->call, error, &fetch->flight.materials);
}

static void fetch_overdue(const struct kfi_flight *flight, struct kf_error *error)
{
    kf_error_set(error, KF_E_TIMEOUT,
                 "The fetch of keys was given up after %llu ms (the limit is fetch_timeout_ms).",
                 (unsigned long long)flight->timeout_ms);
}

static void fetch_came_back(struct kfi_flight *flight, bool overdue)
{
    struct fetch *fetch = fetch_of(flight);
    kfi_materials_unref(fetch->flight.materials);
    fetch->flight.materials = NULL;
    if (overdue)
        kfi_stuck_less(fetch->policy.stuck);
}

static void fetch_destroy(struct kfi_flight *flight)
{
    struct fetch *fetch = fetch_of(flight);
    kfi_materials_unref(fetch->flight.materials);
    kfi_request_unref(fetch->request);
    if (fetch->flight.entry != NULL)
        kept_free(KFI_CONTAINER(fetch->flight.entry, struct kept, entry));
    kfi_free(fetch->flight.spare);
    kfi_free(fetch->flight.failure);
    kf_cache_listener_unref(fetch->policy.listener);
    kfi_stuck_unref(fetch->policy.stuck);
    kf_cache_unref(fetch->cache);
    kfi_free(fetch);
}

static void fetch_land(struct kfi_flight *flight);

static const struct kfi_flight_class fetch_class = {
    .poll = fetch_poll,
    .overdue = fetch_overdue,
    .land = fetch_land,
    .came_back = fetch_came_back,
    .destroy = fetch_destroy,
};

/* All memory that may come of a flight; false if there is none. */
static bool fetch_prepare(struct fetch *fetch)
{
    struct flight *flight = &fetch->flight;
    struct kept *kept = kfi_alloc_zeroed(sizeof *kept);
    if (kept != NULL) {
        kept->listener = kf_cache_listener_ref(fetch->policy.listener);
        flight->entry = &kept->entry;
    }
    flight->spare = kfi_alloc_zeroed(sizeof *flight->spare);
    if (fetch->policy.rules.failure_backoff_ms > 0)
        flight->failure = kfi_alloc_zeroed(sizeof *flight->failure);
    return flight->entry != NULL && flight->spare != NULL && fetch->request != NULL &&
           (fetch->policy.rules.failure_backoff_ms == 0 || flight->failure != NULL);
}

static enum kf_code fetch_draw_jitter(struct fetch *fetch, struct kf_error *error)
{
    const uint64_t most = fetch->policy.max_age_jitter_ms;
    uint64_t random = 0;
    enum kf_code code = most > 0 ? kfi_random((uint8_t *)&random, sizeof random, error) : KF_OK;
    fetch->flight.jitter_ms = random % (most + 1);
    return code;
}

/*
 * A flight, not opened yet. Takes over a reference to `request`, NULL if there was no memory for it. Errors:
 * KF_E_NO_MEMORY, KF_E_SYSTEM (no random bytes).
 */
static enum kf_code fetch_new(struct kf_cache *cache, const struct kfi_cache_policy *policy,
                              const struct kfi_cache_key *key, enum kfi_direction direction,
                              struct kfi_request *request, struct kf_error *error, struct fetch **out)
{
    *out = NULL;
    struct fetch *fetch = kfi_alloc_zeroed(sizeof *fetch);
    if (fetch == NULL) {
        kfi_request_unref(request);
        return kfi_no_memory(error);
    }
    kfi_flight_init(&fetch->flight.base, &fetch_class, policy->fetch_timeout_ms);
    fetch->cache = kf_cache_ref(cache);
    fetch->policy = *policy;
    kf_cache_listener_ref(policy->listener);
    kfi_stuck_ref(policy->stuck);
    fetch->request = request;
    fetch->flight.key = *key;
    fetch->flight.direction = direction;
    fetch->flight.policy = &fetch->policy.rules;
    enum kf_code code = fetch_prepare(fetch) ? fetch_draw_jitter(fetch, error) : kfi_no_memory(error);
    if (code == KF_OK)
        *out = fetch;
    else
        kfi_flight_unref(&fetch->flight.base);
    return code;
}

/* The flight that may follow this one: it asks the same. NULL: no memory. */
static struct fetch *fetch_new_after(const struct fetch *fetch)
{
    const struct flight *flight = &fetch->flight;
    struct fetch *next;
    (void)!fetch_new(fetch->cache, &fetch->policy, &flight->key, flight->direction,
                     kfi_request_ref(fetch->request), NULL, &next);
    return next;
}

static void fetch_land(struct kfi_flight *flight)
{
    struct fetch *fetch = fetch_of(flight), *next = NULL;
    struct kf_cache *cache = fetch->cache;
    struct aftermath after;
    kfi_aftermath_init(&after);
    if (flight->stuck)
        flight->refused = kfi_stuck_more(fetch->policy.stuck); /* those in the line begin no other one then */

    uint64_t now_ms = cache_lock_now(cache);
    if (kfi_ledger_awaited(&fetch->flight)) {
        cache_unlock(cache);
        next = fetch_new_after(fetch);
        now_ms = cache_lock_now(cache);
    }
    const bool opened =
        kfi_ledger_land(&cache->ledger, &fetch->flight, next != NULL ? &next->flight : NULL, now_ms, &after);
    cache_unlock_pruned(cache, now_ms, &after);

    after_rule(cache, &after, fetch, opened ? next : NULL);
    if (opened)
        kfi_flight_launch_apart(&next->flight.base);
    else if (next != NULL)
        kfi_flight_unref(&next->flight.base);
}

/* ---- Callers ---- */

static void caller_leave(struct kfi_seat *base)
{
    struct caller *caller = caller_of(base);
    struct aftermath after;
    kfi_aftermath_init(&after);
    cache_lock(caller->cache);
    kfi_ledger_leave(&caller->cache->ledger, &caller->seat, &after);
    cache_unlock(caller->cache);

    after_rule(caller->cache, &after, NULL, NULL);
}

static void caller_meets(void *search, struct flight *flight)
{
    kfi_circle_meet(search, &flight->base);
}

static void caller_awaited(struct kfi_seat *base, struct kfi_circle_search *search)
{
    struct caller *caller = caller_of(base);
    cache_lock(caller->cache);
    kfi_ledger_awaits(&caller->seat, caller_meets, search);
    cache_unlock(caller->cache);
}

static void caller_end(struct kfi_seat *base)
{
    struct caller *caller = caller_of(base);
    kfi_materials_unref(caller->seat.materials);
    kf_cache_listener_unref(caller->listener);
}

/* ---- Asking ---- */

/* One question of a caller. */
struct ask {
    struct kfi_asking base; /* first */
    struct kf_cache *cache;
    const struct kfi_cache_question *question;
    struct ledger_question asked; /* as the ledger wants it */
    struct ledger_answer answer;
};

static struct ask *ask_of(const struct kfi_asking *asking)
{
    return KFI_CONTAINER(asking, struct ask, base);
}

/* Tells what a question came to, once the lock is left. */
static void ask_tell(const struct ask *ask)
{
    if (ask->answer.look == KFI_LEDGER_COALESCED)
        tell_coalesced(ask->question->policy->listener, ask->asked.direction, ask->answer.flight);
}

static unsigned ask_look(struct kfi_asking *asking)
{
    /* What the ledger came to, in the words of base/asking.h. */
    static const unsigned looks[] = {
        [KFI_LEDGER_REFUSED] = KFI_LOOK_ANSWERED,
        [KFI_LEDGER_HIT] = KFI_LOOK_ANSWERED,
        [KFI_LEDGER_COALESCED] = KFI_LOOK_SEATED,
        [KFI_LEDGER_QUEUED] = KFI_LOOK_SEATED,
        [KFI_LEDGER_OPENED] = KFI_LOOK_SEATED | KFI_LOOK_OPENED,
        [KFI_LEDGER_WANTS_SEAT] = KFI_LOOK_WANTS_SEAT,
        [KFI_LEDGER_WANTS_FLIGHT] = KFI_LOOK_WANTS_SEAT | KFI_LOOK_WANTS_FLIGHT,
    };
    struct ask *ask = ask_of(asking);
    struct caller *caller = asking->seat != NULL ? caller_of(asking->seat) : NULL;
    struct fetch *fetch = asking->flight != NULL ? fetch_of(asking->flight) : NULL;
    struct aftermath after;
    kfi_aftermath_init(&after);
    const uint64_t now_ms = cache_lock_now(ask->cache);
    kfi_ledger_ask(&ask->cache->ledger, &ask->asked, caller != NULL ? &caller->seat : NULL,
                   fetch != NULL ? &fetch->flight : NULL, now_ms, &ask->answer, &after);
    if (ask->answer.look == KFI_LEDGER_COALESCED || ask->answer.look == KFI_LEDGER_QUEUED)
        kfi_asking_follows_locked(asking, &ask->answer.awaited->base);
    cache_unlock_pruned(ask->cache, now_ms, &after);
    after_rule(ask->cache, &after, NULL, ask->answer.look == KFI_LEDGER_OPENED ? fetch : NULL);
    ask_tell(ask);
    return looks[ask->answer.look];
}

static enum kf_code ask_flight_new(struct kfi_asking *asking, struct kf_error *error)
{
    struct ask *ask = ask_of(asking);
    struct fetch *fetch;
    enum kf_code code = kfi_stuck_check(ask->question->policy->stuck, error);
    if (code != KF_OK)
        return code;
    code = fetch_new(ask->cache, ask->question->policy, &ask->asked.key, ask->asked.direction,
                     kfi_request_copy(&ask->question->asked), error, &fetch);
    asking->flight = fetch != NULL ? &fetch->flight.base : NULL;
    return code;
}

static void ask_seat_made(struct kfi_asking *asking)
{
    const struct ask *ask = ask_of(asking);
    struct caller *caller = caller_of(asking->seat);
    caller->cache = ask->cache;
    caller->listener = kf_cache_listener_ref(ask->question->policy->listener);
    caller->seat.policy = ask->asked.policy;
    caller->seat.length = ask->asked.length;
    caller->seat.code = KF_PENDING;
}

static bool ask_brings(const struct kfi_flight *flight, const struct kfi_asking *asking)
{
    const struct ask *ask = ask_of(asking);
    return flight->class == &fetch_class && fetch_of(flight)->cache == ask->cache &&
           memcmp(&fetch_of(flight)->flight.key, &ask->asked.key, sizeof ask->asked.key) == 0;
}

static const struct kfi_asking_class ask_class = {
    .seat = {.size = sizeof(struct caller),
             .leave = caller_leave,
             .awaited = caller_awaited,
             .end = caller_end},
    .look = ask_look,
    .flight_new = ask_flight_new,
    .seat_made = ask_seat_made,
    .brings = ask_brings,
    .waits_for_itself =
        "Inside the fetch of a key somebody asked the cache for that very key: a keyring or CMM must "
        "not encrypt with the CMM that waits for it.",
};

/*
 * Fetches the next key ahead, as a hit was asked to. Whatever keeps it from beginning is nobody's failure:
 * the callers that will need it fetch it themselves.
 */
static void fetch_ahead(struct ask *ask)
{
    struct kf_cache *cache = ask->cache;
    struct fetch *fetch;
    struct aftermath after;
    if (ask_flight_new(&ask->base, NULL) != KF_OK)
        return;
    fetch = fetch_of(ask->base.flight);
    kfi_aftermath_init(&after);
    const uint64_t now_ms = cache_lock_now(cache);
    const bool opened = kfi_ledger_open_ahead(&cache->ledger, &fetch->flight, now_ms, &after);
    cache_unlock(cache);
    after_rule(cache, &after, NULL, opened ? fetch : NULL);
    if (opened)
        kfi_flight_launch(&fetch->flight.base);
    else
        kfi_flight_unref(&fetch->flight.base);
}

/* What an answer means for the caller. */
static enum kf_code ask_answered(struct ask *ask, struct kf_error *error, const struct kfi_materials **out)
{
    if (ask->answer.look == KFI_LEDGER_REFUSED)
        return kf_error_set(error, ask->answer.failure.code, "%s", ask->answer.failure.text);
    *out = ask->answer.materials;
    if (ask->answer.ahead)
        fetch_ahead(ask);
    return KF_OK;
}

enum kf_code kfi_cache_ask(struct kf_cache *cache, struct kf_call *call,
                           const struct kfi_cache_question *question, struct kf_error *error,
                           enum kfi_cache_outcome *outcome, const struct kfi_materials **out)
{
    struct ask ask;
    ask.base = (struct kfi_asking){.class = &ask_class, .call = call};
    ask.cache = cache;
    ask.question = question;
    ask.asked = (struct ledger_question){
        .key = question->key,
        .direction = question->asked.direction,
        .policy = &question->policy->rules,
        .length = question->length,
    };
    cache_use(cache);
    *out = NULL;
    enum kf_code code = kfi_ask(&ask.base, error);
    *outcome = code < KF_OK                            ? KFI_CACHE_REFUSED
               : ask.answer.look == KFI_LEDGER_REFUSED ? KFI_CACHE_REFUSED
               : ask.answer.look == KFI_LEDGER_OPENED  ? KFI_CACHE_FETCHED
                                                       : KFI_CACHE_SHARED;
    if (code == KF_OK)
        return ask_answered(&ask, error, out);
    return code == KF_PENDING ? kfi_cache_poll(call, error, out) : code;
}

enum kf_code kfi_cache_poll(struct kf_call *call, struct kf_error *error, const struct kfi_materials **out)
{
    struct caller *caller = caller_of(kf_call_state(call));
    *out = NULL;
    cache_lock(caller->cache);
    enum kf_code code = kfi_ledger_answer(&caller->seat, out);
    const struct kfi_flight *flight = caller->seat.base.flight;
    cache_unlock(caller->cache);
    if (code >= KF_OK)
        return code;
    return flight != NULL ? kf_error_set(error, code, "%s", flight->error.text) : kfi_no_memory(error);
}

void kfi_cache_count_bypass(struct kf_cache *cache, enum kfi_direction direction)
{
    cache_use(cache);
    cache_lock(cache);
    kfi_ledger_bypass(&cache->ledger, direction);
    cache_unlock(cache);
}

/* ---- The public face ---- */

enum kf_code kf_cache_new(size_t capacity, struct kf_error *error, struct kf_cache **out)
{
    *out = NULL;
    uint64_t salt = 0;
    enum kf_code code = kfi_fork_ready(error);
    if (code == KF_OK)
        code = kfi_random((uint8_t *)&salt, sizeof salt, error);
    if (code != KF_OK)
        return code;
    struct kf_cache *cache = kfi_alloc_zeroed(sizeof *cache);
    if (cache == NULL)
        return kfi_no_memory(error);
    kfi_lock_init(&cache->lock);
    kfi_refs_init(&cache->refs);
    kfi_fork_guard_init(&cache->guard);
    kfi_ledger_init(&cache->ledger, capacity, salt);
    *out = cache;
    return KF_OK;
}

struct kf_cache *kf_cache_ref(struct kf_cache *cache)
{
    if (cache != NULL)
        kfi_refs_add(&cache->refs, 1);
    return cache;
}

/* Frees all that is there, by its last owner. Flights hold a reference, so that only keys and failures are left. */
static void cache_empty(struct kf_cache *cache)
{
    const uint64_t clearing = kfi_ledger_clear(&cache->ledger);
    for (bool more = true; more;) {
        struct aftermath after;
        kfi_aftermath_init(&after);
        more = kfi_ledger_sweep(&cache->ledger, clearing, BATCH, &after);
        after_ended(&after.ended, false);
        after_rule(cache, &after, NULL, NULL);
    }
}

static void cache_destroy(struct kf_cache *cache)
{
    cache_empty(cache);
    kfi_lock_end(&cache->lock);
    for (void *part; (part = kfi_table_take_back(kfi_ledger_table(&cache->ledger))) != NULL;)
        kfi_free(part);
    kfi_free(cache);
}

void kf_cache_unref(struct kf_cache *cache)
{
    if (cache == NULL || !kfi_refs_drop(&cache->refs))
        return;
    cache_use(cache);
    kfi_pruner_end(&cache->pruner, true);
    cache_destroy(cache);
}

/*
 * Prunes for nobody, on the internal thread: a batch, so that it holds up no fetch. The timer has no reference: the cache
 * ends when its owners want it to.
 */
static void cache_prune(void *context)
{
    struct kf_cache *cache = context;
    struct aftermath after;
    if (!kfi_refs_add_if_any(&cache->refs))
        return; /* its last owner waits until this is over */
    kfi_aftermath_init(&after);
    const uint64_t now_ms = cache_lock_now(cache);
    const bool more = kfi_ledger_prune(&cache->ledger, now_ms, BATCH, &after);
    kfi_ledger_prune_failures(&cache->ledger, now_ms, &after);
    const bool again = cache->pruner.on = kfi_ledger_ages(&cache->ledger);
    cache_unlock(cache);
    after_rule(cache, &after, NULL, NULL);
    if (again)
        pruner_set(cache, kfi_ms_after(now_ms, more ? 1 : KFI_PRUNE_EVERY_MS));
    if (kfi_refs_drop(&cache->refs)) { /* its owners let go of it meanwhile, and did not wait */
        kfi_pruner_end(&cache->pruner, false);
        cache_destroy(cache);
    }
}

void kf_cache_clear(struct kf_cache *cache)
{
    cache_use(cache);
    cache_lock(cache);
    const uint64_t clearing = kfi_ledger_clear(&cache->ledger);
    cache_unlock(cache);
    for (bool more = true; more;) {
        struct aftermath after;
        kfi_aftermath_init(&after);
        cache_use(cache); /* a listener may have forked */
        cache_lock(cache);
        more = kfi_ledger_sweep(&cache->ledger, clearing, BATCH, &after);
        cache_unlock(cache);
        after_rule(cache, &after, NULL, NULL);
    }
}

/* The statistics of the directions from `first` to `last`. */
static void stats_read(struct kf_cache *cache, enum kfi_direction first, enum kfi_direction last,
                       struct kf_cache_stats *out)
{
    struct kf_cache_stats stats = KF_CACHE_STATS_INIT;
    cache_use(cache);
    cache_lock(cache);
    for (enum kfi_direction direction = first; direction <= last; direction++)
        kfi_ledger_stats_add(&cache->ledger, direction, &stats);
    cache_unlock(cache);
    kfi_sized_write(out, &stats, sizeof stats);
}

void kf_cache_stats_read(struct kf_cache *cache, struct kf_cache_stats *out)
{
    stats_read(cache, KFI_ENCRYPTION, KFI_DECRYPTION, out);
}

void kf_cache_stats_read_direction(struct kf_cache *cache, bool decrypts, struct kf_cache_stats *out)
{
    const enum kfi_direction direction = decrypts ? KFI_DECRYPTION : KFI_ENCRYPTION;
    stats_read(cache, direction, direction, out);
}
