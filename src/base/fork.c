/*
 * Fork: see fork.h. Called by the cache, the internal thread, wakers, every operation, and around libcrypto and
 * libcurl.
 */
#include "base/fork.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/cancel.h"
#include "base/lock.h"

static atomic_uint generation;
static bool registered;

/*
 * Guards the remaking of inherited structures, and nothing else. The child remakes this lock itself, so
 * nobody holds it when a child begins.
 */
static struct kfi_lock reset_lock = KFI_LOCK_INIT;

/*
 * Held for reading by whoever bars forks, and for writing during a fork. Writers go first, else a fork might
 * never come to its turn. So a thread that has it does not ask for it again: `barring` counts.
 */
static struct kfi_rwlock gate = KFI_RWLOCK_INIT;
static _Thread_local unsigned barring;
/* How cancellation was before: a thread that ended inside would hold every later fork up. */
static _Thread_local int cancel_before;

/* A page of which the kernel gives a child zeros. NULL: it does not. */
static atomic_uint *epoch_page;
static atomic_uint last_epoch;

void kfi_fork_bar(void)
{
    if (barring++ > 0)
        return;
    cancel_before = kfi_cancel_disable();
    kfi_rwlock_read(&gate);
}

void kfi_fork_unbar(void)
{
    if (--barring > 0)
        return;
    kfi_rwlock_leave(&gate);
    kfi_cancel_restore(cancel_before);
}

static void before_fork(void)
{
    if (barring == 0)
        kfi_rwlock_write(&gate);
}

static void in_parent(void)
{
    if (barring == 0)
        kfi_rwlock_leave(&gate);
}

static void in_child(void)
{
    kfi_lock_init(&reset_lock);
    in_parent();            /* for the sake of tools that watch locks: the child is still the writer */
    kfi_rwlock_init(&gate); /* readers may have come to wait */
    if (barring > 0)        /* it forked inside, and will leave */
        kfi_rwlock_read(&gate);
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

static void map_epoch_page(void)
{
    void *page = mmap(NULL, sizeof *epoch_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return;
    if (madvise(page, sizeof *epoch_page, MADV_WIPEONFORK) == 0)
        epoch_page = page;
    else
        munmap(page, sizeof *epoch_page);
}

__attribute__((constructor)) static void register_handlers(void)
{
    /*
     * An allocator that registers handlers does so at its first use. Let that be now: handlers of later
     * libraries run before ours, and must not hold the allocator while ours waits for its users.
     */
    void *volatile first = malloc(1);
    free(first);
    registered = pthread_atfork(before_fork, in_parent, in_child) == 0;
    map_epoch_page();
}

unsigned kfi_fork_epoch(void)
{
    if (epoch_page == NULL)
        return 0;
    unsigned epoch = atomic_load_explicit(epoch_page, memory_order_relaxed);
    if (epoch != 0)
        return epoch;
    const unsigned next = atomic_fetch_add_explicit(&last_epoch, 1, memory_order_relaxed) + 1;
    return atomic_compare_exchange_strong_explicit(epoch_page, &epoch, next, memory_order_relaxed,
                                                   memory_order_relaxed)
               ? next
               : epoch;
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
