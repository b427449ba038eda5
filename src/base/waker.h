/*
 * The place where a waker is kept for somebody else to wake: what users know as struct kf_call_waker.
 *
 * Who polls sets the waker, who has something to tell wakes; neither needs to know whether the other still
 * exists.
 */
#ifndef KFI_BASE_WAKER_H
#define KFI_BASE_WAKER_H

#include <keyflight/call.h>

/* A place with one reference and no waker in it, or NULL. */
struct kf_call_waker *kfi_waker_new(void);

/*
 * Replaces the waker by `*waker`, or by none (NULL). When this returns the former one is not running and
 * never will be; the wait for that is short, since a waker only posts.
 */
void kfi_waker_set(struct kf_call_waker *place, const struct kf_waker *waker);

#endif
