/*
 * The raw RSA keyring: what each half can do, which EDKs it tries, and which options it refuses.
 */
#include "support/client.h"
#include "support/failing_allocator.h"
#include "support/keys.h"
#include "support/wrapping.h"

#define PADDINGS 5
static const enum kf_rsa_padding paddings[PADDINGS] = {KF_RSA_PKCS1, KF_RSA_OAEP_SHA1, KF_RSA_OAEP_SHA256,
                                                       KF_RSA_OAEP_SHA384, KF_RSA_OAEP_SHA512};
static const char *const by_openssl[PADDINGS] = {"rsa-pkcs1.bin", "rsa-oaep-sha1.bin", "rsa-oaep-sha256.bin",
                                                 "rsa-oaep-sha384.bin", "rsa-oaep-sha512.bin"};
#define SUITE KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY

static struct kf_view file_or_none(const char *name)
{
    return name != NULL ? key_file(name) : kf_view_of(NULL, 0);
}

static struct kf_raw_rsa_keyring_options options_of(const char *name, enum kf_rsa_padding padding,
                                                    const char *public_file, const char *private_file)
{
    struct kf_raw_rsa_keyring_options options = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    options.key_namespace = kf_view_text("space");
    options.key_name = kf_view_text(name);
    options.padding = padding;
    options.public_key = file_or_none(public_file);
    options.private_key = file_or_none(private_file);
    return options;
}

static struct kf_keyring *keyring_with(const struct kf_raw_rsa_keyring_options *options)
{
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_raw_rsa_keyring_new(options, &error, &keyring), &error);
    return keyring;
}

static struct kf_keyring *keyring_of(enum kf_rsa_padding padding, const char *public_file,
                                     const char *private_file)
{
    const struct kf_raw_rsa_keyring_options options = options_of("name", padding, public_file, private_file);
    return keyring_with(&options);
}

static struct kf_edk edk_of(const char *name_space, const char *name, struct kf_view ciphertext)
{
    return (struct kf_edk){kf_view_text(name_space), kf_view_text(name), ciphertext};
}

static void check_fits(struct kf_keyring *keyring, const struct kf_edk *edks, size_t count)
{
    struct kf_data_key data_key;
    struct kf_error error;
    assert_ok(wrapping_unwrap(keyring, SUITE, "1", edks, count, &error, &data_key), &error);
    assert_int_equal(data_key.length, 32);
    assert_memory_equal(data_key.bytes, key_file("data-key.bin").data, 32);
}

static void check_none_fits(struct kf_keyring *keyring, const struct kf_edk *edks, size_t count,
                            const char *says)
{
    struct kf_data_key data_key;
    struct kf_error error;
    assert_int_equal(wrapping_unwrap(keyring, SUITE, "1", edks, count, &error, &data_key), KF_E_KEYS);
    if (strstr(error.text, says) == NULL)
        fail_msg("\"%s\" is not in: %s", says, error.text);
}

/* ---- Wrapping ---- */

static void what_the_public_half_wraps_the_private_one_unwraps(void **state)
{
    (void)state;
    static const enum kf_suite suites[] = {KF_AES_128_GCM_IV12_TAG16_NO_KDF,
                                           KF_AES_192_GCM_IV12_TAG16_HKDF_SHA256, SUITE};
    for (size_t p = 0; p < PADDINGS; p++) {
        struct kf_keyring *writer = keyring_of(paddings[p], "rsa-public.pem", NULL);
        struct kf_keyring *reader = keyring_of(paddings[p], NULL, "rsa-pkcs8.pem");
        for (size_t s = 0; s < 3; s++) {
            struct kf_wrapped wrapped;
            struct kf_data_key data_key;
            struct kf_error error;
            assert_ok(wrapping_wrap(writer, suites[s], "1", NULL, &error, &wrapped), &error);
            assert_int_equal(wrapped.data_key.length, 16 + 8 * s);
            assert_int_equal(wrapped.edks.count, 1);
            assert_same_bytes(wrapped.edks.items[0].provider_id, kf_view_text("space"));
            assert_same_bytes(wrapped.edks.items[0].provider_info, kf_view_text("name"));
            assert_int_equal(wrapped.edks.items[0].ciphertext.length, 256);
            /* RSA does not bind the context. */
            assert_ok(wrapping_unwrap(reader, suites[s], "2", wrapped.edks.items, 1, &error, &data_key),
                      &error);
            assert_int_equal(data_key.length, wrapped.data_key.length);
            assert_memory_equal(data_key.bytes, wrapped.data_key.bytes, data_key.length);
            kfi_wrapped_free(&wrapped);
        }
        kf_keyring_unref(writer);
        kf_keyring_unref(reader);
    }
}

static void it_wraps_a_data_key_that_is_there(void **state)
{
    (void)state;
    struct kf_keyring *keyring = keyring_of(KF_RSA_OAEP_SHA256, "rsa-public.der", "rsa-pkcs1.der");
    struct kf_data_key data_key = {.length = 32};
    struct kf_wrapped wrapped;
    struct kf_error error;
    memcpy(data_key.bytes, key_file("data-key.bin").data, 32);
    assert_ok(wrapping_wrap(keyring, SUITE, "1", &data_key, &error, &wrapped), &error);
    assert_int_equal(wrapped.data_key.length, 0); /* it made no data key */
    check_fits(keyring, wrapped.edks.items, 1);
    kfi_wrapped_free(&wrapped);
    kf_keyring_unref(keyring);
}

static void one_half_does_not_do_the_work_of_the_other(void **state)
{
    (void)state;
    struct kf_keyring *writer = keyring_of(KF_RSA_PKCS1, "rsa-public.pem", NULL);
    struct kf_keyring *reader = keyring_of(KF_RSA_PKCS1, NULL, "rsa-pkcs8.pem");
    const struct kf_edk edk = edk_of("space", "name", key_file("rsa-pkcs1.bin"));
    struct kf_wrapped wrapped;
    struct kf_error error;
    assert_int_equal(wrapping_wrap(reader, SUITE, "1", NULL, &error, &wrapped), KF_E_KEYS);
    assert_non_null(strstr(error.text, "no public key"));
    assert_int_equal(wrapped.edks.count, 0);
    kfi_wrapped_free(&wrapped);
    check_none_fits(writer, &edk, 1, "no private key");
    check_fits(reader, &edk, 1);
    kf_keyring_unref(writer);
    kf_keyring_unref(reader);
}

/* ---- Which EDKs are its own ---- */

static void names_are_compared_whole(void **state)
{
    (void)state;
    static const char *const others[] = {"", "nam", "name ", "Name", "name2"};
    struct kf_keyring *keyring = keyring_of(KF_RSA_OAEP_SHA256, NULL, "rsa-pkcs8.pem");
    const struct kf_view ciphertext = key_file("rsa-oaep-sha256.bin");
    struct kf_edk edk = edk_of("space", "name", ciphertext);
    check_fits(keyring, &edk, 1);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        edk = edk_of("space", others[i], ciphertext);
        check_none_fits(keyring, &edk, 1, "None of the 1");
        edk = edk_of(others[i], "name", ciphertext);
        check_none_fits(keyring, &edk, 1, "None of the 1");
    }
    check_none_fits(keyring, NULL, 0, "None of the 0");
    kf_keyring_unref(keyring);
}

/* An EDK that has its name and does not open must not hide one that does. */
static void it_tries_every_edk_that_may_be_its_own(void **state)
{
    (void)state;
    for (size_t p = 1; p < PADDINGS; p++) { /* of PKCS#1 v1.5 see the header */
        struct kf_keyring *keyring = keyring_of(paddings[p], NULL, "rsa-pkcs8.pem");
        const struct kf_view ciphertext = key_file(by_openssl[p]);
        uint8_t changed[256];
        memcpy(changed, ciphertext.data, 256);
        changed[200] ^= 1;
        const struct kf_edk edks[] = {
            edk_of("space", "name", kf_view_of(NULL, 0)),
            edk_of("space", "name", kf_view_of(changed, 256)),
            edk_of("space", "name", kf_view_of(ciphertext.data, 255)),
            edk_of("space", "name", key_file(by_openssl[p % 4 + 1])), /* another padding */
            edk_of("space", "other", ciphertext),
            edk_of("space", "name", ciphertext),
        };
        check_fits(keyring, edks, 6);
        check_none_fits(keyring, edks, 5, "none of the 4");
        kf_keyring_unref(keyring);
    }
}

static void a_data_key_has_to_have_the_suites_length(void **state)
{
    (void)state;
    for (size_t p = 0; p < PADDINGS; p++) {
        struct kf_keyring *keyring = keyring_of(paddings[p], NULL, "rsa-pkcs8.pem");
        const struct kf_edk edk = edk_of("space", "name", key_file(by_openssl[p]));
        struct kf_data_key data_key;
        struct kf_error error;
        check_fits(keyring, &edk, 1);
        assert_int_equal(
            wrapping_unwrap(keyring, KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256, "1", &edk, 1, &error, &data_key),
            KF_E_KEYS);
        kf_keyring_unref(keyring);
    }
}

/* ---- In messages ---- */

static void messages_go_from_one_half_to_the_other(void **state)
{
    (void)state;
    for (size_t p = 0; p < PADDINGS; p++) {
        struct kf_cmm *writer = client_cmm_on(keyring_of(paddings[p], "rsa3072-public.pem", NULL));
        struct kf_cmm *reader = client_cmm_on(keyring_of(paddings[p], NULL, "rsa3072-pkcs8.pem"));
        struct kf_cmm *wrong = client_cmm_on(keyring_of(paddings[p], NULL, "rsa-pkcs8.pem"));
        const struct kf_encryption_context *context = client_context("purpose", "tests");
        for (size_t s = 0; s < CLIENT_SUITES; s++) {
            const struct kf_encrypt_options options = client_encrypt_options(client_suites[s], 100, context);
            const struct kf_decrypt_options any = client_decrypt_options();
            struct kf_buf message = client_message(writer, &options, client_plaintext(250));
            assert_decrypts(reader, &any, buf_view(message), client_plaintext(250));
            assert_refused(wrong, &any, buf_view(message), KF_E_KEYS); /* for its length alone */
            kf_buf_free(&message);
        }
        kf_encryption_context_unref(context);
        kf_cmm_unref(writer);
        kf_cmm_unref(reader);
        kf_cmm_unref(wrong);
    }
}

/* ---- Options ---- */

static void check_options(const struct kf_raw_rsa_keyring_options *options, const char *says)
{
    struct kf_keyring *keyring = (struct kf_keyring *)&keyring; /* anything but NULL */
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_raw_rsa_keyring_new(options, &error, &keyring), KF_E_USAGE);
    assert_null(keyring);
    if (strstr(error.text, says) == NULL)
        fail_msg("\"%s\" is not in: %s", says, error.text);
}

static void options_out_of_bounds_are_refused(void **state)
{
    (void)state;
    struct kf_raw_rsa_keyring_options options = options_of("name", KF_RSA_OAEP_SHA256, NULL, NULL);
    check_options(NULL, "are missing");
    check_options(&options, "a public key, a private key or both");
    options = options_of("name", (enum kf_rsa_padding)0, "rsa-public.pem", NULL);
    check_options(&options, "no padding 0");
    options.padding = (enum kf_rsa_padding)6;
    check_options(&options, "no padding 6");
    options = options_of("name", KF_RSA_PKCS1, "other-rsa-public.pem", "rsa-pkcs8.pem");
    check_options(&options, "not a pair");
    options = options_of("name", KF_RSA_PKCS1, "rsa-pkcs8.pem", NULL);
    check_options(&options, "private key was given");
    options = options_of("name", KF_RSA_PKCS1, NULL, "rsa-public.pem");
    check_options(&options, "public key was given");
    options = options_of("name", KF_RSA_PKCS1, NULL, "p256-a-pkcs8.pem");
    check_options(&options, "elliptic curve");
    options = options_of("\xff", KF_RSA_PKCS1, "rsa-public.pem", NULL);
    check_options(&options, "UTF-8");
    options = options_of("name", KF_RSA_PKCS1, "rsa-public.pem", NULL);
    options.key_namespace = kf_view_text("aws-kms-x");
    check_options(&options, "reserved");
    options.size = 0;
    check_options(&options, "no valid size");

    static uint8_t letters[65536];
    memset(letters, 'n', sizeof letters);
    options = options_of("name", KF_RSA_PKCS1, "rsa-public.pem", NULL);
    options.key_name = kf_view_of(letters, 65536);
    check_options(&options, "too long");
    options.key_name = options.key_namespace = kf_view_of(letters, 65535);
    kf_keyring_unref(keyring_with(&options));
}

static void an_encrypted_key_asks_for_its_passphrase(void **state)
{
    (void)state;
    struct passphrase right = {"secret", 0}, nobody = {NULL, 0};
    struct kf_raw_rsa_keyring_options options =
        options_of("name", KF_RSA_OAEP_SHA1, "rsa-public.pem", "rsa-encrypted.pem");
    const struct kf_edk edk = edk_of("space", "name", key_file("rsa-oaep-sha1.bin"));
    options.passphrase = passphrase_source(&right);
    struct kf_keyring *keyring = keyring_with(&options);
    check_fits(keyring, &edk, 1);
    assert_int_equal(right.asked, 1);
    options.passphrase = passphrase_source(&nobody);
    check_options(&options, "no passphrase was given");
    kf_keyring_unref(keyring);
}

/* ---- Memory ---- */

static enum kf_code make_and_use(const void *options, struct kf_error *error)
{
    struct kf_keyring *keyring;
    enum kf_code code = kf_raw_rsa_keyring_new(options, error, &keyring);
    return code == KF_OK ? client_round_trip(keyring, error) : code;
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    const struct kf_raw_rsa_keyring_options options =
        options_of("name", KF_RSA_OAEP_SHA256, "rsa-public.pem", "rsa-pkcs8.pem");
    assert_true(each_allocation_fails(make_and_use, &options) > 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_public_half_wraps_the_private_one_unwraps),
        cmocka_unit_test(it_wraps_a_data_key_that_is_there),
        cmocka_unit_test(one_half_does_not_do_the_work_of_the_other),
        cmocka_unit_test(names_are_compared_whole),
        cmocka_unit_test(it_tries_every_edk_that_may_be_its_own),
        cmocka_unit_test(a_data_key_has_to_have_the_suites_length),
        cmocka_unit_test(messages_go_from_one_half_to_the_other),
        cmocka_unit_test(options_out_of_bounds_are_refused),
        cmocka_unit_test(an_encrypted_key_asks_for_its_passphrase),
        cmocka_unit_test(no_memory_is_an_error),
    };
    failing_allocator_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
