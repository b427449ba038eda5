/*
 * keyflight, the program: which command it is, and what holds for all of them. The commands are in files of
 * their names.
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
          "Exit status: 0 done, 1 a storm's check failed, 2 the call was wrong, 3 the message was,\n"
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
 * Makes sure that the standard streams are open, so that no file opened later becomes one of them. A missing
 * one is opened the wrong way round: using it fails, as it would have.
 */
static bool open_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    }
    return true;
}

/* Whatever was printed has to have arrived; "> /dev/full" shows only here. */
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
    /* A reader that left and a file that got too long are errors to be reported, and to clean up after. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    int status = main_run(argc, argv);
    kf_cleanup(); /* connections, and what callers who gave up left under way, end before the process does */
    return close_standard_output(status);
}
