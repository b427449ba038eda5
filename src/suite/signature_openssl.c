/*
 * ECDSA by OpenSSL, from the provider that the user has chosen. signature.c calls it for P-256, and for P-384
 * if a property query mentions fips or nettle was not built in.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/params.h>

#include "base/error.h"
#include "suite/provider.h"
#include "suite/signature_engine.h"

/* Secret and public keys are an EVP_PKEY, which wipes its content. */
static void openssl_key_free(void *key)
{
    kfi_crypto_enter();
    EVP_PKEY_free(key);
    kfi_crypto_leave();
}

static enum kf_code openssl_generate(enum kfi_curve curve, struct kf_error *error,
                                     uint8_t point[KFI_POINT_MAX], void **secret)
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    kfi_crypto_enter();
    EVP_PKEY *key =
        EVP_PKEY_Q_keygen(provider->library, provider->properties, "EC", OBJ_nid2sn(kfi_curve_nid(curve)));
    if (key == NULL || !kfi_crypto_point(key, kfi_curve_bytes(curve), point)) {
        code = kfi_crypto_failed(error, "making a key pair");
        EVP_PKEY_free(key);
        key = NULL;
    }
    kfi_crypto_leave();
    *secret = key;
    return code;
}

static enum kf_code openssl_sign(void *secret, struct kf_view digest, struct kf_error *error, ECDSA_SIG **out)
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    uint8_t der[KFI_SIGNATURE_MAX];
    size_t length = sizeof der;
    const uint8_t *from = der;
    kfi_crypto_enter();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(provider->library, secret, provider->properties);
    if (context != NULL && EVP_PKEY_sign_init(context) == 1 &&
        EVP_PKEY_sign(context, der, &length, digest.data, digest.length) == 1)
        *out = d2i_ECDSA_SIG(NULL, &from, (long)length);
    else
        *out = NULL;
    if (*out == NULL)
        code = kfi_crypto_failed(error, "signing");
    EVP_PKEY_CTX_free(context);
    kfi_crypto_leave();
    return code;
}

static enum kf_code openssl_public_new(enum kfi_curve curve, struct kf_view point, struct kf_error *error,
                                       void **out)
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    char name[32];
    uint8_t bytes[KFI_POINT_MAX];
    strcpy(name, OBJ_nid2sn(kfi_curve_nid(curve)));
    memcpy(bytes, point.data, point.length);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, bytes, point.length),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    kfi_crypto_enter();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(provider->library, "EC", provider->properties);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1)
        code = kfi_crypto_failed(error, "reading a public key");
    else if (EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        code = kfi_crypto_refused(KF_E_MALFORMED, error);
    EVP_PKEY_CTX_free(context);
    kfi_crypto_leave();
    *out = key;
    return code;
}

static enum kf_code openssl_verify(void *public_key, struct kf_view digest, const ECDSA_SIG *signature,
                                   struct kf_error *error)
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    uint8_t der[KFI_SIGNATURE_MAX];
    uint8_t *to = der;
    int length = i2d_ECDSA_SIG(signature, &to);
    int verdict = -1;
    kfi_crypto_enter();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(provider->library, public_key, provider->properties);
    if (context != NULL && length > 0 && EVP_PKEY_verify_init(context) == 1)
        verdict = EVP_PKEY_verify(context, der, (size_t)length, digest.data, digest.length);
    if (verdict < 0)
        code = kfi_crypto_failed(error, "verifying a signature");
    else if (verdict != 1)
        code = kfi_crypto_refused(KF_E_FORGED, error);
    EVP_PKEY_CTX_free(context);
    kfi_crypto_leave();
    return code;
}

const struct kfi_signature_engine kfi_signature_openssl = {
    .generate = openssl_generate,
    .secret_free = openssl_key_free,
    .sign = openssl_sign,
    .public_new = openssl_public_new,
    .public_free = openssl_key_free,
    .verify = openssl_verify,
};
