/*
 * Jobs: any number of encryptions and decryptions at once on one thread, for programs with an event loop.
 *
 * A struct kf_jobs gives all its jobs one waker and one deadline. The loop has one thing to do: when the waker
 * was called, or the deadline has passed, it calls kf_jobs_run. That goes on with the jobs that have become
 * ready, looks at no others, and calls back for each one that is done.
 *
 * The waker may be called from any thread, so it only posts to the loop: uv_async_send for libuv, a write to an
 * eventfd for epoll and io_uring. It is called once, and then not again before the next kf_jobs_run,
 * however many jobs become ready. examples/event_loop_uv.c and examples/event_loop_epoll.c are whole programs.
 * A program without an event loop leaves the waker out, and kf_jobs_run blocks until all jobs are done.
 *
 * A struct kf_jobs and its jobs are used by one thread at a time. Callbacks come from kf_jobs_run alone, on
 * the thread that called it, under no lock. A callback may begin jobs, poll and free them, and even free the
 * struct kf_jobs; only kf_jobs_run may not be called again from inside.
 */
#ifndef KEYFLIGHT_JOBS_H
#define KEYFLIGHT_JOBS_H

#include <keyflight/decrypt.h>
#include <keyflight/encrypt.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kf_jobs;

/* One job. It belongs to its struct kf_jobs. */
struct kf_job;

struct kf_jobs_options {
    size_t size;
    /*
     * Called once kf_jobs_run is worth while. With `wake` NULL there is none: kf_jobs_run blocks.
     *
     * A thread that is inside kf_jobs_run, kf_job_poll, kf_job_free or kf_jobs_free never calls it: if jobs become
     * ready there and are left, the internal thread calls it. But kf_jobs_encrypt and kf_jobs_decrypt do, outside of
     * callbacks, since whoever begins a job need not be the loop. What it may do is said at struct kf_waker.
     */
    struct kf_waker waker;
    /*
     * A run begins no further job after so many milliseconds, so that other events get their turn. The waker is
     * called again for what is left. 0: one job in each run; UINT64_MAX: no limit.
     */
    uint64_t max_run_ms;
};

#define KF_JOBS_OPTIONS_INIT                             \
    {                                                    \
        sizeof(struct kf_jobs_options), {NULL, NULL}, 10 \
    }

KF_API void kf_jobs_options_init(struct kf_jobs_options *out, size_t size);

/* `options` may be NULL for the defaults. Errors: KF_E_USAGE, KF_E_SYSTEM, KF_E_NO_MEMORY. */
KF_CODE kf_jobs_new(const struct kf_jobs_options *options, struct kf_error *error, struct kf_jobs **out);

/*
 * Cancels and frees all jobs (no callback is called for them), and then the struct itself. When it returns the
 * waker is not running and never will be. Also allowed in a child after a fork.
 */
KF_API void kf_jobs_free(struct kf_jobs *jobs);

/*
 * Goes on with the jobs that are ready, and with those whose deadline has passed. Jobs that become ready
 * meanwhile, those begun by a callback among them, have their turn in the next run. Without a waker it blocks
 * until nothing is left to wait for.
 *
 * KF_OK: no job waits for anything. KF_PENDING: some do; the waker will be called. What becomes of a job is
 * told to its callback and changes nothing here. Errors, which leave all jobs as they are: KF_E_USAGE (called
 * from a callback, or to block on the internal thread), KF_E_FORKED (in a child that inherited `jobs`).
 */
KF_CODE kf_jobs_run(struct kf_jobs *jobs, struct kf_error *error);

/*
 * In how many milliseconds kf_jobs_run has to be called at the latest, whether or not the waker is;
 * KF_NO_DEADLINE if never. Jobs have a deadline if their options have a timeout_ms. It is 0 if jobs are left that are
 * ready, and the waker can't be called for them because no thread can be started. It changes only in
 * kf_jobs_run, kf_job_poll and kf_job_free: ask again after these.
 */
KF_API uint64_t kf_jobs_deadline(const struct kf_jobs *jobs);

/* ---- One message: begin it, be called back ---- */

/* How a job ended. All that it points to ends with the callback. */
struct kf_job_result {
    enum kf_code code;
    const struct kf_error *error; /* the sentence, if the code is an error */
    /* The message or plaintext, empty on an error. The callback may keep it: kf_buf_take. */
    struct kf_buf *out;
    /* The verified header of a message that was decrypted, else NULL. To keep it: kf_header_ref. */
    const struct kf_header *header;
};

/*
 * Begins to encrypt, as kf_encrypt does. Nothing is asked of `cmm` here: the waker is called, and kf_jobs_run
 * takes the first step.
 *
 * `done` is called once, from kf_jobs_run, unless the job is freed before. `plaintext` is borrowed: it has to
 * stay as it is until `done` is called, which may release it, or the job is freed. `options` may be NULL, and
 * nobody looks at them after this returns. `*out` (`out` may be NULL) is the job for kf_job_free, until `done`
 * returns. Errors: KF_E_USAGE, KF_E_POLICY, KF_E_LIMIT, KF_E_FORKED, KF_E_SYSTEM, KF_E_NO_MEMORY;
 * then there is no job, and `done` is not called.
 */
KF_CODE kf_jobs_encrypt(struct kf_jobs *jobs, struct kf_cmm *cmm, const struct kf_encrypt_options *options,
                        struct kf_view plaintext,
                        void (*done)(void *context, const struct kf_job_result *result), void *context,
                        struct kf_error *error, struct kf_job **out);

/* Begins to decrypt `message`, as kf_decrypt does. All else is as above. */
KF_CODE kf_jobs_decrypt(struct kf_jobs *jobs, struct kf_cmm *cmm, const struct kf_decrypt_options *options,
                        struct kf_view message,
                        void (*done)(void *context, const struct kf_job_result *result), void *context,
                        struct kf_error *error, struct kf_job **out);

/*
 * Ends a job: it is cancelled, and its callback is not called any more. From the job's own `done` this does
 * nothing. A stream is freed with its job. Also allowed in a child after a fork.
 */
KF_API void kf_job_free(struct kf_job *job);

/* ---- Streams ---- */

/*
 * Moves an encryptor into `jobs`: it belongs to the job, and kf_job_free frees it. From now on only
 * kf_job_poll polls it; kf_encryptor_error and kf_encryptor_materials may be called as before.
 *
 * `ready` is called from kf_jobs_run once a poll was answered by KF_PENDING and another one is worth while; it
 * has to poll. Errors: KF_E_USAGE, KF_E_FORKED, KF_E_NO_MEMORY; then the encryptor stays the caller's.
 */
KF_CODE kf_jobs_encryptor_take(struct kf_jobs *jobs, struct kf_encryptor *encryptor,
                               void (*ready)(void *context), void *context, struct kf_error *error,
                               struct kf_job **out);

/* The same for a decryptor. */
KF_CODE kf_jobs_decryptor_take(struct kf_jobs *jobs, struct kf_decryptor *decryptor,
                               void (*ready)(void *context), void *context, struct kf_error *error,
                               struct kf_job **out);

/*
 * Polls a stream: whenever there is input or room for output, and in `ready`. What it answers is said at
 * kf_encryptor_poll and kf_decryptor_poll. It never blocks. KF_E_USAGE for a job that is no stream.
 */
KF_CODE kf_job_poll(struct kf_job *job, struct kf_io *io);

#ifdef __cplusplus
}
#endif

#endif
