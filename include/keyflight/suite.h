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

/* What a suite is made of. In static storage. */
struct kf_suite_info {
    enum kf_suite id;
    const char *name;       /* as in the specification, without ALG_ in front */
    unsigned format;        /* version of the message format, 1 or 2 */
    size_t data_key_length; /* in bytes: 16, 24 or 32 */
    bool derives;           /* derives a key for each message: only the data keys of such suites are cached */
    bool commits;           /* commits to the data key */
    bool sign;              /* messages end in a signature */
};

/* The suite with this identifier; NULL if there is none, as for KF_SUITE_DEFAULT. */
KF_API const struct kf_suite_info *kf_suite_info_of(enum kf_suite id);

/*
 * The suite called `name`: four hexadecimal digits ("0578", with or without 0x), or the specification's name
 * with or without ALG_. NULL if there is none.
 */
KF_API const struct kf_suite_info *kf_suite_find(const char *name);

/* The name in struct kf_suite_info, or "DEFAULT". */
KF_API const char *kf_suite_name(enum kf_suite id);

/* Which suites are allowed, and which is taken for KF_SUITE_DEFAULT. (S: framework/commitment-policy.md) */
enum kf_commitment_policy {
    KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT = 0, /* only suites with key commitment; 0578 */
    KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT = 1,   /* encrypts only with key commitment, decrypts all; 0578 */
    KF_FORBID_ENCRYPT_ALLOW_DECRYPT = 2,    /* encrypts only without key commitment, decrypts all; 0378 */
};

KF_API const char *kf_commitment_policy_name(enum kf_commitment_policy policy);

#ifdef __cplusplus
}
#endif

#endif
