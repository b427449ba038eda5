/*
 * AWS: the options that say how it is reached, the one client that is made of them, and the keyrings of keys
 * in AWS KMS. Called by keys/keys.c, doctor.c and storm/report.c. The options are in the tables of encrypt,
 * decrypt, storm and doctor.
 *
 * A build without libkeyflight-aws has no_aws.c in the place of aws.c, doctor.c and doctor_report.c.
 */
#ifndef CLI_AWS_H
#define CLI_AWS_H

#include <keyflight/aws.h>

#include "cli.h"

/* Ids of options, above those of all commands. */
enum {
    CLI_REGION = 1000,
    CLI_PROFILE,
    CLI_ENDPOINT_URL
};

/* Rows of a table of options. */
#define CLI_AWS_OPTIONS                                                                                \
    {CLI_REGION, "region", "R", false, "AWS region of KMS keys that are not given by ARN"},            \
        {CLI_PROFILE, "profile", "NAME", false, "profile of the shared AWS configuration files"},      \
    {                                                                                                  \
        CLI_ENDPOINT_URL, "endpoint-url", "URL", false, "endpoint of KMS; the default is the region's" \
    }

/*
 * The values of the options (NULL: not given), and the client, which is made when it is first needed. Begin
 * with zeros.
 */
struct cli_aws {
    const char *region;
    const char *profile;
    const char *endpoint_url;
    struct kf_aws_client *client;
};

void cli_aws_end(struct cli_aws *aws);

/*
 * Makes the client unless there is one. That reads the environment and the configuration files, and sends
 * nothing.
 */
enum kf_code cli_aws_connect(struct cli_aws *aws, struct cli_failure *failure);

/*
 * Makes a keyring of keys in KMS. `generator` may be NULL; another keyring then makes the data key. The
 * caller owns one reference of `*out`.
 */
enum kf_code cli_aws_kms_keyring(struct cli_aws *aws, const char *generator, const char *const *key_ids,
                                 size_t key_id_count, struct cli_failure *failure, struct kf_keyring **out);

/*
 * Makes a keyring that decrypts with any key in KMS, or with those of `filter`: "" or
 * "PARTITION:ACCOUNT,...". `value` is that of -k, for errors.
 */
enum kf_code cli_aws_discovery_keyring(struct cli_aws *aws, const char *value, const char *filter,
                                       struct cli_failure *failure, struct kf_keyring **out);

/* The region in the ARN of a key or an alias; length 0 if `key` is no ARN. */
struct kf_view cli_aws_arn_region(const char *key);

/* The endpoint where KMS is asked about `key`, as text for people. */
enum kf_code cli_aws_endpoint(const struct cli_aws *aws, const char *key, struct kf_error *error,
                              struct kf_buf *out);

#endif
