/*
 * Sees the locks that libcrypto and libssl take in watched threads, and stops a thread while it has one. A program that
 * includes this puts its own functions in the place of the system's read-write locks, for all libraries.
 *
 * Under ThreadSanitizer, which does the same, nothing is seen.
 */
#ifndef TESTS_FORK_LIBCRYPTO_LOCKS_H
#define TESTS_FORK_LIBCRYPTO_LOCKS_H

#include "base/thread.h"
#include "support/support.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* Whether the calling thread is watched, as the internal thread always is. */
static _Thread_local bool watched;

static struct {
    struct {
        uintptr_t begin, end;
    } code[3]; /* of libcrypto, libssl and the program */
    int (*read)(pthread_rwlock_t *), (*write)(pthread_rwlock_t *), (*leave)(pthread_rwlock_t *);
    atomic_uint taken;          /* by watched threads */
    atomic_uint taken_unbarred; /* of them, those that no fork would wait for */
    unsigned stop_at;           /* which of them stops its thread; 0: none */
    void (*stop)(void);         /* called there */
} locks;

#if SUPPORT_THREADS_IN_CHILDREN /* no ThreadSanitizer */
#define LOCKS_ARE_SEEN true

static int find_code(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    static const char *const names[] = {"libcrypto.so", "libssl.so"};
    size_t at = 0;
    while (at < 2 && strstr(info->dlpi_name, names[at]) == NULL)
        at++;
    if (at == 2 && info->dlpi_name[0] != '\0')
        return 0;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0) {
            locks.code[at].begin = info->dlpi_addr + part->p_vaddr;
            locks.code[at].end = locks.code[at].begin + part->p_memsz;
        }
    }
    return 0;
}

/* At the first lock, which may be in a constructor of some library. There is one thread then. */
static void find_locks(void)
{
    if (locks.leave != NULL)
        return;
    *(void **)&locks.read = dlsym(RTLD_NEXT, "pthread_rwlock_rdlock");
    *(void **)&locks.write = dlsym(RTLD_NEXT, "pthread_rwlock_wrlock");
    *(void **)&locks.leave = dlsym(RTLD_NEXT, "pthread_rwlock_unlock");
    dl_iterate_phdr(find_code, NULL);
}

/* How often the calling thread has the gate of base/fork.c, the only lock of this kind in src. */
static _Thread_local unsigned barred;

static bool is_in(const void *caller, size_t code)
{
    const uintptr_t at = (uintptr_t)caller;
    return at >= locks.code[code].begin && at < locks.code[code].end;
}

static void taken_by(const void *caller)
{
    if (is_in(caller, 2)) {
        barred++;
    } else if ((is_in(caller, 0) || is_in(caller, 1)) && (watched || kfi_thread_is_internal())) {
        const unsigned number = atomic_fetch_add(&locks.taken, 1) + 1;
        if (barred == 0)
            atomic_fetch_add(&locks.taken_unbarred, 1);
        if (number == locks.stop_at)
            locks.stop();
    }
}

KF_ATTRIBUTE(visibility("default")) int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    find_locks();
    const int failure = locks.read(lock);
    taken_by(__builtin_return_address(0));
    return failure;
}

KF_ATTRIBUTE(visibility("default")) int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    find_locks();
    const int failure = locks.write(lock);
    taken_by(__builtin_return_address(0));
    return failure;
}

KF_ATTRIBUTE(visibility("default")) int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    if (is_in(__builtin_return_address(0), 2))
        barred--;
    return locks.leave(lock);
}
#else
#define LOCKS_ARE_SEEN false
#endif

#endif
