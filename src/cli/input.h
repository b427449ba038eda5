/*
 * What is read: a file or the standard input. Called by encrypt, decrypt, inspect and for key files.
 */
#ifndef KF_CLI_INPUT_H
#define KF_CLI_INPUT_H

#include "cli.h"

struct kf_cli_input {
    const char *name; /* the path as it was given, or "standard input" */
    int fd;
};

#define KF_CLI_INPUT_INIT \
    {                     \
        NULL, -1          \
    }

/* Whether `path` stands for a standard stream: NULL or "-". */
bool kf_cli_is_stream(const char *path);

/* Opens `path`. */
enum kf_code kf_cli_input_open(const char *path, struct kf_cli_failure *failure, struct kf_cli_input *out);

/* Reads at least one and at most `room` bytes; 0 at the end. */
enum kf_code kf_cli_input_read(struct kf_cli_input *input, uint8_t *bytes, size_t room,
                               struct kf_cli_failure *failure, size_t *length);

void kf_cli_input_close(struct kf_cli_input *input);

#endif
