/*
 * bench/thread: what the internal thread has to do for a fetch, for a call to KMS, and for a new connection, and how
 * many of each one core can carry; and how long the thread is kept while connections begin. Medians of CPU time (of all
 * threads but the caller's), so that what else runs on the machine changes little. As a measure for the connections it opens bare ones by OpenSSL alone.
 *
 * It drives the callers of `keyflight storm`, whose files it includes.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <keyflight/aws.h>

#include "key_service.h"
#include "storm/callers.c"

#define FETCHES 5000
#define CALLS 2000
#define CONNECTIONS 500
#define RUNS 9

static void demand(enum kf_code code, const struct kf_error *error)
{
    if (code == KF_OK)
        return;
    fprintf(stderr, "bench/thread: %s: %s\n", kf_code_name(code), error->text);
    exit(EXIT_FAILURE);
}

/* CPU time of all threads but this one. */
static double others_us(void)
{
    return cpu_us(CLOCK_PROCESS_CPUTIME_ID) - cpu_us(CLOCK_THREAD_CPUTIME_ID);
}

/* Each caller opens a flight of its own. */
static struct kf_cmm *caching_cmm(struct kf_caching_cmm_options options)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = NULL;
    demand(kf_cache_new(0, &error, &options.cache), &error);
    options.max_age_ms = 60000;
    options.max_messages = 1;
    demand(kf_caching_cmm_new(&options, &error, &cmm), &error);
    kf_cache_unref(options.cache);
    return cmm;
}

/* ---- Callers ---- */

static struct storm_caller callers[FETCHES];

/*
 * `count` callers ask at once; `landing` is called when all wait. The CPU time of the library's threads for each, up
 * to the last answer, which has to be `expected`.
 */
static double ask_all(struct kf_cmm *cmm, size_t count, void (*landing)(void), enum storm_state expected)
{
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_encryption_context *context = NULL;
    struct storm_queue queue;
    demand(kf_encryption_context_of(&error, &context, "purpose", "bench", (char *)NULL), &error);
    struct storm_job job = {
        .cmm = cmm, .suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, .bytes = 1024, .contexts = &context};
    memset(callers, 0, sizeof callers);
    storm_queue_init(&queue);
    for (size_t i = 0; i < count; i++) {
        callers[i].job = &job;
        demand(storm_caller_begin(&callers[i], 0, &error), &error);
    }
    const double before = others_us();
    for (size_t i = 0; i < count; i++)
        storm_queue_ask(&queue, &callers[i]);
    if (landing != NULL)
        landing();
    storm_queue_wait(&queue, callers, count, 60000);
    const double spent = others_us() - before;
    for (size_t i = 0; i < count; i++) {
        if (callers[i].state != expected) {
            storm_caller_error(&callers[i], &error);
            demand(error.code != KF_OK ? error.code : KF_E_BUG, &error);
        }
        storm_caller_end(&callers[i]);
    }
    storm_queue_end(&queue);
    kf_encryption_context_unref(context);
    return spent / (double)count;
}

/* ---- A fetch that costs nothing itself: it waits, is woken, and fails ---- */

static struct kf_call_waker *waiting[FETCHES];
static size_t waiting_count;

static enum kf_code fail_later(void *self, struct kf_call *call, const struct kf_encryption_request *request,
                               struct kf_error *error, const struct kf_encryption_materials **out)
{
    (void)request, (void)out;
    if (kf_call_state(call) != NULL)
        return kf_error_set(error, KF_E_KEYS, "As it was meant.");
    kf_call_state_set(call, self, NULL);
    waiting[waiting_count++] = kf_call_waker_of(call);
    return KF_PENDING;
}

static enum kf_code never(void *self, struct kf_call *call, const struct kf_decryption_request *request,
                          struct kf_error *error, const struct kf_decryption_materials **out)
{
    (void)self, (void)call, (void)request, (void)out;
    return kf_error_set(error, KF_E_KEYS, "It only encrypts.");
}

static void wake_all(void)
{
    while (waiting_count > 0) {
        kf_call_waker_wake(waiting[--waiting_count]);
        kf_call_waker_unref(waiting[waiting_count]);
    }
}

static double fetch(void)
{
    static const struct kf_cmm_vtable vtable = {sizeof vtable, fail_later, never, NULL, true};
    static int self;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    demand(kf_cmm_new(&vtable, &self, &error, &options.cmm), &error);
    struct kf_cmm *cmm = caching_cmm(options);
    kf_cmm_unref(options.cmm);
    const double spent = ask_all(cmm, FETCHES, wake_all, STORM_FAILED);
    kf_cmm_unref(cmm);
    return spent;
}

/* ---- Calls to KMS ---- */

static struct kf_cmm *kms_cmm(const struct key_service *service, const char *scheme, int port,
                              uint32_t connections)
{
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    struct kf_aws_client_options client = KF_AWS_CLIENT_OPTIONS_INIT;
    struct kf_aws_kms_keyring_options keyring = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    char url[64];
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%d", scheme, port);
    credentials.access_key_id = kf_view_text("AKIDEXAMPLE");
    credentials.secret_access_key = kf_view_text("the-secret-of-the-bench");
    demand(kf_aws_static_credentials_new(&credentials, &error, &client.credentials), &error);
    client.endpoint_url = url;
    client.ca_bundle = service->certificate;
    client.max_connections = connections;
    demand(kf_aws_client_new(&client, &error, &keyring.client), &error);
    keyring.generator = KEY_SERVICE_KEY;
    demand(kf_aws_kms_keyring_new(&keyring, &error, &options.keyring), &error);
    options.fetch_timeout_ms = 60000;
    struct kf_cmm *cmm = caching_cmm(options);
    kf_aws_credentials_provider_unref(client.credentials);
    kf_aws_client_unref(keyring.client);
    kf_keyring_unref(options.keyring);
    return cmm;
}

/* A call over one of 50 connections that are there. */
static double warm_call(const struct key_service *service, const char *scheme, int port)
{
    struct kf_cmm *cmm = kms_cmm(service, scheme, port, 50);
    (void)ask_all(cmm, 50, NULL, STORM_HOLDS);
    const double spent = ask_all(cmm, CALLS, NULL, STORM_HOLDS);
    kf_cmm_unref(cmm);
    return spent;
}

/* A call that needs a new connection, as do all that are under way with it. */
static double cold_call(const struct key_service *service, int port)
{
    struct kf_cmm *cmm = kms_cmm(service, "https", port, CONNECTIONS);
    const double spent = ask_all(cmm, CONNECTIONS, NULL, STORM_HOLDS);
    kf_cmm_unref(cmm);
    return spent;
}

/* ---- How long the thread is kept: a fetch that wakes itself, and looks how far apart its polls are ---- */

struct watch {
    double last_us, longest_us; /* CPU time of the internal thread */
    atomic_bool over;
};

static enum kf_code watch_turns(void *self, struct kf_call *call, const struct kf_encryption_request *request,
                                struct kf_error *error, const struct kf_encryption_materials **out)
{
    (void)request, (void)out;
    struct watch *watch = self;
    if (atomic_load(&watch->over))
        return kf_error_set(error, KF_E_KEYS, "It has seen enough.");
    if (kf_call_state(call) != NULL) {
        const double now_us = cpu_us(CLOCK_THREAD_CPUTIME_ID), kept_us = now_us - watch->last_us;
        if (watch->last_us > 0 && kept_us > watch->longest_us)
            watch->longest_us = kept_us;
        watch->last_us = now_us;
    }
    kf_call_state_set(call, self, NULL); /* the first poll was on the caller's thread */
    struct kf_call_waker *waker = kf_call_waker_of(call);
    kf_call_waker_wake(waker);
    kf_call_waker_unref(waker);
    return KF_PENDING;
}

static void no_wake(void *unused)
{
    (void)unused;
}

/* The longest time for which the internal thread was kept while `connections` began. */
static double longest_turn(const struct key_service *service, int port, uint32_t connections)
{
    static const struct kf_cmm_vtable vtable = {sizeof vtable, watch_turns, never, NULL, true};
    static const struct kf_waker waker = {no_wake, NULL};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_encrypt_options encrypt = KF_ENCRYPT_OPTIONS_INIT;
    struct watch watch = {0};
    struct kf_encryptor *encryptor = NULL;
    struct kf_io io = {0};
    demand(kf_cmm_new(&vtable, &watch, &error, &options.cmm), &error);
    options.fetch_timeout_ms = 60000;
    struct kf_cmm *watching = caching_cmm(options), *cmm = kms_cmm(service, "https", port, connections);
    encrypt.plaintext_bound = 1;
    demand(kf_encryptor_new(watching, &encrypt, &error, &encryptor), &error);
    if (kf_encryptor_poll(encryptor, &io, &waker) != KF_PENDING)
        demand(KF_E_BUG, &error);
    (void)ask_all(cmm, connections, NULL, STORM_HOLDS);
    atomic_store(&watch.over, true);
    if (kf_encryptor_poll(encryptor, &io, NULL) != KF_E_KEYS)
        demand(KF_E_BUG, &error);
    kf_encryptor_free(encryptor);
    kf_cmm_unref(cmm);
    kf_cmm_unref(watching);
    kf_cmm_unref(options.cmm);
    return watch.longest_us;
}

/* A connection by OpenSSL alone, with the certificate verified, on this thread. */
static double bare_connection(const struct key_service *service, int port)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(tls, service->certificate, NULL) != 1)
        exit(EXIT_FAILURE);
    const double before = cpu_us(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        SSL *ssl = SSL_new(tls);
        SSL_set_fd(ssl, fd);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || SSL_connect(ssl) != 1)
            exit(EXIT_FAILURE);
        SSL_free(ssl);
        close(fd);
    }
    const double spent = cpu_us(CLOCK_THREAD_CPUTIME_ID) - before;
    SSL_CTX_free(tls);
    return spent / CONNECTIONS;
}

/* ---- The report ---- */

static void report(const char *what, double us, double bare_us)
{
    printf("  %-38s %8.1f us   %6.2f bare connections   %9.0f a second\n", what, us, us / bare_us, 1e6 / us);
}

int main(void)
{
    enum {
        FETCH,
        PLAIN,
        TLS,
        COLD,
        BARE,
        TURN_OF_50,
        TURN_OF_200,
        KINDS
    };
    static double spent[KINDS][RUNS];
    struct key_service service;
    (void)signal(SIGPIPE, SIG_IGN);
    key_service_start(&service, 1, 2 + 3 * RUNS);
    for (size_t i = 0; i < RUNS; i++) {
        spent[FETCH][i] = fetch();
        spent[PLAIN][i] = warm_call(&service, "http", service.ports[0]);
        spent[TLS][i] = warm_call(&service, "https", service.ports[1]);
        spent[COLD][i] = cold_call(&service, service.ports[2 + i]);
        kf_cleanup(); /* closes all connections: libcurl looks through the idle ones now and then */
        spent[BARE][i] = bare_connection(&service, service.ports[1]);
        spent[TURN_OF_50][i] = longest_turn(&service, service.ports[2 + RUNS + i], 50);
        spent[TURN_OF_200][i] = longest_turn(&service, service.ports[2 + 2 * RUNS + i], 200);
    }
    kf_cleanup();
    key_service_stop(&service);
    const double bare = median(spent[BARE], RUNS);
    printf("CPU time of the library's threads, medians of %d runs:\n", RUNS);
    report("a fetch", median(spent[FETCH], RUNS), bare);
    report("a call to KMS, plain, connected", median(spent[PLAIN], RUNS), bare);
    report("a call to KMS, TLS, connected", median(spent[TLS], RUNS), bare);
    report("a call to KMS, TLS, a new connection", median(spent[COLD], RUNS), bare);
    report("a connection by OpenSSL alone", bare, bare);
    printf("The longest time for which the internal thread is kept while TLS connections begin:\n");
    printf("   50 at once: %6.2f ms\n", median(spent[TURN_OF_50], RUNS) / 1000);
    printf("  200 at once: %6.2f ms\n", median(spent[TURN_OF_200], RUNS) / 1000);
    return EXIT_SUCCESS;
}
