/*
 * Cryptographic materials: what a CMM answers, and what keyrings are asked to complete. Objects are
 * reference-counted and never change once somebody else can see them; their secrets are wiped at the last
 * release. (S: framework/structures.md)
 */
#ifndef KEYFLIGHT_MATERIALS_H
#define KEYFLIGHT_MATERIALS_H

#include <keyflight/encryption_context.h>
#include <keyflight/suite.h>
#include <keyflight/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An encrypted data key (EDK): 0 to 65,535 bytes each. (S: framework/structures.md#encrypted-data-key) */
struct kf_edk {
    struct kf_view provider_id;
    struct kf_view provider_info;
    struct kf_view ciphertext;
};

/* Sizes in bytes. */
enum {
    KF_DATA_KEY_MAX = 32,     /* the longest data key */
    KF_FINGERPRINT_SIZE = 17, /* 16 hexadecimal digits and a NUL */
};

/* The first 16 hexadecimal digits of SHA-256 over the serialized EDK. Errors: KF_E_SYSTEM. */
KF_CODE kf_edk_fingerprint(const struct kf_edk *edk, struct kf_error *error, char out[KF_FINGERPRINT_SIZE]);

/* A data key in the clear. Whoever holds one wipes it. */
struct kf_data_key {
    size_t length; /* 0 (none), 16, 24 or 32 */
    uint8_t bytes[KF_DATA_KEY_MAX];
};

/* A length in bytes that nobody knows: 2^64-1. */
static const uint64_t KF_LENGTH_UNKNOWN = 18446744073709551615ULL;

/*
 * What a CMM is asked for encryption. What it points to is borrowed and lives until the call ends.
 * (S: framework/cmm-interface.md#encryption-materials-request)
 */
struct kf_encryption_request {
    enum kf_suite suite; /* KF_SUITE_DEFAULT: the policy's */
    enum kf_commitment_policy commitment_policy;
    const struct kf_encryption_context *encryption_context; /* NULL: empty */
    const struct kf_view *required_keys; /* keys of the context to authenticate but not to store */
    size_t required_key_count;
    uint64_t plaintext_bound; /* at most so many bytes, or KF_LENGTH_UNKNOWN */
    uint16_t max_edks;        /* 0: no limit */
};

/* What a CMM is asked for decryption, likewise. (S: framework/cmm-interface.md#decrypt-materials-request) */
struct kf_decryption_request {
    enum kf_suite suite;
    enum kf_commitment_policy commitment_policy;
    const struct kf_encryption_context *encryption_context; /* stored in the message; NULL: empty */
    const struct kf_encryption_context
        *reproduced_encryption_context; /* brought by the caller; NULL: empty */
    const struct kf_edk *edks;
    size_t edk_count;  /* at least 1 */
    uint16_t max_edks; /* 0: no limit */
};

/*
 * Encryption materials. While a keyring sees them they may lack the data key; afterwards they are complete.
 */
struct kf_encryption_materials;

KF_API const struct kf_encryption_materials *kf_encryption_materials_ref(
    const struct kf_encryption_materials *materials);
KF_API void kf_encryption_materials_unref(
    const struct kf_encryption_materials *materials); /* NULL is allowed */
KF_API enum kf_suite kf_encryption_materials_suite(const struct kf_encryption_materials *materials);
/* The whole context, required pairs and public key included; lives as long as the materials. */
KF_API const struct kf_encryption_context *kf_encryption_materials_encryption_context(
    const struct kf_encryption_materials *materials);
/* The pairs that are authenticated but not stored. */
KF_API const struct kf_encryption_context *kf_encryption_materials_required_context(
    const struct kf_encryption_materials *materials);
/* The data key, length 0 if there is none yet. A secret: do not copy it needlessly. */
KF_API struct kf_view kf_encryption_materials_data_key(const struct kf_encryption_materials *materials);
KF_API size_t kf_encryption_materials_edk_count(const struct kf_encryption_materials *materials);
KF_API struct kf_edk kf_encryption_materials_edk(const struct kf_encryption_materials *materials,
                                                 size_t index);

/* Decryption materials, likewise. */
struct kf_decryption_materials;

KF_API const struct kf_decryption_materials *kf_decryption_materials_ref(
    const struct kf_decryption_materials *materials);
KF_API void kf_decryption_materials_unref(
    const struct kf_decryption_materials *materials); /* NULL is allowed */
KF_API enum kf_suite kf_decryption_materials_suite(const struct kf_decryption_materials *materials);
/* The whole context: what the message stores and what the caller reproduced. */
KF_API const struct kf_encryption_context *kf_decryption_materials_encryption_context(
    const struct kf_decryption_materials *materials);
KF_API const struct kf_encryption_context *kf_decryption_materials_required_context(
    const struct kf_decryption_materials *materials);
KF_API struct kf_view kf_decryption_materials_data_key(const struct kf_decryption_materials *materials);

#ifdef __cplusplus
}
#endif

#endif
