/* Encrypts a thousand messages under data keys from AWS KMS, of which the cache needs ten. */
#include <keyflight/aws.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGES 1000

int main(void)
{
    struct kf_aws_client_options connecting = KF_AWS_CLIENT_OPTIONS_INIT;
    struct kf_aws_kms_keyring_options ring = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    struct kf_caching_cmm_options caching = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_encrypt_options encrypting = KF_ENCRYPT_OPTIONS_INIT;
    const struct kf_encryption_context *context = NULL;
    struct kf_cache_stats stats = KF_CACHE_STATS_INIT;
    struct kf_aws_client *client = NULL;
    struct kf_keyring *keyring = NULL;
    struct kf_cmm *cmm = NULL;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT;

    ring.generator = getenv("KMS_KEY_ARN");
    if (ring.generator == NULL) {
        puts("Set KMS_KEY_ARN to the ARN of a key, and AWS credentials as for any AWS program.");
        return 0;
    }
    caching.max_age_ms = 5 * 60 * 1000; /* how long a key may be used that KMS would no longer give */
    caching.max_messages = 100;         /* how many messages are readable with one stolen data key */

    enum kf_code code = kf_aws_client_new(&connecting, &error, &client);
    ring.client = client;
    if (code == KF_OK)
        code = kf_aws_kms_keyring_new(&ring, &error, &keyring);
    caching.keyring = keyring;
    if (code == KF_OK)
        code = kf_cache_new(100, &error, &caching.cache);
    if (code == KF_OK)
        code = kf_caching_cmm_new(&caching, &error, &cmm);
    if (code == KF_OK) /* it shows in CloudTrail, and decryption needs the same again */
        code = kf_encryption_context_of(&error, &context, "purpose", "example", (char *)NULL);
    encrypting.encryption_context = context;
    for (int i = 0; i < MESSAGES && code == KF_OK; i++)
        code = kf_encrypt(cmm, &encrypting, kf_view_text("a letter"), &error, &message);
    if (code == KF_OK) {
        kf_cache_stats_read(caching.cache, &stats);
        printf("%d messages, %d requests to KMS\n", MESSAGES, (int)stats.flights_opened);
    } else {
        fprintf(stderr, "%s\n", error.text);
    }
    kf_buf_free(&message);
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
    kf_cache_unref(caching.cache);
    kf_keyring_unref(keyring);
    kf_aws_client_unref(client);
    return (int)kf_code_class(code);
}
