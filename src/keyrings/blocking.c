/*
 * The blocking keyring: runs a keyring that has to block on worker threads. Called through the keyring
 * interface only.
 *
 * Each call becomes a job. A cancelled call leaves before its work ends, so the job has references and copies
 * of all that the work needs. Two hold a job: the call, as its state, and the line or the worker. Nobody ever
 * waits for work. So jobs can be given up, and the keyring destroyed, on any thread. The keyring and its
 * workers share a pool; the last of them frees it.
 */
#include <keyflight/keyring.h>

#include "base/call.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/sized.h"
#include "base/thread.h"
#include "base/wait.h"
#include "materials/materials.h"
#include "suite/random.h"

#define WORKERS_MAX 1000

struct pool {
    struct kf_keyring *keyring; /* the one that blocks */
    size_t max_workers;
    struct kfi_fork_guard guard;
    struct kfi_lock lock; /* guards what follows, and the links and `done` of jobs; a leaf */
    struct kfi_condition changed;
    struct kfi_list line; /* jobs that no worker has taken yet */
    size_t waiting;       /* their number */
    size_t workers;
    size_t busy;    /* workers that have a job */
    bool closing;   /* the keyring was destroyed: the workers end */
    bool abandoned; /* and some were still busy: the last of them frees the pool */
};

struct job {
    struct kfi_refs refs;
    struct kfi_link link; /* in the line */
    struct pool *pool;
    bool done; /* under the lock; from then on the results belong to the call */
    atomic_bool cancelled;
    struct kf_call_waker *waker; /* wakes the caller */
    struct kf_call_waker *stop;  /* wakes the worker while the wrapped keyring is pending */
    struct kf_call call;         /* the root of the work */
    struct kfi_request_id request_id;

    /* What is asked: one of the two. The EDKs are for decryption. */
    const struct kf_encryption_materials *encryption;
    const struct kf_decryption_materials *decryption;
    struct kfi_edk_list edks;

    /* What came out. */
    enum kf_code code;
    struct kf_error error;
    struct kf_wrapped wrapped;
    struct kf_data_key data_key;
};

/* ---- Jobs ---- */

static void blocking_job_unref(struct job *job)
{
    if (!kfi_refs_drop(&job->refs))
        return;
    kfi_call_end(&job->call);
    kf_call_waker_unref(job->stop);
    kf_call_waker_unref(job->waker);
    kf_encryption_materials_unref(job->encryption);
    kf_decryption_materials_unref(job->decryption);
    kfi_edk_list_free(&job->edks);
    kfi_wrapped_free(&job->wrapped);
    kfi_free_secret(job, sizeof *job);
}

/* A job for `call` that asks nothing yet. The call's reference is returned; NULL: no memory. */
static struct job *blocking_job_new(struct pool *pool, struct kf_call *call)
{
    struct job *job = kfi_alloc_zeroed(sizeof *job);
    if (job == NULL)
        return NULL;
    kfi_refs_init(&job->refs);
    job->pool = pool;
    kfi_call_init(&job->call, NULL);
    job->call.request_id = &job->request_id;
    job->waker = kf_call_waker_of(call);
    job->stop = kf_call_waker_of(&job->call);
    if (job->waker != NULL && job->stop != NULL)
        return job;
    blocking_job_unref(job);
    return NULL;
}

static enum kf_code blocking_job_ask(struct job *job)
{
    struct kf_keyring *keyring = job->pool->keyring;
    if (atomic_load_explicit(&job->cancelled, memory_order_relaxed))
        return kf_error_set(&job->error, KF_E_TIMEOUT, "Nobody waits for this work any more.");
    if (job->encryption != NULL)
        return kf_keyring_on_encrypt(keyring, &job->call, job->encryption, &job->error, &job->wrapped);
    return kf_keyring_on_decrypt(keyring, &job->call, job->decryption, job->edks.items, job->edks.count,
                                 &job->error, &job->data_key);
}

/* One poll of the wrapped keyring. It may answer at once, block, or be an asynchronous one. */
static enum kf_code blocking_job_poll(void *context, const struct kf_waker *waker)
{
    struct job *job = context;
    kfi_call_drive(&job->call, waker);
    enum kf_code code = blocking_job_ask(job);
    if (code != KF_PENDING)
        kfi_call_end(&job->call); /* the waker is on the stack of the caller who sleeps */
    return code;
}

static uint64_t blocking_job_deadline(const void *context)
{
    (void)context;
    return UINT64_MAX; /* the caller has a deadline, and cancels */
}

static void blocking_job_run(struct job *job)
{
    static const struct kfi_pollable work = {blocking_job_poll, blocking_job_deadline};
    job->code = kfi_wait(&work, job, &job->error);
}

/* ---- Workers ---- */

/* In a forked child: no workers and no jobs. What was inherited is abandoned. */
static void pool_reset(void *context)
{
    struct pool *pool = context;
    kfi_lock_init(&pool->lock);
    kfi_condition_init(&pool->changed);
    kfi_list_init(&pool->line);
    pool->waiting = 0;
    pool->workers = 0;
    pool->busy = 0;
    pool->closing = false;
    pool->abandoned = false;
}

static void pool_lock(struct pool *pool)
{
    kfi_fork_guard_check(&pool->guard, pool_reset, pool);
    kfi_lock_take(&pool->lock);
}

static void pool_unlock(struct pool *pool)
{
    kfi_lock_leave(&pool->lock);
}

static void pool_free(struct pool *pool)
{
    kf_keyring_unref(pool->keyring);
    kfi_condition_end(&pool->changed);
    kfi_lock_end(&pool->lock);
    kfi_free(pool);
}

static struct job *pool_take_locked(struct pool *pool)
{
    struct kfi_link *link = kfi_list_pop(&pool->line);
    if (link == NULL)
        return NULL;
    pool->waiting--;
    return KFI_CONTAINER(link, struct job, link);
}

/* Hands a finished job to its call, if there still is one. The lock is released meanwhile. */
static void blocking_job_finish_locked(struct pool *pool, struct job *job)
{
    job->done = true;
    pool_unlock(pool);
    kf_call_waker_wake(job->waker);
    blocking_job_unref(job);
    pool_lock(pool);
}

static void *worker_main(void *context)
{
    struct pool *pool = context;
    pool_lock(pool);
    for (;;) {
        struct job *job = pool_take_locked(pool);
        if (job == NULL && pool->closing)
            break;
        if (job == NULL) {
            kfi_condition_wait(&pool->changed, &pool->lock);
            continue;
        }
        pool->busy++;
        pool_unlock(pool);
        blocking_job_run(job);
        if (kfi_call_is_inherited(&job->call))
            return NULL; /* the keyring forked, and this is the child, which has no workers */
        pool_lock(pool);
        pool->busy--;
        blocking_job_finish_locked(pool, job);
    }
    pool_unlock(pool);
    kfi_random_thread_end();
    pool_lock(pool);
    const bool last = --pool->workers == 0 && pool->abandoned;
    kfi_condition_broadcast(&pool->changed);
    pool_unlock(pool);
    if (last)
        pool_free(pool);
    return NULL;
}

/* Removes a job from the line, if it is still there. Its reference goes to the caller. */
static bool blocking_job_withdraw_locked(struct job *job)
{
    if (!kfi_linked(&job->link))
        return false;
    kfi_unlink(&job->link);
    job->pool->waiting--;
    return true;
}

/*
 * A worker could not be started, though it was counted. If others exist, or are being started, they will take
 * what is in the line. Otherwise every job in it ends with an error.
 */
static void pool_worker_failed(struct pool *pool, int failure)
{
    pool_lock(pool);
    pool->workers--;
    for (struct job *job; pool->workers == 0 && (job = pool_take_locked(pool)) != NULL;) {
        job->code = kf_error_set(&job->error, KF_E_SYSTEM,
                                 "No worker of a blocking keyring can be started: %s.", strerror(failure));
        blocking_job_finish_locked(pool, job);
    }
    kfi_condition_signal(&pool->changed);
    pool_unlock(pool);
}

/* Puts a job into the line, and starts or wakes a worker for it. */
static void blocking_job_submit(struct job *job)
{
    struct pool *pool = job->pool;
    pool_lock(pool);
    kfi_refs_add(&job->refs, 1);
    kfi_list_push_back(&pool->line, &job->link);
    pool->waiting++;
    const bool start = pool->waiting > pool->workers - pool->busy && pool->workers < pool->max_workers;
    if (start)
        pool->workers++;
    else
        kfi_condition_signal(&pool->changed);
    pool_unlock(pool);

    const int failure = start ? kfi_thread_start(worker_main, pool, NULL) : 0;
    if (failure != 0)
        pool_worker_failed(pool, failure);
}

/* The drop of the state of a call: gives the job up, or releases what is left of it. */
static void blocking_job_drop(void *state)
{
    struct job *job = state;
    pool_lock(job->pool);
    const bool withdrawn = blocking_job_withdraw_locked(job), abandoned = !withdrawn && !job->done;
    pool_unlock(job->pool);
    if (withdrawn)
        blocking_job_unref(job);
    if (abandoned) {
        atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
        kf_call_waker_wake(job->stop);
    }
    blocking_job_unref(job);
}

/* ---- The keyring ---- */

/* Submits a new job. Its reference becomes the state of the call. */
static void blocking_job_begin(struct kf_call *call, struct job *job)
{
    blocking_job_submit(job);
    kf_call_state_set(call, job, blocking_job_drop);
}

/* The result of a job; KF_PENDING until it is done. */
static enum kf_code blocking_job_outcome(struct kf_call *call, struct job *job, struct kf_error *error)
{
    pool_lock(job->pool);
    const bool done = job->done;
    pool_unlock(job->pool);
    if (!done)
        return KF_PENDING;
    const struct kf_view request_id = kfi_request_id_of(&job->request_id, job->code);
    if (request_id.length > 0) /* otherwise what another keyring set stays */
        kf_call_request_id_set(call, request_id);
    if (job->code < KF_OK)
        return kf_error_set(error, job->code, "%s", job->error.text);
    return job->code;
}

static enum kf_code blocking_on_encrypt(void *self, struct kf_call *call,
                                        const struct kf_encryption_materials *materials,
                                        struct kf_error *error, struct kf_wrapped *out)
{
    struct job *job = kf_call_state(call);
    if (job == NULL) {
        job = blocking_job_new(self, call);
        if (job == NULL)
            return kfi_no_memory(error);
        job->encryption = kf_encryption_materials_ref(materials);
        kfi_wrapped_init(&job->wrapped, materials);
        blocking_job_begin(call, job);
    }
    enum kf_code code = blocking_job_outcome(call, job, error);
    const struct kf_data_key *made = &job->wrapped.data_key;
    if (code == KF_OK && made->length > 0)
        code = kf_wrapped_data_key_set(out, kf_view_of(made->bytes, made->length), error);
    if (code == KF_OK)
        code = kfi_edk_list_move(&out->edks, &job->wrapped.edks, error);
    return code;
}

static enum kf_code blocking_on_decrypt(void *self, struct kf_call *call,
                                        const struct kf_decryption_materials *materials,
                                        const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                                        struct kf_data_key *out)
{
    struct job *job = kf_call_state(call);
    if (job == NULL) {
        job = blocking_job_new(self, call);
        if (job == NULL)
            return kfi_no_memory(error);
        job->decryption = kf_decryption_materials_ref(materials);
        enum kf_code code = KF_OK;
        for (size_t i = 0; i < edk_count && code == KF_OK; i++)
            code = kfi_edk_list_add(&job->edks, &edks[i], error);
        if (code != KF_OK) {
            blocking_job_unref(job);
            return code;
        }
        blocking_job_begin(call, job);
    }
    enum kf_code code = blocking_job_outcome(call, job, error);
    if (code == KF_OK)
        *out = job->data_key;
    return code;
}

/*
 * Calls hold their keyring, so the line is empty. Workers that are busy with abandoned jobs are left alone.
 * Idle workers are about to end; this waits for them, so that a program which is done with everything can
 * exit without a thread of the library. On the internal thread it must not wait.
 */
static void blocking_destroy(void *self)
{
    struct pool *pool = self;
    pool_lock(pool);
    pool->closing = true;
    kfi_condition_broadcast(&pool->changed);
    while (pool->workers > pool->busy && !kfi_thread_is_internal())
        kfi_condition_wait(&pool->changed, &pool->lock);
    const bool last = pool->workers == 0;
    pool->abandoned = !last;
    pool_unlock(pool);
    if (last)
        pool_free(pool);
}

static enum kf_code blocking_options_check(const struct kf_blocking_keyring_options *options,
                                           struct kf_error *error)
{
    if (options->keyring == NULL)
        return kf_error_set(error, KF_E_USAGE, "A blocking keyring needs a keyring to run (option keyring).");
    if (options->max_workers == 0 || options->max_workers > WORKERS_MAX)
        return kf_error_set(error, KF_E_USAGE, "max_workers is from 1 to %d.", WORKERS_MAX);
    return KF_OK;
}

enum kf_code kf_blocking_keyring_new(const struct kf_blocking_keyring_options *given, struct kf_error *error,
                                     struct kf_keyring **out)
{
    static const struct kf_keyring_vtable vtable = {.size = sizeof vtable,
                                                    .on_encrypt = blocking_on_encrypt,
                                                    .on_decrypt = blocking_on_decrypt,
                                                    .destroy = blocking_destroy};
    struct kf_blocking_keyring_options options = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    *out = NULL;
    enum kf_code code =
        kfi_sized_read(&options, sizeof options, given, "The options of a blocking keyring", error);
    if (code == KF_OK)
        code = blocking_options_check(&options, error);
    if (code == KF_OK)
        code = kfi_fork_ready(error);
    if (code != KF_OK)
        return code;
    struct pool *pool = kfi_alloc_zeroed(sizeof *pool);
    if (pool == NULL)
        return kfi_no_memory(error);
    pool->max_workers = options.max_workers;
    kfi_fork_guard_init(&pool->guard);
    pool_reset(pool);
    code = kf_keyring_new(&vtable, pool, error, out);
    if (code == KF_OK)
        pool->keyring = kf_keyring_ref(options.keyring);
    else
        pool_free(pool);
    return code;
}
