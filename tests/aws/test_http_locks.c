/*
 * Requests by TLS take no lock of libcrypto's or libssl's but while forks wait: on the internal thread, where libcurl
 * works, and where requests are made, cancelled and freed.
 */
#include "aws/http_stage.h"
#include "fork/libcrypto_locks.h"

static void no_stop(void)
{
}

static void requests_take_their_locks_while_forks_wait(void **state)
{
    (void)state;
    struct kf_error error;
    char url[64], file[64], other_file[64];
    locks.stop = no_stop;
    (void)snprintf(file, sizeof(file), "http-%d.pem", (int)getpid());
    (void)snprintf(other_file, sizeof(other_file), "http-%d-other.pem", (int)getpid());
    SSL_CTX *tls = http_server_tls(file, 0), *other = http_server_tls(other_file, 0);
    struct http_server *server = http_server_new(tls, answer_next);
    next_answer = (struct http_answer){.body = "x", .body_length = 1};
    url_of(url, http_server_port(server), true);
    const struct kfi_http_request request = request_to(url);

    watched = true;
    struct kfi_http_pool *right = pool_new(2, file), *wrong = pool_new(2, other_file);
    assert_ok(ask_once(right, &request, &error), &error);
    assert_ok(ask_once(right, &request, &error), &error); /* on the same connection */
    assert_int_equal(ask_once(wrong, &request, &error), KF_E_REMOTE);
    struct ask cancelled, left;
    next_answer.hold = true;
    ask_start(&cancelled, right, &request);
    ask_start(&left, right, &request);
    http_server_wait_held(server, 2);
    ask_end(&cancelled);
    kf_cleanup();
    assert_int_equal(ask_wait(&left), KF_E_CLEANED_UP);
    ask_end(&left);
    kfi_http_pool_unref(right);
    kfi_http_pool_unref(wrong);
    watched = false;

    if (LOCKS_ARE_SEEN)
        assert_true(atomic_load(&locks.taken) > 0);
    assert_int_equal(atomic_load(&locks.taken_unbarred), 0);
    http_server_release(server);
    http_server_free(server);
    SSL_CTX_free(tls);
    SSL_CTX_free(other);
    (void)unlink(file);
    (void)unlink(other_file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_take_their_locks_while_forks_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
