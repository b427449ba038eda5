/*
 * Raw keyrings with asymmetric keys that the caller holds, RSA and ECDH, and how such keys are made. Keys are
 * given as one object each, in PEM or DER: public ones as SubjectPublicKeyInfo or PKCS#1, private ones as
 * PKCS#8, PKCS#1 or SEC1. PEM may be encrypted, PKCS#8 in DER too. Nothing may stand before or behind the
 * object but white space around PEM.
 */
#ifndef KEYFLIGHT_RAW_KEYRINGS_H
#define KEYFLIGHT_RAW_KEYRINGS_H

#include <keyflight/keyring.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Who knows the passphrase of an encrypted private key. `ask` writes it to `out` (at most `room` bytes, which
 * are wiped after use) and its length to `*length`, or answers false if there is none. It is called at most
 * once in a call that is given the key, on the calling thread, and never after it.
 */
struct kf_passphrase {
    bool (*ask)(void *context, char *out, size_t room, size_t *length); /* NULL: nobody */
    void *context;
};

/* ---- Keys ---- */

/* What a key is. Begin with its size. */
struct kf_raw_key_info {
    size_t size;
    bool is_private;
    unsigned rsa_bits; /* 0 unless it is of RSA, also if no keyring takes so many */
    unsigned curve;    /* 0 if it is of RSA, else an enum kf_ecdh_curve */
    /*
     * The same for both halves of an RSA key, so that it can serve as its name: the first 16 hexadecimal
     * digits of SHA-256 over the public half as SubjectPublicKeyInfo in DER. Empty for other keys.
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
 * Says what the one key in `key` is; whether it is any good, its keyring checks. `passphrase` may be NULL.
 * Errors: KF_E_USAGE, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
KF_CODE kf_raw_key_describe(struct kf_view key, const struct kf_passphrase *passphrase,
                            struct kf_error *error, struct kf_raw_key_info *out);

/* ---- RSA ---- */

/* OAEP uses its hash for MGF1 too. (S: framework/raw-rsa-keyring.md#supported-padding-schemes) */
enum kf_rsa_padding {
    KF_RSA_PKCS1 = 1, /* v1.5 */
    KF_RSA_OAEP_SHA1 = 2,
    KF_RSA_OAEP_SHA256 = 3,
    KF_RSA_OAEP_SHA384 = 4,
    KF_RSA_OAEP_SHA512 = 5,
};

KF_API const char *kf_rsa_padding_name(enum kf_rsa_padding padding);

/*
 * Makes an RSA key pair with 2,048 to 16,384 bits: SubjectPublicKeyInfo and PKCS#8 in PEM, the latter not
 * encrypted. The buffers have to be two. Errors: KF_E_USAGE, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
KF_CODE kf_raw_rsa_key_generate(unsigned bits, struct kf_error *error, struct kf_buf *public_key,
                                struct kf_buf *private_key);

/*
 * A raw RSA keyring: wraps by RSA under the public key and unwraps by the private key. Either may be missing,
 * and what it would do then fails with KF_E_KEYS: the public key is never taken out of the private one. If both
 * are there they have to be a pair. Unlike other keyrings' EDKs, those of RSA are not bound to the encryption
 * context (the header is). (S: framework/raw-rsa-keyring.md)
 *
 * Take OAEP for anything new. PKCS#1 v1.5 can't tell for sure that a key is the wrong one: then the header's
 * tag does, and decryption fails with KF_E_FORGED.
 */
struct kf_raw_rsa_keyring_options {
    size_t size;
    struct kf_view key_namespace; /* UTF-8, 0 to 65,535 bytes; not beginning with "aws-kms" */
    struct kf_view key_name;      /* UTF-8, 0 to 65,535 bytes */
    enum kf_rsa_padding padding;
    struct kf_view public_key;       /* 2,048 to 16,384 bits; empty: the keyring only decrypts */
    struct kf_view private_key;      /* likewise; empty: the keyring only encrypts */
    struct kf_passphrase passphrase; /* of the private key */
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

/* Errors: KF_E_USAGE, KF_E_SYSTEM, KF_E_NO_MEMORY. The caller owns one reference of `*out`. */
KF_CODE kf_raw_rsa_keyring_new(const struct kf_raw_rsa_keyring_options *options, struct kf_error *error,
                               struct kf_keyring **out);

/* ---- ECDH ---- */

enum kf_ecdh_curve {
    KF_ECDH_P256 = 256,
    KF_ECDH_P384 = 384,
    KF_ECDH_P521 = 521,
};

KF_API const char *kf_ecdh_curve_name(enum kf_ecdh_curve curve);

/* Makes a key pair on a curve, as kf_raw_rsa_key_generate does. */
KF_CODE kf_raw_ecdh_key_generate(enum kf_ecdh_curve curve, struct kf_error *error, struct kf_buf *public_key,
                                 struct kf_buf *private_key);

/* How the two parties come to a shared secret. (S: framework/key-agreement-schemas.md) */
enum kf_ecdh_schema {
    /*
     * RawPrivateKeyToStaticPublicKey: private_key is the sender's (one's own), public_key the recipient's (the
     * peer's). Encrypts, and decrypts what either of the two sent to the other.
     */
    KF_ECDH_STATIC = 1,
    /*
     * EphemeralPrivateKeyToStaticPublicKey: public_key is the recipient's; a new key pair for each data key is
     * the sender. Only encrypts.
     */
    KF_ECDH_EPHEMERAL = 2,
    /*
     * PublicKeyDiscovery: private_key is the recipient's. Only decrypts: what anybody sent to it, static or
     * ephemeral. It says nothing about who the sender is.
     */
    KF_ECDH_DISCOVERY = 3,
};

KF_API const char *kf_ecdh_schema_name(enum kf_ecdh_schema schema);

/*
 * A raw ECDH keyring: wraps by AES-GCM under a key derived from the secret that two parties share.
 * (S: framework/raw-ecdh-keyring.md)
 */
struct kf_raw_ecdh_keyring_options {
    size_t size;
    enum kf_ecdh_schema schema;      /* needed */
    enum kf_ecdh_curve curve;        /* needed; every key has to be on it */
    struct kf_view private_key;      /* static and discovery; wiped with the keyring or sooner */
    struct kf_view public_key;       /* static and ephemeral: the recipient's */
    struct kf_passphrase passphrase; /* of the private key */
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

/* Errors: KF_E_USAGE, KF_E_SYSTEM, KF_E_NO_MEMORY. The caller owns one reference of `*out`. */
KF_CODE kf_raw_ecdh_keyring_new(const struct kf_raw_ecdh_keyring_options *options, struct kf_error *error,
                                struct kf_keyring **out);

#ifdef __cplusplus
}
#endif

#endif
