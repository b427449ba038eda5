/*
 * A heap of timers, the earliest first. It has no lock and allocates nothing: the links sit in the timers.
 * Used by thread.c, and by jobs.c for deadlines, which wake no place.
 */
#ifndef KFI_BASE_TIMERS_H
#define KFI_BASE_TIMERS_H

#include "base/thread.h"

/* The earliest timer is the root; NULL is the empty heap. Each function answers the new root. */
struct kfi_timer *kfi_timers_insert(struct kfi_timer *root, struct kfi_timer *timer);
struct kfi_timer *kfi_timers_remove(struct kfi_timer *root, struct kfi_timer *timer);

#endif
