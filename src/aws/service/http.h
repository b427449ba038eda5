/*
 * HTTP: exchanges, each of which is one request and its reply. They run on the internal thread and share its
 * connections. Called by requests and by credential sources; knows nothing of AWS but how to sign.
 */
#ifndef KFI_AWS_SERVICE_HTTP_H
#define KFI_AWS_SERVICE_HTTP_H

#include <keyflight/call.h>

/* How many exchanges of one owner run at once, and which certificates they trust. */
struct kfi_http_pool;

struct kfi_http_pool_options {
    uint32_t max_connections; /* exchanges that run at once; further ones wait for their turn */
    const char *ca_bundle;    /* a file of certificates to trust; NULL: the system's; copied */
    const char *user_agent;   /* copied */
};

enum kf_code kfi_http_pool_new(const struct kfi_http_pool_options *options, struct kf_error *error,
                               struct kfi_http_pool **out);
struct kfi_http_pool *kfi_http_pool_ref(struct kfi_http_pool *pool);
void kfi_http_pool_unref(struct kfi_http_pool *pool); /* NULL is allowed */

/* What a request is signed with (SigV4). Strings are borrowed for the call. */
struct kfi_http_signature {
    const char *region, *service;
    const char *access_key_id, *secret_access_key;
    const char *session_token; /* NULL: none */
    int64_t clock_skew;        /* seconds to add to the local clock for the time of signing */
};

/* What is to be sent. Borrowed by the call that starts the exchange. */
struct kfi_http_request {
    const char *method; /* "GET", "POST", "PUT" */
    const char *url;
    const char *const *headers; /* "name: value" lines; signed too if there is a signature */
    size_t header_count;
    struct kf_view body;                        /* may hold secrets: every copy made of it is wiped */
    const struct kfi_http_signature *signature; /* NULL: not signed */
    uint64_t connect_timeout_ms, timeout_ms;    /* counted from the exchange's turn */
    size_t reply_max;                           /* bytes of body; a longer one is an error */
    bool direct;                                /* never by a proxy (metadata services) */
};

/* The values of header lines are cut to what fits; a line that is missing leaves "". */
struct kfi_http_reply {
    int status;
    struct kf_buf body;       /* may hold secrets; wiped with the exchange */
    int64_t date;             /* of the Date line, in seconds since 1970; 0: no line, or not a date */
    char request_id[64];      /* x-amzn-requestid or x-amz-request-id */
    char error_type[128];     /* x-amzn-errortype */
    char retry_after[32];     /* retry-after */
    char amz_retry_after[32]; /* x-amz-retry-after: milliseconds */
    char token_ttl[32];       /* x-aws-ec2-metadata-token-ttl-seconds */
};

struct kfi_http_exchange;

/*
 * Starts an exchange. When it has ended, `waker` is woken (a reference is taken). Errors: KF_E_NO_MEMORY,
 * KF_E_SYSTEM, KF_E_CLEANED_UP, KF_E_USAGE (the URL is not one of http or https).
 */
enum kf_code kfi_http_exchange_start(struct kfi_http_pool *pool, const struct kfi_http_request *request,
                                     struct kf_call_waker *waker, struct kf_error *error,
                                     struct kfi_http_exchange **out);

/*
 * KF_PENDING; or KF_OK and the whole reply, whatever its status, which lives as long as the exchange; or why
 * there is no reply: KF_E_TIMEOUT (a time limit), KF_E_RETRY (not reached, connection lost, reply cut short),
 * KF_E_REMOTE (the certificate does not verify, the reply is too large), KF_E_FORKED (the exchange began in the
 * parent process), KF_E_CLEANED_UP, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
enum kf_code kfi_http_exchange_poll(struct kfi_http_exchange *exchange, struct kf_error *error,
                                    const struct kfi_http_reply **reply);

/* Cancels an exchange that has not ended; wipes what was sent and received. NULL is allowed. From any thread. */
void kfi_http_exchange_free(struct kfi_http_exchange *exchange);

#endif
