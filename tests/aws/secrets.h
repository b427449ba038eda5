/*
 * An allocator that looks whether a secret is still in memory that is given back. It also counts allocations, and fails
 * when told to.
 */
#ifndef TESTS_AWS_SECRETS_H
#define TESTS_AWS_SECRETS_H

#include "support/support.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SECRET "tHiSiStHeSeCrEt" /* every secret of these tests begins with it */

static atomic_uint secrets_left;
static atomic_uint secrets_held;   /* allocations not yet released */
static atomic_int secrets_fail_in; /* 1: the next allocation fails, 2: the one after it, …; 0 or less: none */

static inline void *secrets_allocate(void *context, size_t length)
{
    (void)context;
    if (atomic_fetch_sub(&secrets_fail_in, 1) == 1)
        return NULL;
    atomic_fetch_add(&secrets_held, 1);
    return calloc(1, length); /* cleared, so that no secret is in it that is not ours */
}

static inline void secrets_release(void *context, void *memory)
{
    (void)context;
    if (memmem(memory, malloc_usable_size(memory), SECRET, sizeof SECRET - 1) != NULL)
        atomic_fetch_add(&secrets_left, 1);
    atomic_fetch_sub(&secrets_held, 1);
    free(memory);
}

/* main begins with this. */
static inline void secrets_watch(void)
{
    static const struct kf_allocator allocator = {
        .size = sizeof allocator, .allocate = secrets_allocate, .release = secrets_release};
    if (kf_allocator_set(&allocator) != KF_OK)
        abort();
}

/* The last test. */
static inline void no_secret_was_left_in_memory(void **state)
{
    (void)state;
    assert_int_equal(secrets_left, 0);
}

#endif
