/*
 * Driving callers on a thread each: see storm_threads.h. Called by storm_run.c. Never polls with a waker:
 * here the library does the waiting.
 */
#include "storm_threads.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* All threads wait here until all have come, twice: before they ask, and before they make their messages. */
struct barrier {
    pthread_mutex_t arrivals_lock;
    pthread_cond_t complete;
    size_t size;
    size_t arrived;
    unsigned round;
    bool broken; /* there are not enough threads: everybody goes home */
};

struct thread {
    pthread_t id;
    struct barrier *barrier;
    struct storm_caller *caller;
};

static bool barrier_pass(struct barrier *barrier)
{
    pthread_mutex_lock(&barrier->arrivals_lock);
    unsigned round = barrier->round;
    if (++barrier->arrived == barrier->size) {
        barrier->arrived = 0;
        barrier->round++;
        pthread_cond_broadcast(&barrier->complete);
    }
    while (barrier->round == round && !barrier->broken)
        pthread_cond_wait(&barrier->complete, &barrier->arrivals_lock);
    bool passed = !barrier->broken;
    pthread_mutex_unlock(&barrier->arrivals_lock);
    return passed;
}

static void barrier_break(struct barrier *barrier)
{
    pthread_mutex_lock(&barrier->arrivals_lock);
    barrier->broken = true;
    pthread_cond_broadcast(&barrier->complete);
    pthread_mutex_unlock(&barrier->arrivals_lock);
}

/* Waits for the answer. A deadline that passes is how a blocking caller gives up. */
static void ask(struct storm_caller *caller)
{
    storm_caller_ask(caller, NULL);
    if (caller->state != STORM_FAILED || !caller->gives_up)
        return;
    struct kf_error error;
    storm_caller_error(caller, &error);
    if (error.code == KF_E_TIMEOUT)
        storm_caller_give_up(caller);
}

void storm_threads_ask(struct storm_caller *caller)
{
    ask(caller);
    if (caller->state == STORM_HOLDS)
        storm_caller_finish(caller);
}

static void *caller_main(void *context)
{
    struct thread *thread = context;
    if (!barrier_pass(thread->barrier))
        return NULL;
    ask(thread->caller);
    /*
     * Whoever is answered first must not keep the others from asking: the machine has fewer cores than
     * callers.
     */
    if (barrier_pass(thread->barrier) && thread->caller->state == STORM_HOLDS)
        storm_caller_finish(thread->caller);
    return NULL;
}

enum kf_code storm_threads_run(struct storm_caller *callers, size_t count, struct kf_error *error)
{
    struct thread *threads = calloc(count, sizeof *threads);
    if (threads == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for %zu threads.", count);
    struct barrier barrier = {.size = count};
    pthread_mutex_init(&barrier.arrivals_lock, NULL);
    pthread_cond_init(&barrier.complete, NULL);

    enum kf_code code = KF_OK;
    size_t started = 0;
    for (; started < count && code == KF_OK; started++) {
        struct thread *thread = &threads[started];
        *thread = (struct thread){.barrier = &barrier, .caller = &callers[started]};
        int number = pthread_create(&thread->id, NULL, caller_main, thread);
        if (number != 0) {
            code = kf_error_set(error, KF_E_SYSTEM, "Only %zu of %zu threads could be started: %s.", started,
                                count, strerror(number));
            barrier_break(&barrier);
            break;
        }
    }
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i].id, NULL);
    pthread_cond_destroy(&barrier.complete);
    pthread_mutex_destroy(&barrier.arrivals_lock);
    free(threads);
    return code;
}
