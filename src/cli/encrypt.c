/*
 * keyflight encrypt: plaintext in, message out.
 */
#include "context.h"
#include "keys/keys.h"
#include "output.h"
#include "transfer.h"

enum {
    SUITE = 256,
    POLICY,
    FRAME_LENGTH,
    REQUIRE_CONTEXT
};

static const struct cli_option options[] = {
    {'k', "key", "KEY", true, CLI_KEY_HELP ";\nany of several can decrypt, the first makes the\ndata key"},
    {'c', "context", "NAME=VALUE", true,
     "a pair of the encryption context: stored in the\nclear and authenticated; repeatable"},
    {REQUIRE_CONTEXT, "require-context", "NAME", true,
     "do not store this pair: to decrypt, it has to be\ngiven again; repeatable"},
    {'o', "output", "OUT", false, "write to OUT; - or none: standard output"},
    {'f', "force", NULL, false, "replace OUT if it exists"},
    {SUITE, "suite", "S", false,
     "algorithm suite, as 0478 or by its full name; the\ndefault is what the policy prefers"},
    {POLICY, "commitment-policy", "P", false, CLI_POLICY_HELP},
    {FRAME_LENGTH, "frame-length", "N", false, "plaintext bytes in a frame; the default is 4096"},
    CLI_PASSPHRASE_OPTION,
    CLI_AWS_OPTIONS,
    {0},
};

static const struct cli_syntax syntax = {
    .command = "encrypt",
    .synopsis = "-k KEY... [-c NAME=VALUE]... [OPTION]... [-o OUT] [IN]",
    .about = "Encrypts IN, or the standard input, into a message of the AWS Encryption SDK.",
    .operands = 1,
    .options = options,
};

struct job {
    struct cli_keys keys;
    struct cli_context context;        /* names: those that are required */
    const struct kf_suite_info *suite; /* NULL: the policy's */
    enum kf_commitment_policy policy;
    uint64_t frame_length;
    const char *in;
    const char *out;
    bool force;
};

/* Takes one option; otherwise `*status`. */
static bool take_option(struct job *job, int id, const char *value, int *status)
{
    if (cli_keys_take(&job->keys, id, value))
        return true;
    switch (id) {
    case 'c':
        if (cli_context_take_pair(&job->context, value))
            return true;
        *status = cli_usage(&syntax, "A pair of the encryption context is NAME=VALUE, not '%s'.", value);
        return false;
    case REQUIRE_CONTEXT:
        if (cli_context_take_name(&job->context, value))
            return true;
        *status =
            cli_usage(&syntax, "A name of the encryption context is not empty and has no '=': '%s'.", value);
        return false;
    case 'o':
        job->out = value;
        return true;
    case 'f':
        job->force = true;
        return true;
    case SUITE:
        job->suite = kf_suite_find(value);
        if (job->suite != NULL)
            return true;
        *status =
            cli_usage(&syntax, "There is no suite '%s'; 0578 and 0478 are the ones to choose from.", value);
        return false;
    case POLICY:
        if (cli_policy(value, &job->policy))
            return true;
        *status = cli_usage(&syntax, "There is no commitment policy '%s'.", value);
        return false;
    case FRAME_LENGTH:
        if (cli_number(value, 1, UINT32_MAX, &job->frame_length))
            return true;
        *status = cli_usage(&syntax, "A frame has 1 to 4294967295 bytes, not '%s'.", value);
        return false;
    default: /* CLI_STOP */
        return false;
    }
}

/* Whether every name that is required has a pair; otherwise `*status`. */
static bool check_required(const struct cli_context *context, int *status)
{
    for (size_t i = 0; i < context->name_count; i++) {
        struct kf_view name = context->names[i];
        if (cli_context_has(context, name))
            continue;
        *status =
            cli_usage(&syntax, "The required name '%.*s' has no pair: give -c '%.*s=VALUE' too.",
                      (int)name.length, (const char *)name.data, (int)name.length, (const char *)name.data);
        return false;
    }
    return true;
}

static bool read_arguments(int argc, char **argv, struct job *job, int *status)
{
    struct cli_arguments arguments = {.syntax = &syntax, .argc = argc, .argv = argv};
    for (int id; (id = cli_next(&arguments, status)) != CLI_END;) {
        if (!take_option(job, id, arguments.value, status))
            return false;
    }
    job->in = arguments.operands[0];
    if (job->keys.count > 0)
        return check_required(&job->context, status);
    *status = cli_usage(&syntax, "A key is needed: -k KEY.");
    return false;
}

/* ---- The work ---- */

static enum kf_code poll_encryptor(void *operation, struct kf_io *io)
{
    return kf_encryptor_poll(operation, io, NULL);
}

static const struct kf_error *encryptor_error(void *operation)
{
    return kf_encryptor_error(operation);
}

static enum kf_code put_output(void *sink, struct kf_view bytes, struct cli_failure *failure)
{
    return cli_output_write(sink, bytes, failure);
}

static enum kf_code transfer(const struct job *job, struct kf_encryptor *encryptor, struct cli_output *output,
                             struct cli_failure *failure)
{
    struct cli_input input = CLI_INPUT_INIT;
    enum kf_code code = cli_input_open(job->in, failure, &input);
    if (code != KF_OK)
        return code;
    struct cli_transfer run = {&input, poll_encryptor, encryptor_error, encryptor, put_output, output};
    code = cli_transfer(&run, failure);
    cli_input_close(&input);
    return code == KF_OK ? cli_output_commit(output, failure) : code;
}

static enum kf_code encrypt(const struct job *job, struct kf_cmm *cmm, struct cli_output *output,
                            struct cli_failure *failure)
{
    const struct kf_encryption_context *context;
    enum kf_code code =
        kf_encryption_context_new(job->context.pairs, job->context.pair_count, &failure->error, &context);
    if (code != KF_OK)
        return code;
    struct kf_encrypt_options settings = KF_ENCRYPT_OPTIONS_INIT;
    settings.encryption_context = context;
    settings.suite = job->suite != NULL ? job->suite->id : KF_SUITE_DEFAULT;
    settings.commitment_policy = job->policy;
    settings.frame_length = (uint32_t)job->frame_length;
    struct kf_encryptor *encryptor = NULL;
    code = kf_encryptor_new(cmm, &settings, &failure->error, &encryptor);
    if (code == KF_OK)
        code = transfer(job, encryptor, output, failure);
    kf_encryptor_free(encryptor);
    kf_encryption_context_unref(context);
    return code;
}

/* The output comes first: a file that must not be replaced is refused before anything is read. */
static enum kf_code run_job(struct job *job, struct cli_failure *failure)
{
    struct cli_output output = CLI_OUTPUT_INIT;
    struct kf_cmm *cmm = NULL;
    enum kf_code code = cli_output_open(job->out, job->force, 0666, failure, &output);
    if (code == KF_OK && output.is_terminal)
        code = cli_fail(failure, output.name, KF_E_USAGE,
                        "A message is not text and is not written to a terminal; give -o FILE.");
    if (code == KF_OK)
        code = cli_keys_open_cmm(&job->keys, CLI_ENCRYPTS, job->in, job->context.names,
                                 job->context.name_count, failure, &cmm);
    if (code == KF_OK)
        code = encrypt(job, cmm, &output, failure);
    kf_cmm_unref(cmm);
    cli_output_close(&output);
    return code;
}

static void print_hint(const struct job *job)
{
    if (job->suite == NULL)
        return;
    if (job->policy != KF_FORBID_ENCRYPT_ALLOW_DECRYPT && !job->suite->commits)
        cli_hint("--commitment-policy forbid-encrypt-allow-decrypt allows suites without key commitment.");
    if (job->policy == KF_FORBID_ENCRYPT_ALLOW_DECRYPT && job->suite->commits)
        cli_hint("The policy forbids suites with key commitment; leave it out to use this one.");
}

int cli_encrypt(int argc, char **argv)
{
    struct job job = {.frame_length = 4096};
    struct cli_failure failure = CLI_FAILURE_INIT;
    int status;
    if (cli_keys_begin(&job.keys, argc, &failure) != KF_OK ||
        cli_context_begin(&job.context, argc, &failure) != KF_OK) {
        status = cli_report(syntax.command, &failure);
    } else if (read_arguments(argc, argv, &job, &status)) {
        enum kf_code code = run_job(&job, &failure);
        status = code == KF_OK ? KF_CLASS_OK : cli_report(syntax.command, &failure);
        if (code == KF_E_POLICY)
            print_hint(&job);
        cli_keys_hint(&job.keys, code);
    }
    cli_keys_end(&job.keys);
    cli_context_end(&job.context);
    return status;
}
