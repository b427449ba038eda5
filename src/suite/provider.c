/*
 * The cryptographic provider: see provider.h. Called by every other file of this room, and by users through
 * kf_crypto_provider_set. It fetches once, and never frees what it published.
 */
#include "suite/provider.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <stdatomic.h>
#include <strings.h>

#include "base/error.h"
#include "base/memory.h"

/* The length of a coordinate on P-521, in bytes. */
#define COORDINATE_MAX 66

/* NULL until first use; set once. */
static _Atomic(struct kfi_provider *) published;

static const char *const digest_names[KFI_HASH_COUNT] = {
    [KFI_SHA256] = "SHA2-256",
    [KFI_SHA384] = "SHA2-384",
    [KFI_SHA512] = "SHA2-512",
};

static void provider_free(struct kfi_provider *provider)
{
    if (provider == NULL)
        return;
    kfi_crypto_enter();
    EVP_CIPHER_free(provider->aes_128_gcm);
    EVP_CIPHER_free(provider->aes_192_gcm);
    EVP_CIPHER_free(provider->aes_256_gcm);
    for (size_t i = 0; i < KFI_HASH_COUNT; i++)
        EVP_MD_free(provider->digests[i]);
    kfi_crypto_leave();
    kfi_free(provider->properties);
    kfi_free(provider);
}

/* Whether a property query mentions fips: then its author cares where signatures come from. */
static bool names_fips(const char *properties)
{
    for (; *properties != '\0'; properties++) {
        if (strncasecmp(properties, "fips", 4) == 0)
            return true;
    }
    return false;
}

/*
 * When it fetches, libcrypto ignores a query that it cannot parse. As the default of a library context it
 * does not.
 */
static enum kf_code check_query(const char *properties)
{
    OSSL_LIB_CTX *scratch = OSSL_LIB_CTX_new();
    if (scratch == NULL)
        return KF_E_NO_MEMORY;
    bool parses = EVP_set_default_properties(scratch, properties) == 1;
    OSSL_LIB_CTX_free(scratch);
    return parses ? KF_OK : KF_E_USAGE;
}

static enum kf_code provider_lacks(struct kf_error *error, const char *algorithm)
{
    return kf_error_set(error, KF_E_SYSTEM,
                        "OpenSSL does not offer %s: load a provider that has it, such as \"default\".",
                        algorithm);
}

static enum kf_code provider_fetch_cipher(const struct kfi_provider *provider, const char *name,
                                          struct kf_error *error, EVP_CIPHER **out)
{
    *out = EVP_CIPHER_fetch(provider->library, name, provider->properties);
    return *out != NULL ? KF_OK : provider_lacks(error, name);
}

static enum kf_code provider_fetch_all(struct kfi_provider *provider, struct kf_error *error)
{
    enum kf_code code = provider_fetch_cipher(provider, "AES-128-GCM", error, &provider->aes_128_gcm);
    if (code == KF_OK)
        code = provider_fetch_cipher(provider, "AES-192-GCM", error, &provider->aes_192_gcm);
    if (code == KF_OK)
        code = provider_fetch_cipher(provider, "AES-256-GCM", error, &provider->aes_256_gcm);
    for (size_t i = 0; i < KFI_HASH_COUNT && code == KF_OK; i++) {
        provider->digests[i] = EVP_MD_fetch(provider->library, digest_names[i], provider->properties);
        if (provider->digests[i] == NULL)
            code = provider_lacks(error, digest_names[i]);
    }
    return code;
}

/* Asks libcrypto for all that a provider has, but for the properties, which are there. */
static enum kf_code provider_fill(struct kfi_provider *provider, struct kf_error *error)
{
    kfi_crypto_enter();
    const char *properties = provider->properties;
    provider->fips = EVP_default_properties_is_fips_enabled(provider->library) == 1 ||
                     (properties != NULL && names_fips(properties));
    enum kf_code code = properties != NULL ? check_query(properties) : KF_OK;
    if (code == KF_OK)
        code = provider_fetch_all(provider, error);
    kfi_crypto_leave();
    return code;
}

/* Only kf_crypto_provider_set passes properties, and it has no room for a sentence. */
static enum kf_code provider_new(OSSL_LIB_CTX *library, const char *properties, struct kf_error *error,
                                 struct kfi_provider **out)
{
    struct kfi_provider *provider = kfi_alloc_zeroed(sizeof *provider);
    if (provider == NULL)
        return kfi_no_memory(error);
    provider->library = library;
    provider->properties = kfi_copy_text(properties);
    enum kf_code code = properties != NULL && provider->properties == NULL ? kfi_no_memory(error)
                                                                           : provider_fill(provider, error);
    if (code != KF_OK) {
        provider_free(provider);
        return code;
    }
    *out = provider;
    return KF_OK;
}

/*
 * Makes a provider and publishes it. If another thread was first, `*first` is false. Nobody waits for
 * anybody, so after a fork the child has a provider or none, at any moment.
 */
static enum kf_code provider_publish(OSSL_LIB_CTX *library, const char *properties, struct kf_error *error,
                                     bool *first)
{
    struct kfi_provider *provider = NULL;
    enum kf_code code = provider_new(library, properties, error, &provider);
    if (code != KF_OK)
        return code;
    struct kfi_provider *none = NULL;
    /* Release: whoever finds the pointer finds what it points to as well. */
    *first = atomic_compare_exchange_strong_explicit(&published, &none, provider, memory_order_release,
                                                     memory_order_relaxed);
    if (!*first)
        provider_free(provider);
    return KF_OK;
}

enum kf_code kfi_provider_get(struct kf_error *error, const struct kfi_provider **out)
{
    kfi_crypto_thread_begin();
    *out = atomic_load_explicit(&published, memory_order_acquire);
    if (*out != NULL)
        return KF_OK;
    bool first;
    enum kf_code code = provider_publish(NULL, NULL, error, &first);
    if (code == KF_OK)
        *out = atomic_load_explicit(&published, memory_order_acquire);
    return code;
}

enum kf_code kf_crypto_provider_set(struct ossl_lib_ctx_st *library, const char *properties)
{
    if (atomic_load_explicit(&published, memory_order_relaxed) != NULL)
        return KF_E_USAGE;
    bool first = false;
    enum kf_code code = provider_publish(library, properties, NULL, &first);
    return code == KF_OK && !first ? KF_E_USAGE : code;
}

enum kf_code kfi_crypto_failed(struct kf_error *error, const char *what)
{
    kfi_crypto_enter();
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    kfi_crypto_leave();
    return kf_error_set(error, KF_E_SYSTEM, "OpenSSL failed at %s: %s.", what,
                        reason != NULL ? reason : "it gives no reason");
}

/* The cause is the first error; but those of the application may stand before it. */
enum kf_code kfi_crypto_refused(enum kf_code code, struct kf_error *error)
{
    const bool lacks_memory = ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE ||
                              ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
    return lacks_memory ? kfi_no_memory(error) : code;
}

bool kfi_crypto_point(const EVP_PKEY *key, size_t bytes, uint8_t *point)
{
    uint8_t whole[1 + 2 * COORDINATE_MAX]; /* one byte, then x and y */
    size_t length;
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, whole, sizeof whole, &length) != 1 ||
        length != 1 + 2 * bytes)
        return false;
    point[0] = 2 + (whole[length - 1] & 1);
    memcpy(point + 1, whole + 1, bytes);
    return true;
}
