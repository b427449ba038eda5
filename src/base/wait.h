/*
 * The only place where a caller sleeps.
 */
#ifndef KFI_BASE_WAIT_H
#define KFI_BASE_WAIT_H

#include <keyflight/types.h>

/* An operation that can be polled. */
struct kfi_pollable {
    enum kf_code (*poll)(void *operation, const struct kf_waker *waker);
    uint64_t (*deadline)(const void *operation); /* in how many ms to poll at the latest; UINT64_MAX: never */
};

/*
 * Polls until the answer is not KF_PENDING, and sleeps in between. KF_E_USAGE on the internal thread, where
 * nothing may block.
 */
enum kf_code kfi_wait(const struct kfi_pollable *kind, void *operation, struct kf_error *error);

#endif
