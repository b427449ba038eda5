/*
 * Driving many callers on one thread: their wakers post to a queue, and whoever is in it is polled again.
 */
#ifndef KF_CLI_STORM_POLL_H
#define KF_CLI_STORM_POLL_H

#include <pthread.h>

#include "storm_caller.h"

/* The callers whose wakers were called. */
struct storm_queue {
    pthread_mutex_t ready_lock;
    pthread_cond_t ready;
    struct storm_caller *first;
    struct storm_caller *last;
};

void storm_queue_init(struct storm_queue *queue);
/* Only after every caller that asked through the queue has ended. */
void storm_queue_end(struct storm_queue *queue);

/* Asks for `caller` without waiting. */
void storm_queue_ask(struct storm_queue *queue, struct storm_caller *caller);

/*
 * Polls whoever is woken until none of the `count` callers is waiting. If nobody is woken for `patience_ms`
 * it gives up: those who still wait then were forgotten.
 */
void storm_queue_wait(struct storm_queue *queue, const struct storm_caller *callers, size_t count,
                      uint64_t patience_ms);

#endif
