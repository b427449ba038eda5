/*
 * What every operation that can be polled has: a wait under a deadline, a final error, and a process it
 * belongs to.
 */
#ifndef KFI_BASE_OPERATION_H
#define KFI_BASE_OPERATION_H

#include <keyflight/stream.h>

#include "base/call.h"
#include "base/memory.h"

struct kfi_operation {
    const char *awaited; /* what it waits for, as its sentence begins: "No data key" */
    unsigned generation; /* of the process it began in */
    uint64_t timeout_ms; /* for the wait; 0: none */
    uint64_t
        deadline; /* from the first poll on; KF_NO_DEADLINE before it, after the wait and without a limit */
    struct kf_call call;   /* the root of what it waits for */
    enum kf_code failed;   /* the error that ended it; KF_OK: none */
    struct kf_error error; /* of the last poll that failed, also of one that was refused and ended nothing */
};

/* `awaited` has to live as long as the operation. */
KFI_SHARED void kfi_operation_init(struct kfi_operation *operation, uint64_t timeout_ms, const char *awaited);

/*
 * One poll of a stream, blocking if `waker` is NULL: `step` is called, as often as it has to wait, and goes
 * on from where the counts of `io` stand. What is between kfi_operation_enter and kfi_operation_leave, which
 * it calls. An `io` that can't be is refused (KF_E_USAGE) as if the poll had never been.
 */
KFI_SHARED enum kf_code kfi_operation_poll(struct kfi_operation *operation,
                                           enum kf_code (*step)(void *stream, struct kf_io *io,
                                                                const struct kf_waker *waker),
                                           void *stream, struct kf_io *io, const struct kf_waker *waker);

/* To begin a poll with: KF_OK, or why it can't go on (an error is final, a fork is the end). */
enum kf_code kfi_operation_enter(struct kfi_operation *operation);

/*
 * To end a poll with: an error is kept, ends the wait if there still is one, and wipes what the poll has
 * written to `io` and takes its counts back.
 */
enum kf_code kfi_operation_leave(struct kfi_operation *operation, enum kf_code code, struct kf_io *io);

/* To begin one step of the wait with: from now on the call wakes `waker`. */
KFI_SHARED void kfi_operation_await(struct kfi_operation *operation, const struct kf_waker *waker);

/*
 * To end that step with, given what it answered: KF_PENDING becomes KF_E_TIMEOUT behind the deadline, and
 * with anything but KF_PENDING the wait is over, and the call ended.
 */
KFI_SHARED enum kf_code kfi_operation_awaited(struct kfi_operation *operation, enum kf_code code);

KFI_SHARED uint64_t kfi_operation_deadline(const struct kfi_operation *operation);

/* Cancels the wait, if there is one. In a forked child what was begun before is left alone. */
KFI_SHARED void kfi_operation_end(struct kfi_operation *operation);

/* ---- Output that may have to wait for room ---- */

struct kfi_outlet {
    struct kf_buf waiting;
    size_t given; /* bytes of it that are out */
};

/* Moves what waits to `io`; true if nothing waits any more. */
bool kfi_outlet_drain(struct kfi_outlet *outlet, struct kf_io *io);

/*
 * `length` bytes to be written by the caller at once: in the output if there is room and nothing waits, else
 * among what waits.
 */
enum kf_code kfi_outlet_claim(struct kfi_outlet *outlet, struct kf_io *io, size_t length,
                              struct kf_error *error, uint8_t **out);

#endif
