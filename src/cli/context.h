/*
 * The encryption context on the command line: pairs, NAME=VALUE, and names alone. Called by encrypt, decrypt
 * and doctor.
 */
#ifndef CLI_CONTEXT_H
#define CLI_CONTEXT_H

#include "cli.h"

struct cli_context {
    struct kf_pair *pairs; /* borrowed text, as names */
    size_t pair_count;
    struct kf_view *names;
    size_t name_count;
};

/* Begins with none and room for the arguments of a command; cli_context_end is owed after an error too. */
enum kf_code cli_context_begin(struct cli_context *context, int argc, struct cli_failure *failure);
void cli_context_end(struct cli_context *context);

/* Takes NAME=VALUE, which ends its name at the first '='. Whether it was that. */
bool cli_context_take_pair(struct cli_context *context, const char *text);

/* Takes NAME. Whether it was that: without '=', not empty. */
bool cli_context_take_name(struct cli_context *context, const char *text);

/* Whether one of the pairs has this name. */
bool cli_context_has(const struct cli_context *context, struct kf_view name);

#endif
