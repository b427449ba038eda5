/*
 * Wakers: see waker.h. Calls set them (call.c); flights, timers and keyrings of users wake them.
 */
#include "base/waker.h"

#include <pthread.h>

#include "base/fork.h"
#include "base/memory.h"
#include "base/refs.h"

struct kf_call_waker {
    struct kfi_refs refs;
    unsigned generation;   /* of the process that made it; in a child nobody is left to wake or to wait for */
    pthread_mutex_t lock;  /* guards what follows; a leaf, never held while a waker runs */
    pthread_cond_t idle;   /* running became 0 */
    struct kf_waker waker; /* wake is NULL: none */
    unsigned running;      /* threads inside waker.wake */
};

struct kf_call_waker *kfi_waker_new(void)
{
    struct kf_call_waker *place = kfi_alloc_zeroed(sizeof *place);
    if (place == NULL)
        return NULL;
    kfi_refs_init(&place->refs);
    place->generation = kfi_fork_generation();
    pthread_mutex_init(&place->lock, NULL);
    pthread_cond_init(&place->idle, NULL);
    return place;
}

struct kf_call_waker *kf_call_waker_ref(struct kf_call_waker *place)
{
    if (place != NULL)
        kfi_refs_add(&place->refs, 1);
    return place;
}

void kf_call_waker_unref(struct kf_call_waker *place)
{
    if (place == NULL || !kfi_refs_drop(&place->refs))
        return;
    if (place->generation == kfi_fork_generation()) {
        pthread_cond_destroy(&place->idle);
        pthread_mutex_destroy(&place->lock);
    }
    kfi_free(place);
}

void kfi_waker_set(struct kf_call_waker *place, const struct kf_waker *waker)
{
    static const struct kf_waker none;
    if (place->generation != kfi_fork_generation())
        return;
    pthread_mutex_lock(&place->lock);
    place->waker = waker != NULL ? *waker : none;
    while (place->running > 0)
        pthread_cond_wait(&place->idle, &place->lock);
    pthread_mutex_unlock(&place->lock);
}

void kf_call_waker_wake(struct kf_call_waker *place)
{
    if (place->generation != kfi_fork_generation())
        return;
    pthread_mutex_lock(&place->lock);
    struct kf_waker waker = place->waker;
    if (waker.wake == NULL) {
        pthread_mutex_unlock(&place->lock);
        return;
    }
    place->running++;
    pthread_mutex_unlock(&place->lock);

    waker.wake(waker.context);

    pthread_mutex_lock(&place->lock);
    if (--place->running == 0)
        pthread_cond_broadcast(&place->idle);
    pthread_mutex_unlock(&place->lock);
}
