/*
 * Fetches that do not come back: the keyring of a caching CMM blocks in them although their time is over. Those who
 * waited for them have left, and begin anew. Each fetch of a device that is dead holds a thread for ever, so there is a
 * bound: beyond it no fetch begins until one has come back.
 */
#ifndef KFI_MATERIALS_CACHE_STUCK_H
#define KFI_MATERIALS_CACHE_STUCK_H

#include <keyflight/types.h>

#include <stdbool.h>

struct kfi_stuck;

/* One for each caching CMM, which its fetches share; NULL: no memory. */
struct kfi_stuck *kfi_stuck_new(void);
void kfi_stuck_ref(struct kfi_stuck *stuck);
void kfi_stuck_unref(struct kfi_stuck *stuck); /* NULL is allowed */

/* Counts one more; true if no other one may begin now. */
bool kfi_stuck_more(struct kfi_stuck *stuck);
/* One has come back. That may be said before kfi_stuck_more. */
void kfi_stuck_less(struct kfi_stuck *stuck);

/* Whether a fetch may begin. Errors: KF_E_TIMEOUT. */
enum kf_code kfi_stuck_check(struct kfi_stuck *stuck, struct kf_error *error);

#endif
