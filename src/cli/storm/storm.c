/*
 * keyflight storm: lets many callers ask for a data key at once, and shows how many keys were made. Called by
 * main. Reads the options, has the scenarios run, and prints. Never uses a key of the user unless -k or
 * KMS_KEY_ARN names it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <keyflight/keyflight.h>

#include "input.h"
#include "keys/keys.h"
#include "storm/storm.h"

enum {
    OPT_PARALLEL = 256,
    OPT_SEQUENTIAL,
    OPT_WARM,
    OPT_MAX_MESSAGES,
    OPT_MAX_BYTES,
    OPT_BYTES,
    OPT_MAX_AGE,
    OPT_CAPACITY,
    OPT_CONTEXTS,
    OPT_RTT,
    OPT_SUITE,
    OPT_CALLERS,
    OPT_FAIL_FIRST,
    OPT_CANCEL,
    OPT_DECRYPT,
    OPT_NO_COALESCING,
    OPT_JSON,
    OPT_SVG,
};

static const struct cli_option option_table[] = {
    {OPT_PARALLEL, "parallel", "N", false, "a scenario of your own: N callers at once"},
    {OPT_SEQUENTIAL, "sequential", "N", false, "... and before those N, one by one"},
    {OPT_WARM, "warm", "W", false, "... and before all W, whose messages do not count"},
    {OPT_MAX_MESSAGES, "max-messages", "M", false, "messages that a data key may encrypt (5)"},
    {OPT_MAX_BYTES, "max-bytes", "B", false, "bytes that a data key may encrypt (2^63-1)"},
    {OPT_BYTES, "bytes", "L", false, "length of each message (1024)"},
    {OPT_MAX_AGE, "max-age-ms", "A", false, "how long a data key may be used (60000)"},
    {OPT_CAPACITY, "capacity", "C", false, "keys that the cache holds (100)"},
    {OPT_CONTEXTS, "contexts", "K", false, "encryption contexts, which callers take in turn (1)"},
    {OPT_RTT, "rtt-ms", "R", false, "round trip of the simulated key service (50)"},
    {OPT_SUITE, "suite", "S", false, "algorithm suite (0478)"},
    {OPT_CALLERS, "callers", "HOW", false,
     "poll (the default): one thread polls all callers;\nthreads: each caller blocks on its own thread"},
    {OPT_FAIL_FIRST, "fail-first", "F", false, "the first F calls to the key service fail (0)"},
    {OPT_CANCEL, "cancel", "P", false, "P percent of the callers give up early (0)"},
    {OPT_DECRYPT, "decrypt", NULL, false, "the callers decrypt one message of each context"},
    {OPT_NO_COALESCING, "no-coalescing", NULL, false, "cache as others do: look, miss, fetch, put"},
    {'k', "key", "KEY", true, CLI_KEY_HELP ";\nwith a key in KMS, nothing is simulated"},
    CLI_AWS_OPTIONS,
    {OPT_JSON, "json", NULL, false, "one JSON object a line for each scenario"},
    {OPT_SVG, "svg", "FILE", false, "draw what happened, as a picture in SVG"},
    {'f', "force", NULL, false, "replace FILE if it exists"},
    {0},
};

static const struct cli_syntax syntax = {
    .command = "storm",
    .synopsis = "[OPTION]...",
    .about = "Lets many callers ask for data keys at once and shows how many keys were made.\n"
             "Without --parallel, --sequential or --warm three scenarios run: 10 in parallel,\n"
             "10 one by one, and 1 warm-up before 10 in parallel. The key service is\n"
             "simulated and nothing leaves this machine, unless -k or KMS_KEY_ARN names a key\n"
             "in AWS KMS. The exit status is 0 if all counts are as promised, 1 if not.",
    .options = option_table,
};

/* What was asked for on the command line. */
struct request {
    struct storm_options options;
    struct storm_scenario scenario;
    struct cli_keys keys;
    bool is_simulating; /* an option was given that is for the simulated service */
    bool is_json;
    const char *svg; /* where to draw; NULL: nowhere */
    bool force;
};

/* An option with a number: its bounds, and where it goes. */
struct number {
    int id;
    uint64_t low;
    uint64_t high;
    uint64_t *target;
};

/* Takes the number of an option. 0, or the exit status of an error. */
static int take_number(struct request *request, int id, const char *value)
{
    struct storm_options *options = &request->options;
    const struct number numbers[] = {
        {OPT_PARALLEL, 1, STORM_CALLERS_MAX, &request->scenario.parallel},
        {OPT_SEQUENTIAL, 1, STORM_CALLERS_MAX, &request->scenario.sequential},
        {OPT_WARM, 1, STORM_CALLERS_MAX, &request->scenario.warm},
        {OPT_MAX_MESSAGES, 1, KF_MAX_MESSAGES_LIMIT, &options->max_messages},
        {OPT_MAX_BYTES, 0, KF_MAX_BYTES_LIMIT, &options->max_bytes},
        {OPT_BYTES, 0, 1 << 30, &options->bytes},
        {OPT_MAX_AGE, 1, UINT64_C(1000000000000), &options->max_age_ms},
        {OPT_CAPACITY, 0, 1000000, &options->capacity},
        {OPT_CONTEXTS, 1, 100000, &options->contexts},
        {OPT_RTT, 0, 60000, &options->rtt_ms},
        {OPT_FAIL_FIRST, 0, STORM_CALLERS_MAX, &options->fail_first},
        {OPT_CANCEL, 0, 100, &options->cancel},
    };
    const struct number *number = numbers;
    while (number->id != id)
        number++;
    if (cli_number(value, number->low, number->high, number->target))
        return 0;
    const struct cli_option *option = option_table;
    while (option->id != id)
        option++;
    return cli_usage(&syntax, "Option --%s takes a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'.",
                     option->name, number->low, number->high, value);
}

static int storm_take(void *self, int id, const char *value)
{
    struct request *request = self;
    if (cli_keys_take(&request->keys, id, value))
        return 0;
    request->is_simulating |= id == OPT_RTT || id == OPT_FAIL_FIRST;
    switch (id) {
    case OPT_SUITE:
        request->options.suite = kf_suite_find(value);
        if (request->options.suite == NULL)
            return cli_usage(&syntax, "There is no algorithm suite '%s'; try 0478 or 0578.", value);
        return 0;
    case OPT_CALLERS:
        request->options.threads = strcmp(value, "threads") == 0;
        if (!request->options.threads && strcmp(value, "poll") != 0)
            return cli_usage(&syntax, "Option --callers takes poll or threads, not '%s'.", value);
        return 0;
    case OPT_DECRYPT:
        request->options.decrypt = true;
        return 0;
    case OPT_NO_COALESCING:
        request->options.coalescing = false;
        return 0;
    case OPT_JSON:
        request->is_json = true;
        return 0;
    case OPT_SVG:
        request->svg = value;
        return 0;
    case 'f':
        request->force = true;
        return 0;
    default:
        return take_number(request, id, value);
    }
}

/* Checks the options together. 0, or the exit status of an error. */
static int check_request(const struct request *request)
{
    const struct storm_options *options = &request->options;
    if (request->svg != NULL && cli_is_stream(request->svg))
        return cli_usage(&syntax, "The picture needs a file; the standard output has the report.");
    if (options->threads && request->scenario.parallel > STORM_THREADS_MAX)
        return cli_usage(&syntax,
                         "With --callers threads, --parallel is at most %d; one polling thread drives more.",
                         STORM_THREADS_MAX);
    if (options->kms && request->is_simulating)
        return cli_usage(&syntax, "Options --rtt-ms and --fail-first are for the simulated key service; "
                                  "a key in KMS takes its place.");
    if (options->kms && options->threads && options->cancel > 0)
        return cli_usage(&syntax, "With --callers threads, --cancel is a deadline before the answer; how "
                                  "long KMS takes is not known: use --callers poll.");
    if (options->threads && options->cancel > 0 && options->rtt_ms < 2)
        return cli_usage(&syntax, "With --callers threads, --cancel is a deadline before the answer; "
                                  "that needs an --rtt-ms of at least 2.");
    return 0;
}

/* Makes the keyring of the keys that were given, if any were. */
static enum kf_code open_keys(struct request *request, struct cli_failure *failure)
{
    struct cli_keys *keys = &request->keys;
    struct storm_options *options = &request->options;
    if (options->kms)
        options->rtt_ms = 0;
    if (keys->count == 0)
        return KF_OK;
    return cli_keys_open(keys, options->decrypt ? CLI_DECRYPTS : CLI_ENCRYPTS, "", failure,
                         &options->keyring);
}

/* Runs a scenario, prints it, and adds it to the picture, if there is one. Whether it went as promised. */
static enum kf_code run_scenario(const struct request *request, unsigned number,
                                 const struct storm_scenario *scenario, struct storm_picture *picture,
                                 struct kf_error *error, bool *ok)
{
    struct storm_report report = {.options = &request->options, .scenario = *scenario};
    enum kf_code code = storm_run(report.options, scenario, error, &report.result);
    if (code != KF_OK)
        return code;
    storm_expect(report.options, scenario, report.result.key_lost, &report.expected);
    storm_judge(&report);
    if (request->is_json)
        storm_print_json(stdout, &report);
    else
        storm_print_scenario(stdout, number, &report);
    fflush(stdout);
    if (picture != NULL)
        code = storm_picture_add(picture, &report, error);
    *ok = report.ok;
    storm_result_end(&report.result);
    return code;
}

/* The three scenarios of the original report, or the one that was asked for; counts those that failed. */
static enum kf_code run_scenarios(const struct request *request, struct storm_picture *picture,
                                  struct kf_error *error, unsigned *failed)
{
    static const struct storm_scenario report[] = {
        {.parallel = 10}, {.sequential = 10}, {.warm = 1, .parallel = 10}};
    const struct storm_scenario *own = &request->scenario;
    bool has_own = own->warm + own->sequential + own->parallel > 0;
    const struct storm_scenario *scenarios = has_own ? own : report;
    unsigned count = has_own ? 1 : 3;

    if (!request->is_json)
        storm_print_opening(stdout, &request->options);
    for (unsigned i = 0; i < count; i++) {
        bool ok;
        enum kf_code code = run_scenario(request, has_own ? 0 : i + 1, &scenarios[i], picture, error, &ok);
        if (code != KF_OK)
            return code;
        *failed += !ok;
    }
    if (!request->is_json)
        storm_print_closing(stdout, &request->options, count, *failed);
    return KF_OK;
}

static enum kf_code write_picture(struct storm_picture *picture, struct cli_output *output,
                                  struct cli_failure *failure)
{
    struct kf_view text;
    enum kf_code code = storm_picture_finish(picture, &failure->error, &text);
    if (code == KF_OK)
        code = cli_output_write(output, text, failure);
    return code == KF_OK ? cli_output_commit(output, failure) : code;
}

/* The output comes first: a file that must not be replaced is refused before anything runs. */
static int run_storm(struct request *request)
{
    struct cli_failure failure = CLI_FAILURE_INIT;
    struct cli_output output = CLI_OUTPUT_INIT;
    struct storm_picture *picture = NULL;
    unsigned failed = 0;
    enum kf_code code = KF_OK;
    if (request->svg != NULL)
        code = cli_output_open(request->svg, request->force, 0666, &failure, &output);
    if (code == KF_OK && request->svg != NULL)
        code = storm_picture_new(&failure.error, &picture);
    if (code == KF_OK)
        code = open_keys(request, &failure);
    if (code == KF_OK)
        code = run_scenarios(request, picture, &failure.error, &failed);
    if (code == KF_OK && picture != NULL)
        code = write_picture(picture, &output, &failure);
    storm_picture_free(picture);
    cli_output_close(&output);
    if (code != KF_OK)
        return cli_report(syntax.command, &failure);
    return failed == 0 ? 0 : 1;
}

/* Takes the key of the environment, and looks at all options together; 0, or the exit status of an error. */
static int complete_request(struct request *request)
{
    struct cli_failure failure = CLI_FAILURE_INIT;
    if (cli_keys_take_environment(&request->keys, &failure) != KF_OK)
        return cli_report(syntax.command, &failure);
    for (size_t i = 0; i < request->keys.count; i++)
        request->options.kms |= cli_keys_kms(request->keys.values[i]) != NULL;
    return check_request(request);
}

int cli_storm(int argc, char **argv)
{
    struct request request = {.options = {.suite = kf_suite_info_of(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY),
                                          .max_messages = 5,
                                          .max_bytes = KF_MAX_BYTES_LIMIT,
                                          .max_age_ms = 60000,
                                          .bytes = 1024,
                                          .capacity = 100,
                                          .contexts = 1,
                                          .rtt_ms = 50,
                                          .coalescing = true}};
    struct cli_failure failure = CLI_FAILURE_INIT;
    int status;
    request.options.keys = &request.keys;
    if (cli_keys_begin(&request.keys, argc, &failure) != KF_OK)
        status = cli_report(syntax.command, &failure);
    else if (cli_read_arguments(&syntax, argc, argv, storm_take, &request, NULL, &status)) {
        status = complete_request(&request);
        if (status == 0)
            status = run_storm(&request);
    }
    kf_keyring_unref(request.options.keyring);
    cli_keys_end(&request.keys);
    return status;
}
