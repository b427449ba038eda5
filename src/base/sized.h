/*
 * Structs that begin with their size: options that callers pass, and answers that they receive. A program that
 * was compiled with an older header has a shorter struct. New fields go to the end of such a struct, never into
 * padding that an earlier release left there.
 */
#ifndef KFI_BASE_SIZED_H
#define KFI_BASE_SIZED_H

#include <keyflight/types.h>

#include "base/memory.h"

/*
 * Reads `from`: it replaces the front of `*to`, which has `size` bytes and holds the defaults. KF_E_USAGE, and
 * a sentence that begins with `what` ("The options of a raw AES keyring"), if it is NULL, or its size is none or
 * larger than ours: what a later release added to it must not be ignored.
 */
KFI_SHARED enum kf_code kfi_sized_read(void *to, size_t size, const void *from, const char *what,
                                       struct kf_error *error);

/*
 * Copies as much of `from`, which has `size` bytes, as `*to` has room for. The size that it says stays. False,
 * and nothing is copied, if that size is none.
 */
KFI_SHARED bool kfi_sized_write(void *to, const void *from, size_t size);

/*
 * Sets `*to`, which has `size` bytes, to the `defaults` of a struct of `defaults_size`: as much as it has room
 * for, and zero behind. It says `size` then.
 */
KFI_SHARED void kfi_sized_init(void *to, size_t size, const void *defaults, size_t defaults_size);

/* Defines kf_NAME_init, which sets a struct kf_NAME to what its …_INIT macro says. */
#define KFI_SIZED_INIT(name, initializer)                      \
    void kf_##name##_init(struct kf_##name *out, size_t size)  \
    {                                                          \
        static const struct kf_##name defaults = initializer;  \
        kfi_sized_init(out, size, &defaults, sizeof defaults); \
    }

#endif
