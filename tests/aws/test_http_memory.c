/*
 * HTTP: no copy of what was sent or received stays in the memory of this process.
 */
#include "aws/http_stage.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/memory.h"
#include "support/memory_search.h"

/*
 * The secret that is searched for, backwards. It is also valid base64. The server is another process, so that its
 * copies are not found.
 */
static const char backwards[] = "5BrFv7DhIdNjPkzKpZUAmU7qOt3o3sYl";

/* A body: the secret is not at its front, because the allocator writes over the front of what was freed. */
enum {
    SECRET_AT = 500,
    SECRET_BODY = SECRET_AT + sizeof(backwards) - 1
};

static void write_body(unsigned char *out)
{
    memset(out, '.', SECRET_AT);
    for (size_t i = 0; i < sizeof backwards - 1; i++)
        ((volatile unsigned char *)out)[SECRET_AT + i] = (unsigned char)backwards[sizeof backwards - 2 - i];
}

static unsigned char server_secret[SECRET_BODY];

static void answer_secret(const struct http_asked *asked, struct http_answer *answer)
{
    write_body(server_secret);
    bool got = asked->body_length == SECRET_BODY && memcmp(asked->body, server_secret, SECRET_BODY) == 0;
    answer->body = got ? "ok" : (const char *)server_secret;
    answer->body_length = got ? 2 : SECRET_BODY;
    if (strncmp(asked->head, "POST /torn ", strlen("POST /torn ")) == 0) {
        answer->claimed = 2 * SECRET_BODY;
        answer->close = true;
    }
}

/* Starts a server in a process of its own. Answers its port, and `leash`: closing it ends the server. */
static pid_t serve_apart(SSL_CTX *tls, int *port, int *leash)
{
    int up[2], down[2];
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    pid_t child = fork();
    if (child == 0) {
        char nothing;
        (void)close(down[1]);
        struct http_server *server = http_server_new(tls, answer_secret);
        int number = http_server_port(server);
        _exit(write(up[1], &number, sizeof(number)) != sizeof(number) || read(down[0], &nothing, 1) != 0);
    }
    (void)close(up[1]);
    (void)close(down[0]);
    assert_int_equal(read(up[0], port, sizeof(*port)), sizeof(*port));
    (void)close(up[0]);
    *leash = down[1];
    return child;
}

static void search_after_exchanges(const char *url, struct kfi_http_pool *pool)
{
    const struct kfi_http_signature signature = {"eu-west-1", "kms", "AKIDEXAMPLE", "its-secret", NULL, 0};
    struct kfi_http_request request = request_to(url);
    request.signature = &signature;
    struct ask ask;
    for (int i = 0; i < 3; i++) { /* on a fresh connection, then on the same one */
        ask_start(&ask, pool, &request);
        assert_ok(ask_wait(&ask), &ask.error);
        assert_int_equal(ask.reply->body.length, SECRET_BODY);
        assert_true(memory_search(backwards) > 0); /* the reply itself: the search finds what is there */
        ask_end(&ask);
        support_settle();
        assert_int_equal(memory_search(backwards), 0);

        unsigned char *body = malloc(SECRET_BODY);
        write_body(body);
        request.body = (struct kf_view){body, SECRET_BODY};
        ask_start(&ask, pool, &request);
        kfi_wipe(body, SECRET_BODY);
        assert_ok(ask_wait(&ask), &ask.error);
        assert_int_equal(ask.reply->body.length, 2);
        ask_end(&ask);
        support_settle();
        assert_int_equal(memory_search(backwards), 0);
        free(body);
        request.body = (struct kf_view){(const uint8_t *)"{}", 2};
    }
}

/* A reply that breaks off, and one that is refused because its header says that it is too long. */
static void search_after_failures(const char *url, struct kfi_http_pool *pool)
{
    char torn[80];
    struct kf_error error;
    (void)snprintf(torn, sizeof(torn), "%storn", url);
    struct kfi_http_request request = request_to(torn);
    assert_int_equal(ask_once(pool, &request, &error), KF_E_RETRY);
    support_settle();
    assert_int_equal(memory_search(backwards), 0);
    request.url = url;
    request.reply_max = 10;
    assert_int_equal(ask_once(pool, &request, &error), KF_E_REMOTE);
    support_settle();
    assert_int_equal(memory_search(backwards), 0);
}

static void no_copy_of_a_body_stays_in_memory(void **state)
{
    (void)state;
    if (!memory_searchable())
        skip();
    char url[64], file[64];
    (void)snprintf(file, sizeof(file), "http-%d.pem", (int)getpid());
    for (int i = 0; i < 2; i++) {
        SSL_CTX *tls = i == 1 ? http_server_tls(file, 0) : NULL;
        int port, leash, status;
        pid_t child = serve_apart(tls, &port, &leash);
        url_of(url, port, tls != NULL);
        struct kfi_http_pool *pool = pool_new(2, tls != NULL ? file : NULL);
        search_after_exchanges(url, pool);
        search_after_failures(url, pool);
        kfi_http_pool_unref(pool);
        kf_cleanup();
        assert_int_equal(memory_search(backwards), 0);
        (void)close(leash);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        SSL_CTX_free(tls);
        if (tls != NULL)
            (void)unlink(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_copy_of_a_body_stays_in_memory),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* the server's, by OpenSSL */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
