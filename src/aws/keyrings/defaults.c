/*
 * What the …_INIT macros of the AWS headers say, as functions: see src/defaults.c.
 */
#include <keyflight/aws.h>

#include "base/sized.h"

KFI_SIZED_INIT(aws_client_options, KF_AWS_CLIENT_OPTIONS_INIT)
KFI_SIZED_INIT(aws_settings, KF_AWS_SETTINGS_INIT)
KFI_SIZED_INIT(aws_credentials, KF_AWS_CREDENTIALS_INIT)
KFI_SIZED_INIT(aws_kms_keyring_options, KF_AWS_KMS_KEYRING_OPTIONS_INIT)
KFI_SIZED_INIT(aws_kms_discovery_keyring_options, KF_AWS_KMS_DISCOVERY_KEYRING_OPTIONS_INIT)
