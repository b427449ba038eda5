/*
 * Who waits for whom between fetches. A fetch may ask for what another fetch brings: a keyring encrypts with a CMM, whose
 * keyring may encrypt with the first one, on another thread. If fetches wait for each other in a circle, none of them
 * ever comes to its end. So whoever is inside of a fetch and waits says so here, and is refused if that closes a circle.
 *
 * Called by asking.c. Only callers inside of fetches take the lock; all others never come here.
 */
#ifndef KFI_BASE_CIRCLE_H
#define KFI_BASE_CIRCLE_H

#include "base/seat.h"

/*
 * Says that the caller of `seat`, who is inside the fetch `inner` and of all those around it (`here`), waits in it. The
 * seat was taken. It is said until kfi_circle_leave, before which the seat may not go; `inner` stays that long. True: that closes
 * a circle; then nothing is said.
 */
bool kfi_circle_enter(struct kfi_seat *seat, struct kfi_flight *inner, const struct kfi_inside *here);

/* The caller of `seat` waits no longer. Nothing happens if he never said so. */
void kfi_circle_leave(struct kfi_seat *seat);

/* One look for circles. */
struct kfi_circle_search;

/* For `awaited` of a seat: its caller waits for `flight`, which has not landed. Under the owner's lock. */
KFI_SHARED void kfi_circle_meet(struct kfi_circle_search *search, struct kfi_flight *flight);

#endif
