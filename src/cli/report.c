/*
 * How the program says that something failed: see cli.h. Called by every command; text that came from a
 * message or from the command line reaches the terminal without control characters.
 */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

/* Writes a sentence as the library does: one that is too long ends in a sign. */
static void write_sentence(struct kf_error *error, enum kf_code code, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
static void write_sentence(struct kf_error *error, enum kf_code code, const char *format, va_list arguments)
{
    char text[2 * sizeof error->text]; /* more, for the library to see that it is too long */
    int written = vsnprintf(text, sizeof text, format, arguments);
    kf_error_set(error, code, "%s", written < 0 ? "" : text);
}

enum kf_code cli_fail(struct cli_failure *failure, const char *subject, enum kf_code code, const char *format,
                      ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_sentence(&failure->error, code, format, arguments);
    va_end(arguments);
    failure->subject = subject;
    return code;
}

enum kf_code cli_fail_errno(struct cli_failure *failure, const char *subject, const char *what, int number)
{
    static const int names[] = {ENOENT, ENOTDIR, EISDIR, ENAMETOOLONG, ELOOP};
    enum kf_code code = KF_E_SYSTEM;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i] == number)
            code = KF_E_USAGE;
    }
    return cli_fail(failure, subject, code, "%s: %s.", what, strerror(number));
}

enum kf_code cli_fail_memory(struct cli_failure *failure)
{
    return cli_fail(failure, NULL, KF_E_NO_MEMORY, "There is not enough memory.");
}

int cli_report(const char *command, const struct cli_failure *failure)
{
    fputs("keyflight: ", stderr);
    if (command != NULL)
        fprintf(stderr, "%s: ", command);
    if (failure->subject != NULL) {
        cli_text_print(stderr, kf_view_text(failure->subject));
        fputs(": ", stderr);
    }
    cli_text_print(stderr, kf_view_text(failure->error.text));
    putc('\n', stderr);
    return (int)kf_code_class(failure->error.code);
}

/* One line, "keyflight: KIND: …". */
static void print_line(const char *kind, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void print_line(const char *kind, const char *format, va_list arguments)
{
    struct kf_error sentence;
    write_sentence(&sentence, KF_OK, format, arguments);
    fprintf(stderr, "keyflight: %s: ", kind);
    cli_text_print(stderr, kf_view_text(sentence.text));
    putc('\n', stderr);
}

void cli_hint(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line("hint", format, arguments);
    va_end(arguments);
}

void cli_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line("warning", format, arguments);
    va_end(arguments);
}
