/*
 * What container endpoint and instance metadata share: a question by HTTP that is asked again if need be, and
 * the JSON in which both answer. Called by credentials_container.c and credentials_instance.c.
 */
#include <time.h>

#include "aws/service/credentials_sources.h"
#include "aws/service/json.h"
#include "base/clock.h"
#include "base/error.h"

#define PAUSE_MS 100 /* before the second try; twice as long before each further one */

/* ---- The question ---- */

static enum kf_code start(struct kfi_aws_metadata *metadata, struct kfi_http_pool *pool,
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

/* Whether another try may help. */
static bool may_help(enum kf_code code, const struct kfi_http_reply *reply)
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
            code = start(metadata, pool, question, call, error);
        if (code == KF_OK)
            code = kfi_http_exchange_poll(metadata->exchange, error, reply);
        if (code == KF_PENDING || metadata->tries >= question->tries || !may_help(code, *reply))
            return code;
        kfi_http_exchange_free(metadata->exchange);
        metadata->exchange = NULL;
        uint64_t pause = (uint64_t)PAUSE_MS << (metadata->tries < 8 ? metadata->tries - 1 : 7);
        metadata->resume_at = kfi_ms_after(kfi_now_ms(), pause);
        code = kf_call_wake_in(call, pause);
        if (code != KF_OK)
            return kf_error_set(error, code, "There is no timer for another question to a metadata service.");
    }
}

void kfi_aws_metadata_end(struct kfi_aws_metadata *metadata)
{
    kfi_http_exchange_free(metadata->exchange);
    *metadata = (struct kfi_aws_metadata){NULL, 0, 0};
}

enum kf_code kfi_aws_metadata_check(const struct kfi_http_reply *reply, const char *who,
                                    struct kf_error *error)
{
    if (reply->status == 200)
        return KF_OK;
    bool may_pass = reply->status >= 500 || reply->status == 429;
    return kf_error_set(error, may_pass ? KF_E_RETRY : KF_E_REMOTE, "%s answered with HTTP status %d.", who,
                        reply->status);
}

/* ---- Times ---- */

/* The number that so many digits make, from `**text` on, which moves on; -1 if they are none. */
static int digits(const char **text, int count)
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
        values[i] = digits(&text, fields[i].count);
        if (values[i] < fields[i].least || values[i] > fields[i].most)
            return false;
        if (fields[i].behind != '\0' && *text++ != fields[i].behind)
            return false;
    }
    if (*text == '.') /* parts of a second do not matter */
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

/* Text of somebody else's for a sentence: what is not printable ASCII becomes a question mark. */
static void tidy(char *to, size_t room, const char *text)
{
    size_t length = 0;
    for (; text != NULL && text[length] != '\0' && length + 1 < room; length++) {
        to[length] = '?';
        if (text[length] >= ' ' && text[length] <= '~')
            to[length] = text[length];
    }
    to[length] = '\0';
}

static struct kf_view view_of(const struct kfi_json_member *member)
{
    return kf_view_of(member->text, member->length);
}

static enum kf_code take(const struct kfi_json_member *members, const char *who, const char *source,
                         struct kf_error *error, struct kf_aws_credentials_result *out)
{
    if (members[CODE].text != NULL && strcmp(members[CODE].text, "Success") != 0) {
        char code[65], message[201];
        tidy(code, sizeof code, members[CODE].text);
        tidy(message, sizeof message, members[MESSAGE].text);
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
        return kf_error_set(error, KF_E_REMOTE, "%s gave credentials whose Expiration is no time.", who);
    enum kf_code code = kfi_aws_credentials_result_set(out, &credentials, source, error);
    if (code == KF_E_USAGE) /* it is not our user who is to blame */
        code = kf_error_set(error, KF_E_REMOTE, "%s gave credentials that can't be: %s", who, error->text);
    return code;
}

enum kf_code kfi_aws_metadata_credentials(struct kf_view json, const char *who, const char *source,
                                          struct kf_error *error, struct kf_aws_credentials_result *out)
{
    struct kfi_json_member members[MEMBER_COUNT] = {
        [CODE] = {"Code", NULL, 0},
        [MESSAGE] = {"Message", NULL, 0},
        [ACCESS_KEY_ID] = {"AccessKeyId", NULL, 0},
        [SECRET_ACCESS_KEY] = {"SecretAccessKey", NULL, 0},
        [TOKEN] = {"Token", NULL, 0},
        [EXPIRATION] = {"Expiration", NULL, 0},
    };
    struct kfi_json read;
    enum kf_code code = kfi_json_read(json, members, MEMBER_COUNT, error, &read);
    if (code == KF_E_MALFORMED)
        return kf_error_set(error, KF_E_REMOTE, "%s answered, but its JSON is no good: %s.", who,
                            error->text);
    if (code == KF_OK)
        code = take(members, who, source, error, out);
    kfi_json_free(&read);
    return code;
}
