/*
 * Seats: the callers who wait for one flight.
 *
 * What is marked _locked runs under the owner's lock: it changes lists and counts and nothing else. Called by owners
 * of flights, and by asking.c.
 */
#ifndef KFI_BASE_SEAT_H
#define KFI_BASE_SEAT_H

#include "base/flight.h"

struct kfi_seat;
struct kfi_circle_search;

/* What an owner says of its seats. Its own struct begins with the seat. */
struct kfi_seat_class {
    size_t size; /* of the owner's struct */
    /* The caller gives his seat up, or leaves it after its answer; his reference goes behind that. */
    void (*leave)(struct kfi_seat *seat);
    /*
     * Calls kfi_circle_meet (circle.h), under the owner's lock, for each flight that has not landed and may be the one to
     * answer this seat. Under the lock of circle.c.
     */
    void (*awaited)(struct kfi_seat *seat, struct kfi_circle_search *search);
    /* The last reference goes: for what the owner's struct holds. NULL: nothing. */
    void (*end)(struct kfi_seat *seat);
};

/* A caller's place in a flight. */
struct kfi_seat {
    struct kfi_refs refs;        /* the caller has one; each list that the seat is in has one */
    struct kfi_link link;        /* in flight->seated until the landing; under the owner's lock */
    struct kfi_flight *flight;   /* a reference */
    struct kf_call_waker *waker; /* the caller's, a reference */
    const struct kfi_seat_class *class;
    /* Of circle.c: where the caller is inside of a fetch himself. */
    struct kfi_flight *inner;     /* that fetch, a reference, or NULL; used by the caller alone */
    struct kfi_link inside;       /* in its `waiting`; under the lock of circle.c */
    const struct kfi_seat *outer; /* for whoever asks inside this thread's asking, see kfi_seat_asks */
};

/* A seat for the caller behind `call`, not taken yet; what is behind it is zero. NULL: no memory. */
struct kfi_seat *kfi_seat_new(const struct kfi_seat_class *class, struct kf_call *call);
/* Releases a reference. At the last one the seat must have landed, or been left, or never been taken. */
void kfi_seat_unref(struct kfi_seat *seat); /* NULL is allowed */

/* Takes `seat` in a flight that has not landed. */
KFI_SHARED void kfi_seat_take_locked(struct kfi_seat *seat, struct kfi_flight *flight);

/*
 * Leaves a seat that the caller gives up: true if the flight had not landed, and the place is free again;
 * false if the landing came first, and the caller has been served all the same. The seat is released either
 * way by kfi_seat_unref, outside.
 */
KFI_SHARED bool kfi_seat_leave_locked(struct kfi_seat *seat);

/* The landing, as far as the seats are concerned: moves those of `flight` to `seated`. */
KFI_SHARED void kfi_seats_land_locked(struct kfi_flight *flight, struct kfi_list *seated);

/*
 * From here to kfi_seat_asked the caller of `seat` is asking on this thread, and looks at the seat afterwards. So a landing
 * on this thread does not wake it: its waker would run inside its own poll. One on another thread does, as ever.
 */
void kfi_seat_asks(struct kfi_seat *seat);
void kfi_seat_asked(const struct kfi_seat *seat);

/* Wakes those who were seated, and releases the list's references. Outside the lock. */
KFI_SHARED void kfi_seats_deliver(struct kfi_list *seated);

#endif
