/*
 * Flights: one fetch that many callers wait for.
 *
 * Here it is polled and its time is kept; seat.h has those who wait. Neither knows what is fetched, nor budgets or
 * tables, which belong to the owner, nor has it a lock of its own: the owner's landing is called outside every lock.
 *
 * Life of a flight: the owner makes it (kfi_flight_init), seats callers in it and puts it where others find it, in one
 * critical section; whoever opened it launches it outside. It is polled until it is done. Then the owner's `land` takes
 * it out of where others find it, in one critical section with kfi_seats_land_locked, and tells the seated outside with
 * kfi_seats_deliver.
 *
 * One thread at a time polls it, with the permission to poll. First that is the opener, inline, so that what answers at
 * once needs no other thread. Its driver is a task of the internal thread. It gets one when its poll answers KF_PENDING,
 * or before, when somebody else comes to wait for it (kfi_flight_follow). The driver polls it when it is woken, if
 * nobody else does, and keeps its time: when that is over it lands the flight, even while another thread is inside the
 * poll, whose answer comes too late then. Nothing that may block is called by the driver: if its poll comes to that, a
 * worker (pool.h) gets the permission and polls the whole of it again.
 */
#ifndef KFI_BASE_FLIGHT_H
#define KFI_BASE_FLIGHT_H

#include "base/call.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/refs.h"
#include "base/thread.h"

struct kfi_flight;

/* What an owner says of its flights. Its own struct begins with the flight and keeps what the fetch brings. */
struct kfi_flight_class {
    /* One step of the fetch, with `flight->call` as the root call. Anything but KF_PENDING ends it. */
    enum kf_code (*poll)(struct kfi_flight *flight, struct kf_error *error);

    /* Writes into `error` what a caller should know of a fetch that took longer than its limit. */
    void (*overdue)(const struct kfi_flight *flight, struct kf_error *error);

    /*
     * How the fetch ended is in flight->code and flight->error. Called once, with no lock held. What the fetch brought
     * may be looked at only if the code is KF_OK.
     */
    void (*land)(struct kfi_flight *flight);

    /*
     * A poll came back after the landing: what it brought is to be dropped. `overdue`: the flight had landed because its
     * time was over, with flight->stuck. May come before that landing is done. NULL: nothing is to be done.
     */
    void (*came_back)(struct kfi_flight *flight, bool overdue);

    /* At the last release: the owner frees its memory and what the fetch brought. */
    void (*destroy)(struct kfi_flight *flight);
};

struct kfi_flight {
    const struct kfi_flight_class *class;
    struct kfi_refs refs; /* whoever may poll has one, the driver has one, every seat has one */
    atomic_uint state;    /* who polls, who lands: see flight.c */
    struct kfi_task task; /* the driver */
    struct kfi_work work; /* a poll by a worker */
    uint64_t timeout_ms, deadline;

    /* Used by whoever has the permission to poll. */
    struct kf_call call;
    struct kfi_request_id polled_id;

    /* Of circle.c, and under its lock. */
    struct kfi_list
        waiting; /* struct kfi_seat, by inside: callers inside of this fetch who wait for another one */
    struct kfi_link met;
    uint64_t search;

    /* Under the owner's lock. */
    struct kfi_list seated;
    bool landed;

    /* Written by whoever lands it, before the landing, and constant afterwards. */
    enum kf_code code;
    bool refused; /* it could not go on, nor could another one begin */
    bool stuck;   /* its time is over, and its poll has not come back */
    struct kfi_request_id request_id;
    struct kf_error error;
};

/* A flight with one reference, that of whoever may poll. `timeout_ms` counts from now. */
KFI_SHARED void kfi_flight_init(struct kfi_flight *flight, const struct kfi_flight_class *class,
                                uint64_t timeout_ms);
void kfi_flight_unref(struct kfi_flight *flight);

/*
 * Begins the fetch: polls it once, and lands it or leaves it to its driver. Consumes the first reference. In a forked
 * child an inherited flight is left as it is, also if it was its poll that forked.
 */
void kfi_flight_launch(struct kfi_flight *flight);

/*
 * The same, but the first poll is left to the driver too: for those who must not be held up by it, nor be inside it when
 * it lands.
 */
void kfi_flight_launch_apart(struct kfi_flight *flight);

/*
 * For somebody who waits for a flight that another thread may be polling for the first time: sees to it that it has a
 * driver, so that the wait ends when the time is over. The caller has a reference.
 */
void kfi_flight_follow(struct kfi_flight *flight);

/* Whether kfi_flight_follow would do nothing. Under any lock. */
bool kfi_flight_is_driven(const struct kfi_flight *flight);

/* ---- Inside of fetches ---- */

/* A fetch that this thread is inside of. */
struct kfi_inside {
    struct kfi_flight *flight;
    struct kfi_inside *outer; /* the fetch inside which this one is polled, or NULL */
    bool wants_worker;
};

/* The innermost fetch that this thread is inside of, or NULL. */
const struct kfi_inside *kfi_inside_here(void);

/*
 * From enter to leave this thread is inside of `flight`: it polls it, or does work of its fetch. NULL: nothing is
 * entered. The caller has a reference, and `inside` stays where it is.
 */
void kfi_inside_enter(struct kfi_inside *inside, struct kfi_flight *flight);
void kfi_inside_leave(const struct kfi_inside *inside);

/* The fetch that a call is part of, by the call itself or by this thread, or NULL. Borrowed. */
struct kfi_flight *kfi_flight_around(const struct kf_call *call);

/*
 * To be asked before anything is called that may block. True: this is the internal thread, where it must not be called.
 * The poll is to answer KF_PENDING, and will be made again by a worker. A reference is not needed.
 */
bool kfi_inside_defers(void);

#endif
