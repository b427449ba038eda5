/*
 * The encryption context on the command line: see context.h. Never judges what a pair may be: that is the
 * library's.
 */
#include "context.h"

#include <stdlib.h>
#include <string.h>

enum kf_code cli_context_begin(struct cli_context *context, int argc, struct cli_failure *failure)
{
    /* No option is given more often than there are arguments. */
    *context = (struct cli_context){
        .pairs = calloc((size_t)argc, sizeof *context->pairs),
        .names = calloc((size_t)argc, sizeof *context->names),
    };
    return context->pairs != NULL && context->names != NULL ? KF_OK : cli_fail_memory(failure);
}

void cli_context_end(struct cli_context *context)
{
    free(context->pairs);
    free(context->names);
    *context = (struct cli_context){0};
}

bool cli_context_take_pair(struct cli_context *context, const char *text)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return false;
    context->pairs[context->pair_count++] =
        (struct kf_pair){kf_view_of(text, (size_t)(equals - text)), kf_view_text(equals + 1)};
    return true;
}

bool cli_context_take_name(struct cli_context *context, const char *text)
{
    if (text[0] == '\0' || strchr(text, '=') != NULL)
        return false;
    context->names[context->name_count++] = kf_view_text(text);
    return true;
}

bool cli_context_has(const struct cli_context *context, struct kf_view name)
{
    for (size_t i = 0; i < context->pair_count; i++) {
        struct kf_view key = context->pairs[i].key;
        if (key.length == name.length && memcmp(key.data, name.data, name.length) == 0)
            return true;
    }
    return false;
}
