/*
 * Flights: one fetch that many callers wait for.
 *
 * Here it is driven; seat.h has those who wait. Neither knows what is fetched, nor budgets or tables, which belong to
 * the owner, nor has it a lock of its own: the owner's landing is called outside every lock.
 *
 * Life of a flight: the owner makes it (kfi_flight_init), seats callers in it and puts it where others find
 * it, in one critical section; whoever opened it launches it outside. It is polled inline once; if that is
 * not enough the internal thread polls it until it is done or its time is over. Then the owner's `land` takes
 * it out of where others find it, in one critical section with kfi_seats_land_locked, and tells the seated
 * outside with kfi_seats_deliver.
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

/* A flight with one reference, the driver's. `timeout_ms` counts from the launch. */
KFI_SHARED void kfi_flight_init(struct kfi_flight *flight, const struct kfi_flight_class *class,
                                uint64_t timeout_ms);
void kfi_flight_unref(struct kfi_flight *flight);

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

/* The innermost fetch that this thread is polling, or NULL; the one around it is its `outer`. */
const struct kfi_flight *kfi_flight_polled_here(void);

#endif
