/*
 * HTTP by proxies that the environment names. The server on loopback is the proxy and also the host behind it.
 */
#include "aws/http_stage.h"

#include <signal.h>
#include <stdlib.h>

static SSL_CTX *tls;
static char file[64];
static int refusal; /* the status with which tunnels are refused, or 0 */

/* A proxy for http is asked for a whole URL; a proxy for https is asked for a tunnel. */
static void answer_as_proxy(const struct http_asked *asked, struct http_answer *answer)
{
    answer->status = refusal;
    if (strncmp(asked->head, "CONNECT ", strlen("CONNECT ")) == 0 && refusal == 0)
        answer->tunnel = tls;
}

static void name_proxies(const char *proxy, const char *not_for)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY",  "no_proxy",    "NO_PROXY"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(unsetenv(names[i]), 0);
    if (proxy != NULL) {
        assert_int_equal(setenv("http_proxy", proxy, 1), 0);
        assert_int_equal(setenv("HTTPS_PROXY", proxy, 1), 0);
    }
    if (not_for != NULL)
        assert_int_equal(setenv("NO_PROXY", not_for, 1), 0);
}

/* A stage whose server is also the proxy that the environment names: all requests go by it. */
static void stage_behind_proxy(struct stage *stage, const char *not_for)
{
    stage_set(stage, (struct http_answer){.status = 200}, 2);
    http_server_free(stage->server);
    kfi_http_pool_unref(stage->pool);
    refusal = 0;
    stage->server = http_server_new(NULL, answer_as_proxy);
    stage->pool = pool_new(2, file);
    url_of(stage->url, http_server_port(stage->server), false);
    name_proxies(stage->url, not_for);
    stage->request.direct = false;
}

static void check_asked(struct stage *stage, const char *line)
{
    struct http_asked asked;
    http_server_last(stage->server, &asked);
    asked.head[strcspn(asked.head, "\r")] = '\0';
    assert_string_equal(asked.head, line);
}

static void a_proxy_for_http_gets_the_whole_url(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_error error;
    stage_behind_proxy(&stage, NULL);
    stage.request.url = "http://kms.invalid/path";
    assert_ok(ask_once(stage.pool, &stage.request, &error), &error);
    check_asked(&stage, "POST http://kms.invalid/path HTTP/1.1");
    stage_end(&stage);
}

/* The certificate behind the tunnel is verified as it is without a proxy. */
static void a_proxy_for_https_gives_a_tunnel(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_error error;
    stage_behind_proxy(&stage, NULL);
    stage.request.url = "https://127.0.0.1:9/path"; /* where nobody listens */
    assert_ok(ask_once(stage.pool, &stage.request, &error), &error);
    check_asked(&stage, "POST /path HTTP/1.1");
    assert_ok(ask_once(stage.pool, &stage.request, &error), &error);
    assert_int_equal(http_server_connections(stage.server), 1);
    assert_int_equal(http_server_requests(stage.server), 3); /* one of them for the tunnel */
    stage.request.url = "https://kms.invalid/path";          /* whose name is not in the certificate */
    assert_int_equal(ask_once(stage.pool, &stage.request, &error), KF_E_REMOTE);
    check_asked(&stage, "CONNECT kms.invalid:443 HTTP/1.1");
    stage_end(&stage);
}

static void a_tunnel_can_be_refused(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_error error;
    stage_behind_proxy(&stage, NULL);
    refusal = 407;
    stage.request.url = "https://kms.invalid/path";
    assert_int_equal(ask_once(stage.pool, &stage.request, &error), KF_E_RETRY);
    assert_non_null(strstr(error.text, "https://kms.invalid:443"));
    assert_non_null(strstr(error.text, "407"));
    stage_end(&stage);
}

static void some_are_asked_without_a_proxy(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct stage stage;
        struct kf_error error;
        stage_behind_proxy(&stage, i == 0 ? "example.invalid,127.0.0.1" : NULL);
        stage.request.direct = i == 1;
        assert_ok(ask_once(stage.pool, &stage.request, &error), &error);
        check_asked(&stage, "POST / HTTP/1.1");
        stage_end(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proxy_for_http_gets_the_whole_url),
        cmocka_unit_test(a_proxy_for_https_gives_a_tunnel),
        cmocka_unit_test(a_tunnel_can_be_refused),
        cmocka_unit_test(some_are_asked_without_a_proxy),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* the server's, by OpenSSL */
    (void)snprintf(file, sizeof(file), "http-%d.pem", (int)getpid());
    tls = http_server_tls(file, 0);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    SSL_CTX_free(tls);
    (void)unlink(file);
    return failed;
}
