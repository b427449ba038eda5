/*
 * A metadata service on loopback that answers each request as a script says, and keeps what was asked.
 */
#ifndef TESTS_AWS_METADATA_SERVER_H
#define TESTS_AWS_METADATA_SERVER_H

#include "support/http_server.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#define METADATA_REQUESTS 16

/* One answer: to a request that begins so (NULL: to any). Each is given once, in order. */
struct metadata_answer {
    const char *begins;
    int status; /* 0: the connection is closed without an answer; below: it stays silent */
    const char *body;
};

static struct {
    struct http_server *server;
    int port;
    pthread_mutex_t lock; /* guards the rest */
    struct metadata_answer script[METADATA_REQUESTS];
    size_t length, answered;
    struct http_asked requests[METADATA_REQUESTS];
} metadata = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void metadata_serve(const struct http_asked *asked, struct http_answer *out)
{
    pthread_mutex_lock(&metadata.lock);
    struct metadata_answer answer = {NULL, 418, "not in the script"};
    if (metadata.answered < metadata.length) {
        answer = metadata.script[metadata.answered];
        metadata.requests[metadata.answered] = *asked;
    }
    metadata.answered++;
    pthread_mutex_unlock(&metadata.lock);
    if (answer.begins != NULL && strncmp(asked->head, answer.begins, strlen(answer.begins)) != 0)
        answer = (struct metadata_answer){NULL, 417, "other than the script expects"};
    *out = (struct http_answer){
        .how = answer.status == 0 ? HTTP_DROP : HTTP_WHOLE,
        .hold = answer.status < 0,
        .close = true,
        .status = answer.status,
        .headers = "connection: close\r\n",
        .body = answer.body,
        .body_length = strlen(answer.body),
    };
}

static inline void metadata_start(void)
{
    metadata.server = http_server_new(NULL, metadata_serve);
    metadata.port = http_server_port(metadata.server);
}

static inline void metadata_stop(void)
{
    http_server_free(metadata.server);
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
    char whole[HTTP_ROOM];
    snprintf(whole, sizeof whole, "\r\n%s\r\n", line);
    pthread_mutex_lock(&metadata.lock);
    bool had = strcasestr(metadata.requests[index].head, whole) != NULL;
    pthread_mutex_unlock(&metadata.lock);
    return had;
}

#endif
