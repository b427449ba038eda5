/*
 * A small HTTP/1.1 server: see http_server.h.
 */
#include "support/http_server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    struct http_server *server;
    struct connection *next;
    pthread_t thread;
    int fd;
    SSL *ssl;
    bool ended; /* its thread is about to return; under the server's lock */
};

struct http_server {
    SSL_CTX *tls;
    void (*answer)(const struct http_asked *asked, struct http_answer *answer);
    int listener, port;
    pthread_t thread;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct connection *all;
    bool stopping, released;
    unsigned connections, requests, held, busy, peak;
    struct http_asked last;
};

static ssize_t get(struct connection *connection, char *to, size_t room)
{
    if (connection->ssl != NULL)
        return SSL_read(connection->ssl, to, (int)room);
    return recv(connection->fd, to, room, 0);
}

static bool put(struct connection *connection, const char *from, size_t length)
{
    while (length > 0) {
        ssize_t sent = connection->ssl != NULL ? SSL_write(connection->ssl, from, (int)length)
                                               : send(connection->fd, from, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        from += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* Reads one request, byte by byte up to its body; false at the end of the connection. */
static bool read_request(struct connection *connection, struct http_asked *asked)
{
    size_t length = 0;
    memset(asked, 0, sizeof(*asked));
    while (length < 4 || memcmp(asked->head + length - 4, "\r\n\r\n", 4) != 0) {
        if (length + 1 >= sizeof(asked->head) || get(connection, asked->head + length, 1) != 1)
            return false;
        length++;
    }
    const char *line = strcasestr(asked->head, "\r\ncontent-length:");
    size_t left = line == NULL ? 0 : strtoul(strchr(line, ':') + 1, NULL, 10);
    while (asked->body_length < left && left < sizeof(asked->body)) {
        ssize_t got = get(connection, asked->body + asked->body_length, left - asked->body_length);
        if (got <= 0)
            return false;
        asked->body_length += (size_t)got;
    }
    return true;
}

static void speak_tls(struct connection *connection, SSL_CTX *tls)
{
    connection->ssl = SSL_new(tls);
    SSL_set_fd(connection->ssl, connection->fd);
}

/* False: the connection ends. */
static bool reply(struct connection *connection, const struct http_answer *answer)
{
    char head[1024];
    if (answer->how == HTTP_DROP)
        return false;
    int length = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\ncontent-length: %zu\r\n%s\r\n",
                          answer->status != 0 ? answer->status : 200,
                          answer->claimed != 0 ? answer->claimed : answer->body_length,
                          answer->headers != NULL ? answer->headers : "");
    size_t body = answer->how == HTTP_TORN ? answer->body_length / 2 : answer->body_length;
    return put(connection, head, (size_t)length) && (body == 0 || put(connection, answer->body, body)) &&
           answer->how == HTTP_WHOLE && !answer->close;
}

/* Answers one request; false: the connection ends. */
static bool serve(struct connection *connection, const struct http_asked *asked)
{
    struct http_server *server = connection->server;
    struct http_answer answer = {.how = HTTP_WHOLE};
    server->answer(asked, &answer);
    pthread_mutex_lock(&server->lock);
    server->last = *asked;
    server->requests++;
    if (++server->busy > server->peak)
        server->peak = server->busy;
    server->held += answer.hold;
    pthread_cond_broadcast(&server->changed);
    while (answer.hold && !server->released && !server->stopping)
        pthread_cond_wait(&server->changed, &server->lock);
    server->held -= answer.hold;
    server->busy--;
    pthread_mutex_unlock(&server->lock);
    if (!reply(connection, &answer))
        return false;
    if (answer.tunnel == NULL)
        return true;
    speak_tls(connection, answer.tunnel);
    return SSL_accept(connection->ssl) == 1;
}

static void *connection_main(void *context)
{
    struct connection *connection = context;
    struct http_asked *asked = calloc(1, sizeof(*asked));
    if (connection->ssl == NULL || SSL_accept(connection->ssl) == 1) {
        while (read_request(connection, asked) && serve(connection, asked)) {
        }
    }
    free(asked);
    SSL_free(connection->ssl);
    shutdown(connection->fd, SHUT_RDWR);
    pthread_mutex_lock(&connection->server->lock);
    connection->ended = true;
    pthread_mutex_unlock(&connection->server->lock);
    return NULL;
}

static void connection_free(struct connection *connection)
{
    pthread_join(connection->thread, NULL);
    close(connection->fd);
    free(connection);
}

/* Frees connections that have ended, so that a server may have any number of them. */
static void free_ended_locked(struct http_server *server)
{
    for (struct connection **at = &server->all; *at != NULL;) {
        struct connection *connection = *at;
        if (!connection->ended) {
            at = &connection->next;
            continue;
        }
        *at = connection->next;
        connection_free(connection);
    }
}

static void *server_main(void *context)
{
    struct http_server *server = context;
    for (int fd; (fd = accept(server->listener, NULL, NULL)) >= 0;) {
        const int on = 1; /* else the body waits until the head is acknowledged */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        struct connection *connection = calloc(1, sizeof(*connection));
        *connection = (struct connection){.server = server, .fd = fd};
        if (server->tls != NULL)
            speak_tls(connection, server->tls);
        pthread_mutex_lock(&server->lock);
        free_ended_locked(server);
        server->connections++;
        connection->next = server->all;
        server->all = connection;
        pthread_create(&connection->thread, NULL, connection_main, connection);
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

struct http_server *http_server_new(SSL_CTX *tls, void (*answer)(const struct http_asked *asked,
                                                                 struct http_answer *answer))
{
    struct http_server *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    server->tls = tls;
    server->answer = answer;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->listener, (struct sockaddr *)&address, length) != 0 ||
        listen(server->listener, 512) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &length) != 0) {
        perror("http_server");
        exit(1);
    }
    server->port = ntohs(address.sin_port);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the threads of the test */
    pthread_create(&server->thread, NULL, server_main, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return server;
}

void http_server_free(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    while (server->all != NULL) {
        struct connection *connection = server->all;
        server->all = connection->next;
        shutdown(connection->fd, SHUT_RDWR);
        connection_free(connection);
    }
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_release(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->released = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

void http_server_wait_held(struct http_server *server, unsigned count)
{
    pthread_mutex_lock(&server->lock);
    while (server->held < count)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
}

static unsigned look(struct http_server *server, const unsigned *at)
{
    pthread_mutex_lock(&server->lock);
    unsigned value = *at;
    pthread_mutex_unlock(&server->lock);
    return value;
}

unsigned http_server_connections(struct http_server *server)
{
    return look(server, &server->connections);
}

unsigned http_server_requests(struct http_server *server)
{
    return look(server, &server->requests);
}

unsigned http_server_peak(struct http_server *server)
{
    return look(server, &server->peak);
}

void http_server_last(struct http_server *server, struct http_asked *out)
{
    pthread_mutex_lock(&server->lock);
    *out = server->last;
    pthread_mutex_unlock(&server->lock);
}

SSL_CTX *http_server_tls(const char *file, int version)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"tests", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(certificate, key, EVP_sha256());
    SSL_CTX_use_certificate(tls, certificate);
    SSL_CTX_use_PrivateKey(tls, key);
    if (version != 0) {
        SSL_CTX_set_security_level(tls, 0); /* else the server refuses an old version before the client can */
        SSL_CTX_set_max_proto_version(tls, version);
    }
    FILE *out = fopen(file, "w");
    if (out == NULL || PEM_write_X509(out, certificate) != 1 || fclose(out) != 0) {
        perror(file);
        exit(1);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    return tls;
}
