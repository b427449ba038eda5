/*
 * bench/storm: 10 000 callers on one thread want a data key at once, and none is cached. Prints what that
 * takes, and the numbers to hold; exits 1 if one is not held. Run it on a machine that does nothing else.
 *
 * It drives the callers of `keyflight storm`, whose files it includes.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "storm/callers.c"
#include "storm/service.c"

#define CALLERS 10000
#define LIMIT 1000
#define RTT_MS 50
#define RUNS 5
#define HEAP_RTT_MS \
    2000 /* long enough for all to ask, and for the heap to be looked at, before anything lands */

struct figures {
    uint64_t calls;
    uint64_t peak;
    double round_trips; /* from the first ask to the last caller that came to hold its materials */
    double heap;        /* bytes for each waiting caller */
};

static void demand(enum kf_code code, const struct kf_error *error)
{
    if (code >= KF_OK)
        return;
    fprintf(stderr, "bench/storm: %s: %s\n", kf_code_name(code), error->text);
    exit(EXIT_FAILURE);
}

static size_t heap_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static struct kf_cmm *caching_cmm(uint64_t rtt_ms, struct storm_service **service, struct kf_cmm **backing)
{
    static const uint8_t key[32] = {1};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_raw_aes_keyring_options local_options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    local_options.key_name = kf_view_text("bench");
    local_options.wrapping_key = kf_view_of(key, sizeof key);
    struct kf_keyring *local = NULL;
    struct kf_cmm *local_cmm = NULL;
    demand(kf_raw_aes_keyring_new(&local_options, &error, &local), &error);
    demand(kf_default_cmm_new(local, &error, &local_cmm), &error);
    demand(storm_service_new(local_cmm, rtt_ms, 0, &error, service, backing), &error);
    kf_cmm_unref(local_cmm);
    kf_keyring_unref(local);

    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    demand(kf_cache_new(100, &error, &options.cache), &error);
    options.cmm = *backing;
    options.max_age_ms = 60000;
    options.max_messages = LIMIT;
    struct kf_cmm *cmm = NULL;
    demand(kf_caching_cmm_new(&options, &error, &cmm), &error);
    kf_cache_unref(options.cache);
    return cmm;
}

static double round_trips(const struct storm_caller *callers, uint64_t rtt_ms)
{
    uint64_t last = 0;
    for (size_t i = 0; i < CALLERS; i++) {
        if (callers[i].held_ns > last)
            last = callers[i].held_ns;
    }
    return (double)(last - callers[0].asked_ns) / 1e6 / (double)rtt_ms;
}

static struct figures storm(uint64_t rtt_ms)
{
    struct storm_service *service = NULL;
    struct kf_cmm *backing = NULL;
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_encryption_context *context = NULL;
    demand(kf_encryption_context_of(&error, &context, "purpose", "bench", (char *)NULL), &error);
    struct storm_job job = {.cmm = caching_cmm(rtt_ms, &service, &backing),
                            .suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
                            .bytes = 1024,
                            .contexts = &context};
    static struct storm_caller callers[CALLERS];
    memset(callers, 0, sizeof callers);
    struct storm_queue queue;
    storm_queue_init(&queue);

    size_t heap_before = heap_in_use();
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i].job = &job;
        demand(storm_caller_begin(&callers[i], 0, &error), &error);
    }
    for (size_t i = 0; i < CALLERS; i++)
        storm_queue_ask(&queue, &callers[i]);
    size_t heap = heap_in_use() - heap_before;
    struct storm_service_counts counts;
    storm_service_counts(service, &counts);
    bool landed = counts.answered > 0;
    storm_queue_wait(&queue, callers, CALLERS, 30000);
    storm_service_counts(service, &counts);
    struct figures figures = {counts.calls, counts.peak, round_trips(callers, rtt_ms),
                              landed ? 0 : (double)heap / CALLERS};

    for (size_t i = 0; i < CALLERS; i++) {
        if (callers[i].state != STORM_HOLDS) {
            fprintf(stderr, "bench/storm: a caller got no materials\n");
            exit(EXIT_FAILURE);
        }
        storm_caller_end(&callers[i]);
    }
    storm_queue_end(&queue);
    kf_cmm_unref(job.cmm);
    kf_cmm_unref(backing);
    kf_encryption_context_unref(context);
    return figures;
}

static void note(void *answered, const struct kf_job_result *result)
{
    demand(result->code, result->error);
    ++*(size_t *)answered;
}

static void ignore(void *unused)
{
    (void)unused;
}

/* The same callers as jobs: bytes of heap for each that waits. */
static double jobs_heap(void)
{
    static const uint8_t plaintext[1024];
    struct storm_service *service = NULL;
    struct kf_cmm *backing = NULL, *cmm = caching_cmm(HEAP_RTT_MS, &service, &backing);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    struct kf_jobs *jobs = NULL;
    size_t answered = 0;
    const size_t before = heap_in_use();
    struct kf_jobs_options jobs_options = KF_JOBS_OPTIONS_INIT;
    jobs_options.waker = (struct kf_waker){ignore, NULL}; /* it is only to wait */
    jobs_options.max_run_ms = UINT64_MAX;
    demand(kf_jobs_new(&jobs_options, &error, &jobs), &error);
    for (size_t i = 0; i < CALLERS; i++)
        demand(kf_jobs_encrypt(jobs, cmm, &options, kf_view_of(plaintext, sizeof plaintext), note, &answered,
                               &error, NULL),
               &error);
    demand(kf_jobs_run(jobs, &error), &error);
    const size_t heap = heap_in_use() - before;
    kf_jobs_free(jobs);
    kf_cmm_unref(cmm);
    kf_cmm_unref(backing);
    return answered > 0 ? 0 : (double)heap / CALLERS;
}

static int by_round_trips(const void *left, const void *right)
{
    const struct figures *a = left, *b = right;
    return (a->round_trips > b->round_trips) - (a->round_trips < b->round_trips);
}

static bool report(const char *what, double value, const char *unit, bool held, const char *hold)
{
    printf("  %-24s %9.4g %-12s hold: %-14s %s\n", what, value, unit, hold, held ? "held" : "NOT HELD");
    return held;
}

int main(void)
{
    printf("storm of %d cold pollers on one thread, suite 0478, limit %d, round trip %d ms, %d runs:\n",
           CALLERS, LIMIT, RTT_MS, RUNS);
    struct figures runs[RUNS], worst = {CALLERS / LIMIT, CALLERS / LIMIT, 0, 0};
    for (size_t i = 0; i < RUNS; i++) {
        runs[i] = storm(RTT_MS);
        if (runs[i].calls != CALLERS / LIMIT)
            worst.calls = runs[i].calls;
        if (runs[i].peak < worst.peak)
            worst.peak = runs[i].peak;
    }
    qsort(runs, RUNS, sizeof runs[0], by_round_trips);
    double median = runs[RUNS / 2].round_trips;
    double heap = storm(HEAP_RTT_MS).heap, jobs = jobs_heap();

    bool held =
        report("backing calls", (double)worst.calls, "", worst.calls == CALLERS / LIMIT, "exactly 10");
    held &= report("in flight at once", (double)worst.peak, "", worst.peak == CALLERS / LIMIT, "all 10");
    held &= report("answer time, median", median, "round trips", median <= 1.5, "at most 1.5");
    held &= report("heap per waiting caller", heap, "bytes", heap > 0 && heap < 2048, "below 2048");
    held &= report("heap per waiting job", jobs, "bytes", jobs > 0 && jobs < 2048, "below 2048");
    kf_cleanup();
    return held ? EXIT_SUCCESS : EXIT_FAILURE;
}
