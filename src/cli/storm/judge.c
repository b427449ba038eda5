/*
 * Computes what a storm should show, counts what it did show, and compares. Called by storm.c and run.c.
 * Never judges a time. Tells data keys apart by the fingerprints in the messages, never by what the library
 * or the service counted.
 *
 * One data key serves u messages: max_messages, or fewer if max_bytes holds fewer. A context with w warm-up
 * messages and n later ones needs ceil((w + n) / u) keys. The warm-up uses up floor(w / u) of them, which are
 * not seen after it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storm/scene.h"

/* ---- What it should show ---- */

/*
 * How many messages one data key may serve. 0: the cache is bypassed, and each message gets a key of its own.
 */
static uint64_t messages_per_key(const struct storm_options *options)
{
    if (!options->suite->derives)
        return 0;
    if (options->decrypt)
        return UINT64_MAX; /* nothing limits how often a key decrypts */
    if (options->bytes == 0 || options->max_messages < options->max_bytes / options->bytes)
        return options->max_messages;
    return options->max_bytes / options->bytes;
}

/* How many of `callers` have the context `context`; they take the contexts in turn. */
static uint64_t turns(const struct storm_options *options, uint64_t callers, uint64_t context)
{
    return callers / options->contexts + (context < callers % options->contexts);
}

static uint64_t divide_up(uint64_t dividend, uint64_t divisor)
{
    return dividend / divisor + (dividend % divisor != 0);
}

void storm_expect(const struct storm_options *options, const struct storm_scenario *scenario, bool key_lost,
                  struct storm_expected *out)
{
    uint64_t after = scenario->sequential + scenario->parallel;
    uint64_t u = messages_per_key(options);
    *out = (struct storm_expected){.exact = !key_lost && options->fail_first == 0 && options->cancel == 0};
    for (uint64_t context = 0; context < options->contexts; context++) {
        uint64_t w = turns(options, scenario->warm, context);
        uint64_t n = turns(options, after, context);
        uint64_t keys = u == 0 ? w + n : divide_up(w + n, u);
        uint64_t used_up = u == 0 ? w : w / u;
        out->calls += keys;
        out->deks += n > 0 ? keys - used_up : 0;
    }
    uint64_t all = scenario->warm + after;
    out->bound = out->calls;
    /* Each call that fails may cost one more call. A lost key may cost one more for every later caller. */
    if (!out->exact && (key_lost || all - out->calls < options->fail_first))
        out->bound = all;
    else
        out->bound += options->fail_first;
}

/*
 * Whether `uses` of one data key, warm-up included, are too many. Where the cache is bypassed limits do not
 * matter.
 */
static bool is_over_used(const struct storm_options *options, uint64_t uses)
{
    if (options->decrypt || messages_per_key(options) == 0)
        return false;
    return uses > options->max_messages || (options->bytes > 0 && uses > options->max_bytes / options->bytes);
}

void storm_judge(struct storm_report *report)
{
    const struct storm_options *options = report->options;
    const struct storm_expected *expected = &report->expected;
    const struct storm_result *result = &report->result;
    char *reason = report->reason;
    const size_t room = sizeof report->reason;
    reason[0] = '\0';
    if (result->answered != result->callers)
        snprintf(reason, room, "%" PRIu64 " of %" PRIu64 " callers got no answer",
                 result->callers - result->answered, result->callers);
    else if (is_over_used(options, result->max_uses_per_dek))
        snprintf(reason, room, "a data key was used %" PRIu64 " times, more than its limits allow",
                 result->max_uses_per_dek);
    else if (options->fail_first == 0 && result->errors + result->warm_errors > 0)
        snprintf(reason, room, "%" PRIu64 " callers got an error", result->errors + result->warm_errors);
    else if (!expected->exact && result->backing_calls > expected->bound)
        snprintf(reason, room, "%" PRIu64 " calls to the key service, where at most %" PRIu64 " are promised",
                 result->backing_calls, expected->bound);
    else if (expected->exact && !options->decrypt && result->distinct_deks != expected->deks)
        snprintf(reason, room, "%" PRIu64 " data keys, where %" PRIu64 " %s promised", result->distinct_deks,
                 expected->deks, expected->deks == 1 ? "is" : "are");
    else if (expected->exact && result->backing_calls != expected->calls)
        snprintf(reason, room, "%" PRIu64 " calls to the key service, where %" PRIu64 " %s promised",
                 result->backing_calls, expected->calls, expected->calls == 1 ? "is" : "are");
    report->ok = reason[0] == '\0';
}

/* ---- What it shows ---- */

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
 * Counts in `count` sorted records how often each data key was used after the warm-up, into `uses`. Answers
 * how many such keys there are.
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
    free(result->trace.callers);
    free(result->trace.fetches);
    memset(result, 0, sizeof *result);
}
