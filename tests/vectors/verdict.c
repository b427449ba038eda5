/*
 * Memory and verdicts: see vectors.h.
 */
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "vectors/vectors.h"

struct arena_piece {
    struct arena_piece *next;
    alignas(max_align_t) uint8_t bytes[];
};

void *arena_take(struct arena *arena, size_t length)
{
    struct arena_piece *piece = calloc(1, sizeof *piece + length + 1);
    if (piece == NULL) {
        fprintf(stderr, "kf-vectors: there is no memory\n");
        exit(2);
    }
    piece->next = arena->pieces;
    arena->pieces = piece;
    return piece->bytes;
}

void arena_free(struct arena *arena)
{
    while (arena->pieces != NULL) {
        struct arena_piece *next = arena->pieces->next;
        free(arena->pieces);
        arena->pieces = next;
    }
}

bool fail(struct verdict *verdict, const char *format, ...)
{
    if (verdict->kind == PASSED) {
        va_list values;
        va_start(values, format);
        vsnprintf(verdict->text, sizeof verdict->text, format, values);
        va_end(values);
        verdict->kind = FAILED;
    }
    return false;
}

bool skip(struct verdict *verdict, const char *format, ...)
{
    if (verdict->kind == PASSED) {
        va_list values;
        va_start(values, format);
        vsnprintf(verdict->text, sizeof verdict->text, format, values);
        va_end(values);
        verdict->kind = SKIPPED;
    }
    return false;
}

bool done(enum kf_code code, const struct kf_error *error, const char *what, struct verdict *verdict)
{
    return code == KF_OK || fail(verdict, "%s: %s: %s", what, kf_code_name(code), error->text);
}

bool same(struct kf_view got, struct kf_view wanted, const char *what, struct verdict *verdict)
{
    if (kfi_view_equal(got, wanted))
        return true;
    size_t at = 0;
    while (at < got.length && at < wanted.length && got.data[at] == wanted.data[at])
        at++;
    return fail(verdict, "%s: %zu bytes where %zu are right, and the first that differs is number %zu", what,
                got.length, wanted.length, at);
}
