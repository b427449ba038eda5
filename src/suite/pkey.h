/*
 * RSA and elliptic curve keys as files have them: from PEM or DER to numbers. What the numbers mean is
 * checked by rsa.c and ecdh.c, which make keys of them.
 */
#ifndef KFI_SUITE_PKEY_H
#define KFI_SUITE_PKEY_H

#include <keyflight/raw_keyrings.h>

/* The longest key that is read, in bytes and with PEM around it: an RSA key of 16,384 bits fits. */
#define KFI_PKEY_TEXT_MAX 32768

#define KFI_PASSPHRASE_MAX 1024

/* The numbers of an RSA key, in the order of PKCS#1. */
enum kfi_rsa_number {
    KFI_RSA_N,
    KFI_RSA_E, /* the last one of a public key */
    KFI_RSA_D,
    KFI_RSA_P,
    KFI_RSA_Q,
    KFI_RSA_DP,
    KFI_RSA_DQ,
    KFI_RSA_QINV,
    KFI_RSA_NUMBERS
};

/* A key that was taken apart. Numbers are big-endian and have no leading zeros. */
struct kfi_pkey {
    bool is_private;
    bool is_rsa;
    struct kf_view rsa[KFI_RSA_NUMBERS]; /* the first two; all of them if it is private */
    enum kf_ecdh_curve curve;            /* unless it is RSA */
    struct kf_view scalar;               /* of a private key, as it was written */
    struct kf_view point;                /* may be empty if the key is private */
    uint8_t *der;                        /* the memory that all of these are views of; a secret */
    size_t der_length;
};

/*
 * Takes the one key in `text` apart. After a success kfi_pkey_end is due. `passphrase` may be NULL. Errors:
 * KF_E_USAGE with a sentence, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
enum kf_code kfi_pkey_read(struct kf_view text, const struct kf_passphrase *passphrase,
                           struct kf_error *error, struct kfi_pkey *out);

/* Wipes and frees the content. */
void kfi_pkey_end(struct kfi_pkey *pkey);

/* Checks that it is the wanted half. Errors: KF_E_USAGE with a sentence that says which half it is. */
enum kf_code kfi_pkey_check_half(const struct kfi_pkey *pkey, bool is_private, struct kf_error *error);

/*
 * Writes `number` for OSSL_PARAM_construct_BN: in native byte order, in `length` bytes, which are at least
 * its own.
 */
void kfi_native_number(struct kf_view number, uint8_t *out, size_t length);

#endif
