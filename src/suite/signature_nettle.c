/*
 * ECDSA by nettle, which is several times faster on P-384 than OpenSSL 3.0: see
 * docs/decisions/0001-nettle-for-signatures.md. signature.c calls it for that curve, unless a property query
 * mentions fips.
 *
 * It uses nettle's functions on limbs with memory of our own. So every secret is wiped, and failures of the
 * generator are seen. GMP, which ends the process when there is no memory, allocates next to nothing.
 */
#include "suite/signature_engine.h"

#ifdef KFI_HAVE_NETTLE

#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>
#include <nettle/ecdsa.h>
#include <openssl/ec.h>

#include "base/error.h"
#include "base/memory.h"
#include "suite/provider.h"
#include "suite/random.h"

/* The limbs of a coordinate. Both curves have whole limbs, of 32 and of 64 bits. */
#define LIMBS_MAX (8 * KFI_COORDINATE_MAX / GMP_NUMB_BITS)

/* A number from 1 to the order of the curve less 1. */
struct secret {
    const struct ecc_curve *curve;
    mp_limb_t limbs[LIMBS_MAX];
};

/* x, then y. */
struct public_key {
    const struct ecc_curve *curve;
    mp_limb_t limbs[2 * LIMBS_MAX];
};

static const struct ecc_curve *nettle_curve(enum kfi_curve curve)
{
    return curve == KFI_P256 ? nettle_get_secp_256r1() : nettle_get_secp_384r1();
}

static size_t size_of(const struct ecc_curve *curve)
{
    return (size_t)ecc_size(curve);
}

static size_t bytes_of(const struct ecc_curve *curve)
{
    return size_of(curve) * sizeof(mp_limb_t);
}

/* Big-endian bytes to limbs, the least one first, and back. */
static void limbs_read(mp_limb_t *limbs, size_t size, const uint8_t *bytes)
{
    for (size_t i = 0; i < size; i++) {
        limbs[size - 1 - i] = 0;
        for (size_t k = 0; k < sizeof(mp_limb_t); k++)
            limbs[size - 1 - i] = limbs[size - 1 - i] << 8 | *bytes++;
    }
}

static void limbs_write(uint8_t *bytes, const mp_limb_t *limbs, size_t size)
{
    for (size_t i = size; i-- > 0;) {
        for (size_t k = sizeof(mp_limb_t); k-- > 0;)
            *bytes++ = (uint8_t)(limbs[i] >> (8 * k));
    }
}

/* Draws a secret until one is in range. Almost always the first one is. */
static enum kf_code nettle_draw(struct secret *secret, struct kf_error *error)
{
    struct secret drawn = {.curve = secret->curve};
    struct ecc_scalar scalar = {secret->curve, secret->limbs};
    enum kf_code code;
    mpz_t view;
    do {
        code = kfi_random((uint8_t *)drawn.limbs, bytes_of(secret->curve), error);
    } while (code == KF_OK &&
             !ecc_scalar_set(&scalar, mpz_roinit_n(view, drawn.limbs, (mp_size_t)size_of(secret->curve))));
    kfi_wipe(&drawn, sizeof drawn);
    return code;
}

static void nettle_secret_free(void *memory)
{
    kfi_free_secret(memory, sizeof(struct secret));
}

static enum kf_code nettle_generate(enum kfi_curve curve, struct kf_error *error,
                                    uint8_t point[KFI_POINT_MAX], void **out)
{
    struct secret *secret = kfi_alloc_zeroed(sizeof *secret);
    if (secret == NULL)
        return kfi_no_memory(error);
    secret->curve = nettle_curve(curve);
    enum kf_code code = nettle_draw(secret, error);
    if (code != KF_OK) {
        nettle_secret_free(secret);
        return code;
    }
    struct public_key public_key = {.curve = secret->curve};
    struct ecc_scalar scalar = {secret->curve, secret->limbs};
    struct ecc_point nettle_point = {public_key.curve, public_key.limbs};
    ecc_point_mul_g(&nettle_point, &scalar);

    size_t size = size_of(secret->curve);
    point[0] = 2 + (uint8_t)(public_key.limbs[size] & 1);
    limbs_write(point + 1, public_key.limbs, size);
    *out = secret;
    return KF_OK;
}

static ECDSA_SIG *nettle_signature_new(const mp_limb_t *r, const mp_limb_t *s, size_t size)
{
    uint8_t bytes[KFI_COORDINATE_MAX];
    int length = (int)(size * sizeof(mp_limb_t));
    limbs_write(bytes, r, size);
    BIGNUM *r_number = BN_bin2bn(bytes, length, NULL);
    limbs_write(bytes, s, size);
    BIGNUM *s_number = BN_bin2bn(bytes, length, NULL);
    ECDSA_SIG *signature = ECDSA_SIG_new();
    if (signature == NULL || ECDSA_SIG_set0(signature, r_number, s_number) != 1) {
        BN_free(r_number);
        BN_free(s_number);
        ECDSA_SIG_free(signature);
        return NULL;
    }
    return signature;
}

static enum kf_code nettle_sign(void *memory, struct kf_view digest, struct kf_error *error, ECDSA_SIG **out)
{
    const struct secret *secret = memory;
    size_t scratch_length = (size_t)ecc_ecdsa_sign_itch(secret->curve) * sizeof(mp_limb_t);
    mp_limb_t *scratch = kfi_alloc(scratch_length);
    if (scratch == NULL)
        return kfi_no_memory(error);
    mp_size_t size = ecc_size(secret->curve);
    mp_limb_t r[LIMBS_MAX];
    mp_limb_t s[LIMBS_MAX];
    struct secret nonce = {.curve = secret->curve};
    enum kf_code code;
    do {
        code = nettle_draw(&nonce, error);
        if (code != KF_OK)
            break;
        ecc_ecdsa_sign(secret->curve, secret->limbs, nonce.limbs, digest.length, digest.data, r, s, scratch);
    } while (mpn_zero_p(r, size) || mpn_zero_p(s, size));
    kfi_wipe(&nonce, sizeof nonce);
    kfi_free_secret(scratch, scratch_length);
    if (code != KF_OK)
        return code;
    *out = nettle_signature_new(r, s, (size_t)size);
    return *out != NULL ? KF_OK : kfi_no_memory(error);
}

static void nettle_public_free(void *memory)
{
    kfi_free(memory);
}

/* Nettle cannot find a point by its x. Libcrypto can, and checks that it is on the curve. */
static enum kf_code nettle_decompress(enum kfi_curve curve, struct kf_view compressed, struct kf_error *error,
                                      uint8_t whole[1 + 2 * KFI_COORDINATE_MAX])
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    kfi_crypto_enter();
    EC_GROUP *group =
        EC_GROUP_new_by_curve_name_ex(provider->library, provider->properties, kfi_curve_nid(curve));
    EC_POINT *point = group != NULL ? EC_POINT_new(group) : NULL;
    if (point == NULL)
        code = kfi_crypto_failed(error, "reading a public key");
    else if (EC_POINT_oct2point(group, point, compressed.data, compressed.length, NULL) != 1)
        code = kfi_crypto_refused(KF_E_MALFORMED, error);
    else if (EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, whole,
                                1 + 2 * KFI_COORDINATE_MAX, NULL) == 0)
        code = kfi_crypto_failed(error, "reading a public key");
    EC_POINT_free(point);
    EC_GROUP_free(group);
    kfi_crypto_leave();
    return code;
}

static enum kf_code nettle_public_new(enum kfi_curve curve, struct kf_view point, struct kf_error *error,
                                      void **out)
{
    uint8_t whole[1 + 2 * KFI_COORDINATE_MAX];
    enum kf_code code = nettle_decompress(curve, point, error, whole);
    if (code != KF_OK)
        return code;
    struct public_key *key = kfi_alloc_zeroed(sizeof *key);
    if (key == NULL)
        return kfi_no_memory(error);
    key->curve = nettle_curve(curve);
    size_t size = size_of(key->curve);
    limbs_read(key->limbs, size, whole + 1);
    limbs_read(key->limbs + size, size, whole + 1 + bytes_of(key->curve));
    *out = key;
    return KF_OK;
}

/* False if the number is too long: then it is no part of a signature on this curve. */
static bool nettle_read_number(mp_limb_t *limbs, const BIGNUM *number, const struct ecc_curve *curve)
{
    uint8_t bytes[KFI_COORDINATE_MAX];
    if (BN_bn2binpad(number, bytes, (int)bytes_of(curve)) < 0)
        return false;
    limbs_read(limbs, size_of(curve), bytes);
    return true;
}

static enum kf_code nettle_verify(void *memory, struct kf_view digest, const ECDSA_SIG *signature,
                                  struct kf_error *error)
{
    const struct public_key *key = memory;
    mp_limb_t r[LIMBS_MAX];
    mp_limb_t s[LIMBS_MAX];
    if (!nettle_read_number(r, ECDSA_SIG_get0_r(signature), key->curve) ||
        !nettle_read_number(s, ECDSA_SIG_get0_s(signature), key->curve))
        return KF_E_FORGED;
    mp_limb_t *scratch = kfi_alloc((size_t)ecc_ecdsa_verify_itch(key->curve) * sizeof(mp_limb_t));
    if (scratch == NULL)
        return kfi_no_memory(error);
    bool holds = ecc_ecdsa_verify(key->curve, key->limbs, digest.length, digest.data, r, s, scratch) != 0;
    kfi_free(scratch);
    return holds ? KF_OK : KF_E_FORGED;
}

const struct kfi_signature_engine kfi_signature_nettle = {
    .generate = nettle_generate,
    .secret_free = nettle_secret_free,
    .sign = nettle_sign,
    .public_new = nettle_public_new,
    .public_free = nettle_public_free,
    .verify = nettle_verify,
};

#endif
