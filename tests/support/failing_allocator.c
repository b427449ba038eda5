/*
 * The allocator that fails when told to: see failing_allocator.h.
 */
#include "support/failing_allocator.h"

#include <malloc.h>
#include <stdlib.h>

struct failing_allocator memory;

static void *failing_allocate(void *context, size_t length)
{
    (void)context;
    if (length > memory.largest)
        memory.largest = length;
    if (atomic_fetch_add(&memory.made, 1) + 1 == memory.fail_at)
        return NULL;
    void *allocated = malloc(length);
    if (allocated == NULL)
        abort();
    memory.held++;
    memory.bytes += malloc_usable_size(allocated);
    return allocated;
}

static void failing_release(void *context, void *allocated)
{
    (void)context;
    memory.held--;
    memory.bytes -= malloc_usable_size(allocated);
    free(allocated);
}

void failing_allocator_install(void)
{
    static const struct kf_allocator allocator = {sizeof allocator, NULL, failing_allocate, failing_release};
    if (kf_allocator_set(&allocator) != KF_OK)
        abort();
}

void fail_allocation(size_t number)
{
    memory.made = 0;
    memory.fail_at = number;
}

size_t each_allocation_fails(enum kf_code (*work)(const void *argument, struct kf_error *error),
                             const void *argument)
{
    const size_t held = memory.held;
    for (size_t number = 1;; number++) {
        struct kf_error error = KF_ERROR_INIT;
        fail_allocation(number);
        const enum kf_code code = work(argument, &error);
        fail_allocation(0);
        assert_int_equal(error.code, code);
        assert_int_equal(memory.held, held);
        if (code == KF_OK)
            return number - 1;
        assert_int_equal(code, KF_E_NO_MEMORY);
    }
}
