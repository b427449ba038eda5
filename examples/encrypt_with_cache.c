/* Encrypts three messages under one cached data key and decrypts one of them. */
#include <keyflight/keyflight.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

int main(void)
{
    static const char *const letters[] = {"first", "second", "third"};
    uint8_t wrapping_key[32]; /* a program keeps its own in a safe place */
    struct kf_raw_aes_keyring_options ring = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_caching_cmm_options caching = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_cache_stats stats = KF_CACHE_STATS_INIT;
    struct kf_keyring *keyring = NULL;
    struct kf_cmm *cmm = NULL;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT, letter = KF_BUF_INIT;
    enum kf_code code;

    if (getrandom(wrapping_key, sizeof wrapping_key, 0) != (ssize_t)sizeof wrapping_key)
        return KF_CLASS_SYSTEM;
    ring.key_namespace = kf_view_text("example");
    ring.key_name = kf_view_text("key 1");
    ring.wrapping_key = kf_view_of(wrapping_key, sizeof wrapping_key);
    caching.max_age_ms = 60000;
    caching.max_messages = 1000;

    code = kf_cache_new(100, &error, &caching.cache);
    if (code == KF_OK)
        code = kf_raw_aes_keyring_new(&ring, &error, &keyring);
    explicit_bzero(wrapping_key, sizeof wrapping_key); /* the keyring has a copy and wipes it */
    caching.keyring = keyring;
    if (code == KF_OK)
        code = kf_caching_cmm_new(&caching, &error, &cmm);
    for (size_t i = 0; code == KF_OK && i < 3; i++)
        code = kf_encrypt(cmm, NULL, kf_view_text(letters[i]), &error, &message);
    if (code == KF_OK)
        code = kf_decrypt(cmm, NULL, kf_view_of(message.data, message.length), &error, NULL, &letter);
    if (code == KF_OK) {
        kf_cache_stats_read(caching.cache, &stats);
        printf("decrypted: %.*s\n", (int)letter.length, (const char *)letter.data);
        printf("hits: %d, keys fetched: %d\n", (int)stats.hits, (int)stats.flights_opened);
    } else {
        fprintf(stderr, "%s\n", error.text);
    }
    kf_buf_free(&letter);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_keyring_unref(keyring);
    kf_cache_unref(caching.cache);
    return (int)kf_code_class(code);
}
