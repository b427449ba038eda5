/*
 * A place that holds a waker, so that somebody else can wake it. Users know it as struct kf_call_waker.
 *
 * Whoever polls sets the waker, and whoever has news wakes it. Neither needs to know whether the other still
 * exists.
 */
#ifndef KFI_BASE_WAKER_H
#define KFI_BASE_WAKER_H

#include <keyflight/call.h>

#include <stdbool.h>

/* A place with one reference and without a waker; NULL: no memory. */
struct kf_call_waker *kfi_waker_new(void);

/*
 * Replaces the waker by `*waker`; NULL: by none. When this returns, the former one is not running and never
 * will be. The wait for that is short, since a waker only posts.
 */
void kfi_waker_set(struct kf_call_waker *place, const struct kf_waker *waker);

/* ---- No wake of a caller by its own thread, inside its own poll ---- */

/* A poll that this thread is in. It lies in memory of the poll's, which may be inside another one. */
struct kfi_hush {
    struct kf_call_waker *const *place; /* where the place is kept; it may be made during the poll */
    struct kfi_hush *outer;
    bool woken;
};

/*
 * From here to kfi_waker_unhush a wake of `*place` by this thread calls no waker, and is noted instead. One by
 * another thread is as ever. Pairs nest.
 */
void kfi_waker_hush(struct kfi_hush *hush, struct kf_call_waker *const *place);

/* True if a wake was noted. The caller has to see to it that it is not lost. */
bool kfi_waker_unhush(const struct kfi_hush *hush);

/* Whether this thread is between such a pair for `place`. */
bool kfi_waker_is_hushed(const struct kf_call_waker *place);

#endif
