/*
 * Keys in files: see pkey.h. Called by rsa.c, ecdh.c and raw_keys.c.
 *
 * The structures of keys are read here, not by libcrypto. Its decoders guess what they have, do not say what
 * follows it, and leave copies of private keys in memory that they free. Libcrypto takes PEM apart and
 * decrypts.
 */
#include "suite/pkey.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "base/bytes.h"
#include "base/error.h"
#include "suite/der.h"
#include "suite/provider.h"

/* ---- Structures ---- */

static const uint8_t oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const uint8_t oid_ec[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
static const uint8_t oid_p256[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t oid_p384[] = {0x2b, 0x81, 0x04, 0x00, 0x22};
static const uint8_t oid_p521[] = {0x2b, 0x81, 0x04, 0x00, 0x23};

static const struct {
    enum kf_ecdh_curve curve;
    struct kf_view oid;
} curves[] = {
    {KF_ECDH_P256, {oid_p256, sizeof oid_p256}},
    {KF_ECDH_P384, {oid_p384, sizeof oid_p384}},
    {KF_ECDH_P521, {oid_p521, sizeof oid_p521}},
};

/* Those that read a structure return what is wrong with it, or NULL. */
static const char damaged[] = "it is damaged";
static const char other_curve[] = "its curve has to be P-256, P-384 or P-521, and to be given by name";

/* Removes the name of a curve. False if it is no curve that we know. */
static bool take_curve(struct kf_view *rest, enum kf_ecdh_curve *curve)
{
    struct kf_view oid;
    if (!kfi_der_take(rest, KFI_DER_OID, &oid))
        return false;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (kfi_view_equal(oid, curves[i].oid)) {
            *curve = curves[i].curve;
            return true;
        }
    }
    return false;
}

/* AlgorithmIdentifier: sets is_rsa, or the curve. (RFC 3279, RFC 5480) */
static const char *take_algorithm(struct kf_view *rest, struct kfi_pkey *out)
{
    struct kf_view algorithm, oid, nothing;
    if (!kfi_der_take(rest, KFI_DER_SEQUENCE, &algorithm) || !kfi_der_take(&algorithm, KFI_DER_OID, &oid))
        return damaged;
    out->is_rsa = kfi_view_equal(oid, kf_view_of(oid_rsa, sizeof oid_rsa));
    if (out->is_rsa) {
        if (algorithm.length > 0 && !kfi_der_take(&algorithm, KFI_DER_NULL, &nothing))
            return damaged;
    } else if (!kfi_view_equal(oid, kf_view_of(oid_ec, sizeof oid_ec))) {
        return "it is neither an RSA key nor a key on an elliptic curve";
    } else if (!take_curve(&algorithm, &out->curve)) {
        return other_curve;
    }
    return algorithm.length == 0 ? NULL : damaged;
}

/* RSAPublicKey and RSAPrivateKey. (RFC 8017, A.1) */
static const char *pkey_read_rsa(struct kf_view der, bool is_private, struct kfi_pkey *out)
{
    struct kf_view inside, version;
    if (!kfi_der_take(&der, KFI_DER_SEQUENCE, &inside) || der.length > 0)
        return damaged;
    if (is_private && (!kfi_der_take_number(&inside, &version) || version.length > 0))
        return "it has more than two primes, or is damaged";
    out->is_rsa = true;
    out->is_private = is_private;
    const size_t count = is_private ? KFI_RSA_NUMBERS : KFI_RSA_E + 1;
    for (size_t i = 0; i < count; i++) {
        if (!kfi_der_take_number(&inside, &out->rsa[i]) || out->rsa[i].length == 0)
            return damaged;
    }
    return inside.length == 0 ? NULL : damaged;
}

/* ECPrivateKey. `out` may already have a curve, from the structure around it. (RFC 5915) */
static const char *pkey_read_ec_private(struct kf_view der, struct kfi_pkey *out)
{
    struct kf_view inside, version, part;
    enum kf_ecdh_curve curve = out->curve;
    if (!kfi_der_take(&der, KFI_DER_SEQUENCE, &inside) || der.length > 0 ||
        !kfi_der_take_number(&inside, &version) || version.length != 1 || version.data[0] != 1 ||
        !kfi_der_take(&inside, KFI_DER_OCTET_STRING, &out->scalar) || out->scalar.length == 0)
        return damaged;
    if (kfi_der_take(&inside, KFI_DER_EXPLICIT(0), &part) && (!take_curve(&part, &curve) || part.length > 0))
        return other_curve;
    if (curve == 0)
        return other_curve;
    if (out->curve != 0 && out->curve != curve)
        return damaged;
    out->curve = curve;
    if (kfi_der_take(&inside, KFI_DER_EXPLICIT(1), &part) &&
        (!kfi_der_take_bits(&part, &out->point) || out->point.length == 0 || part.length > 0))
        return damaged;
    out->is_private = true;
    return inside.length == 0 ? NULL : damaged;
}

static const char *pkey_read_pkcs1_public(struct kf_view der, struct kfi_pkey *out)
{
    return pkey_read_rsa(der, false, out);
}

static const char *pkey_read_pkcs1_private(struct kf_view der, struct kfi_pkey *out)
{
    return pkey_read_rsa(der, true, out);
}

/* SubjectPublicKeyInfo. (RFC 5280, 4.1) */
static const char *pkey_read_spki(struct kf_view der, struct kfi_pkey *out)
{
    struct kf_view inside, bits;
    if (!kfi_der_take(&der, KFI_DER_SEQUENCE, &inside))
        return damaged;
    const char *wrong = take_algorithm(&inside, out);
    if (wrong != NULL)
        return wrong;
    if (!kfi_der_take_bits(&inside, &bits) || inside.length > 0)
        return damaged;
    if (out->is_rsa)
        return pkey_read_rsa(bits, false, out);
    out->point = bits;
    return bits.length > 0 ? NULL : damaged;
}

/* PrivateKeyInfo, or OneAsymmetricKey, which may end with the public key. (RFC 5958) */
static const char *pkey_read_pkcs8(struct kf_view der, struct kfi_pkey *out)
{
    struct kf_view inside, version, key, unused;
    if (!kfi_der_take(&der, KFI_DER_SEQUENCE, &inside) || !kfi_der_take_number(&inside, &version) ||
        version.length > 1 || (version.length == 1 && version.data[0] != 1))
        return damaged;
    const char *wrong = take_algorithm(&inside, out);
    if (wrong != NULL)
        return wrong;
    if (!kfi_der_take(&inside, KFI_DER_OCTET_STRING, &key))
        return damaged;
    kfi_der_take(&inside, KFI_DER_EXPLICIT(0), &unused); /* attributes */
    if (version.length == 1)
        kfi_der_take(&inside, 0x81,
                     &unused); /* the public key: the private key contains it or determines it */
    if (inside.length > 0)
        return damaged;
    return out->is_rsa ? pkey_read_rsa(key, true, out) : pkey_read_ec_private(key, out);
}

/* ---- Which structure it is ---- */

struct structure {
    const char *label;                                             /* in PEM */
    const char *(*read)(struct kf_view der, struct kfi_pkey *out); /* NULL: encrypted PKCS#8 */
};

enum {
    SPKI,
    PKCS1_PUBLIC,
    PKCS8,
    PKCS8_ENCRYPTED,
    PKCS1_PRIVATE,
    SEC1,
    STRUCTURES
};

static const struct structure structures[STRUCTURES] = {
    [SPKI] = {"PUBLIC KEY", pkey_read_spki},
    [PKCS1_PUBLIC] = {"RSA PUBLIC KEY", pkey_read_pkcs1_public},
    [PKCS8] = {"PRIVATE KEY", pkey_read_pkcs8},
    [PKCS8_ENCRYPTED] = {"ENCRYPTED PRIVATE KEY", NULL},
    [PKCS1_PRIVATE] = {"RSA PRIVATE KEY", pkey_read_pkcs1_private},
    [SEC1] = {"EC PRIVATE KEY", pkey_read_ec_private},
};

/* Recognises one sequence with nothing behind it, by the tags of its first two elements. NULL: unknown. */
static const struct structure *structure_recognise(struct kf_view der)
{
    struct kf_view inside, first, number;
    if (!kfi_der_take(&der, KFI_DER_SEQUENCE, &inside) || der.length > 0)
        return NULL;
    if (kfi_der_take(&inside, KFI_DER_SEQUENCE, &first))
        return &structures[kfi_der_tag(inside) == KFI_DER_BIT_STRING ? SPKI : PKCS8_ENCRYPTED];
    if (!kfi_der_take_number(&inside, &number))
        return NULL;
    switch (kfi_der_tag(inside)) {
    case KFI_DER_SEQUENCE:
        return &structures[PKCS8];
    case KFI_DER_OCTET_STRING:
        return &structures[SEC1];
    default:
        return &structures[number.length > 1 ? PKCS1_PUBLIC : PKCS1_PRIVATE];
    }
}

/* ---- Passphrases ---- */

/* Whom to ask for the passphrase, and what became of it. */
struct asking {
    const struct kf_passphrase *passphrase; /* may be NULL */
    bool asked, answered;
};

struct passphrase {
    char bytes[KFI_PASSPHRASE_MAX];
    size_t length;
};

/* False: there is none. Whoever asks wipes it. */
static bool passphrase_ask(struct asking *asking, struct passphrase *out)
{
    const struct kf_passphrase *passphrase = asking->passphrase;
    asking->asked = true;
    out->length = 0;
    if (passphrase != NULL && passphrase->ask != NULL &&
        passphrase->ask(passphrase->context, out->bytes, sizeof out->bytes, &out->length) &&
        out->length <= sizeof out->bytes)
        asking->answered = true;
    return asking->answered;
}

/* What libcrypto calls for it. */
static int passphrase_give(char *out, int room, int writing, void *context)
{
    (void)writing;
    const struct passphrase *passphrase = context;
    if (room < 0 || passphrase->length > (size_t)room)
        return -1;
    memcpy(out, passphrase->bytes, passphrase->length);
    return (int)passphrase->length;
}

static enum kf_code not_decrypted(const struct asking *asking, struct kf_error *error)
{
    if (!asking->asked)
        return kf_error_set(error, KF_E_USAGE,
                            "A private key is encrypted by a method that OpenSSL does not support.");
    if (!asking->answered)
        return kf_error_set(error, KF_E_USAGE,
                            "A private key is encrypted, and no passphrase was given: set the option "
                            "passphrase.");
    return kf_error_set(error, KF_E_USAGE,
                        "A private key can't be decrypted: the passphrase is wrong, or the key is damaged.");
}

static X509_SIG *pkcs8_read(const struct kfi_pkey *pkey)
{
    const uint8_t *from = pkey->der;
    kfi_crypto_enter();
    X509_SIG *encrypted = d2i_X509_SIG(NULL, &from, (long)pkey->der_length);
    kfi_crypto_leave();
    return encrypted;
}

/* Frees what was encrypted. NULL: it can't be decrypted. */
static PKCS8_PRIV_KEY_INFO *pkcs8_decrypt(const struct kfi_provider *provider, X509_SIG *encrypted,
                                          struct asking *asking)
{
    struct passphrase passphrase;
    PKCS8_PRIV_KEY_INFO *decrypted = NULL;
    const bool answered = encrypted != NULL && passphrase_ask(asking, &passphrase);
    kfi_crypto_enter();
    if (answered)
        decrypted = PKCS8_decrypt_ex(encrypted, passphrase.bytes, (int)passphrase.length, provider->library,
                                     provider->properties);
    X509_SIG_free(encrypted);
    kfi_crypto_leave();
    kfi_wipe(&passphrase, sizeof passphrase);
    return decrypted;
}

/* Replaces encrypted PKCS#8 in `pkey` by its content. */
static enum kf_code pkey_decrypt_pkcs8(struct kfi_pkey *pkey, struct asking *asking, struct kf_error *error)
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    PKCS8_PRIV_KEY_INFO *decrypted = pkcs8_decrypt(provider, pkcs8_read(pkey), asking);

    int der_length = decrypted != NULL ? i2d_PKCS8_PRIV_KEY_INFO(decrypted, NULL) : -1;
    uint8_t *der = der_length > 0 ? kfi_alloc((size_t)der_length) : NULL;
    uint8_t *to = der;
    if (der_length <= 0) {
        code = not_decrypted(asking, error);
    } else if (der == NULL) {
        code = kfi_no_memory(error);
    } else if (i2d_PKCS8_PRIV_KEY_INFO(decrypted, &to) != der_length) {
        kfi_free_secret(der, (size_t)der_length);
        code = kfi_crypto_failed(error, "reading a private key");
    } else {
        kfi_free(pkey->der); /* encrypted, so it is no secret */
        pkey->der = der;
        pkey->der_length = (size_t)der_length;
    }
    kfi_crypto_enter();
    PKCS8_PRIV_KEY_INFO_free(decrypted); /* which wipes it */
    kfi_crypto_leave();
    return code;
}

/* ---- PEM ---- */

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static struct kf_view trim(struct kf_view text)
{
    while (text.length > 0 && is_space(text.data[0]))
        text = kf_view_of(text.data + 1, text.length - 1);
    while (text.length > 0 && is_space(text.data[text.length - 1]))
        text.length--;
    return text;
}

static bool is_pem(struct kf_view trimmed)
{
    return kfi_view_begins(trimmed, "-----BEGIN ");
}

/* A PEM object as libcrypto gives it. */
struct pem {
    char *label, *header;
    uint8_t *data;
    long length, room; /* of the data, and of the memory that they are in */
    bool followed;     /* something comes behind it */
};

static const struct structure *structure_labelled(const char *label)
{
    for (size_t i = 0; i < STRUCTURES; i++) {
        if (strcmp(structures[i].label, label) == 0)
            return &structures[i];
    }
    return NULL;
}

/* False if the text is no PEM. */
static bool pem_read(struct kf_view text, struct pem *pem)
{
    *pem = (struct pem){.label = NULL};
    kfi_crypto_enter();
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.length);
    /* Secure: libcrypto wipes what it allocates meanwhile. */
    bool good = bio != NULL && PEM_read_bio_ex(bio, &pem->label, &pem->header, &pem->data, &pem->length,
                                               PEM_FLAG_SECURE) == 1;
    pem->room = pem->length;
    pem->followed = good && BIO_pending(bio) > 0;
    BIO_free(bio);
    kfi_crypto_leave();
    return good;
}

static void pem_end(struct pem *pem)
{
    kfi_crypto_enter();
    OPENSSL_secure_clear_free(pem->data, (size_t)pem->room);
    OPENSSL_secure_free(pem->header);
    OPENSSL_secure_free(pem->label);
    kfi_crypto_leave();
}

/* Decrypts PEM if its headers say that it is encrypted. */
static enum kf_code pem_decrypt(struct pem *pem, struct asking *asking, struct kf_error *error)
{
    EVP_CIPHER_INFO cipher;
    kfi_crypto_enter();
    bool good = PEM_get_EVP_CIPHER_INFO(pem->header, &cipher) == 1;
    kfi_crypto_leave();
    if (good && cipher.cipher != NULL) {
        struct passphrase passphrase;
        good = passphrase_ask(asking, &passphrase);
        if (good) {
            kfi_crypto_enter();
            good = PEM_do_header(&cipher, pem->data, &pem->length, passphrase_give, &passphrase) == 1;
            kfi_crypto_leave();
        }
        kfi_wipe(&passphrase, sizeof passphrase);
    }
    return good ? KF_OK : not_decrypted(asking, error);
}

/* Takes what is in the PEM. */
static enum kf_code pem_take(struct pem *pem, struct asking *asking, struct kf_error *error,
                             struct kfi_pkey *pkey, const struct structure **structure)
{
    *structure = structure_labelled(pem->label);
    if (*structure == NULL)
        return kf_error_set(error, KF_E_USAGE,
                            "An object in PEM is not a key of a known kind. The known kinds are PUBLIC "
                            "KEY, RSA PUBLIC KEY, "
                            "PRIVATE KEY, ENCRYPTED PRIVATE KEY, RSA PRIVATE KEY and EC PRIVATE KEY.");
    if (pem->followed)
        return kf_error_set(error, KF_E_USAGE,
                            "Something follows the key in PEM: give one object, and nothing else.");
    enum kf_code code = pem_decrypt(pem, asking, error);
    if (code != KF_OK)
        return code;
    pkey->der_length = (size_t)pem->length;
    pkey->der = kfi_copy(kf_view_of(pem->data, pkey->der_length));
    return pkey->der != NULL ? KF_OK : kfi_no_memory(error);
}

static enum kf_code pkey_read_pem(struct kf_view text, struct asking *asking, struct kf_error *error,
                                  struct kfi_pkey *pkey, const struct structure **structure)
{
    struct pem pem;
    if (!pem_read(text, &pem))
        return kf_error_set(error, KF_E_USAGE, "A key begins like PEM, but it is cut or damaged.");
    enum kf_code code = pem_take(&pem, asking, error, pkey, structure);
    pem_end(&pem);
    return code;
}

/* ---- Keys ---- */

static enum kf_code pkey_read_der(struct kf_view text, struct kf_error *error, struct kfi_pkey *pkey)
{
    pkey->der_length = text.length;
    pkey->der = kfi_copy(text);
    return pkey->der != NULL ? KF_OK : kfi_no_memory(error);
}

static enum kf_code pkey_read_key(struct kf_view text, struct asking *asking, struct kf_error *error,
                                  struct kfi_pkey *pkey)
{
    const struct structure *expected = NULL;
    struct kf_view trimmed = trim(text);
    enum kf_code code = is_pem(trimmed) ? pkey_read_pem(trimmed, asking, error, pkey, &expected)
                                        : pkey_read_der(text, error, pkey);
    if (code != KF_OK)
        return code;
    const struct structure *structure = structure_recognise(kf_view_of(pkey->der, pkey->der_length));
    if (structure != NULL && structure->read == NULL && (expected == NULL || expected == structure)) {
        code = pkey_decrypt_pkcs8(pkey, asking, error);
        if (code != KF_OK)
            return code;
        expected = &structures[PKCS8];
        structure = structure_recognise(kf_view_of(pkey->der, pkey->der_length));
    }
    if (structure == NULL || structure->read == NULL || (expected != NULL && structure != expected)) {
        if (asking->asked) /* a wrong passphrase may not be noticed before */
            return not_decrypted(asking, error);
        return kf_error_set(error, KF_E_USAGE,
                            "A key is neither PEM, which begins with \"-----BEGIN\", nor one object in DER: "
                            "SubjectPublicKeyInfo, PKCS#1, PKCS#8 or SEC1.");
    }
    const char *wrong = structure->read(kf_view_of(pkey->der, pkey->der_length), pkey);
    return wrong == NULL ? KF_OK : kf_error_set(error, KF_E_USAGE, "A key can't be used: %s.", wrong);
}

enum kf_code kfi_pkey_read(struct kf_view text, const struct kf_passphrase *passphrase,
                           struct kf_error *error, struct kfi_pkey *out)
{
    struct asking asking = {passphrase, false, false};
    *out = (struct kfi_pkey){.der = NULL};
    enum kf_code code = kfi_view_check(text, "A key", error);
    if (code != KF_OK)
        return code;
    if (text.length == 0)
        return kf_error_set(error, KF_E_USAGE, "A key is empty.");
    if (text.length > KFI_PKEY_TEXT_MAX)
        return kf_error_set(error, KF_E_USAGE, "A key has %zu bytes; at most %d are allowed.", text.length,
                            KFI_PKEY_TEXT_MAX);
    code = pkey_read_key(text, &asking, error, out);
    if (code != KF_OK)
        kfi_pkey_end(out);
    return code;
}

void kfi_pkey_end(struct kfi_pkey *pkey)
{
    kfi_free_secret(pkey->der, pkey->der_length);
    kfi_wipe(pkey, sizeof *pkey);
}

enum kf_code kfi_pkey_check_half(const struct kfi_pkey *pkey, bool is_private, struct kf_error *error)
{
    if (pkey->is_private == is_private)
        return KF_OK;
    return kf_error_set(error, KF_E_USAGE,
                        is_private ? "A public key was given where the private one is needed."
                                   : "A private key was given where the public one is needed: write the "
                                     "public half into a file of its own.");
}

void kfi_native_number(struct kf_view number, uint8_t *out, size_t length)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    memset(out, 0, length);
    for (size_t i = 0; i < number.length; i++) /* the i-th byte from the end */
        out[first == 1 ? i : length - 1 - i] = number.data[number.length - 1 - i];
}
