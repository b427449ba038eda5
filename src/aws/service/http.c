/*
 * HTTP exchanges: see http.h. An exchange begins on any thread: it is prepared there, and a queue hands it over
 * to the internal thread. That thread alone drives the transfers, and sleeps in them. How a transfer is put to
 * libcurl is the matter of http_curl.c.
 *
 * A forked child closes nothing of what it inherited and walks no list of it: it begins with an empty queue and
 * new connections.
 */
#include "aws/service/http.h"

#include "aws/service/http_curl.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/refs.h"
#include "base/thread.h"

/*
 * So many exchanges that arrived or were cancelled are taken in each turn, so that the internal thread's other work is
 * not held up while hundreds of connections begin, or are closed.
 */
#define TAKEN_IN_A_TURN 4

struct kfi_http_pool {
    struct kfi_refs refs;
    uint32_t max_connections;
    char *ca_bundle, *user_agent;

    /* What follows is the internal thread's own. */
    unsigned generation;     /* of the process whose turns these are */
    uint32_t running;        /* exchanges that have their turn */
    struct kfi_list waiting; /* exchanges that wait for it, in the order in which they came */
};

struct kfi_http_exchange {
    struct kfi_refs refs;   /* the owner's, and the queue's until the end */
    struct kfi_link link;   /* among the arrivals (the queue's lock), then those held (internal thread) */
    struct kfi_link turn;   /* in its pool's waiting list (internal thread) */
    struct kfi_link cancel; /* among the cancelled (the queue's lock) */
    bool ended;             /* under the queue's lock; what is below doesn't change afterwards */
    bool running;           /* has its turn (internal thread) */
    unsigned generation;
    struct kfi_http_pool *pool;
    struct kf_call_waker *waker;
    struct kfi_curl_transfer *transfer;
    enum kf_code code; /* how it ended */
    struct kf_error error;
};

static struct {
    struct kfi_fork_guard guard;

    /*
     * Guards what follows, and what exchanges say of themselves to other threads (ended, cancelled). It is held
     * while the internal thread's lock is taken to plug the connections in, never the other way round: so no
     * cleanup comes between.
     */
    struct kfi_lock lock;
    struct kfi_list arrivals;  /* exchanges that the internal thread has not seen */
    struct kfi_list cancelled; /* exchanges that it has seen, and that nobody wants any more */
    struct kfi_curl *curl;     /* from the first use until kf_cleanup */
} queue = {
    .lock = KFI_LOCK_INIT,
    .arrivals = {{&queue.arrivals.ring, &queue.arrivals.ring}},
    .cancelled = {{&queue.cancelled.ring, &queue.cancelled.ring}},
};

/* Every exchange that arrived and has not ended; the internal thread's own. */
static struct kfi_list held = {{&held.ring, &held.ring}};

static void queue_reset(void *unused)
{
    (void)unused;
    kfi_lock_init(&queue.lock);
    kfi_list_init(&queue.arrivals);
    kfi_list_init(&queue.cancelled);
    kfi_list_init(&held);
    queue.curl = NULL;
}

static void queue_lock(void)
{
    kfi_fork_guard_check(&queue.guard, queue_reset, NULL);
    kfi_lock_take(&queue.lock);
}

static void queue_unlock(void)
{
    kfi_lock_leave(&queue.lock);
}

/* ---- Pools ---- */

enum kf_code kfi_http_pool_new(const struct kfi_http_pool_options *options, struct kf_error *error,
                               struct kfi_http_pool **out)
{
    *out = NULL;
    if (!kfi_curl_init())
        return kf_error_set(error, KF_E_SYSTEM, "libcurl can't be initialised in this process.");
    enum kf_code code = kfi_fork_ready(error);
    if (code != KF_OK)
        return code;
    struct kfi_http_pool *pool = kfi_alloc_zeroed(sizeof *pool);
    if (pool == NULL)
        return kfi_no_memory(error);
    kfi_refs_init(&pool->refs);
    pool->max_connections = options->max_connections > 0 ? options->max_connections : 1;
    pool->ca_bundle = kfi_copy_text(options->ca_bundle);
    pool->user_agent = kfi_copy_text(options->user_agent);
    pool->generation = kfi_fork_generation();
    kfi_list_init(&pool->waiting);
    if ((options->ca_bundle != NULL && pool->ca_bundle == NULL) ||
        (options->user_agent != NULL && pool->user_agent == NULL)) {
        kfi_http_pool_unref(pool);
        return kfi_no_memory(error);
    }
    *out = pool;
    return KF_OK;
}

struct kfi_http_pool *kfi_http_pool_ref(struct kfi_http_pool *pool)
{
    kfi_refs_add(&pool->refs, 1);
    return pool;
}

void kfi_http_pool_unref(struct kfi_http_pool *pool)
{
    if (pool == NULL || !kfi_refs_drop(&pool->refs))
        return;
    kfi_free(pool->ca_bundle);
    kfi_free(pool->user_agent);
    kfi_free(pool);
}

/* ---- Making an exchange ---- */

/* Drops a reference. */
static void exchange_drop(struct kfi_http_exchange *exchange)
{
    if (!kfi_refs_drop(&exchange->refs))
        return;
    kfi_curl_transfer_free(exchange->transfer);
    kf_call_waker_unref(exchange->waker);
    kfi_http_pool_unref(exchange->pool);
    kfi_free(exchange);
}

static enum kf_code exchange_new(struct kfi_http_pool *pool, const struct kfi_http_request *request,
                                 struct kf_call_waker *waker, struct kf_error *error,
                                 struct kfi_http_exchange **out)
{
    struct kfi_http_exchange *exchange = kfi_alloc_zeroed(sizeof *exchange);
    if (exchange == NULL)
        return kfi_no_memory(error);
    kfi_refs_init(&exchange->refs);
    exchange->generation = kfi_fork_generation();
    exchange->pool = kfi_http_pool_ref(pool);
    exchange->waker = kf_call_waker_ref(waker);
    enum kf_code code = kfi_curl_transfer_new(request, pool->ca_bundle, pool->user_agent, exchange, error,
                                              &exchange->transfer);
    if (code == KF_OK)
        *out = exchange;
    else
        exchange_drop(exchange);
    return code;
}

/* ---- On the internal thread: turns and ends ---- */

/* Begins an exchange whose turn it is; false if that fails, its error being set. */
static bool exchange_begin(struct kfi_curl *curl, struct kfi_http_exchange *exchange)
{
    exchange->code = kfi_curl_begin(curl, exchange->transfer, &exchange->error);
    if (exchange->code != KF_OK)
        return false;
    exchange->running = true;
    exchange->pool->running++;
    return true;
}

/* Ends an exchange: frees what libcurl has of it, tells its owner, and drops the queue's reference. */
static void exchange_end(struct kfi_curl *curl, struct kfi_http_exchange *exchange)
{
    if (exchange->running) {
        exchange->pool->running--;
        kfi_curl_remove(curl, exchange->transfer);
    } else if (kfi_linked(&exchange->turn)) {
        kfi_unlink(&exchange->turn);
    }
    kfi_unlink(&exchange->link);
    kfi_curl_transfer_close(exchange->transfer);
    queue_lock();
    exchange->ended = true;
    if (kfi_linked(&exchange->cancel))
        kfi_unlink(&exchange->cancel);
    queue_unlock();
    kf_call_waker_wake(exchange->waker);
    exchange_drop(exchange);
}

/* Begins exchanges that wait, the longest waiting first, as far as there is room. */
static void pool_give_turns(struct kfi_curl *curl, struct kfi_http_pool *pool)
{
    while (pool->running < pool->max_connections) {
        struct kfi_link *link = kfi_list_pop(&pool->waiting);
        if (link == NULL)
            return;
        struct kfi_http_exchange *exchange = KFI_CONTAINER(link, struct kfi_http_exchange, turn);
        if (!exchange_begin(curl, exchange))
            exchange_end(curl, exchange);
    }
}

/* Ends an exchange, and lets the next one of its pool begin. */
static void exchange_end_and_give_turn(struct kfi_curl *curl, struct kfi_http_exchange *exchange)
{
    struct kfi_http_pool *pool = kfi_http_pool_ref(exchange->pool);
    exchange_end(curl, exchange);
    pool_give_turns(curl, pool);
    kfi_http_pool_unref(pool);
}

/* An exchange that has arrived waits for its turn, which may be now. */
static void exchange_arrive(struct kfi_curl *curl, struct kfi_http_exchange *exchange)
{
    struct kfi_http_pool *pool = kfi_http_pool_ref(exchange->pool);
    if (pool->generation != kfi_fork_generation()) { /* its turns are a parent process's */
        pool->generation = kfi_fork_generation();
        pool->running = 0;
        kfi_list_init(&pool->waiting);
    }
    kfi_list_push_back(&held, &exchange->link);
    kfi_list_push_back(&pool->waiting, &exchange->turn);
    pool_give_turns(curl, pool);
    kfi_http_pool_unref(pool);
}

/*
 * The next exchange that arrived or, once all have, the next that was cancelled; NULL if there is none. Both
 * lists are looked at under one lock, so that no cancelled exchange is still among the arrivals.
 */
static struct kfi_http_exchange *queue_next(bool *arrived)
{
    queue_lock();
    struct kfi_link *arrival = kfi_list_pop(&queue.arrivals);
    struct kfi_link *cancelled = arrival == NULL ? kfi_list_pop(&queue.cancelled) : NULL;
    queue_unlock();
    *arrived = arrival != NULL;
    if (arrival != NULL)
        return KFI_CONTAINER(arrival, struct kfi_http_exchange, link);
    return cancelled != NULL ? KFI_CONTAINER(cancelled, struct kfi_http_exchange, cancel) : NULL;
}

/* Takes the next exchange that arrived or was cancelled; false if there is none. */
static bool take_next(struct kfi_curl *curl)
{
    bool arrived;
    struct kfi_http_exchange *exchange = queue_next(&arrived);
    if (exchange == NULL)
        return false;
    if (arrived)
        exchange_arrive(curl, exchange);
    else
        exchange_end_and_give_turn(curl, exchange);
    return true;
}

/* ---- What the internal thread sleeps in ---- */

static void http_sleep(void *curl, uint64_t ms)
{
    int taken = 0;
    while (taken < TAKEN_IN_A_TURN && take_next(curl))
        taken++;
    kfi_curl_turn(curl, taken < TAKEN_IN_A_TURN ? ms : 0); /* with more left, there is no time to sleep */
    for (struct kfi_http_exchange *exchange; (exchange = kfi_curl_next_ended(curl)) != NULL;) {
        exchange->code = kfi_curl_transfer_result(exchange->transfer, &exchange->error);
        exchange_end_and_give_turn(curl, exchange);
    }
}

static void http_interrupt(void *curl)
{
    kfi_curl_wake(curl);
}

/* kf_cleanup: what is under way fails, and every connection is closed. */
static void http_stop(void *curl)
{
    queue_lock();
    queue.curl = NULL;
    queue_unlock();
    struct kfi_http_exchange *exchange;
    for (bool arrived; (exchange = queue_next(&arrived)) != NULL;) {
        if (arrived)
            kfi_list_push_back(&held, &exchange->link);
    }
    for (struct kfi_link *link; (link = kfi_list_first(&held)) != NULL;) {
        exchange = KFI_CONTAINER(link, struct kfi_http_exchange, link);
        exchange->code = kf_error_set(&exchange->error, KF_E_CLEANED_UP,
                                      "The request to %s was under way when kf_cleanup was called.",
                                      kfi_curl_transfer_endpoint(exchange->transfer));
        exchange_end(curl, exchange);
    }
    kfi_curl_free(curl);
}

/* ---- From any thread ---- */

static enum kf_code queue_push_locked(struct kfi_http_exchange *exchange, struct kf_error *error)
{
    struct kfi_curl *curl = queue.curl;
    enum kf_code code = curl == NULL ? kfi_curl_new(error, &curl) : KF_OK;
    if (code != KF_OK)
        return code;
    /* The thread looks at the queue, for which it needs this lock, after the plugging; not before. */
    const struct kfi_sleeper sleeper = {
        .sleep = http_sleep, .interrupt = http_interrupt, .stop = http_stop, .context = curl};
    code = kfi_thread_plug(&sleeper, error);
    if (code != KF_OK) {
        if (queue.curl == NULL)
            kfi_curl_free(curl);
        return code;
    }
    queue.curl = curl;
    kfi_refs_add(&exchange->refs, 1);
    kfi_list_push_back(&queue.arrivals, &exchange->link);
    return KF_OK;
}

enum kf_code kfi_http_exchange_start(struct kfi_http_pool *pool, const struct kfi_http_request *request,
                                     struct kf_call_waker *waker, struct kf_error *error,
                                     struct kfi_http_exchange **out)
{
    *out = NULL;
    struct kfi_http_exchange *exchange = NULL;
    enum kf_code code = exchange_new(pool, request, waker, error, &exchange);
    if (code != KF_OK)
        return code;
    queue_lock();
    code = queue_push_locked(exchange, error);
    queue_unlock();
    if (code == KF_OK)
        *out = exchange;
    else
        exchange_drop(exchange);
    return code;
}

enum kf_code kfi_http_exchange_poll(struct kfi_http_exchange *exchange, struct kf_error *error,
                                    const struct kfi_http_reply **reply)
{
    *reply = NULL;
    if (exchange->generation != kfi_fork_generation())
        return kf_error_set(error, KF_E_FORKED, "The request to %s began before the fork.",
                            kfi_curl_transfer_endpoint(exchange->transfer));
    queue_lock();
    bool ended = exchange->ended;
    queue_unlock();
    if (!ended)
        return KF_PENDING;
    if (exchange->code != KF_OK)
        return kf_error_set(error, exchange->code, "%s", exchange->error.text);
    *reply = kfi_curl_transfer_reply(exchange->transfer);
    return KF_OK;
}

void kfi_http_exchange_free(struct kfi_http_exchange *exchange)
{
    /* What a child inherited may have been half changed at the fork: it is left alone. */
    if (exchange == NULL || exchange->generation != kfi_fork_generation())
        return;
    queue_lock();
    bool cancelled = !exchange->ended;
    if (cancelled)
        kfi_list_push_back(&queue.cancelled, &exchange->cancel);
    queue_unlock();
    if (cancelled)
        kfi_thread_poke();
    exchange_drop(exchange);
}
