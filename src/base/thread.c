/*
 * The internal thread: see thread.h. Flights hand their fetches to it, and calls set its timers. It does not
 * start before somebody needs it, and nothing that it runs may block.
 */
#include "base/thread.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/pool.h"
#include "base/timers.h"

static struct {
    struct kfi_fork_guard guard;

    struct kfi_lock lock; /* guards what follows, and the state and links of tasks and timers; a leaf */
    struct kfi_condition changed; /* the thread waits for it while no sleeper is plugged in */
    struct kfi_condition ended;   /* a cleanup has ended */
    struct kfi_sleeper sleeper;   /* all zero: none is plugged in */
    bool asleep;                  /* it sleeps in the sleeper and was not interrupted yet */
    struct kfi_list queue;        /* tasks to run */
    struct kfi_list turn;         /* those of them that are to run in this round */
    struct kfi_list idle;         /* tasks that wait for a wake */
    struct kfi_timer *timers;
    bool stopping; /* kf_cleanup waits for the thread */
    struct kfi_thread thread;

    /* Also read without the lock: */
    atomic_uint cleanups;   /* how often kf_cleanup was called */
    atomic_uint running_in; /* 1 + the generation of the process in which the thread exists; 0: in none */
} internal = {
    .lock = KFI_LOCK_INIT,
    .queue = {{&internal.queue.ring, &internal.queue.ring}},
    .turn = {{&internal.turn.ring, &internal.turn.ring}},
    .idle = {{&internal.idle.ring, &internal.idle.ring}},
};

/* There is no static initialiser for conditions that wait by the monotonic clock. */
static struct kfi_once conditions_once = KFI_ONCE_INIT;
/* 1 + the generation of the process whose internal thread this is; 0: it is not one. */
static _Thread_local unsigned internal_of;

static void make_conditions(void)
{
    kfi_condition_init(&internal.ended);
    kfi_condition_init(&internal.changed);
}

/* In a forked child: no thread, no sleeper, no tasks, no timers. What was inherited is abandoned. */
static void thread_reset(void *unused)
{
    (void)unused;
    kfi_lock_init(&internal.lock);
    make_conditions();
    internal.sleeper = (struct kfi_sleeper){.sleep = NULL};
    internal.asleep = false;
    kfi_list_init(&internal.queue);
    kfi_list_init(&internal.turn);
    kfi_list_init(&internal.idle);
    internal.timers = NULL;
    internal.stopping = false;
}

static void thread_lock(void)
{
    kfi_once_run(&conditions_once, make_conditions);
    kfi_fork_guard_check(&internal.guard, thread_reset, NULL);
    kfi_lock_take(&internal.lock);
}

static void thread_unlock(void)
{
    kfi_lock_leave(&internal.lock);
}

bool kfi_thread_is_internal(void)
{
    return internal_of == kfi_fork_generation() + 1;
}

bool kfi_thread_runs(void)
{
    return atomic_load_explicit(&internal.running_in, memory_order_relaxed) == kfi_fork_generation() + 1;
}

static void running_set_locked(bool running)
{
    atomic_store_explicit(&internal.running_in, running ? kfi_fork_generation() + 1 : 0,
                          memory_order_relaxed);
}

/*
 * Makes the thread look at its queue and timers again. A thread that is awake does so anyway; so a burst of
 * wakes costs one interrupt.
 */
static void rouse_locked(void)
{
    if (internal.sleeper.sleep == NULL) {
        kfi_condition_signal(&internal.changed);
    } else if (internal.asleep) {
        internal.asleep = false;
        const int cancel = kfi_cancel_disable(); /* it may write, and the lock is held */
        internal.sleeper.interrupt(internal.sleeper.context);
        kfi_cancel_restore(cancel);
    }
}

void kfi_thread_poke(void)
{
    thread_lock();
    rouse_locked();
    thread_unlock();
}

static void task_wake_locked(struct kfi_task *task)
{
    if (task->state == KFI_TASK_IDLE) {
        task->state = KFI_TASK_QUEUED;
        kfi_unlink(&task->link);
        kfi_list_push_back(&internal.queue, &task->link);
        rouse_locked();
    } else if (task->state == KFI_TASK_RUNNING) {
        task->state = KFI_TASK_RUNNING_WOKEN;
    }
}

/* ---- Timers ---- */

static void timer_on_locked(struct kfi_timer *timer, uint64_t when)
{
    timer->when = when;
    timer->on = true;
    internal.timers = kfi_timers_insert(internal.timers, timer);
    if (internal.timers == timer)
        rouse_locked();
}

/* Turns a timer off. Its reference to whom it would have woken goes to the caller; NULL: it has none. */
static struct kf_call_waker *timer_off_locked(struct kfi_timer *timer)
{
    struct kf_call_waker *waker = timer->waker;
    if (!timer->on)
        return NULL;
    internal.timers = kfi_timers_remove(internal.timers, timer);
    timer->on = false;
    timer->waker = NULL;
    return waker;
}

/*
 * Fires the first timer if it is due by `now`. True if it was; the lock may have been released meanwhile.
 */
static bool fire_timer_locked(uint64_t now)
{
    struct kfi_timer *timer = internal.timers;
    if (timer == NULL || timer->when > now)
        return false;
    struct kf_call_waker *waker = timer_off_locked(timer);
    if (waker == NULL) {
        task_wake_locked(timer->task);
        return true;
    }
    thread_unlock();
    kf_call_waker_wake(waker);
    kf_call_waker_unref(waker);
    thread_lock();
    return true;
}

/* Fires the timers that are due now. */
static void fire_timers_locked(void)
{
    const uint64_t now = kfi_now_ms();
    while (!internal.stopping && fire_timer_locked(now)) {
    }
}

/* ---- Rounds ---- */

/* False also where a task has forked and returns in the child: this is no internal thread there. */
static bool goes_on_locked(void)
{
    return !internal.stopping && kfi_thread_is_internal();
}

static void run_task_locked(struct kfi_task *task)
{
    task->state = KFI_TASK_RUNNING;
    thread_unlock();
    bool finished = task->run(task, false);
    thread_lock();
    if (finished)
        return;
    bool again = task->state == KFI_TASK_RUNNING_WOKEN;
    task->state = again ? KFI_TASK_QUEUED : KFI_TASK_IDLE;
    kfi_list_push_back(again ? &internal.queue : &internal.idle, &task->link);
}

/* Runs the tasks that are in the queue now. What is woken meanwhile has its turn in the next round. */
static void run_tasks_locked(void)
{
    kfi_list_splice(&internal.turn, &internal.queue);
    for (struct kfi_link *link; goes_on_locked() && (link = kfi_list_pop(&internal.turn)) != NULL;)
        run_task_locked(KFI_CONTAINER(link, struct kfi_task, link));
}

/* For how long there is nothing to do, in milliseconds. */
static uint64_t idle_ms_locked(void)
{
    if (!kfi_list_empty(&internal.queue))
        return 0;
    const uint64_t when = internal.timers == NULL ? UINT64_MAX : internal.timers->when;
    if (when == UINT64_MAX)
        return UINT64_MAX;
    const uint64_t now = kfi_now_ms();
    return when > now ? when - now : 0;
}

/* The sleeper's turn, which it has in each round: it looks at what it watches, even if there is no time to sleep. */
static void sleep_locked(void)
{
    const uint64_t left = idle_ms_locked();
    if (internal.sleeper.sleep != NULL) {
        const struct kfi_sleeper sleeper = internal.sleeper;
        internal.asleep = left > 0; /* else it is back at once, and needs no interrupt */
        thread_unlock();
        sleeper.sleep(sleeper.context, left);
        thread_lock();
        internal.asleep = false;
    } else if (left == 0) {
        return;
    } else if (left == UINT64_MAX) {
        kfi_condition_wait(&internal.changed, &internal.lock);
    } else {
        kfi_condition_wait_for(&internal.changed, &internal.lock, left);
    }
}

/* Stops the sleeper. Nobody interrupts it any more. */
static void stop_sleeper_locked(void)
{
    const struct kfi_sleeper sleeper = internal.sleeper;
    internal.sleeper = (struct kfi_sleeper){.sleep = NULL};
    if (sleeper.sleep == NULL)
        return;
    thread_unlock();
    sleeper.stop(sleeper.context);
    thread_lock();
}

/* kf_cleanup: all tasks finish, all timers fire, and the sleeper stops. */
static void finish_locked(void)
{
    kfi_list_splice(&internal.queue, &internal.turn);
    kfi_list_splice(&internal.queue, &internal.idle);
    for (struct kfi_link *link; (link = kfi_list_pop(&internal.queue)) != NULL;) {
        struct kfi_task *task = KFI_CONTAINER(link, struct kfi_task, link);
        task->state = KFI_TASK_RUNNING;
        thread_unlock();
        (void)task->run(task, true);
        thread_lock();
    }
    /* Timers end here: wake everybody who waits for one. */
    while (fire_timer_locked(UINT64_MAX)) {
    }
    stop_sleeper_locked();
}

static void *internal_main(void *unused)
{
    internal_of = kfi_fork_generation() + 1;
    thread_lock();
    while (goes_on_locked()) {
        fire_timers_locked();
        run_tasks_locked();
        if (goes_on_locked())
            sleep_locked();
    }
    if (kfi_thread_is_internal())
        finish_locked();
    thread_unlock();
    return unused;
}

/* ---- Beginning and ending ---- */

static enum kf_code cleaned_up(struct kf_error *error)
{
    return kf_error_set(error, KF_E_CLEANED_UP, "The library is being cleaned up (kf_cleanup was called).");
}

static enum kf_code ensure_running_locked(struct kf_error *error)
{
    if (internal.stopping)
        return cleaned_up(error);
    if (kfi_thread_runs())
        return KF_OK;
    const int failure = kfi_thread_start(internal_main, NULL, &internal.thread);
    if (failure != 0)
        return kf_error_set(error, KF_E_SYSTEM, "The internal thread can't be started: %s.",
                            strerror(failure));
    running_set_locked(true);
    return KF_OK;
}

enum kf_code kfi_thread_plug(const struct kfi_sleeper *sleeper, struct kf_error *error)
{
    thread_lock();
    enum kf_code code = ensure_running_locked(error);
    if (code == KF_OK) {
        /* If it sleeps by the condition now, it will find the sleeper afterwards. */
        rouse_locked();
        internal.sleeper = *sleeper;
    }
    thread_unlock();
    return code;
}

void kf_cleanup(void)
{
    if (kfi_thread_is_internal() || kfi_pool_is_worker())
        return;
    thread_lock();
    atomic_fetch_add_explicit(&internal.cleanups, 1, memory_order_relaxed);
    if (internal.stopping) { /* another caller is at it: wait until it is done */
        while (internal.stopping)
            kfi_condition_wait(&internal.ended, &internal.lock);
    } else if (kfi_thread_runs()) {
        internal.stopping = true;
        rouse_locked();
        thread_unlock();
        kfi_thread_join(&internal.thread);
        thread_lock();
        running_set_locked(false);
        internal.stopping = false;
        kfi_condition_broadcast(&internal.ended);
    }
    thread_unlock();
    kfi_pool_cleanup();
}

/* ---- What others may do with tasks and timers ---- */

void kfi_task_init(struct kfi_task *task, bool (*run)(struct kfi_task *task, bool stop))
{
    *task = (struct kfi_task){
        .state = KFI_TASK_RUNNING,
        .generation = kfi_fork_generation(),
        .cleanups = atomic_load_explicit(&internal.cleanups, memory_order_relaxed),
        .limit_ms = UINT64_MAX,
        .run = run,
    };
}

enum kf_code kfi_task_hand_over(struct kfi_task *task, struct kf_error *error)
{
    thread_lock();
    /* A task that began before a cleanup is pending at that cleanup, even if it is handed over later. */
    enum kf_code code =
        task->cleanups == internal.cleanups ? ensure_running_locked(error) : cleaned_up(error);
    if (code == KF_OK) {
        const bool woken = task->state == KFI_TASK_RUNNING_WOKEN;
        task->state = KFI_TASK_IDLE;
        kfi_list_push_back(&internal.idle, &task->link);
        if (woken)
            task_wake_locked(task);
        task->limit.task = task;
        if (task->limit_ms != UINT64_MAX)
            timer_on_locked(&task->limit, task->limit_ms);
    }
    thread_unlock();
    return code;
}

void kfi_task_wake(void *context)
{
    thread_lock();
    task_wake_locked(context);
    thread_unlock();
}

bool kfi_task_withdraw(struct kfi_task *task)
{
    if (task->generation != kfi_fork_generation())
        return false; /* the lists that it was in are abandoned */
    thread_lock();
    (void)timer_off_locked(&task->limit);
    const bool withdrawn = kfi_linked(&task->link);
    if (withdrawn)
        kfi_unlink(&task->link);
    else
        task->state = KFI_TASK_RUNNING_WOKEN;
    thread_unlock();
    return withdrawn;
}

static void timer_start_locked(struct kfi_timer *timer, uint64_t when, struct kf_call_waker *waker)
{
    timer->waker = kf_call_waker_ref(waker);
    timer->generation = kfi_fork_generation();
    timer->set = true;
    timer_on_locked(timer, when);
}

enum kf_code kfi_timer_set(struct kfi_timer *timer, uint64_t when, struct kf_call_waker *waker,
                           struct kf_error *error)
{
    kfi_timer_cancel(timer);
    thread_lock();
    enum kf_code code = ensure_running_locked(error);
    if (code == KF_OK)
        timer_start_locked(timer, when, waker);
    thread_unlock();
    return code;
}

bool kfi_timer_set_if_runs(struct kfi_timer *timer, uint64_t when, struct kf_call_waker *waker)
{
    kfi_timer_cancel(timer);
    thread_lock();
    const bool runs = kfi_thread_runs() && !internal.stopping;
    if (runs)
        timer_start_locked(timer, when, waker);
    thread_unlock();
    return runs;
}

void kfi_timer_cancel(struct kfi_timer *timer)
{
    if (!timer->set)
        return;
    timer->set = false;
    if (timer->generation != kfi_fork_generation())
        return; /* it was set before a fork: its heap is abandoned */
    thread_lock();
    struct kf_call_waker *waker = timer_off_locked(timer);
    thread_unlock();
    kf_call_waker_unref(waker);
}
