/*
 * Calls inside the library: a tree of nodes, one for each keyring and CMM that takes part, under a root that
 * somebody drives.
 */
#ifndef KFI_BASE_CALL_H
#define KFI_BASE_CALL_H

#include <keyflight/call.h>

#include "base/memory.h"
#include "base/thread.h"
#include "base/waker.h"

struct kfi_flight;

/* By which id a service knows a request; length 0: nobody said. */
struct kfi_request_id {
    uint8_t bytes[63];
    uint8_t length;
    bool failed; /* whoever said it has failed since */
};

/* The id that belongs to what came out at last: a success of others is not that of a request that failed. */
struct kf_view kfi_request_id_of(const struct kfi_request_id *id, enum kf_code code);

struct kf_call {
    struct kf_call *root;              /* itself for the root, which alone uses the next four */
    struct kf_waker driver;            /* who is told that polling is worth while */
    struct kf_call_waker *waker;       /* made at the first request for it */
    const struct kfi_flight *flight;   /* the fetch that this call is, or NULL */
    struct kfi_request_id *request_id; /* where its driver wants the id, or NULL */

    void *state;
    void (*drop)(void *state);
    struct kfi_timer timer;
    struct kf_call **children;
    size_t child_count;
};

/* A root that nobody drives yet; `flight` if it is a fetch's. */
void kfi_call_init(struct kf_call *call, const struct kfi_flight *flight);

/*
 * Says who drives a root from now on; NULL: nobody. The former driver's waker is not running when this
 * returns.
 */
void kfi_call_drive(struct kf_call *root, const struct kf_waker *driver);

/* Drops state, timer and children of a node, which can be used again: its keyring or CMM has answered. */
KFI_SHARED void kfi_call_reset(struct kf_call *call);

/* Ends a root: resets it, and no waker reaches its driver any more. */
void kfi_call_end(struct kf_call *root);

#endif
