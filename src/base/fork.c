/*
 * Fork: see fork.h. Called by the cache, the internal thread, wakers and every operation.
 */
#include "base/fork.h"

#include <pthread.h>

#include "base/lock.h"

static atomic_uint generation;
static bool registered;

/*
 * Guards the remaking of inherited structures, and nothing else. The child remakes this lock itself, so
 * nobody holds it when a child begins.
 */
static struct kfi_lock reset_lock = KFI_LOCK_INIT;

static void in_child(void)
{
    kfi_lock_init(&reset_lock);
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

__attribute__((constructor)) static void register_handler(void)
{
    registered = pthread_atfork(NULL, NULL, in_child) == 0;
}

unsigned kfi_fork_generation(void)
{
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

enum kf_code kfi_fork_ready(struct kf_error *error)
{
    if (registered)
        return KF_OK;
    return kf_error_set(error, KF_E_SYSTEM,
                        "The handler that keeps forked processes safe can't be registered.");
}

void kfi_fork_guard_init(struct kfi_fork_guard *guard)
{
    atomic_init(&guard->generation, kfi_fork_generation());
}

void kfi_fork_guard_check(struct kfi_fork_guard *guard, void (*reset)(void *context), void *context)
{
    unsigned now = kfi_fork_generation();
    /* Acquire: whoever sees the new generation sees the remade structure as well. */
    if (atomic_load_explicit(&guard->generation, memory_order_acquire) == now)
        return;
    kfi_lock_take(&reset_lock);
    if (atomic_load_explicit(&guard->generation, memory_order_relaxed) != now) {
        reset(context);
        atomic_store_explicit(&guard->generation, now, memory_order_release);
    }
    kfi_lock_leave(&reset_lock);
}
