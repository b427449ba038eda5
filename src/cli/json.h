/* Strings in JSON. Called by inspect (also where people read), doctor and storm. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdio.h>

#include <keyflight/types.h>

/*
 * Writes `text` as a JSON string, quotes included. Control characters are escaped, so that it is safe on a
 * terminal too; bytes that are not UTF-8 become U+FFFD.
 */
void cli_json_string(FILE *out, struct kf_view text);

#endif
