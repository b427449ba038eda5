/*
 * Transport: exchanges with a server on loopback that answers as each test tells it to.
 */
#include "support/support.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "aws/service/transport.h"
#include "base/memory.h"
#include "base/waker.h"
#include "support/http_server.h"

/* ---- A client's view: one exchange, and the bell that says that it ended ---- */

struct ask {
    struct bell bell;
    struct kf_call_waker *place;
    struct kfi_http_exchange *exchange;
    struct kf_error error;
    const struct kfi_http_reply *reply;
};

static struct kfi_http_pool *pool_new(uint32_t max_connections, const char *ca_bundle)
{
    const struct kfi_http_pool_options options = {max_connections, ca_bundle, "keyflight/test"};
    struct kf_error error = KF_ERROR_INIT;
    struct kfi_http_pool *pool;
    assert_ok(kfi_http_pool_new(&options, &error, &pool), &error);
    return pool;
}

static void url_of(char url[64], int port, bool tls)
{
    (void)snprintf(url, 64, "%s://127.0.0.1:%d/", tls ? "https" : "http", port);
}

/* A POST of "{}" to `url`, with generous limits. */
static struct kfi_http_request request_to(const char *url)
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

static void ask_start(struct ask *ask, struct kfi_http_pool *pool, const struct kfi_http_request *request)
{
    *ask = (struct ask){.place = kfi_waker_new()};
    bell_init(&ask->bell);
    const struct kf_waker waker = bell_waker(&ask->bell);
    kfi_waker_set(ask->place, &waker);
    assert_ok(kfi_http_exchange_start(pool, request, ask->place, &ask->error, &ask->exchange), &ask->error);
}

static enum kf_code ask_wait(struct ask *ask)
{
    enum kf_code code;
    while ((code = kfi_http_exchange_poll(ask->exchange, &ask->error, &ask->reply)) == KF_PENDING)
        bell_wait(&ask->bell);
    return code;
}

static void ask_end(struct ask *ask)
{
    kfi_http_exchange_free(ask->exchange);
    kfi_waker_set(ask->place, NULL);
    kf_call_waker_unref(ask->place);
    bell_destroy(&ask->bell);
}

/* One whole exchange; answers its code and the sentence. */
static enum kf_code ask_once(struct kfi_http_pool *pool, const struct kfi_http_request *request,
                             struct kf_error *error)
{
    struct ask ask;
    ask_start(&ask, pool, request);
    enum kf_code code = ask_wait(&ask);
    *error = ask.error;
    ask_end(&ask);
    return code;
}

/* ---- Plain exchanges ---- */

static struct http_answer next_answer; /* what the server says to everybody; set while nobody asks */

static void answer_next(const struct http_asked *asked, struct http_answer *answer)
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

static void stage_set(struct stage *stage, struct http_answer answer, uint32_t max_connections)
{
    next_answer = answer;
    stage->server = http_server_new(NULL, answer_next);
    stage->pool = pool_new(max_connections, NULL);
    url_of(stage->url, http_server_port(stage->server), false);
    stage->request = request_to(stage->url);
}

static void stage_end(struct stage *stage)
{
    kfi_http_pool_unref(stage->pool);
    kf_cleanup();
    http_server_free(stage->server);
}

static void a_reply_comes_whole_with_what_its_header_says(void **state)
{
    (void)state;
    struct stage stage;
    stage_set(&stage,
              (struct http_answer){.status = 400,
                                   .headers =
                                       "Date: Tue, 03 Nov 2026 10:00:00 GMT\r\nx-amzn-RequestId: id-1\r\n"
                                       "X-Amzn-ErrorType: ThrottlingException\r\nRetry-After: 3\r\n"
                                       "x-amz-retry-after: 1500\r\n",
                                   .body = "hello",
                                   .body_length = 5},
              5);
    static const char *const headers[] = {"X-Amz-Target: TrentService.Decrypt"};
    stage.request.headers = headers;
    stage.request.header_count = 1;
    struct ask ask;
    ask_start(&ask, stage.pool, &stage.request);
    assert_ok(ask_wait(&ask), &ask.error);
    assert_int_equal(ask.reply->status, 400);
    assert_int_equal(ask.reply->body.length, 5);
    assert_memory_equal(ask.reply->body.data, "hello", 5);
    assert_int_equal(ask.reply->date, 1793700000);
    assert_string_equal(ask.reply->request_id, "id-1");
    assert_string_equal(ask.reply->error_type, "ThrottlingException");
    assert_string_equal(ask.reply->retry_after, "3");
    assert_string_equal(ask.reply->amz_retry_after, "1500");
    assert_string_equal(ask.reply->token_ttl, "");
    struct http_asked asked;
    http_server_last(stage.server, &asked);
    assert_ptr_equal(strstr(asked.head, "POST / HTTP/1.1\r\n"), asked.head);
    assert_non_null(strstr(asked.head, "X-Amz-Target: TrentService.Decrypt\r\n"));
    assert_non_null(strstr(asked.head, "User-Agent: keyflight/test\r\n"));
    assert_null(strstr(asked.head, "Expect:"));
    assert_string_equal(asked.body, "{}");
    ask_end(&ask);
    stage_end(&stage);
}

static void get_and_put(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_error error;
    struct http_asked asked;
    stage_set(&stage, (struct http_answer){.body = "x", .body_length = 1}, 5);
    stage.request.body.length = 0;
    static const char *const methods[] = {"GET", "PUT"};
    for (size_t i = 0; i < 2; i++) {
        stage.request.method = methods[i];
        assert_ok(ask_once(stage.pool, &stage.request, &error), &error);
        http_server_last(stage.server, &asked);
        assert_memory_equal(asked.head, methods[i], 3);
    }
    assert_int_equal(http_server_connections(stage.server), 1);
    stage_end(&stage);
}

static void a_url_that_can_not_be_is_refused(void **state)
{
    (void)state;
    struct kfi_http_pool *pool = pool_new(1, NULL);
    static const char *const urls[] = {"", "ftp://127.0.0.1/", "http://", "file:///etc/hosts",
                                       "http://a:99999/"};
    struct kf_call_waker *place = kfi_waker_new();
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct kfi_http_request request = request_to(urls[i]);
        struct kfi_http_exchange *exchange;
        struct kf_error error = KF_ERROR_INIT;
        assert_int_equal(kfi_http_exchange_start(pool, &request, place, &error, &exchange), KF_E_USAGE);
        assert_null(exchange);
    }
    kf_call_waker_unref(place);
    kfi_http_pool_unref(pool);
}

static void one_connection_serves_request_after_request(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_error error;
    stage_set(&stage, (struct http_answer){.body = "x", .body_length = 1}, 50);
    for (int i = 0; i < 500; i++)
        assert_ok(ask_once(stage.pool, &stage.request, &error), &error);
    assert_int_equal(http_server_requests(stage.server), 500);
    assert_int_equal(http_server_connections(stage.server), 1);
    stage_end(&stage);
}

/* The server closes behind each reply: a request on the dead connection is sent again, with its body. */
static void a_connection_that_died_idle_is_replaced(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_error error;
    struct http_asked asked;
    stage_set(&stage, (struct http_answer){.body = "x", .body_length = 1, .close = true}, 5);
    for (int i = 0; i < 50; i++) {
        assert_ok(ask_once(stage.pool, &stage.request, &error), &error);
        http_server_last(stage.server, &asked);
        assert_string_equal(asked.body, "{}");
    }
    assert_int_equal(http_server_connections(stage.server), 50);
    stage_end(&stage);
}

#define MANY 200

static void no_more_than_the_limit_run_at_once(void **state)
{
    (void)state;
    static struct ask asks[MANY];
    struct stage stage;
    stage_set(&stage, (struct http_answer){.hold = true}, 7);
    for (size_t i = 0; i < MANY; i++)
        ask_start(&asks[i], stage.pool, &stage.request);
    http_server_wait_held(stage.server, 7);
    http_server_release(stage.server);
    for (size_t i = 0; i < MANY; i++) {
        assert_ok(ask_wait(&asks[i]), &asks[i].error);
        ask_end(&asks[i]);
    }
    assert_int_equal(http_server_requests(stage.server), MANY);
    assert_int_equal(http_server_peak(stage.server), 7);
    assert_int_equal(http_server_connections(stage.server), 7);
    stage_end(&stage);
}

/* ---- What goes wrong ---- */

static void each_failure_has_its_code_and_names_the_endpoint(void **state)
{
    (void)state;
    static const char large[9000] = {'x'};
    const struct {
        struct http_answer answer;
        enum kf_code code;
    } cases[] = {
        {{.how = HTTP_DROP}, KF_E_RETRY},
        {{.how = HTTP_TORN, .body = "0123456789", .body_length = 10}, KF_E_RETRY},
        {{.body = large, .body_length = sizeof(large)}, KF_E_REMOTE},
        {{.body = large, .body_length = sizeof(large), .claimed = SIZE_MAX}, KF_E_REMOTE},
        {{.headers = "Location: /other\r\n", .status = 302}, KF_OK},
        {{.hold = true}, KF_E_TIMEOUT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage stage;
        struct kf_error error = KF_ERROR_INIT;
        stage_set(&stage, cases[i].answer, 1);
        if (cases[i].code == KF_E_TIMEOUT)
            stage.request.timeout_ms = 50;
        assert_int_equal(ask_once(stage.pool, &stage.request, &error), cases[i].code);
        if (cases[i].code != KF_OK) {
            stage.url[strlen(stage.url) - 1] = '\0';
            assert_non_null(strstr(error.text, stage.url));
        }
        assert_int_equal(http_server_requests(stage.server), 1);
        stage_end(&stage);
    }
}

static void nobody_listens(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_error error;
    stage_set(&stage, (struct http_answer){.status = 200}, 1);
    http_server_free(stage.server);
    assert_int_equal(ask_once(stage.pool, &stage.request, &error), KF_E_RETRY);
    kfi_http_pool_unref(stage.pool);
    kf_cleanup();
}

/* ---- Cancellation, cleaning up, forks ---- */

static void an_exchange_is_cancelled_at_any_stage(void **state)
{
    (void)state;
    struct stage stage;
    struct ask running, waiting, fresh, done;
    stage_set(&stage, (struct http_answer){.hold = true}, 1);
    ask_start(&running, stage.pool, &stage.request);
    http_server_wait_held(stage.server, 1);
    ask_start(&waiting, stage.pool, &stage.request);
    support_settle();
    ask_start(&fresh, stage.pool, &stage.request);
    ask_end(&fresh); /* maybe not taken in yet */
    ask_end(&waiting);
    ask_start(&done, stage.pool, &stage.request);
    ask_end(&running); /* its turn passes on */
    http_server_wait_held(stage.server, 1);
    http_server_release(stage.server);
    assert_ok(ask_wait(&done), &done.error);
    assert_int_equal(http_server_requests(stage.server), 2);
    ask_end(&done);
    for (int i = 0; i < 300; i++) { /* whatever stage it is in */
        ask_start(&fresh, stage.pool, &stage.request);
        if (i % 3 != 0)
            support_settle();
        ask_end(&fresh);
    }
    stage_end(&stage);
}

static void cleanup_fails_what_is_under_way_and_a_later_use_begins_anew(void **state)
{
    (void)state;
    struct stage stage;
    struct ask asks[5];
    struct kf_error error;
    stage_set(&stage, (struct http_answer){.hold = true}, 2);
    for (size_t i = 0; i < 5; i++)
        ask_start(&asks[i], stage.pool, &stage.request);
    http_server_wait_held(stage.server, 2);
    kf_cleanup();
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(ask_wait(&asks[i]), KF_E_CLEANED_UP);
        ask_end(&asks[i]);
    }
    http_server_release(stage.server);
    assert_ok(ask_once(stage.pool, &stage.request, &error), &error);
    stage_end(&stage);
}

struct forked {
    struct stage *stage;
    struct ask *pending;
};

static bool in_child(void *context)
{
    struct forked *forked = context;
    struct kf_error error;
    bool refused =
        kfi_http_exchange_poll(forked->pending->exchange, &error, &forked->pending->reply) == KF_E_FORKED;
    kfi_http_exchange_free(forked->pending->exchange);
    struct kfi_http_request request = forked->stage->request;
    request.method = "GET";
    request.body.length = 0;
    return refused &&
           (!SUPPORT_THREADS_IN_CHILDREN || ask_once(forked->stage->pool, &request, &error) == KF_OK);
}

static void hold_posts(const struct http_asked *asked, struct http_answer *answer)
{
    answer->hold = asked->head[0] == 'P';
}

static void a_child_begins_anew_and_the_parent_notices_nothing(void **state)
{
    (void)state;
    struct stage stage;
    struct ask pending;
    struct kf_error error;
    stage_set(&stage, (struct http_answer){.status = 200}, 1);
    http_server_free(stage.server);
    stage.server = http_server_new(NULL, hold_posts);
    url_of(stage.url, http_server_port(stage.server), false);
    ask_start(&pending, stage.pool, &stage.request);
    http_server_wait_held(stage.server, 1);
    struct forked forked = {&stage, &pending};
    assert_true(support_in_child(in_child, &forked));
    http_server_release(stage.server);
    assert_ok(ask_wait(&pending), &pending.error);
    ask_end(&pending);
    assert_ok(ask_once(stage.pool, &stage.request, &error), &error);
    assert_int_equal(http_server_connections(stage.server), SUPPORT_THREADS_IN_CHILDREN ? 2 : 1);
    stage_end(&stage);
}

/* ---- TLS ---- */

static void tls_is_verified_and_not_old(void **state)
{
    (void)state;
    struct kf_error error;
    char url[64], file[64], other_file[64];
    (void)snprintf(file, sizeof(file), "transport-%d.pem", (int)getpid());
    (void)snprintf(other_file, sizeof(other_file), "transport-%d-other.pem", (int)getpid());
    SSL_CTX *other = http_server_tls(other_file, 0);
    static const int versions[] = {0, TLS1_2_VERSION, TLS1_1_VERSION};
    for (size_t i = 0; i < 3; i++) {
        SSL_CTX *tls = http_server_tls(file, versions[i]);
        struct http_server *server = http_server_new(tls, answer_next);
        next_answer = (struct http_answer){.body = "x", .body_length = 1};
        url_of(url, http_server_port(server), true);
        struct kfi_http_request request = request_to(url);
        struct kfi_http_pool *right = pool_new(2, file), *wrong = pool_new(2, other_file);
        if (versions[i] == TLS1_1_VERSION) {
            assert_int_equal(ask_once(right, &request, &error), KF_E_RETRY);
        } else {
            assert_ok(ask_once(right, &request, &error), &error);
            assert_ok(ask_once(right, &request, &error), &error);
            assert_int_equal(http_server_connections(server), 1);
            assert_int_equal(ask_once(wrong, &request, &error), KF_E_REMOTE);
            assert_non_null(strstr(error.text, "AWS_CA_BUNDLE"));
        }
        kfi_http_pool_unref(right);
        kfi_http_pool_unref(wrong);
        kf_cleanup();
        http_server_free(server);
        SSL_CTX_free(tls);
    }
    SSL_CTX_free(other);
    (void)unlink(file);
    (void)unlink(other_file);
}

/* ---- Signatures, computed again by hand ---- */

#define SECRET_KEY "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

static void hex(const unsigned char *bytes, size_t length, char *out)
{
    for (size_t i = 0; i < length; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void hmac(const void *key, size_t key_length, const char *text, unsigned char out[32])
{
    unsigned length = 32;
    assert_non_null(
        HMAC(EVP_sha256(), key, (int)key_length, (const unsigned char *)text, strlen(text), out, &length));
}

/* The value of the header line `name` of a request, trimmed. */
static void header_of(const struct http_asked *asked, const char *name, char *out, size_t room)
{
    char key[80];
    (void)snprintf(key, sizeof(key), "\r\n%s:", name);
    const char *at = strcasestr(asked->head, key);
    if (at == NULL)
        fail_msg("the request has no header line %s", name);
    at += strlen(key);
    at += strspn(at, " ");
    (void)snprintf(out, room, "%.*s", (int)strcspn(at, "\r"), at);
}

/* The signature that a request should have, for the date and the names of header lines that it says. */
static void sign_again(const struct http_asked *asked, const char *signed_names, char out[65])
{
    char canonical[8192] = "POST\n/\n\n", names[512], value[2048], date[32], day[9], text[1024];
    unsigned char digest[32], key[32];
    (void)snprintf(names, sizeof(names), "%s", signed_names);
    size_t at = strlen(canonical);
    for (char *rest = NULL, *name = strtok_r(names, ";", &rest); name != NULL;
         name = strtok_r(NULL, ";", &rest)) {
        header_of(asked, name, value, sizeof(value));
        at += (size_t)snprintf(canonical + at, sizeof(canonical) - at, "%s:%s\n", name, value);
    }
    at += (size_t)snprintf(canonical + at, sizeof(canonical) - at, "\n%s\n", signed_names);
    assert_int_equal(EVP_Digest(asked->body, asked->body_length, digest, NULL, EVP_sha256(), NULL), 1);
    hex(digest, 32, canonical + at);
    header_of(asked, "x-amz-date", date, sizeof(date));
    (void)snprintf(day, sizeof(day), "%.8s", date);
    assert_int_equal(EVP_Digest(canonical, strlen(canonical), digest, NULL, EVP_sha256(), NULL), 1);
    at = (size_t)snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s/eu-west-1/kms/aws4_request\n", date,
                          day);
    hex(digest, 32, text + at);
    hmac("AWS4" SECRET_KEY, strlen("AWS4" SECRET_KEY), day, key);
    hmac(key, 32, "eu-west-1", digest);
    hmac(digest, 32, "kms", key);
    hmac(key, 32, "aws4_request", digest);
    hmac(digest, 32, text, key);
    hex(key, 32, out);
}

static void requests_are_signed(void **state)
{
    (void)state;
    static const char body[] = "{\"KeyId\":\"\xc3\xa4\xe2\x82\xac\"}";
    static const char *const headers[] = {"Content-Type: application/x-amz-json-1.1",
                                          "X-Amz-Target: TrentService.GenerateDataKey"};
    const struct {
        const char *token;
        int64_t skew;
    } cases[] = {{NULL, 0}, {"to/ken+of=the session", 0}, {"token", 7200}, {NULL, -86400}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct kfi_http_signature signature = {"eu-west-1", "kms",          "AKIDEXAMPLE",
                                                     SECRET_KEY,  cases[i].token, cases[i].skew};
        struct stage stage;
        struct kf_error error = KF_ERROR_INIT;
        struct http_asked asked;
        char line[1024], names[512], expected[65], date[32];
        stage_set(&stage, (struct http_answer){.status = 200}, 1);
        stage.request.headers = headers;
        stage.request.header_count = 2;
        stage.request.body = (struct kf_view){(const uint8_t *)body, strlen(body)};
        stage.request.signature = &signature;
        time_t before = time(NULL);
        assert_ok(ask_once(stage.pool, &stage.request, &error), &error);
        time_t after = time(NULL);
        http_server_last(stage.server, &asked);
        assert_string_equal(asked.body, body);
        header_of(&asked, "authorization", line, sizeof(line));
        const char *at = strstr(line, "SignedHeaders=");
        assert_non_null(at);
        at += strlen("SignedHeaders=");
        (void)snprintf(names, sizeof(names), "%.*s", (int)strcspn(at, ","), at);
        assert_non_null(strstr(names, "x-amz-target"));
        assert_non_null(strstr(names, "host"));
        assert_int_equal(strstr(names, "x-amz-security-token") != NULL, cases[i].token != NULL);
        sign_again(&asked, names, expected);
        at = strstr(line, "Signature=");
        assert_non_null(at);
        assert_string_equal(at + strlen("Signature="), expected);

        struct tm tm = {0};
        header_of(&asked, "x-amz-date", date, sizeof(date));
        assert_non_null(strptime(date, "%Y%m%dT%H%M%SZ", &tm));
        time_t said = timegm(&tm) - (time_t)cases[i].skew;
        assert_true(said >= before && said <= after);
        stage_end(&stage);
    }
}

/* ---- Secrets ---- */

/*
 * What is searched for is kept masked, so that it does not find itself. The server is another process.
 * The length is that of base64 text, which it is as well.
 */
static const unsigned char masked_secret[32] = "Q8dRk2Zp0wLx7TnVb5YcHs1MgJf4EuA6";
static const unsigned char mask = 0x03;

/* Sanitizers keep shadows of all memory, which can't be searched. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool shadowed = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
static const bool shadowed = true;
#else
static const bool shadowed = false;
#endif
#else
static const bool shadowed = false;
#endif

/* A body: the secret far enough behind its front, which the allocator writes over once it is freed. */
enum {
    SECRET_AT = 500,
    SECRET_BODY = SECRET_AT + sizeof(masked_secret)
};

static void unmask(unsigned char *out)
{
    memset(out, '.', SECRET_AT);
    out += SECRET_AT;
    for (size_t i = 0; i < sizeof(masked_secret); i++)
        ((volatile unsigned char *)out)[i] = masked_secret[i] ^ mask;
}

static size_t found_in(const unsigned char *from, const unsigned char *to)
{
    const unsigned char first = masked_secret[0] ^ mask;
    size_t found = 0;
    while ((size_t)(to - from) >= sizeof(masked_secret) &&
           (from = memchr(from, first, (size_t)(to - from) - sizeof(masked_secret) + 1)) != NULL) {
        size_t same = 1;
        while (same < sizeof(masked_secret) && (from[same] ^ mask) == masked_secret[same])
            same++;
        found += same >= 16; /* the half is too much too */
        from++;
    }
    return found;
}

/* How often the secret lies in the heap and other anonymous memory (of threads, their stacks too). */
static size_t search_memory(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    char line[512];
    size_t found = 0;
    while (fgets(line, sizeof(line), maps) != NULL) {
        uintptr_t from, to;
        char access[8], path[256] = "";
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s %*s %*s %*s %255s", &from, &to, access, path) >= 3 &&
            access[0] == 'r' && access[1] == 'w' && (path[0] == '\0' || strcmp(path, "[heap]") == 0))
            found += found_in((const unsigned char *)from, (const unsigned char *)to);
    }
    (void)fclose(maps);
    return found;
}

static unsigned char server_secret[SECRET_BODY];

static void answer_secret(const struct http_asked *asked, struct http_answer *answer)
{
    unmask(server_secret);
    bool got = asked->body_length == SECRET_BODY && memcmp(asked->body, server_secret, SECRET_BODY) == 0;
    answer->body = got ? "ok" : (const char *)server_secret;
    answer->body_length = got ? 2 : SECRET_BODY;
}

/* Starts a server in a process of its own; answers its port, and its end of a pipe that ends it when closed. */
static pid_t serve_apart(SSL_CTX *tls, int *port, int *leash)
{
    int up[2], down[2];
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    pid_t child = fork();
    if (child == 0) {
        char nothing;
        (void)close(down[1]);
        struct http_server *server = http_server_new(tls, answer_secret);
        int number = http_server_port(server);
        _exit(write(up[1], &number, sizeof(number)) != sizeof(number) || read(down[0], &nothing, 1) != 0);
    }
    (void)close(up[1]);
    (void)close(down[0]);
    assert_int_equal(read(up[0], port, sizeof(*port)), sizeof(*port));
    (void)close(up[0]);
    *leash = down[1];
    return child;
}

static void search_after_exchanges(const char *url, struct kfi_http_pool *pool)
{
    const struct kfi_http_signature signature = {"eu-west-1", "kms", "AKIDEXAMPLE", SECRET_KEY, NULL, 0};
    struct kfi_http_request request = request_to(url);
    request.signature = &signature;
    struct ask ask;
    for (int i = 0; i < 3; i++) { /* on a fresh connection, and on the kept one */
        ask_start(&ask, pool, &request);
        assert_ok(ask_wait(&ask), &ask.error);
        assert_int_equal(ask.reply->body.length, SECRET_BODY);
        assert_true(search_memory() > 0); /* the reply itself: the search finds what is there */
        ask_end(&ask);
        support_settle();
        assert_int_equal(search_memory(), 0);

        unsigned char *body = malloc(SECRET_BODY);
        unmask(body);
        request.body = (struct kf_view){body, SECRET_BODY};
        ask_start(&ask, pool, &request);
        kfi_wipe(body, SECRET_BODY);
        assert_ok(ask_wait(&ask), &ask.error);
        assert_int_equal(ask.reply->body.length, 2);
        ask_end(&ask);
        support_settle();
        assert_int_equal(search_memory(), 0);
        free(body);
        request.body = (struct kf_view){(const uint8_t *)"{}", 2};
    }
}

static void no_copy_of_a_body_stays_in_memory(void **state)
{
    (void)state;
    if (shadowed)
        skip();
    char url[64], file[64];
    (void)snprintf(file, sizeof(file), "transport-%d.pem", (int)getpid());
    for (int i = 0; i < 2; i++) {
        SSL_CTX *tls = i == 1 ? http_server_tls(file, 0) : NULL;
        int port, leash, status;
        pid_t child = serve_apart(tls, &port, &leash);
        url_of(url, port, tls != NULL);
        struct kfi_http_pool *pool = pool_new(2, tls != NULL ? file : NULL);
        search_after_exchanges(url, pool);
        kfi_http_pool_unref(pool);
        kf_cleanup();
        assert_int_equal(search_memory(), 0);
        (void)close(leash);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        SSL_CTX_free(tls);
        if (tls != NULL)
            (void)unlink(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_comes_whole_with_what_its_header_says),
        cmocka_unit_test(get_and_put),
        cmocka_unit_test(a_url_that_can_not_be_is_refused),
        cmocka_unit_test(one_connection_serves_request_after_request),
        cmocka_unit_test(a_connection_that_died_idle_is_replaced),
        cmocka_unit_test(no_more_than_the_limit_run_at_once),
        cmocka_unit_test(each_failure_has_its_code_and_names_the_endpoint),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(an_exchange_is_cancelled_at_any_stage),
        cmocka_unit_test(cleanup_fails_what_is_under_way_and_a_later_use_begins_anew),
        cmocka_unit_test(a_child_begins_anew_and_the_parent_notices_nothing),
        cmocka_unit_test(tls_is_verified_and_not_old),
        cmocka_unit_test(requests_are_signed),
        cmocka_unit_test(no_copy_of_a_body_stays_in_memory),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* the server's, by OpenSSL */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
