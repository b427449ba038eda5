/*
 * Requests: see request.h. Called by kms.c. A request is a number of attempts, with pauses between them. An attempt
 * gets credentials, does one HTTP exchange, and looks at the reply. http.c connects, signs and sends; the cache of
 * credentials finds and refreshes them.
 *
 * A failed attempt leaves its sentence in `failed`. The request's own sentence is made of it at the end.
 */
#include "aws/service/request.h"

#include <stdio.h>

#include "aws/service/json.h"
#include "aws/service/text.h"
#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "suite/random.h"

/* How far from the reply's date the time of signing has to be before the clock is blamed for the refusal. */
#define SKEW_S 300

#define MESSAGE_SHOWN 180 /* bytes of what the service says, in a sentence */
#define EXTRACT_SHOWN 80  /* bytes of a reply that is not JSON */

struct kfi_aws_request {
    struct kfi_aws_service *service;
    const char *target;
    const char *operation; /* the last part of the target */
    struct kf_buf body;
    char invocation_id[37]; /* one for all attempts */
    uint64_t deadline;      /* in milliseconds of kfi_now_ms; 0 before the first poll */

    enum {
        CREDENTIALS,
        EXCHANGE,
        PAUSE,
        DONE
    } stage;
    struct kfi_aws_credentials *credentials; /* a reference; they sign the attempt */
    struct kfi_http_exchange *exchange;
    int64_t clock_skew; /* seconds added to the clock for the attempt's signature */
    uint64_t resume_at; /* the end of the pause */

    uint32_t attempts;                   /* that have begun */
    uint32_t retries;                    /* attempts after failures that may pass */
    uint32_t taken;                      /* tokens of the quota that the last retry took */
    bool refreshed, resynced;            /* credentials and clock are corrected once */
    struct kfi_aws_credentials *refused; /* a reference; the service called them expired */

    struct kf_error failed; /* why the last attempt failed */
    char request_id[64], error_code[64];
};

/* ---- Making one ---- */

/* A random UUID (RFC 9562, version 4). */
static enum kf_code invocation_id(char out[37], struct kf_error *error)
{
    uint8_t b[16];
    enum kf_code code = kfi_random(b, sizeof b, error);
    if (code != KF_OK)
        return code;
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    return KF_OK;
}

enum kf_code kfi_aws_request_new(struct kfi_aws_service *service, const char *target, struct kf_buf *body,
                                 struct kf_error *error, struct kfi_aws_request **out)
{
    *out = NULL;
    struct kfi_aws_request *request = kfi_alloc_zeroed(sizeof *request);
    enum kf_code code = request != NULL ? invocation_id(request->invocation_id, error) : kfi_no_memory(error);
    if (code != KF_OK) {
        kf_buf_free(body);
        kfi_free(request);
        return code;
    }
    const char *dot = strrchr(target, '.');
    request->service = service;
    request->target = target;
    request->operation = dot != NULL ? dot + 1 : target;
    request->body = *body;
    *body = (struct kf_buf)KF_BUF_INIT;
    *out = request;
    return KF_OK;
}

void kfi_aws_request_free(struct kfi_aws_request *request)
{
    if (request == NULL)
        return;
    kfi_http_exchange_free(request->exchange);
    kfi_aws_credentials_unref(request->credentials);
    kfi_aws_credentials_unref(request->refused);
    kf_buf_free(&request->body);
    kfi_free(request);
}

const char *kfi_aws_request_id(const struct kfi_aws_request *request)
{
    return request->request_id;
}

const char *kfi_aws_request_error_code(const struct kfi_aws_request *request)
{
    return request->error_code;
}

/* ---- What an error reply says ---- */

/* The code alone, out of "namespace#Code:http://…". */
static void bare_code(char *to, size_t room, const char *text)
{
    const char *hash = strchr(text, '#');
    const char *from = hash != NULL ? hash + 1 : text;
    kfi_text_show(to, room, kf_view_of(from, strcspn(from, ":")));
}

/* Fills request->error_code, and `message`. */
static void read_error(struct kfi_aws_request *request, const struct kfi_http_reply *reply,
                       char message[MESSAGE_SHOWN])
{
    struct kfi_json_member members[] = {
        {.name = "__type"}, {.name = "code"}, {.name = "message"}, {.name = "Message"}};
    struct kfi_json json;
    const struct kf_view body = kf_view_of(reply->body.data, reply->body.length);
    bare_code(request->error_code, sizeof request->error_code, reply->error_type);
    if (kfi_json_read(body, members, sizeof members / sizeof members[0], NULL, &json) != KF_OK) {
        /* A gateway's XML or HTML is shown in part. What looks like JSON is not: it might hold a secret. */
        if (reply->status >= 400 && body.length > 0 && body.data[0] != '{')
            kfi_text_show(message, EXTRACT_SHOWN, body);
        return;
    }
    const struct kfi_json_member *type = members[0].text != NULL ? &members[0] : &members[1];
    const struct kfi_json_member *said = members[2].text != NULL ? &members[2] : &members[3];
    if (request->error_code[0] == '\0' && type->text != NULL)
        bare_code(request->error_code, sizeof request->error_code, type->text);
    if (said->text != NULL)
        kfi_text_show(message, MESSAGE_SHOWN, kf_view_of(said->text, said->length));
    kfi_json_free(&json);
}

static bool is_one_of(const char *code, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(code, list[i]) == 0)
            return true;
    }
    return false;
}

#define IS_ONE_OF(code, list) is_one_of(code, list, sizeof(list) / sizeof(list)[0])

static bool is_throttling(int status, const char *code)
{
    static const char *const codes[] = {"ThrottlingException",
                                        "Throttling",
                                        "ThrottledException",
                                        "RequestThrottled",
                                        "RequestThrottledException",
                                        "TooManyRequestsException",
                                        "RequestLimitExceeded",
                                        "LimitExceededException",
                                        "BandwidthLimitExceeded",
                                        "ProvisionedThroughputExceededException",
                                        "TransactionInProgressException",
                                        "PriorRequestNotComplete",
                                        "EC2ThrottledException",
                                        "SlowDown"};
    return status == 429 || IS_ONE_OF(code, codes);
}

static bool is_transient(int status, const char *code)
{
    static const char *const codes[] = {"KMSInternalException",    "InternalFailure",
                                        "InternalError",           "DependencyTimeoutException",
                                        "RequestTimeout",          "RequestTimeoutException",
                                        "KeyUnavailableException", "ServiceUnavailable"};
    return status == 500 || status == 502 || status == 503 || status == 504 || IS_ONE_OF(code, codes);
}

static bool is_about_credentials(const char *code)
{
    static const char *const codes[] = {
        "ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException",
        "InvalidClientTokenId",  "InvalidToken", "TokenRefreshRequired"};
    return IS_ONE_OF(code, codes);
}

static bool is_about_the_signature(const char *code)
{
    static const char *const codes[] = {"InvalidSignatureException", "SignatureDoesNotMatch",
                                        "RequestTimeTooSkewed",      "RequestExpired",
                                        "RequestInTheFuture",        "AuthFailure"};
    return IS_ONE_OF(code, codes);
}

/* What the user can do about it. */
static const char *advice(enum kfi_aws_failure failure, int status, const char *code)
{
    static const char *const disabled[] = {"DisabledException", "KMSInvalidStateException"};
    if (failure == KFI_AWS_THROTTLED)
        return "Ask for less (a cache does), or have the account's quota raised.";
    if (failure == KFI_AWS_TRANSIENT)
        return "Try again later.";
    if (is_about_credentials(code))
        return "Get new credentials.";
    if (is_about_the_signature(code))
        return "Look at the secret access key, the region and this machine's clock.";
    if (strcmp(code, "AccessDeniedException") == 0)
        return "The caller's IAM policy, the key's policy or a grant has to allow it.";
    if (strcmp(code, "NotFoundException") == 0)
        return "Look at the key's name, its region and the account.";
    if (IS_ONE_OF(code, disabled))
        return "Look at the state of the key.";
    if (strcmp(code, "InvalidCiphertextException") == 0)
        return "The encryption context or the key is another one, or the bytes were changed.";
    if (status == 401 || status == 403)
        return "Look at the credentials, what they permit, and the region.";
    if (code[0] == '\0' || status >= 500)
        return "Does the endpoint belong to the service?";
    return "Mend what the service complains of.";
}

/* ---- Deciding what comes next ---- */

/* The number that `text` is, times `unit`; 0 if it is anything else than digits. */
static uint64_t milliseconds(const char *text, uint64_t unit)
{
    uint64_t value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value < UINT32_MAX ? value * 10 + (uint64_t)(*text - '0') : value;
    return *text == '\0' ? value * unit : 0;
}

/*
 * After a failed attempt, whose sentence is in request->failed. KF_OK: there is another attempt after a pause. Else
 * the request ends with the code and the sentence.
 */
static enum kf_code pause_or_end(struct kfi_aws_request *request, enum kfi_aws_failure failure,
                                 uint64_t asked_ms, struct kf_error *error)
{
    const struct kfi_aws_limits *limits = kfi_aws_client_limits(request->service->client);
    const char *why = "";
    uint32_t random = 0;
    if (failure != KFI_AWS_FINAL) {
        enum kf_code code = kfi_random((uint8_t *)&random, sizeof random, error);
        if (code != KF_OK)
            return code;
        request->resume_at =
            kfi_ms_after(kfi_now_ms(), kfi_aws_retry_delay(failure, request->retries, asked_ms, random));
        if (request->attempts < limits->max_attempts) {
            if (request->resume_at >= request->deadline) {
                why = ", and the request's time limit leaves no room for another";
            } else if (kfi_aws_retry_quota_take(&request->service->quota, failure, &request->taken)) {
                request->retries++;
                request->stage = PAUSE;
                return KF_OK;
            } else {
                why = ", and too many have failed lately for another";
            }
        }
    }
    return kf_error_set(error, request->failed.code, "%s (Attempt %u of %u%s.)", request->failed.text,
                        request->attempts, limits->max_attempts, why);
}

/*
 * Another attempt at once, because something was corrected. False if the same was corrected before (`*done`), or if
 * there have been as many attempts as there may be.
 */
static bool attempt_again(struct kfi_aws_request *request, bool *done)
{
    if (*done || request->attempts >= kfi_aws_client_limits(request->service->client)->max_attempts)
        return false;
    *done = true;
    request->stage = CREDENTIALS;
    return true;
}

/*
 * Whether another attempt begins because our clock differs from the date of the reply. All requests to the service
 * then sign by the corrected clock.
 */
static bool correct_clock(struct kfi_aws_request *request, int64_t date)
{
    if (date <= 0 || !is_about_the_signature(request->error_code))
        return false;
    const int64_t skew = date - (int64_t)kfi_aws_wall_clock();
    const int64_t off = skew - request->clock_skew;
    if ((off < SKEW_S && off > -SKEW_S) || !attempt_again(request, &request->resynced))
        return false;
    atomic_store_explicit(&request->service->clock_skew, skew, memory_order_relaxed);
    return true;
}

/* Whether another attempt begins because the service refused the credentials, and others may be had. */
static bool renew_credentials(struct kfi_aws_request *request)
{
    if (!is_about_credentials(request->error_code) || !attempt_again(request, &request->refreshed))
        return false;
    kfi_aws_credentials_refused(kfi_aws_client_credentials(request->service->client), request->credentials);
    request->refused = kfi_aws_credentials_ref(request->credentials);
    return true;
}

/* A reply that is an error: as pause_or_end, but there may also be another attempt at once. */
static enum kf_code look_at_error(struct kfi_aws_request *request, const struct kfi_http_reply *reply,
                                  struct kf_error *error)
{
    const struct kfi_aws_service *service = request->service;
    char message[MESSAGE_SHOWN] = "";
    read_error(request, reply, message);
    const char *code = request->error_code;
    enum kfi_aws_failure failure = KFI_AWS_FINAL;
    if (is_throttling(reply->status, code))
        failure = KFI_AWS_THROTTLED;
    else if (is_transient(reply->status, code))
        failure = KFI_AWS_TRANSIENT;
    kf_error_set(&request->failed, failure == KFI_AWS_FINAL ? KF_E_REMOTE : KF_E_RETRY,
                 "%s in %s answered %s with HTTP %d%s%s%s%s, request id %s. %s", service->name,
                 service->region, request->operation, reply->status, code[0] != '\0' ? " " : "", code,
                 message[0] != '\0' ? ": " : "", message,
                 reply->request_id[0] != '\0' ? reply->request_id : "unknown",
                 advice(failure, reply->status, code));
    if (correct_clock(request, reply->date) || renew_credentials(request))
        return KF_OK;
    uint64_t asked_ms = milliseconds(reply->amz_retry_after, 1);
    if (asked_ms == 0)
        asked_ms = milliseconds(reply->retry_after, 1000);
    return pause_or_end(request, failure, asked_ms, error);
}

/* There is no reply; `error` says why. */
static enum kf_code look_at_failure(struct kfi_aws_request *request, enum kf_code code,
                                    struct kf_error *error)
{
    enum kfi_aws_failure failure = KFI_AWS_FINAL;
    if (code == KF_E_TIMEOUT)
        failure = KFI_AWS_TIMEOUT;
    else if (code == KF_E_RETRY)
        failure = KFI_AWS_TRANSIENT;
    kf_error_set(&request->failed, code, "%s to %s in %s: %s", request->operation, request->service->name,
                 request->service->region, error->text);
    return pause_or_end(request, failure, 0, error);
}

/* ---- The stages; each answers KF_OK once another is due ---- */

static enum kf_code wake_at(struct kf_call *call, uint64_t when, struct kf_error *error)
{
    const uint64_t now = kfi_now_ms();
    enum kf_code code = kf_call_wake_in(call, when > now ? when - now : 0);
    if (code == KF_OK)
        return code;
    return code == KF_E_NO_MEMORY ? kfi_no_memory(error)
                                  : kf_error_set(error, code, "The timer of a request can't be set.");
}

static bool are_equal(const struct kfi_aws_credentials *a, const struct kfi_aws_credentials *b)
{
    const char *none = "";
    return strcmp(a->access_key_id, b->access_key_id) == 0 &&
           strcmp(a->secret_access_key, b->secret_access_key) == 0 &&
           strcmp(a->session_token != NULL ? a->session_token : none,
                  b->session_token != NULL ? b->session_token : none) == 0;
}

static enum kf_code get_credentials(struct kfi_aws_request *request, struct kf_call *call,
                                    struct kf_error *error)
{
    struct kf_call *child = kf_call_child(call, 0);
    if (child == NULL)
        return kfi_no_memory(error);
    kfi_aws_credentials_unref(request->credentials);
    request->credentials = NULL;
    enum kf_code code = kfi_aws_credentials_get(kfi_aws_client_credentials(request->service->client), child,
                                                error, &request->credentials);
    if (code == KF_OK && request->refused != NULL && are_equal(request->refused, request->credentials))
        return pause_or_end(request, KFI_AWS_FINAL, 0, error); /* they would be refused again */
    return code;
}

static enum kf_code start_attempt(struct kfi_aws_request *request, struct kf_call *call,
                                  struct kf_error *error)
{
    struct kfi_aws_service *service = request->service;
    const struct kfi_aws_limits *limits = kfi_aws_client_limits(service->client);
    const uint64_t now = kfi_now_ms(), left = request->deadline > now ? request->deadline - now : 1;
    char target[128], invocation[80], attempt[64];
    const char *const headers[] = {"content-type: application/x-amz-json-1.1", target, invocation, attempt};
    snprintf(target, sizeof target, "x-amz-target: %s", request->target);
    snprintf(invocation, sizeof invocation, "amz-sdk-invocation-id: %s", request->invocation_id);
    snprintf(attempt, sizeof attempt, "amz-sdk-request: attempt=%u; max=%u", request->attempts + 1,
             limits->max_attempts);
    request->clock_skew = atomic_load_explicit(&service->clock_skew, memory_order_relaxed);
    const struct kfi_http_signature signature = {
        .region = service->region,
        .service = service->name,
        .access_key_id = request->credentials->access_key_id,
        .secret_access_key = request->credentials->secret_access_key,
        .session_token = request->credentials->session_token,
        .clock_skew = request->clock_skew,
    };
    const struct kfi_http_request http = {
        .method = "POST",
        .url = service->url,
        .headers = headers,
        .header_count = sizeof headers / sizeof headers[0],
        .body = kf_view_of(request->body.data, request->body.length),
        .signature = &signature,
        .connect_timeout_ms = limits->connect_timeout_ms,
        .timeout_ms = left < limits->attempt_timeout_ms ? left : limits->attempt_timeout_ms,
        .reply_max = KFI_JSON_TEXT_MAX,
    };
    struct kf_call_waker *waker = kf_call_waker_of(call);
    if (waker == NULL)
        return kfi_no_memory(error);
    kfi_http_exchange_free(request->exchange);
    request->exchange = NULL;
    enum kf_code code = kfi_http_exchange_start(kfi_aws_client_pool(service->client), &http, waker, error,
                                                &request->exchange);
    kf_call_waker_unref(waker);
    if (code != KF_OK)
        return code;
    request->attempts++;
    request->stage = EXCHANGE;
    return KF_OK;
}

static enum kf_code look_at_exchange(struct kfi_aws_request *request, struct kf_error *error,
                                     struct kf_view *body)
{
    const struct kfi_http_reply *reply = NULL;
    enum kf_code code = kfi_http_exchange_poll(request->exchange, error, &reply);
    if (code == KF_PENDING)
        return code;
    request->request_id[0] = request->error_code[0] = '\0';
    if (code != KF_OK)
        return look_at_failure(request, code, error);
    kfi_text_show(request->request_id, sizeof request->request_id, kf_view_text(reply->request_id));
    if (reply->status != 200)
        return look_at_error(request, reply, error);
    kfi_aws_retry_quota_give(&request->service->quota, request->taken);
    *body = kf_view_of(reply->body.data, reply->body.length);
    request->stage = DONE;
    return KF_OK;
}

static enum kf_code wait_out(struct kfi_aws_request *request, struct kf_call *call, struct kf_error *error)
{
    /* The timer is set before the look at the clock, so that the end of the pause is not missed between the two. */
    enum kf_code code = wake_at(call, request->resume_at, error);
    if (code != KF_OK)
        return code;
    if (kfi_now_ms() < request->resume_at)
        return KF_PENDING;
    request->stage = CREDENTIALS;
    return wake_at(call, request->deadline, error);
}

static enum kf_code too_late(const struct kfi_aws_request *request, struct kf_error *error)
{
    const struct kfi_aws_service *service = request->service;
    const uint64_t limit = kfi_aws_client_limits(service->client)->request_timeout_ms;
    if (request->failed.code == KF_OK)
        return kf_error_set(error, KF_E_TIMEOUT,
                            "%s to %s in %s was not answered within its time limit of %llu ms (%u attempt%s "
                            "begun).",
                            request->operation, service->name, service->region, (unsigned long long)limit,
                            request->attempts, request->attempts == 1 ? "" : "s");
    return kf_error_set(error, KF_E_TIMEOUT,
                        "%s was not done within its time limit of %llu ms (%u attempt%s begun). An earlier "
                        "attempt: %s",
                        request->operation, (unsigned long long)limit, request->attempts,
                        request->attempts == 1 ? "" : "s", request->failed.text);
}

enum kf_code kfi_aws_request_poll(struct kfi_aws_request *request, struct kf_call *call,
                                  struct kf_error *error, struct kf_view *reply)
{
    struct kf_error own = KF_ERROR_INIT;
    enum kf_code code = KF_OK;
    if (error == NULL)
        error = &own; /* our sentence is made of what others write there */
    *reply = kf_view_of(NULL, 0);
    if (request->deadline == 0) {
        request->deadline =
            kfi_ms_after(kfi_now_ms(), kfi_aws_client_limits(request->service->client)->request_timeout_ms);
        code = wake_at(call, request->deadline, error);
    }
    while (code == KF_OK && request->stage != DONE) {
        if (request->stage == EXCHANGE) {
            code = look_at_exchange(request, error, reply);
        } else if (request->stage == PAUSE) {
            code = wait_out(request, call, error);
        } else {
            code = get_credentials(request, call, error);
            if (code == KF_OK)
                code = start_attempt(request, call, error);
        }
    }
    if (code == KF_PENDING && kfi_now_ms() >= request->deadline)
        return too_late(request, error);
    return code;
}
