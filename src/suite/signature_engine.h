/*
 * What an implementation of ECDSA has to offer, and the two that there are. Only signature.c calls them.
 * Tests pick one by the functions at the end, or bring their own.
 */
#ifndef KFI_SUITE_SIGNATURE_ENGINE_H
#define KFI_SUITE_SIGNATURE_ENGINE_H

#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>

#include "suite/signature.h"

/*
 * Points are compressed: 33 or 49 bytes. Digests are as long as the order of the curve. Secret and public
 * keys never change, and many threads use them at once. Functions that fail write a sentence, unless they say
 * otherwise.
 */
struct kfi_signature_engine {
    /* A new key pair. Errors: KF_E_SYSTEM, KF_E_NO_MEMORY. */
    enum kf_code (*generate)(enum kfi_curve curve, struct kf_error *error, uint8_t point[KFI_POINT_MAX],
                             void **secret);
    /* Wipes and frees a secret, which is not NULL. */
    void (*secret_free)(void *secret);
    /* Errors: KF_E_SYSTEM, KF_E_NO_MEMORY. */
    enum kf_code (*sign)(void *secret, struct kf_view digest, struct kf_error *error, ECDSA_SIG **out);

    /*
     * `point` is as long as a compressed point. KF_E_MALFORMED (without a sentence) if it is not one of the
     * curve. Errors: also KF_E_SYSTEM, KF_E_NO_MEMORY.
     */
    enum kf_code (*public_new)(enum kfi_curve curve, struct kf_view point, struct kf_error *error,
                               void **out);
    void (*public_free)(void *public_key);
    /*
     * KF_E_FORGED (without a sentence) if the signature is not valid. Errors: also KF_E_SYSTEM,
     * KF_E_NO_MEMORY.
     */
    enum kf_code (*verify)(void *public_key, struct kf_view digest, const ECDSA_SIG *signature,
                           struct kf_error *error);
};

extern const struct kfi_signature_engine kfi_signature_openssl;
#ifdef KFI_HAVE_NETTLE
extern const struct kfi_signature_engine kfi_signature_nettle;
#endif

#define KFI_COORDINATE_MAX 48

/* The number that libcrypto gives the curve, and the length of a coordinate and of the order in bytes. */
static inline int kfi_curve_nid(enum kfi_curve curve)
{
    return curve == KFI_P256 ? NID_X9_62_prime256v1 : NID_secp384r1;
}

static inline size_t kfi_curve_bytes(enum kfi_curve curve)
{
    return curve == KFI_P256 ? 32 : 48;
}

/*
 * The engine for a curve: nettle on P-384, if it was built in and no property query mentions fips; otherwise
 * OpenSSL. Errors: those of kfi_provider_get.
 */
enum kf_code kfi_signature_engine_get(enum kfi_curve curve, struct kf_error *error,
                                      const struct kfi_signature_engine **out);

/* As kfi_signing_key_generate and kfi_verification_key_parse, but by this engine. */
enum kf_code kfi_signing_key_generate_by(const struct kfi_signature_engine *engine, enum kfi_curve curve,
                                         struct kf_error *error, struct kfi_signing_key **out);
enum kf_code kfi_verification_key_parse_by(const struct kfi_signature_engine *engine, enum kfi_curve curve,
                                           struct kf_view text, struct kf_error *error,
                                           struct kfi_verification_key **out);

#endif
