/*
 * A key service on loopback in a process of its own, for benches that measure their own CPU time: it answers each
 * request with the same data key. It is given as many ports as the bench wants cold connections, since a kept
 * connection belongs to one port.
 */
#ifndef BENCH_KEY_SERVICE_H
#define BENCH_KEY_SERVICE_H

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "support/http_server.c"

#define KEY_SERVICE_PORTS 64
#define KEY_SERVICE_KEY "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

struct key_service {
    pid_t process;
    char certificate[64]; /* the file that has it */
    int ports[KEY_SERVICE_PORTS];
};

/* The first request of a connection is answered late, so that all that a burst needs are opened before one is free. */
static void key_service_answer(const struct http_asked *asked, struct http_answer *answer)
{
    static _Thread_local bool begun; /* each connection has a thread */
    (void)asked;
    if (!begun)
        (void)usleep(600000);
    begun = true;
    answer->body = "{\"CiphertextBlob\":\"AQIDBAUGBwgJCgsMDQ4PEA==\",\"KeyId\":\"" KEY_SERVICE_KEY
                   "\",\"Plaintext\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}";
    answer->body_length = strlen(answer->body);
}

static void key_service_run(const struct key_service *service, size_t plain, size_t count, int out)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    SSL_CTX *tls = http_server_tls(service->certificate, 0);
    for (size_t i = 0; i < count; i++) {
        const int port = http_server_port(http_server_new(i < plain ? NULL : tls, key_service_answer));
        if (write(out, &port, sizeof port) != sizeof port)
            exit(EXIT_FAILURE);
    }
    for (;;)
        (void)pause();
}

/* The first `plain` of the `count` ports speak HTTP, the others HTTPS. */
static void key_service_start(struct key_service *service, size_t plain, size_t count)
{
    struct rlimit files;
    int ends[2];
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)snprintf(service->certificate, sizeof service->certificate, "key-service-%d.pem", (int)getpid());
    if (count > KEY_SERVICE_PORTS || pipe(ends) != 0 || (service->process = fork()) < 0)
        exit(EXIT_FAILURE);
    if (service->process == 0)
        key_service_run(service, plain, count, ends[1]);
    close(ends[1]);
    for (size_t i = 0; i < count; i++) {
        if (read(ends[0], &service->ports[i], sizeof service->ports[i]) != sizeof service->ports[i])
            exit(EXIT_FAILURE);
    }
    close(ends[0]);
}

static void key_service_stop(const struct key_service *service)
{
    kill(service->process, SIGKILL);
    (void)waitpid(service->process, NULL, 0);
    (void)unlink(service->certificate);
}

/* ---- CPU time, in microseconds ---- */

static double cpu_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_size(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
}

#endif
