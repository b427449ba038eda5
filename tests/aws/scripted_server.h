/*
 * A service on loopback that answers by a script and keeps what it was asked: a KMS, another AWS service, or a metadata
 * service, as the habits say with which it is started.
 */
#ifndef TESTS_AWS_SCRIPTED_SERVER_H
#define TESTS_AWS_SCRIPTED_SERVER_H

#include "support/http_server.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#define SERVER_KEPT 64 /* answers of the script, and the last requests */

struct server_habits {
    bool closes;       /* each reply is the last on its connection */
    bool numbers;      /* each reply has a request id with its number: "request-1" */
    bool repeats_last; /* once the script is over; else the status is 418 */
};

struct server_answer {
    int status;          /* 0: the connection is closed without an answer; -1: it stays silent */
    const char *headers; /* NULL, or whole lines: "name: value\r\n" */
    const char *body;    /* NULL: empty */
    const char *about;   /* it is for a request whose body contains this; NULL: for any */
    const char *begins;  /* the request has to begin like this, else the status is 417; NULL: anyhow */
};

static struct {
    struct http_server *server;
    char url[64];
    struct server_habits habits;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    struct server_answer script[SERVER_KEPT];
    bool used[SERVER_KEPT]; /* each answer is given once */
    size_t length;
    struct http_asked requests[SERVER_KEPT];
    char headers[SERVER_KEPT][512]; /* of their replies */
    size_t asked;
    size_t hold_begin, hold_end; /* these requests, the last not included, are held until all have come */
    bool stopping;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* The next answer of the script that is for the request. */
static inline struct server_answer server_choose(const struct http_asked *asked)
{
    struct server_answer answer = {.status = 418, .body = "{\"__type\":\"NotInTheScript\"}"};
    size_t i = 0;
    while (i < server.length && (server.used[i] || (server.script[i].about != NULL &&
                                                    strstr(asked->body, server.script[i].about) == NULL)))
        i++;
    if (i == server.length && i > 0 && server.habits.repeats_last)
        i--;
    if (i < server.length) {
        server.used[i] = true;
        answer = server.script[i];
    }
    if (answer.begins != NULL && strncmp(asked->head, answer.begins, strlen(answer.begins)) != 0)
        answer = (struct server_answer){.status = 417, .body = "not what the script expects"};
    return answer;
}

/* Keeps the request, and waits until it may be answered. The connection's own thread calls it. */
static inline void server_answer(const struct http_asked *asked, struct http_answer *out)
{
    pthread_mutex_lock(&server.lock);
    const size_t number = server.asked++;
    char *headers = server.headers[number % SERVER_KEPT], id[64] = "";
    server.requests[number % SERVER_KEPT] = *asked;
    pthread_cond_broadcast(&server.changed);
    while (number >= server.hold_begin && number < server.hold_end && server.asked < server.hold_end &&
           !server.stopping)
        pthread_cond_wait(&server.changed, &server.lock);
    const struct server_answer answer = server_choose(asked);
    if (server.habits.numbers)
        snprintf(id, sizeof id, "x-amzn-RequestId: request-%zu\r\n", number + 1);
    snprintf(headers, sizeof server.headers[0], "%s%s%s", server.habits.closes ? "connection: close\r\n" : "",
             id, answer.headers != NULL ? answer.headers : "");
    pthread_mutex_unlock(&server.lock);
    *out = (struct http_answer){
        .how = answer.status == 0 ? HTTP_DROP : HTTP_WHOLE,
        .hold = answer.status < 0,
        .close = server.habits.closes,
        .status = answer.status,
        .headers = headers,
        .body = answer.body,
        .body_length = answer.body != NULL ? strlen(answer.body) : 0,
    };
}

/* Forgets the script, and what was asked. */
static inline void server_forget(void)
{
    pthread_mutex_lock(&server.lock);
    server.length = server.asked = 0;
    memset(server.used, 0, sizeof server.used);
    pthread_mutex_unlock(&server.lock);
}

static inline void server_start(struct server_habits habits)
{
    server_forget();
    server.hold_begin = server.hold_end = 0;
    server.stopping = false;
    server.habits = habits;
    server.server = http_server_new(NULL, server_answer);
    snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d", http_server_port(server.server));
}

static inline void server_stop(void)
{
    pthread_mutex_lock(&server.lock);
    server.stopping = true;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
    http_server_free(server.server);
}

/* One more answer at the end of the script. Its strings have to last. */
static inline void server_tell(struct server_answer answer)
{
    pthread_mutex_lock(&server.lock);
    assert_in_range(server.length, 0, SERVER_KEPT - 1);
    server.script[server.length++] = answer;
    pthread_mutex_unlock(&server.lock);
}

/* The same, of these three. */
static inline void server_say(int status, const char *headers, const char *body)
{
    server_tell((struct server_answer){.status = status, .headers = headers, .body = body});
}

/* `count` requests from number `begin` on (from 0) are answered only once all of them have come. */
static inline void server_hold(size_t begin, size_t count)
{
    pthread_mutex_lock(&server.lock);
    server.hold_begin = begin;
    server.hold_end = begin + count;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
}

/* Waits until so many requests have come. */
static inline void server_wait(size_t count)
{
    pthread_mutex_lock(&server.lock);
    while (server.asked < count)
        pthread_cond_wait(&server.changed, &server.lock);
    pthread_mutex_unlock(&server.lock);
}

/* How many requests have come. */
static inline size_t server_asked(void)
{
    pthread_mutex_lock(&server.lock);
    const size_t asked = server.asked;
    pthread_mutex_unlock(&server.lock);
    return asked;
}

/* Request number `index`, which has come. */
static inline const struct http_asked *server_request(size_t index)
{
    pthread_mutex_lock(&server.lock);
    const bool is_kept = index < server.asked && server.asked - index <= SERVER_KEPT;
    pthread_mutex_unlock(&server.lock);
    assert_true(is_kept);
    return &server.requests[index % SERVER_KEPT];
}

static inline const char *server_head(size_t index)
{
    return server_request(index)->head;
}

static inline const char *server_body(size_t index)
{
    return server_request(index)->body;
}

/* Whether request `index` has the header line. */
static inline bool server_has(size_t index, const char *line)
{
    char whole[HTTP_ROOM];
    snprintf(whole, sizeof whole, "\r\n%s\r\n", line);
    return strcasestr(server_head(index), whole) != NULL;
}

/* The value of a header line of request `index`; holds until the next call. */
static inline const char *server_header(size_t index, const char *name)
{
    static char value[1024];
    char field[64];
    snprintf(field, sizeof field, "\r\n%s: ", name);
    const char *found = strcasestr(server_head(index), field);
    assert_non_null(found);
    found += strlen(field);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(found, "\r"), found);
    return value;
}

#endif
