/*
 * The program without libkeyflight-aws (KEYFLIGHT_AWS=OFF): this file is built in the place of aws.c, doctor.c and
 * doctor_report.c, refuses keys in AWS KMS, and never has a client.
 */
#include "aws.h"

#define WITHOUT_AWS "This program was built without AWS: it takes key files only."
static enum kf_code refuse(struct cli_failure *failure)
{
    return cli_fail(failure, NULL, KF_E_USAGE, WITHOUT_AWS);
}

enum kf_code cli_aws_kms_keyring(struct cli_aws *aws, const char *generator, const char *const *key_ids,
                                 size_t key_id_count, struct cli_failure *failure, struct kf_keyring **out)
{
    (void)aws, (void)generator, (void)key_ids, (void)key_id_count, (void)out;
    return refuse(failure);
}

enum kf_code cli_aws_discovery_keyring(struct cli_aws *aws, const char *value, const char *filter,
                                       struct cli_failure *failure, struct kf_keyring **out)
{
    (void)aws, (void)value, (void)filter, (void)out;
    return refuse(failure);
}

enum kf_code cli_aws_endpoint(const struct cli_aws *aws, const char *key, struct kf_error *error,
                              struct kf_buf *out)
{
    (void)aws, (void)key, (void)out;
    return kf_error_set(error, KF_E_USAGE, WITHOUT_AWS);
}

void cli_aws_end(struct cli_aws *aws)
{
    (void)aws;
}

int cli_doctor(int argc, char **argv)
{
    struct cli_failure failure = CLI_FAILURE_INIT;
    (void)argc, (void)argv;
    refuse(&failure);
    return cli_report("doctor", &failure);
}
