/*
 * bench/small: what a message of 1 KiB costs when its key is cached, against the work that no implementation
 * can avoid.
 *
 * Two questions, each answered as a ratio between things measured in turn in the same run, as the median of
 * many rounds:
 *
 *   suite 0478   the bare work (message id, three HMAC-SHA-512 over reused contexts, one rekey of AES-256-GCM, the header's
 *                tag, one seal) over what kf_encrypt takes: hold 0.7
 *   suite 0578   what OpenSSL's P-384 signature alone takes over what kf_encrypt takes: hold 4
 *
 * Exits with 1 if a hold is not held.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <keyflight/keyflight.h>

#define PLAINTEXT_LENGTH 1024
#define ROUNDS 41

static uint8_t plaintext[PLAINTEXT_LENGTH];

static void check(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench/small: %s failed\n", what);
    exit(7);
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* ---- The bare work of a message ---- */

struct bare {
    EVP_CIPHER *gcm;
    EVP_MD *sha512;
    EVP_CIPHER_CTX *cipher;
    EVP_MD_CTX *digest;
    uint8_t data_key[32];
};

/* One HMAC-SHA-512 by two passes over one reused context. */
static void hmac(struct bare *bare, const uint8_t *key, size_t key_length, const uint8_t *data, size_t length,
                 uint8_t out[64])
{
    uint8_t pad[128];
    unsigned written;
    memset(pad, 0x36, sizeof pad);
    for (size_t i = 0; i < key_length; i++)
        pad[i] ^= key[i];
    EVP_DigestInit_ex2(bare->digest, bare->sha512, NULL);
    EVP_DigestUpdate(bare->digest, pad, sizeof pad);
    EVP_DigestUpdate(bare->digest, data, length);
    EVP_DigestFinal_ex(bare->digest, out, &written);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    EVP_DigestInit_ex2(bare->digest, bare->sha512, NULL);
    EVP_DigestUpdate(bare->digest, pad, sizeof pad);
    EVP_DigestUpdate(bare->digest, out, 64);
    EVP_DigestFinal_ex(bare->digest, out, &written);
}

static void seal(struct bare *bare, const uint8_t *key, uint8_t iv_end, const uint8_t *aad, int aad_length,
                 const uint8_t *in, int length, uint8_t *out)
{
    uint8_t iv[12] = {0}, tag[16];
    int written;
    iv[11] = iv_end;
    check(EVP_EncryptInit_ex2(bare->cipher, key != NULL ? bare->gcm : NULL, key, iv, NULL),
          "EVP_EncryptInit_ex2");
    EVP_EncryptUpdate(bare->cipher, NULL, &written, aad, aad_length);
    if (length > 0)
        EVP_EncryptUpdate(bare->cipher, out, &written, in, length);
    EVP_EncryptFinal_ex(bare->cipher, out, &written);
    EVP_CIPHER_CTX_ctrl(bare->cipher, EVP_CTRL_AEAD_GET_TAG, sizeof tag, tag);
}

static void bare_message(void *context)
{
    struct bare *bare = context;
    uint8_t message_id[32], prk[64], key[64], commit_key[64],
        info[16] = "\x04\x78"
                   "DERIVEKEY\x01";
    static uint8_t aad[200], out[PLAINTEXT_LENGTH];
    check(RAND_bytes(message_id, sizeof message_id), "RAND_bytes");
    hmac(bare, message_id, sizeof message_id, bare->data_key, sizeof bare->data_key, prk);
    hmac(bare, prk, sizeof prk, info, 12, key);
    hmac(bare, prk, sizeof prk, info + 2, 10, commit_key);
    seal(bare, key, 0, aad, sizeof aad, NULL, 0, out);
    seal(bare, NULL, 1, aad, 75, plaintext, PLAINTEXT_LENGTH, out);
}

/* ---- One signature of OpenSSL's ---- */

static void openssl_sign(void *context)
{
    EVP_PKEY *key = context;
    static const uint8_t digest[48] = {1};
    uint8_t signature[128];
    size_t length = sizeof signature;
    EVP_PKEY_CTX *signer = EVP_PKEY_CTX_new(key, NULL);
    check(signer != NULL && EVP_PKEY_sign_init(signer) > 0 &&
              EVP_PKEY_sign(signer, signature, &length, digest, sizeof digest) > 0,
          "EVP_PKEY_sign");
    EVP_PKEY_CTX_free(signer);
}

/* ---- Ours ---- */

struct ours {
    struct kf_cmm *cmm;
    struct kf_encrypt_options options;
    struct kf_buf message;
};

static void our_message(void *context)
{
    struct ours *ours = context;
    struct kf_error error = KF_ERROR_INIT;
    check(kf_encrypt(ours->cmm, &ours->options, kf_view_of(plaintext, sizeof plaintext), &error,
                     &ours->message) == KF_OK,
          error.text);
}

/* ---- Measuring ---- */

static double time_of(void (*work)(void *), void *context, int times)
{
    double start = now_us();
    for (int i = 0; i < times; i++)
        work(context);
    return (now_us() - start) / times;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Measures both in turn and prints the median of baseline over ours; true if it is at least `hold`. */
static int compare(const char *what, void (*baseline)(void *), void *baseline_context, void (*work)(void *),
                   void *context, int times, double hold)
{
    double ratios[ROUNDS], base[ROUNDS], mine[ROUNDS];
    (void)time_of(baseline, baseline_context, times);
    (void)time_of(work, context, times);
    for (int i = 0; i < ROUNDS; i++) {
        base[i] = time_of(baseline, baseline_context, times);
        mine[i] = time_of(work, context, times);
        ratios[i] = base[i] / mine[i];
    }
    qsort(ratios, ROUNDS, sizeof ratios[0], ascending);
    qsort(base, ROUNDS, sizeof base[0], ascending);
    qsort(mine, ROUNDS, sizeof mine[0], ascending);
    double median = ratios[ROUNDS / 2];
    printf("%-58s %8.2f us  %8.2f us  ratio %5.2f (%.2f to %.2f)  hold %.1f  %s\n", what, base[ROUNDS / 2],
           mine[ROUNDS / 2], median, ratios[0], ratios[ROUNDS - 1], hold,
           median >= hold ? "held" : "NOT HELD");
    return median >= hold;
}

int main(void)
{
    static const uint8_t wrapping_key[32] = {7};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_raw_aes_keyring_options keyring_options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    keyring_options.key_namespace = kf_view_text("bench");
    keyring_options.key_name = kf_view_text("small");
    keyring_options.wrapping_key = kf_view_of(wrapping_key, sizeof wrapping_key);
    struct kf_caching_cmm_options cmm_options = KF_CACHING_CMM_OPTIONS_INIT;
    cmm_options.max_age_ms = 3600000;
    const struct kf_encryption_context *context;
    struct ours ours = {NULL, KF_ENCRYPT_OPTIONS_INIT, KF_BUF_INIT};
    check(kf_raw_aes_keyring_new(&keyring_options, &error, &cmm_options.keyring) == KF_OK &&
              kf_cache_new(100, &error, &cmm_options.cache) == KF_OK &&
              kf_caching_cmm_new(&cmm_options, &error, &ours.cmm) == KF_OK &&
              kf_encryption_context_of(&error, &context, "purpose", "bench", (char *)NULL) == KF_OK,
          error.text);
    ours.options.encryption_context = context;

    struct bare bare = {
        .gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL),
        .sha512 = EVP_MD_fetch(NULL, "SHA512", NULL),
        .cipher = EVP_CIPHER_CTX_new(),
        .digest = EVP_MD_CTX_new(),
        .data_key = {1},
    };
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    check(bare.gcm != NULL && bare.sha512 != NULL && bare.cipher != NULL && bare.digest != NULL &&
              key != NULL,
          "setup");

    printf("%-58s %11s  %11s\n", "1 KiB messages, cached key, one thread", "baseline", "keyflight");
    ours.options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    int held = compare("0478 against the bare work", bare_message, &bare, our_message, &ours, 4000, 0.7);
    ours.options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
    held &= compare("0578 against what OpenSSL's signature alone takes", openssl_sign, key, our_message,
                    &ours, 100, 4);

    EVP_PKEY_free(key);
    EVP_MD_CTX_free(bare.digest);
    EVP_CIPHER_CTX_free(bare.cipher);
    EVP_MD_free(bare.sha512);
    EVP_CIPHER_free(bare.gcm);
    kf_buf_free(&ours.message);
    kf_encryption_context_unref(context);
    kf_cmm_unref(ours.cmm);
    kf_cache_unref(cmm_options.cache);
    kf_keyring_unref(cmm_options.keyring);
    return held ? 0 : 1;
}
