/* Moving a whole input: see transfer.h. Never holds more than its two buffers. */
#include "transfer.h"

#include <stdlib.h>
#include <string.h>

#define ROOM ((size_t)128 * 1024)

/* Offers the next bytes of the input to the operation. */
static enum kf_code transfer_refill(const struct cli_transfer *transfer, uint8_t *in, struct kf_io *io,
                                    struct cli_failure *failure)
{
    size_t length;
    enum kf_code code = cli_input_read(transfer->input, in, ROOM, failure, &length);
    if (code != KF_OK)
        return code;
    io->in = in;
    io->in_length = length;
    io->in_end = length == 0;
    return KF_OK;
}

/* The operation is done. Checks that the input has ended too. */
static enum kf_code transfer_check_end(const struct cli_transfer *transfer, uint8_t *in, struct kf_io *io,
                                       struct cli_failure *failure)
{
    if (io->in_length == 0 && !io->in_end) {
        enum kf_code code = transfer_refill(transfer, in, io, failure);
        if (code != KF_OK)
            return code;
    }
    if (io->in_length > 0)
        return cli_fail(failure, NULL, KF_E_TRAILING, "Bytes follow the end of the message.");
    return KF_OK;
}

static enum kf_code transfer_run(const struct cli_transfer *transfer, uint8_t *in, uint8_t *out,
                                 struct cli_failure *failure)
{
    struct kf_io io = {.in = in, .out = out, .out_room = ROOM};
    for (;;) {
        enum kf_code code = transfer->poll(transfer->operation, &io);
        if (code < 0) {
            failure->subject = NULL;
            failure->error = *transfer->error(transfer->operation);
            return code;
        }
        if (io.out_used > 0) {
            enum kf_code put = transfer->put(transfer->sink, kf_view_of(out, io.out_used), failure);
            if (put != KF_OK)
                return put;
        }
        io.in += io.in_used;
        io.in_length -= io.in_used;
        if (code == KF_OK)
            return transfer_check_end(transfer, in, &io, failure);
        if (code == KF_WANT_INPUT && io.in_length == 0) {
            code = transfer_refill(transfer, in, &io, failure);
            if (code != KF_OK)
                return code;
        }
    }
}

enum kf_code cli_transfer(const struct cli_transfer *transfer, struct cli_failure *failure)
{
    /* One of the two holds plaintext. */
    uint8_t *buffers = malloc(2 * ROOM);
    if (buffers == NULL)
        return cli_fail_memory(failure);
    enum kf_code code = transfer_run(transfer, buffers, buffers + ROOM, failure);
    explicit_bzero(buffers, 2 * ROOM);
    free(buffers);
    return code;
}
