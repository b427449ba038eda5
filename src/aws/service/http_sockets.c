/*
 * The sockets of libcurl's transfers: see http_sockets.h. Nothing here blocks but the sleep of kfi_sockets_turn.
 *
 * Nobody starves: epoll_wait(2) goes round the ready sockets if it can't give all of them at once.
 *
 * Forks. A child shares the epoll set and the eventfd, and abandons them. A socket has to leave the set before it is
 * closed, since the child may have it too: else the parent would be told of it for ever. libcurl says so in time.
 */
#include "aws/service/http_sockets.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fork.h"
#include "suite/libcrypto.h"

/* ---- What libcurl calls ---- */

/*
 * A socket that can't be watched, since the kernel has no memory, is not reported: to libcurl that would be the end of
 * all transfers. So the one that it is of fails when its time is over.
 */
static int watch(CURL *easy, curl_socket_t socket, int what, void *context, void *unused)
{
    (void)easy;
    (void)unused;
    const struct kfi_sockets *sockets = context;
    struct epoll_event event = {.data.fd = socket};
    if ((what & CURL_POLL_INOUT) == 0) {
        (void)epoll_ctl(sockets->set, EPOLL_CTL_DEL, socket, NULL);
        return 0;
    }
    event.events |= (what & CURL_POLL_IN) != 0 ? EPOLLIN : 0;
    event.events |= (what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0;
    if (epoll_ctl(sockets->set, EPOLL_CTL_ADD, socket, &event) != 0 && errno == EEXIST)
        (void)epoll_ctl(sockets->set, EPOLL_CTL_MOD, socket, &event);
    return 0;
}

/* libcurl wants to be called in `ms` milliseconds; -1: no longer. */
static int set_time(CURLM *multi, long ms, void *context)
{
    (void)multi;
    struct kfi_sockets *sockets = context;
    sockets->when = ms < 0 ? UINT64_MAX : kfi_now_ms() + (uint64_t)ms;
    return 0;
}

/* ---- Beginning and ending ---- */

static bool make_set(struct kfi_sockets *sockets)
{
    sockets->set = epoll_create1(EPOLL_CLOEXEC);
    sockets->interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = sockets->interrupt};
    return sockets->set >= 0 && sockets->interrupt >= 0 &&
           epoll_ctl(sockets->set, EPOLL_CTL_ADD, sockets->interrupt, &event) == 0;
}

enum kf_code kfi_sockets_open(struct kfi_sockets *sockets, CURLM *multi, struct kf_error *error)
{
    *sockets = (struct kfi_sockets){.multi = multi, .when = UINT64_MAX};
    if (!make_set(sockets)) {
        const int failure = errno;
        kfi_sockets_close(sockets);
        return kf_error_set(error, KF_E_SYSTEM, "The connections to AWS can't be watched: %s.",
                            strerror(failure));
    }
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch);
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, sockets);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_time);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERDATA, sockets);
    return KF_OK;
}

void kfi_sockets_close(struct kfi_sockets *sockets)
{
    if (sockets->set >= 0)
        (void)close(sockets->set);
    if (sockets->interrupt >= 0)
        (void)close(sockets->interrupt);
}

/* ---- Turns ---- */

static int sleep_ms(const struct kfi_sockets *sockets, uint64_t ms)
{
    const uint64_t hour = UINT64_C(3600) * 1000, now = kfi_now_ms();
    const uint64_t left = sockets->when > now ? sockets->when - now : 0;
    const uint64_t least = left < ms ? left : ms;
    return (int)(least < hour ? least : hour);
}

/* What a socket is ready for libcurl looks up itself (0), as it also has to see connections that have died. */
static void act(const struct kfi_sockets *sockets, curl_socket_t socket)
{
    int running;
    if (socket != sockets->interrupt) {
        (void)curl_multi_socket_action(sockets->multi, socket, 0, &running);
    } else {
        eventfd_t count;
        (void)eventfd_read(sockets->interrupt, &count);
    }
}

void kfi_sockets_turn(struct kfi_sockets *sockets, uint64_t ms)
{
    struct epoll_event ready[KFI_SOCKETS_TURN];
    const int count = epoll_wait(sockets->set, ready, KFI_SOCKETS_TURN, sleep_ms(sockets, ms));
    (void)kfi_crypto_thread_begin(); /* as in http_curl.c */
    kfi_fork_bar();
    for (int i = 0; i < count; i++)
        act(sockets, ready[i].data.fd);
    if (sockets->when <= kfi_now_ms()) {
        sockets->when = UINT64_MAX; /* libcurl sets it anew */
        act(sockets, CURL_SOCKET_TIMEOUT);
    }
    kfi_fork_unbar();
}

void kfi_sockets_wake(struct kfi_sockets *sockets)
{
    (void)eventfd_write(sockets->interrupt,
                        1); /* it fails only if it has been woken more often than it can count */
}
