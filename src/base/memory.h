/*
 * Memory: the only way to the allocator, the wiping of secrets, and copies.
 */
#ifndef KFI_BASE_MEMORY_H
#define KFI_BASE_MEMORY_H

#include <string.h>

#include "base/view.h"

/*
 * Marks what libkeyflight-aws needs of libkeyflight. It is visible outside the shared library, under the
 * private version node of src/keyflight.map; it has to be listed there too.
 */
#define KFI_SHARED __attribute__((visibility("default")))

/* Allocates `length` bytes (1 if it is 0). NULL: no memory. */
KFI_SHARED void *kfi_alloc(size_t length);

/* The same, set to 0. */
KFI_SHARED void *kfi_alloc_zeroed(size_t length);

/* NULL is allowed. */
KFI_SHARED void kfi_free(void *memory);

/* Overwrites `length` bytes in a way that the compiler keeps. */
KFI_SHARED void kfi_wipe(void *memory, size_t length);

/* Wipes `length` bytes and frees them. NULL is allowed. */
KFI_SHARED void kfi_free_secret(void *memory, size_t length);

/* A copy of `view` in memory of its own, or NULL if there is none. An empty view takes one byte too. */
KFI_SHARED uint8_t *kfi_copy(struct kf_view view);

/* A copy of `text` with its NUL, or NULL if there is no memory. NULL gives NULL. */
KFI_SHARED char *kfi_copy_text(const char *text);

/* A copy of `count` views and their bytes in one block, to be freed by kfi_free. NULL: no memory. */
struct kf_view *kfi_copy_all(const struct kf_view *views, size_t count);

/* Whether two secrets of `length` bytes are equal. The time does not depend on their content. */
bool kfi_equal_secret(const void *a, const void *b, size_t length);

#endif
