/*
 * An allocator of the library that counts what is held, and fails when told to.
 */
#ifndef TESTS_SUPPORT_FAILING_ALLOCATOR_H
#define TESTS_SUPPORT_FAILING_ALLOCATOR_H

#include <stdatomic.h>

#include "support/support.h"

/* What the library has allocated. */
extern struct failing_allocator {
    atomic_size_t held;    /* allocations not yet released */
    atomic_size_t bytes;   /* in them */
    atomic_size_t made;    /* allocations asked for since fail_allocation */
    atomic_size_t fail_at; /* the allocation, counted by `made`, that fails; 0: none */
    atomic_size_t largest; /* bytes of the largest that was asked for; a test may set it to 0 */
} memory;

/* Ends the program if the library has allocated something before: main begins with this. */
void failing_allocator_install(void);

/* From now on allocation `number` fails, counted from 1; 0: none. */
void fail_allocation(size_t number);

/*
 * Runs `work` with its first allocation failing, then with its second, and so on until it succeeds. It has to fail
 * with KF_E_NO_MEMORY until then, and to leave nothing behind. Answers how often it failed.
 */
size_t each_allocation_fails(enum kf_code (*work)(const void *argument, struct kf_error *error),
                             const void *argument);

#endif
