/*
 * Calls inside the library: a tree of nodes. Each keyring and CMM that takes part has a node; an operation or
 * a flight drives the root.
 */
#ifndef KFI_BASE_CALL_H
#define KFI_BASE_CALL_H

#include <keyflight/call.h>

#include "base/memory.h"
#include "base/thread.h"
#include "base/waker.h"

struct kfi_flight;

/* The id by which a service knows a request. Length 0: none was set. */
struct kfi_request_id {
    uint8_t bytes[63];
    uint8_t length;
    bool failed; /* the call that set it has failed since */
};

/*
 * The id to report for the final `code`. After a success, the id of a request that failed on the way is left
 * out.
 */
struct kf_view kfi_request_id_of(const struct kfi_request_id *id, enum kf_code code);

struct kf_call {
    struct kf_call *root;              /* for the root: itself. Only the root uses the next five members */
    struct kf_waker driver;            /* called once polling is worth while */
    struct kf_call_waker *waker;       /* made when it is first asked for */
    unsigned generation;               /* of the process in which it began */
    struct kfi_flight *flight;         /* the flight whose fetch this call is, or NULL */
    struct kfi_request_id *request_id; /* where the driver wants the id, or NULL */

    void *state;
    void (*drop)(void *state);
    struct kfi_timer timer;
    struct kf_call **children;
    size_t child_count;
};

/* A root without a driver. `flight`: the flight whose fetch it is, or NULL. */
void kfi_call_init(struct kf_call *call, struct kfi_flight *flight);

/* Whether it began before a fork, and this is the child. Then its tree is left as it is. */
KFI_SHARED bool kfi_call_is_inherited(const struct kf_call *call);

/* If so: KF_E_FORKED and a sentence. To be asked behind each call of foreign code, which may have forked. */
KFI_SHARED enum kf_code kfi_call_check(const struct kf_call *call, struct kf_error *error);

/* Sets the driver of a root; NULL: none. When this returns, the former driver's waker is not running. */
void kfi_call_drive(struct kf_call *root, const struct kf_waker *driver);

/*
 * Drops state, timer and children of a node, once its keyring or CMM has answered. The node can be used
 * again. Does nothing if the call is inherited.
 */
KFI_SHARED void kfi_call_reset(struct kf_call *call);

/* Ends a root: resets it. From its beginning on no wake reaches the driver. */
void kfi_call_end(struct kf_call *root);

#endif
