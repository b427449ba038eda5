/* Reading: see input.h. Never looks at what it reads. */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool cli_is_stream(const char *path)
{
    return path == NULL || strcmp(path, "-") == 0;
}

enum kf_code cli_input_open(const char *path, struct cli_failure *failure, struct cli_input *out)
{
    if (cli_is_stream(path)) {
        out->name = "standard input";
        out->fd = STDIN_FILENO;
        return KF_OK;
    }
    out->name = path;
    out->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (out->fd < 0)
        return cli_fail_errno(failure, path, "It can't be opened", errno);
    /* A directory can be opened, and fails at the first read, when output may be out already. */
    struct stat status;
    if (fstat(out->fd, &status) != 0 || !S_ISDIR(status.st_mode))
        return KF_OK;
    cli_input_close(out);
    return cli_fail_errno(failure, path, "It can't be read", EISDIR);
}

enum kf_code cli_input_read(struct cli_input *input, uint8_t *bytes, size_t room, struct cli_failure *failure,
                            size_t *length)
{
    ssize_t got;
    while ((got = read(input->fd, bytes, room)) < 0) {
        /* Whoever started the program may have made the stream non-blocking. */
        struct pollfd ready = {.fd = input->fd, .events = POLLIN};
        if (errno == EAGAIN)
            poll(&ready, 1, -1);
        else if (errno != EINTR)
            return cli_fail_errno(failure, input->name, "It can't be read", errno);
    }
    *length = (size_t)got;
    return KF_OK;
}

void cli_input_close(struct cli_input *input)
{
    if (input->fd > STDERR_FILENO)
        close(input->fd);
    input->fd = -1;
}
