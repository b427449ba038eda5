/*
 * ECDH: see ecdh.h. Called by the ECDH keyrings.
 */
#include "suite/ecdh.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/error.h"
#include "base/memory.h"
#include "suite/pkey.h"
#include "suite/provider.h"

struct kfi_ecdh_key {
    EVP_PKEY *key;
    size_t point_length;
    uint8_t point[KFI_ECDH_POINT_MAX];
};

struct curve {
    enum kf_ecdh_curve curve;
    size_t length;
    int nid;
    const char *name;
};

static const struct curve *curve_get(enum kf_ecdh_curve curve)
{
    static const struct curve curves[] = {
        {KF_ECDH_P256, 32, NID_X9_62_prime256v1, "P-256"},
        {KF_ECDH_P384, 48, NID_secp384r1, "P-384"},
        {KF_ECDH_P521, 66, NID_secp521r1, "P-521"},
    };
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (curves[i].curve == curve)
            return &curves[i];
    }
    return NULL;
}

bool kfi_ecdh_curve_known(enum kf_ecdh_curve curve)
{
    return curve_get(curve) != NULL;
}

const char *kfi_ecdh_curve_name(enum kf_ecdh_curve curve)
{
    return curve_get(curve)->name;
}

size_t kfi_ecdh_secret_length(enum kf_ecdh_curve curve)
{
    return curve_get(curve)->length;
}

/* ---- Points ---- */

/* What calculations on a curve need. */
struct arithmetic {
    BN_CTX *numbers;
    EC_GROUP *group;
    EC_POINT *point;
    EC_POINT *given;
    BIGNUM *scalar;
};

static void arithmetic_end(struct arithmetic *with)
{
    BN_clear_free(with->scalar);
    EC_POINT_free(with->given);
    EC_POINT_free(with->point);
    EC_GROUP_free(with->group);
    BN_CTX_free(with->numbers);
}

static bool arithmetic_begin(const struct kfi_provider *provider, const struct curve *curve,
                             struct arithmetic *with)
{
    with->numbers = BN_CTX_new_ex(provider->library);
    with->group = EC_GROUP_new_by_curve_name_ex(provider->library, provider->properties, curve->nid);
    with->scalar = BN_new();
    if (with->group != NULL) {
        with->point = EC_POINT_new(with->group);
        with->given = EC_POINT_new(with->group);
    }
    return with->numbers != NULL && with->scalar != NULL && with->point != NULL && with->given != NULL;
}

/*
 * Puts the key's point into with->point: `point` as it was written, or the one that belongs to `scalar`. One
 * of them may be empty. KF_E_MALFORMED if one is not valid, or they do not belong together.
 */
static enum kf_code arithmetic_find_point(struct arithmetic *with, const struct curve *curve,
                                          struct kf_view scalar, struct kf_view point)
{
    if (point.length > 0) {
        /* These curves have one large order: every point but that at infinity is good. */
        if (point.data[0] == 6 || point.data[0] == 7 || /* the hybrid form, which nobody should use */
            EC_POINT_oct2point(with->group, with->given, point.data, point.length, with->numbers) != 1 ||
            EC_POINT_is_at_infinity(with->group, with->given) == 1)
            return KF_E_MALFORMED;
        if (scalar.length == 0)
            return EC_POINT_copy(with->point, with->given) == 1 ? KF_OK : KF_E_SYSTEM;
    }
    if (scalar.length == 0 || scalar.length > curve->length)
        return KF_E_MALFORMED;
    if (BN_bin2bn(scalar.data, (int)scalar.length, with->scalar) == NULL)
        return KF_E_SYSTEM;
    BN_set_flags(with->scalar, BN_FLG_CONSTTIME);
    if (BN_is_zero(with->scalar) || BN_cmp(with->scalar, EC_GROUP_get0_order(with->group)) >= 0)
        return KF_E_MALFORMED;
    if (EC_POINT_mul(with->group, with->point, with->scalar, NULL, NULL, with->numbers) != 1)
        return KF_E_SYSTEM;
    bool same = point.length == 0 || EC_POINT_cmp(with->group, with->point, with->given, with->numbers) == 0;
    return same ? KF_OK : KF_E_MALFORMED;
}

/* ---- Keys ---- */

/* Makes a key of libcrypto. `scalar` is empty for a public key. */
static enum kf_code ecdh_import(const struct kfi_provider *provider, const struct curve *curve,
                                struct kf_view scalar, struct kf_error *error, struct kfi_ecdh_key *key)
{
    enum kf_code code = KF_OK;
    char name[16];
    uint8_t number[KFI_ECDH_SECRET_MAX];
    OSSL_PARAM params[4], *next = params;
    strcpy(name, curve->name);
    *next++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0);
    *next++ = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, key->point, key->point_length);
    if (scalar.length > 0) {
        kfi_native_number(scalar, number, curve->length);
        *next++ = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, number, curve->length);
    }
    *next = OSSL_PARAM_construct_end();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(provider->library, "EC", provider->properties);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key->key, scalar.length > 0 ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                          params) != 1)
        code = kfi_crypto_failed(error, "reading a key of an elliptic curve");
    EVP_PKEY_CTX_free(context);
    kfi_wipe(number, sizeof number);
    return code;
}

/* What is needed to make a key: the provider, and an empty key. */
static enum kf_code ecdh_key_begin(struct kf_error *error, const struct kfi_provider **provider,
                                   struct kfi_ecdh_key **out)
{
    enum kf_code code = kfi_provider_get(error, provider);
    if (code != KF_OK)
        return code;
    *out = kfi_alloc_zeroed(sizeof **out);
    return *out != NULL ? KF_OK : kfi_no_memory(error);
}

/* A key made of one part or of both. KF_E_MALFORMED, without a sentence, if they are not valid. */
static enum kf_code ecdh_key_make(enum kf_ecdh_curve id, struct kf_view scalar, struct kf_view point,
                                  struct kf_error *error, struct kfi_ecdh_key **out)
{
    const struct kfi_provider *provider;
    const struct curve *curve = curve_get(id);
    struct kfi_ecdh_key *key;
    enum kf_code code = ecdh_key_begin(error, &provider, &key);
    if (code != KF_OK)
        return code;
    struct arithmetic with = {NULL, NULL, NULL, NULL, NULL};
    kfi_crypto_enter();
    if (!arithmetic_begin(provider, curve, &with))
        code = KF_E_SYSTEM;
    if (code == KF_OK)
        code = arithmetic_find_point(&with, curve, scalar, point);
    if (code == KF_OK) {
        key->point_length = EC_POINT_point2oct(with.group, with.point, POINT_CONVERSION_COMPRESSED,
                                               key->point, sizeof key->point, with.numbers);
        if (key->point_length != 1 + curve->length)
            code = KF_E_SYSTEM;
    }
    if (code == KF_E_SYSTEM)
        kfi_crypto_failed(error, "arithmetic on an elliptic curve");
    else if (code == KF_E_MALFORMED)
        code = kfi_crypto_refused(code, error);
    if (code == KF_OK)
        code = ecdh_import(provider, curve, scalar, error, key);
    arithmetic_end(&with);
    kfi_crypto_leave();
    if (code != KF_OK) {
        kfi_ecdh_key_free(key);
        return code;
    }
    *out = key;
    return KF_OK;
}

enum kf_code kfi_ecdh_key_new(enum kf_ecdh_curve curve, struct kf_view text, bool is_private,
                              const struct kf_passphrase *passphrase, struct kf_error *error,
                              struct kfi_ecdh_key **out)
{
    struct kfi_pkey pkey;
    *out = NULL;
    enum kf_code code = kfi_pkey_read(text, passphrase, error, &pkey);
    if (code != KF_OK)
        return code;
    if (pkey.is_rsa)
        code = kf_error_set(error, KF_E_USAGE,
                            "An RSA key was given where a key on an elliptic curve is needed.");
    else if (pkey.curve != curve)
        code = kf_error_set(error, KF_E_USAGE, "A key on %s was given where one on %s is needed.",
                            curve_get(pkey.curve)->name, curve_get(curve)->name);
    else
        code = kfi_pkey_check_half(&pkey, is_private, error);
    if (code == KF_OK) {
        code = ecdh_key_make(curve, pkey.scalar, pkey.point, error, out);
        if (code == KF_E_MALFORMED)
            code = kf_error_set(
                error, KF_E_USAGE,
                is_private ? "A private key is not valid on its curve, or does not belong to the public "
                             "key that is written with it."
                           : "A public key is not a point on its curve.");
    }
    kfi_pkey_end(&pkey);
    return code;
}

enum kf_code kfi_ecdh_key_generate(enum kf_ecdh_curve id, struct kf_error *error, struct kfi_ecdh_key **out)
{
    const struct kfi_provider *provider;
    const struct curve *curve = curve_get(id);
    struct kfi_ecdh_key *key;
    *out = NULL;
    enum kf_code code = ecdh_key_begin(error, &provider, &key);
    if (code != KF_OK)
        return code;
    kfi_crypto_enter();
    key->key = EVP_PKEY_Q_keygen(provider->library, provider->properties, "EC", curve->name);
    if (key->key == NULL || !kfi_crypto_point(key->key, curve->length, key->point))
        code = kfi_crypto_failed(error, "making a key pair");
    kfi_crypto_leave();
    if (code != KF_OK) {
        kfi_ecdh_key_free(key);
        return code;
    }
    key->point_length = 1 + curve->length;
    *out = key;
    return KF_OK;
}

enum kf_code kfi_ecdh_key_of_point(enum kf_ecdh_curve curve, struct kf_view point, struct kf_error *error,
                                   struct kfi_ecdh_key **out)
{
    *out = NULL;
    if (point.length != 1 + kfi_ecdh_secret_length(curve) || (point.data[0] != 2 && point.data[0] != 3))
        return KF_E_MALFORMED;
    return ecdh_key_make(curve, kf_view_of(NULL, 0), point, error, out);
}

void kfi_ecdh_key_free(struct kfi_ecdh_key *key)
{
    if (key == NULL)
        return;
    kfi_crypto_enter();
    EVP_PKEY_free(key->key);
    kfi_crypto_leave();
    kfi_free(key);
}

struct kf_view kfi_ecdh_key_point(const struct kfi_ecdh_key *key)
{
    return kf_view_of(key->point, key->point_length);
}

/* ---- Secrets ---- */

enum kf_code kfi_ecdh_agree(const struct kfi_ecdh_key *own, const struct kfi_ecdh_key *peer,
                            struct kf_error *error, uint8_t *out)
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    size_t length = own->point_length - 1;
    kfi_crypto_enter();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(provider->library, own->key, provider->properties);
    if (context == NULL || EVP_PKEY_derive_init(context) != 1 ||
        EVP_PKEY_derive_set_peer(context, peer->key) != 1 || /* which checks the point once more */
        EVP_PKEY_derive(context, out, &length) != 1 || length != own->point_length - 1) {
        kfi_wipe(out, own->point_length - 1);
        code = kfi_crypto_failed(error, "ECDH");
    }
    EVP_PKEY_CTX_free(context);
    kfi_crypto_leave();
    return code;
}

enum kf_code kfi_kdf_counter(enum kfi_hash hash, struct kf_view key, struct kf_view label,
                             struct kf_view context, struct kf_error *error, uint8_t *out, size_t length)
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    char mac[] = "HMAC", digest[32];
    strncpy(digest, EVP_MD_get0_name(provider->digests[hash]), sizeof digest - 1);
    digest[sizeof digest - 1] = '\0';
    /* OSSL_PARAM knows no const. "Salt" and "info" are its names of the label and the context. */
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC, mac, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key.data, key.length),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)label.data, label.length),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)context.data,
                                          context.length),
        provider->properties != NULL
            ? OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_PROPERTIES, provider->properties, 0)
            : OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };
    kfi_crypto_enter();
    EVP_KDF *kdf = EVP_KDF_fetch(provider->library, "KBKDF", provider->properties);
    EVP_KDF_CTX *work = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    if (work == NULL || EVP_KDF_derive(work, out, length, params) != 1) {
        kfi_wipe(out, length);
        code = kfi_crypto_failed(error, "key derivation");
    }
    EVP_KDF_CTX_free(work);
    EVP_KDF_free(kdf);
    kfi_crypto_leave();
    return code;
}
