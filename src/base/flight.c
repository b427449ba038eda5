/*
 * Flights: see flight.h. Owners are the cache of materials and the cache of AWS credentials.
 */
#include "base/flight.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

/* The innermost fetch that this thread is polling. */
static _Thread_local const struct kfi_flight *polled_here;

static bool run(struct kfi_task *task, bool stop);

void kfi_flight_init(struct kfi_flight *flight, const struct kfi_flight_class *class, uint64_t timeout_ms)
{
    memset(flight, 0, sizeof *flight);
    flight->class = class;
    flight->timeout_ms = timeout_ms;
    kfi_refs_init(&flight->refs);
    kfi_task_init(&flight->task, run);
    kfi_call_init(&flight->call, flight);
    flight->call.request_id = &flight->request_id;
    kfi_list_init(&flight->seated);
}

void kfi_flight_unref(struct kfi_flight *flight)
{
    if (flight != NULL && kfi_refs_drop(&flight->refs))
        flight->class->destroy(flight);
}

struct kfi_seat *kfi_seat_new(const struct kfi_seat_class *class, struct kf_call *call)
{
    struct kfi_seat *seat = kfi_alloc_zeroed(class->size);
    if (seat == NULL)
        return NULL;
    seat->waker = kf_call_waker_of(call);
    if (seat->waker == NULL) {
        kfi_free(seat);
        return NULL;
    }
    seat->class = class;
    kfi_refs_init(&seat->refs);
    return seat;
}

void kfi_seat_unref(struct kfi_seat *seat)
{
    if (seat == NULL || !kfi_refs_drop(&seat->refs))
        return;
    if (seat->class->end != NULL)
        seat->class->end(seat);
    kfi_flight_unref(seat->flight);
    kf_call_waker_unref(seat->waker);
    kfi_free(seat);
}

void kfi_seat_take_locked(struct kfi_seat *seat, struct kfi_flight *flight)
{
    seat->flight = flight;
    kfi_refs_add(&flight->refs, 1);
    kfi_refs_add(&seat->refs, 1);
    kfi_list_push_back(&flight->seated, &seat->link);
}

bool kfi_seat_leave_locked(struct kfi_seat *seat)
{
    if (seat->flight->landed)
        return false;
    kfi_unlink(&seat->link);
    /* Never the last reference: the caller has one. */
    (void)kfi_refs_drop(&seat->refs);
    return true;
}

/* Ends the fetch with flight->code and lands it. Consumes the driver's reference. */
static void land(struct kfi_flight *flight)
{
    kfi_timer_cancel(&flight->limit);
    kfi_call_end(&flight->call);
    flight->class->land(flight);
    kfi_flight_unref(flight);
}

/* Polls once; true if the flight has landed, and the driver's reference is gone. */
static bool step(struct kfi_flight *flight, bool stop)
{
    flight->outer = polled_here;
    polled_here = flight;
    enum kf_code code = stop ? kf_error_set(&flight->error, KF_E_CLEANED_UP,
                                            "The library was cleaned up "
                                            "(kf_cleanup) before the fetch was done.")
                             : flight->class->poll(flight, &flight->error);
    polled_here = flight->outer;

    if (code == KF_PENDING && kfi_now_ms() >= flight->deadline) {
        code = KF_E_TIMEOUT;
        flight->class->overdue(flight, &flight->error);
    }
    if (code == KF_PENDING)
        return false;

    flight->code = code;
    land(flight);
    return true;
}

static bool run(struct kfi_task *task, bool stop)
{
    return step(KFI_CONTAINER(task, struct kfi_flight, task), stop);
}

static void begin(struct kfi_flight *flight)
{
    const struct kf_waker driver = {kfi_task_wake, &flight->task};
    flight->deadline = kfi_ms_after(kfi_now_ms(), flight->timeout_ms);
    kfi_call_drive(&flight->call, &driver);
}

/* Gives the fetch into the hands of the internal thread, or lands it with the reason why it can't be. */
static void hand_over(struct kfi_flight *flight)
{
    struct kf_call_waker *waker = kf_call_waker_of(&flight->call);
    enum kf_code code = waker != NULL ? kfi_timer_set(&flight->limit, flight->deadline, waker, &flight->error)
                                      : kfi_no_memory(&flight->error);
    kf_call_waker_unref(waker);
    if (code == KF_OK)
        code = kfi_task_hand_over(&flight->task, &flight->error);
    if (code != KF_OK) {
        flight->code = code;
        flight->refused = true;
        land(flight);
    }
}

void kfi_flight_launch(struct kfi_flight *flight)
{
    begin(flight);
    if (!step(flight, false))
        hand_over(flight);
}

void kfi_flight_launch_apart(struct kfi_flight *flight)
{
    begin(flight);
    kfi_task_wake(&flight->task);
    hand_over(flight);
}

void kfi_flight_land_locked(struct kfi_flight *flight, struct kfi_list *seated)
{
    flight->landed = true;
    kfi_list_splice(seated, &flight->seated);
}

void kfi_flight_deliver(struct kfi_list *seated)
{
    for (struct kfi_link *link; (link = kfi_list_pop(seated)) != NULL;) {
        struct kfi_seat *seat = KFI_CONTAINER(link, struct kfi_seat, link);
        kf_call_waker_wake(seat->waker);
        kfi_seat_unref(seat);
    }
}

const struct kfi_flight *kfi_flight_polled_here(void)
{
    return polled_here;
}
