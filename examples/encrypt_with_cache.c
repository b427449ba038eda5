/* Encrypts three messages under one cached data key, and decrypts the last of them. */
#include <keyflight/keyflight.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

int main(void)
{
    uint8_t key[32]; /* a program keeps its own in a safe place */
    struct kf_raw_aes_keyring_options ring = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_caching_cmm_options caching = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_cache_stats stats = KF_CACHE_STATS_INIT;
    struct kf_buf message = KF_BUF_INIT, letter = KF_BUF_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = NULL;

    if (getrandom(key, sizeof key, 0) != sizeof key)
        return KF_CLASS_SYSTEM;
    ring.key_name = kf_view_text("key 1");
    ring.wrapping_key = kf_view_of(key, sizeof key);
    caching.max_age_ms = 60000;
    caching.max_messages = 1000;
    bool ok = kf_raw_aes_keyring_new(&ring, &error, &caching.keyring) == KF_OK &&
              kf_cache_new(100, &error, &caching.cache) == KF_OK &&
              kf_caching_cmm_new(&caching, &error, &cmm) == KF_OK;
    explicit_bzero(key, sizeof key); /* the keyring has a copy and wipes it */
    for (int i = 0; ok && i < 3; i++)
        ok = kf_encrypt(cmm, NULL, kf_view_text("a letter"), &error, &message) == KF_OK;
    ok =
        ok && kf_decrypt(cmm, NULL, kf_view_of(message.data, message.length), &error, NULL, &letter) == KF_OK;
    if (ok) {
        kf_cache_stats_read(caching.cache, &stats);
        printf("decrypted: %.*s\n", (int)letter.length, (const char *)letter.data);
        printf("hits: %d, keys fetched: %d\n", (int)stats.hits, (int)stats.flights_opened);
    } else {
        fprintf(stderr, "%s\n", error.text);
    }
    kf_buf_free(&letter);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_cache_unref(caching.cache);
    kf_keyring_unref(caching.keyring);
    return (int)kf_code_class(error.code);
}
