/*
 * HTTP by libcurl: see http_curl.h. Nothing here blocks but kfi_curl_turn.
 *
 * Secrets. Bodies, both ways, pass through libcurl's own buffers. The callbacks get pointers into these buffers
 * after libcurl has used the bytes for the last time, and wipe them in place. A body is never given as
 * POSTFIELDS, which libcurl copies behind the header lines. SSL_OP_CLEANSE_PLAINTEXT makes OpenSSL wipe what it
 * decrypted. A reply that is refused, cut short or cancelled leaves nothing either: what had come of it has been
 * through take_body.
 *
 * Forks. libcurl and its TLS take locks of the process. So forks are barred where it may do so (base/fork.h), but
 * not while it sleeps, nor while our callbacks use the allocator, which may be the user's.
 *
 * What stays in freed memory: libcurl's copies of the secret access key, of the signing key that it derives, and
 * of the header lines, of which a session token may be one (our own copies are wiped); and what libcurl took of
 * a body but could not send, because the connection died or the transfer was cancelled.
 */
#include "aws/service/http_curl.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "aws/service/http_sockets.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/lock.h"
#include "suite/digest.h"
#include "suite/libcrypto.h"

struct kfi_curl_transfer {
    void *owner;
    CURL *easy;
    struct curl_slist *headers;
    bool is_signed;
    int64_t clock_skew;
    uint8_t *body; /* what is sent, wiped at the end */
    size_t body_length, body_sent;
    size_t reply_max;
    bool too_large;
    CURLcode result;
    char curl_text[CURL_ERROR_SIZE];
    char endpoint[300]; /* scheme://host:port */
    struct kfi_http_reply reply;
};

struct kfi_curl {
    CURLM *multi;
    struct kfi_sockets sockets;
    unsigned begun; /* transfers */
};

static struct kfi_once curl_once = KFI_ONCE_INIT;
static bool curl_ready;
/* libcurl's TLS is that of the OpenSSL that we are linked with. */
static bool curl_openssl;
/* libcurl has a file of the system's certificates. */
static bool curl_has_bundle;

/* Around each use of libcurl that may use TLS. What TLS keeps for the thread is freed as suite/libcrypto.h says. */
static void curl_enter(void)
{
    (void)kfi_crypto_thread_begin();
    kfi_fork_bar();
}

static void curl_leave(void)
{
    kfi_fork_unbar();
}

static void init_curl(void)
{
    curl_enter();
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
    curl_leave();
    const char *tls = version->ssl_version;
    curl_has_bundle = version->cainfo != NULL;
    curl_openssl = tls != NULL && strncmp(tls, "OpenSSL/3", strlen("OpenSSL/3")) == 0;
}

bool kfi_curl_init(void)
{
    kfi_once_run(&curl_once, init_curl);
    return curl_ready;
}

/* ---- What libcurl calls ---- */

static size_t give_body(char *to, size_t size, size_t count, void *context)
{
    struct kfi_curl_transfer *transfer = context;
    size_t room = size * count, left = transfer->body_length - transfer->body_sent;
    size_t length = room < left ? room : left;
    if (length > 0)
        memcpy(to, transfer->body + transfer->body_sent, length);
    transfer->body_sent += length;
    return length;
}

/* libcurl calls this when a kept connection was dead, and sends the body again on another. */
static int rewind_body(void *context, curl_off_t offset, int origin)
{
    struct kfi_curl_transfer *transfer = context;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > transfer->body_length)
        return CURL_SEEKFUNC_FAIL;
    transfer->body_sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* Makes room for a piece of the reply. The piece before may have been too large already. */
static enum kf_code reply_reserve(struct kfi_curl_transfer *transfer, size_t length)
{
    if (transfer->too_large)
        return KF_E_LIMIT;
    kfi_fork_unbar();
    enum kf_code code = kfi_buf_reserve(&transfer->reply.body, length, transfer->reply_max);
    kfi_fork_bar();
    return code;
}

/* `bytes` lie in libcurl's receive buffer. */
static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct kfi_curl_transfer *transfer = context;
    struct kf_buf *body = &transfer->reply.body;
    size_t length = size * count, taken = length;
    enum kf_code code = reply_reserve(transfer, length);
    if (code == KF_OK) {
        memcpy(body->data + body->length, bytes, length);
        body->length += length;
    } else {
        transfer->too_large = code == KF_E_LIMIT;
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
static void pick_header(struct kf_view line, const char *name, char *to, size_t room)
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
    struct kfi_curl_transfer *transfer = context;
    struct kfi_http_reply *reply = &transfer->reply;
    const struct kf_view line = {(const uint8_t *)bytes, size * count};
    char date[64] = "", length[24] = "";
    if (line.length > 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        /* What came before was an interim reply. */
        kfi_buf_wipe(&reply->body);
        *reply = (struct kfi_http_reply){.body = reply->body};
    }
    pick_header(line, "date", date, sizeof(date));
    pick_header(line, "content-length", length, sizeof(length));
    pick_header(line, "x-amzn-requestid", reply->request_id, sizeof(reply->request_id));
    pick_header(line, "x-amz-request-id", reply->request_id, sizeof(reply->request_id));
    pick_header(line, "x-amzn-errortype", reply->error_type, sizeof(reply->error_type));
    pick_header(line, "retry-after", reply->retry_after, sizeof(reply->retry_after));
    pick_header(line, "x-amz-retry-after", reply->amz_retry_after, sizeof(reply->amz_retry_after));
    pick_header(line, "x-aws-ec2-metadata-token-ttl-seconds", reply->token_ttl, sizeof(reply->token_ttl));
    if (date[0] != '\0') {
        time_t seconds = curl_getdate(date, NULL);
        reply->date = seconds > 0 ? (int64_t)seconds : 0;
    }
    /* take_body refuses the reply at its first bytes. Refused here, what has come of them would not be wiped. */
    if (length[0] != '\0' && strtoull(length, NULL, 10) > transfer->reply_max)
        transfer->too_large = true;
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

static bool add_header(struct kfi_curl_transfer *transfer, const char *line)
{
    struct curl_slist *more = curl_slist_append(transfer->headers, line);
    if (more == NULL)
        return false;
    transfer->headers = more;
    return true;
}

/* "name: value", its copy being wiped. */
static bool add_secret_header(struct kfi_curl_transfer *transfer, const char *name, const char *value)
{
    size_t room = strlen(name) + strlen(value) + 3;
    char *line = kfi_alloc(room);
    if (line == NULL)
        return false;
    (void)snprintf(line, room, "%s: %s", name, value);
    bool done = add_header(transfer, line);
    kfi_free_secret(line, room);
    return done;
}

#define SET(option, value) \
    if (code == CURLE_OK)  \
    code = curl_easy_setopt(transfer->easy, option, value)

static CURLcode set_connection(struct kfi_curl_transfer *transfer, const struct kfi_http_request *request,
                               const char *ca_bundle)
{
    CURLcode code = CURLE_OK;
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* a cancelled transfer doesn't wait for its host to be resolved */
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (ca_bundle != NULL)
        SET(CURLOPT_CAINFO, ca_bundle);
    /*
     * No directory beside a file. A bundle of the user's is all that is trusted then. And only without a directory does
     * libcurl read its file once for all connections, not once for each, which takes 20 ms for the file of a system.
     */
    if (ca_bundle != NULL || curl_has_bundle)
        SET(CURLOPT_CAPATH, NULL);
    if (curl_openssl)
        SET(CURLOPT_SSL_CTX_FUNCTION, clean_tls);
    if (request->direct)
        SET(CURLOPT_PROXY, "");
    /* Never 0, by which libcurl means limits of its own. */
    const uint64_t most = INT32_MAX;
    uint64_t connect = request->connect_timeout_ms, total = request->timeout_ms;
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect < most ? connect : most));
    SET(CURLOPT_TIMEOUT_MS, (long)(total < most ? total : most));
    return code;
}

static CURLcode set_callbacks(struct kfi_curl_transfer *transfer)
{
    CURLcode code = CURLE_OK;
    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_ERRORBUFFER, transfer->curl_text);
    SET(CURLOPT_READFUNCTION, give_body);
    SET(CURLOPT_READDATA, transfer);
    SET(CURLOPT_SEEKFUNCTION, rewind_body);
    SET(CURLOPT_SEEKDATA, transfer);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, transfer);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_DEBUGFUNCTION, wipe_sent);
    SET(CURLOPT_VERBOSE, 1L);
    return code;
}

static CURLcode set_method(struct kfi_curl_transfer *transfer, const struct kfi_http_request *request,
                           const char *user_agent)
{
    CURLcode code = CURLE_OK;
    if (user_agent != NULL)
        SET(CURLOPT_USERAGENT, user_agent);
    if (strcmp(request->method, "POST") == 0) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.length);
    } else if (strcmp(request->method, "PUT") == 0) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body.length);
    }
    return code;
}

static CURLcode set_signature(struct kfi_curl_transfer *transfer, const struct kfi_http_signature *signature)
{
    char how[160];
    int length = snprintf(how, sizeof(how), "aws:amz:%s:%s", signature->region, signature->service);
    CURLcode code = length < (int)sizeof(how) ? CURLE_OK : CURLE_BAD_FUNCTION_ARGUMENT;
    SET(CURLOPT_AWS_SIGV4, how);
    SET(CURLOPT_USERNAME, signature->access_key_id);
    SET(CURLOPT_PASSWORD, signature->secret_access_key);
    return code;
}

static enum kf_code set_headers(struct kfi_curl_transfer *transfer, const struct kfi_http_request *request,
                                struct kf_error *error)
{
    bool done = true;
    for (size_t i = 0; done && i < request->header_count; i++)
        done = add_header(transfer, request->headers[i]);
    if (request->signature != NULL && request->signature->session_token != NULL)
        done = done && add_secret_header(transfer, "X-Amz-Security-Token", request->signature->session_token);
    if (request->signature != NULL) {
        /* libcurl signs before it has seen the body, so it takes the hash of the body from here. */
        uint8_t hash[32];
        char line[32 + 2 * sizeof(hash)] = "X-Amz-Content-Sha256: ";
        enum kf_code code = kfi_digest(KFI_SHA256, &request->body, 1, error, hash);
        if (code != KF_OK)
            return code;
        size_t length = strlen(line);
        for (size_t i = 0; i < sizeof(hash); i++)
            (void)snprintf(line + length + 2 * i, 3, "%02x", hash[i]);
        done = done && add_header(transfer, line);
    }
    return done ? KF_OK : kfi_no_memory(error);
}

static enum kf_code transfer_fill(struct kfi_curl_transfer *transfer, const struct kfi_http_request *request,
                                  const char *ca_bundle, const char *user_agent, struct kf_error *error)
{
    enum kf_code result = read_url(request->url, error, transfer->endpoint, sizeof(transfer->endpoint));
    if (result != KF_OK)
        return result;
    curl_enter();
    transfer->easy = curl_easy_init();
    curl_leave();
    transfer->body = kfi_copy(request->body);
    if (transfer->easy == NULL || transfer->body == NULL)
        return kfi_no_memory(error);
    transfer->body_length = request->body.length;
    transfer->reply_max = request->reply_max;
    result = set_headers(transfer, request, error);
    if (result != KF_OK)
        return result;
    CURLcode code = set_connection(transfer, request, ca_bundle);
    if (code == CURLE_OK)
        code = set_callbacks(transfer);
    if (code == CURLE_OK)
        code = set_method(transfer, request, user_agent);
    if (code == CURLE_OK && request->signature != NULL) {
        transfer->is_signed = true;
        transfer->clock_skew = request->signature->clock_skew;
        code = set_signature(transfer, request->signature);
    }
    if (code == CURLE_OUT_OF_MEMORY)
        return kfi_no_memory(error);
    if (code != CURLE_OK)
        return kf_error_set(error, KF_E_SYSTEM, "libcurl does not take a request to %s: %s.",
                            transfer->endpoint, curl_easy_strerror(code));
    return KF_OK;
}

enum kf_code kfi_curl_transfer_new(const struct kfi_http_request *request, const char *ca_bundle,
                                   const char *user_agent, void *owner, struct kf_error *error,
                                   struct kfi_curl_transfer **out)
{
    *out = NULL;
    struct kfi_curl_transfer *transfer = kfi_alloc_zeroed(sizeof(*transfer));
    if (transfer == NULL)
        return kfi_no_memory(error);
    transfer->owner = owner;
    enum kf_code code = transfer_fill(transfer, request, ca_bundle, user_agent, error);
    if (code == KF_OK)
        *out = transfer;
    else
        kfi_curl_transfer_free(transfer);
    return code;
}

void kfi_curl_transfer_close(struct kfi_curl_transfer *transfer)
{
    curl_enter();
    curl_easy_cleanup(transfer->easy);
    curl_leave();
    transfer->easy = NULL;
    for (struct curl_slist *line = transfer->headers; line != NULL; line = line->next)
        kfi_wipe(line->data, strlen(line->data));
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    kfi_free_secret(transfer->body, transfer->body_length);
    transfer->body = NULL;
}

void kfi_curl_transfer_free(struct kfi_curl_transfer *transfer)
{
    if (transfer == NULL)
        return;
    kfi_curl_transfer_close(transfer);
    kf_buf_free(&transfer->reply.body);
    kfi_free(transfer);
}

const char *kfi_curl_transfer_endpoint(const struct kfi_curl_transfer *transfer)
{
    return transfer->endpoint;
}

/* ---- How it ended ---- */

/* Why there is no whole reply. */
static enum kf_code transfer_explain(const struct kfi_curl_transfer *transfer, struct kf_error *error)
{
    const CURLcode result = transfer->result;
    const char *endpoint = transfer->endpoint;
    const char *detail = transfer->curl_text[0] != '\0' ? transfer->curl_text : curl_easy_strerror(result);
    if (transfer->too_large)
        return kf_error_set(
            error, KF_E_REMOTE,
            "The reply of %s is larger than the %zu bytes that are taken: this is no such service.", endpoint,
            transfer->reply_max);
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

enum kf_code kfi_curl_transfer_result(const struct kfi_curl_transfer *transfer, struct kf_error *error)
{
    const bool is_whole = transfer->result == CURLE_OK && !transfer->too_large;
    return is_whole ? KF_OK : transfer_explain(transfer, error);
}

const struct kfi_http_reply *kfi_curl_transfer_reply(const struct kfi_curl_transfer *transfer)
{
    return &transfer->reply;
}

/* ---- The connections, and the transfers under way ---- */

enum kf_code kfi_curl_new(struct kf_error *error, struct kfi_curl **out)
{
    *out = NULL;
    struct kfi_curl *curl = kfi_alloc_zeroed(sizeof(*curl));
    CURLM *multi = curl != NULL ? curl_multi_init() : NULL;
    enum kf_code code = multi != NULL ? kfi_sockets_open(&curl->sockets, multi, error) : kfi_no_memory(error);
    if (code != KF_OK) {
        (void)curl_multi_cleanup(multi);
        kfi_free(curl);
        return code;
    }
    curl->multi = multi;
    /* Else libcurl closes idle connections by how many transfers there are at the moment. */
    (void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 4096L);
    (void)curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    *out = curl;
    return KF_OK;
}

void kfi_curl_free(struct kfi_curl *curl)
{
    curl_enter();
    (void)curl_multi_cleanup(curl->multi);
    curl_leave();
    kfi_sockets_close(&curl->sockets);
    kfi_free(curl);
}

/* Gives libcurl the header lines, and among them the date if it has to be corrected. False: no memory. */
static bool set_header_lines(struct kfi_curl_transfer *transfer)
{
    bool done = true;
    if (transfer->is_signed && transfer->clock_skew != 0) {
        time_t now = (time_t)kfi_wall_clock_s() + (time_t)transfer->clock_skew;
        struct tm utc;
        char line[48];
        done = gmtime_r(&now, &utc) != NULL &&
               strftime(line, sizeof(line), "X-Amz-Date: %Y%m%dT%H%M%SZ", &utc) > 0 &&
               add_header(transfer, line);
    }
    return done && curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK;
}

/*
 * libcurl looks at a transfer again once the other family of IP addresses is to be tried too (200 ms by default). It
 * looks at all for which that is due at once, so transfers that begin together get times that are apart.
 */
static void set_second_family(struct kfi_curl *curl, struct kfi_curl_transfer *transfer)
{
    const long ms = 200 + (long)(curl->begun++ % 256);
    (void)curl_easy_setopt(transfer->easy, CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, ms);
}

enum kf_code kfi_curl_begin(struct kfi_curl *curl, struct kfi_curl_transfer *transfer, struct kf_error *error)
{
    if (!set_header_lines(transfer))
        return kfi_no_memory(error);
    set_second_family(curl, transfer);
    CURLMcode code = curl_multi_add_handle(curl->multi, transfer->easy);
    if (code != CURLM_OK)
        return kf_error_set(error, KF_E_SYSTEM, "libcurl can't begin a request to %s: %s.",
                            transfer->endpoint, curl_multi_strerror(code));
    return KF_OK;
}

void kfi_curl_remove(struct kfi_curl *curl, struct kfi_curl_transfer *transfer)
{
    curl_enter();
    (void)curl_multi_remove_handle(curl->multi, transfer->easy);
    curl_leave();
}

/*
 * Begins a transfer once more, on a fresh connection, if a kept connection turned out to be dead while the body
 * was being sent. (If it does so before or after, libcurl begins again by itself.)
 */
static bool transfer_begin_again(struct kfi_curl *curl, struct kfi_curl_transfer *transfer, CURLcode result)
{
    long connected = 1;
    curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connected);
    if (result != CURLE_SEND_ERROR || connected != 0)
        return false;
    transfer->body_sent = 0;
    if (curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L) != CURLE_OK)
        return false;
    kfi_curl_remove(curl, transfer);
    return curl_multi_add_handle(curl->multi, transfer->easy) == CURLM_OK;
}

void *kfi_curl_next_ended(struct kfi_curl *curl)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(curl->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE)
            continue;
        const CURLcode result = message->data.result;
        char *private;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        struct kfi_curl_transfer *transfer = (struct kfi_curl_transfer *)(void *)private;
        if (transfer_begin_again(curl, transfer, result))
            continue;
        long status = 0;
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
        transfer->result = result;
        transfer->reply.status = (int)status;
        return transfer->owner;
    }
    return NULL;
}

void kfi_curl_turn(struct kfi_curl *curl, uint64_t ms)
{
    kfi_sockets_turn(&curl->sockets, ms);
}

void kfi_curl_wake(struct kfi_curl *curl)
{
    kfi_sockets_wake(&curl->sockets);
}
