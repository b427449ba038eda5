/* What doctor found. doctor.c fills it in, doctor_report.c prints it. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <keyflight/aws.h>

#include "cli.h"

struct cli_problem {
    const char *about;
    struct kf_error error;
};

enum {
    CLI_PROBLEMS_MAX = 4
};

struct cli_diagnosis {
    bool has_settings; /* if not, they are wrong, and only the problem is known */
    struct kf_aws_setting profile, region, endpoint, ca_bundle, max_attempts, key;
    char arn_region[64]; /* the region of the key's ARN, if `region` is that */

    const char *access_key_id; /* NULL: there are no credentials; lives as long as the lookup */
    const char *credentials_source;
    uint64_t expires_at;

    bool called; /* KMS was asked to */
    bool generated;
    bool decrypted;

    struct cli_problem problems[CLI_PROBLEMS_MAX];
    size_t problem_count;
};

void cli_diagnosis_print(const struct cli_diagnosis *diagnosis);
void cli_diagnosis_print_json(const struct cli_diagnosis *diagnosis);

#endif
