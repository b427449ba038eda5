/*
 * Memory: the one way to the allocator, and the wiping of secrets.
 */
#ifndef KFI_BASE_MEMORY_H
#define KFI_BASE_MEMORY_H

#include <string.h>

#include "base/view.h"

/*
 * Marks what libkeyflight-aws needs of libkeyflight: it is seen outside the shared library, under the private
 * version node of src/keyflight.map, where it has to stand as well.
 */
#define KFI_SHARED __attribute__((visibility("default")))

/* `length` bytes, at least 1 being allocated, or NULL. */
KFI_SHARED void *kfi_alloc(size_t length);

/* The same, set to 0. */
KFI_SHARED void *kfi_alloc_zeroed(size_t length);

/* NULL is allowed. */
KFI_SHARED void kfi_free(void *memory);

/* Overwrites `length` bytes in a way that the compiler keeps. */
KFI_SHARED void kfi_wipe(void *memory, size_t length);

/* Wipes `length` bytes and frees them. NULL is allowed. */
KFI_SHARED void kfi_free_secret(void *memory, size_t length);

/* A copy of `view` in memory of its own (length 0: one byte is allocated all the same), or NULL. */
KFI_SHARED uint8_t *kfi_copy(struct kf_view view);

/* A copy of `text` and its NUL, or NULL; a copy of NULL is NULL. */
KFI_SHARED char *kfi_copy_text(const char *text);

/* A copy of `count` views and of their bytes in one block, to be freed by kfi_free, or NULL. */
struct kf_view *kfi_copy_all(const struct kf_view *views, size_t count);

/* Whether two secrets of `length` bytes are equal, in a time that does not depend on them. */
bool kfi_equal_secret(const void *a, const void *b, size_t length);

#endif
