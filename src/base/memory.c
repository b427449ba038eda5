/*
 * Memory: see memory.h. Called from everywhere, but never under a lock of the cache.
 */
#include "base/memory.h"
#include "base/sized.h"

#include <stdatomic.h>
#include <stdlib.h>

static void *system_allocate(void *context, size_t length)
{
    (void)context;
    return malloc(length);
}

static void system_release(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static struct kf_allocator allocator = {
    .size = sizeof(struct kf_allocator),
    .allocate = system_allocate,
    .release = system_release,
};

/* Set by the first allocation, so that all memory is released by the allocator that it came from. */
static atomic_bool allocator_used;

enum kf_code kf_allocator_set(const struct kf_allocator *replacement)
{
    struct kf_allocator given = {.size = sizeof given};
    enum kf_code code =
        kfi_sized_read(&given, sizeof given, replacement, "The functions of an allocator", NULL);
    if (code != KF_OK)
        return code;
    if (given.allocate == NULL || given.release == NULL ||
        atomic_load_explicit(&allocator_used, memory_order_relaxed))
        return KF_E_USAGE;
    allocator = given;
    return KF_OK;
}

void *kfi_alloc(size_t length)
{
    if (!atomic_load_explicit(&allocator_used, memory_order_relaxed))
        atomic_store_explicit(&allocator_used, true, memory_order_relaxed);
    return allocator.allocate(allocator.context, length > 0 ? length : 1);
}

void *kfi_alloc_zeroed(size_t length)
{
    void *memory = kfi_alloc(length);
    if (memory != NULL)
        memset(memory, 0, length);
    return memory;
}

void kfi_free(void *memory)
{
    if (memory != NULL)
        allocator.release(allocator.context, memory);
}

void kfi_wipe(void *memory, size_t length)
{
    if (length > 0)
        explicit_bzero(memory, length);
}

void kfi_free_secret(void *memory, size_t length)
{
    if (memory == NULL)
        return;
    kfi_wipe(memory, length);
    kfi_free(memory);
}

uint8_t *kfi_copy(struct kf_view view)
{
    uint8_t *copy = kfi_alloc(view.length);
    if (copy != NULL && view.length > 0)
        memcpy(copy, view.data, view.length);
    return copy;
}

char *kfi_copy_text(const char *text)
{
    return text != NULL ? (char *)kfi_copy(kf_view_of(text, strlen(text) + 1)) : NULL;
}

struct kf_view *kfi_copy_all(const struct kf_view *views, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += views[i].length;
    struct kf_view *copy = kfi_alloc(count * sizeof *copy + length);
    if (copy == NULL)
        return NULL;
    uint8_t *bytes = (uint8_t *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        copy[i] = kf_view_of(bytes, views[i].length);
        if (views[i].length > 0)
            memcpy(bytes, views[i].data, views[i].length);
        bytes += views[i].length;
    }
    return copy;
}

bool kfi_equal_secret(const void *a, const void *b, size_t length)
{
    /* Volatile, so that the compiler does not stop at the first difference. */
    const volatile uint8_t *x = a, *y = b;
    uint8_t differences = 0;
    for (size_t i = 0; i < length; i++)
        differences |= x[i] ^ y[i];
    return differences == 0;
}
