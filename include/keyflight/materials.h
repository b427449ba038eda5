/*
 * Cryptographic materials: what a CMM answers, and what keyrings are asked to complete. Materials never change
 * once they are complete. The last _unref wipes their secrets. (S: framework/structures.md)
 */
#ifndef KEYFLIGHT_MATERIALS_H
#define KEYFLIGHT_MATERIALS_H

#include <keyflight/encryption_context.h>
#include <keyflight/suite.h>
#include <keyflight/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An encrypted data key (EDK). Each part has 0 to 65,535 bytes. (S: framework/structures.md#encrypted-data-key) */
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

/*
 * Writes the first 16 hexadecimal digits of SHA-256 over the serialized EDK, and a NUL. Errors: KF_E_USAGE (a part
 * is too long), KF_E_SYSTEM.
 */
KF_CODE kf_edk_fingerprint(const struct kf_edk *edk, struct kf_error *error, char out[KF_FINGERPRINT_SIZE]);

/* A data key in the clear. Whoever has one wipes it after use. */
struct kf_data_key {
    size_t length; /* in bytes: 0 (none), 16, 24 or 32 */
    uint8_t bytes[KF_DATA_KEY_MAX];
};

/* The bound of a plaintext whose length nobody knows: 2^64-1. */
static const uint64_t KF_LENGTH_UNKNOWN = 18446744073709551615ULL;

/*
 * What a CMM is asked for encryption. What it points to lives until the call ends.
 * (S: framework/cmm-interface.md#encryption-materials-request)
 */
struct kf_encryption_request {
    enum kf_suite suite; /* KF_SUITE_DEFAULT: that of the commitment policy */
    enum kf_commitment_policy commitment_policy;
    const struct kf_encryption_context *encryption_context; /* NULL: empty */
    /* Keys of the encryption context whose pairs are authenticated but not stored. */
    const struct kf_view *required_keys;
    size_t required_key_count;
    uint64_t plaintext_bound; /* the plaintext has at most so many bytes; or KF_LENGTH_UNKNOWN */
    uint16_t max_edks;        /* the materials may have so many EDKs; 0: any number */
};

/*
 * What a CMM is asked for decryption. What it points to lives until the call ends.
 * (S: framework/cmm-interface.md#decrypt-materials-request)
 */
struct kf_decryption_request {
    enum kf_suite suite; /* never KF_SUITE_DEFAULT */
    enum kf_commitment_policy commitment_policy;
    const struct kf_encryption_context *encryption_context; /* stored in the message; NULL: empty */
    /* Given by whoever decrypts, for the pairs that are not stored. NULL: empty. */
    const struct kf_encryption_context *reproduced_encryption_context;
    const struct kf_edk *edks;
    size_t edk_count;  /* at least 1 */
    uint16_t max_edks; /* as the caller of the decryption has it; 0: any number */
};

/*
 * Encryption materials. Those that a keyring sees have no EDKs yet, and a data key only if an earlier keyring has
 * made one. Those that a CMM answers are complete.
 * (S: framework/structures.md#encryption-materials)
 */
struct kf_encryption_materials;

KF_API const struct kf_encryption_materials *kf_encryption_materials_ref(
    const struct kf_encryption_materials *materials);
KF_API void kf_encryption_materials_unref(const struct kf_encryption_materials *materials);

/* The suite; never KF_SUITE_DEFAULT. */
KF_API enum kf_suite kf_encryption_materials_suite(const struct kf_encryption_materials *materials);

/*
 * The whole encryption context: with the required pairs, and with the public key of a suite that signs. It lives as
 * long as the materials, as does all that the functions below answer.
 */
KF_API const struct kf_encryption_context *kf_encryption_materials_encryption_context(
    const struct kf_encryption_materials *materials);

/* The pairs that are authenticated but not stored. NULL or empty: none. */
KF_API const struct kf_encryption_context *kf_encryption_materials_required_context(
    const struct kf_encryption_materials *materials);

/* The data key; length 0 if there is none yet. It is a secret: don't copy it needlessly. */
KF_API struct kf_view kf_encryption_materials_data_key(const struct kf_encryption_materials *materials);

/* The number of EDKs, and EDK `index`, which is less than that. */
KF_API size_t kf_encryption_materials_edk_count(const struct kf_encryption_materials *materials);
KF_API struct kf_edk kf_encryption_materials_edk(const struct kf_encryption_materials *materials,
                                                 size_t index);

/*
 * Decryption materials. Those that a keyring sees have no data key yet. Those that a CMM answers are complete. The
 * functions are as those above. (S: framework/structures.md#decryption-materials)
 */
struct kf_decryption_materials;

KF_API const struct kf_decryption_materials *kf_decryption_materials_ref(
    const struct kf_decryption_materials *materials);
KF_API void kf_decryption_materials_unref(const struct kf_decryption_materials *materials);
KF_API enum kf_suite kf_decryption_materials_suite(const struct kf_decryption_materials *materials);
/* The whole encryption context: the pairs that the message stores, and those that were reproduced. */
KF_API const struct kf_encryption_context *kf_decryption_materials_encryption_context(
    const struct kf_decryption_materials *materials);
/* The reproduced pairs that the message does not store. NULL or empty: none. */
KF_API const struct kf_encryption_context *kf_decryption_materials_required_context(
    const struct kf_decryption_materials *materials);
KF_API struct kf_view kf_decryption_materials_data_key(const struct kf_decryption_materials *materials);

#ifdef __cplusplus
}
#endif

#endif
