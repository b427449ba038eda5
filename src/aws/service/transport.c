/*
 * Transport: see transport.h. Exchanges begin on any thread: they are set up there, and handed over by a queue
 * to the internal thread, which alone drives the multi handle, by sleeping in it. How one exchange is put to
 * libcurl, and what becomes of what it answers, is in transport_curl.c.
 *
 * Inherited by a forked child, nothing of this is closed or walked: the child makes a multi handle of its own.
 */
#include "aws/service/transport.h"

#include <pthread.h>

#include "aws/service/transport_curl.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/thread.h"

static struct {
    struct kfi_fork_guard guard;

    /*
     * Guards what follows, and what exchanges say of themselves to other threads (ended, cancelled). Held
     * while the internal thread's lock is taken to plug the multi handle in, never the other way round: no
     * cleanup comes between.
     */
    pthread_mutex_t lock;
    struct kfi_list arrivals;  /* exchanges that the internal thread has not seen */
    struct kfi_list cancelled; /* those that it has, and that nobody wants any more */
    CURLM *multi;              /* from the first use until kf_cleanup */
} queue = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .arrivals = {{&queue.arrivals.ring, &queue.arrivals.ring}},
    .cancelled = {{&queue.cancelled.ring, &queue.cancelled.ring}},
};

/* Every exchange that arrived and has not ended; the internal thread's own. */
static struct kfi_list held = {{&held.ring, &held.ring}};

static void reset(void *unused)
{
    (void)unused;
    pthread_mutex_init(&queue.lock, NULL);
    kfi_list_init(&queue.arrivals);
    kfi_list_init(&queue.cancelled);
    kfi_list_init(&held);
    queue.multi = NULL;
}

static void lock(void)
{
    kfi_fork_guard_check(&queue.guard, reset, NULL);
    pthread_mutex_lock(&queue.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&queue.lock);
}

/* ---- On the internal thread: turns and ends ---- */

/* Begins an exchange whose turn it is; false if that fails, its error being set. */
static bool begin(CURLM *multi, struct kfi_http_exchange *exchange)
{
    if (!kfi_http_stamp(exchange))
        return false;
    CURLMcode code = curl_multi_add_handle(multi, exchange->easy);
    if (code != CURLM_OK) {
        exchange->code =
            kf_error_set(&exchange->error, KF_E_SYSTEM, "libcurl can't begin a request to %s: %s.",
                         exchange->endpoint, curl_multi_strerror(code));
        return false;
    }
    exchange->running = true;
    exchange->pool->running++;
    return true;
}

/* The end of an exchange: what libcurl has of it goes, its owner is told, and the queue's reference dropped. */
static void end(CURLM *multi, struct kfi_http_exchange *exchange)
{
    if (exchange->running) {
        exchange->pool->running--;
        curl_multi_remove_handle(multi, exchange->easy);
    } else if (kfi_linked(&exchange->turn)) {
        kfi_unlink(&exchange->turn);
    }
    kfi_unlink(&exchange->link);
    kfi_http_release(exchange);
    lock();
    exchange->ended = true;
    if (kfi_linked(&exchange->cancel))
        kfi_unlink(&exchange->cancel);
    unlock();
    kf_call_waker_wake(exchange->waker);
    kfi_http_exchange_drop(exchange);
}

/* Begins those who wait for their turn, the longest waiting first, as far as there is room. */
static void give_turns(CURLM *multi, struct kfi_http_pool *pool)
{
    while (pool->running < pool->max_connections) {
        struct kfi_link *link = kfi_list_pop(&pool->waiting);
        if (link == NULL)
            return;
        struct kfi_http_exchange *exchange = KFI_CONTAINER(link, struct kfi_http_exchange, turn);
        if (!begin(multi, exchange))
            end(multi, exchange);
    }
}

/* Ends an exchange, and lets the next one of its pool begin. */
static void end_and_go_on(CURLM *multi, struct kfi_http_exchange *exchange)
{
    struct kfi_http_pool *pool = kfi_http_pool_ref(exchange->pool);
    end(multi, exchange);
    give_turns(multi, pool);
    kfi_http_pool_unref(pool);
}

/*
 * The next exchange that arrived or, once all have, the next that was cancelled; NULL if there is none. One
 * look at both, so that no cancelled one is still among the arrivals.
 */
static struct kfi_http_exchange *take(bool *arrived)
{
    lock();
    struct kfi_link *arrival = kfi_list_pop(&queue.arrivals);
    struct kfi_link *cancelled = arrival == NULL ? kfi_list_pop(&queue.cancelled) : NULL;
    unlock();
    *arrived = arrival != NULL;
    if (arrival != NULL)
        return KFI_CONTAINER(arrival, struct kfi_http_exchange, link);
    return cancelled != NULL ? KFI_CONTAINER(cancelled, struct kfi_http_exchange, cancel) : NULL;
}

static void take_in(CURLM *multi)
{
    struct kfi_http_exchange *exchange;
    for (bool arrived; (exchange = take(&arrived)) != NULL;) {
        if (!arrived) {
            end_and_go_on(multi, exchange);
            continue;
        }
        struct kfi_http_pool *pool = kfi_http_pool_ref(exchange->pool);
        kfi_http_pool_own(pool);
        kfi_list_push_back(&held, &exchange->link);
        kfi_list_push_back(&pool->waiting, &exchange->turn);
        give_turns(multi, pool);
        kfi_http_pool_unref(pool);
    }
}

/* libcurl is done with an exchange: it ends, or begins once more. */
static void settle(CURLM *multi, struct kfi_http_exchange *exchange, CURLcode result)
{
    if (kfi_http_again(exchange, result)) {
        curl_multi_remove_handle(multi, exchange->easy);
        if (curl_multi_add_handle(multi, exchange->easy) == CURLM_OK)
            return;
    }
    kfi_http_conclude(exchange, result);
    end_and_go_on(multi, exchange);
}

/* Does all that can be done without waiting. */
static void advance(CURLM *multi)
{
    take_in(multi);
    int count;
    (void)curl_multi_perform(multi, &count);
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &count)) != NULL;) {
        if (message->msg != CURLMSG_DONE)
            continue;
        char *exchange;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
        settle(multi, (struct kfi_http_exchange *)(void *)exchange, message->data.result);
    }
}

/* ---- What the internal thread sleeps in ---- */

static void sleep_in(void *multi, uint64_t ms)
{
    const uint64_t hour = UINT64_C(3600) * 1000; /* libcurl knows its own times and wakes for them */
    advance(multi);
    (void)curl_multi_poll(multi, NULL, 0, (int)(ms < hour ? ms : hour), NULL);
    advance(multi);
}

static void interrupt(void *multi)
{
    (void)curl_multi_wakeup(multi);
}

/* kf_cleanup: what is under way fails, and every connection is closed. */
static void stop(void *multi)
{
    lock();
    queue.multi = NULL;
    unlock();
    struct kfi_http_exchange *exchange;
    for (bool arrived; (exchange = take(&arrived)) != NULL;) {
        if (arrived)
            kfi_list_push_back(&held, &exchange->link);
    }
    for (struct kfi_link *link; (link = kfi_list_first(&held)) != NULL;) {
        exchange = KFI_CONTAINER(link, struct kfi_http_exchange, link);
        exchange->code =
            kf_error_set(&exchange->error, KF_E_CLEANED_UP,
                         "The request to %s was under way when kf_cleanup was called.", exchange->endpoint);
        end(multi, exchange);
    }
    (void)curl_multi_cleanup(multi);
}

/* ---- From any thread ---- */

static enum kf_code hand_over_locked(struct kfi_http_exchange *exchange, struct kf_error *error)
{
    CURLM *multi = queue.multi;
    if (multi == NULL) {
        multi = curl_multi_init();
        if (multi == NULL)
            return kfi_no_memory(error);
        /* Else libcurl closes idle connections by how many exchanges there are at the moment. */
        (void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 4096L);
        (void)curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    }
    /* The thread looks at the queue, for which it needs this lock, after the plugging; not before. */
    const struct kfi_sleeper sleeper = {
        .sleep = sleep_in, .interrupt = interrupt, .stop = stop, .context = multi};
    enum kf_code code = kfi_thread_plug(&sleeper, error);
    if (code != KF_OK) {
        if (queue.multi == NULL)
            (void)curl_multi_cleanup(multi);
        return code;
    }
    queue.multi = multi;
    kfi_refs_add(&exchange->refs, 1);
    kfi_list_push_back(&queue.arrivals, &exchange->link);
    return KF_OK;
}

enum kf_code kfi_http_exchange_start(struct kfi_http_pool *pool, const struct kfi_http_request *request,
                                     struct kf_call_waker *waker, struct kf_error *error,
                                     struct kfi_http_exchange **out)
{
    *out = NULL;
    struct kfi_http_exchange *exchange;
    enum kf_code code = kfi_http_exchange_make(pool, request, waker, error, &exchange);
    if (code != KF_OK)
        return code;
    lock();
    code = hand_over_locked(exchange, error);
    unlock();
    if (code != KF_OK) {
        kfi_http_exchange_drop(exchange);
        return code;
    }
    *out = exchange;
    return KF_OK;
}

enum kf_code kfi_http_exchange_poll(struct kfi_http_exchange *exchange, struct kf_error *error,
                                    const struct kfi_http_reply **reply)
{
    *reply = NULL;
    if (exchange->generation != kfi_fork_generation())
        return kf_error_set(error, KF_E_FORKED, "The request to %s began before the fork.",
                            exchange->endpoint);
    lock();
    bool ended = exchange->ended;
    unlock();
    if (!ended)
        return KF_PENDING;
    if (exchange->code != KF_OK)
        return kf_error_set(error, exchange->code, "%s", exchange->error.text);
    *reply = &exchange->reply;
    return KF_OK;
}

void kfi_http_exchange_free(struct kfi_http_exchange *exchange)
{
    /* What a child inherited may have been half changed at the fork: it is left alone. */
    if (exchange == NULL || exchange->generation != kfi_fork_generation())
        return;
    lock();
    bool cancelled = !exchange->ended;
    if (cancelled)
        kfi_list_push_back(&queue.cancelled, &exchange->cancel);
    unlock();
    if (cancelled)
        kfi_thread_poke();
    kfi_http_exchange_drop(exchange);
}
