/*
 * keyflight decrypt: message in, plaintext out. Plaintext whose signature has yet to be verified is never let
 * go: in a file it has no name yet, on its way to a stream it is held in memory.
 */
#include <stdio.h>
#include <stdlib.h>

#include "keys.h"
#include "output.h"
#include "text.h"
#include "transfer.h"

#define HELD_MAX ((size_t)64 * 1024 * 1024)

enum {
    POLICY = 256
};

static const struct kf_cli_option options[] = {
    {'k', "key", "KEY", true,
     KF_CLI_KEY_HELP ",\nkms-discovery:[PARTITION:ACCOUNT,...] for any in KMS;\nseveral are tried in turn"},
    {'o', "output", "OUT", false, "write to OUT; - or none: standard output"},
    {'f', "force", NULL, false, "replace OUT if it exists"},
    {POLICY, "commitment-policy", "P", false, KF_CLI_POLICY_HELP},
    KF_CLI_AWS_OPTIONS,
    {0},
};

static const struct kf_cli_syntax syntax = {
    .command = "decrypt",
    .synopsis = "-k KEY... [OPTION]... [-o OUT] [IN]",
    .about = "Decrypts and verifies a message of the AWS Encryption SDK: IN, or the standard input.\n"
             "OUT appears once all of it is verified.",
    .operands = 1,
    .options = options,
};

struct job {
    struct kf_cli_keys keys;
    enum kf_commitment_policy policy;
    const char *in;
    const char *out;
    bool force;
};

static bool read_arguments(int argc, char **argv, struct job *job, int *status)
{
    struct kf_cli_arguments arguments = {.syntax = &syntax, .argc = argc, .argv = argv};
    for (int id; (id = kf_cli_next(&arguments, status)) != KF_CLI_END;) {
        if (kf_cli_keys_take(&job->keys, id, arguments.value))
            continue;
        switch (id) {
        case 'o':
            job->out = arguments.value;
            break;
        case 'f':
            job->force = true;
            break;
        case POLICY:
            if (!kf_cli_policy(arguments.value, &job->policy)) {
                *status = kf_cli_usage(&syntax, "There is no commitment policy '%s'.", arguments.value);
                return false;
            }
            break;
        default: /* KF_CLI_STOP */
            return false;
        }
    }
    job->in = arguments.operands[0];
    if (job->keys.count > 0)
        return true;
    *status = kf_cli_usage(&syntax, "A key is needed: -k KEY.");
    return false;
}

/* ---- Where plaintext goes ---- */

struct sink {
    struct kf_cli_output *output;
    const struct kf_decryptor *decryptor;
    uint8_t *held; /* HELD_MAX bytes, once they are needed; untouched ones cost nothing */
    size_t held_length;
};

/* Whether plaintext waits for the end: for the signature, or because a terminal gets nothing but text. */
static bool holds(const struct sink *sink)
{
    if (!sink->output->is_stream)
        return false;
    return sink->output->is_terminal || kf_header_suite(kf_decryptor_header(sink->decryptor))->sign;
}

static enum kf_code put_plaintext(void *self, struct kf_view bytes, struct kf_cli_failure *failure)
{
    struct sink *sink = self;
    if (!holds(sink))
        return kf_cli_output_write(sink->output, bytes, failure);
    if (sink->held == NULL)
        sink->held = malloc(HELD_MAX);
    if (sink->held == NULL)
        return kf_cli_fail_memory(failure);
    if (bytes.length > HELD_MAX - sink->held_length)
        return kf_cli_fail(failure, sink->output->name, KF_E_LIMIT,
                           "More than 64 MiB would have to be held until all is verified; give -o FILE.");
    memcpy(sink->held + sink->held_length, bytes.data, bytes.length);
    sink->held_length += bytes.length;
    return KF_OK;
}

/* Everything is verified. */
static enum kf_code finish_sink(struct sink *sink, struct kf_cli_failure *failure)
{
    struct kf_view held = kf_view(sink->held, sink->held_length);
    if (sink->output->is_terminal && !kf_cli_text_is_harmless(held))
        return kf_cli_fail(failure, sink->output->name, KF_E_USAGE,
                           "The plaintext is not text and is not written to a terminal; give -o FILE.");
    enum kf_code code = kf_cli_output_write(sink->output, held, failure);
    return code == KF_OK ? kf_cli_output_commit(sink->output, failure) : code;
}

static void free_sink(struct sink *sink)
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

static enum kf_code decrypt(const struct job *job, struct kf_cmm *cmm, struct kf_cli_input *input,
                            struct kf_cli_output *output, struct kf_cli_failure *failure)
{
    struct kf_decrypt_options settings = KF_DECRYPT_OPTIONS_INIT;
    settings.commitment_policy = job->policy;
    struct kf_decryptor *decryptor;
    enum kf_code code = kf_decryptor_new(cmm, &settings, &failure->error, &decryptor);
    if (code != KF_OK)
        return code;
    struct sink sink = {.output = output, .decryptor = decryptor};
    struct kf_cli_transfer run = {input, poll_decryptor, decryptor_error, decryptor, put_plaintext, &sink};
    code = kf_cli_transfer(&run, failure);
    if (code != KF_OK && failure->subject == NULL)
        failure->subject = input->name;
    if (code == KF_OK)
        code = finish_sink(&sink, failure);
    free_sink(&sink);
    kf_decryptor_free(decryptor);
    return code;
}

static void print_hint(const struct job *job, enum kf_code code)
{
    if (code == KF_E_KEYS)
        kf_cli_hint("'keyflight inspect' shows which keys a message was made for.");
    else if (code == KF_E_POLICY && job->policy == KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
        kf_cli_hint("--commitment-policy require-encrypt-allow-decrypt reads suites without commitment.");
}

/* The output comes first: a file that must not be replaced is refused before anything is read. */
static int run_job(struct job *job)
{
    struct kf_cli_failure failure = KF_CLI_FAILURE_INIT;
    struct kf_cli_output output = KF_CLI_OUTPUT_INIT;
    struct kf_cli_input input = KF_CLI_INPUT_INIT;
    struct kf_cmm *cmm = NULL;
    enum kf_code code = kf_cli_output_open(job->out, job->force, 0600, &failure, &output);
    if (code == KF_OK)
        code = kf_cli_keys_open_cmm(&job->keys, KF_CLI_DECRYPTS, job->in, &failure, &cmm);
    if (code == KF_OK)
        code = kf_cli_input_open(job->in, &failure, &input);
    if (code == KF_OK)
        code = decrypt(job, cmm, &input, &output, &failure);
    kf_cmm_unref(cmm);
    kf_cli_input_close(&input);
    kf_cli_output_close(&output);
    if (code == KF_OK)
        return KF_CLASS_OK;
    int status = kf_cli_report(syntax.command, &failure);
    print_hint(job, code);
    kf_cli_keys_hint(&job->keys, code);
    return status;
}

int kf_cli_decrypt(int argc, char **argv)
{
    struct job job = {0};
    struct kf_cli_failure failure = KF_CLI_FAILURE_INIT;
    int status;
    if (kf_cli_keys_begin(&job.keys, argc, &failure) != KF_OK)
        status = kf_cli_report(syntax.command, &failure);
    else if (read_arguments(argc, argv, &job, &status))
        status = run_job(&job);
    kf_cli_keys_end(&job.keys);
    return status;
}
