/*
 * A metadata service on loopback: a thread that answers each request as a script says, and keeps what was
 * asked.
 */
#ifndef TESTS_AWS_METADATA_SERVER_H
#define TESTS_AWS_METADATA_SERVER_H

#include "support/support.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define METADATA_REQUESTS 16

/* One answer: to a request that begins so (NULL: to any). Each is given once, in order. */
struct metadata_answer {
    const char *begins;
    int status; /* 0: the connection is closed without an answer */
    const char *body;
};

static struct {
    int listener;
    unsigned port;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    struct metadata_answer script[METADATA_REQUESTS];
    size_t length, answered;
    char requests[METADATA_REQUESTS][20000];
} metadata = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Reads the head of a request; requests here have no body. */
static inline bool metadata_read(int connection, char *text, size_t room)
{
    size_t length = 0;
    text[0] = '\0';
    while (length + 1 < room && strstr(text, "\r\n\r\n") == NULL) {
        ssize_t got = recv(connection, text + length, room - 1 - length, 0);
        if (got <= 0)
            return false;
        length += (size_t)got;
        text[length] = '\0';
    }
    return true;
}

static inline void metadata_serve(int connection)
{
    static char request[20000], response[70000];
    if (!metadata_read(connection, request, sizeof request))
        return;
    pthread_mutex_lock(&metadata.lock);
    struct metadata_answer answer = {NULL, 418, "not in the script"};
    if (metadata.answered < metadata.length) {
        answer = metadata.script[metadata.answered];
        memcpy(metadata.requests[metadata.answered], request, sizeof request);
    }
    metadata.answered++;
    pthread_mutex_unlock(&metadata.lock);
    if (answer.begins != NULL && strncmp(request, answer.begins, strlen(answer.begins)) != 0)
        answer = (struct metadata_answer){NULL, 417, "other than the script expects"};
    if (answer.status == 0)
        return;
    int length = snprintf(response, sizeof response,
                          "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                          answer.status, strlen(answer.body), answer.body);
    (void)send(connection, response, (size_t)length, MSG_NOSIGNAL);
}

static inline void *metadata_main(void *unused)
{
    for (;;) {
        int connection = accept(metadata.listener, NULL, NULL);
        if (connection < 0)
            return unused;
        metadata_serve(connection);
        close(connection);
    }
}

static inline void metadata_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    metadata.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(metadata.listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(metadata.listener, 16), 0);
    assert_int_equal(getsockname(metadata.listener, (struct sockaddr *)&address, &length), 0);
    metadata.port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&metadata.thread, NULL, metadata_main, NULL), 0);
}

static inline void metadata_stop(void)
{
    shutdown(metadata.listener, SHUT_RDWR); /* which ends the accept */
    pthread_join(metadata.thread, NULL);
    close(metadata.listener);
}

/* From now on these are the answers. */
static inline void metadata_script(const struct metadata_answer *script, size_t length)
{
    assert_true(length <= METADATA_REQUESTS);
    pthread_mutex_lock(&metadata.lock);
    if (length > 0)
        memcpy(metadata.script, script, length * sizeof *script);
    metadata.length = length;
    metadata.answered = 0;
    pthread_mutex_unlock(&metadata.lock);
}

static inline size_t metadata_answered(void)
{
    pthread_mutex_lock(&metadata.lock);
    size_t answered = metadata.answered;
    pthread_mutex_unlock(&metadata.lock);
    return answered;
}

/* Whether request `index` had this header line. */
static inline bool metadata_had(size_t index, const char *line)
{
    char whole[20000];
    snprintf(whole, sizeof whole, "\r\n%s\r\n", line);
    pthread_mutex_lock(&metadata.lock);
    bool had = strcasestr(metadata.requests[index], whole) != NULL;
    pthread_mutex_unlock(&metadata.lock);
    return had;
}

#endif
