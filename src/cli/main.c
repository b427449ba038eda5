/*
 * keyflight, the program: finds the command and runs it, and does what all commands need. Each command is in
 * a file of its name. Called by the system; never reads a message or a key.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"keygen", cli_keygen, "make a key file"},
    {"encrypt", cli_encrypt, "encrypt a file or a stream"},
    {"decrypt", cli_decrypt, "decrypt and verify one"},
    {"inspect", cli_inspect, "show what a message says about itself; takes no key"},
    {"storm", cli_storm, "show that the data key cache counts right when many ask at once"},
    {"doctor", cli_doctor, "show how AWS KMS would be reached, and whether it can be"},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_help(FILE *out)
{
    fputs("Usage: keyflight COMMAND [ARGUMENT]...\n\n"
          "Encrypts and decrypts messages of the AWS Encryption SDK.\n\nCommands:\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n'keyflight COMMAND --help' explains a command, 'keyflight --version' prints the version.\n\n"
          "Exit status: 0 done, 1 a storm was not as promised, 2 a wrong call, 3 a bad message,\n"
          "4 no key fits, 5 a service refused, 6 a limit was met, 7 the system failed, 70 a bug,\n"
          "75 try again later.\n",
          out);
}

static int usage_error(const char *what, const char *argument)
{
    struct cli_failure failure = CLI_FAILURE_INIT;
    cli_fail(&failure, NULL, KF_E_USAGE, "%s '%s'.", what, argument);
    int status = cli_report(NULL, &failure);
    cli_hint("'keyflight --help' lists the commands.");
    return status;
}

/* Runs the command called argv[0]. */
static int run_command(int argc, char **argv)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[0], commands[i].name) == 0)
            return commands[i].run(argc, argv);
    }
    return usage_error("There is no command", argv[0]);
}

static int main_run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return KF_CLASS_USAGE;
    }
    bool help = strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
    if (help && argc > 2) {
        char option[] = "--help";
        return run_command(2, (char *[]){argv[2], option, NULL});
    }
    if (help) {
        print_help(stdout);
        return KF_CLASS_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("keyflight " KF_VERSION);
        return KF_CLASS_OK;
    }
    if (argv[1][0] == '-')
        return usage_error("Before a command there is no option", argv[1]);
    return run_command(argc - 1, argv + 1);
}

/*
 * Opens those of the standard streams that are closed, so that no file opened later gets their numbers. The
 * input is opened for writing and the others for reading, so that using them still fails.
 */
static bool open_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    }
    return true;
}

/* Checks that all that was printed was also written: a full disk may show only at the end. */
static int close_standard_output(int status)
{
    bool failed = ferror(stdout) != 0;
    errno = 0;
    failed |= fclose(stdout) != 0;
    if (!failed)
        return status;
    struct cli_failure failure = CLI_FAILURE_INIT;
    cli_fail_errno(&failure, "standard output", "It can't be written", errno != 0 ? errno : EIO);
    int failed_status = cli_report(NULL, &failure);
    return status == KF_CLASS_OK ? failed_status : status;
}

int main(int argc, char **argv)
{
    if (!open_standard_streams())
        return KF_CLASS_SYSTEM;
    /*
     * A pipe without a reader and a file that gets too long then are errors of write(): they are reported,
     * and temporary files are removed.
     */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    int status = main_run(argc, argv);
    kf_cleanup(); /* closes connections, and ends the fetches of callers who gave up */
    return close_standard_output(status);
}
