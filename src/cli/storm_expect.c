/*
 * What a storm should show, and whether it did. Called by storm.c. Never looks at a clock: only counts are
 * judged.
 *
 * One data key serves u messages, the smaller of max_messages and what max_bytes holds. A context whose w
 * warm-up messages and n later ones share keys without a gap needs ceil((w + n) / u) of them; the floor(w /
 * u) that the warm-up used up are not seen after it.
 */
#include <inttypes.h>

#include "storm.h"

/* How many messages one data key may serve; 0: the cache is bypassed, and each message gets its own. */
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

/* How many of `callers` have context `context`, if they take the contexts in turn. */
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
    /*
     * A call that fails has cost its callers a key they did not get; a lost key may cost every later caller
     * one.
     */
    if (!out->exact && (key_lost || all - out->calls < options->fail_first))
        out->bound = all;
    else
        out->bound += options->fail_first;
}

/*
 * Whether some data key did more than it may, warm-up included. Bypassing messages have a key each, outside
 * the limits.
 */
static bool is_over_used(const struct storm_options *options, uint64_t uses)
{
    if (options->decrypt || messages_per_key(options) == 0)
        return false;
    return uses > options->max_messages || (options->bytes > 0 && uses > options->max_bytes / options->bytes);
}

bool storm_judge(const struct storm_options *options, const struct storm_expected *expected,
                 const struct storm_result *result, char *reason, size_t room)
{
    reason[0] = '\0';
    if (result->answered != result->callers)
        snprintf(reason, room, "%" PRIu64 " of %" PRIu64 " callers were never answered",
                 result->callers - result->answered, result->callers);
    else if (is_over_used(options, result->max_uses_per_dek))
        snprintf(reason, room, "a data key was used %" PRIu64 " times, more than its limits allow",
                 result->max_uses_per_dek);
    else if (options->fail_first == 0 && result->errors + result->warm_errors > 0)
        snprintf(reason, room, "%" PRIu64 " callers got an error", result->errors + result->warm_errors);
    else if (!expected->exact && result->backing_calls > expected->bound)
        snprintf(reason, room, "%" PRIu64 " backing calls, where at most %" PRIu64 " are promised",
                 result->backing_calls, expected->bound);
    else if (expected->exact && !options->decrypt && result->distinct_deks != expected->deks)
        snprintf(reason, room, "%" PRIu64 " data keys, where %" PRIu64 " %s promised", result->distinct_deks,
                 expected->deks, expected->deks == 1 ? "is" : "are");
    else if (expected->exact && result->backing_calls != expected->calls)
        snprintf(reason, room, "%" PRIu64 " backing calls, where %" PRIu64 " %s promised",
                 result->backing_calls, expected->calls, expected->calls == 1 ? "is" : "are");
    return reason[0] == '\0';
}
