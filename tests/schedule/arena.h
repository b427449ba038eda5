/*
 * The library's memory in a run. Nothing that was freed is used again before the run has ended, so that a use of it is
 * seen; what is left at the end is a leak.
 */
#ifndef SCHEDULE_ARENA_H
#define SCHEDULE_ARENA_H

#include <stddef.h>
#include <stdint.h>

/* Puts the arena in the place of malloc. */
void arena_install(void);

/* A run begins: what is allocated until now stays. */
void arena_run_begin(void);

/* A run has ended: fails if anything of it is left, and takes its memory back. */
void arena_run_end(void);

/* Fails if these bytes belong to the arena and are not allocated. */
void arena_check(const volatile void *memory, size_t length);

/* The allocation after `skipped` further ones of this run fails; UINT64_MAX: none does. */
void arena_fail_after(uint64_t skipped);

#endif
