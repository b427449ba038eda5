/*
 * Raw keyrings with key pairs that the caller has, RSA and ECDH, and how to make such pairs.
 *
 * A key is given as one object in PEM or DER: a public one as SubjectPublicKeyInfo or PKCS#1, a private one as PKCS#8,
 * PKCS#1 or SEC1. PEM may be encrypted, and so may PKCS#8 in DER. Only PEM may have something around it: white space.
 */
#ifndef KEYFLIGHT_RAW_KEYRINGS_H
#define KEYFLIGHT_RAW_KEYRINGS_H

#include <keyflight/keyring.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * How to get the passphrase of an encrypted private key. ask(context, out, room, &length) writes it to `out`, at most
 * `room` bytes, and its length to `*length`. The library wipes it after use. False: there is none. A function that is
 * given the key calls `ask` at most once, on the calling thread, and not after it has returned.
 */
struct kf_passphrase {
    bool (*ask)(void *context, char *out, size_t room, size_t *length); /* NULL: there is none */
    void *context;
};

/* ---- Keys ---- */

/* What a key is. */
struct kf_raw_key_info {
    size_t size;
    bool is_private;
    unsigned rsa_bits; /* 0 if it is no RSA key; may be more than a keyring takes */
    unsigned curve;    /* an enum kf_ecdh_curve; 0 for an RSA key */
    /*
     * Of an RSA key: the first 16 hexadecimal digits of SHA-256 over its public half, as SubjectPublicKeyInfo in DER.
     * It is the same for both halves, and so can be the key's name. Empty for other keys.
     */
    char rsa_fingerprint[KF_FINGERPRINT_SIZE];
};

#define KF_RAW_KEY_INFO_INIT                         \
    {                                                \
        sizeof(struct kf_raw_key_info), false, 0, 0, \
        {                                            \
            0                                        \
        }                                            \
    }

KF_API void kf_raw_key_info_init(struct kf_raw_key_info *out, size_t size);

/*
 * Fills `*out` with what the one key in `key` is. Whether the key is good is left for its keyring to check.
 * `passphrase` may be NULL. Errors: KF_E_USAGE, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
KF_CODE kf_raw_key_describe(struct kf_view key, const struct kf_passphrase *passphrase,
                            struct kf_error *error, struct kf_raw_key_info *out);

/* ---- RSA ---- */

/* The hash of OAEP is also that of MGF1. (S: framework/raw-rsa-keyring.md#supported-padding-schemes) */
enum kf_rsa_padding {
    KF_RSA_PKCS1 = 1, /* PKCS#1 v1.5 */
    KF_RSA_OAEP_SHA1 = 2,
    KF_RSA_OAEP_SHA256 = 3,
    KF_RSA_OAEP_SHA384 = 4,
    KF_RSA_OAEP_SHA512 = 5,
};

KF_API const char *kf_rsa_padding_name(enum kf_rsa_padding padding);

/*
 * Makes an RSA key pair of 2,048 to 16,384 bits, in PEM: the public key as SubjectPublicKeyInfo, the private key as
 * PKCS#8, not encrypted. It takes two buffers. Errors: KF_E_USAGE, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
KF_CODE kf_raw_rsa_key_generate(unsigned bits, struct kf_error *error, struct kf_buf *public_key,
                                struct kf_buf *private_key);

/*
 * A raw RSA keyring wraps with the public key and unwraps with the private key. Without a public key it can't encrypt,
 * without a private key it can't decrypt (KF_E_KEYS). It does not take the public key out of the private one. If it has
 * both, they have to be a pair. (S: framework/raw-rsa-keyring.md)
 *
 * Its EDKs are not bound to the encryption context, as those of other keyrings are; the header still is. Use OAEP for
 * anything new: with PKCS#1 v1.5 a wrong key may go unnoticed until the header's tag does not match (KF_E_FORGED).
 */
struct kf_raw_rsa_keyring_options {
    size_t size;
    struct kf_view key_namespace; /* UTF-8, 0 to 65,535 bytes; does not begin with "aws-kms" */
    struct kf_view key_name;      /* UTF-8, 0 to 65,535 bytes */
    enum kf_rsa_padding padding;
    struct kf_view public_key;       /* 2,048 to 16,384 bits; empty: the keyring only decrypts */
    struct kf_view private_key;      /* as long; empty: the keyring only encrypts */
    struct kf_passphrase passphrase; /* that of the private key */
};

#define KF_RAW_RSA_KEYRING_OPTIONS_INIT                                                                 \
    {                                                                                                   \
        sizeof(struct kf_raw_rsa_keyring_options), {NULL, 0}, {NULL, 0}, KF_RSA_OAEP_SHA256, {NULL, 0}, \
            {NULL, 0},                                                                                  \
        {                                                                                               \
            NULL, NULL                                                                                  \
        }                                                                                               \
    }

KF_API void kf_raw_rsa_keyring_options_init(struct kf_raw_rsa_keyring_options *out, size_t size);

/*
 * Everything is copied; what is secret is wiped with the keyring. Errors: KF_E_USAGE, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
KF_CODE kf_raw_rsa_keyring_new(const struct kf_raw_rsa_keyring_options *options, struct kf_error *error,
                               struct kf_keyring **out);

/* ---- ECDH ---- */

enum kf_ecdh_curve {
    KF_ECDH_P256 = 256,
    KF_ECDH_P384 = 384,
    KF_ECDH_P521 = 521,
};

KF_API const char *kf_ecdh_curve_name(enum kf_ecdh_curve curve);

/* Makes a key pair on a curve. As kf_raw_rsa_key_generate otherwise. */
KF_CODE kf_raw_ecdh_key_generate(enum kf_ecdh_curve curve, struct kf_error *error, struct kf_buf *public_key,
                                 struct kf_buf *private_key);

/* How two parties get a secret that both know. (S: framework/key-agreement-schemas.md) */
enum kf_ecdh_schema {
    /*
     * RawPrivateKeyToStaticPublicKey. private_key is the own one, public_key is that of the peer. The keyring encrypts
     * for the peer, and decrypts what either of the two has encrypted for the other.
     */
    KF_ECDH_STATIC = 1,
    /*
     * EphemeralPrivateKeyToStaticPublicKey. public_key is that of the recipient. Each data key has a new key pair in
     * the place of a sender. The keyring only encrypts.
     */
    KF_ECDH_EPHEMERAL = 2,
    /*
     * PublicKeyDiscovery. private_key is that of the recipient. The keyring only decrypts, by either schema and from
     * any sender. It does not say which sender that is.
     */
    KF_ECDH_DISCOVERY = 3,
};

KF_API const char *kf_ecdh_schema_name(enum kf_ecdh_schema schema);

/*
 * A raw ECDH keyring wraps by AES-GCM, under a key that is derived from a secret of two parties.
 * (S: framework/raw-ecdh-keyring.md)
 */
struct kf_raw_ecdh_keyring_options {
    size_t size;
    enum kf_ecdh_schema schema;      /* needed */
    enum kf_ecdh_curve curve;        /* needed: that of all keys */
    struct kf_view private_key;      /* needed for KF_ECDH_STATIC and KF_ECDH_DISCOVERY, else empty */
    struct kf_view public_key;       /* needed for KF_ECDH_STATIC and KF_ECDH_EPHEMERAL, else empty */
    struct kf_passphrase passphrase; /* that of the private key */
};

#define KF_RAW_ECDH_KEYRING_OPTIONS_INIT                                                           \
    {                                                                                              \
        sizeof(struct kf_raw_ecdh_keyring_options), (enum kf_ecdh_schema)0, (enum kf_ecdh_curve)0, \
            {NULL, 0}, {NULL, 0},                                                                  \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

KF_API void kf_raw_ecdh_keyring_options_init(struct kf_raw_ecdh_keyring_options *out, size_t size);

/*
 * Everything is copied; what is secret is wiped with the keyring. Errors: KF_E_USAGE, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
KF_CODE kf_raw_ecdh_keyring_new(const struct kf_raw_ecdh_keyring_options *options, struct kf_error *error,
                                struct kf_keyring **out);

#ifdef __cplusplus
}
#endif

#endif
