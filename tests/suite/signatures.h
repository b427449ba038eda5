/*
 * What the tests of signatures share: the curves and engines there are, and DER made from numbers.
 */
#ifndef TESTS_SUITE_SIGNATURES_H
#define TESTS_SUITE_SIGNATURES_H

#include "bytes.h"

#include <openssl/bn.h>

#include "suite/signature_engine.h"

struct curve {
    enum kfi_curve curve;
    enum kfi_hash hash;
    size_t length;     /* of the DER that we make */
    const char *order; /* as hexadecimal digits */
};

static const struct curve curves[] = {
    {KFI_P256, KFI_SHA256, 71, "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551"},
    {KFI_P384, KFI_SHA384, 103,
     "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973"},
};

#define CURVE_COUNT (sizeof curves / sizeof curves[0])

static const struct kfi_signature_engine *const engines[] = {
    &kfi_signature_openssl,
#ifdef KFI_HAVE_NETTLE
    &kfi_signature_nettle,
#endif
};

#define ENGINE_COUNT (sizeof engines / sizeof engines[0])

/* The order of the curve and `more` (which may be negative), or just `more`. */
static inline BIGNUM *number(const char *order, int more)
{
    BIGNUM *number = NULL;
    assert_int_not_equal(BN_hex2bn(&number, order != NULL ? order : "0"), 0);
    assert_int_equal(more < 0 ? BN_sub_word(number, (BN_ULONG)-more) : BN_add_word(number, (BN_ULONG)more),
                     1);
    return number;
}

/* The DER of a signature of these numbers, which it frees. */
static inline struct bytes der_of(BIGNUM *r, BIGNUM *s)
{
    struct bytes der = {.length = 0};
    uint8_t *to = der.data;
    ECDSA_SIG *signature = ECDSA_SIG_new();
    assert_non_null(signature);
    assert_int_equal(ECDSA_SIG_set0(signature, r, s), 1);
    assert_in_range(i2d_ECDSA_SIG(signature, NULL), 1, sizeof der.data);
    der.length = (size_t)i2d_ECDSA_SIG(signature, &to);
    ECDSA_SIG_free(signature);
    return der;
}

static inline struct kfi_transcript *transcript_of(enum kfi_hash hash, struct kf_view content)
{
    struct kfi_transcript *transcript;
    assert_int_equal(kfi_transcript_new(hash, NULL, &transcript), KF_OK);
    assert_int_equal(kfi_transcript_add(transcript, content, NULL), KF_OK);
    return transcript;
}

static inline enum kf_code verify(const struct kfi_verification_key *key, enum kfi_hash hash,
                                  struct kf_view content, struct kf_view der, struct kf_error *error)
{
    struct kfi_transcript *transcript = transcript_of(hash, content);
    enum kf_code code = kfi_transcript_verify(transcript, key, der, error);
    kfi_transcript_free(transcript);
    return code;
}

#endif
