/*
 * Moving a whole input through an encryptor or decryptor, in bounded memory. Called by encrypt and decrypt.
 */
#ifndef CLI_TRANSFER_H
#define CLI_TRANSFER_H

#include "input.h"

struct cli_transfer {
    struct cli_input *input;
    /* One poll of `operation`, and why the last one failed. */
    enum kf_code (*poll)(void *operation, struct kf_io *io);
    const struct kf_error *(*error)(void *operation);
    void *operation;
    /* Takes what came out. */
    enum kf_code (*put)(void *sink, struct kf_view bytes, struct cli_failure *failure);
    void *sink;
};

/*
 * KF_OK once the operation is done and the input is at its end; bytes behind that are KF_E_TRAILING. An error
 * of the operation is described without a subject.
 */
enum kf_code cli_transfer(const struct cli_transfer *transfer, struct cli_failure *failure);

#endif
