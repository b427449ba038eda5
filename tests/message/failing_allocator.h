/*
 * An allocator that counts what is held and fails when told to, for the tests of this folder. Include it once
 * in a program and install it before anything else.
 */
#ifndef TESTS_MESSAGE_FAILING_ALLOCATOR_H
#define TESTS_MESSAGE_FAILING_ALLOCATOR_H

#include <keyflight/types.h>
#include <stdlib.h>

static struct {
    size_t held;    /* allocations not yet released */
    size_t made;    /* allocations asked for */
    size_t fail_at; /* the allocation, counted by `made`, that fails; 0: none does */
} memory;

static void *counting_allocate(void *context, size_t length)
{
    (void)context;
    if (++memory.made == memory.fail_at)
        return NULL;
    void *allocated = malloc(length);
    if (allocated != NULL)
        memory.held++;
    return allocated;
}

static void counting_release(void *context, void *allocated)
{
    (void)context;
    memory.held--;
    free(allocated);
}

/* False if something of the library was allocated before. */
static bool failing_allocator_install(void)
{
    const struct kf_allocator allocator = {sizeof allocator, NULL, counting_allocate, counting_release};
    return kf_allocator_set(&allocator) == KF_OK;
}

/* From now on the allocation number `number` fails, counted from 1; 0: none. */
static inline void fail_allocation(size_t number)
{
    memory.made = 0;
    memory.fail_at = number;
}

#endif
