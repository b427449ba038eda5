/*
 * Moving a whole input through an encryptor or decryptor, in bounded memory. Called by encrypt and decrypt.
 */
#ifndef CLI_TRANSFER_H
#define CLI_TRANSFER_H

#include "input.h"

struct cli_transfer {
    struct cli_input *input;
    /* Polls `operation` once; and says why the last poll failed. */
    enum kf_code (*poll)(void *operation, struct kf_io *io);
    const struct kf_error *(*error)(void *operation);
    void *operation;
    /* Takes what came out. */
    enum kf_code (*put)(void *sink, struct kf_view bytes, struct cli_failure *failure);
    void *sink;
};

/*
 * Answers KF_OK once the operation is done and the input has ended, and KF_E_TRAILING if bytes follow. An
 * error of the operation has no subject.
 */
enum kf_code cli_transfer(const struct cli_transfer *transfer, struct cli_failure *failure);

#endif
