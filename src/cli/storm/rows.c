/*
 * Finds out which callers shared a call to the key service: see storm.h. Called by svg.c. Goes by the
 * fingerprints of the encrypted data keys. Where several calls opened the same one (readers without
 * coalescing) it goes by times. Never changes what it reads.
 */
#include <stdlib.h>

#include "storm/scene.h"

/* A fetch that brought a key, and which one. */
struct brought {
    uint64_t fingerprint;
    uint64_t begin_ns;
    size_t fetch;
    bool is_taken; /* a caller that waited for it was found */
};

static int by_fingerprint_and_time(const void *left, const void *right)
{
    const struct brought *a = left, *b = right;
    if (a->fingerprint != b->fingerprint)
        return a->fingerprint < b->fingerprint ? -1 : 1;
    return (a->begin_ns > b->begin_ns) - (a->begin_ns < b->begin_ns);
}

/* Lists the fetches that brought a key, sorted. `brought` has room for all fetches. */
static void rows_index(const struct storm_trace *trace, struct brought *brought, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < trace->fetch_count; i++) {
        const struct storm_fetch *fetch = &trace->fetches[i];
        if (fetch->fingerprint != 0)
            brought[(*count)++] = (struct brought){fetch->fingerprint, fetch->begin_ns, i, false};
    }
    qsort(brought, *count, sizeof *brought, by_fingerprint_and_time);
}

/* The first fetch that comes not before `wanted` in the order of keys and times. */
static size_t lower_bound(const struct brought *brought, size_t count, const struct brought *wanted)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (by_fingerprint_and_time(&brought[middle], wanted) < 0)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

/*
 * The fetch that brought a caller's key: the first that began while the caller waited and that no other
 * caller took. If there is none, the last that began before the caller asked. `none` if the caller has no
 * key.
 */
static size_t rows_find(struct brought *brought, size_t count, const struct storm_caller *caller, size_t none)
{
    if (caller->state != STORM_DONE)
        return none;
    const struct brought wanted = {.fingerprint = caller->fingerprint, .begin_ns = caller->asked_ns};
    size_t first = lower_bound(brought, count, &wanted), i = first;
    for (; i < count && brought[i].fingerprint == wanted.fingerprint; i++) {
        if (brought[i].begin_ns <= caller->held_ns && !brought[i].is_taken) {
            brought[i].is_taken = true;
            return brought[i].fetch;
        }
    }
    if (first > 0 && brought[first - 1].fingerprint == wanted.fingerprint)
        return brought[first - 1].fetch;
    return i > first ? brought[first].fetch : none;
}

/* Sorts the callers by their rows; `row_of` says in which row each is. */
static void rows_fill(const struct storm_trace *trace, const size_t *row_of, struct storm_rows *rows)
{
    const struct storm_caller **next = rows->callers;
    for (size_t i = 0; i < trace->caller_count; i++)
        rows->rows[row_of[i]].count++;
    for (size_t i = 0; i < rows->count; i++) {
        struct storm_row *row = &rows->rows[i];
        row->fetch = i < trace->fetch_count ? &trace->fetches[i] : NULL;
        row->callers = next;
        next += row->count;
        row->count = 0;
    }
    for (size_t i = 0; i < trace->caller_count; i++) {
        struct storm_row *row = &rows->rows[row_of[i]];
        row->callers[row->count++] = &trace->callers[i];
    }
}

enum kf_code storm_rows_new(const struct storm_trace *trace, struct kf_error *error, struct storm_rows *out)
{
    const size_t keyless = trace->fetch_count; /* the row behind all fetches */
    struct brought *brought = calloc(trace->fetch_count + 1, sizeof *brought);
    size_t *row_of = calloc(trace->caller_count + 1, sizeof *row_of);
    *out = (struct storm_rows){
        .rows = calloc(keyless + 1, sizeof *out->rows),
        .count = keyless + 1,
        .callers = calloc(trace->caller_count + 1, sizeof *out->callers),
    };
    enum kf_code code = KF_OK;
    if (brought == NULL || row_of == NULL || out->rows == NULL || out->callers == NULL) {
        code = kf_error_set(error, KF_E_NO_MEMORY, "There is no memory to draw %zu callers.",
                            trace->caller_count);
        storm_rows_end(out);
    } else {
        size_t count;
        rows_index(trace, brought, &count);
        for (size_t i = 0; i < trace->caller_count; i++)
            row_of[i] = rows_find(brought, count, &trace->callers[i], keyless);
        rows_fill(trace, row_of, out);
        out->count -= out->rows[keyless].count == 0;
    }
    free(brought);
    free(row_of);
    return code;
}

void storm_rows_end(struct storm_rows *rows)
{
    free(rows->rows);
    free(rows->callers);
    *rows = (struct storm_rows){.count = 0};
}
