/*
 * Jobs: many encryptions and decryptions under one waker and one deadline, for event loops.
 *
 * Each job is an encryptor or a decryptor whose waker puts it into the list of those that are ready. A run
 * takes that list over and polls what is in it, so it costs what is ready, not what waits. It never calls a
 * user back from another thread than that of kf_jobs_run, never calls the user's waker inside a poll or a run of its
 * own, never polls a job that was not woken or due, and allocates nothing for a job but when it begins and when its
 * output is made.
 */
#include <keyflight/jobs.h>

#include <stdatomic.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/operation.h"
#include "base/sized.h"
#include "base/timers.h"
#include "base/wait.h"
#include "base/waker.h"
#include "decrypt.h"
#include "encrypt.h"

struct kf_jobs {
    unsigned generation; /* of the process that made it */
    bool blocks;         /* the user gave no waker */
    uint64_t max_run_ms;
    struct kf_call_waker *post; /* the user's waker, or, while a run blocks, that of the sleeper */

    /* Used by the user's thread alone. */
    atomic_bool changing;     /* `all` is being changed */
    struct kfi_list all;      /* every job but one whose `done` is running */
    struct kfi_timer *timers; /* of those that wait under a deadline */
    size_t waiting;           /* how many jobs a run may still have something to do for */
    struct kfi_timer soon;    /* calls the user's waker for what a run or poll leaves behind */
    bool untold;              /* which could not be set: the deadline is now */
    bool running;             /* in kf_jobs_run */
    bool freed;               /* by a callback: no job is left, and the run frees the memory at its end */

    struct kfi_lock ready_lock; /* guards what follows, and `link` of each job; a leaf */
    struct kfi_list ready;
    struct kfi_list turn; /* those that the run has taken over and not come to yet */
    bool posted;          /* the waker was called since the last run began */
};

struct kf_job {
    struct kf_jobs *jobs;
    struct kf_encryptor *encryptor;                                  /* or NULL */
    struct kf_decryptor *decryptor;                                  /* or NULL */
    struct kf_view input;                                            /* of one message, the user's */
    void (*done)(void *context, const struct kf_job_result *result); /* of one message, else NULL */
    void (*ready)(void *context);                                    /* of a stream, else NULL */
    void *context;

    struct kfi_link place;  /* in jobs->all */
    struct kfi_timer timer; /* in jobs->timers, if it is timed */
    bool timed;
    bool waiting;

    struct kfi_link link; /* in jobs->ready or jobs->turn */
};

/* A child inherits lists that may be half changed, and a lock that may be held. */
static bool inherited(const struct kf_jobs *jobs)
{
    return jobs->generation != kfi_fork_generation();
}

/*
 * Around each change of jobs->all, which needs no lock, since only the user's thread makes it. If another thread
 * forks meanwhile, the child sees that.
 */
static void all_change(struct kf_jobs *jobs)
{
    (void)atomic_exchange(&jobs->changing, true); /* an exchange: nothing of the change comes before it */
}

static void all_changed(struct kf_jobs *jobs)
{
    atomic_store_explicit(&jobs->changing, false, memory_order_release);
}

/* Whether jobs->all was half changed at the fork. Then it is never looked at. */
static bool all_is_torn(const struct kf_jobs *jobs)
{
    return inherited(jobs) && atomic_load_explicit(&jobs->changing, memory_order_acquire);
}

static enum kf_code forked(struct kf_error *error)
{
    return kf_error_set(error, KF_E_FORKED,
                        "These jobs began before a fork and can't go on in the child. Begin new ones.");
}

/* ---- The jobs that are ready ---- */

/* The waker of each job. From any thread. Inside a run or a poll of these jobs it leaves the user to jobs_tell. */
static void job_wake(void *context)
{
    struct kf_job *job = context;
    struct kf_jobs *jobs = job->jobs;
    const bool inside = kfi_waker_is_hushed(jobs->post);
    bool post = false;
    kfi_lock_take(&jobs->ready_lock);
    if (!kfi_linked(&job->link)) {
        kfi_list_push_back(&jobs->ready, &job->link);
        post = !jobs->posted && !inside;
        jobs->posted |= post;
    }
    kfi_lock_leave(&jobs->ready_lock);
    if (post)
        kf_call_waker_wake(jobs->post);
}

/*
 * Behind a run or a poll: has the user's waker called if jobs are ready of which nobody has told him. The internal
 * thread does it, since the user may hold a lock here. If that can't be started the deadline tells him.
 */
static void jobs_tell(struct kf_jobs *jobs)
{
    kfi_lock_take(&jobs->ready_lock);
    const bool post = !kfi_list_empty(&jobs->ready) && !jobs->posted;
    jobs->posted |= post;
    kfi_lock_leave(&jobs->ready_lock);
    if (!post)
        return;
    if (jobs->blocks) {
        kf_call_waker_wake(jobs->post); /* of the sleeper, which is ours */
    } else if (kfi_timer_set(&jobs->soon, kfi_now_ms(), jobs->post, NULL) != KF_OK) {
        jobs->untold = true;
        kfi_lock_take(&jobs->ready_lock);
        jobs->posted = false;
        kfi_lock_leave(&jobs->ready_lock);
    }
}

/* Takes a job out of the list of those that are ready, if it is there. */
static void job_unready(struct kf_job *job)
{
    kfi_lock_take(&job->jobs->ready_lock);
    if (kfi_linked(&job->link))
        kfi_unlink(&job->link);
    kfi_lock_leave(&job->jobs->ready_lock);
}

/* A run that has begun has to come to this job. */
static void job_due(struct kf_job *job)
{
    kfi_lock_take(&job->jobs->ready_lock);
    if (!kfi_linked(&job->link))
        kfi_list_push_back(&job->jobs->turn, &job->link);
    kfi_lock_leave(&job->jobs->ready_lock);
}

/* ---- Deadlines ---- */

static void job_timer_start(struct kf_job *job)
{
    const uint64_t ms = job->encryptor != NULL ? kf_encryptor_deadline(job->encryptor)
                                               : kf_decryptor_deadline(job->decryptor);
    if (job->timed || ms == KF_NO_DEADLINE)
        return;
    job->timer.when = kfi_ms_after(kfi_now_ms(), ms);
    job->jobs->timers = kfi_timers_insert(job->jobs->timers, &job->timer);
    job->timed = true;
}

static void job_timer_stop(struct kf_job *job)
{
    if (job->timed)
        job->jobs->timers = kfi_timers_remove(job->jobs->timers, &job->timer);
    job->timed = false;
}

uint64_t kf_jobs_deadline(const struct kf_jobs *jobs)
{
    if (inherited(jobs))
        return KF_NO_DEADLINE;
    if (jobs->untold)
        return 0;
    if (jobs->timers == NULL)
        return KF_NO_DEADLINE;
    const uint64_t now = kfi_now_ms(), when = jobs->timers->when;
    return when > now ? when - now : 0;
}

/* ---- Life of a job ---- */

static void job_waiting_set(struct kf_job *job, bool waiting)
{
    if (waiting && !job->waiting)
        job->jobs->waiting++;
    else if (!waiting && job->waiting)
        job->jobs->waiting--;
    job->waiting = waiting;
}

/* Whether a job can begin; `complete`: what it needs was given. */
static enum kf_code check(const struct kf_jobs *jobs, bool complete, struct kf_error *error)
{
    if (jobs == NULL || !complete)
        return kf_error_set(
            error, KF_E_USAGE,
            "A job needs a struct kf_jobs to belong to, a callback and, if it is a stream, an "
            "encryptor or decryptor.");
    return inherited(jobs) ? forked(error) : KF_OK;
}

/* A job of these parts, which stay the caller's on an error. */
static enum kf_code job_new(struct kf_jobs *jobs, const struct kf_job *parts, struct kf_error *error,
                            struct kf_job **out)
{
    *out = NULL;
    struct kf_job *job = kfi_alloc(sizeof *job);
    if (job == NULL)
        return kfi_no_memory(error);
    *job = *parts;
    job->jobs = jobs;
    all_change(jobs);
    kfi_list_push_back(&jobs->all, &job->place);
    all_changed(jobs);
    *out = job;
    return KF_OK;
}

/* Ends what the job does, so that nobody wakes it any more, and the job. */
static void job_end(struct kf_job *job)
{
    kf_encryptor_free(job->encryptor);
    kf_decryptor_free(job->decryptor);
    if (!inherited(job->jobs))
        job_unready(job);
    kfi_free(job);
}

/* Nothing of `jobs` but the list of the ready leads to the job any more. */
static void job_leave(struct kf_job *job)
{
    struct kf_jobs *jobs = job->jobs;
    if (all_is_torn(jobs))
        return;
    all_change(jobs);
    kfi_unlink(&job->place);
    all_changed(jobs);
    if (inherited(jobs))
        return;
    job_timer_stop(job);
    job_waiting_set(job, false);
}

void kf_job_free(struct kf_job *job)
{
    if (job == NULL || !kfi_linked(&job->place))
        return; /* its `done` is running, behind which the run ends it */
    struct kf_jobs *jobs = job->jobs;
    struct kfi_hush hush;
    kfi_waker_hush(&hush, &jobs->post);
    job_leave(job);
    job_end(job);
    (void)kfi_waker_unhush(&hush);
    if (!jobs->running && !inherited(jobs))
        jobs_tell(jobs);
}

/* ---- One message ---- */

static enum kf_code message_begin(struct kf_jobs *jobs, const struct kf_job *parts, struct kf_error *error,
                                  struct kf_job **out)
{
    struct kf_job *job;
    const enum kf_code code = job_new(jobs, parts, error, &job);
    if (code != KF_OK)
        return code;
    job_waiting_set(job, true);
    job_wake(job);
    if (out != NULL)
        *out = job;
    return KF_OK;
}

enum kf_code kf_jobs_encrypt(struct kf_jobs *jobs, struct kf_cmm *cmm,
                             const struct kf_encrypt_options *options, struct kf_view plaintext,
                             void (*done)(void *context, const struct kf_job_result *result), void *context,
                             struct kf_error *error, struct kf_job **out)
{
    struct kf_job parts = {.input = plaintext, .done = done, .context = context};
    if (out != NULL)
        *out = NULL;
    enum kf_code code = check(jobs, done != NULL, error);
    if (code == KF_OK)
        code = kfi_encrypt_begin(cmm, options, plaintext, error, &parts.encryptor);
    if (code == KF_OK)
        code = message_begin(jobs, &parts, error, out);
    if (code != KF_OK)
        kf_encryptor_free(parts.encryptor);
    return code;
}

enum kf_code kf_jobs_decrypt(struct kf_jobs *jobs, struct kf_cmm *cmm,
                             const struct kf_decrypt_options *options, struct kf_view message,
                             void (*done)(void *context, const struct kf_job_result *result), void *context,
                             struct kf_error *error, struct kf_job **out)
{
    struct kf_job parts = {.input = message, .done = done, .context = context};
    if (out != NULL)
        *out = NULL;
    enum kf_code code = check(jobs, done != NULL, error);
    if (code == KF_OK)
        code = kfi_decrypt_begin(cmm, options, message, error, &parts.decryptor);
    if (code == KF_OK)
        code = message_begin(jobs, &parts, error, out);
    if (code != KF_OK)
        kf_decryptor_free(parts.decryptor);
    return code;
}

/* Polls once, and ends the job if that was all. */
static void message_run(struct kf_job *job)
{
    const struct kf_waker waker = {job_wake, job};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf out = KF_BUF_INIT;
    const enum kf_code code = job->encryptor != NULL
                                  ? kfi_encrypt_poll(job->encryptor, job->input, &waker, &error, &out)
                                  : kfi_decrypt_poll(job->decryptor, job->input, &waker, &error, &out);
    if (inherited(job->jobs)) { /* it forked inside */
        kf_buf_free(&out);
        return;
    }
    if (code == KF_PENDING) {
        job_timer_start(job);
        return;
    }
    const struct kf_job_result result = {
        .code = code,
        .error = &error,
        .out = &out,
        .header = job->decryptor != NULL && code == KF_OK ? kf_decryptor_header(job->decryptor) : NULL,
    };
    job_leave(job);
    job->done(job->context, &result);
    kf_buf_free(&out);
    job_end(job);
}

/* ---- Streams ---- */

enum kf_code kf_jobs_encryptor_take(struct kf_jobs *jobs, struct kf_encryptor *encryptor,
                                    void (*ready)(void *context), void *context, struct kf_error *error,
                                    struct kf_job **out)
{
    const struct kf_job parts = {.encryptor = encryptor, .ready = ready, .context = context};
    *out = NULL;
    const enum kf_code code = check(jobs, encryptor != NULL && ready != NULL, error);
    return code == KF_OK ? job_new(jobs, &parts, error, out) : code;
}

enum kf_code kf_jobs_decryptor_take(struct kf_jobs *jobs, struct kf_decryptor *decryptor,
                                    void (*ready)(void *context), void *context, struct kf_error *error,
                                    struct kf_job **out)
{
    const struct kf_job parts = {.decryptor = decryptor, .ready = ready, .context = context};
    *out = NULL;
    const enum kf_code code = check(jobs, decryptor != NULL && ready != NULL, error);
    return code == KF_OK ? job_new(jobs, &parts, error, out) : code;
}

static enum kf_code stream_poll(struct kf_job *job, struct kf_io *io)
{
    const struct kf_waker waker = {job_wake, job};
    return job->encryptor != NULL ? kf_encryptor_poll(job->encryptor, io, &waker)
                                  : kf_decryptor_poll(job->decryptor, io, &waker);
}

enum kf_code kf_job_poll(struct kf_job *job, struct kf_io *io)
{
    if (job->ready == NULL) {
        io->in_used = io->out_used = 0;
        return KF_E_USAGE;
    }
    if (inherited(job->jobs) || kfi_io_check(io, NULL) != KF_OK)
        return stream_poll(job, io); /* which refuses, and changes nothing */
    struct kf_jobs *jobs = job->jobs;
    struct kfi_hush hush;
    job_unready(job); /* before the poll, so that a wake during it counts */
    kfi_waker_hush(&hush, &jobs->post);
    const enum kf_code code = stream_poll(job, io);
    (void)kfi_waker_unhush(&hush);
    if (inherited(jobs)) /* it forked inside */
        return code;
    job_waiting_set(job, code == KF_PENDING);
    if (code == KF_PENDING) {
        job_timer_start(job);
    } else {
        job_timer_stop(job);
        job_unready(job);
    }
    if (!jobs->running)
        jobs_tell(jobs);
    return code;
}

/* ---- Runs ---- */

/* Takes over the jobs that are ready, and those whose deadline has come. */
static void turn_begin(struct kf_jobs *jobs, uint64_t now)
{
    kfi_timer_cancel(&jobs->soon);
    jobs->untold = false;
    kfi_lock_take(&jobs->ready_lock);
    kfi_list_splice(&jobs->turn, &jobs->ready);
    jobs->posted = false;
    kfi_lock_leave(&jobs->ready_lock);
    while (jobs->timers != NULL && jobs->timers->when <= now) {
        struct kf_job *job = KFI_CONTAINER(jobs->timers, struct kf_job, timer);
        job_timer_stop(job);
        job_due(job);
    }
}

static struct kf_job *turn_next(struct kf_jobs *jobs)
{
    kfi_lock_take(&jobs->ready_lock);
    struct kfi_link *link = kfi_list_pop(&jobs->turn);
    kfi_lock_leave(&jobs->ready_lock);
    return link != NULL ? KFI_CONTAINER(link, struct kf_job, link) : NULL;
}

/* Whoever had no turn comes first in the next run. */
static void turn_end(struct kf_jobs *jobs)
{
    kfi_lock_take(&jobs->ready_lock);
    kfi_list_splice(&jobs->turn, &jobs->ready);
    kfi_list_splice(&jobs->ready, &jobs->turn);
    kfi_lock_leave(&jobs->ready_lock);
}

static enum kf_code run_turn(struct kf_jobs *jobs)
{
    const uint64_t now = kfi_now_ms(), end = kfi_ms_after(now, jobs->max_run_ms);
    turn_begin(jobs, now);
    for (struct kf_job *job; (job = turn_next(jobs)) != NULL;) {
        if (job->done != NULL)
            message_run(job);
        else
            job->ready(job->context);
        if (inherited(jobs))
            return KF_E_FORKED;
        if (kfi_now_ms() >= end)
            break;
    }
    turn_end(jobs);
    return jobs->waiting > 0 ? KF_PENDING : KF_OK;
}

static enum kf_code run(struct kf_jobs *jobs)
{
    struct kfi_hush hush;
    kfi_waker_hush(&hush, &jobs->post);
    const enum kf_code code = run_turn(jobs);
    (void)kfi_waker_unhush(&hush);
    if (code != KF_E_FORKED)
        jobs_tell(jobs);
    return code;
}

static enum kf_code blocking_poll(void *context, const struct kf_waker *waker)
{
    struct kf_jobs *jobs = context;
    kfi_waker_set(jobs->post, waker);
    return run(jobs);
}

static uint64_t blocking_deadline(const void *context)
{
    return kf_jobs_deadline(context);
}

static enum kf_code run_blocking(struct kf_jobs *jobs, struct kf_error *error)
{
    static const struct kfi_pollable pollable = {blocking_poll, blocking_deadline};
    const enum kf_code code = kfi_wait(&pollable, jobs, error);
    kfi_waker_set(jobs->post, NULL);
    return code;
}

/* ---- Beginning and end ---- */

enum kf_code kf_jobs_new(const struct kf_jobs_options *given, struct kf_error *error, struct kf_jobs **out)
{
    struct kf_jobs_options options = KF_JOBS_OPTIONS_INIT;
    *out = NULL;
    enum kf_code code = kfi_fork_ready(error);
    if (code == KF_OK && given != NULL)
        code = kfi_sized_read(&options, sizeof options, given, "The options of jobs", error);
    if (code != KF_OK)
        return code;
    struct kf_jobs *jobs = kfi_alloc_zeroed(sizeof *jobs);
    struct kf_call_waker *post = kfi_waker_new();
    if (jobs == NULL || post == NULL) {
        kfi_free(jobs);
        kf_call_waker_unref(post);
        return kfi_no_memory(error);
    }
    jobs->generation = kfi_fork_generation();
    jobs->blocks = options.waker.wake == NULL;
    jobs->max_run_ms = options.max_run_ms;
    jobs->post = post;
    kfi_waker_set(post, &options.waker);
    kfi_list_init(&jobs->all);
    kfi_lock_init(&jobs->ready_lock);
    kfi_list_init(&jobs->ready);
    kfi_list_init(&jobs->turn);
    *out = jobs;
    return KF_OK;
}

static void release(struct kf_jobs *jobs)
{
    kf_call_waker_unref(jobs->post);
    if (!inherited(jobs))
        kfi_lock_end(&jobs->ready_lock);
    kfi_free(jobs);
}

void kf_jobs_free(struct kf_jobs *jobs)
{
    if (jobs == NULL)
        return;
    kfi_timer_cancel(&jobs->soon);
    kfi_waker_set(jobs->post, NULL);
    for (struct kfi_link *link; !all_is_torn(jobs) && (link = kfi_list_first(&jobs->all)) != NULL;) {
        struct kf_job *job = KFI_CONTAINER(link, struct kf_job, place);
        job_leave(job);
        job_end(job);
    }
    jobs->freed = true;
    if (!jobs->running)
        release(jobs);
}

enum kf_code kf_jobs_run(struct kf_jobs *jobs, struct kf_error *error)
{
    if (inherited(jobs))
        return forked(error);
    if (jobs->running)
        return kf_error_set(error, KF_E_USAGE,
                            "kf_jobs_run was called from a callback of the same jobs: it goes on behind it.");
    jobs->running = true;
    const int cancel = kfi_cancel_disable();
    enum kf_code code = jobs->blocks ? run_blocking(jobs, error) : run(jobs);
    kfi_cancel_restore(cancel);
    jobs->running = false;
    if (jobs->freed)
        release(jobs);
    return code == KF_E_FORKED ? forked(error) : code;
}
