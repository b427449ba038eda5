/*
 * Fork: how a child notices that what it inherited is not its own.
 *
 * The handler in the child only raises a generation number and remakes one lock. Whatever is shared remembers
 * the generation it was made in; its first user in the child replaces its locks and tables, under the reset
 * lock. What was inherited is abandoned and never walked: a lock may have been held, a list may have been
 * half changed.
 */
#ifndef KFI_BASE_FORK_H
#define KFI_BASE_FORK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/memory.h"

/* The number of forks between the first process and this one. */
KFI_SHARED unsigned kfi_fork_generation(void);

/*
 * KF_E_SYSTEM and a sentence if the handler could not be registered: then nothing that has to be safe across
 * fork may be made.
 */
KFI_SHARED enum kf_code kfi_fork_ready(struct kf_error *error);

/* In which generation a shared structure was made. */
struct kfi_fork_guard {
    atomic_uint generation;
};

KFI_SHARED void kfi_fork_guard_init(struct kfi_fork_guard *guard);

/*
 * To be called before each use of what `guard` stands for. If it was inherited, `reset` remakes it
 * (`context`), once, while other users wait.
 */
KFI_SHARED void kfi_fork_guard_check(struct kfi_fork_guard *guard, void (*reset)(void *context),
                                     void *context);

#endif
