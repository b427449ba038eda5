/*
 * Reading: a file or the standard input. Called by encrypt, decrypt, inspect and for key files and
 * passphrases.
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "cli.h"

struct cli_input {
    const char *name; /* the path as it was given, or "standard input" */
    int fd;
};

#define CLI_INPUT_INIT \
    {                  \
        NULL, -1       \
    }

/* Whether `path` stands for a standard stream: NULL or "-". */
bool cli_is_stream(const char *path);

/* Opens `path`. */
enum kf_code cli_input_open(const char *path, struct cli_failure *failure, struct cli_input *out);

/* Reads at least one byte and at most `room`; `*length` is 0 at the end. */
enum kf_code cli_input_read(struct cli_input *input, uint8_t *bytes, size_t room, struct cli_failure *failure,
                            size_t *length);

void cli_input_close(struct cli_input *input);

#endif
