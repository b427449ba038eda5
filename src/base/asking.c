/*
 * Asking: see asking.h. Called by the cache of materials and the cache of AWS credentials.
 */
#include "base/asking.h"

#include "base/error.h"

bool kfi_asking_is_inside(const struct kfi_asking *asking)
{
    const struct kfi_flight *flight = asking->call->root->flight;
    if (flight != NULL && asking->class->brings(flight, asking))
        return true;
    for (flight = kfi_flight_polled_here(); flight != NULL; flight = flight->outer) {
        if (asking->class->brings(flight, asking))
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
    seat->class->leave(seat);
    kfi_seat_unref(seat);
}

enum kf_code kfi_ask(struct kfi_asking *asking, struct kf_error *error)
{
    if (kfi_asking_is_inside(asking))
        return kf_error_set(error, KF_E_USAGE, "%s", asking->class->waits_for_itself);

    enum kf_code code = KF_OK;
    unsigned look = asking->class->look(asking);
    while (code == KF_OK && look >= KFI_LOOK_WANTS_SEAT) {
        code = asking_prepare(asking, look, error);
        if (code == KF_OK)
            look = asking->class->look(asking);
    }

    const bool seated = look & KFI_LOOK_SEATED, opened = look & KFI_LOOK_OPENED;
    if (seated)
        kf_call_state_set(asking->call, asking->seat, seat_drop);
    else
        kfi_seat_unref(asking->seat);
    if (opened && seated) {
        kfi_seat_asks(asking->seat);
        kfi_flight_launch(asking->flight);
        kfi_seat_asked(asking->seat);
    } else if (opened) {
        kfi_flight_launch(asking->flight);
    } else {
        kfi_flight_unref(asking->flight);
    }
    asking->seat = NULL;
    asking->flight = NULL;
    return seated ? KF_PENDING : code;
}
