/*
 * Flights: see flight.h. Owners are the cache of materials and the cache of AWS credentials.
 *
 * Nothing here waits and nothing is locked. Who may do what is decided by one word, flight->state, whose bits are set
 * and cleared atomically. Two questions are asked of it: who polls, and who lands.
 */
#include "base/flight.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

/* The bits of flight->state. */
enum {
    POLLED = 1,  /* somebody has the permission to poll, and with it the call */
    WOKEN = 2,   /* there was a wake since the poll began: poll again */
    DRIVEN = 4,  /* the driver has it, or is about to get it */
    ENDED = 8,   /* somebody lands it, and nobody else does; nobody begins to poll */
    OVERDUE = 16 /* it ended because its time was over */
};

/*
 * How many fetches workers poll at once. It bounds what is side by side: a burst of more fetches, each of which blocks
 * for a while, takes more than one such while. And it bounds threads, which foreign code may hold for long.
 */
#define FETCH_WORKERS 32

static struct kfi_lane fetches = KFI_LANE_INIT(FETCH_WORKERS);

/* The innermost fetch that this thread is inside of. */
static _Thread_local struct kfi_inside *inside_here;

static bool driver_run(struct kfi_task *task, bool stop);
static void worker_run(struct kfi_work *work);
static void worker_done(struct kfi_work *work, int failure);
static void flight_wake(void *context);

void kfi_flight_init(struct kfi_flight *flight, const struct kfi_flight_class *class, uint64_t timeout_ms)
{
    const struct kf_waker wake = {flight_wake, flight};
    memset(flight, 0, sizeof *flight);
    flight->class = class;
    flight->timeout_ms = timeout_ms;
    flight->deadline = kfi_ms_after(kfi_now_ms(), timeout_ms);
    kfi_refs_init(&flight->refs);
    atomic_init(&flight->state, POLLED);
    kfi_task_init(&flight->task, driver_run);
    flight->task.limit_ms = flight->deadline;
    flight->work.run = worker_run;
    flight->work.done = worker_done;
    kfi_call_init(&flight->call, flight);
    flight->call.request_id = &flight->polled_id;
    kfi_call_drive(&flight->call, &wake);
    kfi_list_init(&flight->waiting);
    kfi_list_init(&flight->seated);
}

void kfi_flight_unref(struct kfi_flight *flight)
{
    if (flight != NULL && kfi_refs_drop(&flight->refs))
        flight->class->destroy(flight);
}

/* ---- The driver ---- */

bool kfi_flight_is_driven(const struct kfi_flight *flight)
{
    return atomic_load(&flight->state) & (DRIVEN | ENDED);
}

/* Gives the flight a driver, unless it has one or has ended. Errors: KF_E_SYSTEM, KF_E_CLEANED_UP. */
static enum kf_code flight_drive(struct kfi_flight *flight, struct kf_error *error)
{
    unsigned state = atomic_load(&flight->state);
    do {
        if (state & (DRIVEN | ENDED))
            return KF_OK;
    } while (!atomic_compare_exchange_weak(&flight->state, &state, state | DRIVEN));

    kfi_refs_add(&flight->refs, 1);
    const enum kf_code code = kfi_task_hand_over(&flight->task, error);
    if (code != KF_OK)
        kfi_flight_unref(flight); /* never the last one: the caller has his own */
    return code;
}

/* The driver's own end: a task that is withdrawn, or will not be run again. */
static void driver_end(struct kfi_flight *flight)
{
    (void)kfi_task_withdraw(&flight->task);
    kfi_flight_unref(flight);
}

/* A wake of the call. Whoever polls now will see it; else the driver has to be there, and polls. */
static void flight_wake(void *context)
{
    struct kfi_flight *flight = context;
    const unsigned state = atomic_fetch_or(&flight->state, WOKEN);
    if (!(state & (POLLED | WOKEN | ENDED)))
        kfi_task_wake(&flight->task);
}

/* ---- Landing ---- */

/* Takes it on oneself to land the flight: the state so far. If it had ENDED, somebody else has. */
static unsigned flight_claim(struct kfi_flight *flight, unsigned bits)
{
    return atomic_fetch_or(&flight->state, ENDED | bits);
}

/* Lands a flight that was claimed in `state`. The caller has a reference. */
static void flight_land(struct kfi_flight *flight, unsigned state, enum kf_code code,
                        const struct kf_error *error)
{
    flight->code = code;
    flight->error = *error;
    flight->class->land(flight);
    if (kfi_call_is_inherited(&flight->call))
        return; /* whoever was told has forked */
    /* The driver on the internal thread sees for itself that the flight has ended. */
    if ((state & DRIVEN) && kfi_task_withdraw(&flight->task))
        kfi_flight_unref(flight);
}

/*
 * Lands a flight with the answer of its last poll, unless it has landed. Consumes the reference of whoever polls.
 * `refused`: the answer is that it can't have a driver.
 */
static void flight_answer(struct kfi_flight *flight, enum kf_code code, const struct kf_error *error,
                          bool refused)
{
    kfi_call_end(&flight->call);
    const unsigned state = flight_claim(flight, 0);
    if (!(state & ENDED)) {
        flight->request_id = flight->polled_id;
        flight->refused = refused;
        flight_land(flight, state, code, error);
    } else if (flight->class->came_back != NULL) {
        flight->class->came_back(flight, state & OVERDUE);
    }
    kfi_flight_unref(flight);
}

/* Lands a flight whatever its poll is doing, which ends the call if it is under way. The caller has a reference. */
static void flight_abandon(struct kfi_flight *flight, enum kf_code code, const struct kf_error *error)
{
    const unsigned state = flight_claim(flight, code == KF_E_TIMEOUT ? OVERDUE : 0);
    if (state & ENDED)
        return;
    if (!(state & POLLED))
        kfi_call_end(&flight->call);
    flight->stuck = (state & POLLED) && code == KF_E_TIMEOUT;
    flight->refused = code == KF_E_SYSTEM;
    flight_land(flight, state, code, error);
}

/* ---- Polling ---- */

/*
 * Gives the permission to poll back, and with it the reference of whoever polled: the driver polls again after the next
 * wake. Errors: those of flight_drive, or KF_E_TIMEOUT if it has ended; then the permission is still here.
 */
static enum kf_code flight_release(struct kfi_flight *flight, struct kf_error *error)
{
    unsigned state = atomic_load(&flight->state);
    do {
        if (!(state & DRIVEN)) {
            const enum kf_code code = flight_drive(flight, error);
            if (code != KF_OK)
                return code;
            state |= DRIVEN;
        }
        if (state & ENDED)
            return KF_E_TIMEOUT; /* whoever landed it has said why */
    } while (!atomic_compare_exchange_weak(&flight->state, &state, state & ~(unsigned)POLLED));
    if (state & WOKEN)
        kfi_task_wake(&flight->task);
    kfi_flight_unref(flight);
    return KF_OK;
}

/* Gives the permission to poll to a worker. Errors: those of flight_drive; then it is still here. */
static enum kf_code flight_pass_on(struct kfi_flight *flight, struct kf_error *error)
{
    const enum kf_code code = flight_drive(flight, error);
    if (code != KF_OK)
        return code;
    kfi_refs_add(&flight->refs, 1); /* the work's */
    kfi_pool_submit(&fetches, &flight->work);
    return KF_OK;
}

/* One poll, by whoever has the permission and a reference with it; both are consumed. */
static void flight_poll(struct kfi_flight *flight)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kfi_inside inside;
    kfi_inside_enter(&inside, flight);
    enum kf_code code = flight->class->poll(flight, &error);
    kfi_inside_leave(&inside);

    if (kfi_call_is_inherited(&flight->call))
        return; /* the poll has forked, and this is the child: nobody is here to land for, nor may be */
    if (code == KF_PENDING && kfi_now_ms() >= flight->deadline) {
        code = KF_E_TIMEOUT;
        flight->class->overdue(flight, &error);
    }
    const bool pending = code == KF_PENDING;
    if (pending)
        code = inside.wants_worker ? flight_pass_on(flight, &error) : flight_release(flight, &error);
    if (!pending || code != KF_OK)
        flight_answer(flight, code, &error, pending);
}

/* A worker's poll. The flight may have ended while it stood in the lane. */
static void worker_run(struct kfi_work *work)
{
    struct kfi_flight *flight = KFI_CONTAINER(work, struct kfi_flight, work);
    const unsigned state = atomic_fetch_and(&flight->state, ~(unsigned)WOKEN);
    if (!(state & ENDED)) {
        flight_poll(flight);
        return;
    }
    const struct kf_error unheard = KF_ERROR_INIT;
    flight_answer(flight, KF_E_TIMEOUT, &unheard, false);
}

static void worker_done(struct kfi_work *work, int failure)
{
    struct kfi_flight *flight = KFI_CONTAINER(work, struct kfi_flight, work);
    if (failure != 0) {
        struct kf_error error = KF_ERROR_INIT;
        const enum kf_code code = kfi_pool_failure(failure, &error);
        flight_answer(flight, code, &error, true);
    }
    kfi_flight_unref(flight);
}

void kfi_flight_launch(struct kfi_flight *flight)
{
    if (kfi_call_is_inherited(&flight->call))
        return;
    flight_poll(flight);
}

void kfi_flight_launch_apart(struct kfi_flight *flight)
{
    struct kf_error error = KF_ERROR_INIT;
    if (kfi_call_is_inherited(&flight->call))
        return;
    flight_wake(flight);
    const enum kf_code code = flight_release(flight, &error);
    if (code != KF_OK)
        flight_answer(flight, code, &error, true);
}

/*
 * Without a driver the wait has no limit, as long as the poll does not come back. So be it if the thread can't be
 * started: most polls do. If the poll came back meanwhile and counts on the driver, the flight ends.
 */
void kfi_flight_follow(struct kfi_flight *flight)
{
    struct kf_error error = KF_ERROR_INIT;
    const enum kf_code code = flight_drive(flight, &error);
    if (code == KF_OK)
        return;
    const unsigned state = atomic_fetch_and(&flight->state, ~(unsigned)DRIVEN);
    if (code == KF_E_CLEANED_UP || !(state & POLLED))
        flight_abandon(flight, code, &error);
}

/* ---- Driving ---- */

/* The permission to poll, with a reference, if nobody has it: the state so far says so. */
static unsigned driver_take(struct kfi_flight *flight)
{
    unsigned state = atomic_load(&flight->state);
    do {
        if (state & (POLLED | ENDED))
            return state;
    } while (!atomic_compare_exchange_weak(&flight->state, &state, (state | POLLED) & ~(unsigned)WOKEN));
    kfi_refs_add(&flight->refs, 1);
    return state;
}

static void driver_stop(struct kfi_flight *flight)
{
    struct kf_error error = KF_ERROR_INIT;
    const enum kf_code code = kf_error_set(
        &error, KF_E_CLEANED_UP, "The library was cleaned up (kf_cleanup) before the fetch was done.");
    flight_abandon(flight, code, &error);
}

/* Another thread is inside the poll. */
static void driver_watch(struct kfi_flight *flight)
{
    struct kf_error error = KF_ERROR_INIT;
    if (kfi_now_ms() < flight->deadline)
        return;
    flight->class->overdue(flight, &error);
    flight_abandon(flight, KF_E_TIMEOUT, &error);
}

/* One turn of the driver: after a wake, when the time is over, or at kf_cleanup. */
static bool driver_run(struct kfi_task *task, bool stop)
{
    struct kfi_flight *flight = KFI_CONTAINER(task, struct kfi_flight, task);
    if (stop) {
        driver_stop(flight);
    } else {
        const unsigned state = driver_take(flight);
        if (!(state & (POLLED | ENDED)))
            flight_poll(flight);
        else if (!(state & ENDED))
            driver_watch(flight);
    }
    if (!(atomic_load(&flight->state) & ENDED))
        return false;
    driver_end(flight);
    return true;
}

/* ---- Inside of fetches ---- */

const struct kfi_inside *kfi_inside_here(void)
{
    return inside_here;
}

void kfi_inside_enter(struct kfi_inside *inside, struct kfi_flight *flight)
{
    *inside = (struct kfi_inside){.flight = flight, .outer = inside_here};
    if (flight != NULL)
        inside_here = inside;
}

void kfi_inside_leave(const struct kfi_inside *inside)
{
    inside_here = inside->outer;
}

struct kfi_flight *kfi_flight_around(const struct kf_call *call)
{
    if (call->root->flight != NULL)
        return call->root->flight;
    return inside_here != NULL ? inside_here->flight : NULL;
}

bool kfi_inside_defers(void)
{
    if (inside_here == NULL || !kfi_thread_is_internal())
        return false;
    inside_here->wants_worker = true;
    return true;
}
