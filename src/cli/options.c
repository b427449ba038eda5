/*
 * Arguments: see cli.h. Called by the commands. Written by hand, because getopt accepts any abbreviation of a
 * long option (a script that relies on one breaks when an option is added), has no table to print a help
 * from, and keeps its state in globals. Never decides what an option means.
 */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

int cli_usage(const struct cli_syntax *syntax, const char *format, ...)
{
    struct cli_failure failure = CLI_FAILURE_INIT;
    va_list arguments;
    va_start(arguments, format);
    char text[2 * sizeof failure.error.text]; /* more, for a sign that it is too long */
    int written = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cli_fail(&failure, NULL, KF_E_USAGE, "%s", written < 0 ? "" : text);
    int status = cli_report(syntax->command, &failure);
    cli_hint("'keyflight %s --help' explains how it is called.", syntax->command);
    return status;
}

/* ---- Help ---- */

#define HELP_COLUMN 29

/* Prints `help`, starting at column `column` of the line, with all its lines below each other. */
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

static void print_command_help(const struct cli_syntax *syntax)
{
    printf("Usage: keyflight %s %s\n\n%s\n\nOptions:\n", syntax->command, syntax->synopsis, syntax->about);
    for (const struct cli_option *option = syntax->options; option->id != 0; option++)
        print_option(option);
    print_option(&(struct cli_option){.id = 'h', .name = "help", .help = "print this and exit"});
}

/* ---- Parsing ---- */

enum {
    END = 0,   /* no option is left, and the operand is known */
    STOP = -1, /* the help was printed, or an error was reported: exit with `status` */
};

/* Where the parser stands. */
struct parser {
    const struct cli_syntax *syntax;
    int argc;
    char **argv;
    int next;            /* the argument looked at last */
    const char *letters; /* what is left of a bundle of letters, "fo" in "-cfo" */
    bool no_options;     /* "--" was seen */
    uint64_t seen;       /* bit i for row i of the table */
    const char *value;   /* of the option just answered */
    const char *operand;
    int status;
};

static int parser_stop(struct parser *parser, int status)
{
    parser->status = status;
    return STOP;
}

static int parser_help(struct parser *parser)
{
    print_command_help(parser->syntax);
    return parser_stop(parser, KF_CLASS_OK);
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
 * next argument. An option with a value is refused the second time, unless it is repeatable: nobody knows
 * which of the two was meant.
 */
static int parser_take(struct parser *parser, const struct cli_option *option, const char *value)
{
    const struct cli_syntax *syntax = parser->syntax;
    parser->value = NULL;
    if (option->value == NULL) {
        if (value != NULL)
            return parser_stop(parser, cli_usage(syntax, "Option --%s takes no value.", option->name));
        return option->id;
    }
    if (value == NULL) {
        if (parser->next + 1 >= parser->argc)
            return parser_stop(
                parser, cli_usage(syntax, "Option --%s needs a value: %s.", option->name, option->value));
        value = parser->argv[++parser->next];
    }
    uint64_t bit = UINT64_C(1) << (option - syntax->options);
    if (!option->repeatable && (parser->seen & bit) != 0)
        return parser_stop(parser, cli_usage(syntax, "Option --%s is given twice.", option->name));
    parser->seen |= bit;
    parser->value = value;
    return option->id;
}

static int parser_take_name(struct parser *parser, const char *name)
{
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    if (strcmp(name, "help") == 0)
        return parser_help(parser);
    const struct cli_option *option = find_option(parser->syntax, 0, name, length);
    if (option == NULL)
        return parser_stop(parser,
                           cli_usage(parser->syntax, "There is no option '--%.*s'.", (int)length, name));
    return parser_take(parser, option, value);
}

static int parser_take_letter(struct parser *parser)
{
    int letter = (unsigned char)*parser->letters++;
    if (letter == 'h')
        return parser_help(parser);
    const struct cli_option *option = find_option(parser->syntax, letter, NULL, 0);
    if (option == NULL)
        return parser_stop(parser, cli_usage(parser->syntax, "There is no option '-%c'.", letter));
    const char *attached = NULL;
    if (option->value != NULL && *parser->letters != '\0') {
        attached = parser->letters;
        parser->letters = "";
    }
    return parser_take(parser, option, attached);
}

/* Begins with the letters behind a dash. "-output" would be "-o utput", which nobody means: it is refused. */
static int parser_take_letters(struct parser *parser, const char *letters)
{
    size_t length = strcspn(letters, "=");
    if (length > 1 && find_option(parser->syntax, 0, letters, length) != NULL)
        return parser_stop(parser,
                           cli_usage(parser->syntax, "There is no option '-%.*s', but there is '--%.*s'.",
                                     (int)length, letters, (int)length, letters));
    parser->letters = letters;
    return parser_take_letter(parser);
}

/* The id of the next option, END or STOP. */
static int parser_next(struct parser *parser)
{
    if (parser->letters != NULL && *parser->letters != '\0')
        return parser_take_letter(parser);
    while (++parser->next < parser->argc) {
        const char *argument = parser->argv[parser->next];
        bool is_option = argument[0] == '-' && argument[1] != '\0' && !parser->no_options;
        if (is_option && strcmp(argument, "--") == 0) {
            parser->no_options = true;
        } else if (is_option && argument[1] == '-') {
            return parser_take_name(parser, argument + 2);
        } else if (is_option) {
            return parser_take_letters(parser, argument + 1);
        } else if (!parser->syntax->has_operand || parser->operand != NULL) {
            return parser_stop(parser,
                               cli_usage(parser->syntax, "The argument '%s' is one too many.", argument));
        } else {
            parser->operand = argument;
        }
    }
    return END;
}

bool cli_read_arguments(const struct cli_syntax *syntax, int argc, char **argv,
                        int (*take)(void *job, int id, const char *value), void *job, const char **operand,
                        int *status)
{
    struct parser parser = {.syntax = syntax, .argc = argc, .argv = argv};
    for (int id; (id = parser_next(&parser)) != END;) {
        *status = id == STOP ? parser.status : take(job, id, parser.value);
        if (id == STOP || *status != 0)
            return false;
    }
    if (operand != NULL)
        *operand = parser.operand;
    return true;
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
