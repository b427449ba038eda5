/*
 * Fork: how a child finds out that what it inherited is not its own.
 *
 * The handler in the child raises a generation number and remakes one lock, no more. Everything shared
 * remembers the generation in which it was made. Its first user in the child replaces its locks and tables,
 * under the reset lock. What was inherited is abandoned and never walked: a lock may have been held, or a
 * list half changed.
 *
 * What other libraries keep cannot be remade: libcrypto would be left with its locks held for ever. So whoever
 * calls them bars forks meanwhile (kfi_fork_bar).
 */
#ifndef KFI_BASE_FORK_H
#define KFI_BASE_FORK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/memory.h"

/* The number of forks between the first process and this one. */
KFI_SHARED unsigned kfi_fork_generation(void);

/*
 * If the handler could not be registered: KF_E_SYSTEM and a sentence. Then nothing may be made that has to be
 * safe across fork.
 */
KFI_SHARED enum kf_code kfi_fork_ready(struct kf_error *error);

/* The generation in which something shared was made. */
struct kfi_fork_guard {
    atomic_uint generation;
};

KFI_SHARED void kfi_fork_guard_init(struct kfi_fork_guard *guard);

/*
 * Call it before each use of what `guard` stands for. If that was inherited, `reset` remakes it, once, while
 * other users wait.
 */
KFI_SHARED void kfi_fork_guard_check(struct kfi_fork_guard *guard, void (*reset)(void *context),
                                     void *context);

/*
 * From kfi_fork_bar to kfi_fork_unbar a fork of another thread waits. They may nest. A waiting fork goes first:
 * who comes later waits until it is done. So nothing may be waited for in between but what ends by itself, and
 * nothing of the user's is called: it could hold what the forking thread needs.
 *
 * A thread that forks inside, from a signal handler, does not wait for itself. What it has interrupted is not
 * covered, nor is a fork that calls no handlers (vfork, clone, _Fork).
 */
KFI_SHARED void kfi_fork_bar(void);
KFI_SHARED void kfi_fork_unbar(void);

/*
 * A number that a child never shares with its parent, even if it was forked without handlers. 0 if the kernel
 * cannot tell.
 */
unsigned kfi_fork_epoch(void);

#endif
