/*
 * Requests to a service on loopback: what is sent, what each kind of error leads to, pauses, deadlines, and
 * cancelling. The clock stands still; the test moves it past the pauses.
 */
#include "aws/environment.h"
#include "aws/scripted_server.h"

#include "aws/service/request.h"
#include "base/call.h"
#include "base/clock.h"
#include "base/memory.h"

#define REGION "eu-test-1"
#define TIMEOUT_MS 600000
#define BODY "{\"question\":1}"

/* ---- Clients ---- */

/* A provider of AKID1, AKID2, … and so on, or, if `self` is not NULL, one that never answers. */
static unsigned fetches;

static enum kf_code fetch(void *self, struct kf_call *call, struct kf_error *error,
                          struct kf_aws_credentials_result *out)
{
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    char id[16];
    (void)call;
    if (self != NULL)
        return KF_PENDING;
    snprintf(id, sizeof id, "AKID%u", ++fetches);
    credentials.access_key_id = kf_view_text(id);
    credentials.secret_access_key = kf_view_text("secret");
    return kf_aws_credentials_result_set(out, &credentials, error);
}

static struct kf_aws_credentials_provider *provider(void *self)
{
    static const struct kf_aws_credentials_vtable vtable = {sizeof vtable, fetch, NULL};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_aws_credentials_provider *made;
    fetches = 0;
    assert_ok(kf_aws_credentials_provider_new(&vtable, self, &error, &made), &error);
    return made;
}

static struct kf_aws_credentials_provider *fixed(void)
{
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_aws_credentials_provider *made;
    credentials.access_key_id = kf_view_text("AKID0");
    credentials.secret_access_key = kf_view_text("secret");
    credentials.session_token = kf_view_text("the-token");
    assert_ok(kf_aws_static_credentials_new(&credentials, &error, &made), &error);
    return made;
}

/* A client, and its service. Releases `credentials`. */
static struct kfi_aws_service *open_service(struct kf_aws_credentials_provider *credentials,
                                            uint32_t max_attempts, uint64_t timeout_ms)
{
    struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_aws_client *client;
    struct kfi_aws_service *service;
    options.region = REGION;
    options.endpoint_url = server.url;
    options.credentials = credentials;
    options.max_attempts = max_attempts;
    options.attempt_timeout_ms = timeout_ms;
    options.request_timeout_ms = timeout_ms;
    assert_ok(kf_aws_client_new(&options, &error, &client), &error);
    kf_aws_credentials_provider_unref(credentials);
    assert_ok(kfi_aws_client_service(client, "kms", REGION, &error, &service), &error);
    return service;
}

static void close_service(struct kfi_aws_service *service)
{
    kf_aws_client_unref(service->client);
}

/* ---- Asking ---- */

#define PAUSES 8

struct asking {
    struct bell bell;
    struct kf_call call;
    struct kfi_aws_request *request;
    struct kf_error error;
    struct kf_view reply;
    uint64_t limit; /* its deadline */
    unsigned pauses;
    uint64_t delays[PAUSES];
};

static void asking_begin(struct asking *asking, struct kfi_aws_service *service)
{
    struct kf_buf body = {kfi_copy(kf_view_text(BODY)), sizeof BODY - 1, sizeof BODY - 1};
    *asking = (struct asking){.error = KF_ERROR_INIT};
    bell_init(&asking->bell);
    const struct kf_waker waker = bell_waker(&asking->bell);
    kfi_call_init(&asking->call, NULL);
    kfi_call_drive(&asking->call, &waker);
    asking->limit = kfi_now_ms() + kfi_aws_client_limits(service->client)->request_timeout_ms;
    assert_ok(kfi_aws_request_new(service, "TrentService.Test", &body, &asking->error, &asking->request),
              &asking->error);
    assert_null(body.data);
}

static enum kf_code asking_poll(struct asking *asking)
{
    return kfi_aws_request_poll(asking->request, &asking->call, &asking->error, &asking->reply);
}

/* The milliseconds until the next attempt; 0: it does not pause. */
static uint64_t asking_pause(const struct asking *asking)
{
    const uint64_t now = kfi_now_ms(), when = asking->call.timer.when;
    return when > now && when != asking->limit ? when - now : 0;
}

/* Polls until it ends or pauses. */
static enum kf_code asking_step(struct asking *asking)
{
    enum kf_code code;
    while ((code = asking_poll(asking)) == KF_PENDING && asking_pause(asking) == 0)
        bell_wait(&asking->bell);
    return code;
}

/* Polls to the end, and moves the clock past all pauses. */
static enum kf_code asking_run(struct asking *asking)
{
    enum kf_code code;
    while ((code = asking_step(asking)) == KF_PENDING) {
        const uint64_t pause = asking_pause(asking);
        asking->delays[asking->pauses++ % PAUSES] = pause;
        support_clock_advance(pause);
    }
    return code;
}

static void asking_end(struct asking *asking)
{
    kfi_aws_request_free(asking->request);
    kfi_call_end(&asking->call);
    bell_destroy(&asking->bell);
}

/* A whole request, which ends with `code` after `attempts`. */
static void ask(struct kfi_aws_service *service, enum kf_code code, unsigned attempts)
{
    struct asking asking;
    const size_t before = server_asked();
    asking_begin(&asking, service);
    const enum kf_code got = asking_run(&asking);
    if (got != code)
        print_error("%s\n", asking.error.text);
    assert_int_equal(got, code);
    assert_int_equal(server_asked() - before, attempts);
    asking_end(&asking);
}

static int setup(void **state)
{
    server_start((struct server_habits){.closes = true, .repeats_last = true});
    support_clock_stop(1000);
    return environment_setup(state);
}

static int teardown(void **state)
{
    support_clock_real();
    kf_cleanup();
    server_stop();
    return environment_teardown(state);
}

/* ---- What is sent, and what comes back ---- */

static void a_request_is_sent_and_answered(void **state)
{
    (void)state;
    struct asking asking;
    struct kfi_aws_service *service = open_service(fixed(), 3, TIMEOUT_MS);
    server_say(200, "x-amzn-requestid: id-1\r\n", "{\"answer\":2}");
    asking_begin(&asking, service);
    assert_ok(asking_run(&asking), &asking.error);
    assert_int_equal(asking.reply.length, 12);
    assert_memory_equal(asking.reply.data, "{\"answer\":2}", 12);
    assert_string_equal(kfi_aws_request_id(asking.request), "id-1");
    assert_string_equal(kfi_aws_request_error_code(asking.request), "");
    assert_int_equal(server_asked(), 1);
    assert_true(strncmp(server_head(0), "POST / HTTP/1.1\r\n", 17) == 0);
    assert_true(server_has(0, "content-type: application/x-amz-json-1.1"));
    assert_true(server_has(0, "x-amz-target: TrentService.Test"));
    assert_true(server_has(0, "amz-sdk-request: attempt=1; max=3"));
    assert_true(server_has(0, "x-amz-security-token: the-token"));
    assert_non_null(strstr(server_head(0), "Credential=AKID0/"));
    assert_non_null(strstr(server_head(0), "/" REGION "/kms/aws4_request"));
    assert_string_equal(server_body(0), BODY);
    asking_end(&asking);
    close_service(service);
}

/* Whether a reply makes sense is for the caller to judge. */
static void an_empty_reply_is_a_reply(void **state)
{
    (void)state;
    struct kfi_aws_service *service = open_service(fixed(), 3, TIMEOUT_MS);
    server_say(200, NULL, NULL);
    ask(service, KF_OK, 1);
    close_service(service);
}

/* ---- Errors ---- */

#define ERROR_TYPE(code) "x-amzn-errortype: " code "\r\n"

struct error_case {
    struct {
        int status;
        const char *headers, *body;
    } answer;
    enum kf_code code;
    unsigned attempts;      /* of 3 */
    const char *error_code; /* what kfi_aws_request_error_code says */
    const char *says;       /* a part of the sentence */
};

static void check_errors(const struct error_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct asking asking;
        struct kfi_aws_service *service = open_service(fixed(), 3, TIMEOUT_MS);
        server_forget();
        server_say(cases[i].answer.status, cases[i].answer.headers, cases[i].answer.body);
        asking_begin(&asking, service);
        assert_int_equal(asking_run(&asking), cases[i].code);
        assert_int_equal(asking.error.code, cases[i].code);
        assert_int_equal(server_asked(), cases[i].attempts);
        assert_string_equal(kfi_aws_request_error_code(asking.request), cases[i].error_code);
        if (strstr(asking.error.text, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", asking.error.text, cases[i].says);
        asking_end(&asking);
        close_service(service);
    }
}

#define CHECK_ERRORS(cases) check_errors(cases, sizeof(cases) / sizeof(cases)[0])

static void refusals_are_final_and_say_what_the_service_said(void **state)
{
    (void)state;
    static const struct error_case cases[] = {
        {{400, ERROR_TYPE("AccessDeniedException") "x-amzn-requestid: id-7\r\n",
          "{\"__type\":\"Other\",\"message\":\"not you\"}"},
         KF_E_REMOTE,
         1,
         "AccessDeniedException",
         "kms in " REGION " answered Test with HTTP 400 AccessDeniedException: not you, request id id-7."},
        {{400, NULL, "{\"__type\":\"com.amazonaws.kms#DisabledException\",\"Message\":\"off\"}"},
         KF_E_REMOTE,
         1,
         "DisabledException",
         "DisabledException: off, request id unknown. Look at the state"},
        {{400, ERROR_TYPE("NotFoundException:http://internal.amazon.com/coral/"), NULL},
         KF_E_REMOTE,
         1,
         "NotFoundException",
         "HTTP 400 NotFoundException, request id"},
        {{400, NULL, "{\"code\":\"InvalidCiphertextException\"}"},
         KF_E_REMOTE,
         1,
         "InvalidCiphertextException",
         "The encryption context or the key is another one"},
        {{400, ERROR_TYPE("InvalidSignatureException"), "{}"},
         KF_E_REMOTE,
         1,
         "InvalidSignatureException",
         "this machine's clock"},
        {{501, NULL, "{}"}, KF_E_REMOTE, 1, "", "HTTP 501"},
        {{404, NULL, NULL}, KF_E_REMOTE, 1, "", "Does the endpoint belong to the service? (Attempt 1 of 3.)"},
        {{201, NULL, "{}"}, KF_E_REMOTE, 1, "", "HTTP 201"},
    };
    CHECK_ERRORS(cases);
}

#define LETTERS_90 \
    "123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"

/* What the service said is cut behind 176 bytes, and says so. */
static void a_long_message_ends_in_a_sign(void **state)
{
    (void)state;
    static const struct error_case cases[] = {
        {{400, NULL, "{\"__type\":\"A\",\"message\":\"" LETTERS_90 LETTERS_90 "\"}"},
         KF_E_REMOTE,
         1,
         "A",
         "HTTP 400 A: " LETTERS_90 "1234567890123456789012345678901234567890123456789012345678901234567890123"
         "4567890123456…, request id"},
        {{403, NULL, "<Error>" LETTERS_90}, KF_E_REMOTE, 1, "", "67890123456789…, request id"},
    };
    CHECK_ERRORS(cases);
}

static void what_is_not_json_is_shown_by_its_beginning(void **state)
{
    (void)state;
    static const struct error_case cases[] = {
        {{403, NULL, "<Error>\n<Code>SignatureDoesNotMatch</Code></Error>"},
         KF_E_REMOTE,
         1,
         "",
         "HTTP 403: <Error> <Code>SignatureDoesNotMatch</Code></Error>, request id"},
        {{502, NULL, "<html>bad gateway"}, KF_E_RETRY, 3, "", "HTTP 502: <html>bad gateway, request id"},
        /* these might be replies with a secret, so nothing is shown */
        {{400, NULL, "{\"__type\":\"A\",\"__type\":\"B\"}"}, KF_E_REMOTE, 1, "", "HTTP 400, request id"},
        {{201, NULL, "Plaintext"}, KF_E_REMOTE, 1, "", "HTTP 201, request id"},
    };
    CHECK_ERRORS(cases);
}

static void nothing_but_printable_text_is_passed_on(void **state)
{
    (void)state;
    static const struct error_case cases[] = {
        {{400, NULL, "{\"__type\":\"A\\nB\",\"message\":\"a\\u001b[1m\\r\\nb\\u007f\xc3\xa9\"}"},
         KF_E_REMOTE,
         1,
         "A B",
         "HTTP 400 A B: a [1m  b???, request id"},
    };
    CHECK_ERRORS(cases);
}

static void what_may_pass_is_tried_so_many_times(void **state)
{
    (void)state;
    static const struct error_case cases[] = {
        {{500, NULL, "{}"},
         KF_E_RETRY,
         3,
         "",
         "HTTP 500, request id unknown. Try again later. (Attempt 3 of 3.)"},
        {{503, NULL, NULL}, KF_E_RETRY, 3, "", "HTTP 503"},
        {{504, NULL, NULL}, KF_E_RETRY, 3, "", "HTTP 504"},
        {{400, ERROR_TYPE("KMSInternalException"), NULL}, KF_E_RETRY, 3, "KMSInternalException", "3 of 3"},
        {{400, ERROR_TYPE("DependencyTimeoutException"), NULL},
         KF_E_RETRY,
         3,
         "DependencyTimeoutException",
         "3 of 3"},
        {{400, ERROR_TYPE("ThrottlingException"), NULL},
         KF_E_RETRY,
         3,
         "ThrottlingException",
         "Ask for less"},
        {{429, NULL, NULL}, KF_E_RETRY, 3, "", "HTTP 429"},
        {{0, NULL, NULL}, KF_E_RETRY, 3, "", "Test to kms in " REGION ": "},
    };
    CHECK_ERRORS(cases);
}

static void a_reply_that_is_too_large_is_final(void **state)
{
    (void)state;
    static char large[40000];
    memset(large, ' ', sizeof large - 1);
    const struct error_case cases[] = {{{200, NULL, large}, KF_E_REMOTE, 1, "", "(Attempt 1 of 3.)"}};
    CHECK_ERRORS(cases);
}

/* ---- Retries ---- */

static void pauses_are_what_the_service_asks_for(void **state)
{
    (void)state;
    struct asking asking;
    struct kfi_aws_service *service = open_service(fixed(), 4, TIMEOUT_MS);
    server_say(429, "retry-after: 2\r\n", NULL);
    server_say(503, "retry-after: 2\r\nx-amz-retry-after: 700\r\n", NULL);
    server_say(503, "retry-after: 86400\r\n", NULL);
    server_say(200, NULL, "{}");
    asking_begin(&asking, service);
    assert_ok(asking_run(&asking), &asking.error);
    assert_int_equal(asking.pauses, 3);
    assert_int_equal(asking.delays[0], 2000);
    assert_int_equal(asking.delays[1], 700);
    assert_in_range(asking.delays[2], 5000, 5200);
    assert_string_equal(kfi_aws_request_error_code(asking.request), "");
    assert_int_equal(service->quota.tokens, 490); /* the last of three retries was given back */
    asking_end(&asking);
    close_service(service);
}

static void attempts_are_numbered_under_one_id(void **state)
{
    (void)state;
    struct kfi_aws_service *service = open_service(fixed(), 3, TIMEOUT_MS);
    char id[128];
    server_say(500, NULL, NULL);
    ask(service, KF_E_RETRY, 3);
    const char *line = strcasestr(server_head(0), "amz-sdk-invocation-id: ");
    assert_non_null(line);
    snprintf(id, sizeof id, "%.*s", (int)strcspn(line, "\r"), line);
    assert_int_equal(strlen(id), 23 + 36);
    for (unsigned i = 0; i < 3; i++) {
        char attempt[64];
        snprintf(attempt, sizeof attempt, "amz-sdk-request: attempt=%u; max=3", i + 1);
        assert_true(server_has(i, attempt));
        assert_true(server_has(i, id));
        assert_string_equal(server_body(i), BODY);
    }
    server_forget();
    server_say(500, NULL, NULL);
    ask(service, KF_E_RETRY, 3);
    assert_false(server_has(0, id));
    close_service(service);
}

static void a_dead_service_is_asked_at_a_bounded_rate(void **state)
{
    (void)state;
    struct kfi_aws_service *service = open_service(fixed(), 3, TIMEOUT_MS);
    server_say(500, NULL, NULL);
    for (unsigned i = 0; i < 50; i++)
        ask(service, KF_E_RETRY, 3);
    for (unsigned i = 0; i < 10; i++)
        ask(service, KF_E_RETRY, 1);
    server_forget();
    server_say(200, NULL, "{}");
    for (unsigned i = 0; i < 5; i++) /* the service recovers, and gives back 5 tokens: one retry */
        ask(service, KF_OK, 1);
    server_forget();
    server_say(500, NULL, NULL);
    ask(service, KF_E_RETRY, 2);
    close_service(service);
}

/* ---- Credentials and clock ---- */

static void expired_credentials_are_renewed_once(void **state)
{
    (void)state;
    struct kfi_aws_service *service = open_service(provider(NULL), 3, TIMEOUT_MS);
    server_say(400, ERROR_TYPE("ExpiredTokenException"), NULL);
    server_say(200, NULL, "{}");
    ask(service, KF_OK, 2);
    assert_non_null(strstr(server_head(0), "Credential=AKID1/"));
    assert_non_null(strstr(server_head(1), "Credential=AKID2/"));
    ask(service, KF_OK, 1); /* with the new ones */
    assert_non_null(strstr(server_head(2), "Credential=AKID2/"));

    server_forget();
    server_say(400, ERROR_TYPE("UnrecognizedClientException"), NULL);
    ask(service, KF_E_REMOTE, 2);
    assert_int_equal(fetches, 3);
    close_service(service);
}

static void credentials_that_do_not_change_are_not_sent_again(void **state)
{
    (void)state;
    struct kfi_aws_service *service = open_service(fixed(), 3, TIMEOUT_MS);
    server_say(400, ERROR_TYPE("ExpiredTokenException"), NULL);
    ask(service, KF_E_REMOTE, 1);
    close_service(service);
}

static void a_wrong_clock_is_corrected_once(void **state)
{
    (void)state;
    struct kfi_aws_service *service = open_service(fixed(), 3, TIMEOUT_MS);
    static const char date[] =
        ERROR_TYPE("InvalidSignatureException") "date: Sat, 01 Jan 2050 12:00:00 GMT\r\n";
    server_say(400, date, NULL);
    server_say(200, NULL, "{}");
    ask(service, KF_OK, 2);
    assert_null(strcasestr(server_head(0), "x-amz-date: 20500101T1"));
    assert_non_null(strcasestr(server_head(1), "x-amz-date: 20500101T1"));
    ask(service, KF_OK, 1); /* the correction is remembered */
    assert_non_null(strcasestr(server_head(2), "x-amz-date: 20500101T1"));

    server_forget(); /* the dates agree now, so the clock is not to blame */
    server_say(400, date, NULL);
    ask(service, KF_E_REMOTE, 1);

    server_forget();
    server_say(403, ERROR_TYPE("RequestTimeTooSkewed") "date: Sun, 01 Jan 2051 12:00:00 GMT\r\n", NULL);
    server_say(403, ERROR_TYPE("RequestTimeTooSkewed") "date: Mon, 01 Jan 2052 12:00:00 GMT\r\n", NULL);
    ask(service, KF_E_REMOTE, 2);
    close_service(service);
}

/* ---- Ends ---- */

static void a_request_ends_with_its_time(void **state)
{
    (void)state;
    struct asking asking;
    struct kfi_aws_service *service = open_service(fixed(), 3, TIMEOUT_MS);
    server_say(200, NULL, "{}");
    server_hold(0, SIZE_MAX);
    asking_begin(&asking, service);
    assert_int_equal(asking_poll(&asking), KF_PENDING);
    server_wait(1);
    support_clock_advance(TIMEOUT_MS - 1);
    assert_int_equal(asking_poll(&asking), KF_PENDING);
    (void)bell_rung(&asking.bell);
    support_clock_advance(1);
    assert_int_equal(asking_run(&asking), KF_E_TIMEOUT);
    assert_non_null(strstr(asking.error.text, "600000 ms (1 attempt begun)"));
    asking_end(&asking);
    close_service(service);
}

static void a_pause_for_which_there_is_no_time_is_the_end(void **state)
{
    (void)state;
    struct asking asking;
    struct kfi_aws_service *service = open_service(fixed(), 9, 10000);
    server_say(503, "x-amz-retry-after: 4900\r\n", NULL);
    asking_begin(&asking, service);
    assert_int_equal(asking_run(&asking), KF_E_RETRY);
    assert_int_equal(server_asked(), 3);
    assert_int_equal(asking.pauses, 2);
    assert_non_null(
        strstr(asking.error.text, "(Attempt 3 of 9, and the request's time limit leaves no room"));
    asking_end(&asking);
    close_service(service);
}

static void waiting_for_credentials_ends_with_the_time_too(void **state)
{
    (void)state;
    struct asking asking;
    int never;
    struct kfi_aws_service *service = open_service(provider(&never), 3, TIMEOUT_MS);
    asking_begin(&asking, service);
    assert_int_equal(asking_poll(&asking), KF_PENDING);
    support_clock_advance(TIMEOUT_MS);
    assert_int_equal(asking_run(&asking), KF_E_TIMEOUT);
    assert_int_equal(server_asked(), 0);
    asking_end(&asking);
    close_service(service);
}

static void a_request_can_be_given_up_at_any_stage(void **state)
{
    (void)state;
    struct asking asking;
    int never;
    struct kfi_aws_service *service = open_service(provider(&never), 3, TIMEOUT_MS);
    asking_begin(&asking, service);
    asking_end(&asking); /* before its first poll */
    asking_begin(&asking, service);
    assert_int_equal(asking_poll(&asking), KF_PENDING);
    asking_end(&asking); /* while it waits for credentials */
    close_service(service);

    service = open_service(fixed(), 3, TIMEOUT_MS);
    server_say(503, "x-amz-retry-after: 1000\r\n", NULL);
    asking_begin(&asking, service);
    assert_int_equal(asking_step(&asking), KF_PENDING);
    asking_end(&asking); /* in a pause */

    server_hold(0, SIZE_MAX);
    asking_begin(&asking, service);
    assert_int_equal(asking_poll(&asking), KF_PENDING);
    server_wait(2);
    asking_end(&asking); /* while it waits for the reply */
    close_service(service);
}

static void a_reply_wakes(void **state)
{
    (void)state;
    struct asking asking;
    struct kfi_aws_service *service = open_service(fixed(), 3, TIMEOUT_MS);
    server_say(200, NULL, "{}");
    server_hold(0, SIZE_MAX);
    asking_begin(&asking, service);
    assert_int_equal(asking_poll(&asking), KF_PENDING);
    server_wait(1);
    server_hold(0, 0);
    assert_ok(asking_run(&asking), &asking.error);
    asking_end(&asking);
    close_service(service);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_sent_and_answered),
        TEST(an_empty_reply_is_a_reply),
        TEST(refusals_are_final_and_say_what_the_service_said),
        TEST(what_is_not_json_is_shown_by_its_beginning),
        TEST(nothing_but_printable_text_is_passed_on),
        TEST(a_long_message_ends_in_a_sign),
        TEST(what_may_pass_is_tried_so_many_times),
        TEST(a_reply_that_is_too_large_is_final),
        TEST(pauses_are_what_the_service_asks_for),
        TEST(attempts_are_numbered_under_one_id),
        TEST(a_dead_service_is_asked_at_a_bounded_rate),
        TEST(expired_credentials_are_renewed_once),
        TEST(credentials_that_do_not_change_are_not_sent_again),
        TEST(a_wrong_clock_is_corrected_once),
        TEST(a_request_ends_with_its_time),
        TEST(a_pause_for_which_there_is_no_time_is_the_end),
        TEST(waiting_for_credentials_ends_with_the_time_too),
        TEST(a_request_can_be_given_up_at_any_stage),
        TEST(a_reply_wakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
