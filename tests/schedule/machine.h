/*
 * The machine: threads of which one runs at a time, on one thread of the system. Who runs next is chosen at every
 * point (choice.h), and the clock is virtual: it moves when nobody can run, or when somebody who sleeps is chosen.
 *
 * The seam (seam.c) puts the library's locks, conditions and threads on it, and scenes their own threads. It knows
 * nothing of the library.
 */
#ifndef SCHEDULE_MACHINE_H
#define SCHEDULE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_THREADS 64 /* at once */
#define MACHINE_NEVER UINT64_MAX
#define MACHINE_START_MS 1000000

/* How long a wait of the library may be, in virtual time, if nothing but its end can set it free. */
#define MACHINE_PATIENCE_MS 60000

/* ---- A run ---- */

/* Runs `main` as the first thread, and returns when every thread has ended. Failures end the process. */
void machine_run(void (*main)(void), uint64_t seed);

/* Whether the caller is inside a run. */
bool machine_is_on(void);

/* Points passed in this run. */
uint64_t machine_points(void);

/* Ends the process with a failure: `kind` is the same for all failures of one kind, the rest says more. */
_Noreturn void machine_fail(const char *kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* From now on a plain access to memory is a point too (instrumented.c). */
void machine_plain_points_set(bool on);
bool machine_plain_points(void);

/* ---- For the thread that runs ---- */

/* It can go on, and another one may run first. */
void machine_point(void);

/*
 * Waits for `object` until machine_wake_… or, at the virtual time `until`, on its own. True: it was woken. With `early`
 * that time may come although others could run. `kind` says what it waits for.
 */
bool machine_wait(const char *kind, const void *object, uint64_t until, bool early);

/* A number below `limit`, from a stream of its own: the schedule does not change it. */
uint64_t machine_random(uint64_t limit);

/* Its number, from 0. */
unsigned machine_self(void);
const char *machine_name(unsigned number);

/* ---- Others ---- */

/* How many wait for `object`. */
unsigned machine_waiters(const void *object);

/* Wakes all who wait for `object`, or one of them. */
void machine_wake_all(const void *object);
void machine_wake_one(const void *object);

/*
 * Starts a thread, which may run at the next point. Answers its number, which is used again once the thread was joined
 * or, if it is detached, has ended. `name` is copied; NULL: it is called by its function.
 */
unsigned machine_start(const char *name, void *(*run)(void *context), void *context, bool detached);
void machine_join(unsigned number);

/* From now on `ends` is called by every thread that ends, last. */
void machine_thread_ends(void (*ends)(unsigned number));

/* ---- Time ---- */

uint64_t machine_now(void);

/* Sleeps in virtual time. The end may come although others could run: they were slow then. */
void machine_sleep(uint64_t ms);

#endif
