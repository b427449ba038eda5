/*
 * bench/connections: whether a burst of new TLS connections would cost less if they were opened in another way. By
 * libcurl alone, as src/aws/service/http_curl.c uses it: one handle for all, which has them under way side by side on
 * one thread. Medians of CPU time; that of the busiest thread says how long the burst takes where the network is fast.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "key_service.h"

#define CONNECTIONS 200
#define RUNS 5
#define THREADS_MAX 2

struct way {
    const char *what;
    size_t threads;
    bool own_directory; /* of the system's certificates, beside a file of them */
    long per_host;      /* connections; 0: no limit */
};

struct burst {
    const struct way *way;
    const char *url, *bundle;
    double busy_us;
    double longest_us; /* the longest time for which libcurl kept the thread */
    unsigned failed;
};

static size_t ignore(char *data, size_t size, size_t count, void *context)
{
    (void)data, (void)context;
    return size * count;
}

static CURL *transfer_new(const struct burst *burst)
{
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, burst->url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_CAINFO, burst->bundle);
    curl_easy_setopt(easy, CURLOPT_CAPATH, burst->way->own_directory ? "/etc/ssl/certs" : NULL);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
    return easy;
}

static void *burst_run(void *context)
{
    struct burst *burst = context;
    CURLM *multi = curl_multi_init();
    CURL *transfers[CONNECTIONS];
    const size_t count = CONNECTIONS / burst->way->threads;
    int left = 1;
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 4096L);
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, burst->way->per_host);
    const double before = cpu_us(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < count; i++) {
        transfers[i] = transfer_new(burst);
        curl_multi_add_handle(multi, transfers[i]);
    }
    while (left > 0) {
        const double turn = cpu_us(CLOCK_THREAD_CPUTIME_ID);
        curl_multi_perform(multi, &left);
        const double kept = cpu_us(CLOCK_THREAD_CPUTIME_ID) - turn;
        burst->longest_us = kept > burst->longest_us ? kept : burst->longest_us;
        if (left > 0)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    burst->busy_us = cpu_us(CLOCK_THREAD_CPUTIME_ID) - before;
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &left)) != NULL;)
        burst->failed += message->data.result != CURLE_OK;
    for (size_t i = 0; i < count; i++) {
        curl_multi_remove_handle(multi, transfers[i]);
        curl_easy_cleanup(transfers[i]);
    }
    curl_multi_cleanup(multi);
    return NULL;
}

/* CPU time for each connection, of all threads and of the busiest one, and the longest turn of libcurl. */
struct figures {
    double all_us, busiest_us, longest_us;
};

static struct figures open_all(const struct way *way, const char *bundle, int port)
{
    struct burst bursts[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    struct figures figures = {0};
    char url[64];
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d/", port);
    for (size_t i = 0; i < way->threads; i++) {
        bursts[i] = (struct burst){.way = way, .url = url, .bundle = bundle};
        if (pthread_create(&threads[i], NULL, burst_run, &bursts[i]) != 0)
            exit(EXIT_FAILURE);
    }
    for (size_t i = 0; i < way->threads; i++) {
        pthread_join(threads[i], NULL);
        if (bursts[i].failed > 0) {
            fprintf(stderr, "bench/connections: %u transfers failed\n", bursts[i].failed);
            exit(EXIT_FAILURE);
        }
        const double busy_us = bursts[i].busy_us / CONNECTIONS;
        figures.all_us += busy_us;
        figures.busiest_us = busy_us > figures.busiest_us ? busy_us : figures.busiest_us;
        if (bursts[i].longest_us > figures.longest_us)
            figures.longest_us = bursts[i].longest_us;
    }
    return figures;
}

int main(void)
{
    static const struct way ways[] = {
        {.what = "side by side on one thread", .threads = 1},
        {.what = "on two threads", .threads = 2},
        {.what = "at most 50 for a host", .threads = 1, .per_host = 50},
        {.what = "with a directory of certificates", .threads = 1, .own_directory = true},
    };
    enum {
        WAYS = sizeof ways / sizeof ways[0]
    };
    double all[WAYS][RUNS], busiest[WAYS][RUNS], longest[WAYS][RUNS];
    struct key_service service;
    char bundle[80], command[300];
    (void)signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    key_service_start(&service, 0, 1);
    /* The system's certificates, and that of the service. */
    (void)snprintf(bundle, sizeof bundle, "%s.bundle", service.certificate);
    (void)snprintf(command, sizeof command, "cat /etc/ssl/certs/ca-certificates.crt %s > %s",
                   service.certificate, bundle);
    if (system(command) != 0)
        return EXIT_FAILURE;
    for (size_t run = 0; run < RUNS; run++)
        for (size_t way = 0; way < WAYS; way++) {
            const struct figures figures = open_all(&ways[way], bundle, service.ports[0]);
            all[way][run] = figures.all_us;
            busiest[way][run] = figures.busiest_us;
            longest[way][run] = figures.longest_us;
        }
    key_service_stop(&service);
    (void)unlink(bundle);
    printf("%d new TLS connections, CPU time for each, medians of %d runs:\n", CONNECTIONS, RUNS);
    const double one = median(all[0], RUNS);
    for (size_t way = 0; way < WAYS; way++) {
        const double us = median(all[way], RUNS);
        printf("  %-34s %8.1f us, %5.2f of the first; busiest thread %5.2f; longest turn %7.2f ms\n",
               ways[way].what, us, us / one, median(busiest[way], RUNS) / one,
               median(longest[way], RUNS) / 1000);
    }
    return EXIT_SUCCESS;
}
