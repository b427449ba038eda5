/*
 * HTTP by TLS: which certificates are trusted, and which versions of TLS are spoken.
 */
#include "aws/http_stage.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <signal.h>

/* ---- The system's certificates, which are read from a file of the test's ---- */

static const char *system_file; /* NULL: the machine's own */
static unsigned system_reads;

/* Opens `path`, or the test's file in its place. */
static FILE *open_by(const char *function, const char *path, const char *mode)
{
    FILE *(*real)(const char *, const char *);
    void *symbol = dlsym(RTLD_NEXT, function);
    memcpy(&real, &symbol, sizeof real);
    const char *system = system_file != NULL ? curl_version_info(CURLVERSION_NOW)->cainfo : NULL;
    if (system == NULL || strcmp(path, system) != 0)
        return real(path, mode);
    system_reads++;
    return real(system_file, mode);
}

/* These take the place of the C library's, by which OpenSSL opens its files; so they have to be visible to it. */
KF_API FILE *fopen(const char *path, const char *mode)
{
    return open_by("fopen", path, mode);
}

KF_API FILE *fopen64(const char *path, const char *mode)
{
    return open_by("fopen64", path, mode);
}

static void the_systems_certificates_are_read_once(void **state)
{
    (void)state;
    assert_non_null(curl_version_info(CURLVERSION_NOW)->cainfo);
    struct kf_error error;
    char url[64], file[64];
    (void)snprintf(file, sizeof(file), "http-%d-system.pem", (int)getpid());
    SSL_CTX *tls = http_server_tls(file, 0);
    struct http_server *server = http_server_new(tls, answer_next);
    next_answer = (struct http_answer){.body = "x", .body_length = 1, .close = true};
    url_of(url, http_server_port(server), true);
    struct kfi_http_request request = request_to(url);
    struct kfi_http_pool *pool = pool_new(2, NULL);
    system_file = file;
    system_reads = 0;
    for (unsigned i = 0; i < 3; i++)
        assert_ok(ask_once(pool, &request, &error), &error);
    assert_int_equal(http_server_connections(server), 3);
    assert_int_equal(system_reads, 1);
    system_file = NULL;
    kfi_http_pool_unref(pool);
    kf_cleanup();
    http_server_free(server);
    SSL_CTX_free(tls);
    (void)unlink(file);
}

/* ---- TLS ---- */

static void tls_is_verified_and_not_old(void **state)
{
    (void)state;
    struct kf_error error;
    char url[64], file[64], other_file[64];
    (void)snprintf(file, sizeof(file), "http-%d.pem", (int)getpid());
    (void)snprintf(other_file, sizeof(other_file), "http-%d-other.pem", (int)getpid());
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_is_verified_and_not_old),
        cmocka_unit_test(the_systems_certificates_are_read_once),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* the server's, by OpenSSL */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
