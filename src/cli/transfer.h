/*
 * Moving a whole input through an encryptor or decryptor, in bounded memory. Called by encrypt and decrypt.
 */
#ifndef KF_CLI_TRANSFER_H
#define KF_CLI_TRANSFER_H

#include "input.h"

struct kf_cli_transfer {
    struct kf_cli_input *input;
    /* One poll of `operation`, and why the last one failed. */
    enum kf_code (*poll)(void *operation, struct kf_io *io);
    const struct kf_error *(*error)(void *operation);
    void *operation;
    /* Takes what came out. */
    enum kf_code (*put)(void *sink, struct kf_view bytes, struct kf_cli_failure *failure);
    void *sink;
};

/*
 * KF_OK once the operation is done and the input is at its end; bytes behind that are KF_E_TRAILING. An error
 * of the operation is described without a subject.
 */
enum kf_code kf_cli_transfer(const struct kf_cli_transfer *transfer, struct kf_cli_failure *failure);

#endif
