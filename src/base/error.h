/*
 * Sentences that more than one file says.
 */
#ifndef KFI_BASE_ERROR_H
#define KFI_BASE_ERROR_H

#include <keyflight/types.h>

#include "base/memory.h"

/* KF_E_NO_MEMORY and its sentence. */
KFI_SHARED enum kf_code kfi_no_memory(struct kf_error *error);

/* Takes back what an earlier attempt wrote: KF_OK and no text. */
KFI_SHARED void kfi_error_clear(struct kf_error *error);

#endif
