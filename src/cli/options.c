/*
 * Arguments: see cli.h. Called by the commands. Written by hand because getopt takes any abbreviation of a
 * long option for it (a script that relies on one breaks with the next option), has no table to print a help
 * from, and keeps its state in globals.
 */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>

#include "text.h"

int cli_usage(const struct cli_syntax *syntax, const char *format, ...)
{
    struct cli_failure failure = CLI_FAILURE_INIT;
    va_list arguments;
    va_start(arguments, format);
    char text[sizeof failure.error.text];
    int written = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cli_fail(&failure, NULL, KF_E_USAGE, "%s", written < 0 ? "" : text);
    int status = cli_report(syntax->command, &failure);
    cli_hint("'keyflight %s --help' explains how it is called.", syntax->command);
    return status;
}

/* ---- Help ---- */

#define HELP_COLUMN 29

/* Prints `help` from the current column to its own, every further line below it. */
static void print_column(size_t column, const char *help)
{
    for (;; column = 0) {
        if (column + 1 > HELP_COLUMN) {
            putchar('\n');
            column = 0;
        }
        size_t length = strcspn(help, "\n");
        printf("%*s%.*s\n", (int)(HELP_COLUMN - column), "", (int)length, help);
        if (help[length] == '\0')
            return;
        help += length + 1;
    }
}

static void print_option(const struct cli_option *option)
{
    char left[128];
    int written = option->id < 256 ? snprintf(left, sizeof left, "  -%c, --%s", option->id, option->name)
                                   : snprintf(left, sizeof left, "      --%s", option->name);
    size_t column = written < 0 ? 0 : (size_t)written;
    fputs(left, stdout);
    if (option->value != NULL) {
        printf(" %s", option->value);
        column += 1 + strlen(option->value);
    }
    print_column(column, option->help);
}

static void print_help(const struct cli_syntax *syntax)
{
    printf("Usage: keyflight %s %s\n\n%s\n\nOptions:\n", syntax->command, syntax->synopsis, syntax->about);
    for (const struct cli_option *option = syntax->options; option->id != 0; option++)
        print_option(option);
    print_option(&(struct cli_option){.id = 'h', .name = "help", .help = "print this and exit"});
}

/* ---- Parsing ---- */

static int stop(int *status, int value)
{
    *status = value;
    return CLI_STOP;
}

static int stop_help(const struct cli_arguments *arguments, int *status)
{
    print_help(arguments->syntax);
    return stop(status, KF_CLASS_OK);
}

/* The row of the option with this letter, or with the name of `length` bytes at `name`; NULL if none. */
static const struct cli_option *find_option(const struct cli_syntax *syntax, int letter, const char *name,
                                            size_t length)
{
    for (const struct cli_option *option = syntax->options; option->id != 0; option++) {
        if (name == NULL ? option->id == letter
                         : strlen(option->name) == length && memcmp(option->name, name, length) == 0)
            return option;
    }
    return NULL;
}

/*
 * Answers an option. `value` is what was attached to it, or NULL: then an option that takes a value takes the
 * next argument. An option that is not repeatable and decides between two values is refused the second time,
 * not guessed at.
 */
static int take_option(struct cli_arguments *arguments, const struct cli_option *option, const char *value,
                       int *status)
{
    const struct cli_syntax *syntax = arguments->syntax;
    if (option->value == NULL) {
        if (value != NULL)
            return stop(status, cli_usage(syntax, "Option --%s takes no value.", option->name));
        return option->id;
    }
    if (value == NULL) {
        if (arguments->next + 1 >= arguments->argc)
            return stop(status,
                        cli_usage(syntax, "Option --%s needs a value: %s.", option->name, option->value));
        value = arguments->argv[++arguments->next];
    }
    uint64_t bit = UINT64_C(1) << (option - syntax->options);
    if (!option->repeatable && (arguments->seen & bit) != 0)
        return stop(status, cli_usage(syntax, "Option --%s is given twice.", option->name));
    arguments->seen |= bit;
    arguments->value = value;
    return option->id;
}

static int take_name(struct cli_arguments *arguments, const char *name, int *status)
{
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    if (strcmp(name, "help") == 0)
        return stop_help(arguments, status);
    const struct cli_option *option = find_option(arguments->syntax, 0, name, length);
    if (option == NULL)
        return stop(status, cli_usage(arguments->syntax, "There is no option '--%.*s'.", (int)length, name));
    return take_option(arguments, option, value, status);
}

static int take_letter(struct cli_arguments *arguments, int *status)
{
    int letter = (unsigned char)*arguments->letters++;
    if (letter == 'h')
        return stop_help(arguments, status);
    const struct cli_option *option = find_option(arguments->syntax, letter, NULL, 0);
    if (option == NULL)
        return stop(status, cli_usage(arguments->syntax, "There is no option '-%c'.", letter));
    const char *attached = NULL;
    if (option->value != NULL && *arguments->letters != '\0') {
        attached = arguments->letters;
        arguments->letters = "";
    }
    return take_option(arguments, option, attached, status);
}

/* Begins with the letters behind a dash. "-output" would be "-o utput": nobody means that. */
static int take_letters(struct cli_arguments *arguments, const char *letters, int *status)
{
    size_t length = strcspn(letters, "=");
    if (length > 1 && find_option(arguments->syntax, 0, letters, length) != NULL)
        return stop(status, cli_usage(arguments->syntax, "There is no option '-%.*s', but there is '--%.*s'.",
                                      (int)length, letters, (int)length, letters));
    arguments->letters = letters;
    return take_letter(arguments, status);
}

int cli_next(struct cli_arguments *arguments, int *status)
{
    if (arguments->letters != NULL && *arguments->letters != '\0')
        return take_letter(arguments, status);
    while (++arguments->next < arguments->argc) {
        const char *argument = arguments->argv[arguments->next];
        bool is_option = argument[0] == '-' && argument[1] != '\0' && !arguments->no_options;
        if (is_option && strcmp(argument, "--") == 0) {
            arguments->no_options = true;
        } else if (is_option && argument[1] == '-') {
            return take_name(arguments, argument + 2, status);
        } else if (is_option) {
            return take_letters(arguments, argument + 1, status);
        } else if (arguments->operand_count == arguments->syntax->operands) {
            return stop(status, cli_usage(arguments->syntax, "The argument '%s' is one too many.", argument));
        } else {
            arguments->operands[arguments->operand_count++] = argument;
        }
    }
    return CLI_END;
}

/* ---- Values ---- */

bool cli_number(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
    if (*text == '\0')
        return false;
    uint64_t value = 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        uint64_t digit = (uint64_t)(*text - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return value >= low && value <= high;
}

bool cli_policy(const char *text, enum kf_commitment_policy *out)
{
    static const struct {
        const char *name;
        enum kf_commitment_policy policy;
    } policies[] = {
        {"require-encrypt-require-decrypt", KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT},
        {"require-encrypt-allow-decrypt", KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT},
        {"forbid-encrypt-allow-decrypt", KF_FORBID_ENCRYPT_ALLOW_DECRYPT},
    };
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        if (strcmp(text, policies[i].name) == 0) {
            *out = policies[i].policy;
            return true;
        }
    }
    return false;
}
