/*
 * What the tests of HTTP share: a server on loopback that answers as each test tells it to, and exchanges with it.
 */
#ifndef TESTS_AWS_HTTP_STAGE_H
#define TESTS_AWS_HTTP_STAGE_H

#include "support/support.h"

#include <stdio.h>
#include <unistd.h>

#include "aws/service/http.h"
#include "base/waker.h"
#include "support/http_server.h"

/* ---- One exchange, and the bell that says that it ended ---- */

struct ask {
    struct bell bell;
    struct kf_call_waker *place;
    struct kfi_http_exchange *exchange;
    struct kf_error error;
    const struct kfi_http_reply *reply;
};

static inline struct kfi_http_pool *pool_new(uint32_t max_connections, const char *ca_bundle)
{
    const struct kfi_http_pool_options options = {max_connections, ca_bundle, "keyflight/test"};
    struct kf_error error = KF_ERROR_INIT;
    struct kfi_http_pool *pool;
    assert_ok(kfi_http_pool_new(&options, &error, &pool), &error);
    return pool;
}

static inline void url_of(char url[64], int port, bool tls)
{
    (void)snprintf(url, 64, "%s://127.0.0.1:%d/", tls ? "https" : "http", port);
}

/* A POST of "{}" to `url`, with generous limits. */
static inline struct kfi_http_request request_to(const char *url)
{
    return (struct kfi_http_request){
        .method = "POST",
        .url = url,
        .body = {(const uint8_t *)"{}", 2},
        .connect_timeout_ms = 60000,
        .timeout_ms = 60000,
        .reply_max = 8192,
        .direct = true,
    };
}

static inline void ask_start(struct ask *ask, struct kfi_http_pool *pool,
                             const struct kfi_http_request *request)
{
    *ask = (struct ask){.place = kfi_waker_new()};
    bell_init(&ask->bell);
    const struct kf_waker waker = bell_waker(&ask->bell);
    kfi_waker_set(ask->place, &waker);
    assert_ok(kfi_http_exchange_start(pool, request, ask->place, &ask->error, &ask->exchange), &ask->error);
}

static inline enum kf_code ask_wait(struct ask *ask)
{
    enum kf_code code;
    while ((code = kfi_http_exchange_poll(ask->exchange, &ask->error, &ask->reply)) == KF_PENDING)
        bell_wait(&ask->bell);
    return code;
}

static inline void ask_end(struct ask *ask)
{
    kfi_http_exchange_free(ask->exchange);
    kfi_waker_set(ask->place, NULL);
    kf_call_waker_unref(ask->place);
    bell_destroy(&ask->bell);
}

/* One whole exchange: its code and error. */
static inline enum kf_code ask_once(struct kfi_http_pool *pool, const struct kfi_http_request *request,
                                    struct kf_error *error)
{
    struct ask ask;
    ask_start(&ask, pool, request);
    enum kf_code code = ask_wait(&ask);
    *error = ask.error;
    ask_end(&ask);
    return code;
}

/* ---- The server, and how to ask it ---- */

static struct http_answer next_answer; /* the server's answer to all requests; set while there are none */

static inline void answer_next(const struct http_asked *asked, struct http_answer *answer)
{
    (void)asked;
    *answer = next_answer;
}

/* A server that answers as `answer` says, the pool, and the request for it. */
struct stage {
    struct http_server *server;
    struct kfi_http_pool *pool;
    char url[64];
    struct kfi_http_request request;
};

static inline void stage_set(struct stage *stage, struct http_answer answer, uint32_t max_connections)
{
    next_answer = answer;
    stage->server = http_server_new(NULL, answer_next);
    stage->pool = pool_new(max_connections, NULL);
    url_of(stage->url, http_server_port(stage->server), false);
    stage->request = request_to(stage->url);
}

static inline void stage_end(struct stage *stage)
{
    kfi_http_pool_unref(stage->pool);
    kf_cleanup();
    http_server_free(stage->server);
}

#endif
