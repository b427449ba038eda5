/*
 * Structs that begin with their size: options that callers pass, and answers that they receive. A program
 * that was compiled with an older header has a shorter struct. New members go to the end of such a struct,
 * never into padding that an earlier release left there.
 */
#ifndef KFI_BASE_SIZED_H
#define KFI_BASE_SIZED_H

#include <keyflight/types.h>

#include "base/memory.h"

/*
 * Reads `from` into the front of `*to`, which has `size` bytes and holds the defaults. KF_E_USAGE, and a
 * sentence that begins with `what` ("The options of a raw AES keyring"), if `from` is NULL, or its size is
 * not valid or larger than ours: what a later release added must not be ignored.
 */
KFI_SHARED enum kf_code kfi_sized_read(void *to, size_t size, const void *from, const char *what,
                                       struct kf_error *error);

/*
 * Copies `from`, which has `size` bytes, to `*to`, as far as the size of `*to` allows. That size stays.
 * False, and nothing is copied, if that size is not valid.
 */
KFI_SHARED bool kfi_sized_write(void *to, const void *from, size_t size);

/*
 * Sets the first `size` bytes at `to` to the `defaults`, a struct of `defaults_size` bytes. What is longer
 * than that becomes zero. Its size is `size` then.
 */
KFI_SHARED void kfi_sized_init(void *to, size_t size, const void *defaults, size_t defaults_size);

/* Defines kf_NAME_init, which sets a struct kf_NAME to what its _INIT macro says. */
#define KFI_SIZED_INIT(name, initializer)                      \
    void kf_##name##_init(struct kf_##name *out, size_t size)  \
    {                                                          \
        static const struct kf_##name defaults = initializer;  \
        kfi_sized_init(out, size, &defaults, sizeof defaults); \
    }

#endif
