/* What encrypt, decrypt and doctor have in common: see job.h. Never opens a file. */
#include "job.h"

#include <string.h>

enum kf_code cli_job_begin(struct cli_job *job, int argc, struct cli_failure *failure)
{
    enum kf_code code = cli_keys_begin(&job->keys, argc, failure);
    return code == KF_OK ? cli_context_begin(&job->context, argc, failure) : code;
}

void cli_job_end(struct cli_job *job)
{
    cli_keys_end(&job->keys);
    cli_context_end(&job->context);
}

/* Reads the name of a policy, such as "require-encrypt-require-decrypt". Answers whether it was one. */
static bool read_policy(const char *text, enum kf_commitment_policy *out)
{
    static const struct {
        const char *name;
        enum kf_commitment_policy policy;
    } policies[] = {
        {"require-encrypt-require-decrypt", KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT},
        {"require-encrypt-allow-decrypt", KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT},
        {"forbid-encrypt-allow-decrypt", KF_FORBID_ENCRYPT_ALLOW_DECRYPT},
    };
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        if (strcmp(text, policies[i].name) == 0) {
            *out = policies[i].policy;
            return true;
        }
    }
    return false;
}

bool cli_job_take(struct cli_job *job, const struct cli_syntax *syntax, int id, const char *value,
                  int *status)
{
    *status = 0;
    if (id == 'o')
        job->out = value;
    else if (id == 'f')
        job->force = true;
    else if (id != CLI_POLICY)
        return cli_keys_take(&job->keys, id, value);
    else if (!read_policy(value, &job->policy))
        *status = cli_usage(syntax, "There is no commitment policy '%s'.", value);
    return true;
}

enum kf_code cli_job_context(const struct cli_job *job, struct kf_error *error,
                             const struct kf_encryption_context **out)
{
    return kf_encryption_context_new(job->context.pairs, job->context.pair_count, error, out);
}
