/*
 * What the container endpoint and the instance metadata service share: questions by HTTP that are asked again where
 * that may help, and the JSON in which both answer. Called by credentials_container.c and credentials_instance.c.
 */
#include <time.h>

#include "aws/service/credentials_sources.h"
#include "aws/service/json.h"
#include "aws/service/text.h"
#include "base/clock.h"
#include "base/error.h"

#define PAUSE_MS 100 /* before the second try; doubled before each further one */

/* ---- The question ---- */

static enum kf_code metadata_start(struct kfi_aws_metadata *metadata, struct kfi_http_pool *pool,
                                   const struct kfi_aws_metadata_question *question, struct kf_call *call,
                                   struct kf_error *error)
{
    const struct kfi_http_request request = {
        .method = question->method,
        .url = question->url,
        .headers = question->headers,
        .header_count = question->header_count,
        .connect_timeout_ms = question->timeout_ms,
        .timeout_ms = question->timeout_ms,
        .reply_max = KFI_JSON_TEXT_MAX,
        .direct = true,
    };
    struct kf_call_waker *waker = kf_call_waker_of(call);
    if (waker == NULL)
        return kfi_no_memory(error);
    enum kf_code code = kfi_http_exchange_start(pool, &request, waker, error, &metadata->exchange);
    kf_call_waker_unref(waker);
    metadata->tries++;
    return code;
}

/* Whether the service may answer better another time. */
static bool may_pass(enum kf_code code, const struct kfi_http_reply *reply)
{
    return code == KF_OK ? reply->status >= 500 || reply->status == 429
                         : code == KF_E_RETRY || code == KF_E_TIMEOUT;
}

enum kf_code kfi_aws_metadata_poll(struct kfi_aws_metadata *metadata, struct kfi_http_pool *pool,
                                   const struct kfi_aws_metadata_question *question, struct kf_call *call,
                                   struct kf_error *error, const struct kfi_http_reply **reply)
{
    for (;;) {
        enum kf_code code = KF_OK;
        if (metadata->exchange == NULL && kfi_now_ms() < metadata->resume_at)
            return KF_PENDING;
        if (metadata->exchange == NULL)
            code = metadata_start(metadata, pool, question, call, error);
        if (code == KF_OK)
            code = kfi_http_exchange_poll(metadata->exchange, error, reply);
        if (code == KF_PENDING || metadata->tries >= question->tries || !may_pass(code, *reply))
            return code;
        kfi_http_exchange_free(metadata->exchange);
        metadata->exchange = NULL;
        uint64_t pause = (uint64_t)PAUSE_MS << (metadata->tries < 8 ? metadata->tries - 1 : 7);
        metadata->resume_at = kfi_ms_after(kfi_now_ms(), pause);
        code = kf_call_wake_in(call, pause);
        if (code != KF_OK)
            return kf_error_set(error, code, "The timer of a question to a metadata service can't be set.");
    }
}

void kfi_aws_metadata_end(struct kfi_aws_metadata *metadata)
{
    kfi_http_exchange_free(metadata->exchange);
    *metadata = (struct kfi_aws_metadata){NULL, 0, 0};
}

enum kf_code kfi_aws_metadata_check(enum kf_code code, const struct kfi_http_reply *reply, const char *who,
                                    struct kf_error *error)
{
    if (code != KF_OK)
        return kf_error_set(error, code, "%s did not answer: %s", who, error->text);
    if (reply->status == 200)
        return KF_OK;
    return kf_error_set(error, may_pass(code, reply) ? KF_E_RETRY : KF_E_REMOTE,
                        "%s answered with HTTP status %d.", who, reply->status);
}

/* ---- Times ---- */

/* Reads a number of `count` digits from the front of `*text`, which moves on; -1 if they are not digits. */
static int read_digits(const char **text, int count)
{
    int number = 0;
    for (int i = 0; i < count; i++) {
        char c = (*text)[i];
        if (c < '0' || c > '9')
            return -1;
        number = number * 10 + (c - '0');
    }
    *text += count;
    return number;
}

bool kfi_aws_time_parse(const char *text, uint64_t *out)
{
    static const struct {
        int count, least, most;
        char behind;
    } fields[] = {{4, 1970, 9999, '-'}, {2, 1, 12, '-'}, {2, 1, 31, 'T'},
                  {2, 0, 23, ':'},      {2, 0, 59, ':'}, {2, 0, 60, '\0'}};
    int values[6];
    for (size_t i = 0; i < 6; i++) {
        values[i] = read_digits(&text, fields[i].count);
        if (values[i] < fields[i].least || values[i] > fields[i].most)
            return false;
        if (fields[i].behind != '\0' && *text++ != fields[i].behind)
            return false;
    }
    if (*text == '.') /* fractions of a second do not matter */
        text += 1 + strspn(text + 1, "0123456789");
    if (strcmp(text, "Z") != 0 && strcmp(text, "+00:00") != 0)
        return false;
    struct tm time = {
        .tm_year = values[0] - 1900,
        .tm_mon = values[1] - 1,
        .tm_mday = values[2],
        .tm_hour = values[3],
        .tm_min = values[4],
        .tm_sec = values[5],
    };
    *out = (uint64_t)timegm(&time);
    return true;
}

/* ---- Credentials ---- */

enum {
    CODE,
    MESSAGE,
    ACCESS_KEY_ID,
    SECRET_ACCESS_KEY,
    TOKEN,
    EXPIRATION,
    MEMBER_COUNT
};

static struct kf_view view_of(const struct kfi_json_member *member)
{
    return kf_view_of(member->text, member->length);
}

static enum kf_code members_take(const struct kfi_json_member *members, const char *who, const char *source,
                                 struct kf_error *error, struct kf_aws_credentials_result *out)
{
    if (members[CODE].text != NULL && strcmp(members[CODE].text, "Success") != 0) {
        char code[65], message[201];
        kfi_text_show(code, sizeof code, view_of(&members[CODE]));
        kfi_text_show(message, sizeof message, view_of(&members[MESSAGE]));
        return kf_error_set(error, KF_E_REMOTE, "%s gives no credentials: %s: %s", who, code, message);
    }
    for (size_t i = ACCESS_KEY_ID; i < MEMBER_COUNT; i++) {
        if (members[i].text == NULL)
            return kf_error_set(error, KF_E_REMOTE, "%s gave credentials without %s.", who, members[i].name);
    }
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    credentials.access_key_id = view_of(&members[ACCESS_KEY_ID]);
    credentials.secret_access_key = view_of(&members[SECRET_ACCESS_KEY]);
    credentials.session_token = view_of(&members[TOKEN]);
    if (!kfi_aws_time_parse(members[EXPIRATION].text, &credentials.expires_at))
        return kf_error_set(error, KF_E_REMOTE, "%s gave credentials whose Expiration is not a time.", who);
    enum kf_code code = kfi_aws_credentials_result_set(out, &credentials, source, error);
    if (code == KF_E_USAGE) /* the service made the mistake, not our user */
        code =
            kf_error_set(error, KF_E_REMOTE, "%s gave credentials that are not valid: %s", who, error->text);
    return code;
}

enum kf_code kfi_aws_metadata_credentials(const struct kfi_http_reply *reply, const char *who,
                                          const char *source, struct kf_error *error,
                                          struct kf_aws_credentials_result *out)
{
    struct kfi_json_member members[MEMBER_COUNT] = {
        [CODE] = {.name = "Code"},
        [MESSAGE] = {.name = "Message"},
        [ACCESS_KEY_ID] = {.name = "AccessKeyId"},
        [SECRET_ACCESS_KEY] = {.name = "SecretAccessKey"},
        [TOKEN] = {.name = "Token"},
        [EXPIRATION] = {.name = "Expiration"},
    };
    struct kfi_json json;
    enum kf_code code =
        kfi_json_read(kf_view_of(reply->body.data, reply->body.length), members, MEMBER_COUNT, error, &json);
    if (code == KF_E_MALFORMED)
        return kf_error_set(error, KF_E_REMOTE, "%s answered with JSON that can't be used: %s.", who,
                            error->text);
    if (code == KF_OK)
        code = members_take(members, who, source, error, out);
    kfi_json_free(&json);
    return code;
}
