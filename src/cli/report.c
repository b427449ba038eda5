/*
 * How the program reports errors: see cli.h. Called by every command. Never sends a control character to the
 * terminal, whatever a message or the command line contains.
 */
#include "cli.h"

#include <ctype.h>
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
    failure->is_own = true;
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

/* ---- Words ---- */

/* Options of the library, and those of the program that set them. */
static const struct {
    const char *library;
    const char *program;
} options[] = {
    {"endpoint_url", "--endpoint-url"},
    {"frame_length", "--frame-length"},
    {"max_edks", "--max-edks"},
    {"max_plaintext_length", "--max-length"},
    {"option profile", "option --profile"},
    {"option region", "option --region"},
    {"unsigned_only", "--decrypt-unsigned"},
};

static bool is_word(char letter)
{
    return isalnum((unsigned char)letter) || letter == '_';
}

/* The option of the program for that of the library at the front of `text`, and the length of the latter. */
static const char *find_own_option(const char *text, size_t *length)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        *length = strlen(options[i].library);
        if (strncmp(text, options[i].library, *length) == 0 && !is_word(text[*length]))
            return options[i].program;
    }
    return NULL;
}

const char *cli_own_words(const char *text, char room[CLI_WORDS_ROOM])
{
    size_t used = 0;
    for (const char *next = text; *next != '\0';) {
        size_t length;
        const char *own = next == text || !is_word(next[-1]) ? find_own_option(next, &length) : NULL;
        size_t added = own != NULL ? strlen(own) : 1;
        if (added >= CLI_WORDS_ROOM - used)
            break;
        memcpy(room + used, own != NULL ? own : next, added);
        used += added;
        next += own != NULL ? length : 1;
    }
    room[used] = '\0';
    return room;
}

/* ---- Printing ---- */

int cli_report(const char *command, const struct cli_failure *failure)
{
    char words[CLI_WORDS_ROOM];
    fputs("keyflight: ", stderr);
    if (command != NULL)
        fprintf(stderr, "%s: ", command);
    if (failure->subject != NULL) {
        cli_text_print(stderr, kf_view_text(failure->subject));
        fputs(": ", stderr);
    }
    const char *sentence = failure->error.text;
    cli_text_print(stderr, kf_view_text(failure->is_own ? sentence : cli_own_words(sentence, words)));
    putc('\n', stderr);
    return (int)kf_code_class(failure->error.code);
}

/* Prints one line, "keyflight: KIND: ...". */
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
