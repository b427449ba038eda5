/*
 * Sees the locks that libcrypto and libssl take, and stops a thread while it has one. A program that includes this
 * puts its own functions in the place of the system's read-write locks, for all libraries.
 *
 * Under ThreadSanitizer, which does the same, nothing is seen.
 */
#ifndef TESTS_FORK_LIBCRYPTO_LOCKS_H
#define TESTS_FORK_LIBCRYPTO_LOCKS_H

#include "support/support.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* What becomes of the calling thread. Threads that don't say so are not watched. */
static _Thread_local bool watched;

static struct {
    struct {
        uintptr_t begin, end;
    } code[2]; /* of libcrypto and libssl */
    int (*read)(pthread_rwlock_t *), (*write)(pthread_rwlock_t *), (*leave)(pthread_rwlock_t *);
    atomic_uint taken;          /* by watched threads */
    atomic_uint taken_unbarred; /* of them, those that no fork would wait for */
    unsigned stop_at;           /* which of them stops its thread; 0: none */
    void (*stop)(void);         /* called there */
} locks;

static int find_code(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    const bool crypto = strstr(info->dlpi_name, "libcrypto.so") != NULL;
    if (!crypto && strstr(info->dlpi_name, "libssl.so") == NULL)
        return 0;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0) {
            locks.code[crypto].begin = info->dlpi_addr + part->p_vaddr;
            locks.code[crypto].end = locks.code[crypto].begin + part->p_memsz;
        }
    }
    return 0;
}

/* Before the constructors of our own library. */
__attribute__((constructor(101))) static void find_locks(void)
{
    *(void **)&locks.read = dlsym(RTLD_NEXT, "pthread_rwlock_rdlock");
    *(void **)&locks.write = dlsym(RTLD_NEXT, "pthread_rwlock_wrlock");
    *(void **)&locks.leave = dlsym(RTLD_NEXT, "pthread_rwlock_unlock");
    dl_iterate_phdr(find_code, NULL);
}

#if SUPPORT_THREADS_IN_CHILDREN /* no ThreadSanitizer */
#define LOCKS_ARE_SEEN true

/* How often the calling thread has the gate of base/fork.c, the only lock of this kind in src. */
static _Thread_local unsigned barred;

static bool is_libcrypto(const void *caller)
{
    const uintptr_t at = (uintptr_t)caller;
    for (size_t i = 0; i < 2; i++) {
        if (at >= locks.code[i].begin && at < locks.code[i].end)
            return true;
    }
    return false;
}

static void taken_by(const void *caller)
{
    if (!is_libcrypto(caller)) {
        barred++;
    } else if (watched) {
        const unsigned number = atomic_fetch_add(&locks.taken, 1) + 1;
        if (barred == 0)
            atomic_fetch_add(&locks.taken_unbarred, 1);
        if (number == locks.stop_at)
            locks.stop();
    }
}

KF_ATTRIBUTE(visibility("default")) int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    const int failure = locks.read(lock);
    taken_by(__builtin_return_address(0));
    return failure;
}

KF_ATTRIBUTE(visibility("default")) int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    const int failure = locks.write(lock);
    taken_by(__builtin_return_address(0));
    return failure;
}

KF_ATTRIBUTE(visibility("default")) int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    if (!is_libcrypto(__builtin_return_address(0)))
        barred--;
    return locks.leave(lock);
}
#else
#define LOCKS_ARE_SEEN false
#endif

#endif
