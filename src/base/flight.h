/*
 * Flights: one fetch that many callers wait for.
 *
 * Knows seats, driving and waking; knows nothing of what is fetched, of budgets or of tables, which belong to
 * the owner. It has no lock of its own: what is marked _locked runs under the owner's, and the owner's
 * landing is called outside it.
 *
 * Life of a flight: the owner makes it (kfi_flight_init), seats callers in it and puts it where others find
 * it, in one critical section; whoever opened it launches it outside. It is polled inline once; if that is
 * not enough the internal thread polls it until it is done or its time is over. Then the owner's `land` takes
 * it out of where others find it, in one critical section with kfi_flight_land_locked, and tells the seated
 * outside with kfi_flight_deliver.
 */
#ifndef KFI_BASE_FLIGHT_H
#define KFI_BASE_FLIGHT_H

#include "base/call.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/refs.h"
#include "base/thread.h"

struct kfi_flight;

/* What an owner says of its flights. Its own struct begins with the flight and keeps what the fetch brings. */
struct kfi_flight_class {
    /* One step of the fetch, with `flight->call` as the root call. Anything but KF_PENDING ends it. */
    enum kf_code (*poll)(struct kfi_flight *flight, struct kf_error *error);

    /* Writes into `error` what a caller should know of a fetch that took longer than its limit. */
    void (*overdue)(const struct kfi_flight *flight, struct kf_error *error);

    /* How the fetch ended is in flight->code and flight->error. Called once, with no lock held. */
    void (*land)(struct kfi_flight *flight);

    /* At the last release: the owner frees its memory and what the fetch brought. */
    void (*destroy)(struct kfi_flight *flight);
};

struct kfi_flight {
    const struct kfi_flight_class *class;
    struct kfi_refs refs; /* the driver has one, every seat has one */

    /* Used by whoever polls, one thread at a time. */
    struct kfi_task task;
    struct kf_call call;
    struct kfi_timer limit;
    uint64_t timeout_ms, deadline;
    const struct kfi_flight *outer; /* the fetch inside which this thread polls this one */
    struct kfi_request_id request_id;

    /* Under the owner's lock. */
    struct kfi_list seated;
    bool landed;

    /* Written before the landing, constant afterwards. */
    enum kf_code code;
    bool refused; /* the internal thread did not take it, nor would it take another one */
    struct kf_error error;
};

struct kfi_seat;

/* What an owner says of its seats. Its own struct begins with the seat. */
struct kfi_seat_class {
    size_t size; /* of the owner's struct */
    /* The caller gives his seat up, or leaves it after its answer; his reference goes behind that. */
    void (*leave)(struct kfi_seat *seat);
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
};

/* A flight with one reference, the driver's. `timeout_ms` counts from the launch. */
KFI_SHARED void kfi_flight_init(struct kfi_flight *flight, const struct kfi_flight_class *class,
                                uint64_t timeout_ms);
void kfi_flight_unref(struct kfi_flight *flight);

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

/*
 * Begins the fetch: polls it once, and lands it or hands it to the internal thread. Consumes the driver's
 * reference.
 */
void kfi_flight_launch(struct kfi_flight *flight);

/*
 * The same, but the first poll is left to the internal thread too: for those who must not be held up by it,
 * nor be inside it when it lands.
 */
void kfi_flight_launch_apart(struct kfi_flight *flight);

/* The landing, as far as the seats are concerned: moves them to `seated`. */
KFI_SHARED void kfi_flight_land_locked(struct kfi_flight *flight, struct kfi_list *seated);

/* Wakes those who were seated. Outside the lock. */
KFI_SHARED void kfi_flight_deliver(struct kfi_list *seated);

/* The innermost fetch that this thread is polling, or NULL; the one around it is its `outer`. */
const struct kfi_flight *kfi_flight_polled_here(void);

#endif
