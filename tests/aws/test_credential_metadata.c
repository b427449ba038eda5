/*
 * Credentials from the container endpoint and from instance metadata: the questions, the hosts that may be asked, and
 * what becomes of the answers. Nothing is sent beyond loopback.
 */
#include "chain.h"

/* ---- Container ---- */

#define CREDENTIALS(id, expiration)                                                       \
    "{\"Code\": \"Success\", \"AccessKeyId\": \"" id "\", \"SecretAccessKey\": \"" SECRET \
    "\\u002f\", \"Token\": \"" SECRET "token\", \"Expiration\": \"" expiration "\"}"
#define LATER "2096-02-29T12:34:56Z"
#define LATER_SECONDS 3981357296ULL

/* Sets the variable to a URL of the server. */
static void point(const char *variable, const char *host, const char *path)
{
    char url[128];
    snprintf(url, sizeof url, "http://%s:%d%s", host, http_server_port(server.server), path);
    environment_set(variable, url);
}

static void point_container(void)
{
    point("AWS_CONTAINER_CREDENTIALS_FULL_URI", "127.0.0.1", "/get?x=y");
}

static void answers(int status, const char *body)
{
    const struct metadata_answer answer = {"GET /get?x=y ", status, body};
    metadata_script(&answer, 1);
}

static void a_container(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (size_t i = 0; i < 2; i++) {
        point("AWS_CONTAINER_CREDENTIALS_FULL_URI", hosts[i], "/get?x=y");
        answers(200, CREDENTIALS("AKIDC", LATER));
        assert_got("AKIDC", SECRET "/", SECRET "token", "the container endpoint");
        assert_int_equal(got->expires_at, LATER_SECONDS);
        assert_int_equal(server_asked(), 1);
        assert_false(server_has(0, "authorization: x"));
    }
}

static void a_container_with_a_token(void **state)
{
    (void)state;
    point_container();
    environment_set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic " SECRET);
    answers(200, CREDENTIALS("AKIDC", LATER));
    assert_ok(fetch(), &error);
    assert_true(server_has(0, "authorization: Basic " SECRET));

    /* The file comes before the variable, and is read at each fetch. */
    environment_set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", environment_write("one", "first"));
    answers(200, CREDENTIALS("AKIDC", LATER));
    assert_ok(fetch(), &error);
    assert_true(server_has(0, "authorization: first"));
    environment_write("one", "second");
    answers(200, CREDENTIALS("AKIDC", LATER));
    assert_ok(fetch(), &error);
    assert_true(server_has(0, "authorization: second"));
}

static void tokens_that_cannot_be_sent(void **state)
{
    (void)state;
    static char longest[16386];
    point_container();
    environment_set("AWS_CONTAINER_AUTHORIZATION_TOKEN", SECRET "\r\nX: y");
    assert_fails(KF_E_USAGE, "AWS_CONTAINER_AUTHORIZATION_TOKEN gives can't be sent");
    environment_set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", environment_write("one", SECRET "\n"));
    assert_fails(KF_E_USAGE, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE gives can't be sent");
    environment_write("one", "");
    assert_fails(KF_E_USAGE, "has to have 1 to 16384 bytes");
    memset(longest, 'x', sizeof longest - 1);
    environment_write("one", longest);
    assert_fails(KF_E_USAGE, "has to have 1 to 16384 bytes");
    environment_set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", environment_path("missing"));
    assert_fails(KF_E_SYSTEM, environment_path("missing"));
    assert_int_equal(server_asked(), 0);
}

static void some_hosts_may_be_asked_by_plain_http(void **state)
{
    (void)state;
    static const char *const right[] = {"http://127.0.0.1/x",
                                        "http://127.255.0.9:80/x",
                                        "http://localhost:1234",
                                        "http://[::1]:80/x",
                                        "http://169.254.170.2/x",
                                        "http://169.254.170.23/v1/credentials",
                                        "http://[fd00:ec2::23]/v1/credentials",
                                        "http://[FD00:EC2:0::23]:80",
                                        "https://example.com/x?y=z",
                                        "HTTPS://example.com",
                                        "HTTP://127.0.0.1"};
    static const char *const wrong[] = {"http://example.com/x",
                                        "http://169.254.170.3/x",
                                        "http://169.254.169.254/x",
                                        "http://128.0.0.1/",
                                        "http://127.0.0.1.example.com/",
                                        "http://localhost.example.com/",
                                        "http://example.com/127.0.0.1",
                                        "http://[fd00:ec2::24]/",
                                        "http://[::2]/",
                                        "http://0x7f000001/",
                                        "http://2130706433/",
                                        "http://127.0.0.1@example.com/",
                                        "http://user:127.0.0.1@example.com/",
                                        "http://example.com#127.0.0.1",
                                        "http://example.com\\127.0.0.1/",
                                        "http://127.0.0.1\\@example.com/",
                                        "http://[::1]example.com/",
                                        "http://[::1/",
                                        "http:///x",
                                        "http://",
                                        "ftp://127.0.0.1/",
                                        "127.0.0.1",
                                        "http://127.0.0.1/\r\nX: y",
                                        "https://",
                                        "https://user@example.com/",
                                        "http://127.1/"};
    char url[KFI_AWS_CONTAINER_URL_MAX];
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        environment_set("AWS_CONTAINER_CREDENTIALS_FULL_URI", right[i]);
        assert_ok(kfi_aws_container_url(&error, url), &error);
        assert_string_equal(url, right[i]);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        environment_set("AWS_CONTAINER_CREDENTIALS_FULL_URI", wrong[i]);
        assert_int_equal(kfi_aws_container_url(&error, url), KF_E_USAGE);
        assert_non_null(strstr(error.text, "AWS_CONTAINER_CREDENTIALS_FULL_URI"));
        assert_string_equal(url, "");
    }
}

static void a_path_is_asked_for_at_the_task_endpoint(void **state)
{
    (void)state;
    static const char *const wrong[] = {"v2", "@example.com/", ":80/", "/a b", "/a\nb", "/a@b"};
    char url[KFI_AWS_CONTAINER_URL_MAX];
    environment_set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/");
    environment_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/id?x=y");
    assert_ok(kfi_aws_container_url(&error, url), &error);
    assert_string_equal(url, "http://169.254.170.2/v2/credentials/id?x=y");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        environment_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", wrong[i]);
        assert_int_equal(kfi_aws_container_url(&error, url), KF_E_USAGE);
    }
}

static void a_container_that_fails_is_the_end(void **state)
{
    (void)state;
    point_container();
    answers(403, "{}");
    assert_fails(KF_E_REMOTE, "The container endpoint answered with HTTP status 403.");
    assert_int_equal(server_asked(), 1);
    answers(200, CREDENTIALS("AKIDC", "2006-01-01T00:00:00Z"));
    assert_fails(KF_E_RETRY, "the container endpoint had expired already");

    /* After a failure that may pass it is asked again, three times in all. */
    static const struct metadata_answer torn[] = {{NULL, 500, ""}, {NULL, 0, ""}, {NULL, 429, ""}};
    metadata_script(torn, 3);
    assert_fails(KF_E_RETRY, "HTTP status 429");
    assert_int_equal(server_asked(), 3);
    static const struct metadata_answer mended[] = {
        {NULL, 429, ""}, {NULL, 0, ""}, {NULL, 200, CREDENTIALS("AKIDC", LATER)}};
    metadata_script(mended, 3);
    assert_ok(fetch(), &error);
    static const struct metadata_answer closed[] = {{NULL, 0, ""}, {NULL, 0, ""}, {NULL, 0, ""}};
    metadata_script(closed, 3);
    assert_fails(KF_E_RETRY, "The container endpoint did not answer: ");
}

static void a_reply_has_to_be_credentials(void **state)
{
    (void)state;
    static const struct {
        const char *body, *sentence;
    } cases[] = {
        {"", "JSON that can't be used"},
        {"nonsense", "JSON that can't be used"},
        {"\"Success\"", "JSON that can't be used"},
        {"17", "JSON that can't be used"},
        {"[]", "JSON that can't be used"},
        {"[{\"Code\": \"x\"}]", "JSON that can't be used"},
        {CREDENTIALS("A", LATER) "x", "JSON that can't be used"},
        {CREDENTIALS("A", LATER) "{}", "JSON that can't be used"},
        {"{\"Token\": \"" SECRET "\", \"AccessKeyId\": \"" SECRET "\"", "JSON that can't be used"},
        {"{\"AccessKeyId\": \"a\\u0000b\"}", "JSON that can't be used"},
        {"{\"AccessKeyId\": 17}", "JSON that can't be used"},
        {"{\"AccessKeyId\": true}", "JSON that can't be used"},
        {"{\"AccessKeyId\": [\"a\"]}", "JSON that can't be used"},
        {"{\"AccessKeyId\": {\"a\": \"b\"}}", "JSON that can't be used"},
        {"{\"AccessKeyId\": \"a\", \"AccessKeyId\": \"a\"}", "JSON that can't be used"},
        {"{\"AccessKeyId\": null, \"AccessKeyId\": \"a\"}", "JSON that can't be used"},
        {"{\"x\": [[[[[[[[\"deep\"]]]]]]]]}", "JSON that can't be used"},
        {"{}", "without AccessKeyId"},
        {"{\"AccessKeyId\": \"a\"}", "without SecretAccessKey"},
        {"{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"" SECRET "\"}", "without Token"},
        {"{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"" SECRET "\", \"Token\": null}", "without Token"},
        {"{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"" SECRET "\", \"Token\": \"t\"}",
         "without Expiration"},
        {CREDENTIALS("A", "tomorrow"), "Expiration is not a time"},
        {CREDENTIALS("A B", LATER), "The access key id has characters"},
        {"{\"Code\": \"Failed\\n\", \"Message\": \"b\\u00e9cause\"}", "no credentials: Failed : b??cause"},
        {"{\"Code\": \"Failed\"}", "no credentials: Failed: "},
    };
    point_container();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        answers(200, cases[i].body);
        assert_fails(KF_E_REMOTE, cases[i].sentence);
    }
    /* Other members do not matter. */
    answers(200, "{\"x\": [1, null, true, {\"Code\": \"no\", \"AccessKeyId\": \"no\"}], \"Code\": null,\n"
                 "\"\": 1.5e9, \"AccessKeyId\": \"A\\u004bID\", \"SecretAccessKey\": \"" SECRET "\",\n"
                 "\"Expiration\": \"" LATER "\", \"Token\": \"t\", \"accesskeyid\": 1}");
    assert_got("AKID", SECRET, "t", "the container endpoint");
}

static void times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t seconds;
    } right[] = {{"1970-01-01T00:00:00Z", 0},
                 {"2026-11-24T13:00:00Z", 1795525200},
                 {"2024-02-29T23:59:59+00:00", 1709251199},
                 {"2026-11-24T13:00:00.123456Z", 1795525200}};
    static const char *const wrong[] = {"",
                                        "2026-11-24",
                                        "2026-11-24 13:00:00Z",
                                        "2026-11-24T13:00:00",
                                        "2026-11-24T13:00:00+01:00",
                                        "2026-13-24T13:00:00Z",
                                        "2026-11-24T24:00:00Z",
                                        "2026-11-24T13:00:00Zx",
                                        "+026-11-24T13:00:00Z",
                                        "1969-11-24T13:00:00Z",
                                        "2026-1-24T13:00:00Z"};
    uint64_t seconds;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        assert_true(kfi_aws_time_parse(right[i].text, &seconds));
        assert_int_equal(seconds, right[i].seconds);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(kfi_aws_time_parse(wrong[i], &seconds));
}

/* ---- Instance metadata ---- */

#define PUT_TOKEN "PUT /latest/api/token "
#define GET_ROLE "GET /latest/meta-data/iam/security-credentials/ "
#define GET_CREDENTIALS "GET /latest/meta-data/iam/security-credentials/a-role_1@x "

static void point_instance(void)
{
    environment_set("AWS_EC2_METADATA_DISABLED", "false");
    environment_set("AWS_METADATA_SERVICE_TIMEOUT",
                    "60"); /* the default of a second may be too short on a busy machine */
    point("AWS_EC2_METADATA_SERVICE_ENDPOINT", "127.0.0.1", "/");
}

static void an_instance(void **state)
{
    (void)state;
    static const struct metadata_answer script[] = {{PUT_TOKEN, 200, SECRET "=="},
                                                    {GET_ROLE, 200, "a-role_1@x\nanother\n"},
                                                    {GET_CREDENTIALS, 200, CREDENTIALS("AKIDI", LATER)}};
    point_instance();
    metadata_script(script, 3);
    assert_got("AKIDI", SECRET "/", SECRET "token", "the instance metadata service, role a-role_1@x");
    assert_int_equal(got->expires_at, LATER_SECONDS);
    assert_int_equal(server_asked(), 3);
    assert_true(server_has(0, "x-aws-ec2-metadata-token-ttl-seconds: 21600"));
    assert_true(server_has(1, "x-aws-ec2-metadata-token: " SECRET "=="));
    assert_true(server_has(2, "x-aws-ec2-metadata-token: " SECRET "=="));
}

static void where_the_metadata_service_is(void **state)
{
    (void)state;
    char url[KFI_AWS_URL_MAX];
    assert_ok(kfi_aws_instance_endpoint(&error, url), &error);
    assert_string_equal(url, "http://169.254.169.254");
    environment_set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv4");
    assert_ok(kfi_aws_instance_endpoint(&error, url), &error);
    assert_string_equal(url, "http://169.254.169.254");
    environment_set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6");
    assert_ok(kfi_aws_instance_endpoint(&error, url), &error);
    assert_string_equal(url, "http://[fd00:ec2::254]");
    environment_set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1//");
    assert_ok(kfi_aws_instance_endpoint(&error, url), &error);
    assert_string_equal(url, "http://127.0.0.1:1");
}

static void what_is_no_instance_has_no_credentials(void **state)
{
    (void)state;
    static const struct metadata_answer refused[] = {{PUT_TOKEN, 403, ""}};
    static const struct metadata_answer closed[] = {{PUT_TOKEN, 0, ""}};
    static const struct metadata_answer no_role[] = {{PUT_TOKEN, 200, "t"}, {GET_ROLE, 404, ""}};
    point_instance();
    metadata_script(refused, 1);
    assert_fails(KF_E_USAGE, "gives no token (HTTP status 403).");
    metadata_script(closed, 1);
    assert_fails(KF_E_USAGE, "does not answer.");
    assert_int_equal(server_asked(), 1); /* one attempt */
    metadata_script(no_role, 2);
    assert_fails(KF_E_USAGE, "instance metadata: the instance has no role.");
    environment_set("AWS_EC2_METADATA_DISABLED", "True");
    assert_fails(KF_E_USAGE, "instance metadata: AWS_EC2_METADATA_DISABLED is true.");
}

static void an_instance_that_fails(void **state)
{
    (void)state;
    static const struct {
        struct metadata_answer script[3];
        size_t length;
        enum kf_code code;
        const char *sentence;
    } cases[] = {
        {{{PUT_TOKEN, 500, ""}}, 1, KF_E_RETRY, "HTTP status 500"},
        {{{PUT_TOKEN, 200, ""}}, 1, KF_E_REMOTE, "a token that is not valid"},
        {{{PUT_TOKEN, 200, "a\r\nX: y"}}, 1, KF_E_REMOTE, "a token that is not valid"},
        {{{PUT_TOKEN, 200, "t"}, {GET_ROLE, 401, ""}}, 2, KF_E_REMOTE, "HTTP status 401"},
        {{{PUT_TOKEN, 200, "t"}, {GET_ROLE, 0, ""}}, 2, KF_E_RETRY, "did not answer"},
        {{{PUT_TOKEN, 200, "t"}, {GET_ROLE, 200, ""}}, 2, KF_E_REMOTE, "a name of a role that is not valid"},
        {{{PUT_TOKEN, 200, "t"}, {GET_ROLE, 200, "../../x"}},
         2,
         KF_E_REMOTE,
         "a name of a role that is not valid"},
        {{{PUT_TOKEN, 200, "t"}, {GET_ROLE, 200, "a b"}},
         2,
         KF_E_REMOTE,
         "a name of a role that is not valid"},
        {{{PUT_TOKEN, 200, "t"}, {GET_ROLE, 200, "a-role_1@x"}, {GET_CREDENTIALS, 404, ""}},
         3,
         KF_E_REMOTE,
         "HTTP status 404"},
        {{{PUT_TOKEN, 200, "t"},
          {GET_ROLE, 200, "a-role_1@x"},
          {GET_CREDENTIALS, 200, "{\"Code\": \"AssumeRoleUnauthorizedAccess\", \"Message\": \"No.\"}"}},
         3,
         KF_E_REMOTE,
         "gives no credentials: AssumeRoleUnauthorizedAccess: No."},
        {{{PUT_TOKEN, 200, "t"},
          {GET_ROLE, 200, "a-role_1@x"},
          {GET_CREDENTIALS, 200, CREDENTIALS("A", "2020-01-01T00:00:00Z")}},
         3,
         KF_E_RETRY,
         "role a-role_1@x had expired already"},
    };
    point_instance();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        metadata_script(cases[i].script, cases[i].length);
        assert_fails(cases[i].code, cases[i].sentence);
        assert_int_equal(server_asked(), cases[i].length);
    }
}

static void attempts_can_be_more(void **state)
{
    (void)state;
    static const struct metadata_answer script[] = {{PUT_TOKEN, 0, ""},
                                                    {PUT_TOKEN, 500, ""},
                                                    {PUT_TOKEN, 200, "t"},
                                                    {GET_ROLE, 500, ""},
                                                    {GET_ROLE, 200, "a-role_1@x"},
                                                    {GET_CREDENTIALS, 0, ""},
                                                    {GET_CREDENTIALS, 200, CREDENTIALS("AKIDI", LATER)}};
    point_instance();
    environment_set("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "3");
    metadata_script(script, 7);
    assert_ok(fetch(), &error);
    assert_int_equal(server_asked(), 7);
}

static void settings_of_the_metadata_service(void **state)
{
    (void)state;
    static const struct {
        const char *variable, *value;
    } wrong[] = {{"AWS_METADATA_SERVICE_NUM_ATTEMPTS", "0"},
                 {"AWS_METADATA_SERVICE_NUM_ATTEMPTS", "101"},
                 {"AWS_METADATA_SERVICE_NUM_ATTEMPTS", "two"},
                 {"AWS_METADATA_SERVICE_TIMEOUT", "0"},
                 {"AWS_METADATA_SERVICE_TIMEOUT", "0.5"},
                 {"AWS_METADATA_SERVICE_TIMEOUT", "3601"},
                 {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "both"},
                 {"AWS_EC2_METADATA_SERVICE_ENDPOINT", "169.254.169.254"},
                 {"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://user@127.0.0.1/"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        point_instance();
        environment_set(wrong[i].variable, wrong[i].value);
        assert_fails(KF_E_USAGE, wrong[i].variable);
        environment_set(wrong[i].variable, NULL);
    }
    assert_int_equal(server_asked(), 0);
}

/* ---- Cancelling ---- */

static void cancelling_ends_the_exchange(void **state)
{
    (void)state;
    struct kfi_http_pool *pool;
    struct kf_aws_credentials_provider *chain = chain_new(&pool);
    struct kf_call call;
    const struct metadata_answer silent = {NULL, -1, ""};
    point_container();
    metadata_script(&silent, 1);
    kfi_call_init(&call, NULL);
    kfi_call_drive(&call, NULL);
    assert_int_equal(kfi_aws_credentials_fetch(chain, &call, &error, &got), KF_PENDING);
    kfi_call_end(&call);
    kf_aws_credentials_provider_unref(chain);
    kfi_http_pool_unref(pool);
}

int main(void)
{
    secrets_watch();
    const struct CMUnitTest tests[] = {
        chain_test(a_container),
        chain_test(a_container_with_a_token),
        chain_test(tokens_that_cannot_be_sent),
        chain_test(some_hosts_may_be_asked_by_plain_http),
        chain_test(a_path_is_asked_for_at_the_task_endpoint),
        chain_test(a_container_that_fails_is_the_end),
        chain_test(a_reply_has_to_be_credentials),
        chain_test(times),
        chain_test(an_instance),
        chain_test(where_the_metadata_service_is),
        chain_test(what_is_no_instance_has_no_credentials),
        chain_test(an_instance_that_fails),
        chain_test(attempts_can_be_more),
        chain_test(settings_of_the_metadata_service),
        chain_test(cancelling_ends_the_exchange),
        cmocka_unit_test(no_secret_was_left_in_memory),
    };
    metadata_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    server_stop();
    kf_cleanup();
    return failed;
}
