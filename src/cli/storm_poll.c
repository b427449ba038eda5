/*
 * Driving many callers on one thread: see storm_poll.h. Called by storm_run.c and the bench. Never polls a
 * caller that was not woken, so an answer whose waker stays silent shows.
 */
#include "storm_poll.h"

#include <time.h>

#include "storm_clock.h"

void storm_queue_init(struct storm_queue *queue)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&queue->ready_lock, NULL);
    pthread_cond_init(&queue->ready, &monotonic);
    pthread_condattr_destroy(&monotonic);
    queue->first = NULL;
    queue->last = NULL;
}

void storm_queue_end(struct storm_queue *queue)
{
    pthread_cond_destroy(&queue->ready);
    pthread_mutex_destroy(&queue->ready_lock);
}

/* The waker: only posts. */
static void post(void *context)
{
    struct storm_caller *caller = context;
    struct storm_queue *queue = caller->queue;
    pthread_mutex_lock(&queue->ready_lock);
    if (!caller->queued) {
        caller->queued = true;
        caller->next = NULL;
        if (queue->first == NULL)
            queue->first = caller;
        else
            queue->last->next = caller;
        queue->last = caller;
        pthread_cond_signal(&queue->ready);
    }
    pthread_mutex_unlock(&queue->ready_lock);
}

/* The next caller that was woken; NULL if nobody is for `patience_ms`. */
static struct storm_caller *next_ready(struct storm_queue *queue, uint64_t patience_ms)
{
    uint64_t until_ns = storm_now_ns() + patience_ms * 1000000;
    struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    int status = 0;
    pthread_mutex_lock(&queue->ready_lock);
    while (queue->first == NULL && status == 0)
        status = pthread_cond_timedwait(&queue->ready, &queue->ready_lock, &until);
    struct storm_caller *caller = queue->first;
    if (caller != NULL) {
        queue->first = caller->next;
        caller->queued = false;
    }
    pthread_mutex_unlock(&queue->ready_lock);
    return caller;
}

void storm_queue_ask(struct storm_queue *queue, struct storm_caller *caller)
{
    if (caller->state == STORM_IDLE) /* later a waker may be reading it */
        caller->queue = queue;
    struct kf_waker waker = {post, caller};
    storm_caller_ask(caller, &waker);
}

void storm_queue_wait(struct storm_queue *queue, const struct storm_caller *callers, size_t count,
                      uint64_t patience_ms)
{
    size_t waiting = 0;
    for (size_t i = 0; i < count; i++)
        waiting += callers[i].state == STORM_WAITING;
    while (waiting > 0) {
        struct storm_caller *caller = next_ready(queue, patience_ms);
        if (caller == NULL)
            return;
        /* Wakers may be called more than once, and for nothing; and who gave up may be in the queue still. */
        if (caller->state != STORM_WAITING)
            continue;
        storm_queue_ask(queue, caller);
        waiting -= caller->state != STORM_WAITING;
    }
}
