/*
 * Asking: see asking.h. Called by the cache of materials and the cache of AWS credentials.
 */
#include "base/asking.h"

#include "base/circle.h"
#include "base/error.h"

bool kfi_asking_is_inside(const struct kfi_asking *asking)
{
    const struct kfi_flight *flight = asking->call->root->flight;
    if (flight != NULL && asking->class->brings(flight, asking))
        return true;
    for (const struct kfi_inside *inside = kfi_inside_here(); inside != NULL; inside = inside->outer) {
        if (asking->class->brings(inside->flight, asking))
            return true;
    }
    return false;
}

/* Makes what the look wants and does not have. */
static enum kf_code asking_prepare(struct kfi_asking *asking, unsigned look, struct kf_error *error)
{
    enum kf_code code = KF_OK;
    if ((look & KFI_LOOK_WANTS_FLIGHT) && asking->flight == NULL)
        code = asking->class->flight_new(asking, error);
    if (code == KF_OK && (look & KFI_LOOK_WANTS_SEAT) && asking->seat == NULL) {
        asking->seat = kfi_seat_new(&asking->class->seat, asking->call);
        if (asking->seat == NULL)
            code = kfi_no_memory(error);
        else if (asking->class->seat_made != NULL)
            asking->class->seat_made(asking);
    }
    return code;
}

/* The drop of a call's state. */
static void seat_drop(void *state)
{
    struct kfi_seat *seat = state;
    kfi_circle_leave(seat);
    seat->class->leave(seat);
    kfi_seat_unref(seat);
}

void kfi_asking_follows_locked(struct kfi_asking *asking, struct kfi_flight *flight)
{
    if (asking->followed != NULL || kfi_flight_is_driven(flight))
        return;
    kfi_refs_add(&flight->refs, 1);
    asking->followed = flight;
}

/*
 * Looks until nothing is wanted any more: the last look, which is 0 after an error. A look may call foreign code, and
 * so may have forked: KF_E_FORKED.
 */
static unsigned asking_look(struct kfi_asking *asking, struct kf_error *error, enum kf_code *code)
{
    unsigned look = asking->class->look(asking);
    *code = kfi_call_check(asking->call, error);
    while (*code == KF_OK && look >= KFI_LOOK_WANTS_SEAT) {
        *code = asking_prepare(asking, look, error);
        if (*code != KF_OK)
            return 0;
        look = asking->class->look(asking);
        *code = kfi_call_check(asking->call, error);
    }
    return look;
}

/* Whether the wait that was begun, by a caller inside of a fetch, would never end. */
static bool asking_closes_circle(const struct kfi_asking *asking)
{
    struct kfi_flight *inner = kfi_flight_around(asking->call);
    return inner != NULL && kfi_circle_enter(asking->seat, inner, kfi_inside_here());
}

/* Begins what the look came to. */
static void asking_begin(struct kfi_asking *asking, bool seated, bool opened)
{
    if (asking->followed != NULL) {
        kfi_flight_follow(asking->followed);
        kfi_flight_unref(asking->followed);
    }
    if (opened && seated) {
        kfi_seat_asks(asking->seat);
        kfi_flight_launch(asking->flight);
        kfi_seat_asked(asking->seat);
    } else if (opened) {
        kfi_flight_launch(asking->flight);
    } else {
        kfi_flight_unref(asking->flight);
    }
}

enum kf_code kfi_ask(struct kfi_asking *asking, struct kf_error *error)
{
    if (kfi_asking_is_inside(asking))
        return kf_error_set(error, KF_E_USAGE, "%s", asking->class->waits_for_itself);

    enum kf_code code;
    const unsigned look = asking_look(asking, error, &code);
    if (code == KF_E_FORKED)
        return code; /* the seat and the flight are the parent's */
    const bool seated = look & KFI_LOOK_SEATED, opened = look & KFI_LOOK_OPENED;
    if (seated)
        kf_call_state_set(asking->call, asking->seat, seat_drop);
    else
        kfi_seat_unref(asking->seat);
    const bool closes_circle = seated && asking_closes_circle(asking);
    asking_begin(asking, seated, opened);
    asking->seat = NULL;
    asking->flight = asking->followed = NULL;
    const enum kf_code forked = kfi_call_check(asking->call, error);
    if (forked != KF_OK)
        return forked; /* the fetch did, and goes on in the parent */
    if (!closes_circle)
        return seated ? KF_PENDING : code;
    kf_call_state_set(asking->call, NULL, NULL);
    return kf_error_set(
        error, KF_E_USAGE,
        "Fetches of keys would wait for each other in a circle, this one for another that waits for it: "
        "a keyring or CMM must not encrypt or decrypt with a CMM whose own keyring or CMM does the "
        "same with one that waits for it.");
}
