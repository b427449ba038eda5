/*
 * A place that holds a waker, so that somebody else can wake it. Users know it as struct kf_call_waker.
 *
 * Whoever polls sets the waker, and whoever has news wakes it. Neither needs to know whether the other still
 * exists.
 */
#ifndef KFI_BASE_WAKER_H
#define KFI_BASE_WAKER_H

#include <keyflight/call.h>

/* A place with one reference and without a waker; NULL: no memory. */
struct kf_call_waker *kfi_waker_new(void);

/*
 * Replaces the waker by `*waker`; NULL: by none. When this returns, the former one is not running and never
 * will be. The wait for that is short, since a waker only posts.
 */
void kfi_waker_set(struct kf_call_waker *place, const struct kf_waker *waker);

#endif
