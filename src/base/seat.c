/*
 * Seats: see seat.h.
 */
#include "base/seat.h"

/* The seat of the innermost caller that is asking on this thread. */
static _Thread_local const struct kfi_seat *asking_here;

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

void kfi_seats_land_locked(struct kfi_flight *flight, struct kfi_list *seated)
{
    flight->landed = true;
    kfi_list_splice(seated, &flight->seated);
}

void kfi_seat_asks(struct kfi_seat *seat)
{
    seat->outer = asking_here;
    asking_here = seat;
}

void kfi_seat_asked(const struct kfi_seat *seat)
{
    asking_here = seat->outer;
}

static bool is_asking_here(const struct kfi_seat *seat)
{
    const struct kfi_seat *asking = asking_here;
    while (asking != NULL && asking != seat)
        asking = asking->outer;
    return asking != NULL;
}

void kfi_seats_deliver(struct kfi_list *seated)
{
    for (struct kfi_link *link; (link = kfi_list_pop(seated)) != NULL;) {
        struct kfi_seat *seat = KFI_CONTAINER(link, struct kfi_seat, link);
        if (!is_asking_here(seat))
            kf_call_waker_wake(seat->waker);
        kfi_seat_unref(seat);
    }
}
