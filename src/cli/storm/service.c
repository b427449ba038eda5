/*
 * The key service of a storm: see scene.h. Called through the library by whoever polls a fetch: a
 * caller, or the internal thread. Never sleeps: the call's timer brings it back when the simulated round trip
 * is over.
 */
#include "storm/scene.h"

#include <pthread.h>
#include <stdlib.h>

struct storm_service {
    struct kf_keyring *inner;
    uint64_t rtt_ns;
    uint64_t fail_first;
    uint64_t (*lost_keys)(void *context);
    void *lost_keys_context;

    pthread_mutex_t counts_lock;
    struct storm_service_counts counts;
};

/* One call on its way; kept with the library's call and freed with it. */
struct trip {
    struct storm_service *service;
    uint64_t due_ns;
    bool fails;
    bool over; /* counted as answered */
};

/* The call ends. If it was not answered yet it was cancelled, and is under way no more. */
static void trip_drop(void *state)
{
    struct trip *trip = state;
    if (!trip->over) {
        pthread_mutex_lock(&trip->service->counts_lock);
        trip->service->counts.in_flight--;
        pthread_mutex_unlock(&trip->service->counts_lock);
    }
    free(trip);
}

static struct trip *trip_begin(struct storm_service *service, struct kf_call *call)
{
    struct trip *trip = malloc(sizeof *trip);
    if (trip == NULL)
        return NULL;
    bool lost = service->lost_keys != NULL && service->lost_keys(service->lost_keys_context) > 0;
    *trip = (struct trip){.service = service, .due_ns = storm_now_ns() + service->rtt_ns};
    pthread_mutex_lock(&service->counts_lock);
    struct storm_service_counts *counts = &service->counts;
    trip->fails = counts->calls < service->fail_first;
    counts->calls++;
    counts->in_flight++;
    if (counts->peak < counts->in_flight)
        counts->peak = counts->in_flight;
    counts->key_lost |= lost;
    pthread_mutex_unlock(&service->counts_lock);
    kf_call_state_set(call, trip, trip_drop);
    return trip;
}

/* There and back again: KF_PENDING until the round trip is over, then KF_OK or the simulated failure. */
static enum kf_code service_travel(struct storm_service *service, struct kf_call *call,
                                   struct kf_error *error)
{
    struct trip *trip = kf_call_state(call);
    if (trip == NULL)
        trip = trip_begin(service, call);
    if (trip == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for a call to the key service.");
    uint64_t now = storm_now_ns();
    if (now < trip->due_ns) {
        enum kf_code code = kf_call_wake_in(call, (trip->due_ns - now + 999999) / 1000000);
        if (code == KF_OK)
            return KF_PENDING;
        return kf_error_set(error, code, "The timer of a call to the simulated key service can't be set.");
    }
    if (trip->fails)
        return kf_error_set(error, KF_E_RETRY,
                            "The simulated key service is failing, as --fail-first asked.");
    return KF_OK;
}

/* Counts the call as answered, unless `code` says that it is still under way; answers `code`. */
static enum kf_code service_arrive(struct storm_service *service, struct kf_call *call, enum kf_code code)
{
    struct trip *trip = kf_call_state(call);
    if (code == KF_PENDING || trip == NULL || trip->over)
        return code;
    trip->over = true;
    pthread_mutex_lock(&service->counts_lock);
    service->counts.in_flight--;
    service->counts.answered++;
    pthread_mutex_unlock(&service->counts_lock);
    return code;
}

static enum kf_code service_on_encrypt(void *self, struct kf_call *call,
                                       const struct kf_encryption_materials *materials,
                                       struct kf_error *error, struct kf_wrapped *out)
{
    struct storm_service *service = self;
    enum kf_code code = service_travel(service, call, error);
    if (code == KF_OK)
        code = kf_keyring_on_encrypt(service->inner, kf_call_child(call, 0), materials, error, out);
    return service_arrive(service, call, code);
}

static enum kf_code service_on_decrypt(void *self, struct kf_call *call,
                                       const struct kf_decryption_materials *materials,
                                       const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                                       struct kf_data_key *out)
{
    struct storm_service *service = self;
    enum kf_code code = service_travel(service, call, error);
    if (code == KF_OK)
        code = kf_keyring_on_decrypt(service->inner, kf_call_child(call, 0), materials, edks, edk_count,
                                     error, out);
    return service_arrive(service, call, code);
}

static void service_free(void *self)
{
    struct storm_service *service = self;
    kf_keyring_unref(service->inner);
    pthread_mutex_destroy(&service->counts_lock);
    free(service);
}

enum kf_code storm_service_new(struct kf_keyring *inner, uint64_t rtt_ms, uint64_t fail_first,
                               struct kf_error *error, struct storm_service **service,
                               struct kf_keyring **out)
{
    static const struct kf_keyring_vtable vtable = {sizeof vtable, service_on_encrypt, service_on_decrypt,
                                                    service_free};
    struct storm_service *made = calloc(1, sizeof *made);
    if (made == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for the key service.");
    made->inner = kf_keyring_ref(inner);
    made->rtt_ns = rtt_ms * 1000000;
    made->fail_first = fail_first;
    pthread_mutex_init(&made->counts_lock, NULL);
    enum kf_code code = kf_keyring_new(&vtable, made, error, out);
    if (code != KF_OK)
        service_free(made);
    else
        *service = made;
    return code;
}

void storm_service_watch(struct storm_service *service, uint64_t (*lost_keys)(void *context), void *context)
{
    service->lost_keys = lost_keys;
    service->lost_keys_context = context;
}

void storm_service_counts(struct storm_service *service, struct storm_service_counts *out)
{
    pthread_mutex_lock(&service->counts_lock);
    *out = service->counts;
    pthread_mutex_unlock(&service->counts_lock);
}
