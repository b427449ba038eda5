/*
 * What the …_INIT macros of the public headers say, as functions, for callers that know no macros: bindings.
 * Called by nothing of ours.
 */
#include <keyflight/keyflight.h>

#include "base/sized.h"

KFI_SIZED_INIT(raw_aes_keyring_options, KF_RAW_AES_KEYRING_OPTIONS_INIT)
KFI_SIZED_INIT(raw_rsa_keyring_options, KF_RAW_RSA_KEYRING_OPTIONS_INIT)
KFI_SIZED_INIT(raw_ecdh_keyring_options, KF_RAW_ECDH_KEYRING_OPTIONS_INIT)
KFI_SIZED_INIT(raw_key_info, KF_RAW_KEY_INFO_INIT)
KFI_SIZED_INIT(blocking_keyring_options, KF_BLOCKING_KEYRING_OPTIONS_INIT)
KFI_SIZED_INIT(required_encryption_context_cmm_options, KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT)
KFI_SIZED_INIT(caching_cmm_options, KF_CACHING_CMM_OPTIONS_INIT)
KFI_SIZED_INIT(cache_stats, KF_CACHE_STATS_INIT)
KFI_SIZED_INIT(encrypt_options, KF_ENCRYPT_OPTIONS_INIT)
KFI_SIZED_INIT(decrypt_options, KF_DECRYPT_OPTIONS_INIT)
KFI_SIZED_INIT(jobs_options, KF_JOBS_OPTIONS_INIT)

void kf_error_init(struct kf_error *out)
{
    *out = (struct kf_error)KF_ERROR_INIT;
}

void kf_buf_init(struct kf_buf *out)
{
    *out = (struct kf_buf)KF_BUF_INIT;
}

const char *kf_version(void)
{
    return KF_VERSION;
}
