/*
 * HTTP exchanges with a server on loopback: what goes wrong with them, and what ends them.
 */
#include "aws/http_stage.h"

#include <netdb.h>

/* ---- Plain exchanges ---- */

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

static void a_url_not_of_http_or_https_is_refused(void **state)
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

#define REQUESTS 10500

static void one_connection_serves_request_after_request(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_error error;
    stage_set(&stage, (struct http_answer){.body = "x", .body_length = 1}, 50);
    for (int i = 0; i < REQUESTS; i++)
        assert_ok(ask_once(stage.pool, &stage.request, &error), &error);
    assert_int_equal(http_server_requests(stage.server), REQUESTS);
    assert_int_equal(http_server_connections(stage.server), 1);
    stage_end(&stage);
}

/* The server closes the connection after each reply. A request on a dead connection is sent again, with its body. */
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
        if (cases[i].code != KF_E_TIMEOUT) /* its time may be over before the server has read it */
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
    ask_end(&fresh); /* which the internal thread may not have seen yet */
    ask_end(&waiting);
    ask_start(&done, stage.pool, &stage.request);
    ask_end(&running); /* its turn goes to the next */
    http_server_wait_held(stage.server, 1);
    http_server_release(stage.server);
    assert_ok(ask_wait(&done), &done.error);
    assert_int_equal(http_server_requests(stage.server), 2);
    ask_end(&done);
    for (int i = 0; i < 300; i++) { /* at whatever stage it is */
        ask_start(&fresh, stage.pool, &stage.request);
        if (i % 3 != 0)
            support_settle();
        ask_end(&fresh);
    }
    stage_end(&stage);
}

/* Replaces the C library's for this program: no name is resolved until the gate is opened. */
static struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool reached, open;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints, struct addrinfo **out)
{
    (void)name;
    (void)service;
    (void)hints;
    *out = NULL;
    pthread_mutex_lock(&gate.lock);
    gate.reached = true;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    return EAI_FAIL;
}

/* Whoever cancels does not wait for the name, and kf_cleanup does not either. */
static void a_name_that_is_being_resolved_holds_nobody(void **state)
{
    (void)state;
    struct kfi_http_pool *pool = pool_new(2, NULL);
    struct kfi_http_request request = request_to("http://kms.invalid/");
    struct ask left, kept;
    ask_start(&left, pool, &request);
    ask_start(&kept, pool, &request);
    pthread_mutex_lock(&gate.lock);
    while (!gate.reached)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    ask_end(&left);
    kf_cleanup();
    assert_int_equal(ask_wait(&kept), KF_E_CLEANED_UP);
    ask_end(&kept);
    kfi_http_pool_unref(pool);
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
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

#define FORKED 100

struct forked {
    struct stage *stage;
    struct ask *pending;
};

static bool in_child(void *context)
{
    struct forked *forked = context;
    struct kf_error error;
    bool refused = true;
    for (size_t i = 0; i < FORKED; i++) {
        struct ask *ask = &forked->pending[i];
        refused = kfi_http_exchange_poll(ask->exchange, &error, &ask->reply) == KF_E_FORKED && refused;
        kfi_http_exchange_free(ask->exchange);
    }
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

/* Half of the exchanges have their turn; the others wait for it. */
static void a_child_begins_anew_and_the_parent_notices_nothing(void **state)
{
    (void)state;
    static struct ask pending[FORKED];
    struct stage stage;
    struct kf_error error;
    stage_set(&stage, (struct http_answer){.status = 200}, FORKED / 2);
    http_server_free(stage.server);
    stage.server = http_server_new(NULL, hold_posts);
    url_of(stage.url, http_server_port(stage.server), false);
    for (size_t i = 0; i < FORKED; i++)
        ask_start(&pending[i], stage.pool, &stage.request);
    http_server_wait_held(stage.server, FORKED / 2);
    struct forked forked = {&stage, pending};
    assert_true(support_in_child(in_child, &forked));
    http_server_release(stage.server);
    for (size_t i = 0; i < FORKED; i++) {
        assert_ok(ask_wait(&pending[i]), &pending[i].error);
        ask_end(&pending[i]);
    }
    assert_ok(ask_once(stage.pool, &stage.request, &error), &error);
    assert_int_equal(http_server_connections(stage.server),
                     FORKED / 2 + (SUPPORT_THREADS_IN_CHILDREN ? 1 : 0));
    stage_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_comes_whole_with_what_its_header_says),
        cmocka_unit_test(get_and_put),
        cmocka_unit_test(a_url_not_of_http_or_https_is_refused),
        cmocka_unit_test(one_connection_serves_request_after_request),
        cmocka_unit_test(a_connection_that_died_idle_is_replaced),
        cmocka_unit_test(no_more_than_the_limit_run_at_once),
        cmocka_unit_test(each_failure_has_its_code_and_names_the_endpoint),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(an_exchange_is_cancelled_at_any_stage),
        cmocka_unit_test(a_name_that_is_being_resolved_holds_nobody),
        cmocka_unit_test(cleanup_fails_what_is_under_way_and_a_later_use_begins_anew),
        cmocka_unit_test(a_child_begins_anew_and_the_parent_notices_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
