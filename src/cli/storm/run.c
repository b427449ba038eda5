/*
 * Runs one scenario: makes what it needs (key, service, cache, CMM, contexts), lets the callers come, and
 * counts. Called by storm.c. Never keeps a key from one scenario to the next.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <keyflight/keyflight.h>

#include "storm/scene.h"

/* A caller waits so much longer than a round trip before it counts as forgotten. */
#define PATIENCE_MS 30000

struct run {
    const struct storm_options *options;
    struct kf_cmm *keys;           /* of those that were given, or of a local AES key, */
    struct kf_cmm *remote;         /* ... and the same behind the service */
    struct storm_service *service; /* lives as long as `remote` */
    struct kf_cache *cache;
    struct storm_job job;
    size_t context_count; /* contexts that the callers have */
    struct storm_caller *callers;
    size_t caller_count;
    struct storm_queue queue;
};

static enum kf_code local_keyring_new(struct kf_error *error, struct kf_keyring **out)
{
    uint8_t key[32];
    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return kf_error_set(error, KF_E_SYSTEM, "The system gives no random bytes: %s.", strerror(errno));
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    options.key_namespace = kf_view_text("keyflight storm");
    options.key_name = kf_view_text("simulated");
    options.wrapping_key = kf_view_of(key, sizeof key);
    enum kf_code code = kf_raw_aes_keyring_new(&options, error, out);
    explicit_bzero(key, sizeof key);
    return code;
}

/* How many keys had budget left when they ended by capacity or age. */
static uint64_t cache_lost_keys(void *context)
{
    struct kf_cache_stats stats = KF_CACHE_STATS_INIT;
    kf_cache_stats_read(context, &stats);
    return stats.ended_capacity + stats.ended_age;
}

static enum kf_code caching_cmm_new(struct run *run, struct kf_error *error)
{
    enum kf_code code = kf_cache_new((size_t)run->options->capacity, error, &run->cache);
    if (code != KF_OK)
        return code;
    storm_service_watch(run->service, cache_lost_keys, run->cache);
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    options.cache = run->cache;
    options.cmm = run->remote;
    options.max_age_ms = run->options->max_age_ms;
    options.max_messages = run->options->max_messages;
    options.max_bytes = run->options->max_bytes;
    options.fetch_timeout_ms = run->options->rtt_ms + PATIENCE_MS;
    return kf_caching_cmm_new(&options, error, &run->job.cmm);
}

static enum kf_code naive_cmm_new(struct run *run, struct kf_error *error)
{
    struct storm_naive *naive = NULL;
    struct storm_naive_options options = {.max_messages = run->options->max_messages,
                                          .max_bytes = run->options->max_bytes,
                                          .max_age_ms = run->options->max_age_ms,
                                          .capacity = run->options->capacity};
    enum kf_code code = storm_naive_new(run->remote, &options, error, &naive, &run->job.cmm);
    if (code == KF_OK)
        storm_service_watch(run->service, storm_naive_lost_keys, naive);
    return code;
}

static enum kf_code contexts_new(struct run *run, struct kf_error *error)
{
    run->job.contexts = calloc(run->context_count, sizeof *run->job.contexts);
    if (run->job.contexts == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for %zu contexts.",
                            run->context_count);
    enum kf_code code = KF_OK;
    for (size_t i = 0; i < run->context_count && code == KF_OK; i++) {
        char number[21];
        snprintf(number, sizeof number, "%zu", i);
        code = kf_encryption_context_of(error, &run->job.contexts[i], "purpose", "keyflight storm",
                                        STORM_NAIVE_KEY, number, (char *)NULL);
    }
    return code;
}

/* Makes the messages to decrypt, past the service, which does not count that. */
static enum kf_code messages_new(struct run *run, struct kf_error *error)
{
    uint8_t *plaintext = calloc(1, (size_t)run->job.bytes + 1);
    struct storm_message *messages = calloc(run->context_count, sizeof *messages);
    enum kf_code code = KF_OK;
    if (plaintext == NULL || messages == NULL)
        code =
            kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for %zu messages.", run->context_count);
    for (size_t i = 0; i < run->context_count && code == KF_OK; i++) {
        struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
        options.encryption_context = run->job.contexts[i];
        options.suite = run->job.suite;
        options.commitment_policy = run->job.commitment_policy;
        struct storm_message *message = &messages[i];
        code = kf_encrypt(run->keys, &options, kf_view_of(plaintext, (size_t)run->job.bytes), error,
                          &message->bytes);
        if (code == KF_OK)
            code = storm_fingerprint(kf_view_of(message->bytes.data, message->bytes.length), error,
                                     &message->header_length, &message->fingerprint);
    }
    free(plaintext);
    run->job.messages = messages;
    return code;
}

static enum kf_code keys_new(struct run *run, struct kf_error *error)
{
    struct kf_keyring *keyring = kf_keyring_ref(run->options->keyring);
    enum kf_code code = keyring == NULL ? local_keyring_new(error, &keyring) : KF_OK;
    if (code == KF_OK)
        code = kf_default_cmm_new(keyring, error, &run->keys);
    kf_keyring_unref(keyring);
    return code;
}

static enum kf_code run_prepare(struct run *run, struct kf_error *error)
{
    const struct storm_options *options = run->options;
    enum kf_code code = keys_new(run, error);
    if (code == KF_OK)
        code = storm_service_new(run->keys, options->rtt_ms, options->fail_first, error, &run->service,
                                 &run->remote);
    if (code == KF_OK)
        code = options->coalescing ? caching_cmm_new(run, error) : naive_cmm_new(run, error);
    if (code == KF_OK)
        code = contexts_new(run, error);
    if (code == KF_OK && options->decrypt)
        code = messages_new(run, error);
    if (code != KF_OK)
        return code;
    run->callers = calloc(run->caller_count, sizeof *run->callers);
    if (run->callers == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for %zu callers.", run->caller_count);
    return KF_OK;
}

static void run_end(struct run *run)
{
    for (size_t i = 0; run->callers != NULL && i < run->caller_count; i++)
        storm_caller_end(&run->callers[i]);
    free(run->callers);
    kf_cmm_unref(run->job.cmm);
    kf_cache_unref(run->cache);
    kf_cmm_unref(run->remote);
    kf_cmm_unref(run->keys);
    for (size_t i = 0; i < run->context_count; i++) {
        if (run->job.contexts != NULL)
            kf_encryption_context_unref(run->job.contexts[i]);
        if (run->job.messages != NULL)
            kf_buf_free(&run->job.messages[i].bytes);
    }
    free(run->job.contexts);
    free(run->job.messages);
}

/* Whether caller `index` after the warm-up is one that gives up; those are spread evenly. */
static bool caller_gives_up(const struct storm_options *options, uint64_t index)
{
    return (index + 1) * options->cancel / 100 > index * options->cancel / 100;
}

/* Begins `count` callers, which take the contexts in turn. */
static enum kf_code run_begin(struct run *run, struct storm_caller *callers, size_t count, bool may_give_up,
                              struct kf_error *error)
{
    enum kf_code code = KF_OK;
    for (size_t i = 0; i < count && code == KF_OK; i++) {
        callers[i].job = &run->job;
        callers[i].context = i % run->options->contexts;
        callers[i].gives_up = may_give_up && caller_gives_up(run->options, i);
        /* A caller that polls gives up by freeing its operation, one that blocks by its deadline. */
        uint64_t deadline_ms =
            callers[i].gives_up ? run->options->rtt_ms / 2 : run->options->rtt_ms + PATIENCE_MS;
        code = storm_caller_begin(&callers[i], run->options->threads ? deadline_ms : 0, error);
    }
    return code;
}

static void run_one_by_one(struct run *run, struct storm_caller *callers, size_t count)
{
    for (struct storm_caller *caller = callers; caller < callers + count; caller++) {
        if (run->options->threads) {
            storm_threads_ask(caller);
            continue;
        }
        storm_queue_ask(&run->queue, caller);
        if (caller->gives_up && caller->state == STORM_WAITING)
            storm_caller_give_up(caller);
        storm_queue_wait(&run->queue, caller, 1, run->options->rtt_ms + PATIENCE_MS);
        if (caller->state == STORM_HOLDS)
            storm_caller_finish(caller);
    }
}

static void run_all_at_once(struct run *run, struct storm_caller *callers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        storm_queue_ask(&run->queue, &callers[i]);
    for (size_t i = 0; i < count; i++) {
        if (callers[i].gives_up && callers[i].state == STORM_WAITING)
            storm_caller_give_up(&callers[i]);
    }
    storm_queue_wait(&run->queue, callers, count, run->options->rtt_ms + PATIENCE_MS);
    for (size_t i = 0; i < count; i++) {
        if (callers[i].state == STORM_HOLDS)
            storm_caller_finish(&callers[i]);
    }
}

static enum kf_code run_phases(struct run *run, const struct storm_scenario *scenario, struct kf_error *error)
{
    size_t warm = (size_t)scenario->warm, sequential = (size_t)scenario->sequential;
    size_t parallel = (size_t)scenario->parallel;
    struct storm_caller *callers = run->callers;
    enum kf_code code = run_begin(run, callers, warm, false, error);
    if (code != KF_OK)
        return code;
    run_one_by_one(run, callers, warm);

    callers += warm;
    code = run_begin(run, callers, sequential + parallel, true, error);
    if (code != KF_OK)
        return code;
    run_one_by_one(run, callers, sequential);

    callers += sequential;
    if (run->options->threads && parallel > 0)
        return storm_threads_run(callers, parallel, error);
    run_all_at_once(run, callers, parallel);
    return KF_OK;
}

/* Writes what the service counted, and all that happened, to `out`, which then owns the callers. */
static enum kf_code run_trace(struct run *run, struct kf_error *error, struct storm_result *out)
{
    struct storm_service_counts counts;
    storm_service_counts(run->service, &counts);
    out->backing_calls = counts.calls;
    out->peak_in_flight = counts.peak;
    out->key_lost = counts.key_lost;
    enum kf_code code =
        storm_service_fetches_copy(run->service, error, &out->trace.fetches, &out->trace.fetch_count);
    if (code != KF_OK) {
        storm_result_end(out);
        return code;
    }
    for (size_t i = 0; i < run->caller_count; i++)
        storm_caller_end(&run->callers[i]);
    out->trace.callers = run->callers;
    out->trace.caller_count = run->caller_count;
    run->callers = NULL;
    return KF_OK;
}

enum kf_code storm_run(const struct storm_options *options, const struct storm_scenario *scenario,
                       struct kf_error *error, struct storm_result *out)
{
    struct run run = {.options = options};
    run.caller_count = (size_t)(scenario->warm + scenario->sequential + scenario->parallel);
    run.context_count = run.caller_count < options->contexts ? run.caller_count : (size_t)options->contexts;
    run.job.suite = options->suite->id;
    run.job.bytes = options->bytes;
    run.job.commitment_policy =
        options->suite->commits ? KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT : KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    storm_queue_init(&run.queue);
    memset(out, 0, sizeof *out);

    enum kf_code code = run_prepare(&run, error);
    uint64_t start_ns = storm_now_ns();
    if (code == KF_OK)
        code = run_phases(&run, scenario, error);
    if (code == KF_OK) {
        out->wall_ns = storm_now_ns() - start_ns;
        code = storm_tally(run.callers, (size_t)scenario->warm, run.caller_count, error, out);
    }
    if (code == KF_OK)
        code = run_trace(&run, error, out);
    run_end(&run);
    storm_queue_end(&run.queue);
    return code;
}
