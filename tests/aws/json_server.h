/*
 * An AWS service on loopback that answers as it is told, one connection at a time, and keeps what it was asked.
 */
#ifndef TESTS_AWS_JSON_SERVER_H
#define TESTS_AWS_JSON_SERVER_H

#include "support/support.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define JSON_SERVER_KEPT 8         /* requests, and answers that wait */
#define JSON_SERVER_ROOM (1 << 18) /* of one request */

struct json_answer {
    int status;          /* 0: the connection is closed without an answer */
    const char *headers; /* NULL, or whole lines: "name: value\r\n" */
    const char *body;    /* NULL: empty */
};

static struct {
    int listener;
    char url[64];
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    struct json_answer answers[JSON_SERVER_KEPT];
    unsigned told, given, asked;
    bool held, stopping;
    char requests[JSON_SERVER_KEPT][JSON_SERVER_ROOM];
} json_server = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Reads one request, head and body. */
static inline bool json_server_read(int connection, char *text)
{
    size_t length = 0, wanted = SIZE_MAX;
    while (length < wanted) {
        const ssize_t got = recv(connection, text + length, JSON_SERVER_ROOM - 1 - length, 0);
        if (got <= 0)
            return false;
        length += (size_t)got;
        text[length] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *line = strcasestr(text, "\r\ncontent-length:");
        if (end != NULL)
            wanted = (size_t)(end - text) + 4 + (line != NULL ? strtoul(line + 17, NULL, 10) : 0);
    }
    return true;
}

/* Keeps the request and waits until it may be answered; false: not at all. */
static inline bool json_server_next(const char *request, struct json_answer *answer)
{
    pthread_mutex_lock(&json_server.lock);
    snprintf(json_server.requests[json_server.asked++ % JSON_SERVER_KEPT], JSON_SERVER_ROOM, "%s", request);
    pthread_cond_broadcast(&json_server.changed);
    while (json_server.held && !json_server.stopping)
        pthread_cond_wait(&json_server.changed, &json_server.lock);
    *answer = json_server.answers[json_server.given % JSON_SERVER_KEPT];
    if (json_server.given + 1 < json_server.told)
        json_server.given++;
    pthread_mutex_unlock(&json_server.lock);
    return answer->status != 0;
}

static inline void *json_server_run(void *unused)
{
    static char request[JSON_SERVER_ROOM], head[1024];
    (void)unused;
    for (int connection; (connection = accept(json_server.listener, NULL, NULL)) >= 0; close(connection)) {
        struct json_answer answer;
        if (!json_server_read(connection, request) || !json_server_next(request, &answer))
            continue;
        const char *body = answer.body != NULL ? answer.body : "";
        const int length = snprintf(
            head, sizeof head, "HTTP/1.1 %d Told\r\nconnection: close\r\ncontent-length: %zu\r\n%s\r\n",
            answer.status, strlen(body), answer.headers != NULL ? answer.headers : "");
        if (send(connection, head, (size_t)length, MSG_NOSIGNAL) == length)
            (void)!send(connection, body, strlen(body), MSG_NOSIGNAL);
        shutdown(connection, SHUT_WR);
        while (recv(connection, head, sizeof head, 0) > 0) /* until the other side has closed */
            ;
    }
    return NULL;
}

static inline void json_server_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    json_server.told = json_server.given = json_server.asked = 0;
    json_server.held = json_server.stopping = false;
    json_server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(json_server.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(json_server.listener, 16), 0);
    assert_int_equal(getsockname(json_server.listener, (struct sockaddr *)&address, &length), 0);
    snprintf(json_server.url, sizeof json_server.url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&json_server.thread, NULL, json_server_run, NULL), 0);
}

/* Nobody may be connected any more. */
static inline void json_server_stop(void)
{
    pthread_mutex_lock(&json_server.lock);
    json_server.stopping = true;
    pthread_cond_broadcast(&json_server.changed);
    pthread_mutex_unlock(&json_server.lock);
    shutdown(json_server.listener, SHUT_RDWR);
    pthread_join(json_server.thread, NULL);
    close(json_server.listener);
}

/* Forgets the answers that were told before, and what was asked. */
static inline void json_server_forget(void)
{
    pthread_mutex_lock(&json_server.lock);
    json_server.told = json_server.given = json_server.asked = 0;
    pthread_mutex_unlock(&json_server.lock);
}

/* One more answer; the last one is given for ever. */
static inline void json_server_tell(struct json_answer answer)
{
    pthread_mutex_lock(&json_server.lock);
    json_server.answers[json_server.told++ % JSON_SERVER_KEPT] = answer;
    pthread_mutex_unlock(&json_server.lock);
}

/* From now on answers are held back, or no longer. */
static inline void json_server_hold(bool held)
{
    pthread_mutex_lock(&json_server.lock);
    json_server.held = held;
    pthread_cond_broadcast(&json_server.changed);
    pthread_mutex_unlock(&json_server.lock);
}

/* Waits until so many requests have come. */
static inline void json_server_wait(unsigned count)
{
    pthread_mutex_lock(&json_server.lock);
    while (json_server.asked < count)
        pthread_cond_wait(&json_server.changed, &json_server.lock);
    pthread_mutex_unlock(&json_server.lock);
}

static inline unsigned json_server_asked(void)
{
    pthread_mutex_lock(&json_server.lock);
    const unsigned asked = json_server.asked;
    pthread_mutex_unlock(&json_server.lock);
    return asked;
}

/* Request `index`, one that has been answered. */
static inline const char *json_server_request(unsigned index)
{
    return json_server.requests[index % JSON_SERVER_KEPT];
}

static inline const char *json_server_body(unsigned index)
{
    return strstr(json_server_request(index), "\r\n\r\n") + 4;
}

/* Whether request `index` has the header line. */
static inline bool json_server_has(unsigned index, const char *line)
{
    char whole[256];
    snprintf(whole, sizeof whole, "\r\n%s\r\n", line);
    return strcasestr(json_server_request(index), whole) != NULL;
}

#endif
