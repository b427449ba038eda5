/*
 * The cache of credentials: see credentials.h. One in a client; called by its requests.
 *
 * It holds one set of credentials at most, and one flight at most. While the expiry is far nobody waits. When it
 * comes near, the next caller opens a flight in the background and gets the old credentials. Shortly before the
 * expiry all callers wait for the flight. If a flight fails, the old credentials stay in use until they expire.
 *
 * One lock guards all of that. Under it nothing is allocated, freed, woken or called back.
 */

#include "aws/service/credentials.h"
#include "base/asking.h"
#include "base/circle.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/lock.h"
#include "base/memory.h"

struct kfi_aws_credentials_cache {
    struct kfi_refs refs; /* the client has one, every flight has one */
    struct kfi_fork_guard guard;
    struct kf_aws_credentials_provider *provider;
    uint64_t fetch_timeout_ms;

    struct kfi_lock lock;                /* guards what follows, and the flights' seats; a leaf */
    struct kfi_aws_credentials *current; /* a reference, or NULL */
    struct fetch *open;                  /* the flight that has not landed, or NULL; not counted */
    uint64_t rest_until;                 /* in ms of kfi_now_ms: no refresh before, unless they expired */
};

struct fetch {
    struct kfi_flight flight; /* first */
    struct kfi_aws_credentials_cache *cache;
    struct kfi_aws_credentials *credentials; /* a reference, set before the landing */
};

static void credentials_lock(struct kfi_aws_credentials_cache *cache)
{
    kfi_lock_take(&cache->lock);
}

static void credentials_unlock(struct kfi_aws_credentials_cache *cache)
{
    kfi_lock_leave(&cache->lock);
}

/* ---- The cache itself ---- */

/* Makes anew all that the lock guards. What was there is abandoned. */
static void credentials_reset(void *context)
{
    struct kfi_aws_credentials_cache *cache = context;
    kfi_lock_init(&cache->lock);
    cache->current = NULL;
    cache->open = NULL;
    cache->rest_until = 0;
}

enum kf_code kfi_aws_credentials_cache_new(struct kf_aws_credentials_provider *provider,
                                           uint64_t fetch_timeout_ms, struct kf_error *error,
                                           struct kfi_aws_credentials_cache **out)
{
    *out = NULL;
    enum kf_code code = kfi_fork_ready(error);
    if (code != KF_OK)
        return code;
    struct kfi_aws_credentials_cache *cache = kfi_alloc_zeroed(sizeof *cache);
    if (cache == NULL)
        return kfi_no_memory(error);
    kfi_refs_init(&cache->refs);
    kfi_fork_guard_init(&cache->guard);
    cache->provider = kf_aws_credentials_provider_ref(provider);
    cache->fetch_timeout_ms = fetch_timeout_ms;
    credentials_reset(cache);
    *out = cache;
    return KF_OK;
}

void kfi_aws_credentials_cache_unref(struct kfi_aws_credentials_cache *cache)
{
    if (cache == NULL || !kfi_refs_drop(&cache->refs))
        return;
    kfi_fork_guard_check(&cache->guard, credentials_reset, cache);
    kfi_aws_credentials_unref(cache->current);
    kf_aws_credentials_provider_unref(cache->provider);
    kfi_lock_end(&cache->lock);
    kfi_free(cache);
}

/* ---- Fetches ---- */

static struct fetch *credentials_fetch_of(const struct kfi_flight *flight)
{
    return KFI_CONTAINER(flight, struct fetch, flight);
}

static enum kf_code credentials_fetch_poll(struct kfi_flight *flight, struct kf_error *error)
{
    struct fetch *fetch = credentials_fetch_of(flight);
    return kfi_aws_credentials_fetch(fetch->cache->provider, &flight->call, error, &fetch->credentials);
}

static void credentials_fetch_overdue(const struct kfi_flight *flight, struct kf_error *error)
{
    kf_error_set(error, KF_E_TIMEOUT, "AWS credentials did not come within %llu ms.",
                 (unsigned long long)flight->timeout_ms);
}

static void credentials_fetch_land(struct kfi_flight *flight)
{
    struct fetch *fetch = credentials_fetch_of(flight);
    struct kfi_aws_credentials_cache *cache = fetch->cache;
    struct kfi_aws_credentials *former = NULL;
    struct kfi_list seated;
    kfi_list_init(&seated);
    uint64_t rest_until = kfi_ms_after(kfi_now_ms(), KFI_AWS_REFRESH_PAUSE_MS);

    credentials_lock(cache);
    if (cache->open == fetch)
        cache->open = NULL;
    cache->rest_until = rest_until;
    if (flight->code == KF_OK) {
        former = cache->current;
        cache->current = kfi_aws_credentials_ref(fetch->credentials);
    }
    kfi_seats_land_locked(flight, &seated);
    credentials_unlock(cache);

    kfi_seats_deliver(&seated);
    kfi_aws_credentials_unref(former);
}

static void credentials_fetch_came_back(struct kfi_flight *flight, bool overdue)
{
    struct fetch *fetch = credentials_fetch_of(flight);
    (void)overdue;
    kfi_aws_credentials_unref(fetch->credentials);
    fetch->credentials = NULL;
}

static void credentials_fetch_destroy(struct kfi_flight *flight)
{
    struct fetch *fetch = credentials_fetch_of(flight);
    kfi_aws_credentials_unref(fetch->credentials);
    kfi_aws_credentials_cache_unref(fetch->cache);
    kfi_free(fetch);
}

static const struct kfi_flight_class credentials_fetch_class = {
    .poll = credentials_fetch_poll,
    .overdue = credentials_fetch_overdue,
    .land = credentials_fetch_land,
    .came_back = credentials_fetch_came_back,
    .destroy = credentials_fetch_destroy,
};

/* ---- Asking ---- */

/* One question. */
struct ask {
    struct kfi_asking base; /* first */
    struct kfi_aws_credentials_cache *cache;
    struct kfi_aws_credentials *credentials; /* the answer: a reference, or NULL */
};

static struct ask *credentials_ask_of(const struct kfi_asking *asking)
{
    return KFI_CONTAINER(asking, struct ask, base);
}

/* Seconds that the credentials have left; 0 if there are none. */
static uint64_t left_locked(const struct kfi_aws_credentials_cache *cache, uint64_t now)
{
    return cache->current != NULL && cache->current->expires_at > now ? cache->current->expires_at - now : 0;
}

static unsigned look_locked(struct kfi_aws_credentials_cache *cache, struct ask *ask)
{
    uint64_t left = left_locked(cache, kfi_aws_wall_clock());
    bool rests = kfi_now_ms() < cache->rest_until;
    bool serves = left > KFI_AWS_REFRESH_NOW_S || (left > 0 && rests);
    bool wants_flight = cache->open == NULL && (!serves || (left <= KFI_AWS_REFRESH_AHEAD_S && !rests));
    if (wants_flight && ask->base.flight == NULL)
        return KFI_LOOK_WANTS_FLIGHT | (serves ? 0 : KFI_LOOK_WANTS_SEAT);
    if (!serves && ask->base.seat == NULL)
        return KFI_LOOK_WANTS_SEAT;
    if (wants_flight)
        cache->open = credentials_fetch_of(ask->base.flight);
    if (serves)
        ask->credentials = kfi_aws_credentials_ref(cache->current);
    else
        kfi_seat_take_locked(ask->base.seat, &cache->open->flight);
    if (!serves && !wants_flight)
        kfi_asking_follows_locked(&ask->base, &cache->open->flight);
    return (serves ? KFI_LOOK_ANSWERED : KFI_LOOK_SEATED) | (wants_flight ? KFI_LOOK_OPENED : 0);
}

static unsigned credentials_ask_look(struct kfi_asking *asking)
{
    struct ask *ask = credentials_ask_of(asking);
    credentials_lock(ask->cache);
    unsigned look = look_locked(ask->cache, ask);
    credentials_unlock(ask->cache);
    return look;
}

static enum kf_code credentials_ask_flight_new(struct kfi_asking *asking, struct kf_error *error)
{
    struct kfi_aws_credentials_cache *cache = credentials_ask_of(asking)->cache;
    struct fetch *fetch = kfi_alloc_zeroed(sizeof *fetch);
    if (fetch == NULL)
        return kfi_no_memory(error);
    kfi_flight_init(&fetch->flight, &credentials_fetch_class, cache->fetch_timeout_ms);
    kfi_refs_add(&cache->refs, 1);
    fetch->cache = cache;
    asking->flight = &fetch->flight;
    return KF_OK;
}

static bool credentials_ask_brings(const struct kfi_flight *flight, const struct kfi_asking *asking)
{
    return flight->class == &credentials_fetch_class &&
           credentials_fetch_of(flight)->cache == credentials_ask_of(asking)->cache;
}

/* A caller gives up a seat, before or after the landing. */
static void credentials_ask_leave(struct kfi_seat *seat)
{
    struct kfi_aws_credentials_cache *cache = credentials_fetch_of(seat->flight)->cache;
    credentials_lock(cache);
    (void)kfi_seat_leave_locked(seat);
    credentials_unlock(cache);
}

static void credentials_ask_awaited(struct kfi_seat *seat, struct kfi_circle_search *search)
{
    struct kfi_aws_credentials_cache *cache = credentials_fetch_of(seat->flight)->cache;
    credentials_lock(cache);
    if (!seat->flight->landed)
        kfi_circle_meet(search, seat->flight);
    credentials_unlock(cache);
}

static const struct kfi_asking_class credentials_ask_class = {
    .seat = {.size = sizeof(struct kfi_seat),
             .leave = credentials_ask_leave,
             .awaited = credentials_ask_awaited},
    .look = credentials_ask_look,
    .flight_new = credentials_ask_flight_new,
    .brings = credentials_ask_brings,
    .waits_for_itself = "A credentials provider asked for the credentials that it is being asked for: it "
                        "must not use the client that it serves.",
};

/* The answer for a call that has a seat in a flight. */
static enum kf_code seated_poll(struct kf_call *call, struct kf_error *error,
                                struct kfi_aws_credentials **out)
{
    const struct kfi_seat *seat = kf_call_state(call);
    const struct kfi_flight *flight = seat->flight;
    struct kfi_aws_credentials_cache *cache = credentials_fetch_of(flight)->cache;
    credentials_lock(cache);
    bool landed = flight->landed;
    if (landed && flight->code == KF_OK)
        *out = kfi_aws_credentials_ref(credentials_fetch_of(flight)->credentials);
    else if (landed && left_locked(cache, kfi_aws_wall_clock()) > 0)
        *out = kfi_aws_credentials_ref(cache->current); /* the old ones have not expired */
    credentials_unlock(cache);
    if (!landed)
        return KF_PENDING;
    enum kf_code code = KF_OK;
    if (*out == NULL)
        code = kf_error_set(error, flight->code, "%s", flight->error.text);
    kf_call_state_set(call, NULL, NULL); /* the call can ask again */
    return code;
}

/* A reference to the credentials, if they have not expired, or NULL. */
static struct kfi_aws_credentials *credentials_held(struct kfi_aws_credentials_cache *cache)
{
    struct kfi_aws_credentials *held = NULL;
    credentials_lock(cache);
    if (left_locked(cache, kfi_aws_wall_clock()) > 0)
        held = kfi_aws_credentials_ref(cache->current);
    credentials_unlock(cache);
    return held;
}

/* Asks, for a call that has no seat. KF_PENDING: it has one now. */
static enum kf_code credentials_ask(struct kfi_aws_credentials_cache *cache, struct kf_call *call,
                                    struct kf_error *error, struct kfi_aws_credentials **out)
{
    struct ask ask = {.base = {.class = &credentials_ask_class, .call = call}, .cache = cache};
    kfi_fork_guard_check(&cache->guard, credentials_reset, cache);
    enum kf_code code = kfi_ask(&ask.base, error);
    *out = ask.credentials;
    if (code == KF_E_NO_MEMORY && (*out = credentials_held(cache)) != NULL) {
        kfi_error_clear(error); /* it was a refresh ahead of need */
        code = KF_OK;
    }
    return code;
}

enum kf_code kfi_aws_credentials_get(struct kfi_aws_credentials_cache *cache, struct kf_call *call,
                                     struct kf_error *error, struct kfi_aws_credentials **out)
{
    for (;;) {
        *out = NULL;
        enum kf_code code =
            kf_call_state(call) != NULL ? KF_PENDING : credentials_ask(cache, call, error, out);
        if (code == KF_PENDING)
            code = seated_poll(call, error, out);
        if (code != KF_OK || (*out)->expires_at > kfi_aws_wall_clock())
            return code;
        kfi_aws_credentials_unref(*out); /* the caller comes late, and they have expired meanwhile */
    }
}

void kfi_aws_credentials_refused(struct kfi_aws_credentials_cache *cache,
                                 const struct kfi_aws_credentials *credentials)
{
    struct kfi_aws_credentials *refused = NULL;
    kfi_fork_guard_check(&cache->guard, credentials_reset, cache);
    credentials_lock(cache);
    if (cache->current == credentials) {
        refused = cache->current;
        cache->current = NULL;
    }
    credentials_unlock(cache);
    kfi_aws_credentials_unref(refused);
}
