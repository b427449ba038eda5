/*
 * Random bytes for keys, message ids and IVs. They come from the generator of the library context, which is
 * safe across fork.
 */
#ifndef KFI_SUITE_RANDOM_H
#define KFI_SUITE_RANDOM_H

#include <keyflight/types.h>

#include "base/memory.h"

/* Errors: KF_E_SYSTEM; `out` is then wiped. */
KFI_SHARED enum kf_code kfi_random(uint8_t *out, size_t length, struct kf_error *error);

/*
 * The same, for message ids and nothing else: they need not be secret, and there is one in every message. Each
 * thread draws a block of them ahead. What is handed out of it is wiped there, and what is left of it goes
 * neither into a child nor is it kept for more than a second: see docs/decisions/0013-message-ids-in-blocks.md.
 * `length` is at most KFI_RANDOM_BLOCK.
 */
enum kf_code kfi_random_message_id(uint8_t *out, size_t length, struct kf_error *error);

#endif
