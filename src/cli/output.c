/*
 * Writing: see output.h. Never looks up a path twice: once the target's directory is open, all is done inside
 * it.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input.h"

/* ---- The temporary files, and the signals that end the program ---- */

/* Global, because a signal handler has to find them. */
static struct cli_temporary {
    volatile sig_atomic_t exists;
    int directory;
    char name[40];
} temporaries[CLI_OUTPUTS];

static const int deadly[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

#define DEADLY_COUNT (sizeof deadly / sizeof deadly[0])

static void temporary_remove(struct cli_temporary *temporary)
{
    if (temporary->exists)
        unlinkat(temporary->directory, temporary->name, 0);
    temporary->exists = 0;
}

static void on_deadly_signal(int number)
{
    for (size_t i = 0; i < CLI_OUTPUTS; i++)
        temporary_remove(&temporaries[i]);
    /*
     * The signal is blocked until this returns. Then it ends the program, and the parent sees which signal it
     * was.
     */
    signal(number, SIG_DFL);
    raise(number);
}

static sigset_t deadly_set(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < DEADLY_COUNT; i++)
        sigaddset(&set, deadly[i]);
    return set;
}

/* Signals that were ignored when the program began (nohup) stay ignored. */
static void catch_deadly_signals(void)
{
    struct sigaction catching = {.sa_handler = on_deadly_signal, .sa_mask = deadly_set()};
    for (size_t i = 0; i < DEADLY_COUNT; i++) {
        struct sigaction former;
        if (sigaction(deadly[i], NULL, &former) == 0 && former.sa_handler == SIG_DFL)
            sigaction(deadly[i], &catching, NULL);
    }
}

/* Makes a temporary file in `directory`; its descriptor, or -1 with errno. */
static int temporary_new(int directory, struct cli_temporary **out)
{
    struct cli_temporary *temporary = temporaries;
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return -1;
    while (temporary->exists)
        temporary++;
    catch_deadly_signals();
    temporary->directory = directory;
    snprintf(temporary->name, sizeof temporary->name, ".keyflight-%016" PRIx64 ".tmp", random);
    /* No signal may come between making the file and noting that it exists. */
    sigset_t set = deadly_set(), former;
    pthread_sigmask(SIG_BLOCK, &set, &former);
    int fd = openat(directory, temporary->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    temporary->exists = fd >= 0;
    int number = errno;
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    errno = number;
    *out = temporary;
    return fd;
}

/*
 * Gives a temporary file its final name; 0, or -1 with errno. Without `replace` nothing that is there is
 * replaced.
 */
static int temporary_rename(struct cli_temporary *temporary, const char *target, bool replace)
{
    sigset_t set = deadly_set(), former;
    pthread_sigmask(SIG_BLOCK, &set, &former);
    int directory = temporary->directory;
    int result = renameat2(directory, temporary->name, directory, target, replace ? 0 : RENAME_NOREPLACE);
    if (result != 0 && !replace && (errno == EINVAL || errno == ENOSYS)) /* a file system without that flag */
        result = renameat(directory, temporary->name, directory, target);
    if (result == 0)
        temporary->exists = 0;
    int number = errno;
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    errno = number;
    return result;
}

/* ---- Opening ---- */

/* Where the link at `path` leads, as a path from the current directory. Allocated, or NULL with errno. */
static char *read_link(const char *path)
{
    char link[PATH_MAX];
    ssize_t length = readlink(path, link, sizeof link);
    if (length < 0)
        return NULL;
    if (length == (ssize_t)sizeof link) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    const char *slash = strrchr(path, '/');
    size_t before = link[0] == '/' || slash == NULL ? 0 : (size_t)(slash - path) + 1;
    char *result = malloc(before + (size_t)length + 1);
    if (result == NULL)
        return NULL;
    memcpy(result, path, before);
    memcpy(result + before, link, (size_t)length);
    result[before + (size_t)length] = '\0';
    return result;
}

/* Where the symbolic links at the end of `path` lead; that need not exist. Allocated, or NULL with errno. */
static char *follow_links(const char *path)
{
    char *current = strdup(path);
    for (int links = 0; current != NULL; links++) {
        struct stat status;
        if (lstat(current, &status) != 0 || !S_ISLNK(status.st_mode))
            return current;
        char *next = links < 40 ? read_link(current) : NULL;
        int number = links < 40 ? errno : ELOOP;
        free(current);
        current = next;
        errno = number;
    }
    return NULL;
}

/* Opens the directory of the target, and notes the target's name in there. */
static enum kf_code open_directory(const char *path, struct cli_failure *failure, struct cli_output *out)
{
    char *resolved = follow_links(path);
    if (resolved == NULL)
        return cli_fail_errno(failure, path, "It can't be written", errno);
    char *slash = strrchr(resolved, '/');
    out->target = strdup(slash == NULL ? resolved : slash + 1);
    if (slash != NULL)
        slash[slash == resolved ? 1 : 0] = '\0';
    /* O_PATH, because a directory in which files may be made need not be readable. */
    out->directory = open(slash == NULL ? "." : resolved, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int number = errno;
    free(resolved);
    if (out->target == NULL)
        return cli_fail_memory(failure);
    if (out->directory < 0)
        return cli_fail_errno(failure, path, "Its directory can't be opened", number);
    if (out->target[0] == '\0')
        return cli_fail(failure, path, KF_E_USAGE, "This is not the name of a file.");
    return KF_OK;
}

/* Opens a device or a FIFO, which is not replaced by a file. */
static enum kf_code open_stream(const char *path, struct cli_failure *failure, struct cli_output *out)
{
    out->is_stream = true;
    out->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (out->fd < 0)
        return cli_fail_errno(failure, path, "It can't be opened", errno);
    out->is_terminal = isatty(out->fd) == 1;
    return KF_OK;
}

enum kf_code cli_output_open(const char *path, bool force, mode_t mode, struct cli_failure *failure,
                             struct cli_output *out)
{
    if (cli_is_stream(path)) {
        out->name = "standard output";
        out->fd = STDOUT_FILENO;
        out->is_stream = true;
        out->is_terminal = isatty(STDOUT_FILENO) == 1;
        return KF_OK;
    }
    out->name = path;
    struct stat status;
    if (stat(path, &status) == 0) {
        if (S_ISDIR(status.st_mode))
            return cli_fail_errno(failure, path, "It can't be written", EISDIR);
        if (!S_ISREG(status.st_mode))
            return open_stream(path, failure, out);
        if (!force)
            return cli_fail(failure, path, KF_E_USAGE, "It exists already; give -f to replace it.");
        out->replaces = true;
        out->mode = status.st_mode & (S_IRWXU | S_IRWXG | S_IRWXO);
        out->owner = status.st_uid;
        out->group = status.st_gid;
    } else if (errno != ENOENT) {
        return cli_fail_errno(failure, path, "It can't be written", errno);
    } else {
        mode_t mask = umask(0);
        umask(mask);
        out->mode = mode & ~mask;
    }
    enum kf_code code = open_directory(path, failure, out);
    if (code != KF_OK)
        return code;
    out->fd = temporary_new(out->directory, &out->temporary);
    if (out->fd < 0)
        return cli_fail_errno(failure, path, "No temporary file can be made beside it", errno);
    return KF_OK;
}

/* ---- Writing and ending ---- */

enum kf_code cli_output_write(struct cli_output *output, struct kf_view bytes, struct cli_failure *failure)
{
    for (size_t done = 0; done < bytes.length;) {
        ssize_t written = write(output->fd, bytes.data + done, bytes.length - done);
        /* Whoever started the program may have made the stream non-blocking. */
        struct pollfd ready = {.fd = output->fd, .events = POLLOUT};
        if (written >= 0)
            done += (size_t)written;
        else if (errno == EAGAIN)
            poll(&ready, 1, -1);
        else if (errno != EINTR)
            return cli_fail_errno(failure, output->name, "It can't be written", errno);
    }
    return KF_OK;
}

/* Gives the temporary file the mode and the owner that the target has to have; 0, or -1 with errno. */
static int set_mode(const struct cli_output *output)
{
    mode_t mode = output->mode;
    mode_t everybody = mode & S_IRWXO;
    if (output->replaces && fchown(output->fd, output->owner, output->group) != 0 &&
        fchown(output->fd, (uid_t)-1, output->group) != 0) {
        /* The file has another group now. That gets no more rights than everybody. */
        mode &= S_IRWXU | S_IRWXO | everybody << 3;
    }
    return fchmod(output->fd, mode);
}

enum kf_code cli_output_commit(struct cli_output *output, struct cli_failure *failure)
{
    if (output->fd == STDOUT_FILENO) /* which main closes */
        return KF_OK;
    const char *what = "It can't be written";
    if (!output->is_stream && (set_mode(output) != 0 || fsync(output->fd) != 0))
        return cli_fail_errno(failure, output->name, what, errno);
    int fd = output->fd;
    output->fd = -1;
    if (close(fd) != 0)
        return cli_fail_errno(failure, output->name, what, errno);
    if (output->is_stream)
        return KF_OK;
    if (temporary_rename(output->temporary, output->target, output->replaces) != 0) {
        if (errno == EEXIST)
            return cli_fail(failure, output->name, KF_E_USAGE, "Somebody else made it meanwhile.");
        return cli_fail_errno(failure, output->name, what, errno);
    }
    output->temporary = NULL; /* another output may take its place */
    /* So that the new name survives a crash. A directory that is not readable can't be synced. */
    int directory = openat(output->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        fsync(directory);
        close(directory);
    }
    return KF_OK;
}

void cli_output_close(struct cli_output *output)
{
    if (output->temporary != NULL)
        temporary_remove(output->temporary);
    if (output->fd > STDERR_FILENO)
        close(output->fd);
    if (output->directory >= 0)
        close(output->directory);
    free(output->target);
    *output = (struct cli_output)CLI_OUTPUT_INIT;
}
