/* keyflight encrypt: plaintext in, message out. Called by main. Never writes a message to a terminal. */
#include "job.h"
#include "output.h"
#include "transfer.h"

enum {
    SUITE = 256,
    FRAME_LENGTH,
    REQUIRE_CONTEXT
};

static const struct cli_option options[] = {
    {'k', "key", "KEY", true, CLI_KEY_HELP ";\neach of several can decrypt; the first makes the\ndata key"},
    {'c', "context", "NAME=VALUE", true,
     "a pair of the encryption context, which is stored\nin the clear and authenticated; repeatable"},
    {REQUIRE_CONTEXT, "require-context", "NAME", true,
     "do not store the pair of this name, so that it has\nto be given again to decrypt; repeatable"},
    CLI_OUTPUT_OPTIONS,
    {SUITE, "suite", "S", false,
     "algorithm suite, as 0478 or by its full name; the\ndefault depends on the policy"},
    CLI_POLICY_OPTION,
    {FRAME_LENGTH, "frame-length", "N", false, "plaintext bytes in a frame; the default is 4096"},
    CLI_PASSPHRASE_OPTION,
    CLI_AWS_OPTIONS,
    {0},
};

static const struct cli_syntax syntax = {
    .command = "encrypt",
    .synopsis = "-k KEY... [-c NAME=VALUE]... [OPTION]... [IN]",
    .about = "Encrypts IN, or the standard input, into a message of the AWS Encryption SDK.",
    .has_operand = true,
    .options = options,
};

struct encrypt_job {
    struct cli_job common;             /* names in its context: the pairs that are not stored */
    const struct kf_suite_info *suite; /* NULL: the policy's */
    uint64_t frame_length;
};

static int encrypt_take(void *self, int id, const char *value)
{
    struct encrypt_job *job = self;
    int status;
    if (cli_job_take(&job->common, &syntax, id, value, &status))
        return status;
    switch (id) {
    case 'c':
        if (cli_context_take_pair(&job->common.context, value))
            return 0;
        return cli_usage(&syntax, "A pair of the encryption context is NAME=VALUE, not '%s'.", value);
    case REQUIRE_CONTEXT:
        if (cli_context_take_name(&job->common.context, value))
            return 0;
        return cli_usage(&syntax,
                         "A name of the encryption context is not empty and has no '=', unlike '%s'.", value);
    case SUITE:
        job->suite = kf_suite_find(value);
        if (job->suite != NULL)
            return 0;
        return cli_usage(&syntax, "There is no algorithm suite '%s'; try 0578 or 0478.", value);
    default: /* FRAME_LENGTH */
        if (cli_number(value, 1, UINT32_MAX, &job->frame_length))
            return 0;
        return cli_usage(&syntax, "A frame has 1 to 4294967295 bytes, not '%s'.", value);
    }
}

/*
 * Whether there is a key, and a pair for every name that is required. If not, `*status` is the exit status.
 */
static bool encrypt_check(const struct cli_job *job, int *status)
{
    const struct cli_context *context = &job->context;
    if (job->keys.count == 0) {
        *status = cli_usage(&syntax, "A key is needed: -k KEY.");
        return false;
    }
    for (size_t i = 0; i < context->name_count; i++) {
        struct kf_view name = context->names[i];
        if (cli_context_has(context, name))
            continue;
        *status =
            cli_usage(&syntax, "The name '%.*s' of --require-context has no pair; give -c '%.*s=VALUE' too.",
                      (int)name.length, (const char *)name.data, (int)name.length, (const char *)name.data);
        return false;
    }
    return true;
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

static enum kf_code encrypt_input(const struct encrypt_job *job, struct kf_encryptor *encryptor,
                                  struct cli_output *output, struct cli_failure *failure)
{
    struct cli_input input = CLI_INPUT_INIT;
    enum kf_code code = cli_input_open(job->common.in, failure, &input);
    if (code != KF_OK)
        return code;
    struct cli_transfer run = {&input, poll_encryptor, encryptor_error, encryptor, put_output, output};
    code = cli_transfer(&run, failure);
    cli_input_close(&input);
    return code == KF_OK ? cli_output_commit(output, failure) : code;
}

static enum kf_code encrypt_with(const struct encrypt_job *job, struct kf_cmm *cmm, struct cli_output *output,
                                 struct cli_failure *failure)
{
    const struct kf_encryption_context *context;
    enum kf_code code = cli_job_context(&job->common, &failure->error, &context);
    if (code != KF_OK)
        return code;
    struct kf_encrypt_options settings = KF_ENCRYPT_OPTIONS_INIT;
    settings.encryption_context = context;
    settings.suite = job->suite != NULL ? job->suite->id : KF_SUITE_DEFAULT;
    settings.commitment_policy = job->common.policy;
    settings.frame_length = (uint32_t)job->frame_length;
    struct kf_encryptor *encryptor = NULL;
    code = kf_encryptor_new(cmm, &settings, &failure->error, &encryptor);
    if (code == KF_OK)
        code = encrypt_input(job, encryptor, output, failure);
    kf_encryptor_free(encryptor);
    kf_encryption_context_unref(context);
    return code;
}

/* Opens the output first: a file that must not be replaced is refused before anything is read. */
static enum kf_code encrypt_run(struct encrypt_job *job, struct cli_failure *failure)
{
    struct cli_output output = CLI_OUTPUT_INIT;
    struct kf_cmm *cmm = NULL;
    enum kf_code code = cli_output_open(job->common.out, job->common.force, 0666, failure, &output);
    if (code == KF_OK && output.is_terminal)
        code = cli_fail(failure, output.name, KF_E_USAGE,
                        "A message is not text and is not written to a terminal; give -o FILE.");
    if (code == KF_OK)
        code = cli_keys_open_cmm(&job->common.keys, CLI_ENCRYPTS, job->common.in, job->common.context.names,
                                 job->common.context.name_count, failure, &cmm);
    if (code == KF_OK)
        code = encrypt_with(job, cmm, &output, failure);
    kf_cmm_unref(cmm);
    cli_output_close(&output);
    return code;
}

static void encrypt_hint(const struct encrypt_job *job)
{
    if (job->suite == NULL)
        return;
    if (job->common.policy != KF_FORBID_ENCRYPT_ALLOW_DECRYPT && !job->suite->commits)
        cli_hint("--commitment-policy forbid-encrypt-allow-decrypt allows suites without key commitment.");
    if (job->common.policy == KF_FORBID_ENCRYPT_ALLOW_DECRYPT && job->suite->commits)
        cli_hint("This policy forbids suites with key commitment; leave out --commitment-policy to use this "
                 "suite.");
}

int cli_encrypt(int argc, char **argv)
{
    struct encrypt_job job = {.frame_length = 4096};
    struct cli_failure failure = CLI_FAILURE_INIT;
    int status;
    if (cli_job_begin(&job.common, argc, &failure) != KF_OK) {
        status = cli_report(syntax.command, &failure);
    } else if (cli_read_arguments(&syntax, argc, argv, encrypt_take, &job, &job.common.in, &status) &&
               encrypt_check(&job.common, &status)) {
        enum kf_code code = encrypt_run(&job, &failure);
        status = code == KF_OK ? KF_CLASS_OK : cli_report(syntax.command, &failure);
        if (code == KF_E_POLICY)
            encrypt_hint(&job);
        cli_keys_hint(&job.common.keys, code);
    }
    cli_job_end(&job.common);
    return status;
}
