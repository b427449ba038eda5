/*
 * What doctor found. Filled in by doctor.c, printed by doctor_report.c.
 */
#ifndef KF_CLI_DOCTOR_H
#define KF_CLI_DOCTOR_H

#include <keyflight/aws.h>

#include "cli.h"

struct kf_cli_problem {
    const char *about;
    struct kf_error error;
};

enum {
    KF_CLI_PROBLEMS_MAX = 4
};

struct kf_cli_diagnosis {
    bool has_settings; /* else they are wrong, and nothing but the problem is known */
    struct kf_aws_setting profile, region, endpoint, ca_bundle, max_attempts, key;
    char arn_region[64]; /* room for `region`, if it is the key's */

    const char *access_key_id; /* NULL: there are no credentials; lives as long as the lookup */
    const char *credentials_source;
    uint64_t expires_at;

    bool called; /* KMS was asked to */
    bool generated;
    bool decrypted;

    struct kf_cli_problem problems[KF_CLI_PROBLEMS_MAX];
    size_t problem_count;
};

void kf_cli_diagnosis_print(const struct kf_cli_diagnosis *diagnosis);
void kf_cli_diagnosis_print_json(const struct kf_cli_diagnosis *diagnosis);

#endif
