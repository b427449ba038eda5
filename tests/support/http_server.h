/*
 * A small HTTP/1.1 server on loopback for tests. Each connection has a thread; a function of the test answers
 * each request. The server counts, and keeps the last request. It never sleeps and reaches nothing else.
 */
#ifndef TESTS_SUPPORT_HTTP_SERVER_H
#define TESTS_SUPPORT_HTTP_SERVER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    HTTP_ROOM = 16384
};

/* A request as it came, both NUL-terminated. */
struct http_asked {
    char head[HTTP_ROOM]; /* the request line and the header lines, each ended by CR LF */
    char body[HTTP_ROOM];
    size_t body_length;
};

struct http_answer {
    enum {
        HTTP_WHOLE,
        HTTP_DROP, /* the connection is closed instead */
        HTTP_TORN  /* the connection is closed after half of the body */
    } how;
    bool hold;           /* until http_server_release was called */
    bool close;          /* the connection is closed after the reply, without a header that says so */
    int status;          /* 0: 200 */
    const char *headers; /* lines, each ended by CR LF, or NULL */
    const char *body;    /* NULL: none */
    size_t body_length;
    size_t claimed; /* if not 0, the content-length that the reply claims */
    SSL_CTX *
        tunnel; /* after the reply the connection goes on by TLS, as a tunnel to the host that was asked for; or NULL */
};

struct http_server;

/*
 * `answer` fills `*answer`, which is all zero; several connections may call it at once. `tls` stays the
 * caller's; NULL: plain HTTP.
 */
struct http_server *http_server_new(SSL_CTX *tls, void (*answer)(const struct http_asked *asked,
                                                                 struct http_answer *answer));
/* Closes every connection and waits for its thread. */
void http_server_free(struct http_server *server);

int http_server_port(const struct http_server *server);
void http_server_release(
    struct http_server *server); /* sends the answers that are held; from now on none is held */
void http_server_wait_held(struct http_server *server, unsigned count); /* waits until so many are held */
unsigned http_server_connections(struct http_server *server);           /* that were accepted */
unsigned http_server_requests(struct http_server *server);              /* that were read */
unsigned http_server_peak(struct http_server *server); /* the most that were answered at once */
void http_server_last(struct http_server *server, struct http_asked *out);

/*
 * A self-signed certificate for 127.0.0.1 and its key, as a server's context; written to `file` as PEM, for a
 * bundle. The context's highest version of TLS is `version` (0: any).
 */
SSL_CTX *http_server_tls(const char *file, int version);

#endif
