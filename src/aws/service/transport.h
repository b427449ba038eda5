/*
 * Transport: HTTP exchanges by libcurl's multi interface, on the internal thread. The only file that knows
 * libcurl. Called by requests and by credential sources; knows nothing of AWS but how to sign.
 *
 * One multi handle in a process, which the internal thread sleeps in; connections are kept alive and shared.
 * In a forked child what was inherited is abandoned, not closed.
 */
#ifndef KFI_AWS_SERVICE_TRANSPORT_H
#define KFI_AWS_SERVICE_TRANSPORT_H

#include <keyflight/call.h>

/* How many exchanges of one owner run at once, and what they trust. */
struct kfi_http_pool;

struct kfi_http_pool_options {
    uint32_t max_connections; /* further exchanges wait for their turn; their time counts from their start */
    const char *ca_bundle;    /* NULL: the system's; copied */
    const char *user_agent;   /* copied */
};

enum kf_code kfi_http_pool_new(const struct kfi_http_pool_options *options, struct kf_error *error,
                               struct kfi_http_pool **out);
struct kfi_http_pool *kfi_http_pool_ref(struct kfi_http_pool *pool);
void kfi_http_pool_unref(struct kfi_http_pool *pool); /* NULL is allowed */

/* What signs a request (SigV4). Strings are borrowed for the call. */
struct kfi_http_signature {
    const char *region, *service;
    const char *access_key_id, *secret_access_key;
    const char *session_token; /* NULL: none */
    int64_t clock_skew;        /* seconds to add to the local clock for the time of signing */
};

/* What is to be sent; borrowed for the call that starts it. */
struct kfi_http_request {
    const char *method; /* "GET", "POST", "PUT" */
    const char *url;
    const char *const *headers; /* "name: value" lines; signed too if there is a signature */
    size_t header_count;
    struct kf_view body;                        /* may hold secrets: every copy made of it is wiped */
    const struct kfi_http_signature *signature; /* NULL: not signed */
    uint64_t connect_timeout_ms, timeout_ms;    /* of the exchange once it has its turn */
    size_t reply_max;                           /* bytes of body that are taken; more is an error */
    bool direct;                                /* never by a proxy (metadata services) */
};

/* Header lines that are looked at are cut to what fits. Fields without a header line are "". */
struct kfi_http_reply {
    int status;
    struct kf_buf body;       /* may hold secrets; wiped with the exchange */
    int64_t date;             /* of the Date line, seconds since 1970; 0 if there is none that can be read */
    char request_id[64];      /* x-amzn-requestid or x-amz-request-id */
    char error_type[128];     /* x-amzn-errortype */
    char retry_after[32];     /* retry-after */
    char amz_retry_after[32]; /* x-amz-retry-after: milliseconds */
    char token_ttl[32];       /* x-aws-ec2-metadata-token-ttl-seconds */
};

struct kfi_http_exchange;

/*
 * Starts an exchange; once it has ended `waker` is woken (a reference is taken). Errors: KF_E_NO_MEMORY,
 * KF_E_SYSTEM, KF_E_CLEANED_UP, KF_E_USAGE (a URL that can't be).
 */
enum kf_code kfi_http_exchange_start(struct kfi_http_pool *pool, const struct kfi_http_request *request,
                                     struct kf_call_waker *waker, struct kf_error *error,
                                     struct kfi_http_exchange **out);

/*
 * KF_PENDING, or KF_OK for a whole reply of any status (which lives as long as the exchange), or why there is
 * none: KF_E_TIMEOUT (a time limit), KF_E_RETRY (not reached, connection lost, reply torn), KF_E_REMOTE (TLS
 * does not verify, reply too large), KF_E_FORKED (it began in the parent process), KF_E_CLEANED_UP, KF_E_SYSTEM,
 * KF_E_NO_MEMORY.
 */
enum kf_code kfi_http_exchange_poll(struct kfi_http_exchange *exchange, struct kf_error *error,
                                    const struct kfi_http_reply **reply);

/* Cancels what has not ended, and wipes what has. NULL is allowed. From any thread. */
void kfi_http_exchange_free(struct kfi_http_exchange *exchange);

#endif
