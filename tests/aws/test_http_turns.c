/*
 * The internal thread's turns while many connections are busy at once: libcurl takes a few steps in each, and a task that
 * has nothing to do with them has its turn in between. Nothing here is timed: the task counts, and libcurl's clock is the
 * test's.
 */
#include "aws/http_stage.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/thread.h"

#define MANY 60
#define A_FEW 4

/* ---- These take the place of the functions that libcurl calls ---- */

static unsigned connects, handshake_steps, looks; /* the internal thread's own */
static uint64_t clock_us;                         /* the time on the internal thread; 0: the machine's */

#define REAL(name)                          \
    void *symbol = dlsym(RTLD_NEXT, #name); \
    memcpy(&real, &symbol, sizeof real)

KF_API int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    int (*real)(int, const struct sockaddr *, socklen_t);
    REAL(connect);
    connects += kfi_thread_is_internal();
    return real(fd, address, length);
}

KF_API int SSL_connect(SSL *ssl)
{
    int (*real)(SSL *);
    REAL(SSL_connect);
    handshake_steps++;
    return real(ssl);
}

/* libcurl calls it whenever it looks at a connection that is not there yet. */
KF_API int poll(struct pollfd *fds, nfds_t count, int ms)
{
    int (*real)(struct pollfd *, nfds_t, int);
    REAL(poll);
    looks += kfi_thread_is_internal();
    return real(fds, count, ms);
}

KF_API int clock_gettime(clockid_t id, struct timespec *now)
{
    int (*real)(clockid_t, struct timespec *);
    REAL(clock_gettime);
    if (clock_us == 0 || (id != CLOCK_MONOTONIC && id != CLOCK_BOOTTIME) || !kfi_thread_is_internal())
        return real(id, now);
    clock_us++; /* else libcurl would not see the end of what it is to do at once */
    *now = (struct timespec){(time_t)(clock_us / 1000000), (long)(clock_us % 1000000) * 1000};
    return 0;
}

/* ---- The task: it runs in each round, and at first holds the thread until all exchanges have arrived ---- */

static struct {
    struct kfi_task task;
    sem_t all_started, done;
    bool held;
    bool (*round)(void); /* false: it is over */
} bystander;

static bool bystander_run(struct kfi_task *task, bool stop)
{
    if (!bystander.held) {
        while (sem_wait(&bystander.all_started) != 0) {
        }
        struct timespec now;
        clock_gettime(CLOCK_BOOTTIME, &now);
        clock_us = (uint64_t)now.tv_sec * 1000000;
    }
    bystander.held = true;
    if (stop || !bystander.round()) {
        clock_us = 0;
        sem_post(&bystander.done);
        return true;
    }
    kfi_task_wake(task);
    return false;
}

static struct ask asks[MANY];

/* Starts MANY exchanges, which the internal thread sees all at once, and waits until `round` says that it is over. */
static void burst(struct kfi_http_pool *pool, const struct kfi_http_request *request, bool (*round)(void))
{
    struct kf_error error = KF_ERROR_INIT;
    sem_init(&bystander.all_started, 0, 0);
    sem_init(&bystander.done, 0, 0);
    bystander.held = false;
    bystander.round = round;
    connects = handshake_steps = looks = 0;
    kfi_task_init(&bystander.task, bystander_run);
    assert_ok(kfi_task_hand_over(&bystander.task, &error), &error);
    kfi_task_wake(&bystander.task);
    for (size_t i = 0; i < MANY; i++)
        ask_start(&asks[i], pool, request);
    sem_post(&bystander.all_started);
    while (sem_wait(&bystander.done) != 0) {
    }
    sem_destroy(&bystander.done);
    sem_destroy(&bystander.all_started);
}

static void burst_end(enum kf_code expected)
{
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(ask_wait(&asks[i]), expected);
        ask_end(&asks[i]);
    }
}

static bool has_ended(const struct ask *ask)
{
    struct kf_error error;
    const struct kfi_http_reply *reply;
    return kfi_http_exchange_poll(ask->exchange, &error, &reply) != KF_PENDING;
}

static unsigned count_ended(void)
{
    unsigned count = 0;
    for (size_t i = 0; i < MANY; i++)
        count += has_ended(&asks[i]);
    return count;
}

/* How much `now` is above what it was in the last round, if that is the most yet. */
static void note(unsigned now, unsigned *last, unsigned *most)
{
    if (now - *last > *most)
        *most = now - *last;
    *last = now;
}

/* ---- A service that the task itself is: what it sends to all connections in one round is there in the next ---- */

static struct {
    int listener, peers[MANY];
    unsigned accepted, asked; /* connections, and those whose request has come */
    bool has_asked[MANY];
    bool answered;
    unsigned last_connects, most_connects, last_ended, most_ended;
    unsigned rounds; /* since the answers */
} service;

static int service_start(int backlog)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    memset(&service, 0, sizeof service);
    service.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(service.listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(service.listener, backlog), 0);
    assert_int_equal(getsockname(service.listener, (struct sockaddr *)&address, &length), 0);
    return ntohs(address.sin_port);
}

static void service_end(void)
{
    for (unsigned i = 0; i < service.accepted; i++)
        close(service.peers[i]);
    close(service.listener);
}

static void service_listen(void)
{
    int fd;
    while (service.accepted < MANY && (fd = accept4(service.listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
        service.peers[service.accepted++] = fd;
    for (unsigned i = 0; i < service.accepted; i++) {
        char bytes[4096];
        const ssize_t length = service.has_asked[i] ? 0 : recv(service.peers[i], bytes, sizeof bytes, 0);
        if (length >= 2 && memcmp(bytes + length - 2, "{}", 2) == 0) {
            service.has_asked[i] = true;
            service.asked++;
        }
    }
}

static void service_send(unsigned peer, const char *text)
{
    (void)send(service.peers[peer], text, strlen(text), MSG_NOSIGNAL);
}

static bool answer_all_at_once(void)
{
    service_listen();
    note(connects, &service.last_connects, &service.most_connects);
    const unsigned ended = count_ended();
    note(ended, &service.last_ended, &service.most_ended);
    if (service.asked == MANY && !service.answered) {
        for (unsigned i = 0; i < MANY; i++)
            service_send(i, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        service.answered = true;
    }
    return ended < MANY;
}

static void a_burst_begins_and_ends_a_few_at_a_time(void **state)
{
    (void)state;
    char url[64];
    url_of(url, service_start(MANY), false);
    struct kfi_http_pool *pool = pool_new(MANY, NULL);
    const struct kfi_http_request request = request_to(url);
    burst(pool, &request, answer_all_at_once);
    burst_end(KF_OK);
    assert_int_equal(connects, MANY);
    assert_in_range(service.most_connects, 1, A_FEW);
    assert_in_range(service.most_ended, 1, A_FEW);
    kfi_http_pool_unref(pool);
    kf_cleanup();
    service_end();
}

/* ---- All but the last connection always have something to read ---- */

static bool keep_all_busy(void)
{
    service_listen();
    if (service.asked < MANY)
        return true;
    for (unsigned i = 0; i + 1 < MANY; i++)
        service_send(i, service.answered ? "x" : "HTTP/1.1 200 OK\r\nContent-Length: 8000\r\n\r\n");
    if (!service.answered)
        service_send(MANY - 1, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    service.answered = true;
    service.rounds++;
    return count_ended() == 0;
}

static void a_socket_has_its_turn_though_all_others_are_always_ready(void **state)
{
    (void)state;
    char url[64];
    url_of(url, service_start(MANY), false);
    struct kfi_http_pool *pool = pool_new(MANY, NULL);
    const struct kfi_http_request request = request_to(url);
    burst(pool, &request, keep_all_busy);
    assert_in_range(service.rounds, 2, 2 * MANY / A_FEW);
    for (size_t i = 0; i < MANY; i++)
        ask_end(&asks[i]); /* all but one are cancelled */
    kfi_http_pool_unref(pool);
    kf_cleanup();
    service_end();
}

/* ---- TLS ---- */

static unsigned last_steps, most_steps;

static bool count_handshakes(void)
{
    note(handshake_steps, &last_steps, &most_steps);
    return count_ended() < MANY;
}

static void handshakes_are_done_a_few_at_a_time(void **state)
{
    (void)state;
    char url[64], file[64];
    (void)snprintf(file, sizeof file, "http-turns-%d.pem", (int)getpid());
    SSL_CTX *tls = http_server_tls(file, 0);
    next_answer = (struct http_answer){.body = "x", .body_length = 1};
    struct http_server *server = http_server_new(tls, answer_next);
    url_of(url, http_server_port(server), true);
    struct kfi_http_pool *pool = pool_new(MANY, file);
    const struct kfi_http_request request = request_to(url);
    last_steps = most_steps = 0;
    burst(pool, &request, count_handshakes);
    burst_end(KF_OK);
    assert_in_range(most_steps, 1, A_FEW);
    kfi_http_pool_unref(pool);
    kf_cleanup();
    http_server_free(server);
    SSL_CTX_free(tls);
    unlink(file);
}

/* ---- A millisecond passes in each round, and nobody accepts the connections ---- */

static unsigned last_looks, most_looks, looks_at_begin;

static bool let_time_pass(void)
{
    if (connects == MANY && service.rounds++ == A_FEW) /* the first looks are over */
        looks_at_begin = last_looks = looks;
    if (service.rounds > A_FEW) {
        note(looks, &last_looks, &most_looks);
        clock_us += 1000;
    }
    return service.rounds < 1000;
}

/* libcurl has something to do for each connection that is not there after a while. It is not due for all in one turn. */
static void connections_that_begin_together_are_looked_at_a_few_at_a_time(void **state)
{
    (void)state;
    char url[64];
    url_of(url, service_start(0), true);
    struct kfi_http_pool *pool = pool_new(MANY, NULL);
    const struct kfi_http_request request = request_to(url);
    most_looks = 0;
    burst(pool, &request, let_time_pass);
    assert_in_range(looks - looks_at_begin, MANY / 2, UINT32_MAX); /* a few are connected after all */
    assert_in_range(most_looks, 1, A_FEW);
    for (size_t i = 0; i < MANY; i++)
        ask_end(&asks[i]);
    kfi_http_pool_unref(pool);
    kf_cleanup();
    service_end();
}

/* ---- What is watched ---- */

/* The descriptors in the epoll set. */
static unsigned watched(int fds[2 * MANY])
{
    unsigned count = 0;
    DIR *files = opendir("/proc/self/fdinfo");
    assert_non_null(files);
    for (const struct dirent *file; (file = readdir(files)) != NULL;) {
        char path[300], line[200];
        (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%s", file->d_name);
        FILE *info = fopen(path, "re");
        while (info != NULL && count < 2 * MANY && fgets(line, sizeof line, info) != NULL)
            count += sscanf(line, "tfd: %d", &fds[count]) == 1;
        if (info != NULL)
            (void)fclose(info);
    }
    (void)closedir(files);
    return count;
}

static void drop_odd_ones(const struct http_asked *asked, struct http_answer *answer)
{
    static atomic_uint number;
    (void)asked;
    answer->how = atomic_fetch_add(&number, 1) % 2 == 0 ? HTTP_WHOLE : HTTP_DROP;
    answer->hold = true;
}

/*
 * Every socket leaves the set before it is closed: whether its exchange was answered, cancelled, or lost. A copy of each
 * is kept, as a forked child has it; else the kernel would take them out itself.
 */
static void a_socket_that_is_closed_is_watched_no_more(void **state)
{
    (void)state;
    struct stage stage;
    int fds[2 * MANY], copies[2 * MANY];
    stage_set(&stage, (struct http_answer){.status = 200}, MANY);
    http_server_free(stage.server);
    stage.server = http_server_new(NULL, drop_odd_ones);
    url_of(stage.url, http_server_port(stage.server), false);
    for (size_t i = 0; i < MANY; i++)
        ask_start(&asks[i], stage.pool, &stage.request);
    http_server_wait_held(stage.server, MANY);
    while (watched(fds) <= MANY) /* the interrupt too */
        support_settle();
    const unsigned count = watched(fds);
    for (unsigned i = 0; i < count; i++)
        assert_true((copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0)) >= 0);
    for (size_t i = 0; i < MANY / 2; i++)
        ask_end(&asks[i]);
    http_server_release(stage.server);
    for (size_t i = MANY / 2; i < MANY; i++) {
        (void)ask_wait(&asks[i]);
        ask_end(&asks[i]);
    }
    while (watched(fds) > 1)
        support_settle();
    for (unsigned i = 0; i < count; i++)
        close(copies[i]);
    stage_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_begins_and_ends_a_few_at_a_time),
        cmocka_unit_test(a_socket_has_its_turn_though_all_others_are_always_ready),
        cmocka_unit_test(handshakes_are_done_a_few_at_a_time),
        cmocka_unit_test(connections_that_begin_together_are_looked_at_a_few_at_a_time),
        cmocka_unit_test(a_socket_that_is_closed_is_watched_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
