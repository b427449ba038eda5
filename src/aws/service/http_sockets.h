/*
 * The sockets of libcurl's transfers: which of them are ready, and a few of these to libcurl in each turn. Called by
 * http_curl.c.
 */
#ifndef KFI_AWS_SERVICE_HTTP_SOCKETS_H
#define KFI_AWS_SERVICE_HTTP_SOCKETS_H

#include <curl/curl.h>

#include "base/memory.h"

/*
 * So many sockets have their turn at once. Between turns the internal thread does its other work, so this bounds how
 * long it waits: the dearest step, a TLS handshake with its certificates verified, takes half a millisecond.
 */
#define KFI_SOCKETS_TURN 4

struct kfi_sockets {
    CURLM *multi;
    int set;       /* the epoll set: libcurl's sockets, and the interrupt */
    int interrupt; /* an eventfd */
    uint64_t when; /* libcurl wants to be called, by kfi_now_ms; UINT64_MAX: it does not */
};

/*
 * Watches the sockets of `multi` from now on, until kfi_sockets_close, before which `multi` has to be gone. `sockets`
 * stays where it is. Errors: KF_E_SYSTEM; then there is nothing to close.
 */
enum kf_code kfi_sockets_open(struct kfi_sockets *sockets, CURLM *multi, struct kf_error *error);
void kfi_sockets_close(struct kfi_sockets *sockets);

/*
 * Sleeps until a socket is ready or libcurl wants to be called, `ms` milliseconds at most, or until kfi_sockets_wake.
 * Then does the work of KFI_SOCKETS_TURN sockets at most. If more are ready, the next turn does not sleep.
 */
void kfi_sockets_turn(struct kfi_sockets *sockets, uint64_t ms);

/* Ends the sleep that is under way, or else the next one. From any thread. */
void kfi_sockets_wake(struct kfi_sockets *sockets);

#endif
