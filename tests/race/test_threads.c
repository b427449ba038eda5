/*
 * Blocking callers on many threads: up to 1000, or 200 where a sanitizer watches them. Threads only note what
 * they got; the test's own thread judges.
 */
#include <sched.h>
#include <stdlib.h>

#include "support/keys_used.h"

#if defined(__SANITIZE_THREAD__)
#define THREADS 200
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREADS 200
#endif
#endif
#ifndef THREADS
#define THREADS 1000
#endif

#define LIMIT 5
#define ROUNDS 5 /* messages of each thread, where it makes several */

struct shared {
    struct kf_cmm *cmm;
    struct kf_cache *cache;
    pthread_barrier_t start;
};

struct worker {
    struct shared *shared;
    pthread_t thread;
    unsigned number, messages;
    struct key_trace traces[ROUNDS];
    unsigned made, failed, cancelled;
};

static void shared_open(struct shared *shared, struct kf_cmm *backing, struct kf_keyring *keyring,
                        size_t capacity, uint64_t max_age_ms)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    assert_ok(kf_cache_new(capacity, &error, &shared->cache), &error);
    options.cache = shared->cache;
    options.cmm = backing;
    options.keyring = keyring;
    options.max_age_ms = max_age_ms;
    options.max_messages = LIMIT;
    options.fetch_timeout_ms = 3600000;
    assert_ok(kf_caching_cmm_new(&options, &error, &shared->cmm), &error);
    pthread_barrier_init(&shared->start, NULL, THREADS);
}

static void shared_close(struct shared *shared)
{
    kf_cmm_unref(shared->cmm);
    kf_cache_unref(shared->cache);
    pthread_barrier_destroy(&shared->start);
    kf_cleanup();
}

static struct worker *start(struct shared *shared, unsigned messages, void *(*work)(void *))
{
    struct worker *workers = calloc(THREADS, sizeof *workers);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 512 * 1024);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].shared = shared;
        workers[i].number = i;
        workers[i].messages = messages;
        assert_int_equal(pthread_create(&workers[i].thread, &small, work, &workers[i]), 0);
    }
    pthread_attr_destroy(&small);
    return workers;
}

/* Joins them all and puts their traces together. */
static struct key_trace *finish(struct worker *workers, size_t *count)
{
    struct key_trace *traces = calloc((size_t)THREADS * ROUNDS, sizeof *traces);
    *count = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        for (unsigned k = 0; k < workers[i].made; k++)
            traces[(*count)++] = workers[i].traces[k];
    }
    return traces;
}

static struct kf_encrypt_options message_options(void)
{
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    return options;
}

static void encrypt_once(struct worker *worker)
{
    struct kf_buf message = KF_BUF_INIT;
    const struct kf_encrypt_options options = message_options();
    enum kf_code code = kf_encrypt(worker->shared->cmm, &options, kf_view_text("plaintext"), NULL, &message);
    if (code == KF_OK)
        worker->traces[worker->made++] = key_trace_of_message(kf_view_of(message.data, message.length));
    else
        worker->failed++;
    kf_buf_free(&message);
}

static void *encrypt_many(void *context)
{
    struct worker *worker = context;
    pthread_barrier_wait(&worker->shared->start);
    for (unsigned i = 0; i < worker->messages; i++)
        encrypt_once(worker);
    return NULL;
}

static void wait_until_seated(struct kf_cache *cache, uint64_t callers)
{
    struct kf_cache_stats stats = {.size = sizeof stats};
    for (kf_cache_stats_read(cache, &stats); stats.waiting < callers; kf_cache_stats_read(cache, &stats))
        sched_yield();
}

static void test_a_burst_of_threads_is_exact(void **state)
{
    (void)state;
    static const size_t capacities[] = {0, 1, 100};
    for (size_t i = 0; i < 3; i++) {
        struct kf_cmm *backing;
        struct told *told = told_new(&backing);
        struct shared shared;
        shared_open(&shared, backing, NULL, capacities[i], 3600000);
        struct worker *workers = start(&shared, 1, encrypt_many);
        wait_until_seated(shared.cache, THREADS);
        /* Whoever opens a flight has a seat a moment before the fetch begins. */
        told_wait_begun(told, THREADS / LIMIT);
        assert_int_equal(told_in_flight(told), THREADS / LIMIT);
        told_answer_all(told, KF_OK);

        size_t count, most;
        struct key_trace *traces = finish(workers, &count);
        assert_int_equal(count, THREADS);
        assert_int_equal(key_traces_count(traces, count, &most), THREADS / LIMIT);
        assert_int_equal(most, LIMIT);
        assert_int_equal(told_begun(told), THREADS / LIMIT);
        free(traces);
        free(workers);
        shared_close(&shared);
        kf_cmm_unref(backing);
        told_free(told);
    }
}

/*
 * A local keyring lands at once: hits, misses and landings mix freely, and the entry is never evicted, so the
 * count is exact.
 */
static void test_any_interleaving_is_exact_without_eviction(void **state)
{
    (void)state;
    struct kf_keyring *keyring = support_keyring();
    struct shared shared;
    shared_open(&shared, NULL, keyring, 100, 3600000);
    struct worker *workers = start(&shared, ROUNDS, encrypt_many);
    size_t count, most;
    struct key_trace *traces = finish(workers, &count);
    assert_int_equal(count, (size_t)THREADS * ROUNDS);
    assert_int_equal(key_traces_count(traces, count, &most), count / LIMIT);
    assert_int_equal(most, LIMIT);
    struct kf_cache_stats stats = {.size = sizeof stats};
    kf_cache_stats_read(shared.cache, &stats);
    assert_int_equal(stats.hits + stats.coalesced + stats.flights_opened, count);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.flights_failed, 0);
    assert_int_equal(stats.flights_opened, count / LIMIT);
    free(traces);
    free(workers);
    shared_close(&shared);
    kf_keyring_unref(keyring);
}

static void nothing(void *context)
{
    (void)context;
}

/* One caller in three gives up, by freeing its operation, at any moment; keys age within milliseconds. */
static void *encrypt_or_leave(void *context)
{
    struct worker *worker = context;
    const struct kf_waker waker = {nothing, NULL};
    pthread_barrier_wait(&worker->shared->start);
    for (unsigned i = 0; i < worker->messages; i++) {
        if ((worker->number + i) % 3 != 0) {
            encrypt_once(worker);
            continue;
        }
        struct kf_encrypt_options options = message_options();
        options.plaintext_bound = 9;
        struct kf_encryptor *encryptor;
        if (kf_encryptor_new(worker->shared->cmm, &options, NULL, &encryptor) != KF_OK)
            continue;
        struct kf_io io = {.in = NULL};
        if (kf_encryptor_poll(encryptor, &io, &waker) >= KF_OK)
            worker->cancelled++;
        kf_encryptor_free(encryptor);
    }
    return NULL;
}

static void *clear_now_and_then(void *context)
{
    struct shared *shared = context;
    struct kf_cache_stats stats = {.size = sizeof stats};
    for (unsigned i = 0; i < 200; i++) {
        kf_cache_clear(shared->cache);
        kf_cache_stats_read(shared->cache, &stats);
        sched_yield();
    }
    return NULL;
}

static void test_leaving_ageing_and_clearing_at_once(void **state)
{
    (void)state;
    struct kf_cmm *backing;
    struct told *told = told_new(&backing);
    told_answer_always(told, true);
    struct shared shared;
    shared_open(&shared, backing, NULL, 1, 2);
    struct worker *workers = start(&shared, ROUNDS, encrypt_or_leave);
    pthread_t clearer;
    assert_int_equal(pthread_create(&clearer, NULL, clear_now_and_then, &shared), 0);
    size_t count, most;
    struct key_trace *traces = finish(workers, &count);
    pthread_join(clearer, NULL);
    unsigned failed = 0, cancelled = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        failed += workers[i].failed;
        cancelled += workers[i].cancelled;
    }
    assert_int_equal(failed, 0);
    assert_int_equal(count + cancelled, (size_t)THREADS * ROUNDS);
    (void)key_traces_count(traces, count, &most);
    assert_true(most <= LIMIT);
    free(traces);
    free(workers);
    shared_close(&shared);
    kf_cmm_unref(backing);
    told_free(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_of_threads_is_exact),
        cmocka_unit_test(test_any_interleaving_is_exact_without_eviction),
        cmocka_unit_test(test_leaving_ageing_and_clearing_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
