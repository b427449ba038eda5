/*
 * AWS, as the commands see it: the options that say how AWS is reached, and the one client made of them.
 * Called by keys/keys.c, doctor.c and storm/report.c; the options are in the tables of encrypt, decrypt, storm and
 * doctor.
 */
#ifndef CLI_AWS_H
#define CLI_AWS_H

#include <keyflight/aws.h>

#include "cli.h"

/* Their ids, above those of any command's own options. */
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

/* What they said; NULL: nothing. */
struct cli_aws {
    const char *region;
    const char *profile;
    const char *endpoint_url;
};

/* Takes an option, if it is one of these; whether it was. */
bool cli_aws_take(struct cli_aws *aws, int id, const char *value);

/* Makes a client: reads the environment and the configuration files, sends nothing. */
enum kf_code cli_aws_client(const struct cli_aws *aws, struct cli_failure *failure,
                            struct kf_aws_client **out);

/* The region in the ARN of a key or an alias; length 0 if `key` is no ARN. */
struct kf_view cli_aws_arn_region(const char *key);

/* Where KMS is asked about `key`, for people to read. */
enum kf_code cli_aws_endpoint(const struct kf_aws_client *client, const char *key, struct kf_error *error,
                              struct kf_buf *out);

#endif
