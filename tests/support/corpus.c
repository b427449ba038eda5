/*
 * The corpus: see corpus.h. Called by the tests that decrypt what other clients wrote.
 */
#include "support/corpus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void corpus_give_up(const char *what, const char *detail)
{
    fprintf(stderr, "corpus: %s: %s\n", what, detail);
    exit(2);
}

struct kf_view corpus_read(const char *corpus, const char *file)
{
    char path[4096];
    const char *source = getenv("KEYFLIGHT_SOURCE");
    if (source == NULL)
        corpus_give_up("KEYFLIGHT_SOURCE", "is not set; ctest sets it");
    snprintf(path, sizeof path, "%s/tests/corpus/%s/%s", source, corpus, file);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        corpus_give_up(path, strerror(errno));
    fseek(stream, 0, SEEK_END);
    const size_t length = (size_t)ftell(stream);
    rewind(stream);
    uint8_t *bytes = calloc(1, length + 1);
    if (bytes == NULL || fread(bytes, 1, length, stream) != length)
        corpus_give_up(path, "can't be read");
    fclose(stream);
    return kf_view_of(bytes, length);
}

void corpus_drop(struct kf_view file)
{
    free((void *)(uintptr_t)file.data);
}

void corpus_each_line(const char *corpus, const char *file, void (*read)(char *line))
{
    char *rest = (char *)(uintptr_t)corpus_read(corpus, file).data, *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (line[0] != '#' && line[0] != '\0')
            read(line);
    }
}

char *corpus_field(char **line, const char *separators, const char *what)
{
    char *text = strsep(line, separators);
    if (text == NULL)
        corpus_give_up("a field is missing", what);
    return text;
}

unsigned long corpus_number(char **line, const char *what)
{
    char *text = corpus_field(line, " ", what), *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0')
        corpus_give_up("not a number", text);
    return value;
}

struct kf_view corpus_unhex(char *text)
{
    static const char digits[] = "0123456789abcdef";
    const size_t length = strlen(text);
    if (length % 2 != 0 || strspn(text, digits) != length)
        corpus_give_up("not hexadecimal", text);
    uint8_t *bytes = (uint8_t *)text;
    for (size_t i = 0; i < length / 2; i++)
        bytes[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 |
                             (strchr(digits, text[2 * i + 1]) - digits));
    return kf_view_of(bytes, length / 2);
}
