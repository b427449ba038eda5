/*
 * The scene of struct kf_jobs: one loop that begins, frees and runs jobs, while their keys come on other threads.
 */
#include "schedule/scenes/jobs.h"

#include "schedule/scenes/stage.h"
#include "schedule/seam.h"

#define JOBS_MAX 10

struct loop;

struct work {
    struct loop *loop;
    struct kf_job *job; /* NULL: it has ended, or was freed */
    bool begun, done, freed;
};

struct loop {
    struct source source;
    struct kf_cmm *cmm;
    struct kf_jobs *jobs;
    struct bell bell;
    bool frees, times, lacks_threads;
    unsigned begun, planned;
    struct work works[JOBS_MAX];
};

static void begin(struct loop *loop);

static void free_any(struct loop *loop)
{
    struct work *work = &loop->works[machine_random(JOBS_MAX)];
    if (work->job == NULL || work->done)
        return;
    work->freed = true;
    kf_job_free(work->job);
    work->job = NULL;
}

static void on_done(void *context, const struct kf_job_result *result)
{
    struct work *work = context;
    struct loop *loop = work->loop;
    CHECK(work->begun && !work->done && !work->freed, "P4", "A job is answered twice, or behind its end.");
    CHECK(result->code == KF_OK || (result->code == KF_E_TIMEOUT && loop->times) ||
              (result->code == KF_E_RETRY && loop->source.fail_permille > 0) ||
              (result->code == KF_E_SYSTEM && loop->lacks_threads),
          "P4", "A job fails without a reason: %s", result->error->text);
    CHECK((result->out->length > 0) == (result->code == KF_OK), "P4",
          "A job is answered without its message.");
    work->done = true;
    work->job = NULL;
    if (loop->begun < loop->planned && machine_random(3) == 0)
        begin(loop);
    if (loop->frees && machine_random(3) == 0)
        free_any(loop);
}

static void begin(struct loop *loop)
{
    struct work *work = &loop->works[loop->begun++];
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    if (loop->times && machine_random(2) == 0)
        options.timeout_ms = 1 + machine_random(20);
    *work = (struct work){.loop = loop, .begun = true};
    CHECK(kf_jobs_encrypt(loop->jobs, loop->cmm, &options, kf_view_text("x"), on_done, work, &error,
                          &work->job) == KF_OK,
          "scene", "%s", error.text);
}

static bool all_done(const struct loop *loop)
{
    for (unsigned i = 0; i < loop->begun; i++) {
        if (!loop->works[i].done && !loop->works[i].freed)
            return false;
    }
    return loop->begun == loop->planned;
}

/* As an event loop does it: runs when the waker was called, or the deadline has come. */
static void run_by_waker(struct loop *loop)
{
    while (!all_done(loop)) {
        if (loop->begun < loop->planned && machine_random(2) == 0)
            begin(loop);
        if (loop->frees && machine_random(4) == 0) {
            bell_poll_begin(&loop->bell);
            free_any(loop);
            bell_poll_end(&loop->bell);
            continue;
        }
        if (!loop->bell.rung && loop->begun < loop->planned) {
            machine_point();
            continue;
        }
        bell_wait(&loop->bell, kf_jobs_deadline(loop->jobs));
        bell_poll_begin(&loop->bell);
        const enum kf_code code = kf_jobs_run(loop->jobs, NULL);
        bell_poll_end(&loop->bell);
        CHECK(code == KF_OK || code == KF_PENDING, "P4", "A run fails with %s.", kf_code_name(code));
    }
}

static void run_blocking(struct loop *loop)
{
    while (!all_done(loop)) {
        while (loop->begun < loop->planned && machine_random(3) > 0)
            begin(loop);
        if (loop->frees)
            free_any(loop);
        const enum kf_code code = kf_jobs_run(loop->jobs, NULL);
        CHECK(code == KF_OK || code == KF_PENDING, "P4", "A run fails with %s.", kf_code_name(code));
    }
}

void scene_jobs(void)
{
    struct loop loop = {.source = {.way = ANY_WAY, .latency_ms = machine_random(2) * 10}};
    struct kf_jobs_options options = KF_JOBS_OPTIONS_INIT;
    const bool blocks = machine_random(3) == 0, leaves = machine_random(4) == 0;
    struct kf_error error = KF_ERROR_INIT;
    loop.planned = 1 + (unsigned)machine_random(JOBS_MAX);
    loop.frees = machine_random(2) == 0;
    loop.times = machine_random(2) == 0;
    loop.lacks_threads = machine_random(4) == 0;
    loop.source.fail_permille = (uint32_t)machine_random(2) * 200;
    source_open(&loop.source);
    struct kf_keyring *keyring = source_keyring(&loop.source);
    struct kf_cache *cache = stage_cache(machine_random(2));
    struct kf_caching_cmm_options caching = stage_options(cache, keyring, 1 + (uint32_t)machine_random(3));
    caching.max_flights = (uint32_t)machine_random(3);
    loop.cmm = stage_cmm(&caching);
    if (!blocks)
        options.waker = bell_waker(&loop.bell);
    options.max_run_ms = machine_random(2) == 0 ? 0 : UINT64_MAX;
    CHECK(kf_jobs_new(&options, &error, &loop.jobs) == KF_OK, "scene", "%s", error.text);
    if (loop.lacks_threads)
        seam_threads_fail(machine_random(2) == 0 ? 1000 : 500);
    if (leaves) {
        while (loop.begun < loop.planned)
            begin(&loop); /* and never runs them to their end */
        if (!blocks)
            (void)!kf_jobs_run(loop.jobs, NULL);
    } else if (blocks) {
        run_blocking(&loop);
    } else {
        run_by_waker(&loop);
    }
    bell_poll_begin(&loop.bell);
    kf_jobs_free(loop.jobs);
    bell_poll_end(&loop.bell);
    bell_close(&loop.bell);
    seam_threads_fail(0);
    kf_cmm_unref(loop.cmm);
    kf_cache_unref(cache);
    kf_keyring_unref(keyring);
    kf_cleanup();
    source_close(&loop.source);
}
