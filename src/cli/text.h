/* Telling text from other bytes. Called wherever text from outside goes to a terminal. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdio.h>

#include <keyflight/types.h>

/* The well-formed UTF-8 character at the front of `text`; answers its length, 0 if there is none. */
size_t cli_text_char(struct kf_view text, uint32_t *character);

/* Whether a terminal would not show a character but obey it: C0, DEL and C1 controls. */
bool cli_text_is_control(uint32_t character);

/*
 * Whether a terminal would show it all: UTF-8 without controls other than tab, line feed and carriage return.
 */
bool cli_text_is_harmless(struct kf_view text);

/* Whether all of it is UTF-8 without any control character. */
bool cli_text_is_printable(struct kf_view text);

/* Writes `text` with a question mark in the place of everything that is not printable. */
void cli_text_print(FILE *out, struct kf_view text);

#endif
