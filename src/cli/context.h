/*
 * The encryption context on the command line: pairs (NAME=VALUE) and names alone. Called by job.c, encrypt,
 * decrypt and doctor.
 */
#ifndef CLI_CONTEXT_H
#define CLI_CONTEXT_H

#include "cli.h"

struct cli_context {
    struct kf_pair *pairs; /* their text is borrowed, as that of the names */
    size_t pair_count;
    struct kf_view *names;
    size_t name_count;
};

/* Begins empty, with room for all arguments of a command. cli_context_end is owed after an error too. */
enum kf_code cli_context_begin(struct cli_context *context, int argc, struct cli_failure *failure);
void cli_context_end(struct cli_context *context);

/* Takes NAME=VALUE; the name ends at the first '='. Answers whether it was that. */
bool cli_context_take_pair(struct cli_context *context, const char *text);

/* Takes NAME. Answers whether it was that: not empty, and without '='. */
bool cli_context_take_name(struct cli_context *context, const char *text);

/* Whether one of the pairs has this name. */
bool cli_context_has(const struct cli_context *context, struct kf_view name);

#endif
