/*
 * New key pairs: see pkey_pair.h. Called by raw_keys.c and rsa.c. Libcrypto makes the keys and writes them.
 * The memory that it writes a private key to is wiped; its other memory is its own affair.
 */
#include "suite/pkey_pair.h"

#include <openssl/bio.h>
#include <openssl/encoder.h>

#include "base/bytes.h"
#include "base/error.h"
#include "suite/der.h"
#include "suite/digest.h"
#include "suite/ecdh.h"
#include "suite/provider.h"

/* ---- Making ---- */

/* Forks wait until it is done, which may take seconds. */
static enum kf_code pair_generate(const struct kfi_provider *provider, size_t rsa_bits,
                                  enum kf_ecdh_curve curve, struct kf_error *error, EVP_PKEY **out)
{
    enum kf_code code = KF_OK;
    kfi_crypto_enter();
    *out = rsa_bits > 0
               ? EVP_PKEY_Q_keygen(provider->library, provider->properties, "RSA", rsa_bits)
               : EVP_PKEY_Q_keygen(provider->library, provider->properties, "EC", kfi_ecdh_curve_name(curve));
    if (*out == NULL)
        code = kfi_crypto_failed(error, "making a key pair");
    kfi_crypto_leave();
    return code;
}

static void pair_free(EVP_PKEY *key)
{
    kfi_crypto_enter();
    EVP_PKEY_free(key);
    kfi_crypto_leave();
}

/* Writes one half as PEM into memory that is wiped when it grows and when it is freed. */
static enum kf_code pair_encode(const struct kfi_provider *provider, EVP_PKEY *key, int selection,
                                const char *structure, struct kf_error *error, BIO **memory)
{
    enum kf_code code = KF_OK;
    kfi_crypto_enter();
    *memory = BIO_new(BIO_s_secmem());
    OSSL_ENCODER_CTX *encoder =
        OSSL_ENCODER_CTX_new_for_pkey(key, selection, "PEM", structure, provider->properties);
    if (*memory == NULL || encoder == NULL || OSSL_ENCODER_to_bio(encoder, *memory) != 1)
        code = kfi_crypto_failed(error, "writing a key");
    OSSL_ENCODER_CTX_free(encoder);
    kfi_crypto_leave();
    return code;
}

/* Copies the content of `memory` to the buffer, which is empty. */
static enum kf_code pair_take(BIO *memory, struct kf_error *error, struct kf_buf *out)
{
    char *text;
    const long length = BIO_get_mem_data(memory, &text);
    if (length <= 0)
        return kfi_crypto_failed(error, "writing a key");
    if (kfi_buf_reserve(out, (size_t)length, KFI_PKEY_TEXT_MAX) != KF_OK)
        return kfi_no_memory(error);
    memcpy(out->data, text, (size_t)length);
    out->length = (size_t)length;
    return KF_OK;
}

static enum kf_code pair_write_pem(const struct kfi_provider *provider, EVP_PKEY *key, int selection,
                                   const char *structure, struct kf_error *error, struct kf_buf *out)
{
    BIO *memory;
    enum kf_code code = pair_encode(provider, key, selection, structure, error, &memory);
    if (code == KF_OK)
        code = pair_take(memory, error, out);
    kfi_crypto_enter();
    BIO_free(memory);
    kfi_crypto_leave();
    return code;
}

enum kf_code kfi_pkey_pair_generate(size_t rsa_bits, enum kf_ecdh_curve curve, struct kf_error *error,
                                    struct kf_buf *public_key, struct kf_buf *private_key)
{
    const struct kfi_provider *provider;
    EVP_PKEY *key;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code != KF_OK)
        return code;
    code = pair_generate(provider, rsa_bits, curve, error, &key);
    if (code == KF_OK)
        code = pair_write_pem(provider, key, EVP_PKEY_PUBLIC_KEY, "SubjectPublicKeyInfo", error, public_key);
    if (code == KF_OK)
        code = pair_write_pem(provider, key, EVP_PKEY_KEYPAIR, "PrivateKeyInfo", error, private_key);
    pair_free(key);
    if (code != KF_OK) {
        kfi_buf_wipe(public_key);
        kfi_buf_wipe(private_key);
    }
    return code;
}

/* ---- Telling keys apart ---- */

size_t kfi_pkey_rsa_bits(const struct kfi_pkey *pkey)
{
    const struct kf_view modulus = pkey->rsa[KFI_RSA_N];
    size_t bits = 8 * modulus.length;
    for (uint8_t first = modulus.data[0]; first < 0x80; first = (uint8_t)(first << 1))
        bits--;
    return bits;
}

/* The length of an integer's content. A zero comes first if the number would look negative. */
static size_t integer_length(struct kf_view number)
{
    return number.data[0] < 0x80 ? number.length : number.length + 1;
}

static size_t element_length(size_t content)
{
    const size_t front = content < 0x80 ? 2U : content < 0x100 ? 3U : 4U;
    return front + content;
}

/* The tag and length of an element. Keys are shorter than 65,536 bytes. */
static void write_front(struct kfi_writer *writer, uint8_t tag, size_t content)
{
    kfi_write_u8(writer, tag);
    if (content >= 0x80)
        kfi_write_u8(writer, content < 0x100 ? 0x81 : 0x82);
    if (content < 0x100)
        kfi_write_u8(writer, (uint8_t)content);
    else
        kfi_write_u16(writer, (uint16_t)content);
}

static void write_integer_front(struct kfi_writer *writer, struct kf_view number)
{
    write_front(writer, KFI_DER_INTEGER, integer_length(number));
    if (integer_length(number) > number.length)
        kfi_write_u8(writer, 0);
}

enum kf_code kfi_pkey_rsa_digest(const struct kfi_pkey *pkey, struct kf_error *error,
                                 uint8_t out[KFI_HASH_MAX])
{
    static const uint8_t algorithm[] = {
        KFI_DER_SEQUENCE, 0x0d, KFI_DER_OID, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
        KFI_DER_NULL,     0x00};
    const struct kf_view n = pkey->rsa[KFI_RSA_N], e = pkey->rsa[KFI_RSA_E];
    const size_t numbers = element_length(integer_length(n)) + element_length(integer_length(e));
    const size_t bits = 1 + element_length(numbers); /* behind the count of unused bits */
    uint8_t front[64], middle[8];
    struct kfi_writer writer = {front, sizeof front, false}, second = {middle, sizeof middle, false};
    write_front(&writer, KFI_DER_SEQUENCE, sizeof algorithm + element_length(bits));
    kfi_write_bytes(&writer, kf_view_of(algorithm, sizeof algorithm));
    write_front(&writer, KFI_DER_BIT_STRING, bits);
    kfi_write_u8(&writer, 0);
    write_front(&writer, KFI_DER_SEQUENCE, numbers);
    write_integer_front(&writer, n);
    write_integer_front(&second, e);
    const struct kf_view parts[] = {kf_view_of(front, sizeof front - writer.room), n,
                                    kf_view_of(middle, sizeof middle - second.room), e};
    return kfi_digest(KFI_SHA256, parts, 4, error, out);
}
