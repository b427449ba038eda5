/*
 * The pool of workers: see pool.h.
 */
#include "base/pool.h"

#include <errno.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/ms.h"

/* How long kf_cleanup waits for workers that are stuck in foreign code. */
#define CLEANUP_MS 1000

struct worker {
    struct kfi_link link; /* in pool.over */
    struct kfi_thread thread;
    unsigned cleanups; /* how often the pool had been cleaned up when it was started */
    bool known;        /* `thread` is filled in */
    bool ended;
};

static struct {
    struct kfi_fork_guard guard;

    struct kfi_lock lock;         /* guards what follows, and all lanes and links of work; a leaf */
    struct kfi_condition changed; /* for workers: there is work, or one too many of them */
    struct kfi_condition ended;   /* for kf_cleanup: a worker has ended */
    struct kfi_list ready;        /* work that may begin */
    size_t ready_count;
    size_t workers; /* started, or about to be */
    size_t busy;    /* those that have work */
    size_t limit;   /* of all lanes together */
    size_t old;     /* workers that were started before the last cleanup and are not in `over` yet */
    unsigned cleanups;
    struct kfi_list over; /* workers that have ended, to be joined */
} pool = {
    .lock = KFI_LOCK_INIT,
    .ready = {{&pool.ready.ring, &pool.ready.ring}},
    .over = {{&pool.over.ring, &pool.over.ring}},
};

static struct kfi_once conditions_once = KFI_ONCE_INIT;
static _Thread_local bool is_worker;

static void make_pool_conditions(void)
{
    kfi_condition_init(&pool.changed);
    kfi_condition_init(&pool.ended);
}

/* In a forked child: no workers, no work, no lanes. What was inherited is abandoned. */
static void pool_reset(void *unused)
{
    (void)unused;
    kfi_lock_init(&pool.lock);
    make_pool_conditions();
    kfi_list_init(&pool.ready);
    kfi_list_init(&pool.over);
    pool.ready_count = pool.workers = pool.busy = pool.limit = pool.old = 0;
}

static void pool_lock(void)
{
    kfi_once_run(&conditions_once, make_pool_conditions);
    kfi_fork_guard_check(&pool.guard, pool_reset, NULL);
    kfi_lock_take(&pool.lock);
}

static void pool_unlock(void)
{
    kfi_lock_leave(&pool.lock);
}

bool kfi_pool_is_worker(void)
{
    return is_worker;
}

/* ---- Lanes ---- */

static bool lane_is_known_locked(const struct kfi_lane *lane)
{
    return lane->known_in == kfi_fork_generation() + 1;
}

static void lane_know_locked(struct kfi_lane *lane)
{
    if (lane_is_known_locked(lane))
        return;
    lane->known_in = kfi_fork_generation() + 1;
    lane->under_way = 0;
    kfi_list_init(&lane->line);
    pool.limit += lane->limit;
}

/* Lets work of a lane begin, as far as its limit allows. */
static void lane_serve_locked(struct kfi_lane *lane)
{
    while (lane->under_way < lane->limit && !kfi_list_empty(&lane->line)) {
        struct kfi_link *link = kfi_list_pop(&lane->line);
        KFI_CONTAINER(link, struct kfi_work, link)->ready = true;
        kfi_list_push_back(&pool.ready, link);
        pool.ready_count++;
        lane->under_way++;
    }
}

/* A piece of work is no longer under way, so that another one may begin. */
static void lane_leave_locked(struct kfi_lane *lane)
{
    lane->under_way--;
    lane_serve_locked(lane);
}

/* ---- Workers ---- */

/* Waits for the threads of workers that have ended, which takes no time worth speaking of, and frees them. */
static void join_over(void)
{
    struct kfi_list over;
    kfi_list_init(&over);
    pool_lock();
    kfi_list_splice(&over, &pool.over);
    pool_unlock();
    for (struct kfi_link *link; (link = kfi_list_pop(&over)) != NULL;) {
        struct worker *worker = KFI_CONTAINER(link, struct worker, link);
        kfi_thread_join(&worker->thread);
        kfi_free(worker);
    }
}

/* A worker has ended and its thread is known, so that it can be joined. */
static void worker_over_locked(struct worker *worker)
{
    if (!worker->ended || !worker->known)
        return;
    pool.old -= worker->cleanups != pool.cleanups;
    kfi_list_push_back(&pool.over, &worker->link);
    kfi_condition_broadcast(&pool.ended);
}

void kfi_lane_end(struct kfi_lane *lane, bool may_wait)
{
    pool_lock();
    if (lane_is_known_locked(lane)) {
        pool.limit -= lane->limit;
        lane->known_in = 0;
        kfi_condition_broadcast(&pool.changed);
    }
    while (may_wait && !is_worker && pool.workers > pool.limit && pool.workers > pool.busy)
        kfi_condition_wait(&pool.ended, &pool.lock);
    pool_unlock();
    if (may_wait && !is_worker)
        join_over();
}

static struct kfi_work *ready_pop_locked(void)
{
    struct kfi_link *link = kfi_list_pop(&pool.ready);
    if (link == NULL)
        return NULL;
    pool.ready_count--;
    return KFI_CONTAINER(link, struct kfi_work, link);
}

/* The next work for a worker; NULL: it is to end. */
static struct kfi_work *worker_next_locked(const struct worker *worker)
{
    struct kfi_work *work;
    while ((work = ready_pop_locked()) == NULL) {
        if (worker->cleanups != pool.cleanups || pool.workers > pool.limit)
            return NULL;
        kfi_condition_wait(&pool.changed, &pool.lock);
    }
    return work;
}

/* Runs work, with the lock left. False if it has forked, and this is the child: no worker is there. */
static bool worker_run_locked(struct kfi_work *work)
{
    const unsigned generation = kfi_fork_generation();
    pool.busy++;
    kfi_condition_broadcast(&pool.ended); /* for whoever waits until none is idle */
    pool_unlock();
    work->run(work);
    if (generation != kfi_fork_generation())
        return false;
    pool_lock();
    lane_leave_locked(work->lane);
    pool_unlock();
    work->done(work, 0);
    pool_lock();
    pool.busy--;
    return true;
}

static void *worker_main(void *context)
{
    struct worker *worker = context;
    is_worker = true;
    pool_lock();
    for (struct kfi_work *work; (work = worker_next_locked(worker)) != NULL;) {
        if (!worker_run_locked(work))
            return NULL;
    }
    pool.workers--;
    worker->ended = true;
    worker_over_locked(worker);
    pool_unlock();
    return NULL;
}

/*
 * A worker that was counted could not be started. If there are others they will take what is ready; else all of that is
 * done with the failure.
 */
static void worker_failed(unsigned cleanups, int failure)
{
    pool_lock();
    pool.workers--;
    pool.old -= cleanups != pool.cleanups;
    kfi_condition_broadcast(&pool.ended);
    for (struct kfi_work *work; pool.workers == 0 && (work = ready_pop_locked()) != NULL;) {
        lane_leave_locked(work->lane);
        pool_unlock();
        work->done(work, failure);
        pool_lock();
    }
    kfi_condition_signal(&pool.changed);
    pool_unlock();
}

/* Starts a worker that was counted. */
static void worker_start(unsigned cleanups)
{
    join_over();
    struct worker *worker = kfi_alloc_zeroed(sizeof *worker);
    int failure = ENOMEM;
    if (worker != NULL) {
        worker->cleanups = cleanups;
        failure = kfi_thread_start(worker_main, worker, &worker->thread);
    }
    if (failure != 0) {
        kfi_free(worker);
        worker_failed(cleanups, failure);
        return;
    }
    pool_lock();
    worker->known = true;
    worker_over_locked(worker);
    pool_unlock();
}

enum kf_code kfi_pool_failure(int failure, struct kf_error *error)
{
    if (failure == ENOMEM)
        return kfi_no_memory(error);
    return kf_error_set(error, KF_E_SYSTEM, "No worker can be started for a keyring that may block: %s.",
                        strerror(failure));
}

/* ---- Work ---- */

void kfi_pool_submit(struct kfi_lane *lane, struct kfi_work *work)
{
    pool_lock();
    lane_know_locked(lane);
    work->lane = lane;
    work->ready = false;
    work->generation = kfi_fork_generation();
    kfi_list_push_back(&lane->line, &work->link);
    lane_serve_locked(lane);
    const bool start = pool.ready_count + pool.busy > pool.workers && pool.workers < pool.limit;
    const unsigned cleanups = pool.cleanups;
    if (start)
        pool.workers++;
    else
        kfi_condition_signal(&pool.changed);
    pool_unlock();
    if (start)
        worker_start(cleanups);
}

bool kfi_pool_withdraw(struct kfi_work *work)
{
    pool_lock();
    const bool withdrawn = work->generation == kfi_fork_generation() && kfi_linked(&work->link);
    if (withdrawn) {
        kfi_unlink(&work->link);
        if (work->ready) {
            pool.ready_count--;
            lane_leave_locked(work->lane);
        }
    }
    pool_unlock();
    return withdrawn;
}

void kfi_pool_cleanup(void)
{
    const uint64_t until = kfi_ms_after(kfi_now_ms(), CLEANUP_MS);
    pool_lock();
    pool.cleanups++;
    pool.old = pool.workers;
    kfi_condition_broadcast(&pool.changed);
    for (uint64_t now; pool.old > 0 && (now = kfi_now_ms()) < until;)
        kfi_condition_wait_for(&pool.ended, &pool.lock, until - now);
    pool_unlock();
    join_over();
}
