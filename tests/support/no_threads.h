/*
 * A system that gives no threads when told so. For the one file of a program that includes it: it takes the place of
 * the C library's pthread_create.
 */
#ifndef TESTS_SUPPORT_NO_THREADS_H
#define TESTS_SUPPORT_NO_THREADS_H

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static atomic_bool no_threads;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main_of)(void *),
                   void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");
    memcpy(&real, &symbol, sizeof real);
    return atomic_load(&no_threads) ? EAGAIN : real(thread, attributes, main_of, argument);
}

#endif
