/*
 * Telling text from bytes. Called wherever something foreign reaches a terminal.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdio.h>

#include <keyflight/types.h>

/* Length of the well-formed UTF-8 character at the front of `text`, and the character; 0 if there is none. */
size_t cli_text_char(struct kf_view text, uint32_t *character);

/* Whether a character does something to a terminal instead of being shown: C0, DEL and C1 controls. */
bool cli_text_is_control(uint32_t character);

/*
 * Whether a terminal shows all of it harmlessly: UTF-8 without controls other than tab, line feed and
 * carriage return.
 */
bool cli_text_is_harmless(struct kf_view text);

/* Whether all of it is UTF-8 without any control character. */
bool cli_text_is_printable(struct kf_view text);

/* Writes `text` with a question mark in the place of everything that is not printable. */
void cli_text_print(FILE *out, struct kf_view text);

#endif
