/*
 * The cache of credentials: see credentials.h. One in a client; called by its requests.
 *
 * There are at most one set of credentials and one flight. Nobody waits while the credentials are good for a
 * while: who asks when they come near their expiry opens a flight in the background and goes on with the old
 * ones. Closer to the expiry all wait for one flight. One that fails leaves the old ones in use as long as
 * they live.
 *
 * One lock guards all of that; under it nothing is allocated, freed, woken or called back.
 */
#include <pthread.h>

#include "aws/service/credentials.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/flight.h"
#include "base/fork.h"
#include "base/memory.h"

struct kfi_aws_credentials_cache {
    struct kfi_refs refs; /* the client has one, every flight has one */
    struct kfi_fork_guard guard;
    struct kf_aws_credentials_provider *provider;
    uint64_t fetch_timeout_ms;

    pthread_mutex_t lock;                /* guards what follows, and the flights' seats; a leaf */
    struct kfi_aws_credentials *current; /* a reference, or NULL */
    struct fetch *open;                  /* the flight that has not landed, not counted, or NULL */
    uint64_t rest_until;                 /* by kfi_now_ms: no refresh before it while `current` lives */
};

struct fetch {
    struct kfi_flight flight; /* first, so that a flight is its fetch */
    struct kfi_aws_credentials_cache *cache;
    bool waiting; /* its last poll was not the end of it; used by whoever polls */
};

static void lock(struct kfi_aws_credentials_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
}

static void unlock(struct kfi_aws_credentials_cache *cache)
{
    pthread_mutex_unlock(&cache->lock);
}

/* ---- The cache itself ---- */

/* Makes everything that the lock guards anew; what was there is abandoned. */
static void reset(void *context)
{
    struct kfi_aws_credentials_cache *cache = context;
    pthread_mutex_init(&cache->lock, NULL);
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
    reset(cache);
    *out = cache;
    return KF_OK;
}

void kfi_aws_credentials_cache_unref(struct kfi_aws_credentials_cache *cache)
{
    if (cache == NULL || !kfi_refs_drop(&cache->refs))
        return;
    kfi_fork_guard_check(&cache->guard, reset, cache);
    kfi_aws_credentials_unref(cache->current);
    kf_aws_credentials_provider_unref(cache->provider);
    pthread_mutex_destroy(&cache->lock);
    kfi_free(cache);
}

/* ---- Flights ---- */

static enum kf_code fetch_poll(struct kfi_flight *flight, struct kf_error *error, void **result)
{
    struct fetch *fetch = (struct fetch *)flight;
    struct kfi_aws_credentials *credentials;
    enum kf_code code = kfi_aws_credentials_fetch(fetch->cache->provider, &flight->call, error, &credentials);
    fetch->waiting = code == KF_PENDING;
    if (code == KF_OK)
        *result = credentials;
    return code;
}

static void fetch_land(struct kfi_flight *flight)
{
    struct fetch *fetch = (struct fetch *)flight;
    struct kfi_aws_credentials_cache *cache = fetch->cache;
    struct kfi_aws_credentials *former = NULL;
    struct kfi_list seated;
    kfi_list_init(&seated);
    if (flight->code == KF_E_TIMEOUT && fetch->waiting)
        kf_error_set(&flight->error, KF_E_TIMEOUT, "AWS credentials did not come within %llu ms.",
                     (unsigned long long)cache->fetch_timeout_ms);
    uint64_t rest_until = kfi_ms_after(kfi_now_ms(), KFI_AWS_REFRESH_PAUSE_MS);

    lock(cache);
    if (cache->open == fetch)
        cache->open = NULL;
    cache->rest_until = rest_until;
    if (flight->code == KF_OK) {
        former = cache->current;
        cache->current = kfi_aws_credentials_ref(flight->result);
    }
    kfi_flight_land_locked(flight, &seated);
    unlock(cache);

    kfi_flight_deliver(&seated);
    kfi_aws_credentials_unref(former);
}

static void fetch_destroy(struct kfi_flight *flight)
{
    struct fetch *fetch = (struct fetch *)flight;
    kfi_aws_credentials_unref(flight->result);
    kfi_aws_credentials_cache_unref(fetch->cache);
    kfi_free(fetch);
}

static struct fetch *fetch_new(struct kfi_aws_credentials_cache *cache)
{
    static const struct kfi_flight_class class = {
        .poll = fetch_poll, .land = fetch_land, .destroy = fetch_destroy};
    struct fetch *fetch = kfi_alloc_zeroed(sizeof *fetch);
    if (fetch == NULL)
        return NULL;
    kfi_flight_init(&fetch->flight, &class, cache->fetch_timeout_ms);
    kfi_refs_add(&cache->refs, 1);
    fetch->cache = cache;
    return fetch;
}

/* Inside its own fetch a provider that asks would wait for itself. */
static bool is_of(const struct kfi_flight *flight, const void *cache)
{
    return flight->class->land == fetch_land && ((const struct fetch *)flight)->cache == cache;
}

/* ---- Asking ---- */

/* What a look at the cache came to, beside the credentials. */
enum look {
    HAD,    /* there are some */
    SEATED, /* wait for the flight */
    WANTS_FLIGHT,
    WANTS_SEAT
};

/* What was prepared outside the lock. */
struct prepared {
    struct kfi_seat *seat;
    struct fetch *fetch;
    bool taken, opened; /* whether the look made use of them */
};

/* Seconds that the credentials have left; 0 if there are none. */
static uint64_t left_locked(const struct kfi_aws_credentials_cache *cache, uint64_t now)
{
    return cache->current != NULL && cache->current->expires_at > now ? cache->current->expires_at - now : 0;
}

static enum look look_locked(struct kfi_aws_credentials_cache *cache, struct prepared *prepared,
                             struct kfi_aws_credentials **out)
{
    uint64_t left = left_locked(cache, kfi_aws_wall_clock());
    bool rests = kfi_now_ms() < cache->rest_until;
    bool serves = left > KFI_AWS_REFRESH_NOW_S || (left > 0 && rests);
    bool wants_flight = cache->open == NULL && (!serves || (left <= KFI_AWS_REFRESH_AHEAD_S && !rests));
    if (wants_flight && prepared->fetch == NULL)
        return WANTS_FLIGHT;
    if (!serves && prepared->seat == NULL)
        return WANTS_SEAT;
    if (wants_flight) {
        cache->open = prepared->fetch;
        prepared->opened = true;
    }
    if (serves) {
        *out = kfi_aws_credentials_ref(cache->current);
        return HAD;
    }
    kfi_seat_take_locked(prepared->seat, &cache->open->flight);
    prepared->taken = true;
    return SEATED;
}

/* Looks until the look has what it wants. */
static enum kf_code look(struct kfi_aws_credentials_cache *cache, struct kf_call *call,
                         struct prepared *prepared, struct kf_error *error, struct kfi_aws_credentials **out)
{
    for (;;) {
        lock(cache);
        enum look look = look_locked(cache, prepared, out);
        unlock(cache);
        if (look < WANTS_FLIGHT)
            return KF_OK;
        if (look == WANTS_FLIGHT && (prepared->fetch = fetch_new(cache)) == NULL)
            return kfi_no_memory(error);
        if (look == WANTS_SEAT && (prepared->seat = kfi_seat_new(sizeof *prepared->seat, call)) == NULL)
            return kfi_no_memory(error);
    }
}

/* Gives up a seat, or what is left of one after its landing: the drop of a call's state. */
static void seat_drop(void *state)
{
    struct kfi_seat *seat = state;
    struct kfi_aws_credentials_cache *cache = ((struct fetch *)seat->flight)->cache;
    lock(cache);
    (void)kfi_seat_leave_locked(seat);
    unlock(cache);
    kfi_seat_unref(seat);
}

/* Whether the flight that the call has a seat in has landed, and what that means for it. */
static enum kf_code seated_poll(struct kf_call *call, struct kf_error *error,
                                struct kfi_aws_credentials **out)
{
    const struct kfi_seat *seat = kf_call_state(call);
    const struct kfi_flight *flight = seat->flight;
    struct kfi_aws_credentials_cache *cache = ((const struct fetch *)flight)->cache;
    lock(cache);
    bool landed = flight->landed;
    if (landed && flight->code == KF_OK)
        *out = kfi_aws_credentials_ref(flight->result);
    else if (landed && left_locked(cache, kfi_aws_wall_clock()) > 0)
        *out = kfi_aws_credentials_ref(cache->current); /* the old ones still live */
    unlock(cache);
    if (!landed)
        return KF_PENDING;
    enum kf_code code = KF_OK;
    if (*out == NULL)
        code = kf_error_set(error, flight->code, "%s", flight->error.text);
    kf_call_state_set(call, NULL, NULL); /* the call can ask again */
    return code;
}

enum kf_code kfi_aws_credentials_get(struct kfi_aws_credentials_cache *cache, struct kf_call *call,
                                     struct kf_error *error, struct kfi_aws_credentials **out)
{
    *out = NULL;
    if (kf_call_state(call) != NULL)
        return seated_poll(call, error, out);
    if (kfi_flight_encloses(call, is_of, cache))
        return kf_error_set(error, KF_E_USAGE,
                            "A credentials provider asked for the credentials that it is being asked for: it "
                            "must not use the client that it serves.");
    kfi_fork_guard_check(&cache->guard, reset, cache);
    struct prepared prepared = {NULL, NULL, false, false};
    enum kf_code code = look(cache, call, &prepared, error, out);
    if (!prepared.taken)
        kfi_seat_unref(prepared.seat);
    if (!prepared.opened && prepared.fetch != NULL)
        kfi_flight_unref(&prepared.fetch->flight);
    if (code != KF_OK)
        return code;
    if (prepared.taken)
        kf_call_state_set(call, prepared.seat, seat_drop);
    if (prepared.opened)
        kfi_flight_launch(&prepared.fetch->flight);
    return prepared.taken ? seated_poll(call, error, out) : KF_OK;
}

void kfi_aws_credentials_refused(struct kfi_aws_credentials_cache *cache,
                                 const struct kfi_aws_credentials *credentials)
{
    struct kfi_aws_credentials *refused = NULL;
    kfi_fork_guard_check(&cache->guard, reset, cache);
    lock(cache);
    if (cache->current == credentials) {
        refused = cache->current;
        cache->current = NULL;
    }
    unlock(cache);
    kfi_aws_credentials_unref(refused);
}
