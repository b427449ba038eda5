/*
 * RSA: what the openssl command encrypted, every padding by itself and against the others, and which keys are
 * refused.
 */
#include <stdio.h>

#include "support/client.h"
#include "support/keys.h"

#include "base/bytes.h"
#include "suite/rsa.h"

static const enum kf_rsa_padding paddings[] = {KF_RSA_PKCS1, KF_RSA_OAEP_SHA1, KF_RSA_OAEP_SHA256,
                                               KF_RSA_OAEP_SHA384, KF_RSA_OAEP_SHA512};
static const char *const by_openssl[] = {"rsa-pkcs1.bin", "rsa-oaep-sha1.bin", "rsa-oaep-sha256.bin",
                                         "rsa-oaep-sha384.bin", "rsa-oaep-sha512.bin"};
#define PADDINGS 5

static struct kfi_rsa_key *key_of(const char *file, bool is_private)
{
    struct kfi_rsa_key *key;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kfi_rsa_key_new(key_file(file), is_private, NULL, &error, &key), &error);
    return key;
}

/*
 * A ciphertext that does not decrypt. From OpenSSL 3.2 on bad PKCS#1 v1.5 padding gives random bytes, which may
 * have the wanted length: then they are not the data key.
 */
static void check_refused(const struct kfi_rsa_key *key, enum kf_rsa_padding padding,
                          struct kf_view ciphertext)
{
    uint8_t out[32] = {0};
    const enum kf_code code = kfi_rsa_decrypt(key, padding, ciphertext, NULL, out, sizeof out);
    if (code == KF_OK && padding == KF_RSA_PKCS1) {
        assert_memory_not_equal(out, key_file("data-key.bin").data, sizeof out);
        return;
    }
    static const uint8_t zeros[32];
    assert_int_equal(code, KF_E_FORGED);
    assert_memory_equal(out, zeros, sizeof out);
}

static void what_openssl_encrypted_is_decrypted(void **state)
{
    (void)state;
    struct kfi_rsa_key *key = key_of("rsa-pkcs8.pem", true), *other = key_of("other-rsa-pkcs8.pem", true);
    for (size_t p = 0; p < PADDINGS; p++) {
        const struct kf_view ciphertext = key_file(by_openssl[p]);
        uint8_t out[32];
        assert_int_equal(kfi_rsa_decrypt(key, paddings[p], ciphertext, NULL, out, 32), KF_OK);
        assert_memory_equal(out, key_file("data-key.bin").data, 32);
        check_refused(other, paddings[p], ciphertext);
        for (size_t q = 0; q < PADDINGS; q++) {
            if (q != p)
                check_refused(key, paddings[q], ciphertext);
        }
    }
    kfi_rsa_key_free(key);
    kfi_rsa_key_free(other);
}

static void it_decrypts_what_it_encrypts(void **state)
{
    (void)state;
    static const char *const names[] = {"rsa", "rsa3072"};
    for (size_t n = 0; n < 2; n++) {
        char public_file[64], private_file[64];
        snprintf(public_file, sizeof public_file, "%s-public.pem", names[n]);
        snprintf(private_file, sizeof private_file, "%s-pkcs8.pem", names[n]);
        struct kfi_rsa_key *public_key = key_of(public_file, false), *key = key_of(private_file, true);
        const size_t length = kfi_rsa_key_length(public_key);
        assert_int_equal(length, n == 0 ? 256 : 384);
        assert_int_equal(kfi_rsa_key_length(key), length);
        for (size_t p = 0; p < PADDINGS; p++) {
            for (size_t bytes = 16; bytes <= 32; bytes += 8) {
                uint8_t ciphertext[2][384], out[32];
                const struct kf_view plaintext = kf_view_of(key_file("data-key.bin").data, bytes);
                for (size_t i = 0; i < 2; i++)
                    assert_int_equal(kfi_rsa_encrypt(public_key, paddings[p], plaintext, NULL, ciphertext[i]),
                                     KF_OK);
                assert_memory_not_equal(ciphertext[0], ciphertext[1], length);
                const struct kf_view first = kf_view_of(ciphertext[0], length);
                assert_int_equal(kfi_rsa_decrypt(key, paddings[p], first, NULL, out, bytes), KF_OK);
                assert_memory_equal(out, plaintext.data, bytes);
                /* A data key of any other length is refused. */
                assert_int_equal(kfi_rsa_decrypt(key, paddings[p], first, NULL, out, bytes - 8), KF_E_FORGED);
                assert_int_equal(kfi_rsa_decrypt(key, paddings[p], first, NULL, out, bytes + 8), KF_E_FORGED);
            }
        }
        kfi_rsa_key_free(public_key);
        kfi_rsa_key_free(key);
    }
}

static void changed_ciphertexts_are_refused(void **state)
{
    (void)state;
    struct kfi_rsa_key *key = key_of("rsa-pkcs8.pem", true);
    for (size_t p = 0; p < PADDINGS; p++) {
        uint8_t changed[257] = {0};
        const struct kf_view ciphertext = key_file(by_openssl[p]);
        memcpy(changed, ciphertext.data, 256);
        for (size_t i = 0; i < 256; i += 5) {
            changed[i] ^= (uint8_t)(1 << i % 8);
            check_refused(key, paddings[p], kf_view_of(changed, 256));
            changed[i] = ciphertext.data[i];
        }
        uint8_t out[32];
        static const size_t lengths[] = {0, 1, 32, 255, 257};
        for (size_t i = 0; i < 5; i++) /* these are refused for their length alone */
            assert_int_equal(
                kfi_rsa_decrypt(key, paddings[p], kf_view_of(changed, lengths[i]), NULL, out, 32),
                KF_E_FORGED);
        memset(changed, 0xff, 256); /* larger than the modulus */
        check_refused(key, paddings[p], kf_view_of(changed, 256));
        memset(changed, 0, 256);
        check_refused(key, paddings[p], kf_view_of(changed, 256));
    }
    kfi_rsa_key_free(key);
}

static void pairs_are_recognised(void **state)
{
    (void)state;
    struct kfi_rsa_key *public_key = key_of("rsa-public.pem", false), *key = key_of("rsa-pkcs8.pem", true);
    struct kfi_rsa_key *other = key_of("other-rsa-pkcs8.pem", true);
    assert_true(kfi_rsa_key_matches(public_key, key));
    assert_false(kfi_rsa_key_matches(public_key, other));
    kfi_rsa_key_free(public_key);
    kfi_rsa_key_free(key);
    kfi_rsa_key_free(other);
    kfi_rsa_key_free(NULL);
}

/* ---- Keys that are refused ---- */

static void check_key(struct kf_view text, bool is_private, const char *says)
{
    struct kfi_rsa_key *key;
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kfi_rsa_key_new(text, is_private, NULL, &error, &key), KF_E_USAGE);
    assert_null(key);
    if (strstr(error.text, says) == NULL)
        fail_msg("\"%s\" is not in: %s", says, error.text);
}

/* A public key of PKCS#1 with a modulus of `bits` bits, all of them 1 but for the last if it is even. */
static struct kf_view made(size_t bits, bool odd, const char *exponent, size_t exponent_length)
{
    static uint8_t der[4096];
    uint8_t modulus[2100];
    const size_t length = (bits + 7) / 8;
    struct kfi_writer writer = {der, sizeof der, false};
    memset(modulus, 0xff, length);
    modulus[0] = (uint8_t)(0xff >> (8 * length - bits));
    modulus[length - 1] ^= odd ? 0 : 1;
    const bool sign = modulus[0] >= 0x80;
    const size_t inside = 4 + sign + length + 2 + exponent_length;
    kfi_write_u16(&writer, 0x3082);
    kfi_write_u16(&writer, (uint16_t)inside);
    kfi_write_u16(&writer, 0x0282);
    kfi_write_u16(&writer, (uint16_t)(length + sign));
    if (sign)
        kfi_write_u8(&writer, 0);
    kfi_write_bytes(&writer, kf_view_of(modulus, length));
    kfi_write_u8(&writer, 2);
    kfi_write_u8(&writer, (uint8_t)exponent_length);
    kfi_write_bytes(&writer, kf_view_of(exponent, exponent_length));
    return kf_view_of(der, sizeof der - writer.room);
}

static void check_taken(struct kf_view text)
{
    struct kfi_rsa_key *key;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kfi_rsa_key_new(text, false, NULL, &error, &key), &error);
    kfi_rsa_key_free(key);
}

static void keys_out_of_bounds_are_refused(void **state)
{
    (void)state;
    check_taken(made(2048, true, "\x01\x00\x01", 3));
    check_taken(made(2049, true, "\x03", 1));
    check_taken(made(16384, true, "\x01\x00\x01", 3));
    check_key(made(2047, true, "\x01\x00\x01", 3), false, "2047 bits");
    check_key(made(16385, true, "\x01\x00\x01", 3), false, "16385 bits");
    check_key(made(2048, false, "\x01\x00\x01", 3), false, "is not valid");
    check_key(made(2048, true, "\x01", 1), false, "is not valid");
    check_key(made(2048, true, "\x04", 1), false, "is not valid");
    check_key(made(2048, true, "\x01\0\0\0\0\0\0\0\x01", 9), false, "is not valid");
    check_taken(made(2048, true, "\x7f\0\0\0\0\0\0\x01", 8));
    check_key(key_file("bad-rsa1024.pem"), true, "1024 bits");
}

static void the_wrong_kind_or_half_is_refused(void **state)
{
    (void)state;
    check_key(key_file("rsa-pkcs8.pem"), false, "private key was given");
    check_key(key_file("rsa-public.pem"), true, "public key was given");
    check_key(key_file("p256-a-pkcs8.pem"), true, "elliptic curve");
    check_key(key_file("p256-a-public.pem"), false, "elliptic curve");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_openssl_encrypted_is_decrypted),
        cmocka_unit_test(it_decrypts_what_it_encrypts),
        cmocka_unit_test(changed_ciphertexts_are_refused),
        cmocka_unit_test(pairs_are_recognised),
        cmocka_unit_test(keys_out_of_bounds_are_refused),
        cmocka_unit_test(the_wrong_kind_or_half_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
