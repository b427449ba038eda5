/*
 * bench/kms_storm: 10 000 callers on one thread want a data key from KMS at once, and none is cached. Prints
 * what that takes, in round trips measured in the same run, and exits 1 if a number is not held. The KMS is
 * tests/support/fault_kms.py, a process of its own that counts what it is asked; run this in the checkout, on
 * a machine that does nothing else.
 *
 * It drives the callers of `keyflight storm`, whose files it includes.
 */
#include <stdio.h>
#include <stdlib.h>

#include <keyflight/aws.h>

#include "storm/callers.c"
#include "support/fault_kms.c"

#define CALLERS 10000
#define LIMIT 100
#define LATENCY_MS 50
#define CONNECTIONS 50
#define RUNS 5
#define KEY "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

struct figures {
    int64_t requests, open_peak;
    double round_trip_ms; /* of one request by itself, on a connection that is there */
    double answer_ms;     /* from the first ask to the last caller that came to hold its materials */
};

static void demand(enum kf_code code, const struct kf_error *error)
{
    if (code == KF_OK)
        return;
    fprintf(stderr, "bench/kms_storm: %s: %s\n", kf_code_name(code), error->text);
    exit(EXIT_FAILURE);
}

static struct kf_cmm *caching_cmm(const char *endpoint_url)
{
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    struct kf_aws_client_options client = KF_AWS_CLIENT_OPTIONS_INIT;
    struct kf_aws_kms_keyring_options keyring = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = NULL;
    credentials.access_key_id = kf_view_text("AKIDEXAMPLE");
    credentials.secret_access_key = kf_view_text("the-secret-of-the-tests");
    demand(kf_aws_static_credentials_new(&credentials, &error, &client.credentials), &error);
    client.endpoint_url = endpoint_url;
    client.max_connections = CONNECTIONS;
    demand(kf_aws_client_new(&client, &error, &keyring.client), &error);
    keyring.generator = KEY;
    demand(kf_aws_kms_keyring_new(&keyring, &error, &options.keyring), &error);
    demand(kf_cache_new(100, &error, &options.cache), &error);
    options.max_age_ms = 60000;
    options.max_messages = LIMIT;
    demand(kf_caching_cmm_new(&options, &error, &cmm), &error);
    kf_aws_credentials_provider_unref(client.credentials);
    kf_aws_client_unref(keyring.client);
    kf_keyring_unref(options.keyring);
    kf_cache_unref(options.cache);
    return cmm;
}

/* `count` callers ask at once; milliseconds until the last of them holds its materials. */
static double ask_all(struct kf_cmm *cmm, const struct kf_encryption_context *context, size_t count)
{
    static struct storm_caller callers[CALLERS];
    struct storm_job job = {
        .cmm = cmm, .suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, .bytes = 1024, .contexts = &context};
    struct kf_error error = KF_ERROR_INIT;
    struct storm_queue queue;
    uint64_t last = 0;
    memset(callers, 0, sizeof callers);
    storm_queue_init(&queue);
    for (size_t i = 0; i < count; i++) {
        callers[i].job = &job;
        demand(storm_caller_begin(&callers[i], 0, &error), &error);
    }
    for (size_t i = 0; i < count; i++)
        storm_queue_ask(&queue, &callers[i]);
    storm_queue_wait(&queue, callers, count, 30000);
    for (size_t i = 0; i < count; i++) {
        if (callers[i].state != STORM_HOLDS) {
            storm_caller_error(&callers[i], &error);
            demand(error.code != KF_OK ? error.code : KF_E_BUG, &error);
        }
        last = callers[i].held_ns > last ? callers[i].held_ns : last;
    }
    const double answer_ms = (double)(last - callers[0].asked_ns) / 1e6;
    for (size_t i = 0; i < count; i++)
        storm_caller_end(&callers[i]);
    storm_queue_end(&queue);
    return answer_ms;
}

static const struct kf_encryption_context *context_of(const char *purpose)
{
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_encryption_context *context = NULL;
    demand(kf_encryption_context_of(&error, &context, "purpose", purpose, (char *)NULL), &error);
    return context;
}

/* A cold client each time: the storm opens its connections. */
static struct figures storm(void)
{
    const struct kf_encryption_context *bench = context_of("bench"), *other = context_of("one");
    struct figures figures;
    struct fault_kms kms;
    char told[64];
    fault_kms_start(&kms, NULL);
    snprintf(told, sizeof told, "{'latency_ms': %d}", LATENCY_MS);
    fault_kms_control(&kms, told);
    struct kf_cmm *cmm = caching_cmm(kms.url);
    figures.answer_ms = ask_all(cmm, bench, CALLERS);
    figures.requests = fault_kms_count(&kms, "GenerateDataKey");
    figures.open_peak = fault_kms_count(&kms, "open_peak");
    figures.round_trip_ms = ask_all(cmm, other, 1);
    kf_cmm_unref(cmm);
    fault_kms_stop(&kms);
    kf_encryption_context_unref(bench);
    kf_encryption_context_unref(other);
    return figures;
}

static int by_answer(const void *left, const void *right)
{
    const struct figures *a = left, *b = right;
    const double x = a->answer_ms / a->round_trip_ms, y = b->answer_ms / b->round_trip_ms;
    return (x > y) - (x < y);
}

static bool report(const char *what, double value, const char *unit, bool held, const char *hold)
{
    printf("  %-24s %9.4g %-12s hold: %-14s %s\n", what, value, unit, hold, held ? "held" : "NOT HELD");
    return held;
}

int main(void)
{
    printf("storm of %d cold pollers on one thread, limit %d, a KMS with a latency of %d ms, %d connections, "
           "%d runs:\n",
           CALLERS, LIMIT, LATENCY_MS, CONNECTIONS, RUNS);
    struct figures runs[RUNS];
    int64_t requests = CALLERS / LIMIT, open_peak = 0;
    for (size_t i = 0; i < RUNS; i++) {
        runs[i] = storm();
        if (runs[i].requests != CALLERS / LIMIT)
            requests = runs[i].requests;
        open_peak = runs[i].open_peak > open_peak ? runs[i].open_peak : open_peak;
    }
    qsort(runs, RUNS, sizeof runs[0], by_answer);
    const struct figures *median = &runs[RUNS / 2];
    const double round_trips = median->answer_ms / median->round_trip_ms;

    bool held = report("requests", (double)requests, "", requests == CALLERS / LIMIT, "exactly 100");
    held &= report("connections at once", (double)open_peak, "", open_peak <= CONNECTIONS, "at most 50");
    held &= report("answer time, median", round_trips, "round trips", round_trips <= 4, "at most 4");
    printf("  one round trip %24.4g ms\n", median->round_trip_ms);
    kf_cleanup();
    return held ? EXIT_SUCCESS : EXIT_FAILURE;
}
