/*
 * Algorithm suites and the commitment policy.
 * (S: framework/algorithm-suites.md, framework/commitment-policy.md)
 */
#ifndef KEYFLIGHT_SUITE_H
#define KEYFLIGHT_SUITE_H

#include <keyflight/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The suites of the AWS Encryption SDK, by their identifiers on the wire. */
enum kf_suite {
    KF_SUITE_DEFAULT = 0, /* what the commitment policy prefers; only in requests */
    KF_AES_128_GCM_IV12_TAG16_NO_KDF = 0x0014,
    KF_AES_192_GCM_IV12_TAG16_NO_KDF = 0x0046,
    KF_AES_256_GCM_IV12_TAG16_NO_KDF = 0x0078,
    KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256 = 0x0114,
    KF_AES_192_GCM_IV12_TAG16_HKDF_SHA256 = 0x0146,
    KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256 = 0x0178,
    KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256 = 0x0214,
    KF_AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384 = 0x0346,
    KF_AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384 = 0x0378,
    KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY = 0x0478,
    KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384 = 0x0578,
};

/* What a suite is made of. */
struct kf_suite_info {
    enum kf_suite id;
    const char *name;       /* as in the specification, without its ALG_ prefix */
    unsigned format;        /* message format version, 1 or 2 */
    size_t data_key_length; /* in bytes: 16, 24 or 32 */
    bool derives;           /* has a key derivation: only such suites are cached */
    bool commits;           /* has key commitment */
    bool sign;              /* messages end in a signature */
};

/* The suite with this identifier, or NULL. Static storage. */
KF_API const struct kf_suite_info *kf_suite_info_of(enum kf_suite id);

/*
 * The suite called `name`: four hexadecimal digits ("0578", also with 0x) or the specification's name. NULL
 * if none.
 */
KF_API const struct kf_suite_info *kf_suite_find(const char *name);

KF_API const char *kf_suite_name(enum kf_suite id);

/* Which suites are allowed. (S: framework/commitment-policy.md) */
enum kf_commitment_policy {
    KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT = 0, /* both only with commitment; default suite 0578 */
    KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT = 1,   /* encrypt only with, decrypt all; default suite 0578 */
    KF_FORBID_ENCRYPT_ALLOW_DECRYPT = 2,    /* encrypt only without, decrypt all; default suite 0378 */
};

KF_API const char *kf_commitment_policy_name(enum kf_commitment_policy policy);

#ifdef __cplusplus
}
#endif

#endif
