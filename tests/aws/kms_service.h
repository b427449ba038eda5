/*
 * A KMS on loopback that answers as it is told: every request is kept, and gets the next reply of the script;
 * those of a range can be held until all of it is there.
 */
#ifndef TESTS_AWS_KMS_SERVICE_H
#define TESTS_AWS_KMS_SERVICE_H

#include "support/http_server.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#define KMS_SERVICE_REQUESTS 64

struct kms_service_reply {
    int status;
    const char *body;
    const char *about; /* only for a request whose body has this; NULL: for any */
    bool used;
};

static struct {
    struct http_server *server;
    char url[64];
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    struct kms_service_reply script[KMS_SERVICE_REQUESTS];
    struct http_asked requests[KMS_SERVICE_REQUESTS];
    char headers[KMS_SERVICE_REQUESTS][64]; /* of the replies */
    size_t script_length, request_count;
    size_t hold_begin, hold_end; /* requests from the one to before the other */
    bool closing;
} kms_service = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline struct kms_service_reply kms_service_choose(const char *body)
{
    for (size_t i = 0; i < kms_service.script_length; i++) {
        struct kms_service_reply *reply = &kms_service.script[i];
        if (!reply->used && (reply->about == NULL || strstr(body, reply->about) != NULL)) {
            reply->used = true;
            return *reply;
        }
    }
    return (struct kms_service_reply){.status = 418, .body = "{\"__type\":\"NotInTheScript\"}"};
}

/* The server calls it on the connection's own thread, which may wait. */
static inline void kms_service_answer(const struct http_asked *asked, struct http_answer *answer)
{
    pthread_mutex_lock(&kms_service.lock);
    if (kms_service.request_count == KMS_SERVICE_REQUESTS) { /* nothing of cmocka may be used here */
        pthread_mutex_unlock(&kms_service.lock);
        answer->how = HTTP_DROP;
        return;
    }
    const size_t index = kms_service.request_count++;
    kms_service.requests[index] = *asked;
    char *headers = kms_service.headers[index];
    snprintf(headers, sizeof kms_service.headers[0], "x-amzn-RequestId: request-%zu\r\n", index + 1);
    pthread_cond_broadcast(&kms_service.changed);
    while (index >= kms_service.hold_begin && index < kms_service.hold_end &&
           kms_service.request_count < kms_service.hold_end && !kms_service.closing)
        pthread_cond_wait(&kms_service.changed, &kms_service.lock);
    const struct kms_service_reply reply = kms_service_choose(asked->body);
    pthread_mutex_unlock(&kms_service.lock);
    answer->status = reply.status;
    answer->headers = headers;
    answer->body = reply.body;
    answer->body_length = strlen(reply.body);
}

static inline void kms_service_open(void)
{
    kms_service.script_length = kms_service.request_count = 0;
    kms_service.hold_begin = kms_service.hold_end = 0;
    kms_service.closing = false;
    kms_service.server = http_server_new(NULL, kms_service_answer);
    snprintf(kms_service.url, sizeof kms_service.url, "http://127.0.0.1:%d",
             http_server_port(kms_service.server));
}

static inline void kms_service_close(void)
{
    pthread_mutex_lock(&kms_service.lock);
    kms_service.closing = true;
    pthread_cond_broadcast(&kms_service.changed);
    pthread_mutex_unlock(&kms_service.lock);
    http_server_free(kms_service.server);
}

static inline const char *kms_service_url(void)
{
    return kms_service.url;
}

/* The next reply of the script; its body has to last. With `about`, for a request whose body has that. */
static inline void kms_service_reply_about(const char *about, int status, const char *body)
{
    pthread_mutex_lock(&kms_service.lock);
    assert_in_range(kms_service.script_length, 0, KMS_SERVICE_REQUESTS - 1);
    kms_service.script[kms_service.script_length++] =
        (struct kms_service_reply){.status = status, .body = body, .about = about};
    pthread_mutex_unlock(&kms_service.lock);
}

static inline void kms_service_reply(int status, const char *body)
{
    kms_service_reply_about(NULL, status, body);
}

/* `count` requests from number `begin` on (from 0) are answered only once all of them are there. */
static inline void kms_service_hold(size_t begin, size_t count)
{
    pthread_mutex_lock(&kms_service.lock);
    kms_service.hold_begin = begin;
    kms_service.hold_end = begin + count;
    pthread_mutex_unlock(&kms_service.lock);
}

/* How many requests there were. */
static inline size_t kms_service_requests(void)
{
    pthread_mutex_lock(&kms_service.lock);
    const size_t count = kms_service.request_count;
    pthread_mutex_unlock(&kms_service.lock);
    return count;
}

static inline void kms_service_wait(size_t count)
{
    pthread_mutex_lock(&kms_service.lock);
    while (kms_service.request_count < count)
        pthread_cond_wait(&kms_service.changed, &kms_service.lock);
    pthread_mutex_unlock(&kms_service.lock);
}

/* The value of a header of request `index`; holds until the next call. */
static inline const char *kms_service_header(size_t index, const char *name)
{
    static char value[1024];
    char field[64];
    snprintf(field, sizeof field, "\r\n%s: ", name);
    assert_in_range(index, 0, kms_service_requests() - 1);
    const char *found = strcasestr(kms_service.requests[index].head, field);
    assert_non_null(found);
    found += strlen(field);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(found, "\r"), found);
    return value;
}

static inline const char *kms_service_body(size_t index)
{
    assert_in_range(index, 0, kms_service_requests() - 1);
    return kms_service.requests[index].body;
}

#endif
