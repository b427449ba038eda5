/*
 * The table of algorithm suites, and the commitment policy. Called wherever a suite is chosen, read or
 * checked. Knows no cryptographic library. (S: framework/algorithm-suites.md, framework/commitment-policy.md)
 */
#include "suite/suite.h"

#include <string.h>

#include "base/names.h"

#define ID_LENGTH_1 16
#define ID_LENGTH_2 32

/* clang-format off */
static const struct kfi_suite suites[] = {
    {.info = {.id = KF_AES_128_GCM_IV12_TAG16_NO_KDF, .name = "AES_128_GCM_IV12_TAG16_NO_KDF",
              .format = 1, .data_key_length = 16},
     .message_id_length = ID_LENGTH_1},
    {.info = {.id = KF_AES_192_GCM_IV12_TAG16_NO_KDF, .name = "AES_192_GCM_IV12_TAG16_NO_KDF",
              .format = 1, .data_key_length = 24},
     .message_id_length = ID_LENGTH_1},
    {.info = {.id = KF_AES_256_GCM_IV12_TAG16_NO_KDF, .name = "AES_256_GCM_IV12_TAG16_NO_KDF",
              .format = 1, .data_key_length = 32},
     .message_id_length = ID_LENGTH_1},

    {.info = {.id = KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256, .name = "AES_128_GCM_IV12_TAG16_HKDF_SHA256",
              .format = 1, .data_key_length = 16, .derives = true},
     .message_id_length = ID_LENGTH_1, .kdf_hash = KFI_SHA256},
    {.info = {.id = KF_AES_192_GCM_IV12_TAG16_HKDF_SHA256, .name = "AES_192_GCM_IV12_TAG16_HKDF_SHA256",
              .format = 1, .data_key_length = 24, .derives = true},
     .message_id_length = ID_LENGTH_1, .kdf_hash = KFI_SHA256},
    {.info = {.id = KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256, .name = "AES_256_GCM_IV12_TAG16_HKDF_SHA256",
              .format = 1, .data_key_length = 32, .derives = true},
     .message_id_length = ID_LENGTH_1, .kdf_hash = KFI_SHA256},

    {.info = {.id = KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256,
              .name = "AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256",
              .format = 1, .data_key_length = 16, .derives = true, .sign = true},
     .message_id_length = ID_LENGTH_1, .kdf_hash = KFI_SHA256,
     .curve = KFI_P256, .signature_hash = KFI_SHA256, .signature_length = 71},
    {.info = {.id = KF_AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384,
              .name = "AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384",
              .format = 1, .data_key_length = 24, .derives = true, .sign = true},
     .message_id_length = ID_LENGTH_1, .kdf_hash = KFI_SHA384,
     .curve = KFI_P384, .signature_hash = KFI_SHA384, .signature_length = 103},
    {.info = {.id = KF_AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384,
              .name = "AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384",
              .format = 1, .data_key_length = 32, .derives = true, .sign = true},
     .message_id_length = ID_LENGTH_1, .kdf_hash = KFI_SHA384,
     .curve = KFI_P384, .signature_hash = KFI_SHA384, .signature_length = 103},

    {.info = {.id = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, .name = "AES_256_GCM_HKDF_SHA512_COMMIT_KEY",
              .format = 2, .data_key_length = 32, .derives = true, .commits = true},
     .message_id_length = ID_LENGTH_2, .kdf_hash = KFI_SHA512},
    {.info = {.id = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
              .name = "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384",
              .format = 2, .data_key_length = 32, .derives = true, .commits = true, .sign = true},
     .message_id_length = ID_LENGTH_2, .kdf_hash = KFI_SHA512,
     .curve = KFI_P384, .signature_hash = KFI_SHA384, .signature_length = 103},
};
/* clang-format on */

#define SUITE_COUNT (sizeof suites / sizeof suites[0])

const struct kfi_suite *kfi_suite_get(enum kf_suite id)
{
    for (size_t i = 0; i < SUITE_COUNT; i++) {
        if (suites[i].info.id == id)
            return &suites[i];
    }
    return NULL;
}

const struct kf_suite_info *kf_suite_info_of(enum kf_suite id)
{
    const struct kfi_suite *suite = kfi_suite_get(id);
    return suite != NULL ? &suite->info : NULL;
}

/* The number that is written by exactly four hexadecimal digits, or -1. */
static int four_digits(const char *text)
{
    int number = 0;
    for (int i = 0; i < 4; i++) {
        char c = text[i];
        int digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (c >= 'a' && c <= 'f')
            digit = c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            digit = c - 'A' + 10;
        else
            return -1;
        number = number * 16 + digit;
    }
    return text[4] == '\0' ? number : -1;
}

const struct kf_suite_info *kf_suite_find(const char *name)
{
    int number = four_digits(strncmp(name, "0x", 2) == 0 ? name + 2 : name);
    if (number >= 0)
        return kf_suite_info_of((enum kf_suite)number);
    if (strncmp(name, "ALG_", 4) == 0)
        name += 4;
    for (size_t i = 0; i < SUITE_COUNT; i++) {
        if (strcmp(suites[i].info.name, name) == 0)
            return &suites[i].info;
    }
    return NULL;
}

const char *kf_suite_name(enum kf_suite id)
{
    const struct kf_suite_info *info = kf_suite_info_of(id);
    if (info != NULL)
        return info->name;
    return id == KF_SUITE_DEFAULT ? "DEFAULT" : "unknown";
}

enum kf_suite kfi_suite_default(enum kf_commitment_policy policy)
{
    /* The specification names the suite without derivation, but every implementation takes this one. */
    if (policy == KF_FORBID_ENCRYPT_ALLOW_DECRYPT)
        return KF_AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384;
    return KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
}

static const struct kfi_name policies[] = {
    {KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT, "REQUIRE_ENCRYPT_REQUIRE_DECRYPT"},
    {KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT, "REQUIRE_ENCRYPT_ALLOW_DECRYPT"},
    {KF_FORBID_ENCRYPT_ALLOW_DECRYPT, "FORBID_ENCRYPT_ALLOW_DECRYPT"},
};

const char *kf_commitment_policy_name(enum kf_commitment_policy policy)
{
    return KFI_NAME_OF(policies, policy, "unknown");
}

static enum kf_code unknown_policy(enum kf_commitment_policy policy, struct kf_error *error)
{
    return kf_error_set(error, KF_E_POLICY,
                        "There is no commitment policy with the number %d: use one of enum "
                        "kf_commitment_policy.",
                        (int)policy);
}

enum kf_code kfi_policy_check_encrypt(enum kf_commitment_policy policy, const struct kfi_suite *suite,
                                      struct kf_error *error)
{
    const char *name = KFI_NAME_OF(policies, policy, NULL);
    if (name == NULL)
        return unknown_policy(policy, error);
    bool forbids = policy == KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    if (suite->info.commits && forbids)
        return kf_error_set(error, KF_E_POLICY,
                            "The commitment policy %s refuses to encrypt with suite %04X (%s), which has key "
                            "commitment: use a suite without it, such as 0378 or 0178, or the policy "
                            "REQUIRE_ENCRYPT_ALLOW_DECRYPT.",
                            name, (unsigned)suite->info.id, suite->info.name);
    if (!suite->info.commits && !forbids)
        return kf_error_set(
            error, KF_E_POLICY,
            "The commitment policy %s refuses to encrypt with suite %04X (%s), which lacks key "
            "commitment: use suite 0578 or 0478, or the policy FORBID_ENCRYPT_ALLOW_DECRYPT.",
            name, (unsigned)suite->info.id, suite->info.name);
    return KF_OK;
}

enum kf_code kfi_policy_check_decrypt(enum kf_commitment_policy policy, const struct kfi_suite *suite,
                                      struct kf_error *error)
{
    const char *name = KFI_NAME_OF(policies, policy, NULL);
    if (name == NULL)
        return unknown_policy(policy, error);
    if (!suite->info.commits && policy == KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
        return kf_error_set(
            error, KF_E_POLICY,
            "The commitment policy %s refuses to decrypt a message of suite %04X (%s), which lacks "
            "key commitment: if such messages are to be read, use the policy "
            "REQUIRE_ENCRYPT_ALLOW_DECRYPT.",
            name, (unsigned)suite->info.id, suite->info.name);
    return KF_OK;
}
