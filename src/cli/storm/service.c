/*
 * The key service of a storm: see scene.h. Called by the library, on a caller's thread or on the internal
 * one. Never sleeps: a timer of the call gets it polled again when the simulated round trip is over.
 */
#include "storm/scene.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct storm_service {
    struct kf_cmm *inner;
    uint64_t rtt_ns;
    uint64_t fail_first;
    uint64_t (*lost_keys)(void *context);
    void *lost_keys_context;

    pthread_mutex_t counts_lock;
    struct storm_service_counts counts;
    struct storm_fetch *fetches; /* one for each call that began */
    size_t room;
};

/* A call under way. It is the state of the library's call, and freed with it. */
struct trip {
    struct storm_service *service;
    size_t number; /* among the fetches */
    uint64_t due_ns;
    bool fails;
    bool over; /* counted as answered */
};

/* The call ends. If it was not answered it was cancelled. */
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

/* Writes down that a call begins; false if there is no memory. */
static bool fetch_begin_locked(struct storm_service *service, uint64_t now_ns)
{
    struct storm_service_counts *counts = &service->counts;
    if (counts->calls == service->room) {
        size_t room = service->room == 0 ? 64 : 2 * service->room;
        struct storm_fetch *more = realloc(service->fetches, room * sizeof *more);
        if (more == NULL)
            return false;
        service->fetches = more;
        service->room = room;
    }
    service->fetches[counts->calls++] = (struct storm_fetch){.begin_ns = now_ns};
    counts->in_flight++;
    if (counts->peak < counts->in_flight)
        counts->peak = counts->in_flight;
    return true;
}

static struct trip *trip_begin(struct storm_service *service, struct kf_call *call)
{
    struct trip *trip = malloc(sizeof *trip);
    if (trip == NULL)
        return NULL;
    bool lost = service->lost_keys != NULL && service->lost_keys(service->lost_keys_context) > 0;
    uint64_t now_ns = storm_now_ns();
    *trip = (struct trip){.service = service, .due_ns = now_ns + service->rtt_ns};
    pthread_mutex_lock(&service->counts_lock);
    trip->number = (size_t)service->counts.calls;
    trip->fails = service->counts.calls < service->fail_first;
    bool begun = fetch_begin_locked(service, now_ns);
    service->counts.key_lost |= begun && lost;
    pthread_mutex_unlock(&service->counts_lock);
    if (!begun) {
        free(trip);
        return NULL;
    }
    kf_call_state_set(call, trip, trip_drop);
    return trip;
}

/* Waits for the round trip: KF_PENDING until it is over, then KF_OK or the simulated failure. */
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

/*
 * Counts the call as answered, unless `code` says that it is still under way; `edk` is the first encrypted
 * data key, if it is known. Answers `code`.
 */
static enum kf_code service_arrive(struct storm_service *service, struct kf_call *call, enum kf_code code,
                                   const struct kf_edk *edk)
{
    struct trip *trip = kf_call_state(call);
    if (code == KF_PENDING || trip == NULL || trip->over)
        return code;
    char text[KF_FINGERPRINT_SIZE];
    bool known = code == KF_OK && kf_edk_fingerprint(edk, NULL, text) == KF_OK;
    trip->over = true;
    pthread_mutex_lock(&service->counts_lock);
    struct storm_fetch *fetch = &service->fetches[trip->number];
    fetch->end_ns = storm_now_ns();
    fetch->failed = code != KF_OK;
    fetch->fingerprint = known ? strtoull(text, NULL, 16) : 0;
    service->counts.in_flight--;
    service->counts.answered++;
    pthread_mutex_unlock(&service->counts_lock);
    return code;
}

static enum kf_code service_get_encryption_materials(void *self, struct kf_call *call,
                                                     const struct kf_encryption_request *request,
                                                     struct kf_error *error,
                                                     const struct kf_encryption_materials **out)
{
    struct storm_service *service = self;
    struct kf_edk edk = {.ciphertext = {NULL, 0}};
    enum kf_code code = service_travel(service, call, error);
    if (code == KF_OK)
        code = kf_cmm_get_encryption_materials(service->inner, kf_call_child(call, 0), request, error, out);
    if (code == KF_OK)
        edk = kf_encryption_materials_edk(*out, 0);
    return service_arrive(service, call, code, &edk);
}

static enum kf_code service_decrypt_materials(void *self, struct kf_call *call,
                                              const struct kf_decryption_request *request,
                                              struct kf_error *error,
                                              const struct kf_decryption_materials **out)
{
    struct storm_service *service = self;
    enum kf_code code = service_travel(service, call, error);
    if (code == KF_OK)
        code = kf_cmm_decrypt_materials(service->inner, kf_call_child(call, 0), request, error, out);
    return service_arrive(service, call, code, &request->edks[0]);
}

static void service_free(void *self)
{
    struct storm_service *service = self;
    kf_cmm_unref(service->inner);
    free(service->fetches);
    pthread_mutex_destroy(&service->counts_lock);
    free(service);
}

enum kf_code storm_service_new(struct kf_cmm *inner, uint64_t rtt_ms, uint64_t fail_first,
                               struct kf_error *error, struct storm_service **service, struct kf_cmm **out)
{
    static const struct kf_cmm_vtable vtable = {sizeof vtable, service_get_encryption_materials,
                                                service_decrypt_materials, service_free, true};
    struct storm_service *made = calloc(1, sizeof *made);
    if (made == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for the key service.");
    made->inner = kf_cmm_ref(inner);
    made->rtt_ns = rtt_ms * 1000000;
    made->fail_first = fail_first;
    pthread_mutex_init(&made->counts_lock, NULL);
    enum kf_code code = kf_cmm_new(&vtable, made, error, out);
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

enum kf_code storm_service_fetches_copy(struct storm_service *service, struct kf_error *error,
                                        struct storm_fetch **fetches, size_t *count)
{
    pthread_mutex_lock(&service->counts_lock);
    size_t length = (size_t)service->counts.calls;
    struct storm_fetch *copy = calloc(length + 1, sizeof *copy);
    if (copy != NULL && length > 0)
        memcpy(copy, service->fetches, length * sizeof *copy);
    pthread_mutex_unlock(&service->counts_lock);
    if (copy == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for %zu calls.", length);
    *fetches = copy;
    *count = length;
    return KF_OK;
}
