/*
 * The caching CMM with all its options at once, under many threads, with a keyring that answers from workers:
 * the counts hold as without the options. Threads only note what they got; the test's own thread judges.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/asker.h"
#include "support/keys_used.h"

#define THREADS 24
#define ROUNDS 60
#define LIMIT 7
#define POLLERS 3000

/* A keyring that blocks its workers until it is opened, and tells when the last of them is done with it. */
static struct {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool open, destroyed;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};

static void gate_set(bool *flag)
{
    pthread_mutex_lock(&gate.lock);
    *flag = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_await(const bool *flag)
{
    pthread_mutex_lock(&gate.lock);
    while (!*flag)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static enum kf_code gate_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_materials *materials, struct kf_error *error,
                                 struct kf_wrapped *out)
{
    gate_await(&gate.open);
    return kf_keyring_on_encrypt(self, kf_call_child(call, 0), materials, error, out);
}

static enum kf_code gate_decrypt(void *self, struct kf_call *call,
                                 const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                 size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    return kf_keyring_on_decrypt(self, kf_call_child(call, 0), materials, edks, edk_count, error, out);
}

static void gate_destroy(void *self)
{
    kf_keyring_unref(self);
    gate_set(&gate.destroyed);
}

static struct kf_keyring *blocking(uint32_t max_workers)
{
    static const struct kf_keyring_vtable vtable = {sizeof vtable, gate_encrypt, gate_decrypt, gate_destroy,
                                                    false};
    struct kf_blocking_keyring_options options = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    gate.open = gate.destroyed = false;
    assert_ok(kf_keyring_new(&vtable, support_keyring(), &error, &options.keyring), &error);
    options.max_workers = max_workers;
    assert_ok(kf_blocking_keyring_new(&options, &error, &keyring), &error);
    kf_keyring_unref(options.keyring);
    return keyring;
}

/* Events by kind. */
static atomic_uint told[KF_CACHE_LOW_REUSE + 1];

static void on_event(void *context, const struct kf_cache_event *event)
{
    (void)context;
    atomic_fetch_add(&told[event->kind], 1);
}

struct stage {
    struct kf_keyring *keyring;
    struct kf_cache *cache;
    struct kf_cmm *cmm;
};

static void stage_open(struct stage *stage, struct kf_caching_cmm_options options, uint32_t workers)
{
    struct kf_error error = KF_ERROR_INIT;
    for (size_t i = 0; i <= KF_CACHE_LOW_REUSE; i++)
        atomic_store(&told[i], 0);
    stage->keyring = options.keyring = blocking(workers);
    assert_ok(kf_cache_new(10, &error, &stage->cache), &error);
    assert_ok(kf_cache_listener_new(on_event, NULL, NULL, &error, &options.listener), &error);
    options.cache = stage->cache;
    assert_ok(kf_caching_cmm_new(&options, &error, &stage->cmm), &error);
    kf_cache_listener_unref(options.listener);
}

static struct kf_cache_stats stage_close(struct stage *stage)
{
    struct kf_cache_stats stats = {.size = sizeof stats};
    kf_cmm_unref(stage->cmm);
    kf_cleanup(); /* flights that are under way land */
    kf_cache_stats_read(stage->cache, &stats);
    kf_cache_unref(stage->cache);
    kf_keyring_unref(stage->keyring);
    gate_await(&gate.destroyed);
    return stats;
}

/* ---- Thousands of pollers in waves ---- */

static void test_waves_of_thousands_are_exact(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(LIMIT, KF_MAX_BYTES_LIMIT);
    options.max_flights = 3;
    struct stage stage;
    stage_open(&stage, options, 3);
    struct asker *askers = calloc(POLLERS, sizeof *askers);
    for (size_t i = 0; i < POLLERS; i++)
        assert_int_equal(asker_ask(&askers[i], stage.cmm, 1), KF_PENDING);
    gate_set(&gate.open);
    struct key_trace *traces = calloc(POLLERS, sizeof *traces);
    for (size_t i = 0; i < POLLERS; i++) {
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
        traces[i] = key_trace_of_materials(askers[i].encryption_materials);
    }
    size_t most;
    const size_t calls = (POLLERS + LIMIT - 1) / LIMIT;
    assert_int_equal(key_traces_count(traces, POLLERS, &most), calls);
    assert_int_equal(most, LIMIT);
    askers_leave(askers, POLLERS);
    free(askers);
    free(traces);
    const struct kf_cache_stats stats = stage_close(&stage);
    assert_int_equal(stats.flights_opened, calls);
    assert_int_equal(stats.hits + stats.coalesced + stats.flights_opened, POLLERS);
    assert_int_equal(stats.waves, calls - 3);
    assert_true(stats.queued == 0 && stats.waiting == 0);
    assert_int_equal(atomic_load(&told[KF_CACHE_MISS]), calls);
    assert_int_equal(atomic_load(&told[KF_CACHE_LANDED]), calls);
}

/* ---- Everything at once ---- */

struct worker {
    struct stage *stage;
    pthread_t thread;
    unsigned number, made, failed, left;
    struct key_trace traces[ROUNDS];
};

static void nothing(void *context)
{
    (void)context;
}

/* One message of few bytes through a bound of many; the thread may leave before it has its key. */
static void message(struct worker *worker, unsigned round)
{
    static const uint8_t plaintext[3];
    uint8_t out[1000];
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_encryptor *stream;
    const struct kf_waker waker = {nothing, NULL};
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    options.plaintext_bound = 50;
    if (kf_encryptor_new(worker->stage->cmm, &options, NULL, &stream) != KF_OK)
        return;
    struct kf_io io = {.in = plaintext, .in_length = 3, .in_end = true, .out = out, .out_room = sizeof out};
    const bool leaves = (worker->number + round) % 5 == 0;
    enum kf_code code = kf_encryptor_poll(stream, &io, leaves ? &waker : NULL);
    if (code == KF_OK)
        worker->traces[worker->made++] = key_trace_of_message(kf_view_of(out, io.out_used));
    else if (code == KF_PENDING)
        worker->left++;
    else
        worker->failed++;
    kf_encryptor_free(stream);
}

static void *work(void *context)
{
    struct worker *worker = context;
    for (unsigned i = 0; i < ROUNDS; i++)
        message(worker, i);
    return NULL;
}

static void *clear(void *context)
{
    struct stage *stage = context;
    struct kf_cache_stats stats = {.size = sizeof stats};
    for (unsigned i = 0; i < 100; i++) {
        kf_cache_clear(stage->cache);
        kf_cache_stats_read(stage->cache, &stats);
        sched_yield();
    }
    return NULL;
}

/* Runs all threads, and one that clears the cache meanwhile. Answers their traces. */
static struct key_trace *run(struct stage *stage, bool clears, size_t *made, size_t *left)
{
    struct worker *workers = calloc(THREADS, sizeof *workers);
    struct key_trace *traces = calloc((size_t)THREADS * ROUNDS, sizeof *traces);
    pthread_t clearer;
    *made = *left = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].stage = stage;
        workers[i].number = i;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    if (clears)
        assert_int_equal(pthread_create(&clearer, NULL, clear, stage), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].failed, 0);
        for (unsigned k = 0; k < workers[i].made; k++)
            traces[(*made)++] = workers[i].traces[k];
        *left += workers[i].left;
    }
    if (clears)
        pthread_join(clearer, NULL);
    free(workers);
    return traces;
}

static void everything_at_once(bool clears, uint64_t max_age_ms)
{
    struct kf_caching_cmm_options options = caching_options(LIMIT, 200);
    options.max_age_ms = max_age_ms;
    options.max_age_jitter_ms = max_age_ms / 2;
    options.refresh_ahead_permille = 400;
    options.max_flights = 2;
    options.failure_backoff_ms = 10;
    options.settle = true;
    struct stage stage;
    size_t made, left, most;
    stage_open(&stage, options, 4);
    gate_set(&gate.open);
    struct key_trace *traces = run(&stage, clears, &made, &left);
    assert_int_equal(made + left, THREADS * ROUNDS);
    const size_t keys = key_traces_count(traces, made, &most);
    assert_true(most <= LIMIT);
    free(traces);
    const struct kf_cache_stats stats = stage_close(&stage);
    assert_true(keys <= stats.flights_opened);
    assert_true(stats.queued == 0 && stats.waiting == 0);
    assert_true(stats.hits + stats.coalesced + stats.flights_opened - stats.refreshes >= made);
    assert_int_equal(atomic_load(&told[KF_CACHE_MISS]), stats.flights_opened);
    assert_int_equal(atomic_load(&told[KF_CACHE_LANDED]) + atomic_load(&told[KF_CACHE_FAILED]),
                     stats.flights_opened);
}

static void test_all_options_at_once(void **state)
{
    (void)state;
    everything_at_once(false, 3600000);
}

static void test_all_options_with_ageing_and_clearing(void **state)
{
    (void)state;
    everything_at_once(true, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waves_of_thousands_are_exact),
        cmocka_unit_test(test_all_options_at_once),
        cmocka_unit_test(test_all_options_with_ageing_and_clearing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
