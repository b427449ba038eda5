/*
 * A small program that uses libkeyflight-aws: makes a keyring of a key in AWS KMS and asks it for a data key, at a
 * service that is not there. Built and run by scripts/check-install.
 */
#include <keyflight/aws.h>
#include <keyflight/keyflight.h>
#include <stdio.h>

int main(void)
{
    struct kf_aws_client_options connecting = KF_AWS_CLIENT_OPTIONS_INIT;
    struct kf_aws_kms_keyring_options options = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    struct kf_aws_client *client = NULL;
    struct kf_keyring *keyring = NULL;
    struct kf_cmm *cmm = NULL;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT;

    connecting.endpoint_url = "http://127.0.0.1:1";
    connecting.max_attempts = 1;
    options.generator = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    enum kf_code code = kf_aws_client_new(&connecting, &error, &client);
    options.client = client;
    if (code == KF_OK)
        code = kf_aws_kms_keyring_new(&options, &error, &keyring);
    if (code == KF_OK)
        code = kf_default_cmm_new(keyring, &error, &cmm);
    if (code == KF_OK)
        code = kf_encrypt(cmm, NULL, kf_view_text("a letter"), &error, &message);
    printf("%s: %s: %s\n", KF_VERSION, kf_code_name(code), error.text);
    kf_cmm_unref(cmm);
    kf_keyring_unref(keyring);
    kf_aws_client_unref(client);
    kf_cleanup();
    return code != KF_E_RETRY;
}
