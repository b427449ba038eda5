/*
 * Structs that begin with their size: options that callers pass, and answers that they receive. A program that
 * was compiled with an older header has a shorter struct.
 */
#ifndef KFI_BASE_SIZED_H
#define KFI_BASE_SIZED_H

#include <keyflight/types.h>

#include "base/memory.h"

/*
 * Reads `from`: it replaces the front of `*to`, which has `size` bytes and holds the defaults. KF_E_USAGE, and
 * a sentence that begins with `what` ("The options of a raw AES keyring"), if it is NULL, or its size is too
 * small to be one or larger than ours.
 */
KFI_SHARED enum kf_code kfi_sized_read(void *to, size_t size, const void *from, const char *what,
                                       struct kf_error *error);

/* Copies as much of `from`, which has `size` bytes, as `*to` has room for. The size that it says stays. */
KFI_SHARED void kfi_sized_write(void *to, const void *from, size_t size);

#endif
