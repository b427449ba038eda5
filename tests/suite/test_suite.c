/*
 * The table of suites against the specification's, number by number, and the commitment policies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "suite/suite.h"

/* (S: framework/algorithm-suites.md#supported-algorithm-suites) */
static const struct row {
    int id;
    unsigned format;
    size_t key;
    int kdf; /* bits of the digest; 0: no derivation */
    int curve;
    int signature_hash;
    size_t signature;
    bool commits;
    const char *name;
} rows[] = {
    {0x0014, 1, 16, 0, 0, 0, 0, false, "AES_128_GCM_IV12_TAG16_NO_KDF"},
    {0x0046, 1, 24, 0, 0, 0, 0, false, "AES_192_GCM_IV12_TAG16_NO_KDF"},
    {0x0078, 1, 32, 0, 0, 0, 0, false, "AES_256_GCM_IV12_TAG16_NO_KDF"},
    {0x0114, 1, 16, 256, 0, 0, 0, false, "AES_128_GCM_IV12_TAG16_HKDF_SHA256"},
    {0x0146, 1, 24, 256, 0, 0, 0, false, "AES_192_GCM_IV12_TAG16_HKDF_SHA256"},
    {0x0178, 1, 32, 256, 0, 0, 0, false, "AES_256_GCM_IV12_TAG16_HKDF_SHA256"},
    {0x0214, 1, 16, 256, 256, 256, 71, false, "AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256"},
    {0x0346, 1, 24, 384, 384, 384, 103, false, "AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384"},
    {0x0378, 1, 32, 384, 384, 384, 103, false, "AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384"},
    {0x0478, 2, 32, 512, 0, 0, 0, true, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY"},
    {0x0578, 2, 32, 512, 384, 384, 103, true, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384"},
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

static int bits_of_hash(enum kfi_hash hash)
{
    return hash == KFI_SHA256 ? 256 : hash == KFI_SHA384 ? 384 : 512;
}

static int bits_of_curve(enum kfi_curve curve)
{
    return curve == KFI_P256 ? 256 : curve == KFI_P384 ? 384 : 0;
}

static void the_table_is_the_specifications(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct row *row = &rows[i];
        const struct kfi_suite *suite = kfi_suite_get((enum kf_suite)row->id);
        assert_non_null(suite);
        assert_ptr_equal(kf_suite_info_of((enum kf_suite)row->id), &suite->info);
        assert_int_equal(suite->info.id, row->id);
        assert_string_equal(suite->info.name, row->name);
        assert_int_equal(suite->info.format, row->format);
        assert_int_equal(suite->info.data_key_length, row->key);
        assert_int_equal(suite->info.derives, row->kdf != 0);
        if (row->kdf != 0)
            assert_int_equal(bits_of_hash(suite->kdf_hash), row->kdf);
        assert_int_equal(suite->info.commits, row->commits);
        assert_int_equal(suite->info.sign, row->curve != 0);
        assert_int_equal(bits_of_curve(suite->curve), row->curve);
        if (row->curve != 0)
            assert_int_equal(bits_of_hash(suite->signature_hash), row->signature_hash);
        assert_int_equal(suite->signature_length, row->signature);
        assert_int_equal(suite->message_id_length, row->format == 1 ? 16 : 32);
    }
}

static void no_other_number_is_a_suite(void **state)
{
    (void)state;
    size_t found = 0;
    for (int id = -1; id <= 0x10000; id++) {
        if (kf_suite_info_of((enum kf_suite)id) != NULL)
            found++;
    }
    assert_int_equal(found, ROW_COUNT);
}

static void suites_are_found_by_digits_and_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char text[80];
        const struct kf_suite_info *info = kf_suite_info_of((enum kf_suite)rows[i].id);
        snprintf(text, sizeof text, "%04x", (unsigned)rows[i].id);
        assert_ptr_equal(kf_suite_find(text), info);
        snprintf(text, sizeof text, "0x%04X", (unsigned)rows[i].id);
        assert_ptr_equal(kf_suite_find(text), info);
        assert_ptr_equal(kf_suite_find(rows[i].name), info);
        snprintf(text, sizeof text, "ALG_%s", rows[i].name);
        assert_ptr_equal(kf_suite_find(text), info);
    }
    const char *none[] = {
        "",        "0",    "578",   "00578",    "0x578",       "0x",
        "0x05781", "057g", " 0578", "0578 ",    "0000",        "ffff",
        "6701",    "ALG_", "-578",  "0x0x0578", "AES_256_GCM", "aes_256_gcm_hkdf_sha512_commit_key"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_null(kf_suite_find(none[i]));
}

static void each_policy_has_its_default(void **state)
{
    (void)state;
    assert_int_equal(kfi_suite_default(KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT), 0x0578);
    assert_int_equal(kfi_suite_default(KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT), 0x0578);
    assert_int_equal(kfi_suite_default(KF_FORBID_ENCRYPT_ALLOW_DECRYPT), 0x0378);
}

/* A refusal names the suite, the policy, and what to do instead. */
static void assert_refused(enum kf_code code, const struct kf_error *error, const struct kfi_suite *suite,
                           const char *policy, const char *advice)
{
    char number[5];
    snprintf(number, sizeof number, "%04X", (unsigned)suite->info.id);
    assert_int_equal(code, KF_E_POLICY);
    assert_int_equal(error->code, KF_E_POLICY);
    assert_non_null(strstr(error->text, number));
    assert_non_null(strstr(error->text, suite->info.name));
    assert_non_null(strstr(error->text, policy));
    assert_non_null(strstr(error->text, advice));
    assert_int_equal(error->text[strlen(error->text) - 1], '.');
}

static void policies_refuse_what_they_have_to(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct kfi_suite *suite = kfi_suite_get((enum kf_suite)rows[i].id);
        struct kf_error error = KF_ERROR_INIT;
        enum kf_code code = kfi_policy_check_encrypt(KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT, suite, &error);
        if (rows[i].commits)
            assert_int_equal(code, KF_OK);
        else
            assert_refused(code, &error, suite, "REQUIRE_ENCRYPT_REQUIRE_DECRYPT", "0578");

        code = kfi_policy_check_encrypt(KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT, suite, &error);
        if (rows[i].commits)
            assert_int_equal(code, KF_OK);
        else
            assert_refused(code, &error, suite, "REQUIRE_ENCRYPT_ALLOW_DECRYPT", "0578");

        code = kfi_policy_check_encrypt(KF_FORBID_ENCRYPT_ALLOW_DECRYPT, suite, &error);
        if (!rows[i].commits)
            assert_int_equal(code, KF_OK);
        else
            assert_refused(code, &error, suite, "FORBID_ENCRYPT_ALLOW_DECRYPT", "0378");

        code = kfi_policy_check_decrypt(KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT, suite, &error);
        if (rows[i].commits)
            assert_int_equal(code, KF_OK);
        else
            assert_refused(code, &error, suite, "REQUIRE_ENCRYPT_REQUIRE_DECRYPT",
                           "REQUIRE_ENCRYPT_ALLOW_DECRYPT");

        assert_int_equal(kfi_policy_check_decrypt(KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT, suite, &error), KF_OK);
        assert_int_equal(kfi_policy_check_decrypt(KF_FORBID_ENCRYPT_ALLOW_DECRYPT, suite, &error), KF_OK);
    }
}

static void a_policy_that_is_none_allows_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct kfi_suite *suite = kfi_suite_get((enum kf_suite)rows[i].id);
        struct kf_error error = KF_ERROR_INIT;
        assert_int_equal(kfi_policy_check_encrypt((enum kf_commitment_policy)3, suite, &error), KF_E_POLICY);
        assert_non_null(strstr(error.text, "number 3"));
        assert_int_equal(kfi_policy_check_decrypt((enum kf_commitment_policy)3, suite, NULL), KF_E_POLICY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_the_specifications),
        cmocka_unit_test(no_other_number_is_a_suite),
        cmocka_unit_test(suites_are_found_by_digits_and_by_name),
        cmocka_unit_test(each_policy_has_its_default),
        cmocka_unit_test(policies_refuse_what_they_have_to),
        cmocka_unit_test(a_policy_that_is_none_allows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
