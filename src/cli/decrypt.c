/*
 * keyflight decrypt: message in, plaintext out. Called by main. Never lets plaintext out before its signature
 * is verified: a file gets its name only then, and what goes to a stream is held in memory until then.
 */
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "output.h"
#include "text.h"
#include "transfer.h"

#define HELD_MAX ((size_t)64 * 1024 * 1024)

enum {
    MAX_EDKS = 256,
    MAX_LENGTH,
    DECRYPT_UNSIGNED
};

static const struct cli_option options[] = {
    {'k', "key", "KEY", true,
     CLI_KEY_HELP ",\nkms-discovery:[PARTITION:ACCOUNT,...] for any in\nKMS; several are tried in turn"},
    {'c', "context", "NAME[=VALUE]", true,
     "demand a pair of this name in the message; with a\nvalue, this very pair, which need not be stored if\n"
     "it was required (--require-context); repeatable"},
    CLI_OUTPUT_OPTIONS,
    CLI_POLICY_OPTION,
    {DECRYPT_UNSIGNED, "decrypt-unsigned", NULL, false,
     "refuse messages with a signature, so that each\nframe is final as it comes out"},
    {MAX_EDKS, "max-edks", "N", false, "refuse messages with more encrypted data keys"},
    {MAX_LENGTH, "max-length", "N", false, "refuse messages with more bytes of plaintext"},
    CLI_PASSPHRASE_OPTION,
    CLI_AWS_OPTIONS,
    {0},
};

static const struct cli_syntax syntax = {
    .command = "decrypt",
    .synopsis = "-k KEY... [-c NAME[=VALUE]]... [OPTION]... [IN]",
    .about = "Decrypts and verifies a message of the AWS Encryption SDK: IN, or the standard\n"
             "input. OUT appears once all of it is verified.",
    .has_operand = true,
    .options = options,
};

struct decrypt_job {
    struct cli_job
        common; /* in its context: pairs to reproduce, and names of pairs that the message has to have */
    uint64_t max_edks;
    uint64_t max_length;
    bool unsigned_only;
};

static int decrypt_take(void *self, int id, const char *value)
{
    struct decrypt_job *job = self;
    struct cli_context *context = &job->common.context;
    int status;
    if (cli_job_take(&job->common, &syntax, id, value, &status))
        return status;
    switch (id) {
    case 'c':
        if (cli_context_take_pair(context, value) || cli_context_take_name(context, value))
            return 0;
        return cli_usage(&syntax, "A pair of the encryption context is NAME=VALUE or NAME, not '%s'.", value);
    case MAX_EDKS:
        if (cli_number(value, 1, UINT16_MAX, &job->max_edks))
            return 0;
        return cli_usage(&syntax, "A message has 1 to 65535 encrypted data keys, not '%s'.", value);
    case MAX_LENGTH:
        if (cli_number(value, 0, UINT64_MAX, &job->max_length))
            return 0;
        return cli_usage(&syntax, "A length is a number of bytes, not '%s'.", value);
    default: /* DECRYPT_UNSIGNED */
        job->unsigned_only = true;
        return 0;
    }
}

/* ---- Where plaintext goes ---- */

struct sink {
    struct cli_output *output;
    const struct kf_decryptor *decryptor;
    uint8_t *held; /* HELD_MAX bytes, allocated when the first is needed */
    size_t held_length;
};

/*
 * Whether plaintext is held until the end: because the message is signed, or because a terminal gets only
 * text.
 */
static bool sink_holds(const struct sink *sink)
{
    if (!sink->output->is_stream)
        return false;
    return sink->output->is_terminal || kf_header_suite(kf_decryptor_header(sink->decryptor))->sign;
}

static enum kf_code sink_put(void *self, struct kf_view bytes, struct cli_failure *failure)
{
    struct sink *sink = self;
    if (!sink_holds(sink))
        return cli_output_write(sink->output, bytes, failure);
    if (sink->held == NULL)
        sink->held = malloc(HELD_MAX);
    if (sink->held == NULL)
        return cli_fail_memory(failure);
    if (bytes.length > HELD_MAX - sink->held_length)
        return cli_fail(
            failure, sink->output->name, KF_E_LIMIT,
            "More than 64 MiB would have to be held in memory until all is verified; give -o FILE.");
    memcpy(sink->held + sink->held_length, bytes.data, bytes.length);
    sink->held_length += bytes.length;
    return KF_OK;
}

/* Called once all of the message is verified. */
static enum kf_code sink_finish(struct sink *sink, struct cli_failure *failure)
{
    struct kf_view held = kf_view_of(sink->held, sink->held_length);
    if (sink->output->is_terminal && !cli_text_is_harmless(held))
        return cli_fail(failure, sink->output->name, KF_E_USAGE,
                        "The plaintext is not text and is not written to a terminal; give -o FILE.");
    enum kf_code code = cli_output_write(sink->output, held, failure);
    return code == KF_OK ? cli_output_commit(sink->output, failure) : code;
}

static void sink_free(struct sink *sink)
{
    if (sink->held != NULL)
        explicit_bzero(sink->held, sink->held_length);
    free(sink->held);
}

/* ---- The work ---- */

static enum kf_code poll_decryptor(void *operation, struct kf_io *io)
{
    return kf_decryptor_poll(operation, io, NULL);
}

static const struct kf_error *decryptor_error(void *operation)
{
    return kf_decryptor_error(operation);
}

static enum kf_code decrypt_input(struct kf_decryptor *decryptor, struct cli_input *input,
                                  struct cli_output *output, struct cli_failure *failure)
{
    struct sink sink = {.output = output, .decryptor = decryptor};
    struct cli_transfer run = {input, poll_decryptor, decryptor_error, decryptor, sink_put, &sink};
    enum kf_code code = cli_transfer(&run, failure);
    if (code == KF_OK)
        code = sink_finish(&sink, failure);
    if (code != KF_OK && failure->subject == NULL)
        failure->subject = input->name;
    sink_free(&sink);
    return code;
}

static enum kf_code decryptor_new(const struct decrypt_job *job, struct kf_cmm *cmm,
                                  struct cli_failure *failure, struct kf_decryptor **out)
{
    const struct kf_encryption_context *context;
    enum kf_code code = cli_job_context(&job->common, &failure->error, &context);
    if (code != KF_OK)
        return code;
    struct kf_decrypt_options settings = KF_DECRYPT_OPTIONS_INIT;
    settings.reproduced_encryption_context = context;
    settings.expected_keys = job->common.context.names;
    settings.expected_key_count = job->common.context.name_count;
    settings.commitment_policy = job->common.policy;
    settings.max_edks = (uint16_t)job->max_edks;
    settings.max_plaintext_length = job->max_length;
    settings.unsigned_only = job->unsigned_only;
    code = kf_decryptor_new(cmm, &settings, &failure->error, out);
    kf_encryption_context_unref(context);
    return code;
}

/*
 * Several policies can refuse a message. The hint on commitment is given only if no other one was asked for.
 */
static void decrypt_hint(const struct decrypt_job *job, enum kf_code code)
{
    bool only_commitment = job->common.policy == KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT && !job->unsigned_only &&
                           job->common.context.pair_count + job->common.context.name_count == 0;
    if (code == KF_E_KEYS)
        cli_hint("'keyflight inspect' shows which keys a message was made for. Pairs of its encryption "
                 "context that it does not store have to be given by -c.");
    else if (code == KF_E_POLICY && only_commitment)
        cli_hint("--commitment-policy require-encrypt-allow-decrypt reads suites without commitment.");
}

/* Opens the output first: a file that must not be replaced is refused before anything is read. */
static int decrypt_run(struct decrypt_job *job)
{
    struct cli_failure failure = CLI_FAILURE_INIT;
    struct cli_output output = CLI_OUTPUT_INIT;
    struct cli_input input = CLI_INPUT_INIT;
    struct kf_cmm *cmm = NULL;
    struct kf_decryptor *decryptor = NULL;
    enum kf_code code = cli_output_open(job->common.out, job->common.force, 0600, &failure, &output);
    if (code == KF_OK)
        code = cli_keys_open_cmm(&job->common.keys, CLI_DECRYPTS, job->common.in, NULL, 0, &failure, &cmm);
    if (code == KF_OK)
        code = cli_input_open(job->common.in, &failure, &input);
    if (code == KF_OK)
        code = decryptor_new(job, cmm, &failure, &decryptor);
    if (code == KF_OK)
        code = decrypt_input(decryptor, &input, &output, &failure);
    kf_decryptor_free(decryptor);
    kf_cmm_unref(cmm);
    cli_input_close(&input);
    cli_output_close(&output);
    if (code == KF_OK)
        return KF_CLASS_OK;
    int status = cli_report(syntax.command, &failure);
    decrypt_hint(job, code);
    cli_keys_hint(&job->common.keys, code);
    return status;
}

int cli_decrypt(int argc, char **argv)
{
    struct decrypt_job job = {.max_length = UINT64_MAX};
    struct cli_failure failure = CLI_FAILURE_INIT;
    int status;
    if (cli_job_begin(&job.common, argc, &failure) != KF_OK)
        status = cli_report(syntax.command, &failure);
    else if (cli_read_arguments(&syntax, argc, argv, decrypt_take, &job, &job.common.in, &status))
        status =
            job.common.keys.count > 0 ? decrypt_run(&job) : cli_usage(&syntax, "A key is needed: -k KEY.");
    cli_job_end(&job.common);
    return status;
}
