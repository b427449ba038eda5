/*
 * What is written, so that a failure leaves nothing new and harms nothing that was there. Called by keygen,
 * encrypt and decrypt.
 *
 * A file appears under its name only at the commit: until then it is a temporary file of mode 0600 in the
 * same directory, which a failure or a signal that ends the program removes. Streams, devices and FIFOs have
 * no such way back: what is written there is released.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <sys/types.h>

#include "cli.h"

enum {
    CLI_OUTPUTS = 2 /* how many there may be at a time */
};

struct cli_output {
    const char *name; /* the path as it was given, or "standard output" */
    int fd;
    bool is_stream;   /* written directly: a standard stream, a device, a FIFO */
    bool is_terminal; /* then it is a stream too */

    bool replaces; /* private, as all that follows: the target was there, with this mode and owner */
    mode_t mode;
    uid_t owner;
    gid_t group;
    int directory; /* of the target */
    char *target;  /* its name in there */
    struct cli_temporary *temporary;
};

#define CLI_OUTPUT_INIT                                        \
    {                                                          \
        NULL, -1, false, false, false, 0, 0, 0, -1, NULL, NULL \
    }

/*
 * Opens `path` (NULL or "-": the standard output); CLI_OUTPUTS may be open at a time. A regular file that
 * is there is replaced only if `force` says so, and keeps its mode and, if possible, its owner; a new one
 * gets `mode` less the umask. Symbolic links stay: what they lead to is replaced. Errors: KF_E_USAGE (also:
 * it exists), KF_E_SYSTEM.
 */
enum kf_code cli_output_open(const char *path, bool force, mode_t mode, struct cli_failure *failure,
                             struct cli_output *out);

enum kf_code cli_output_write(struct cli_output *output, struct kf_view bytes, struct cli_failure *failure);

/* Makes it last: everything was written and verified. */
enum kf_code cli_output_commit(struct cli_output *output, struct cli_failure *failure);

/* Ends it; removes what was not committed. Also legal if it never was opened. */
void cli_output_close(struct cli_output *output);

#endif
