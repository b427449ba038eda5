/*
 * What all operations have in common: a wait with a deadline, a final error, and the process in which they
 * began.
 */
#ifndef KFI_BASE_OPERATION_H
#define KFI_BASE_OPERATION_H

#include <keyflight/stream.h>

#include <stdatomic.h>

#include "base/call.h"
#include "base/memory.h"

struct kfi_operation {
    const char *awaited; /* what it waits for, as the beginning of a sentence: "No data key" */
    atomic_bool
        polled; /* a thread is in a poll; of a thread that did not come along it stays so in a child */
    uint64_t timeout_ms;   /* for the wait; 0: no limit */
    uint64_t deadline;     /* of the wait that is under way; KF_NO_DEADLINE: none */
    struct kf_call call;   /* the root of the call that it waits for */
    struct kfi_hush hush;  /* the step of the wait that is under way */
    bool woken;            /* that step woke the call itself */
    struct kfi_timer soon; /* wakes the call that wakes itself at every step */
    enum kf_code failed;   /* the error that ended it; KF_OK: none */
    struct kf_error error; /* of the last poll that failed. A refused poll sets it too, and ends nothing */
};

/* `awaited` has to live as long as the operation. */
KFI_SHARED void kfi_operation_init(struct kfi_operation *operation, uint64_t timeout_ms, const char *awaited);

/* Checks that a poll can be made with this input and output. Errors: KF_E_USAGE. */
enum kf_code kfi_io_check(const struct kf_io *io, struct kf_error *error);

/*
 * One poll of a stream: calls `step`, which goes on from the counts of `io`. With `waker` NULL it blocks
 * until `step` answers something else than KF_PENDING. A step that woke its own call is followed by another one at
 * once; after a few of these the internal thread wakes the call, so that the caller gets its thread back. If foreign
 * code forks in a step, the poll answers KF_E_FORKED in the child. An invalid `io` is refused (KF_E_USAGE) and
 * changes nothing. Everything else happens between kfi_operation_enter and kfi_operation_leave.
 */
KFI_SHARED enum kf_code kfi_operation_poll(struct kfi_operation *operation,
                                           enum kf_code (*step)(void *stream, struct kf_io *io,
                                                                const struct kf_waker *waker),
                                           void *stream, struct kf_io *io, const struct kf_waker *waker);

/* Begins a poll. KF_OK, or why the operation cannot go on: its final error, or a fork. */
enum kf_code kfi_operation_enter(struct kfi_operation *operation);

/*
 * Ends a poll with `code`. An error is kept and ends the wait; what the poll has written to `io` is wiped,
 * and its counts are 0 again.
 */
enum kf_code kfi_operation_leave(struct kfi_operation *operation, enum kf_code code, struct kf_io *io);

/*
 * Begins one step of the wait: from now on the call wakes `waker`. But this thread does not, up to the end of the step:
 * `waker` must not be called inside its own poll.
 */
KFI_SHARED void kfi_operation_await(struct kfi_operation *operation, const struct kf_waker *waker);

/*
 * Ends that step with what it answered, and notes in `woken` whether it woke its own call. Past the deadline
 * KF_PENDING becomes KF_E_TIMEOUT, and in a child every code becomes KF_E_FORKED. Anything but KF_PENDING ends the
 * wait and the call.
 */
KFI_SHARED enum kf_code kfi_operation_awaited(struct kfi_operation *operation, enum kf_code code);

KFI_SHARED uint64_t kfi_operation_deadline(const struct kfi_operation *operation);

/*
 * Cancels the wait, if there is one. In a forked child it leaves alone what began before the fork. False: there
 * another thread was polling the operation, and nothing of it can be freed.
 */
KFI_SHARED bool kfi_operation_end(struct kfi_operation *operation);

/* ---- Output that may have to wait for room ---- */

struct kfi_outlet {
    struct kf_buf waiting;
    size_t given; /* how many of these bytes are given out */
};

/* Moves waiting bytes to `io`. True if none are left. */
bool kfi_outlet_drain(struct kfi_outlet *outlet, struct kf_io *io);

/*
 * Gives room for `length` bytes, which the caller writes at once: in the output if it has room and nothing
 * waits, otherwise behind what waits.
 */
enum kf_code kfi_outlet_claim(struct kfi_outlet *outlet, struct kf_io *io, size_t length,
                              struct kf_error *error, uint8_t **out);

#endif
