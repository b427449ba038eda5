/*
 * One exchange, as libcurl has it: made on any thread, then driven by transport.c on the internal one.
 */
#ifndef KFI_AWS_SERVICE_TRANSPORT_CURL_H
#define KFI_AWS_SERVICE_TRANSPORT_CURL_H

#include <curl/curl.h>

#include "aws/service/transport.h"
#include "base/list.h"
#include "base/refs.h"

struct kfi_http_pool {
    struct kfi_refs refs;
    uint32_t max_connections;
    char *ca_bundle, *user_agent;

    /* What follows is the internal thread's own. */
    unsigned generation;     /* of the process whose turns these are */
    uint32_t running;        /* exchanges that have their turn */
    struct kfi_list waiting; /* those that have not, in the order in which they came */
};

/* To be called by the internal thread before it looks at turns: those of a parent process are forgotten. */
void kfi_http_pool_own(struct kfi_http_pool *pool);

struct kfi_http_exchange {
    struct kfi_refs refs;   /* the owner's, and the queue's until the end */
    struct kfi_link link;   /* among the arrivals (the queue's lock), then those held (internal thread) */
    struct kfi_link turn;   /* in its pool's waiting list (internal thread) */
    struct kfi_link cancel; /* among the cancelled (the queue's lock) */
    bool ended;             /* under the queue's lock; what is below doesn't change afterwards */
    bool running;           /* has its turn (internal thread) */
    unsigned generation;
    struct kfi_http_pool *pool;
    struct kf_call_waker *waker;

    CURL *easy;
    struct curl_slist *headers;
    bool is_signed;
    int64_t clock_skew;
    uint8_t *body; /* what is sent, wiped at the end */
    size_t body_length, body_sent;
    size_t reply_max;
    bool too_large;
    char curl_text[CURL_ERROR_SIZE];
    char endpoint[300]; /* scheme://host:port, for sentences */

    enum kf_code code; /* of the whole */
    struct kf_error error;
    struct kfi_http_reply reply;
};

/* All that can be done before its turn. Errors: as kfi_http_exchange_start. */
enum kf_code kfi_http_exchange_make(struct kfi_http_pool *pool, const struct kfi_http_request *request,
                                    struct kf_call_waker *waker, struct kf_error *error,
                                    struct kfi_http_exchange **out);

/* Its turn: what depends on the time. False, with code and error set, if there is no memory. */
bool kfi_http_stamp(struct kfi_http_exchange *exchange);

/*
 * Whether it has to begin once more, on a fresh connection: a kept one turned out to be dead while the body was
 * being sent. (If it does so before or after, libcurl begins again by itself.)
 */
bool kfi_http_again(struct kfi_http_exchange *exchange, CURLcode result);

/* libcurl is done with it: sets code, error and reply. */
void kfi_http_conclude(struct kfi_http_exchange *exchange, CURLcode result);

/* Wipes and frees all but the answer. */
void kfi_http_release(struct kfi_http_exchange *exchange);

/* Drops a reference. */
void kfi_http_exchange_drop(struct kfi_http_exchange *exchange);

#endif
