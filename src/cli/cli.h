/*
 * What the files of the program share: its commands, how they read their arguments and how they fail. The
 * program is the library's first user: it includes public headers only.
 *
 * A command is one function: it gets its arguments with its own name in front and answers the exit status.
 * Everything below it answers an enum kf_code and describes an error in a struct cli_failure; only the
 * command itself prints.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <keyflight/keyflight.h>

/* ---- The commands ---- */

int cli_keygen(int argc, char **argv);
int cli_encrypt(int argc, char **argv);
int cli_decrypt(int argc, char **argv);
int cli_inspect(int argc, char **argv);
int cli_storm(int argc, char **argv);
int cli_doctor(int argc, char **argv);

/* ---- Failing (report.c) ---- */

/* What went wrong, and with what. */
struct cli_failure {
    const char *subject; /* a file or "standard input", borrowed; NULL: nothing in particular */
    struct kf_error error;
};

#define CLI_FAILURE_INIT    \
    {                       \
        NULL, KF_ERROR_INIT \
    }

/* Describes a failure; answers `code`. */
enum kf_code cli_fail(struct cli_failure *failure, const char *subject, enum kf_code code, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));

/*
 * Describes what the operating system refused: `what` ("This file can't be read") and the text of `number`. A
 * name that leads nowhere is the user's fault (KF_E_USAGE), the rest the system's (KF_E_SYSTEM).
 */
enum kf_code cli_fail_errno(struct cli_failure *failure, const char *subject, const char *what, int number);

enum kf_code cli_fail_memory(struct cli_failure *failure);

/*
 * Prints "keyflight: COMMAND: SUBJECT: sentence" to the standard error; answers the exit status. `command`
 * may be NULL.
 */
int cli_report(const char *command, const struct cli_failure *failure);

/* Prints "keyflight: hint: sentence", or "warning" likewise, to the standard error. */
void cli_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Arguments (options.c) ---- */

struct cli_option {
    int id;            /* its letter, or a number from 256 up if it has none; 0 ends a table */
    const char *name;  /* its long form, without the dashes */
    const char *value; /* what the help calls its value; NULL: it takes none */
    bool repeatable;
    const char *help; /* lines are broken by '\n' */
};

/* How a command is called. -h and --help are understood without being listed. */
struct cli_syntax {
    const char *command;  /* "encrypt" */
    const char *synopsis; /* "-k KEY [-o OUT] [IN]" */
    const char *about;    /* a paragraph for the help */
    size_t operands;      /* how many it takes at most */
    const struct cli_option *options;
};

/*
 * Where the parser stands. Begin with {.syntax = …, .argc = argc, .argv = argv}; the command's name at
 * argv[0] is skipped.
 */
struct cli_arguments {
    const struct cli_syntax *syntax;
    int argc;
    char **argv;
    const char *value;       /* of the option just answered */
    const char *operands[2]; /* whatever is not an option, in order; NULL where none is */
    size_t operand_count;

    int next;            /* private: the argument looked at last */
    const char *letters; /* private: what is left of a bundle of letters, "fo" in "-cfo" */
    bool no_options;     /* private: "--" was seen */
    uint64_t seen;       /* private: bit i for row i of the table */
};

enum {
    CLI_END = 0,   /* no option is left, and the operands are complete */
    CLI_STOP = -1, /* the help was asked for and printed, or an error was reported: exit with `status` */
};

/*
 * The id of the next option, CLI_END or CLI_STOP; with the latter the exit status is in `*status`.
 * Options and operands may be mixed; "-" alone is an operand; "--" ends the options.
 */
int cli_next(struct cli_arguments *arguments, int *status);

/* Reports a usage error of this command, adds the hint where to read on, and answers the exit status. */
int cli_usage(const struct cli_syntax *syntax, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads a decimal number of at least `low` and at most `high`: digits only. Whether it was one. */
bool cli_number(const char *text, uint64_t low, uint64_t high, uint64_t *out);

/* Reads "require-encrypt-require-decrypt" and its like. Whether it was one. */
bool cli_policy(const char *text, enum kf_commitment_policy *out);

#define CLI_POLICY_HELP                                \
    "require-encrypt-require-decrypt (the default),\n" \
    "require-encrypt-allow-decrypt or\nforbid-encrypt-allow-decrypt"

#endif
