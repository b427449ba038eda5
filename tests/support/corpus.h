/*
 * The messages of other clients in tests/corpus: reading files, and tables of text in which a line is a row.
 */
#ifndef TESTS_SUPPORT_CORPUS_H
#define TESTS_SUPPORT_CORPUS_H

#include "support/support.h"

/* Ends the program: the corpus is damaged. */
_Noreturn void corpus_give_up(const char *what, const char *detail);

/* The whole file tests/corpus/CORPUS/FILE, followed by a NUL. It is given back by corpus_drop. */
struct kf_view corpus_read(const char *corpus, const char *file);
void corpus_drop(struct kf_view file);

/* Calls `read` with each line of a file that is not empty and not a comment (#). `read` may keep and change it. */
void corpus_each_line(const char *corpus, const char *file, void (*read)(char *line));

/* Cuts the next field off `*line`. `what` says what it should be. */
char *corpus_field(char **line, const char *separators, const char *what);

/* The same, of a decimal number. */
unsigned long corpus_number(char **line, const char *what);

/* Turns hexadecimal text into the bytes that it stands for, in its own place. */
struct kf_view corpus_unhex(char *text);

#endif
