/*
 * An AWS service on loopback that answers as it is told, each time on a new connection, and keeps what it was asked.
 */
#ifndef TESTS_AWS_JSON_SERVER_H
#define TESTS_AWS_JSON_SERVER_H

#include "support/http_server.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#define JSON_SERVER_KEPT 8 /* requests, and answers that wait */

struct json_answer {
    int status;          /* 0: the connection is closed without an answer */
    const char *headers; /* NULL, or whole lines: "name: value\r\n" */
    const char *body;    /* NULL: empty */
};

static struct {
    struct http_server *server;
    char url[64];
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    struct json_answer answers[JSON_SERVER_KEPT];
    unsigned told, given, asked;
    bool held, stopping;
    struct http_asked requests[JSON_SERVER_KEPT];
    char headers[JSON_SERVER_KEPT][512]; /* of their answers */
} json_server = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Keeps the request and waits until it may be answered. */
static inline void json_server_answer(const struct http_asked *asked, struct http_answer *out)
{
    pthread_mutex_lock(&json_server.lock);
    const unsigned index = json_server.asked++ % JSON_SERVER_KEPT;
    json_server.requests[index] = *asked;
    pthread_cond_broadcast(&json_server.changed);
    while (json_server.held && !json_server.stopping)
        pthread_cond_wait(&json_server.changed, &json_server.lock);
    const struct json_answer answer = json_server.answers[json_server.given % JSON_SERVER_KEPT];
    if (json_server.given + 1 < json_server.told)
        json_server.given++;
    pthread_mutex_unlock(&json_server.lock);
    snprintf(json_server.headers[index], sizeof json_server.headers[index], "connection: close\r\n%s",
             answer.headers != NULL ? answer.headers : "");
    *out = (struct http_answer){
        .how = answer.status == 0 ? HTTP_DROP : HTTP_WHOLE,
        .close = true,
        .status = answer.status,
        .headers = json_server.headers[index],
        .body = answer.body,
        .body_length = answer.body != NULL ? strlen(answer.body) : 0,
    };
}

static inline void json_server_start(void)
{
    json_server.told = json_server.given = json_server.asked = 0;
    json_server.held = json_server.stopping = false;
    json_server.server = http_server_new(NULL, json_server_answer);
    snprintf(json_server.url, sizeof json_server.url, "http://127.0.0.1:%d",
             http_server_port(json_server.server));
}

static inline void json_server_stop(void)
{
    pthread_mutex_lock(&json_server.lock);
    json_server.stopping = true;
    pthread_cond_broadcast(&json_server.changed);
    pthread_mutex_unlock(&json_server.lock);
    http_server_free(json_server.server);
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

/* The head of request `index`, one that has been answered. */
static inline const char *json_server_request(unsigned index)
{
    return json_server.requests[index % JSON_SERVER_KEPT].head;
}

static inline const char *json_server_body(unsigned index)
{
    return json_server.requests[index % JSON_SERVER_KEPT].body;
}

/* Whether request `index` has the header line. */
static inline bool json_server_has(unsigned index, const char *line)
{
    char whole[256];
    snprintf(whole, sizeof whole, "\r\n%s\r\n", line);
    return strcasestr(json_server_request(index), whole) != NULL;
}

#endif
