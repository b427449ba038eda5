/*
 * One exchange, as libcurl has it: see transport_curl.h. Called by transport.c; never blocks, and drives nothing.
 *
 * Secrets: bodies, both ways, pass through libcurl's own buffers. The callbacks get pointers into them after
 * libcurl used the bytes for the last time, and wipe them in place; a body is never given as POSTFIELDS, which
 * libcurl copies behind the header lines. OpenSSL wipes what it decrypted by SSL_OP_CLEANSE_PLAINTEXT. A reply
 * that is refused, torn or cancelled leaves nothing either: what has come of it has passed through take_body.
 * What stays in freed memory are libcurl's copies of the secret access key and of the signing key that it
 * derives, of the header lines (a session token among them; our copies of those lines are wiped), and of what
 * it took of a body but could not send, because the connection died or the exchange was cancelled.
 */
#include "aws/service/transport_curl.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fork.h"
#include "suite/digest.h"

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static bool curl_ready;
/* libcurl does TLS by the OpenSSL that we are linked with too. */
static bool curl_openssl;

static void start_curl(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    const char *tls = curl_version_info(CURLVERSION_NOW)->ssl_version;
    curl_openssl = tls != NULL && strncmp(tls, "OpenSSL/3", strlen("OpenSSL/3")) == 0;
}

/* ---- Pools ---- */

static char *copy_text(const char *text)
{
    return text == NULL ? NULL : (char *)kfi_copy((struct kf_view){(const uint8_t *)text, strlen(text) + 1});
}

enum kf_code kfi_http_pool_new(const struct kfi_http_pool_options *options, struct kf_error *error,
                               struct kfi_http_pool **out)
{
    *out = NULL;
    pthread_once(&curl_once, start_curl);
    if (!curl_ready || !kfi_fork_ready())
        return kf_error_set(error, KF_E_SYSTEM, "libcurl can't be initialised in this process.");
    struct kfi_http_pool *pool = kfi_alloc_zeroed(sizeof(*pool));
    if (pool == NULL)
        return kfi_no_memory(error);
    kfi_refs_init(&pool->refs);
    pool->max_connections = options->max_connections > 0 ? options->max_connections : 1;
    pool->ca_bundle = copy_text(options->ca_bundle);
    pool->user_agent = copy_text(options->user_agent);
    pool->generation = kfi_fork_generation();
    kfi_list_init(&pool->waiting);
    if ((options->ca_bundle != NULL && pool->ca_bundle == NULL) ||
        (options->user_agent != NULL && pool->user_agent == NULL)) {
        kfi_http_pool_unref(pool);
        return kfi_no_memory(error);
    }
    *out = pool;
    return KF_OK;
}

struct kfi_http_pool *kfi_http_pool_ref(struct kfi_http_pool *pool)
{
    kfi_refs_add(&pool->refs, 1);
    return pool;
}

void kfi_http_pool_unref(struct kfi_http_pool *pool)
{
    if (pool == NULL || !kfi_refs_drop(&pool->refs))
        return;
    kfi_free(pool->ca_bundle);
    kfi_free(pool->user_agent);
    kfi_free(pool);
}

void kfi_http_pool_own(struct kfi_http_pool *pool)
{
    if (pool->generation == kfi_fork_generation())
        return;
    pool->generation = kfi_fork_generation();
    pool->running = 0;
    kfi_list_init(&pool->waiting);
}

/* ---- What libcurl calls ---- */

static size_t give_body(char *to, size_t size, size_t count, void *context)
{
    struct kfi_http_exchange *exchange = context;
    size_t room = size * count, left = exchange->body_length - exchange->body_sent;
    size_t length = room < left ? room : left;
    if (length > 0)
        memcpy(to, exchange->body + exchange->body_sent, length);
    exchange->body_sent += length;
    return length;
}

/* A reused connection was dead: the body is sent again on another. */
static int rewind_body(void *context, curl_off_t offset, int origin)
{
    struct kfi_http_exchange *exchange = context;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > exchange->body_length)
        return CURL_SEEKFUNC_FAIL;
    exchange->body_sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* `bytes` lie in libcurl's receive buffer. */
static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct kfi_http_exchange *exchange = context;
    struct kf_buf *body = &exchange->reply.body;
    size_t length = size * count, taken = length;
    enum kf_code code = exchange->too_large ? KF_E_LIMIT : kfi_buf_reserve(body, length, exchange->reply_max);
    if (code == KF_OK) {
        memcpy(body->data + body->length, bytes, length);
        body->length += length;
    } else {
        exchange->too_large = code == KF_E_LIMIT;
        taken = CURL_WRITEFUNC_ERROR;
    }
    kfi_wipe(bytes, length);
    return taken;
}

/* What was sent of the body lies in libcurl's upload buffer. The parameter is char *, so it may be written. */
static int wipe_sent(CURL *easy, curl_infotype type, char *bytes, size_t length, void *context)
{
    (void)easy;
    (void)context;
    if (type == CURLINFO_DATA_OUT)
        kfi_wipe(bytes, length);
    return 0;
}

static CURLcode clean_tls(CURL *easy, void *ssl_context, void *context)
{
    (void)easy;
    (void)context;
    SSL_CTX_set_options(ssl_context, SSL_OP_CLEANSE_PLAINTEXT);
    return CURLE_OK;
}

/* Puts the value of a header line to `to`, cut to its room, if the line's name is `name`. */
static void pick(struct kf_view line, const char *name, char *to, size_t room)
{
    size_t length = strlen(name);
    const char *text = (const char *)line.data;
    if (line.length <= length || text[length] != ':' || strncasecmp(text, name, length) != 0)
        return;
    size_t begin = length + 1, end = line.length;
    while (begin < end && (text[begin] == ' ' || text[begin] == '\t'))
        begin++;
    while (end > begin && strchr(" \t\r\n", text[end - 1]) != NULL)
        end--;
    length = end - begin < room - 1 ? end - begin : room - 1;
    memcpy(to, text + begin, length);
    to[length] = '\0';
}

static size_t take_header(char *bytes, size_t size, size_t count, void *context)
{
    struct kfi_http_exchange *exchange = context;
    struct kfi_http_reply *reply = &exchange->reply;
    const struct kf_view line = {(const uint8_t *)bytes, size * count};
    char date[64] = "", length[24] = "";
    if (line.length > 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        /* What came before was an interim reply. */
        kfi_buf_wipe(&reply->body);
        *reply = (struct kfi_http_reply){.body = reply->body};
    }
    pick(line, "date", date, sizeof(date));
    pick(line, "content-length", length, sizeof(length));
    pick(line, "x-amzn-requestid", reply->request_id, sizeof(reply->request_id));
    pick(line, "x-amz-request-id", reply->request_id, sizeof(reply->request_id));
    pick(line, "x-amzn-errortype", reply->error_type, sizeof(reply->error_type));
    pick(line, "retry-after", reply->retry_after, sizeof(reply->retry_after));
    pick(line, "x-amz-retry-after", reply->amz_retry_after, sizeof(reply->amz_retry_after));
    pick(line, "x-aws-ec2-metadata-token-ttl-seconds", reply->token_ttl, sizeof(reply->token_ttl));
    if (date[0] != '\0') {
        time_t seconds = curl_getdate(date, NULL);
        reply->date = seconds > 0 ? (int64_t)seconds : 0;
    }
    /* It ends by its first bytes, in take_body: here what has come of the body could not be wiped. */
    if (length[0] != '\0' && strtoull(length, NULL, 10) > exchange->reply_max)
        exchange->too_large = true;
    return line.length;
}

/* ---- Making ---- */

/* Reads the URL as libcurl does, and makes scheme://host:port of it. */
static enum kf_code read_url(const char *url, struct kf_error *error, char *endpoint, size_t room)
{
    CURLU *parsed = curl_url();
    if (parsed == NULL)
        return kfi_no_memory(error);
    char *scheme = NULL, *host = NULL, *port = NULL;
    CURLUcode code = curl_url_set(parsed, CURLUPART_URL, url, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(parsed, CURLUPART_HOST, &host, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    bool right = code == CURLUE_OK && (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0);
    if (right)
        (void)snprintf(endpoint, room, "%s://%s:%s", scheme, host, port);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parsed);
    if (code == CURLUE_OUT_OF_MEMORY)
        return kfi_no_memory(error);
    if (!right)
        return kf_error_set(error, KF_E_USAGE,
                            "An endpoint can't be used: %s. It has to be a URL that begins with "
                            "https:// or http://.",
                            code == CURLUE_OK ? "another scheme" : curl_url_strerror(code));
    return KF_OK;
}

static bool add_header(struct kfi_http_exchange *exchange, const char *line)
{
    struct curl_slist *more = curl_slist_append(exchange->headers, line);
    if (more == NULL)
        return false;
    exchange->headers = more;
    return true;
}

/* "name: value", its copy being wiped. */
static bool add_secret_header(struct kfi_http_exchange *exchange, const char *name, const char *value)
{
    size_t room = strlen(name) + strlen(value) + 3;
    char *line = kfi_alloc(room);
    if (line == NULL)
        return false;
    (void)snprintf(line, room, "%s: %s", name, value);
    bool done = add_header(exchange, line);
    kfi_free_secret(line, room);
    return done;
}

#define SET(option, value) \
    if (code == CURLE_OK)  \
    code = curl_easy_setopt(exchange->easy, option, value)

static CURLcode set_connection(struct kfi_http_exchange *exchange, const struct kfi_http_request *request)
{
    CURLcode code = CURLE_OK;
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* a cancelled exchange doesn't wait for its name to be resolved */
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (exchange->pool->ca_bundle != NULL) {
        SET(CURLOPT_CAINFO, exchange->pool->ca_bundle);
        SET(CURLOPT_CAPATH, NULL); /* else the system's authorities are trusted beside it */
    }
    if (curl_openssl)
        SET(CURLOPT_SSL_CTX_FUNCTION, clean_tls);
    if (request->direct)
        SET(CURLOPT_PROXY, "");
    /* 0 would be libcurl's own limit: none, and five minutes. */
    const uint64_t most = INT32_MAX;
    uint64_t connect = request->connect_timeout_ms, total = request->timeout_ms;
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect < most ? connect : most));
    SET(CURLOPT_TIMEOUT_MS, (long)(total < most ? total : most));
    return code;
}

static CURLcode set_callbacks(struct kfi_http_exchange *exchange)
{
    CURLcode code = CURLE_OK;
    SET(CURLOPT_PRIVATE, exchange);
    SET(CURLOPT_ERRORBUFFER, exchange->curl_text);
    SET(CURLOPT_READFUNCTION, give_body);
    SET(CURLOPT_READDATA, exchange);
    SET(CURLOPT_SEEKFUNCTION, rewind_body);
    SET(CURLOPT_SEEKDATA, exchange);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, exchange);
    SET(CURLOPT_DEBUGFUNCTION, wipe_sent);
    SET(CURLOPT_VERBOSE, 1L);
    return code;
}

static CURLcode set_method(struct kfi_http_exchange *exchange, const struct kfi_http_request *request)
{
    CURLcode code = CURLE_OK;
    if (exchange->pool->user_agent != NULL)
        SET(CURLOPT_USERAGENT, exchange->pool->user_agent);
    if (strcmp(request->method, "POST") == 0) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.length);
    } else if (strcmp(request->method, "PUT") == 0) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body.length);
    }
    return code;
}

static CURLcode set_signature(struct kfi_http_exchange *exchange, const struct kfi_http_signature *signature)
{
    char how[160];
    int length = snprintf(how, sizeof(how), "aws:amz:%s:%s", signature->region, signature->service);
    CURLcode code = length < (int)sizeof(how) ? CURLE_OK : CURLE_BAD_FUNCTION_ARGUMENT;
    SET(CURLOPT_AWS_SIGV4, how);
    SET(CURLOPT_USERNAME, signature->access_key_id);
    SET(CURLOPT_PASSWORD, signature->secret_access_key);
    return code;
}

static enum kf_code set_headers(struct kfi_http_exchange *exchange, const struct kfi_http_request *request,
                                struct kf_error *error)
{
    bool done = true;
    for (size_t i = 0; done && i < request->header_count; i++)
        done = add_header(exchange, request->headers[i]);
    if (request->signature != NULL && request->signature->session_token != NULL)
        done = done && add_secret_header(exchange, "X-Amz-Security-Token", request->signature->session_token);
    if (request->signature != NULL) {
        /* libcurl does not see the body beforehand, so it takes the hash from here. */
        uint8_t hash[32];
        char line[32 + 2 * sizeof(hash)] = "X-Amz-Content-Sha256: ";
        enum kf_code code = kfi_digest(KFI_SHA256, &request->body, 1, error, hash);
        if (code != KF_OK)
            return code;
        size_t length = strlen(line);
        for (size_t i = 0; i < sizeof(hash); i++)
            (void)snprintf(line + length + 2 * i, 3, "%02x", hash[i]);
        done = done && add_header(exchange, line);
    }
    return done ? KF_OK : kfi_no_memory(error);
}

static enum kf_code fill(struct kfi_http_exchange *exchange, const struct kfi_http_request *request,
                         struct kf_error *error)
{
    enum kf_code result = read_url(request->url, error, exchange->endpoint, sizeof(exchange->endpoint));
    if (result != KF_OK)
        return result;
    exchange->easy = curl_easy_init();
    exchange->body = kfi_copy(request->body);
    if (exchange->easy == NULL || exchange->body == NULL)
        return kfi_no_memory(error);
    exchange->body_length = request->body.length;
    exchange->reply_max = request->reply_max;
    result = set_headers(exchange, request, error);
    if (result != KF_OK)
        return result;
    CURLcode code = set_connection(exchange, request);
    if (code == CURLE_OK)
        code = set_callbacks(exchange);
    if (code == CURLE_OK)
        code = set_method(exchange, request);
    if (code == CURLE_OK && request->signature != NULL) {
        exchange->is_signed = true;
        exchange->clock_skew = request->signature->clock_skew;
        code = set_signature(exchange, request->signature);
    }
    if (code == CURLE_OUT_OF_MEMORY)
        return kfi_no_memory(error);
    if (code != CURLE_OK)
        return kf_error_set(error, KF_E_SYSTEM, "libcurl does not take a request to %s: %s.",
                            exchange->endpoint, curl_easy_strerror(code));
    return KF_OK;
}

enum kf_code kfi_http_exchange_make(struct kfi_http_pool *pool, const struct kfi_http_request *request,
                                    struct kf_call_waker *waker, struct kf_error *error,
                                    struct kfi_http_exchange **out)
{
    *out = NULL;
    struct kfi_http_exchange *exchange = kfi_alloc_zeroed(sizeof(*exchange));
    if (exchange == NULL)
        return kfi_no_memory(error);
    kfi_refs_init(&exchange->refs);
    exchange->generation = kfi_fork_generation();
    exchange->pool = kfi_http_pool_ref(pool);
    exchange->waker = kf_call_waker_ref(waker);
    enum kf_code code = fill(exchange, request, error);
    if (code != KF_OK) {
        kfi_http_exchange_drop(exchange);
        return code;
    }
    *out = exchange;
    return KF_OK;
}

/* ---- Its turn, and its end ---- */

bool kfi_http_stamp(struct kfi_http_exchange *exchange)
{
    bool done = true;
    if (exchange->is_signed && exchange->clock_skew != 0) {
        time_t now = time(NULL) + (time_t)exchange->clock_skew;
        struct tm utc;
        char line[48];
        done = gmtime_r(&now, &utc) != NULL &&
               strftime(line, sizeof(line), "X-Amz-Date: %Y%m%dT%H%M%SZ", &utc) > 0 &&
               add_header(exchange, line);
    }
    if (done && curl_easy_setopt(exchange->easy, CURLOPT_HTTPHEADER, exchange->headers) == CURLE_OK)
        return true;
    exchange->code = kfi_no_memory(&exchange->error);
    return false;
}

bool kfi_http_again(struct kfi_http_exchange *exchange, CURLcode result)
{
    long connected = 1;
    curl_easy_getinfo(exchange->easy, CURLINFO_NUM_CONNECTS, &connected);
    if (result != CURLE_SEND_ERROR || connected != 0)
        return false;
    exchange->body_sent = 0;
    return curl_easy_setopt(exchange->easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK;
}

static enum kf_code explain(struct kfi_http_exchange *exchange, CURLcode result)
{
    struct kf_error *error = &exchange->error;
    const char *endpoint = exchange->endpoint;
    const char *detail = exchange->curl_text[0] != '\0' ? exchange->curl_text : curl_easy_strerror(result);
    if (exchange->too_large)
        return kf_error_set(
            error, KF_E_REMOTE,
            "The reply of %s is larger than the %zu bytes that are taken: this is no such service.", endpoint,
            exchange->reply_max);
    switch (result) {
    case CURLE_OUT_OF_MEMORY:
    case CURLE_WRITE_ERROR: /* take_body had no memory */
        return kfi_no_memory(error);
    case CURLE_OPERATION_TIMEDOUT:
        return kf_error_set(error, KF_E_TIMEOUT, "%s did not answer in time: %s.", endpoint, detail);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return kf_error_set(
            error, KF_E_REMOTE,
            "The TLS certificate of %s does not verify: %s. If it is of an authority of your own, name "
            "the file of its certificates in AWS_CA_BUNDLE.",
            endpoint, detail);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return kf_error_set(
            error, KF_E_REMOTE,
            "The certificates that %s is to be verified by can't be read: %s. Look at AWS_CA_BUNDLE.",
            endpoint, detail);
    case CURLE_FAILED_INIT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_CIPHER:
        return kf_error_set(error, KF_E_SYSTEM, "libcurl can't reach %s at all: %s.", endpoint, detail);
    default: /* not resolved, not connected, lost, torn */
        return kf_error_set(error, KF_E_RETRY, "The request to %s failed on its way: %s.", endpoint, detail);
    }
}

void kfi_http_conclude(struct kfi_http_exchange *exchange, CURLcode result)
{
    long status = 0;
    if (result == CURLE_OK && !exchange->too_large) {
        curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
        exchange->reply.status = (int)status;
        exchange->code = KF_OK;
        return;
    }
    exchange->code = explain(exchange, result);
}

void kfi_http_release(struct kfi_http_exchange *exchange)
{
    curl_easy_cleanup(exchange->easy);
    exchange->easy = NULL;
    for (struct curl_slist *line = exchange->headers; line != NULL; line = line->next)
        kfi_wipe(line->data, strlen(line->data));
    curl_slist_free_all(exchange->headers);
    exchange->headers = NULL;
    kfi_free_secret(exchange->body, exchange->body_length);
    exchange->body = NULL;
}

void kfi_http_exchange_drop(struct kfi_http_exchange *exchange)
{
    if (!kfi_refs_drop(&exchange->refs))
        return;
    kfi_http_release(exchange);
    kf_buf_free(&exchange->reply.body);
    kf_call_waker_unref(exchange->waker);
    kfi_http_pool_unref(exchange->pool);
    kfi_free(exchange);
}
