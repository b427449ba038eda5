/*
 * What the tests of jobs share: a struct kf_jobs whose waker is a bell, in front of a CMM that answers when
 * told, and answers that note how their callback is called.
 */
#ifndef TESTS_JOBS_JOBS_STAGE_H
#define TESTS_JOBS_JOBS_STAGE_H

#include "support/support.h"

#include <string.h>

struct stage {
    struct bell bell;
    struct kf_jobs *jobs;
    struct told *told;
    struct kf_cmm *cmm; /* the told one */
};

/* Runs have no limit in time, so that what one run does is certain. */
static inline struct kf_jobs *jobs_with_bell(struct bell *bell, uint64_t max_run_ms)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_jobs_options options = KF_JOBS_OPTIONS_INIT;
    struct kf_jobs *jobs;
    options.waker = bell_waker(bell);
    options.max_run_ms = max_run_ms;
    assert_ok(kf_jobs_new(&options, &error, &jobs), &error);
    return jobs;
}

static inline void stage_open(struct stage *stage)
{
    bell_init(&stage->bell);
    stage->jobs = jobs_with_bell(&stage->bell, UINT64_MAX);
    stage->told = told_new(&stage->cmm);
}

/* The jobs may have been freed before, and set to NULL. */
static inline void stage_close(struct stage *stage)
{
    kf_jobs_free(stage->jobs);
    kf_cmm_unref(stage->cmm);
    kf_cleanup();
    told_free(stage->told);
    bell_destroy(&stage->bell);
}

/* Runs once, and checks whether something still waits. */
#define assert_run(jobs, expected)                                         \
    do {                                                                   \
        struct kf_error run_error = KF_ERROR_INIT;                         \
        assert_int_equal(kf_jobs_run((jobs), &run_error), (expected));     \
        assert_int_equal(run_error.code, (expected) < 0 ? (expected) : 0); \
    } while (0)

/* The owner of a job. All zero: the job has not begun. */
struct caller {
    struct kf_job *job;
    unsigned called;
    enum kf_code code;
    struct kf_error error;
    struct kf_buf out;                     /* kept */
    pthread_t thread;                      /* of the callback */
    void (*inside)(struct caller *caller); /* what the callback does, or NULL */
    void *what;                            /* for `inside` */
};

static inline void caller_done(void *context, const struct kf_job_result *result)
{
    struct caller *caller = context;
    caller->called++;
    caller->code = result->code;
    caller->error = *result->error;
    caller->thread = pthread_self();
    assert_int_equal(result->error->code, result->code);
    assert_int_equal(result->error->text[0] != '\0', result->code != KF_OK);
    if (result->code != KF_OK) {
        assert_int_equal(result->out->length, 0);
        assert_null(result->header);
    }
    kf_buf_free(&caller->out);
    caller->out = kf_buf_take(result->out);
    if (caller->inside != NULL)
        caller->inside(caller);
}

/* Begins to encrypt `text`; `timeout_ms` 0: without a deadline. */
static inline void caller_encrypt(struct caller *caller, struct kf_jobs *jobs, struct kf_cmm *cmm,
                                  const char *text, uint64_t timeout_ms)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    options.timeout_ms = timeout_ms;
    assert_ok(
        kf_jobs_encrypt(jobs, cmm, &options, kf_view_text(text), caller_done, caller, &error, &caller->job),
        &error);
    assert_non_null(caller->job);
}

static inline void caller_end(struct caller *caller)
{
    kf_buf_free(&caller->out);
}

/* It was answered once, with a message that decrypts to `text`. */
static inline void assert_encrypted(const struct caller *caller, const char *text)
{
    struct kf_cmm *cmm = support_cmm();
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf plaintext = KF_BUF_INIT;
    assert_int_equal(caller->called, 1);
    assert_ok(caller->code, &caller->error);
    assert_ok(
        kf_decrypt(cmm, NULL, kf_view_of(caller->out.data, caller->out.length), &error, NULL, &plaintext),
        &error);
    assert_int_equal(plaintext.length, strlen(text));
    assert_memory_equal(plaintext.data, text, strlen(text));
    kf_buf_free(&plaintext);
    kf_cmm_unref(cmm);
}

#endif
