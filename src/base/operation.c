/*
 * Operations: see operation.h. Called by encrypt.c and decrypt.c.
 */
#include "base/operation.h"

#include "base/bytes.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/wait.h"

/* A call that wakes itself within its poll goes on at once so many times, as a keyring that works in steps may. */
#define OWN_STEPS_MAX 8

void kfi_operation_init(struct kfi_operation *operation, uint64_t timeout_ms, const char *awaited)
{
    operation->awaited = awaited;
    atomic_init(&operation->polled, false);
    operation->timeout_ms = timeout_ms;
    operation->deadline = KF_NO_DEADLINE;
    kfi_call_init(&operation->call, NULL);
    operation->woken = false;
    operation->soon = (struct kfi_timer){.set = false};
    operation->failed = KF_OK;
    kfi_error_clear(&operation->error);
}

enum kf_code kfi_operation_enter(struct kfi_operation *operation)
{
    if (operation->failed != KF_OK)
        return operation->failed;
    return kfi_call_check(&operation->call, &operation->error);
}

/* Ends the wait. The call wakes nobody any more. */
static void wait_end(struct kfi_operation *operation)
{
    kfi_timer_cancel(&operation->soon);
    kfi_call_end(&operation->call);
}

enum kf_code kfi_operation_leave(struct kfi_operation *operation, enum kf_code code, struct kf_io *io)
{
    if (code >= KF_OK)
        return code;
    /* The wait may still be open: a poll on the internal thread that had to block is refused. */
    wait_end(operation);
    operation->failed = code;
    if (operation->error.code != code)
        kf_error_set(&operation->error, code, "The operation failed with %s.", kf_code_name(code));
    kfi_wipe(io->out, io->out_used);
    io->in_used = 0;
    io->out_used = 0;
    return code;
}

/* The arguments of one poll, for kfi_wait. */
struct polled {
    struct kfi_operation *operation;
    enum kf_code (*step)(void *stream, struct kf_io *io, const struct kf_waker *waker);
    void *stream;
    struct kf_io *io;
};

/* One step for a caller who blocks. Its waker is ours: it is called behind the step for a wake within it. */
static enum kf_code polled_step(void *context, const struct kf_waker *waker)
{
    const struct polled *polled = context;
    const enum kf_code code = polled->step(polled->stream, polled->io, waker);
    if (code == KF_PENDING && polled->operation->woken)
        waker->wake(waker->context);
    return code;
}

/* Steps for a caller with a waker: more than one only while each wakes its own call. */
static enum kf_code polled_steps(const struct polled *polled, const struct kf_waker *waker)
{
    struct kfi_operation *operation = polled->operation;
    for (unsigned steps = 0; steps < OWN_STEPS_MAX; steps++) {
        const enum kf_code code = polled->step(polled->stream, polled->io, waker);
        if (code != KF_PENDING || !operation->woken)
            return code;
    }
    const enum kf_code code =
        kfi_timer_set(&operation->soon, kfi_now_ms(), operation->call.waker, &operation->error);
    return code == KF_OK ? KF_PENDING : code;
}

static uint64_t polled_deadline(const void *context)
{
    const struct polled *polled = context;
    return kfi_operation_deadline(polled->operation);
}

enum kf_code kfi_io_check(const struct kf_io *io, struct kf_error *error)
{
    enum kf_code code = kfi_view_check(kf_view_of(io->in, io->in_length), "The input of a poll", error);
    if (code == KF_OK)
        code = kfi_view_check(kf_view_of(io->out, io->out_room), "The output of a poll", error);
    if (code == KF_OK)
        code = kfi_apart_check(kf_view_of(io->in, io->in_length), io->out, io->out_room,
                               "The input of a poll", error);
    return code;
}

enum kf_code kfi_operation_poll(struct kfi_operation *operation,
                                enum kf_code (*step)(void *stream, struct kf_io *io,
                                                     const struct kf_waker *waker),
                                void *stream, struct kf_io *io, const struct kf_waker *waker)
{
    static const struct kfi_pollable blocking = {polled_step, polled_deadline};
    io->in_used = 0;
    io->out_used = 0;
    enum kf_code code = kfi_operation_enter(operation);
    if (code == KF_OK)
        code = kfi_io_check(io, &operation->error);
    if (code != KF_OK)
        return code;
    struct polled polled = {operation, step, stream, io};
    const int cancel = kfi_cancel_disable();
    (void)atomic_exchange(&operation->polled, true); /* an exchange: nothing of the poll comes before it */
    code = waker != NULL ? polled_steps(&polled, waker) : kfi_wait(&blocking, &polled, &operation->error);
    /* Foreign code in the step may have forked. */
    const enum kf_code forked = kfi_call_check(&operation->call, &operation->error);
    code = kfi_operation_leave(operation, forked != KF_OK ? forked : code, io);
    atomic_store_explicit(&operation->polled, false, memory_order_release);
    kfi_cancel_restore(cancel);
    return code;
}

void kfi_operation_await(struct kfi_operation *operation, const struct kf_waker *waker)
{
    if (operation->timeout_ms > 0 && operation->deadline == KF_NO_DEADLINE)
        operation->deadline = kfi_ms_after(kfi_now_ms(), operation->timeout_ms);
    kfi_call_drive(&operation->call, waker);
    kfi_waker_hush(&operation->hush, &operation->call.waker);
}

enum kf_code kfi_operation_awaited(struct kfi_operation *operation, enum kf_code code)
{
    operation->woken = kfi_waker_unhush(&operation->hush);
    const enum kf_code forked = kfi_call_check(&operation->call, &operation->error);
    if (forked != KF_OK)
        code = forked;
    if (code == KF_PENDING && operation->deadline != KF_NO_DEADLINE && kfi_now_ms() >= operation->deadline)
        code =
            kf_error_set(&operation->error, KF_E_TIMEOUT, "%s was there within %llu ms (option timeout_ms).",
                         operation->awaited, (unsigned long long)operation->timeout_ms);
    if (code != KF_PENDING) {
        wait_end(operation);
        operation->deadline = KF_NO_DEADLINE;
    }
    return code;
}

uint64_t kfi_operation_deadline(const struct kfi_operation *operation)
{
    if (operation->deadline == KF_NO_DEADLINE)
        return KF_NO_DEADLINE;
    uint64_t now = kfi_now_ms();
    return operation->deadline > now ? operation->deadline - now : 0;
}

bool kfi_operation_end(struct kfi_operation *operation)
{
    wait_end(operation);
    return !kfi_call_is_inherited(&operation->call) ||
           !atomic_load_explicit(&operation->polled, memory_order_acquire);
}

bool kfi_outlet_drain(struct kfi_outlet *outlet, struct kf_io *io)
{
    size_t waiting = outlet->waiting.length - outlet->given, room = io->out_room - io->out_used;
    size_t moved = waiting < room ? waiting : room;
    if (moved > 0) {
        memcpy(io->out + io->out_used, outlet->waiting.data + outlet->given, moved);
        io->out_used += moved;
        outlet->given += moved;
    }
    if (moved < waiting)
        return false;
    kfi_buf_wipe(&outlet->waiting);
    outlet->given = 0;
    return true;
}

enum kf_code kfi_outlet_claim(struct kfi_outlet *outlet, struct kf_io *io, size_t length,
                              struct kf_error *error, uint8_t **out)
{
    if (outlet->waiting.length == 0 && io->out_room - io->out_used >= length) {
        *out = io->out != NULL ? io->out + io->out_used : NULL; /* without room there may be no output */
        io->out_used += length;
        return KF_OK;
    }
    if (kfi_buf_reserve(&outlet->waiting, length, SIZE_MAX) != KF_OK)
        return kfi_no_memory(error);
    *out = outlet->waiting.data + outlet->waiting.length;
    outlet->waiting.length += length;
    return KF_OK;
}
