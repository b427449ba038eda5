/*
 * Signatures: see signature.h. Called by CMMs (key pairs), encrypt (signing) and decrypt (verifying). Here is
 * what both engines share: reference counts, base64, DER, the running digest and the length of signatures.
 */
#include "suite/signature.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/refs.h"
#include "suite/digest.h"
#include "suite/provider.h"
#include "suite/signature_engine.h"

/* The orders of the curves (SEC 2, sections 2.4.2 and 2.5.1), for the negation of s. */
static const uint8_t order_p256[32] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};
static const uint8_t order_p384[48] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
};

/*
 * About one signature in 130 cannot be given the right length and is made again. If so many in a row cannot,
 * the length is impossible.
 */
#define ATTEMPTS_MAX 50

struct kfi_signing_key {
    struct kfi_refs refs;
    const struct kfi_signature_engine *engine;
    enum kfi_curve curve;
    void *secret;
    size_t text_length;
    uint8_t text[KFI_POINT_TEXT_MAX + 1]; /* and the NUL that libcrypto writes */
};

struct kfi_verification_key {
    struct kfi_refs refs;
    const struct kfi_signature_engine *engine;
    void *public_key;
};

struct kfi_transcript {
    enum kfi_hash hash;
    EVP_MD_CTX *context;
};

static size_t point_length(enum kfi_curve curve)
{
    return 1 + kfi_curve_bytes(curve);
}

static size_t point_text_length(enum kfi_curve curve)
{
    return (point_length(curve) + 2) / 3 * 4;
}

enum kf_code kfi_signature_engine_get(enum kfi_curve curve, struct kf_error *error,
                                      const struct kfi_signature_engine **out)
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    *out = &kfi_signature_openssl;
#ifdef KFI_HAVE_NETTLE
    /* On P-256 OpenSSL is the faster one. */
    if (curve == KFI_P384 && !provider->fips)
        *out = &kfi_signature_nettle;
#else
    (void)curve;
#endif
    return KF_OK;
}

/* ---- Key pairs ---- */

enum kf_code kfi_signing_key_generate_by(const struct kfi_signature_engine *engine, enum kfi_curve curve,
                                         struct kf_error *error, struct kfi_signing_key **out)
{
    *out = NULL;
    struct kfi_signing_key *key = kfi_alloc_zeroed(sizeof *key);
    if (key == NULL)
        return kfi_no_memory(error);
    uint8_t point[KFI_POINT_MAX];
    enum kf_code code = engine->generate(curve, error, point, &key->secret);
    if (code != KF_OK) {
        kfi_free(key);
        return code;
    }
    kfi_refs_init(&key->refs);
    key->engine = engine;
    key->curve = curve;
    key->text_length = point_text_length(curve);
    EVP_EncodeBlock(key->text, point, (int)point_length(curve));
    *out = key;
    return KF_OK;
}

enum kf_code kfi_signing_key_generate(enum kfi_curve curve, struct kf_error *error,
                                      struct kfi_signing_key **out)
{
    *out = NULL;
    const struct kfi_signature_engine *engine;
    enum kf_code code = kfi_signature_engine_get(curve, error, &engine);
    return code == KF_OK ? kfi_signing_key_generate_by(engine, curve, error, out) : code;
}

struct kfi_signing_key *kfi_signing_key_ref(struct kfi_signing_key *key)
{
    kfi_refs_add(&key->refs, 1);
    return key;
}

void kfi_signing_key_unref(struct kfi_signing_key *key)
{
    if (key == NULL || !kfi_refs_drop(&key->refs))
        return;
    key->engine->secret_free(key->secret);
    kfi_free(key);
}

struct kf_view kfi_signing_key_public_text(const struct kfi_signing_key *key)
{
    return kf_view_of(key->text, key->text_length);
}

/* ---- Public keys ---- */

/*
 * Reads the point from `text`, whose length is right. Libcrypto overlooks white space and bits beyond the
 * last byte. So the text is written again and has to be the same.
 */
static bool decode_point(enum kfi_curve curve, struct kf_view text, uint8_t point[KFI_POINT_TEXT_MAX])
{
    uint8_t again[KFI_POINT_TEXT_MAX + 1];
    if (EVP_DecodeBlock(point, text.data, (int)text.length) < 0)
        return false;
    EVP_EncodeBlock(again, point, (int)point_length(curve));
    return memcmp(again, text.data, text.length) == 0;
}

/* (S: framework/transitive-requirements.md#ecdsa) */
enum kf_code kfi_verification_key_parse_by(const struct kfi_signature_engine *engine, enum kfi_curve curve,
                                           struct kf_view text, struct kf_error *error,
                                           struct kfi_verification_key **out)
{
    *out = NULL;
    uint8_t point[KFI_POINT_TEXT_MAX];
    if (text.length != point_text_length(curve))
        return kf_error_set(
            error, KF_E_MALFORMED,
            "The public key in the encryption context has %zu characters instead of %zu: the message "
            "is damaged, or not one of the AWS Encryption SDK.",
            text.length, point_text_length(curve));
    if (!decode_point(curve, text, point))
        return kf_error_set(error, KF_E_MALFORMED,
                            "The public key in the encryption context is not valid base64: the message is "
                            "damaged, or not one of the AWS Encryption SDK.");
    struct kfi_verification_key *key = kfi_alloc_zeroed(sizeof *key);
    if (key == NULL)
        return kfi_no_memory(error);

    /* Hostile input must leave nothing in the thread's queue of OpenSSL errors. */
    kfi_crypto_thread_begin();
    ERR_set_mark();
    enum kf_code code =
        engine->public_new(curve, kf_view_of(point, point_length(curve)), error, &key->public_key);
    ERR_pop_to_mark();
    if (code == KF_E_MALFORMED)
        kf_error_set(
            error, code,
            "The public key in the encryption context is not a compressed point on the suite's curve: the "
            "message is damaged, or not one of the AWS Encryption SDK.");
    if (code != KF_OK) {
        kfi_free(key);
        return code;
    }
    kfi_refs_init(&key->refs);
    key->engine = engine;
    *out = key;
    return KF_OK;
}

enum kf_code kfi_verification_key_parse(enum kfi_curve curve, struct kf_view text, struct kf_error *error,
                                        struct kfi_verification_key **out)
{
    *out = NULL;
    const struct kfi_signature_engine *engine;
    enum kf_code code = kfi_signature_engine_get(curve, error, &engine);
    return code == KF_OK ? kfi_verification_key_parse_by(engine, curve, text, error, out) : code;
}

struct kfi_verification_key *kfi_verification_key_ref(struct kfi_verification_key *key)
{
    kfi_refs_add(&key->refs, 1);
    return key;
}

void kfi_verification_key_unref(struct kfi_verification_key *key)
{
    if (key == NULL || !kfi_refs_drop(&key->refs))
        return;
    key->engine->public_free(key->public_key);
    kfi_free(key);
}

/* ---- Transcripts ---- */

enum kf_code kfi_transcript_new(enum kfi_hash hash, struct kf_error *error, struct kfi_transcript **out)
{
    *out = NULL;
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    struct kfi_transcript *transcript = kfi_alloc(sizeof *transcript);
    if (transcript == NULL)
        return kfi_no_memory(error);
    transcript->hash = hash;
    transcript->context = EVP_MD_CTX_new();
    if (transcript->context == NULL ||
        EVP_DigestInit_ex2(transcript->context, provider->digests[hash], NULL) != 1) {
        kfi_transcript_free(transcript);
        return kfi_crypto_failed(error, "a digest");
    }
    *out = transcript;
    return KF_OK;
}

void kfi_transcript_free(struct kfi_transcript *transcript)
{
    if (transcript == NULL)
        return;
    EVP_MD_CTX_free(transcript->context);
    kfi_free(transcript);
}

enum kf_code kfi_transcript_add(struct kfi_transcript *transcript, struct kf_view bytes,
                                struct kf_error *error)
{
    if (EVP_DigestUpdate(transcript->context, bytes.data, bytes.length) != 1)
        return kfi_crypto_failed(error, "a digest");
    return KF_OK;
}

/* Replaces s by n - s: as good a signature as the first. */
static enum kf_code signature_negate_s(ECDSA_SIG *signature, enum kfi_curve curve, struct kf_error *error)
{
    const uint8_t *order = curve == KFI_P256 ? order_p256 : order_p384;
    BIGNUM *r = BN_dup(ECDSA_SIG_get0_r(signature));
    BIGNUM *s = BN_bin2bn(order, (int)kfi_curve_bytes(curve), NULL);
    if (r == NULL || s == NULL || BN_sub(s, s, ECDSA_SIG_get0_s(signature)) != 1 ||
        ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return kfi_crypto_failed(error, "negating a signature");
    }
    return KF_OK;
}

/*
 * Makes one signature. If it has the length, or can be given it, writes it to `out`; otherwise `*made` is
 * false.
 */
static enum kf_code signature_make(const struct kfi_signing_key *key, struct kf_view digest, size_t length,
                                   struct kf_error *error, uint8_t *out, bool *made)
{
    *made = false;
    ECDSA_SIG *signature = NULL;
    enum kf_code code = key->engine->sign(key->secret, digest, error, &signature);
    if (code == KF_OK && i2d_ECDSA_SIG(signature, NULL) != (int)length)
        code = signature_negate_s(signature, key->curve, error);
    if (code == KF_OK && i2d_ECDSA_SIG(signature, NULL) == (int)length)
        *made = i2d_ECDSA_SIG(signature, &out) == (int)length;
    ECDSA_SIG_free(signature);
    return code;
}

/* (S: framework/transitive-requirements.md#ecdsa, data-format/message-footer.md) */
enum kf_code kfi_transcript_sign(struct kfi_transcript *transcript, const struct kfi_signing_key *key,
                                 size_t length, struct kf_error *error, uint8_t *out)
{
    uint8_t bytes[KFI_HASH_MAX];
    struct kf_view digest = kf_view_of(bytes, kfi_hash_length(transcript->hash));
    if (EVP_DigestFinal_ex(transcript->context, bytes, NULL) != 1)
        return kfi_crypto_failed(error, "a digest");
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        bool made;
        enum kf_code code = signature_make(key, digest, length, error, out, &made);
        if (code != KF_OK || made)
            return code;
    }
    return kf_error_set(error, KF_E_BUG, "No signature of %zu bytes could be made.", length);
}

/*
 * Reads a signature; NULL if it is none. Libcrypto reads liberally, so it has to write the same bytes again.
 */
static ECDSA_SIG *signature_read_der(struct kf_view der)
{
    uint8_t again[KFI_SIGNATURE_MAX];
    uint8_t *to = again;
    const uint8_t *from = der.data;
    if (der.length > sizeof again)
        return NULL;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &from, (long)der.length);
    if (signature == NULL)
        return NULL;
    if (i2d_ECDSA_SIG(signature, NULL) != (int)der.length ||
        i2d_ECDSA_SIG(signature, &to) != (int)der.length || memcmp(again, der.data, der.length) != 0) {
        ECDSA_SIG_free(signature);
        return NULL;
    }
    return signature;
}

/* High values of s are as valid as low ones. (S: client-apis/decrypt.md#verify-the-signature) */
enum kf_code kfi_transcript_verify(struct kfi_transcript *transcript, const struct kfi_verification_key *key,
                                   struct kf_view der, struct kf_error *error)
{
    uint8_t digest[KFI_HASH_MAX];
    if (EVP_DigestFinal_ex(transcript->context, digest, NULL) != 1)
        return kfi_crypto_failed(error, "a digest");
    kfi_crypto_thread_begin();
    ERR_set_mark();
    ECDSA_SIG *signature = signature_read_der(der);
    enum kf_code code = kfi_crypto_refused(KF_E_FORGED, error);
    if (signature != NULL)
        code = key->engine->verify(key->public_key, kf_view_of(digest, kfi_hash_length(transcript->hash)),
                                   signature, error);
    ECDSA_SIG_free(signature);
    ERR_pop_to_mark();
    if (code == KF_E_FORGED)
        kf_error_set(
            error, code,
            "The message's signature is not valid: the message was changed, or signed with another key.");
    return code;
}
