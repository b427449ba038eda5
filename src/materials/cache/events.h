/*
 * Listeners, and the events they are told: small wrappers that put an event together.
 */
#ifndef KFI_MATERIALS_CACHE_EVENTS_H
#define KFI_MATERIALS_CACHE_EVENTS_H

#include <keyflight/caching_cmm.h>

#include "message/edk.h"

/*
 * Tells `listener`, unless it is NULL. Called with no lock held; the rest of the event is the caller's, its
 * size is filled in here.
 */
void kfi_cache_tell(struct kf_cache_listener *listener, struct kf_cache_event event);

/* Tells of a key that landed: `event` and what its EDKs say of it. */
void kfi_cache_tell_landed(struct kf_cache_listener *listener, struct kf_cache_event event,
                           const struct kfi_edk_list *edks);

#endif
