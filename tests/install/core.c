/* A small program that uses libkeyflight. Built and run by scripts/check-install. */
#include <keyflight/keyflight.h>
#include <stdio.h>

int main(void)
{
    const uint8_t wrapping_key[32] = {0};
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_keyring *keyring = NULL;
    struct kf_cmm *cmm = NULL;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT, letter = KF_BUF_INIT;

    options.key_namespace = kf_view_text("example");
    options.key_name = kf_view_text("key 1");
    options.wrapping_key = kf_view_of(wrapping_key, sizeof wrapping_key);
    enum kf_code code = kf_raw_aes_keyring_new(&options, &error, &keyring);
    if (code == KF_OK)
        code = kf_default_cmm_new(keyring, &error, &cmm);
    if (code == KF_OK)
        code = kf_encrypt(cmm, NULL, kf_view_text("a letter"), &error, &message);
    if (code == KF_OK)
        code = kf_decrypt(cmm, NULL, kf_view_of(message.data, message.length), &error, NULL, &letter);
    printf("%s: %s, %zu bytes\n", KF_VERSION, code == KF_OK ? "decrypted" : error.text, letter.length);
    kf_buf_free(&letter);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_keyring_unref(keyring);
    kf_cleanup();
    return (int)kf_code_class(code);
}
