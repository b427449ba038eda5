/*
 * Hits: how many the cache answers in a second, by threads, of one hot key and of many. Beside it a bare lock around a
 * counter, in the same rounds. Figures are medians of the rounds. Materials only: nothing is encrypted.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <keyflight/keyflight.h>

#include "materials/cache/cache.h"
#include "measure.h"
#include "support/bare_ledger.h"

#define KEYS 1024 /* of the many; so many for each thread that has its own */
#define THREADS_MAX 4
#define ROUNDS 21
#define WINDOW_MS 25
#define BATCH 64 /* uses between two looks whether the time is over */

static const size_t thread_counts[] = {1, 2, 4};
#define THREAD_COUNTS (sizeof thread_counts / sizeof thread_counts[0])

static struct {
    pthread_mutex_t lock;
    uint64_t counter;
    struct kf_cache *cache;
    struct kf_cmm *backing, *caching;
    struct kfi_cache_policy policy;
    struct kf_encryption_request request;
    atomic_bool stop;
} hits = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .policy = {.rules = {.limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX}}, .fetch_timeout_ms = 10000}};

static void demand(enum kf_code code, const struct kf_error *error)
{
    if (code == KF_OK)
        return;
    fprintf(stderr, "bench/cache: %s: %s\n", kf_code_name(code), error->text);
    exit(EXIT_FAILURE);
}

static int ascending(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

struct user {
    pthread_t thread;
    unsigned number;
    struct kf_call call;
    void (*use)(struct user *user, unsigned turn);
    pthread_barrier_t *start;
    uint64_t uses;
} __attribute__((aligned(128))); /* no two in one line of the processor's cache */

/* Asks the cache for the key of a number, as the caching CMM does. */
static void ask_cache(struct user *user, unsigned number)
{
    const struct kfi_materials *materials;
    enum kfi_cache_outcome outcome;
    struct kf_error error = KF_ERROR_INIT;
    struct kfi_cache_question question;
    question.policy = &hits.policy;
    question.key = bare_key(mixed(number));
    question.length = 1024;
    question.asked = (struct kfi_asked){KFI_ENCRYPTION, hits.backing, {.encryption = &hits.request}};
    demand(kfi_cache_ask(hits.cache, &user->call, &question, &error, &outcome, &materials), &error);
    kfi_materials_unref(materials);
}

static void use_lock(struct user *user, unsigned turn)
{
    (void)user;
    (void)turn;
    pthread_mutex_lock(&hits.lock);
    hits.counter++;
    pthread_mutex_unlock(&hits.lock);
}

static void use_hot(struct user *user, unsigned turn)
{
    (void)turn;
    ask_cache(user, 0);
}

static void use_shared(struct user *user, unsigned turn)
{
    ask_cache(user, (turn + user->number * (KEYS / THREADS_MAX)) % KEYS);
}

static void use_own(struct user *user, unsigned turn)
{
    ask_cache(user, user->number * KEYS + turn % KEYS);
}

static void use_cmm(struct user *user, unsigned turn)
{
    const struct kf_encryption_materials *materials;
    struct kf_error error = KF_ERROR_INIT;
    (void)turn;
    demand(kf_cmm_get_encryption_materials(hits.caching, &user->call, &hits.request, &error, &materials),
           &error);
    kf_encryption_materials_unref(materials);
}

static const struct {
    const char *name;
    void (*use)(struct user *user, unsigned turn);
} uses[] = {
    {"a bare lock around a counter", use_lock},         {"the cache, one hot key", use_hot},
    {"the cache, 1024 keys shared by all", use_shared}, {"the cache, 1024 keys for each thread", use_own},
    {"the caching CMM, one hot key", use_cmm},
};
#define USES (sizeof uses / sizeof uses[0])

static void user_begin(struct user *user, unsigned number)
{
    *user = (struct user){.number = number};
    kfi_call_init(&user->call, NULL);
}

/* Fetches the keys of all that users will ask for. */
static void hits_fill(void)
{
    static struct user user;
    for (unsigned number = 0; number < KEYS * THREADS_MAX; number++) {
        user_begin(&user, 0);
        ask_cache(&user, number);
        kfi_call_end(&user.call);
    }
    user_begin(&user, 0);
    use_cmm(&user, 0);
    kfi_call_end(&user.call);
}

static void hits_begin(void)
{
    static const uint8_t key[32] = {1};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_raw_aes_keyring_options keyring = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_caching_cmm_options caching = KF_CACHING_CMM_OPTIONS_INIT;
    keyring.key_name = kf_view_text("bench");
    keyring.wrapping_key = kf_view_of(key, sizeof key);
    demand(kf_raw_aes_keyring_new(&keyring, &error, &caching.keyring), &error);
    demand(kf_default_cmm_new(caching.keyring, &error, &hits.backing), &error);
    demand(kf_cache_new(KEYS * THREADS_MAX + 1, &error, &hits.cache), &error);
    caching.cache = hits.cache;
    caching.max_age_ms = UINT64_MAX;
    demand(kf_caching_cmm_new(&caching, &error, &hits.caching), &error);
    kf_keyring_unref(caching.keyring);
    hits.policy.stuck = kfi_stuck_new();
    if (hits.policy.stuck == NULL)
        exit(EXIT_FAILURE);
    hits.request.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    hits.request.plaintext_bound = 1024;
    hits_fill();
}

static void hits_end(void)
{
    kf_cmm_unref(hits.caching);
    kf_cmm_unref(hits.backing);
    kf_cache_unref(hits.cache);
    kfi_stuck_unref(hits.policy.stuck);
}

static void *user_run(void *context)
{
    struct user *user = context;
    unsigned turn = 0;
    pthread_barrier_wait(user->start);
    while (!atomic_load_explicit(&hits.stop, memory_order_relaxed)) {
        for (const unsigned end = turn + BATCH; turn != end; turn++)
            user->use(user, turn);
        user->uses += BATCH;
    }
    kfi_call_end(&user->call);
    return NULL;
}

/* Uses in a microsecond, of all threads together. */
static double rate_of(void (*use)(struct user *user, unsigned turn), size_t threads)
{
    static struct user users[THREADS_MAX];
    const struct timespec window = {.tv_nsec = WINDOW_MS * 1000000};
    pthread_barrier_t start;
    uint64_t all = 0;
    pthread_barrier_init(&start, NULL, (unsigned)threads + 1);
    atomic_store(&hits.stop, false);
    for (size_t i = 0; i < threads; i++) {
        user_begin(&users[i], (unsigned)i);
        users[i].use = use;
        users[i].start = &start;
        if (pthread_create(&users[i].thread, NULL, user_run, &users[i]) != 0)
            exit(EXIT_FAILURE);
    }
    pthread_barrier_wait(&start);
    const uint64_t began = now_ns();
    nanosleep(&window, NULL);
    atomic_store(&hits.stop, true);
    for (size_t i = 0; i < threads; i++) {
        pthread_join(users[i].thread, NULL);
        all += users[i].uses;
    }
    pthread_barrier_destroy(&start);
    return (double)all * 1000 / (double)(now_ns() - began);
}

/* What each thread loses, in percent of what it does alone on a core. More threads than cores share them. */
static double loss_of(double rate, double alone, size_t threads, size_t cores)
{
    return 100 * (1 - rate / (alone * (double)(threads < cores ? threads : cores)));
}

struct rounds {
    double of[ROUNDS];
};

static double rounds_median(struct rounds rounds)
{
    qsort(rounds.of, ROUNDS, sizeof rounds.of[0], ascending);
    return rounds.of[ROUNDS / 2];
}

static void use_print(const char *name, const struct rounds rates[THREAD_COUNTS],
                      const struct rounds *lock_rates, size_t cores)
{
    struct rounds each, locks, losses;
    for (size_t round = 0; round < ROUNDS; round++) {
        each.of[round] = 1 / rates[0].of[round];
        locks.of[round] = lock_rates->of[round] / rates[0].of[round];
    }
    printf("%-38s %9.3f %8.1f", name, rounds_median(each), rounds_median(locks));
    for (size_t i = 0; i < THREAD_COUNTS; i++)
        printf(" %9.2f", rounds_median(rates[i]));
    for (size_t i = 1; i < THREAD_COUNTS; i++) {
        for (size_t round = 0; round < ROUNDS; round++)
            losses.of[round] = loss_of(rates[i].of[round], rates[0].of[round], thread_counts[i], cores);
        printf(" %10.0f %%", rounds_median(losses));
    }
    printf("\n");
}

static void uses_print(struct rounds rates[USES][THREAD_COUNTS])
{
    const size_t cores = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    printf("hits in a us, %zu cores, %d rounds\n%-38s %9s %8s", cores, ROUNDS, "", "us each", "x lock");
    for (size_t i = 0; i < THREAD_COUNTS; i++)
        printf(" %zu %s", thread_counts[i], thread_counts[i] == 1 ? " thread" : "threads");
    for (size_t i = 1; i < THREAD_COUNTS; i++)
        printf(" %zu lose each", thread_counts[i]);
    printf("\n");
    for (size_t use = 0; use < USES; use++)
        use_print(uses[use].name, rates[use], &rates[0][0], cores);
}

static void measure_hits(void)
{
    static struct rounds rates[USES][THREAD_COUNTS];
    hits_begin();
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t use = 0; use < USES; use++) {
            for (size_t i = 0; i < THREAD_COUNTS; i++)
                rates[use][i].of[round] = rate_of(uses[use].use, thread_counts[i]);
        }
    }
    uses_print(rates);
    hits_end();
}
