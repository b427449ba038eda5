/*
 * Keys beside their keyrings: what a key is said to be, and new ones.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "support/client.h"
#include "support/failing_allocator.h"
#include "support/keys.h"

static struct kf_raw_key_info describe(const char *file, const struct kf_passphrase *passphrase)
{
    struct kf_raw_key_info info = {.size = sizeof info};
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_raw_key_describe(key_file(file), passphrase, &error, &info), &error);
    return info;
}

static void both_halves_of_an_rsa_key_have_one_fingerprint(void **state)
{
    (void)state;
    static const char *const files[] = {"rsa-public.pem",       "rsa-public.der", "rsa-public-pkcs1.pem",
                                        "rsa-public-pkcs1.der", "rsa-pkcs1.pem",  "rsa-pkcs8.der",
                                        "rsa-encrypted.pem",    "rsa-headers.pem"};
    const struct kf_view der = key_file("rsa-public.der");
    uint8_t digest[EVP_MAX_MD_SIZE];
    char expected[2 * EVP_MAX_MD_SIZE + 1];
    assert_int_equal(EVP_Digest(der.data, der.length, digest, NULL, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < 8; i++)
        snprintf(expected + 2 * i, 3, "%02x", digest[i]);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct passphrase knows = {"secret", 0};
        const struct kf_passphrase passphrase = passphrase_source(&knows);
        const struct kf_raw_key_info info = describe(files[i], &passphrase);
        assert_string_equal(info.rsa_fingerprint, expected);
        assert_int_equal(info.rsa_bits, 2048);
        assert_int_equal(info.curve, 0);
        assert_int_equal(info.is_private, strstr(files[i], "public") == NULL);
    }
    const struct kf_raw_key_info other = describe("rsa3072-public.pem", NULL);
    assert_int_equal(other.rsa_bits, 3072);
    assert_string_not_equal(other.rsa_fingerprint, expected);
}

static void keys_on_curves_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        unsigned curve;
        bool is_private;
    } keys[] = {
        {"p256-a-public.pem", 256, false}, {"p384-a-compressed.der", 384, false},
        {"p521-b-public.pem", 521, false}, {"p256-a-sec1.pem", 256, true},
        {"p384-a-pkcs8.der", 384, true},   {"p521-a-lonely.pem", 521, true},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct kf_raw_key_info info = describe(keys[i].file, NULL);
        assert_int_equal(info.curve, keys[i].curve);
        assert_int_equal(info.is_private, keys[i].is_private);
        assert_int_equal(info.rsa_bits, 0);
        assert_string_equal(info.rsa_fingerprint, "");
    }
}

static void what_is_no_key_is_not_described(void **state)
{
    (void)state;
    struct kf_raw_key_info info = {.size = sizeof info};
    const struct kf_view keys[] = {key_file("bad-certificate.pem"), key_file("bad-ed25519.pem"),
                                   key_file("rsa-encrypted.pem"), kf_view_text("text"), kf_view_of(NULL, 0)};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct kf_error error = KF_ERROR_INIT;
        assert_int_equal(kf_raw_key_describe(keys[i], NULL, &error, &info), KF_E_USAGE);
        assert_true(strlen(error.text) > 0);
    }
}

static void a_caller_that_knows_less_gets_less(void **state)
{
    (void)state;
    struct kf_raw_key_info info = {.size = offsetof(struct kf_raw_key_info, curve), .curve = 7};
    assert_ok(kf_raw_key_describe(key_file("p256-a-public.pem"), NULL, NULL, &info), NULL);
    assert_int_equal(info.size, offsetof(struct kf_raw_key_info, curve));
    assert_int_equal(info.curve, 7);
}

/* Encrypts with one keyring and decrypts with the other; takes over both. */
static void check_pair(struct kf_keyring *encrypts, struct kf_keyring *decrypts)
{
    struct kf_cmm *writer = client_cmm_on(encrypts), *reader = client_cmm_on(decrypts);
    struct kf_buf message = client_message(writer, NULL, kf_view_text("text"));
    assert_decrypts(reader, NULL, buf_view(message), kf_view_text("text"));
    kf_buf_free(&message);
    kf_cmm_unref(writer);
    kf_cmm_unref(reader);
}

static void check_labels(const struct kf_buf *public_key, const struct kf_buf *private_key)
{
    static const char public_label[] = "-----BEGIN PUBLIC KEY-----\n";
    static const char private_label[] = "-----BEGIN PRIVATE KEY-----\n";
    assert_memory_equal(public_key->data, public_label, sizeof public_label - 1);
    assert_memory_equal(private_key->data, private_label, sizeof private_label - 1);
}

static void new_rsa_keys_are_pairs(void **state)
{
    (void)state;
    struct kf_buf public_key = KF_BUF_INIT, private_key = KF_BUF_INIT;
    struct kf_keyring *encrypts, *decrypts;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_raw_rsa_key_generate(2056, &error, &public_key, &private_key), &error);
    check_labels(&public_key, &private_key);
    struct kf_raw_rsa_keyring_options options = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    options.public_key = buf_view(public_key);
    assert_ok(kf_raw_rsa_keyring_new(&options, &error, &encrypts), &error);
    options.public_key = kf_view_of(NULL, 0);
    options.private_key = buf_view(private_key);
    assert_ok(kf_raw_rsa_keyring_new(&options, &error, &decrypts), &error);
    check_pair(encrypts, decrypts);
    struct kf_raw_key_info info = {.size = sizeof info};
    assert_ok(kf_raw_key_describe(buf_view(public_key), NULL, &error, &info), &error);
    assert_int_equal(info.rsa_bits, 2056);
    kf_buf_free(&public_key);
    kf_buf_free(&private_key);
}

static void new_keys_on_curves_are_pairs(void **state)
{
    (void)state;
    static const enum kf_ecdh_curve curves[] = {KF_ECDH_P256, KF_ECDH_P384, KF_ECDH_P521};
    struct kf_buf public_key = KF_BUF_INIT, private_key = KF_BUF_INIT; /* used for one after another */
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        struct kf_keyring *encrypts, *decrypts;
        struct kf_error error = KF_ERROR_INIT;
        assert_ok(kf_raw_ecdh_key_generate(curves[i], &error, &public_key, &private_key), &error);
        check_labels(&public_key, &private_key);
        struct kf_raw_ecdh_keyring_options options = KF_RAW_ECDH_KEYRING_OPTIONS_INIT;
        options.curve = curves[i];
        options.schema = KF_ECDH_EPHEMERAL;
        options.public_key = buf_view(public_key);
        assert_ok(kf_raw_ecdh_keyring_new(&options, &error, &encrypts), &error);
        options.schema = KF_ECDH_DISCOVERY;
        options.public_key = kf_view_of(NULL, 0);
        options.private_key = buf_view(private_key);
        assert_ok(kf_raw_ecdh_keyring_new(&options, &error, &decrypts), &error);
        check_pair(encrypts, decrypts);
    }
    kf_buf_free(&public_key);
    kf_buf_free(&private_key);
}

static void other_sizes_and_curves_are_refused(void **state)
{
    (void)state;
    static const unsigned bits[] = {0, 1024, 2047, 16385};
    struct kf_buf public_key = KF_BUF_INIT, private_key = KF_BUF_INIT;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_raw_ecdh_key_generate(KF_ECDH_P256, &error, &public_key, &private_key), &error);
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        assert_int_equal(kf_raw_rsa_key_generate(bits[i], &error, &public_key, &private_key), KF_E_USAGE);
        assert_int_equal(public_key.length + private_key.length, 0);
    }
    assert_int_equal(kf_raw_ecdh_key_generate((enum kf_ecdh_curve)0, &error, &public_key, &private_key),
                     KF_E_USAGE);
    kf_buf_free(&public_key);
    kf_buf_free(&private_key);
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    struct kf_buf public_key = KF_BUF_INIT, private_key = KF_BUF_INIT;
    for (size_t number = 1; number <= 2; number++) { /* one for each buffer */
        const size_t held = memory.held;
        fail_allocation(number);
        assert_int_equal(kf_raw_ecdh_key_generate(KF_ECDH_P256, NULL, &public_key, &private_key),
                         KF_E_NO_MEMORY);
        assert_int_equal(public_key.length + private_key.length, 0);
        fail_allocation(0);
        kf_buf_free(&public_key);
        kf_buf_free(&private_key);
        assert_int_equal(memory.held, held);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_halves_of_an_rsa_key_have_one_fingerprint),
        cmocka_unit_test(keys_on_curves_are_told_apart),
        cmocka_unit_test(what_is_no_key_is_not_described),
        cmocka_unit_test(a_caller_that_knows_less_gets_less),
        cmocka_unit_test(new_rsa_keys_are_pairs),
        cmocka_unit_test(new_keys_on_curves_are_pairs),
        cmocka_unit_test(other_sizes_and_curves_are_refused),
        cmocka_unit_test(no_memory_is_an_error),
    };
    failing_allocator_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
