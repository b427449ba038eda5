/*
 * RSA: see rsa.h. Called by the raw RSA keyring. Libcrypto adds and removes padding, in constant time. From
 * 3.2 on it answers bad PKCS#1 v1.5 padding with random bytes; that is left as it is.
 */
#include "suite/rsa.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include "base/error.h"
#include "base/memory.h"
#include "suite/pkey_pair.h"
#include "suite/provider.h"

struct kfi_rsa_key {
    EVP_PKEY *key;
    size_t length;
};

static const char *const names[KFI_RSA_NUMBERS] = {
    [KFI_RSA_N] = OSSL_PKEY_PARAM_RSA_N,          [KFI_RSA_E] = OSSL_PKEY_PARAM_RSA_E,
    [KFI_RSA_D] = OSSL_PKEY_PARAM_RSA_D,          [KFI_RSA_P] = OSSL_PKEY_PARAM_RSA_FACTOR1,
    [KFI_RSA_Q] = OSSL_PKEY_PARAM_RSA_FACTOR2,    [KFI_RSA_DP] = OSSL_PKEY_PARAM_RSA_EXPONENT1,
    [KFI_RSA_DQ] = OSSL_PKEY_PARAM_RSA_EXPONENT2, [KFI_RSA_QINV] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

static enum kf_code rsa_check_numbers(const struct kfi_pkey *pkey, struct kf_error *error)
{
    const struct kf_view modulus = pkey->rsa[KFI_RSA_N], exponent = pkey->rsa[KFI_RSA_E];
    const size_t bits = kfi_pkey_rsa_bits(pkey);
    if (bits < KFI_RSA_BITS_MIN || bits > KFI_RSA_BITS_MAX)
        return kf_error_set(error, KF_E_USAGE, "An RSA key has %zu bits; it has to have %d to %d.", bits,
                            KFI_RSA_BITS_MIN, KFI_RSA_BITS_MAX);
    bool odd = (exponent.data[exponent.length - 1] & 1) == 1;
    bool one = exponent.length == 1 && exponent.data[0] == 1;
    if (!odd || one || exponent.length > 8 || (modulus.data[modulus.length - 1] & 1) == 0)
        return kf_error_set(
            error, KF_E_USAGE,
            "An RSA key is not valid: its modulus is even, or its exponent is even, 1, or longer than "
            "64 bits.");
    for (size_t i = KFI_RSA_D; pkey->is_private && i < KFI_RSA_NUMBERS; i++) {
        if (pkey->rsa[i].length > modulus.length)
            return kf_error_set(error, KF_E_USAGE, "A private RSA key is damaged.");
    }
    return KF_OK;
}

/* Makes a key of libcrypto from the numbers. */
static enum kf_code rsa_import(const struct kfi_pkey *pkey, struct kf_error *error, EVP_PKEY **out)
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    const size_t count = pkey->is_private ? KFI_RSA_NUMBERS : KFI_RSA_E + 1;
    const size_t each = pkey->rsa[KFI_RSA_N].length;
    uint8_t *numbers = kfi_alloc(count * each);
    if (numbers == NULL)
        return kfi_no_memory(error);
    OSSL_PARAM params[KFI_RSA_NUMBERS + 1];
    for (size_t i = 0; i < count; i++) {
        kfi_native_number(pkey->rsa[i], numbers + i * each, each);
        params[i] = OSSL_PARAM_construct_BN(names[i], numbers + i * each, each);
    }
    params[count] = OSSL_PARAM_construct_end();
    kfi_crypto_enter();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(provider->library, "RSA", provider->properties);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1)
        code = kfi_crypto_failed(error, "reading an RSA key");
    else if (EVP_PKEY_fromdata(context, out, pkey->is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                               params) != 1)
        code = kf_error_set(error, KF_E_USAGE, "An RSA key is damaged, or OpenSSL refuses it.");
    EVP_PKEY_CTX_free(context);
    kfi_crypto_leave();
    kfi_free_secret(numbers, count * each);
    return code;
}

enum kf_code kfi_rsa_key_new(struct kf_view text, bool is_private, const struct kf_passphrase *passphrase,
                             struct kf_error *error, struct kfi_rsa_key **out)
{
    struct kfi_pkey pkey;
    *out = NULL;
    enum kf_code code = kfi_pkey_read(text, passphrase, error, &pkey);
    if (code != KF_OK)
        return code;
    struct kfi_rsa_key *key = kfi_alloc_zeroed(sizeof *key);
    if (key == NULL)
        code = kfi_no_memory(error);
    else if (!pkey.is_rsa)
        code = kf_error_set(error, KF_E_USAGE,
                            "A key on an elliptic curve was given where an RSA key is needed.");
    else
        code = kfi_pkey_check_half(&pkey, is_private, error);
    if (code == KF_OK)
        code = rsa_check_numbers(&pkey, error);
    if (code == KF_OK) {
        key->length = pkey.rsa[KFI_RSA_N].length;
        code = rsa_import(&pkey, error, &key->key);
    }
    kfi_pkey_end(&pkey);
    if (code != KF_OK) {
        kfi_rsa_key_free(key);
        return code;
    }
    *out = key;
    return KF_OK;
}

void kfi_rsa_key_free(struct kfi_rsa_key *key)
{
    if (key == NULL)
        return;
    kfi_crypto_enter();
    EVP_PKEY_free(key->key);
    kfi_crypto_leave();
    kfi_free(key);
}

size_t kfi_rsa_key_length(const struct kfi_rsa_key *key)
{
    return key->length;
}

bool kfi_rsa_key_matches(const struct kfi_rsa_key *a, const struct kfi_rsa_key *b)
{
    kfi_crypto_enter();
    bool same = EVP_PKEY_eq(a->key, b->key) == 1;
    kfi_crypto_leave();
    return same;
}

static bool rsa_set_padding(EVP_PKEY_CTX *context, enum kf_rsa_padding padding, const char *properties)
{
    static const char *const hashes[] = {
        [KF_RSA_OAEP_SHA1] = "SHA1",
        [KF_RSA_OAEP_SHA256] = "SHA2-256",
        [KF_RSA_OAEP_SHA384] = "SHA2-384",
        [KF_RSA_OAEP_SHA512] = "SHA2-512",
    };
    if (padding == KF_RSA_PKCS1)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_oaep_md_name(context, hashes[padding], properties) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md_name(context, hashes[padding], properties) == 1;
}

enum kf_code kfi_rsa_encrypt(const struct kfi_rsa_key *key, enum kf_rsa_padding padding,
                             struct kf_view plaintext, struct kf_error *error, uint8_t *out)
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    size_t length = key->length;
    kfi_crypto_enter();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(provider->library, key->key, provider->properties);
    if (context == NULL || EVP_PKEY_encrypt_init(context) != 1 ||
        !rsa_set_padding(context, padding, provider->properties) ||
        EVP_PKEY_encrypt(context, out, &length, plaintext.data, plaintext.length) != 1 ||
        length != key->length)
        code = kfi_crypto_failed(error, "RSA encryption");
    EVP_PKEY_CTX_free(context);
    kfi_crypto_leave();
    return code;
}

enum kf_code kfi_rsa_decrypt(const struct kfi_rsa_key *key, enum kf_rsa_padding padding,
                             struct kf_view ciphertext, struct kf_error *error, uint8_t *out, size_t length)
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    if (ciphertext.length != key->length)
        return KF_E_FORGED;
    uint8_t plaintext[KFI_RSA_BYTES_MAX];
    size_t got = sizeof plaintext;
    kfi_crypto_enter();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(provider->library, key->key, provider->properties);
    if (context == NULL || EVP_PKEY_decrypt_init(context) != 1 ||
        !rsa_set_padding(context, padding, provider->properties))
        code = kfi_crypto_failed(error, "RSA decryption");
    else if (EVP_PKEY_decrypt(context, plaintext, &got, ciphertext.data, ciphertext.length) != 1 ||
             got != length)
        code = kfi_crypto_refused(KF_E_FORGED, error);
    EVP_PKEY_CTX_free(context);
    kfi_crypto_leave();
    if (code == KF_OK)
        memcpy(out, plaintext, length);
    kfi_wipe(plaintext, sizeof plaintext);
    return code;
}
