/*
 * Flights: see flight.h. Owners are the cache of materials and the cache of AWS credentials.
 */
#include "base/flight.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

/* The innermost fetch that this thread is polling. */
static _Thread_local const struct kfi_flight *polled_here;

static bool flight_run(struct kfi_task *task, bool stop);

void kfi_flight_init(struct kfi_flight *flight, const struct kfi_flight_class *class, uint64_t timeout_ms)
{
    memset(flight, 0, sizeof *flight);
    flight->class = class;
    flight->timeout_ms = timeout_ms;
    kfi_refs_init(&flight->refs);
    kfi_task_init(&flight->task, flight_run);
    kfi_call_init(&flight->call, flight);
    flight->call.request_id = &flight->request_id;
    kfi_list_init(&flight->seated);
}

void kfi_flight_unref(struct kfi_flight *flight)
{
    if (flight != NULL && kfi_refs_drop(&flight->refs))
        flight->class->destroy(flight);
}

/* Ends the fetch with flight->code and lands it. Consumes the driver's reference. */
static void flight_land(struct kfi_flight *flight)
{
    kfi_timer_cancel(&flight->limit);
    kfi_call_end(&flight->call);
    flight->class->land(flight);
    kfi_flight_unref(flight);
}

/* Polls once; true if the flight has landed, and the driver's reference is gone. */
static bool flight_step(struct kfi_flight *flight, bool stop)
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
    flight_land(flight);
    return true;
}

static bool flight_run(struct kfi_task *task, bool stop)
{
    return flight_step(KFI_CONTAINER(task, struct kfi_flight, task), stop);
}

static void flight_begin(struct kfi_flight *flight)
{
    const struct kf_waker driver = {kfi_task_wake, &flight->task};
    flight->deadline = kfi_ms_after(kfi_now_ms(), flight->timeout_ms);
    kfi_call_drive(&flight->call, &driver);
}

/* Gives the fetch into the hands of the internal thread, or lands it with the reason why it can't be. */
static void flight_hand_over(struct kfi_flight *flight)
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
        flight_land(flight);
    }
}

void kfi_flight_launch(struct kfi_flight *flight)
{
    flight_begin(flight);
    if (!flight_step(flight, false))
        flight_hand_over(flight);
}

void kfi_flight_launch_apart(struct kfi_flight *flight)
{
    flight_begin(flight);
    kfi_task_wake(&flight->task);
    flight_hand_over(flight);
}

const struct kfi_flight *kfi_flight_polled_here(void)
{
    return polled_here;
}
