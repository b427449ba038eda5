/*
 * HTTP: signatures of requests, compared with ones that are computed by hand.
 */
#include "aws/http_stage.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <time.h>

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

/* The signature that a request should have, given its date and the names of the header lines that it signs. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
