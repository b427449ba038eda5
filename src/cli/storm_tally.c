/*
 * Counting what the callers of a storm ended up with: see storm_tally.h. Called by storm_run.c when all is
 * over. Data keys are told apart by the fingerprints in the messages, not by anything that the library or
 * the service counted.
 */
#include "storm_tally.h"

#include <stdlib.h>

/* One message. */
struct record {
    uint64_t fingerprint;
    bool is_warm;
};

static int by_fingerprint(const void *left, const void *right)
{
    const struct record *a = left, *b = right;
    return (a->fingerprint > b->fingerprint) - (a->fingerprint < b->fingerprint);
}

static int descending(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return (*a < *b) - (*a > *b);
}

/*
 * From `count` sorted records to the uses of each data key after the warm-up, in `uses`; answers how many
 * there are.
 */
static size_t count_uses(const struct record *records, size_t count, uint64_t *uses, uint64_t *max_uses)
{
    size_t keys = 0;
    for (size_t i = 0, next; i < count; i = next) {
        uint64_t after = 0;
        for (next = i; next < count && records[next].fingerprint == records[i].fingerprint; next++)
            after += !records[next].is_warm;
        if (*max_uses < next - i)
            *max_uses = next - i;
        if (after > 0)
            uses[keys++] = after;
    }
    return keys;
}

/* Counts the data keys of `count` messages; `uses` is room for as many numbers. */
static enum kf_code tally_keys(struct record *records, size_t count, uint64_t *uses, struct kf_error *error,
                               struct storm_result *out)
{
    qsort(records, count, sizeof *records, by_fingerprint);
    size_t keys = count_uses(records, count, uses, &out->max_uses_per_dek);
    out->distinct_deks = keys;
    qsort(uses, keys, sizeof *uses, descending);
    size_t different = 0;
    for (size_t i = 0; i < keys; i++)
        different += i == 0 || uses[i] != uses[i - 1];
    out->uses = calloc(different + 1, sizeof *out->uses);
    if (out->uses == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for the counts.");
    for (size_t i = 0; i < keys; i++) {
        if (i == 0 || uses[i] != uses[i - 1])
            out->uses[out->use_count++].uses = uses[i];
        out->uses[out->use_count - 1].deks++;
    }
    return KF_OK;
}

static void tally_caller(const struct storm_caller *caller, bool is_warm, struct storm_result *out)
{
    out->callers++;
    out->answered +=
        caller->state == STORM_DONE || caller->state == STORM_FAILED || caller->state == STORM_GAVE_UP;
    if (caller->state == STORM_FAILED) {
        if (out->errors + out->warm_errors == 0)
            storm_caller_error(caller, &out->error);
        *(is_warm ? &out->warm_errors : &out->errors) += 1;
    } else if (!is_warm) {
        out->encryptions += caller->state == STORM_DONE;
        out->cancelled += caller->state == STORM_GAVE_UP;
    }
}

/* From the first ask to the last caller that came to hold its materials; 0 if none did. */
static uint64_t answer_ns(const struct storm_caller *callers, size_t count)
{
    uint64_t first = UINT64_MAX, last = 0;
    for (size_t i = 0; i < count; i++) {
        if (callers[i].asked_ns < first)
            first = callers[i].asked_ns;
        if (callers[i].held_ns > last)
            last = callers[i].held_ns;
    }
    return last > first ? last - first : 0;
}

enum kf_code storm_tally(const struct storm_caller *callers, size_t warm, size_t count,
                         struct kf_error *error, struct storm_result *out)
{
    struct record *records = calloc(count, sizeof *records);
    uint64_t *uses = calloc(count, sizeof *uses);
    enum kf_code code = KF_OK;
    if (records == NULL || uses == NULL)
        code = kf_error_set(error, KF_E_NO_MEMORY, "There is no memory to count %zu messages.", count);
    if (code == KF_OK) {
        size_t messages = 0;
        for (size_t i = 0; i < count; i++) {
            tally_caller(&callers[i], i < warm, out);
            if (callers[i].state == STORM_DONE)
                records[messages++] = (struct record){callers[i].fingerprint, i < warm};
        }
        out->answer_ns = answer_ns(callers + warm, count - warm);
        code = tally_keys(records, messages, uses, error, out);
    }
    free(records);
    free(uses);
    return code;
}

void storm_result_end(struct storm_result *result)
{
    free(result->uses);
    result->uses = NULL;
}
