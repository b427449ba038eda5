/*
 * What the files of the program share: its commands, how they read their arguments, and how they report
 * errors. The program is the library's first user: it includes public headers only.
 *
 * A command is one function. It gets its arguments with its own name in front and answers the exit status.
 * What it calls answers an enum kf_code and describes an error in a struct cli_failure; the command prints
 * it.
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
    const char *subject; /* a file or "standard input", borrowed; NULL: none */
    struct kf_error error;
    bool is_own; /* the sentence is the program's (cli_fail), not the library's */
};

#define CLI_FAILURE_INIT           \
    {                              \
        NULL, KF_ERROR_INIT, false \
    }

/* Describes a failure; answers `code`. */
enum kf_code cli_fail(struct cli_failure *failure, const char *subject, enum kf_code code, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));

/*
 * Describes an error of the operating system by `what` ("This file can't be read") and the text of the error
 * `number`. A name that leads to no file is KF_E_USAGE, all else KF_E_SYSTEM.
 */
enum kf_code cli_fail_errno(struct cli_failure *failure, const char *subject, const char *what, int number);

enum kf_code cli_fail_memory(struct cli_failure *failure);

/*
 * Answers `text`, a sentence of the library, in `room`: cut if it is too long, and where the library names one
 * of its options, with that of the program in its place.
 */
#define CLI_WORDS_ROOM 2048
const char *cli_own_words(const char *text, char room[CLI_WORDS_ROOM]);

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
    bool has_operand;     /* whether it takes one argument that is no option */
    const struct cli_option *options;
};

/*
 * Reads the arguments of a command, whose name is argv[0]: hands each option to `take`, with its id and its
 * value (NULL if it takes none), and writes the operand to `*operand` (NULL if there is none; `operand` may
 * be NULL if the command takes none). `take` answers 0, or the exit status of an error that it has reported.
 *
 * Options and operand may be mixed; "-" alone is an operand; "--" ends the options. Answers whether the
 * command goes on. If not, the help was printed or an error was reported, and the exit status is in
 * `*status`.
 */
bool cli_read_arguments(const struct cli_syntax *syntax, int argc, char **argv,
                        int (*take)(void *job, int id, const char *value), void *job, const char **operand,
                        int *status);

/* Reports a usage error of this command, adds the hint where to read on, and answers the exit status. */
int cli_usage(const struct cli_syntax *syntax, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads a decimal number, digits only, from `low` to `high`. Answers whether it was one. */
bool cli_number(const char *text, uint64_t low, uint64_t high, uint64_t *out);

#endif
