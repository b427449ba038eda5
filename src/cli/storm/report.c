/* Prints what a storm showed, as JSON or for people. Called by storm.c. Never judges. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "storm/storm.h"
#include "text.h"

void storm_name(const struct storm_scenario *scenario, char name[STORM_NAME_ROOM])
{
    size_t used = 0;
    name[0] = '\0';
    if (scenario->warm > 0)
        used += (size_t)snprintf(name, STORM_NAME_ROOM, "%" PRIu64 " warm-up%s, then ", scenario->warm,
                                 scenario->warm == 1 ? "" : "s");
    if (scenario->sequential > 0)
        used += (size_t)snprintf(name + used, STORM_NAME_ROOM - used, "%" PRIu64 " one by one, then ",
                                 scenario->sequential);
    if (scenario->parallel > 0)
        snprintf(name + used, STORM_NAME_ROOM - used, "%" PRIu64 " in parallel", scenario->parallel);
    else
        name[used - strlen(", then ")] = '\0';
}

const char *storm_plural(uint64_t number)
{
    return number == 1 ? "" : "s";
}

/* ---- JSON ---- */

static void json_number(FILE *out, const char *name, uint64_t number)
{
    fprintf(out, ",\"%s\":%" PRIu64, name, number);
}

static void json_bool(FILE *out, const char *name, bool value)
{
    fprintf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

/* Prints whole numbers only, so that no locale puts a comma there. */
static void json_ms(FILE *out, const char *name, uint64_t ns)
{
    fprintf(out, ",\"%s\":%" PRIu64 ".%03" PRIu64, name, ns / 1000000, ns / 1000 % 1000);
}

/* Whether key `i` is in KMS. Then its name, and its endpoint, which the caller frees. */
static bool kms_key(const struct storm_options *options, size_t i, struct kf_view *key,
                    struct kf_buf *endpoint)
{
    const char *name = cli_keys_kms(options->keys->values[i]);
    *key = kf_view_text(name != NULL ? name : "");
    return name != NULL && cli_aws_endpoint(&options->keys->aws, name, NULL, endpoint) == KF_OK;
}

static void json_keys(FILE *out, const struct storm_options *options)
{
    const char *separator = "";
    fputs(",\"keys\":[", out);
    for (size_t i = 0; i < options->keys->count; i++) {
        struct kf_view key;
        struct kf_buf endpoint = KF_BUF_INIT;
        if (!kms_key(options, i, &key, &endpoint))
            continue;
        fprintf(out, "%s{\"key\":", separator);
        cli_json_string(out, key);
        fputs(",\"endpoint\":", out);
        cli_json_string(out, kf_view_of(endpoint.data, endpoint.length));
        putc('}', out);
        separator = ",";
        kf_buf_free(&endpoint);
    }
    putc(']', out);
}

void storm_print_json(FILE *out, const struct storm_report *report)
{
    const struct storm_options *options = report->options;
    const struct storm_expected *expected = &report->expected;
    const struct storm_result *result = &report->result;
    char name[STORM_NAME_ROOM];
    storm_name(&report->scenario, name);
    fputs("{\"scenario\":", out);
    cli_json_string(out, kf_view_text(name));
    json_number(out, "encryptions", result->encryptions);
    json_number(out, "distinct_deks", result->distinct_deks);
    fputs(",\"uses\":{", out);
    for (size_t i = 0; i < result->use_count; i++)
        fprintf(out, "%s\"%" PRIu64 "\":%" PRIu64, i == 0 ? "" : ",", result->uses[i].uses,
                result->uses[i].deks);
    fputs("}", out);
    json_number(out, "errors", result->errors);
    json_number(out, "cancelled", result->cancelled);
    json_number(out, "expected_deks", expected->deks);
    json_number(out, "backing_calls", result->backing_calls);
    json_number(out, "expected_calls", expected->calls);
    json_number(out, "peak_in_flight", result->peak_in_flight);
    json_number(out, "max_uses_per_dek", result->max_uses_per_dek);
    json_number(out, "callers", result->callers);
    json_number(out, "answered", result->answered);
    json_bool(out, "exact", expected->exact);
    json_number(out, "bound", expected->bound);
    json_bool(out, "ok", report->ok);
    json_number(out, "rtt_ms", options->rtt_ms);
    json_ms(out, "answer_ms", result->answer_ns);
    json_ms(out, "wall_ms", result->wall_ns);
    if (options->kms)
        json_keys(out, options);
    if (result->errors + result->warm_errors > 0) {
        fputs(",\"error\":", out);
        cli_json_string(out, kf_view_text(result->error.text));
    }
    fputs("}\n", out);
}

/* ---- For people ---- */

static void print_coloured(FILE *out, int colour, const char *text)
{
    const char *terminal = getenv("TERM");
    bool coloured = isatty(fileno(out)) && getenv("NO_COLOR") == NULL && terminal != NULL &&
                    strcmp(terminal, "dumb") != 0;
    if (coloured)
        fprintf(out, "\033[1;%dm%s\033[0m", colour, text);
    else
        fputs(text, out);
}

/* Prints the keys in KMS, and no key files. */
static void print_keys(FILE *out, const struct storm_options *options)
{
    fputs(";\nevery cache is cold, and data keys come from AWS KMS:\n", out);
    for (size_t i = 0; i < options->keys->count; i++) {
        struct kf_view key;
        struct kf_buf endpoint = KF_BUF_INIT;
        if (!kms_key(options, i, &key, &endpoint))
            continue;
        fputs("    ", out);
        cli_text_print(out, key);
        fputs(" at ", out);
        cli_text_print(out, kf_view_of(endpoint.data, endpoint.length));
        fprintf(out, "%s\n", i == 0 && options->keys->from_environment != NULL ? " (KMS_KEY_ARN)" : "");
        kf_buf_free(&endpoint);
    }
}

void storm_print_opening(FILE *out, const struct storm_options *options)
{
    if (options->decrypt)
        fprintf(out, "keyflight storm: many readers of one message");
    else
        fprintf(out, "keyflight storm: a data key (DEK) may encrypt %" PRIu64 " message%s",
                options->max_messages, storm_plural(options->max_messages));
    if (!options->decrypt && options->max_bytes < INT64_MAX)
        fprintf(out, " or %" PRIu64 " bytes", options->max_bytes);
    if (options->kms)
        print_keys(out, options);
    else
        fprintf(out, ";\nevery cache is cold, and the simulated key service is %" PRIu64 " ms away.\n",
                options->rtt_ms);
    if (!options->coalescing)
        fprintf(out, "Without coalescing, each caller that finds no key fetches one of its own.\n");
}

/* Prints ": 2 DEKs used 5x, 1 used 4x". A long list is cut. */
static void print_uses(FILE *out, const struct storm_result *result)
{
    static const size_t shown = 5;
    for (size_t i = 0; i < result->use_count && i < shown; i++) {
        const struct storm_use *use = &result->uses[i];
        fprintf(out, "%s%" PRIu64 "%s%s used %" PRIu64 "x", i == 0 ? ": " : ", ", use->deks,
                i == 0 ? " DEK" : "", i == 0 ? storm_plural(use->deks) : "", use->uses);
    }
    if (result->use_count > shown)
        fprintf(out, " ...");
}

static void print_counts(FILE *out, const struct storm_report *report)
{
    const struct storm_options *options = report->options;
    const struct storm_expected *expected = &report->expected;
    const struct storm_result *result = &report->result;
    const char *after = report->scenario.warm > 0 ? "   after the warm-up" : "";
    fprintf(out, "    %s  %8" PRIu64 "%s\n", options->decrypt ? "decryptions  " : "encryptions  ",
            result->encryptions, after);
    if (result->errors + result->warm_errors > 0)
        fprintf(out, "    errors         %8" PRIu64 "   %s\n", result->errors + result->warm_errors,
                result->error.text);
    if (result->cancelled > 0)
        fprintf(out, "    gave up        %8" PRIu64 "   before the answer\n", result->cancelled);

    if (!options->decrypt) {
        fprintf(out, "    distinct DEKs  %8" PRIu64 "   ", result->distinct_deks);
        if (expected->exact)
            fprintf(out, "expected %" PRIu64, expected->deks);
        else
            fprintf(out, "at most %" PRIu64, expected->bound);
        print_uses(out, result);
        putc('\n', out);
    }
    fprintf(out, "    service calls  %8" PRIu64 "   %s %" PRIu64 ": %" PRIu64 " in flight at once\n",
            result->backing_calls, expected->exact ? "expected" : "at most", expected->bound,
            result->peak_in_flight);

    fprintf(out, "    all answered   %8" PRIu64 " ms", (result->answer_ns + 500000) / 1000000);
    if (options->rtt_ms > 0) {
        uint64_t tenths = (result->answer_ns / 100000 + options->rtt_ms / 2) / options->rtt_ms;
        fprintf(out, ", %" PRIu64 ".%" PRIu64 " round trips", tenths / 10, tenths % 10);
    }
    putc('\n', out);
}

static void print_verdict(FILE *out, const struct storm_report *report)
{
    const struct storm_options *options = report->options;
    const struct storm_expected *expected = &report->expected;
    fputs("    ", out);
    if (!report->ok) {
        print_coloured(out, 31, "FAILED");
        fprintf(out, ": %s\n", report->reason);
        return;
    }
    print_coloured(out, 32, "OK");
    if (expected->exact && options->decrypt)
        fputs(": as few calls as needed\n", out);
    else if (expected->exact)
        fputs(": as few data keys as the limits allow, none used beyond its limits\n", out);
    else if (options->cancel > 0 || options->fail_first > 0)
        fputs(": within the bound (no exact count is promised if callers give up or calls fail)\n", out);
    else
        fputs(": within the bound (no exact count is promised if a key ends by capacity or age)\n", out);
}

void storm_print_scenario(FILE *out, unsigned number, const struct storm_report *report)
{
    char name[STORM_NAME_ROOM];
    storm_name(&report->scenario, name);
    putc('\n', out);
    if (number > 0)
        fprintf(out, "(%u) ", number);
    fprintf(out, "%s\n", name);
    print_counts(out, report);
    print_verdict(out, report);
}

void storm_print_closing(FILE *out, const struct storm_options *options, unsigned scenarios, unsigned failed)
{
    if (scenarios > 1 && failed == 0)
        fprintf(out, "\nAll %u are as promised.\n", scenarios);
    else if (scenarios > 1)
        fprintf(out, "\n%u of %u failed.\n", failed, scenarios);
    if (!options->coalescing && failed > 0)
        fprintf(out,
                "%sThis is what other caches do. Leave out --no-coalescing to see what Keyflight does.\n",
                scenarios > 1 ? "" : "\n");
}
