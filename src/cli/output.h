/*
 * Writing, so that a failure leaves no new file and no old one is harmed. Called by keygen, encrypt, decrypt
 * and storm.
 *
 * A file gets its name only at the commit. Until then it is a temporary file of mode 0600 in the same
 * directory; a failure removes it, and so does a signal that ends the program. What is written to a stream, a
 * device or a FIFO can't be taken back.
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

    bool replaces; /* private, as all that follows: the target exists, with this mode and owner */
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
 * Opens `path` (NULL or "-": the standard output). CLI_OUTPUTS may be open at a time. A regular file that
 * exists is replaced only with `force`, and keeps its mode and, if possible, its owner. A new one gets `mode`
 * less the umask. A symbolic link stays, and the file it leads to is replaced. Errors: KF_E_USAGE (one of
 * them: it exists), KF_E_SYSTEM.
 */
enum kf_code cli_output_open(const char *path, bool force, mode_t mode, struct cli_failure *failure,
                             struct cli_output *out);

enum kf_code cli_output_write(struct cli_output *output, struct kf_view bytes, struct cli_failure *failure);

/* Gives the file its name. Once everything was written and verified. */
enum kf_code cli_output_commit(struct cli_output *output, struct cli_failure *failure);

/* Closes it, and removes what was not committed. Also legal if it was never opened. */
void cli_output_close(struct cli_output *output);

#endif
