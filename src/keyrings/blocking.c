/*
 * The blocking keyring: runs a keyring that has to block on the library's workers (base/pool.h), in a lane of its own.
 * Called through the keyring interface only.
 *
 * Each call becomes a job. A cancelled call leaves before its work ends, so the job has references and copies of all
 * that the work needs. Nobody ever waits for work. So jobs can be given up, and the keyring destroyed, on any thread.
 * Of the call and the worker, whoever is the last to have to do with a job frees it.
 */
#include <keyflight/keyring.h>

#include "base/call.h"
#include "base/error.h"
#include "base/flight.h"
#include "base/fork.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/sized.h"
#include "base/thread.h"
#include "base/wait.h"
#include "materials/materials.h"

#define WORKERS_MAX 1000

struct blocking {
    struct kfi_refs refs;       /* the keyring has one, each job has one */
    struct kf_keyring *keyring; /* the one that blocks */
    struct kfi_lane lane;
};

/* Whose a job is. */
enum job_state {
    JOB_OPEN, /* of both */
    JOB_DONE, /* of the call, with the results */
    JOB_LEFT  /* of the worker: the call has gone */
};

struct job {
    struct kfi_work work; /* first */
    struct blocking *owner;
    atomic_int state;            /* enum job_state */
    struct kf_call_waker *waker; /* wakes the caller */
    struct kf_call_waker *stop;  /* wakes the worker while the wrapped keyring is pending */
    struct kf_call call;         /* the root of the work */
    struct kfi_flight *inside;   /* the fetch that the work is part of: a reference, or NULL */
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

static void blocking_unref(struct blocking *blocking)
{
    if (!kfi_refs_drop(&blocking->refs))
        return;
    kfi_lane_end(&blocking->lane, !kfi_thread_is_internal());
    kf_keyring_unref(blocking->keyring);
    kfi_free(blocking);
}

/* ---- Jobs ---- */

static void blocking_job_free(struct job *job)
{
    kfi_call_end(&job->call);
    kf_call_waker_unref(job->stop);
    kf_call_waker_unref(job->waker);
    kfi_flight_unref(job->inside);
    kf_encryption_materials_unref(job->encryption);
    kf_decryption_materials_unref(job->decryption);
    kfi_edk_list_free(&job->edks);
    kfi_wrapped_free(&job->wrapped);
    struct blocking *owner = job->owner;
    kfi_free_secret(job, sizeof *job);
    blocking_unref(owner);
}

static void blocking_job_run(struct kfi_work *work);
static void blocking_job_done(struct kfi_work *work, int failure);

/* A job for `call` that asks nothing yet; NULL: no memory. */
static struct job *blocking_job_new(struct blocking *owner, struct kf_call *call)
{
    struct job *job = kfi_alloc_zeroed(sizeof *job);
    if (job == NULL)
        return NULL;
    kfi_refs_add(&owner->refs, 1);
    job->owner = owner;
    job->work.run = blocking_job_run;
    job->work.done = blocking_job_done;
    job->inside = kfi_flight_around(call);
    if (job->inside != NULL)
        kfi_refs_add(&job->inside->refs, 1);
    kfi_call_init(&job->call, NULL);
    job->call.request_id = &job->request_id;
    job->waker = kf_call_waker_of(call);
    job->stop = kf_call_waker_of(&job->call);
    if (job->waker != NULL && job->stop != NULL)
        return job;
    blocking_job_free(job);
    return NULL;
}

static enum kf_code blocking_job_ask(struct job *job)
{
    struct kf_keyring *keyring = job->owner->keyring;
    if (atomic_load(&job->state) == JOB_LEFT)
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

static void blocking_job_run(struct kfi_work *work)
{
    static const struct kfi_pollable kind = {blocking_job_poll, blocking_job_deadline};
    struct job *job = KFI_CONTAINER(work, struct job, work);
    struct kfi_inside inside;
    kfi_inside_enter(&inside, job->inside);
    job->code = kfi_wait(&kind, job, &job->error);
    kfi_inside_leave(&inside);
}

/* Hands a job to its call, if there still is one. */
static void blocking_job_done(struct kfi_work *work, int failure)
{
    struct job *job = KFI_CONTAINER(work, struct job, work);
    if (failure != 0)
        job->code = kfi_pool_failure(failure, &job->error);
    struct kf_call_waker *waker = kf_call_waker_ref(job->waker);
    if (atomic_exchange(&job->state, JOB_DONE) == JOB_LEFT)
        blocking_job_free(job);
    else
        kf_call_waker_wake(waker);
    kf_call_waker_unref(waker);
}

/* The drop of the state of a call: gives the job up, or frees what is left of it. */
static void blocking_job_drop(void *state)
{
    struct job *job = state;
    struct kf_call_waker *stop = kf_call_waker_ref(job->stop);
    if (kfi_pool_withdraw(&job->work) || atomic_exchange(&job->state, JOB_LEFT) == JOB_DONE)
        blocking_job_free(job);
    else
        kf_call_waker_wake(stop);
    kf_call_waker_unref(stop);
}

/* ---- The keyring ---- */

/* Submits a new job, which becomes the state of the call. */
static void blocking_job_begin(struct kf_call *call, struct job *job)
{
    kf_call_state_set(call, job, blocking_job_drop);
    kfi_pool_submit(&job->owner->lane, &job->work);
}

/* The result of a job; KF_PENDING until it is done. */
static enum kf_code blocking_job_outcome(struct kf_call *call, struct job *job, struct kf_error *error)
{
    if (atomic_load(&job->state) != JOB_DONE)
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
            blocking_job_free(job);
            return code;
        }
        blocking_job_begin(call, job);
    }
    enum kf_code code = blocking_job_outcome(call, job, error);
    if (code == KF_OK)
        *out = job->data_key;
    return code;
}

/* Calls hold their keyring, so that only jobs are left which were given up; they are left alone. */
static void blocking_destroy(void *self)
{
    blocking_unref(self);
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
                                                    .destroy = blocking_destroy,
                                                    .never_blocks = true};
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
    struct blocking *blocking = kfi_alloc_zeroed(sizeof *blocking);
    if (blocking == NULL)
        return kfi_no_memory(error);
    kfi_refs_init(&blocking->refs);
    blocking->lane.limit = options.max_workers;
    code = kf_keyring_new(&vtable, blocking, error, out);
    if (code == KF_OK)
        blocking->keyring = kf_keyring_ref(options.keyring);
    else
        kfi_free(blocking);
    return code;
}
