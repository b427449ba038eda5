/*
 * The raw AES keyring: what it writes into an EDK, and which EDKs it takes for its own.
 */
#include <openssl/evp.h>

#include "materials/materials.h"
#include "support/asker.h"
#include "support/client.h"

static const uint8_t wrapping_key[32] = {1, 2, 3};

static struct kf_keyring *keyring_of(const char *key_namespace, const char *name, size_t key_length)
{
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    options.key_namespace = kf_view_text(key_namespace);
    options.key_name = kf_view_text(name);
    options.wrapping_key = kf_view(wrapping_key, key_length);
    assert_ok(kf_raw_aes_keyring_new(&options, &error, &keyring), &error);
    return keyring;
}

/* Materials of suite 0478 with a context, made through `keyring`. */
static void ask(struct asker *asker, struct kf_keyring *keyring, struct kf_encryption_context *context)
{
    struct kf_cmm *cmm = client_cmm_on(kf_keyring_ref(keyring));
    struct kf_encryption_request request = encryption_request(1);
    request.encryption_context = context;
    assert_int_equal(asker_encrypt(asker, cmm, &request), KF_OK);
    kf_cmm_unref(cmm);
}

static enum kf_code unwrap(struct kf_keyring *keyring, const struct kf_edk *edks, size_t count,
                           struct kf_encryption_context *context, struct asker *asker)
{
    struct kf_cmm *cmm = client_cmm_on(kf_keyring_ref(keyring));
    struct kf_decryption_request request = decryption_request(edks, count);
    request.encryption_context = context;
    enum kf_code code = asker_decrypt(asker, cmm, &request);
    kf_cmm_unref(cmm);
    return code;
}

/* The EDK is taken apart by hand, and its ciphertext opened with OpenSSL alone. (S: framework/raw-aes-keyring.md) */
static void test_the_edk_is_as_specified(void **state)
{
    (void)state;
    static const struct {
        size_t length;
        const EVP_CIPHER *(*cipher)(void);
    } rows[] = {{16, EVP_aes_128_gcm}, {24, EVP_aes_192_gcm}, {32, EVP_aes_256_gcm}};
    static const uint8_t aad[] = {0, 1, 0, 1, 'k', 0, 1, 'v'}; /* one pair, k = v */
    for (size_t i = 0; i < 3; i++) {
        struct kf_keyring *keyring = keyring_of("space", "name", rows[i].length);
        struct kf_encryption_context *context = client_context("k", "v");
        struct asker asker = {0};
        ask(&asker, keyring, context);
        assert_int_equal(kf_encryption_materials_edk_count(asker.encryption_materials), 1);
        const struct kf_edk edk = kf_encryption_materials_edk(asker.encryption_materials, 0);
        assert_same_bytes(edk.provider_id, kf_view_text("space"));
        assert_int_equal(edk.provider_info.length, 4 + 4 + 4 + 12);
        assert_memory_equal(edk.provider_info.data, "name\0\0\0\x80\0\0\0\x0c", 12);
        assert_int_equal(edk.ciphertext.length, 32 + 16);

        uint8_t opened[32], tag[16];
        int length;
        memcpy(tag, edk.ciphertext.data + 32, 16);
        EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
        assert_true(
            EVP_DecryptInit_ex(gcm, rows[i].cipher(), NULL, wrapping_key, edk.provider_info.data + 12));
        assert_true(EVP_DecryptUpdate(gcm, NULL, &length, aad, sizeof aad));
        assert_true(EVP_DecryptUpdate(gcm, opened, &length, edk.ciphertext.data, 32));
        assert_true(EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, 16, tag));
        assert_int_equal(EVP_DecryptFinal_ex(gcm, opened + 32, &length), 1);
        EVP_CIPHER_CTX_free(gcm);
        assert_same_bytes(kf_view(opened, 32), asker_key(&asker));

        struct asker reader = {0};
        assert_int_equal(unwrap(keyring, &edk, 1, context, &reader), KF_OK);
        assert_same_bytes(asker_key(&reader), asker_key(&asker));
        asker_leave(&reader);
        asker_leave(&asker);
        kf_encryption_context_unref(context);
        kf_keyring_unref(keyring);
    }
}

static void test_what_is_not_its_own_is_left_alone(void **state)
{
    (void)state;
    struct kf_keyring *keyring = keyring_of("space", "key1", 32);
    struct asker asker = {0}, reader = {0};
    ask(&asker, keyring, NULL);
    const struct kf_edk good = kf_encryption_materials_edk(asker.encryption_materials, 0);
    uint8_t info[24];
    memcpy(info, good.provider_info.data, sizeof info);

    struct kf_edk edk = good;
    edk.provider_id = kf_view_text("spac");
    assert_int_equal(unwrap(keyring, &edk, 1, NULL, &reader), KF_E_KEYS);
    asker_leave(&reader);
    static const size_t changed[] = {3, 7, 11}; /* name, tag length, IV length */
    for (size_t i = 0; i < 3; i++) {
        info[changed[i]] ^= 1;
        edk = good;
        edk.provider_info = kf_view(info, sizeof info);
        assert_int_equal(unwrap(keyring, &edk, 1, NULL, &reader), KF_E_KEYS);
        assert_non_null(strstr(reader.error.text, "key1"));
        asker_leave(&reader);
        info[changed[i]] ^= 1;
    }
    struct kf_keyring *longer = keyring_of("space", "key10", 32);
    assert_int_equal(unwrap(longer, &good, 1, NULL, &reader), KF_E_KEYS);
    asker_leave(&reader);

    /* A broken one of its own before the good one does not end the search. */
    uint8_t ciphertext[48];
    memcpy(ciphertext, good.ciphertext.data, sizeof ciphertext);
    ciphertext[0] ^= 1;
    struct kf_edk several[] = {good, good, good};
    several[0].ciphertext = kf_view(ciphertext, sizeof ciphertext);
    several[1].ciphertext = kf_view(ciphertext, 47);
    assert_int_equal(unwrap(keyring, several, 3, NULL, &reader), KF_OK);
    assert_same_bytes(asker_key(&reader), asker_key(&asker));
    asker_leave(&reader);
    assert_int_equal(unwrap(keyring, several, 2, NULL, &reader), KF_E_KEYS);
    asker_leave(&reader);
    asker_leave(&asker);
    kf_keyring_unref(longer);
    kf_keyring_unref(keyring);
}

static void test_options_are_checked(void **state)
{
    (void)state;
    struct kf_keyring *keyring;
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    assert_int_equal(kf_raw_aes_keyring_new(&options, NULL, &keyring), KF_E_USAGE); /* no key */
    options.wrapping_key = kf_view(wrapping_key, 31);
    assert_int_equal(kf_raw_aes_keyring_new(&options, NULL, &keyring), KF_E_USAGE);
    options.wrapping_key = kf_view(wrapping_key, 32);
    options.key_namespace = kf_view_text("aws-kms-mine");
    assert_int_equal(kf_raw_aes_keyring_new(&options, NULL, &keyring), KF_E_USAGE);
    options.key_namespace = kf_view_text("\xff");
    assert_int_equal(kf_raw_aes_keyring_new(&options, NULL, &keyring), KF_E_USAGE);
    assert_null(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_edk_is_as_specified),
        cmocka_unit_test(test_what_is_not_its_own_is_left_alone),
        cmocka_unit_test(test_options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
