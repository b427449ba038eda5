/*
 * What encrypt, decrypt and doctor have in common: the keys and the encryption context that they were given.
 * For the first two also the input, the output and the commitment policy.
 */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include "context.h"
#include "keys/keys.h"

struct cli_job {
    struct cli_keys keys;
    struct cli_context context;
    enum kf_commitment_policy policy;
    const char *in; /* borrowed paths, as `out`; NULL or "-": a standard stream */
    const char *out;
    bool force; /* `out` may be replaced */
};

/* The id of an option, above those of all commands, of aws.h and of keys.h, and its row. */
enum {
    CLI_POLICY = 1200
};

#define CLI_POLICY_OPTION                                                    \
    {                                                                        \
        CLI_POLICY, "commitment-policy", "P", false,                         \
            "require-encrypt-require-decrypt (the default),\n"               \
            "require-encrypt-allow-decrypt or\nforbid-encrypt-allow-decrypt" \
    }

/* The rows of -o and -f. */
#define CLI_OUTPUT_OPTIONS                                                     \
    {'o', "output", "OUT", false, "write to OUT; - or none: standard output"}, \
    {                                                                          \
        'f', "force", NULL, false, "replace OUT if it exists"                  \
    }

/*
 * Begins with nothing taken, and room for all arguments of a command. cli_job_end is owed after an error too.
 */
enum kf_code cli_job_begin(struct cli_job *job, int argc, struct cli_failure *failure);
void cli_job_end(struct cli_job *job);

/*
 * Takes an option if it is one of these, and answers whether it was. `*status` is then 0 or the exit status
 * of an error.
 */
bool cli_job_take(struct cli_job *job, const struct cli_syntax *syntax, int id, const char *value,
                  int *status);

/* A new encryption context of the pairs; the caller owns one reference. */
enum kf_code cli_job_context(const struct cli_job *job, struct kf_error *error,
                             const struct kf_encryption_context **out);

#endif
