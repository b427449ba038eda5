/*
 * Messages taken apart by hand: see parts.h.
 */
#include "support/parts.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

static bool signs(unsigned suite)
{
    return suite == 0x0214 || suite == 0x0346 || suite == 0x0378 || suite == 0x0578;
}

/* ---- Reading ---- */

static void read_header(struct kfi_reader *reader, struct parts *out)
{
    out->format = kfi_read_u8(reader);
    if (out->format == 1)
        assert_int_equal(kfi_read_u8(reader), 0x80);
    out->suite = kfi_read_u16(reader);
    assert_int_equal(out->format, out->suite == 0x0478 || out->suite == 0x0578 ? 2 : 1);
    out->message_id = kfi_read_bytes(reader, out->format == 1 ? 16 : 32);
    out->context = kfi_read_field(reader);
    out->edk_count = kfi_read_u16(reader);
    assert_in_range(out->edk_count, 1, PARTS_EDKS);
    for (size_t i = 0; i < out->edk_count; i++) {
        out->edks[i].provider_id = kfi_read_field(reader);
        out->edks[i].provider_info = kfi_read_field(reader);
        out->edks[i].ciphertext = kfi_read_field(reader);
    }
    assert_int_equal(kfi_read_u8(reader), 2);
    if (out->format == 1) {
        assert_int_equal(kfi_read_u32(reader), 0);
        assert_int_equal(kfi_read_u8(reader), 12);
    }
    out->frame_length = kfi_read_u32(reader);
    if (out->format == 2)
        out->commit_key = kfi_read_bytes(reader, 32);
    out->header_body = kf_view_of(out->message.data, out->message.length - reader->rest.length);
    if (out->format == 1)
        out->header_iv = kfi_read_bytes(reader, 12);
    out->header_tag = kfi_read_bytes(reader, 16);
    out->header_end = out->message.length - reader->rest.length;
}

static void read_frame(struct kfi_reader *reader, struct parts *out)
{
    assert_in_range(out->frame_count, 0, PARTS_FRAMES - 1);
    struct parts_frame *frame = &out->frames[out->frame_count++];
    frame->begin = out->message.length - reader->rest.length;
    frame->sequence = kfi_read_u32(reader);
    frame->final = frame->sequence == 0xFFFFFFFF;
    if (frame->final)
        frame->sequence = kfi_read_u32(reader);
    frame->iv = kfi_read_bytes(reader, 12);
    const size_t length = frame->final ? kfi_read_u32(reader) : out->frame_length;
    frame->ciphertext = kfi_read_bytes(reader, length);
    frame->tag = kfi_read_bytes(reader, 16);
    frame->end = out->message.length - reader->rest.length;
}

void parts_read(struct kf_view message, struct parts *out)
{
    memset(out, 0, sizeof *out);
    out->message = message;
    struct kfi_reader reader = {message, false};
    read_header(&reader, out);
    do
        read_frame(&reader, out);
    while (!out->frames[out->frame_count - 1].final && !reader.short_read);
    out->body_end = message.length - reader.rest.length;
    if (signs(out->suite))
        out->signature = kfi_read_field(&reader);
    assert_false(reader.short_read);
    assert_int_equal(reader.rest.length, 0);
}

const struct kf_encryption_context *parts_context(struct kf_view serialized)
{
    struct kf_pair pairs[16];
    struct kfi_reader reader = {serialized, false};
    const size_t count = serialized.length > 0 ? kfi_read_u16(&reader) : 0;
    assert_in_range(count, serialized.length > 0 ? 1 : 0, 16);
    for (size_t i = 0; i < count; i++) {
        pairs[i].key = kfi_read_field(&reader);
        pairs[i].value = kfi_read_field(&reader);
    }
    assert_true(!reader.short_read && reader.rest.length == 0);
    const struct kf_encryption_context *context;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryption_context_new(pairs, count, &error, &context), &error);
    return context;
}

/* ---- Cryptography ---- */

static const EVP_CIPHER *gcm(size_t key_length)
{
    return key_length == 16 ? EVP_aes_128_gcm() : key_length == 24 ? EVP_aes_192_gcm() : EVP_aes_256_gcm();
}

void parts_seal(struct kf_view key, struct kf_view iv, struct kf_view aad, struct kf_view plaintext,
                uint8_t *out, uint8_t tag[16])
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int length;
    uint8_t none[16];
    assert_int_equal(iv.length, 12);
    assert_int_equal(EVP_EncryptInit_ex(context, gcm(key.length), NULL, key.data, iv.data), 1);
    assert_int_equal(EVP_EncryptUpdate(context, NULL, &length, aad.data, (int)aad.length), 1);
    if (plaintext.length > 0)
        assert_int_equal(EVP_EncryptUpdate(context, out, &length, plaintext.data, (int)plaintext.length), 1);
    assert_int_equal(EVP_EncryptFinal_ex(context, none, &length), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag), 1);
    EVP_CIPHER_CTX_free(context);
}

bool parts_open(struct kf_view key, struct kf_view iv, struct kf_view aad, struct kf_view ciphertext,
                struct kf_view tag, uint8_t *out)
{
    /* GCM's cipher is its own inverse. So the tag of the plaintext can be made again, and compared. */
    uint8_t *again = malloc(ciphertext.length + 1), made[16];
    parts_seal(key, iv, aad, ciphertext, out, made);
    parts_seal(key, iv, aad, kf_view_of(out, ciphertext.length), again, made);
    bool same = tag.length == 16 && memcmp(made, tag.data, 16) == 0;
    if (ciphertext.length > 0)
        same = same && memcmp(again, ciphertext.data, ciphertext.length) == 0;
    free(again);
    return same;
}

static void hkdf(const char *digest, struct kf_view key, struct kf_view salt, struct kf_view info,
                 uint8_t *out, size_t length)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    char name[8];
    strcpy(name, digest);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key.data, key.length),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info.data, info.length),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt.data, salt.length),
        OSSL_PARAM_construct_end(),
    };
    assert_int_equal(EVP_KDF_derive(context, out, length, parameters), 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

void parts_derive(unsigned suite, struct kf_view data_key, struct kf_view message_id, struct parts_keys *out)
{
    static const uint8_t zeros[48];
    uint8_t info[2 + 16] = {(uint8_t)(suite >> 8), (uint8_t)suite};
    *out = (struct parts_keys){.length = data_key.length};
    switch (suite) {
    case 0x0014:
    case 0x0046:
    case 0x0078:
        memcpy(out->key, data_key.data, data_key.length);
        break;
    case 0x0114:
    case 0x0146:
    case 0x0178:
    case 0x0214:
        memcpy(info + 2, message_id.data, 16);
        hkdf("SHA256", data_key, kf_view_of(zeros, 32), kf_view_of(info, sizeof info), out->key, out->length);
        break;
    case 0x0346:
    case 0x0378:
        memcpy(info + 2, message_id.data, 16);
        hkdf("SHA384", data_key, kf_view_of(zeros, 48), kf_view_of(info, sizeof info), out->key, out->length);
        break;
    default:
        memcpy(info + 2, "DERIVEKEY", 9);
        hkdf("SHA512", data_key, message_id, kf_view_of(info, 11), out->key, out->length);
        hkdf("SHA512", data_key, message_id, kf_view_text("COMMITKEY"), out->commit_key, 32);
    }
}

struct kf_view parts_body_aad(struct kf_view message_id, const char *name, uint32_t sequence, uint64_t length,
                              uint8_t *out)
{
    struct kfi_writer writer = {out, 96, false};
    kfi_write_bytes(&writer, message_id);
    kfi_write_bytes(&writer, kf_view_text("AWSKMSEncryptionClient "));
    kfi_write_bytes(&writer, kf_view_text(name));
    kfi_write_u32(&writer, sequence);
    kfi_write_u64(&writer, length);
    assert_false(writer.overflow);
    return kf_view_of(out, 96 - writer.room);
}

bool parts_signature_holds(unsigned suite, struct kf_view public_key, struct kf_view bytes,
                           struct kf_view der)
{
    uint8_t point[64];
    assert_int_equal(public_key.length, suite == 0x0214 ? 44 : 68);
    int padding = public_key.data[public_key.length - 1] == '=';
    padding += public_key.data[public_key.length - 2] == '=';
    int length = EVP_DecodeBlock(point, public_key.data, (int)public_key.length) - padding;
    assert_int_equal(length, suite == 0x0214 ? 33 : 49);

    char group[16];
    strcpy(group, suite == 0x0214 ? "P-256" : "P-384");
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, (size_t)length),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *from = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(from), 1);
    assert_int_equal(EVP_PKEY_fromdata(from, &key, EVP_PKEY_PUBLIC_KEY, parameters), 1);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(
        EVP_DigestVerifyInit(context, NULL, suite == 0x0214 ? EVP_sha256() : EVP_sha384(), NULL, key), 1);
    bool holds = EVP_DigestVerify(context, der.data, der.length, bytes.data, bytes.length) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_CTX_free(from);
    EVP_PKEY_free(key);
    return holds;
}

bool parts_unwrap(const struct kf_edk *edk, struct kf_view wrapping_key, struct kf_view context, uint8_t *out)
{
    assert_true(edk->provider_info.length >= 12 && edk->ciphertext.length >= 16);
    const size_t length = edk->ciphertext.length - 16;
    return parts_open(wrapping_key, kf_view_of(edk->provider_info.data + edk->provider_info.length - 12, 12),
                      context, kf_view_of(edk->ciphertext.data, length),
                      kf_view_of(edk->ciphertext.data + length, 16), out);
}

/* ---- All of it ---- */

static void verify_header(const struct parts *parts, struct kf_view key, struct kf_view required)
{
    static const uint8_t zeros[12];
    uint8_t *aad = malloc(parts->header_body.length + required.length), tag[16];
    memcpy(aad, parts->header_body.data, parts->header_body.length);
    if (required.length > 0)
        memcpy(aad + parts->header_body.length, required.data, required.length);
    parts_seal(key, kf_view_of(zeros, 12), kf_view_of(aad, parts->header_body.length + required.length),
               kf_view_of(NULL, 0), NULL, tag);
    free(aad);
    assert_memory_equal(parts->header_tag.data, tag, 16);
    if (parts->format == 1)
        assert_memory_equal(parts->header_iv.data, zeros, 12);
}

static void verify_frame(const struct parts *parts, size_t index, struct kf_view key,
                         struct kf_view plaintext)
{
    const struct parts_frame *frame = &parts->frames[index];
    uint8_t iv[12] = {0}, aad[96], tag[16], *sealed = malloc(plaintext.length + 1);
    struct kfi_writer writer = {iv + 8, 4, false};
    kfi_write_u32(&writer, frame->sequence);
    assert_int_equal(frame->sequence, index + 1);
    assert_memory_equal(frame->iv.data, iv, 12);
    assert_int_equal(frame->ciphertext.length, plaintext.length);
    parts_seal(key, kf_view_of(iv, 12),
               parts_body_aad(parts->message_id, frame->final ? "Final Frame" : "Frame", frame->sequence,
                              plaintext.length, aad),
               plaintext, sealed, tag);
    assert_memory_equal(frame->tag.data, tag, 16);
    if (plaintext.length > 0)
        assert_memory_equal(frame->ciphertext.data, sealed, plaintext.length);
    free(sealed);
}

static void verify_signature(const struct parts *parts, struct kf_view serialized)
{
    const struct kf_encryption_context *context = parts_context(serialized);
    struct kf_view public_key;
    const bool has_key =
        kf_encryption_context_get(context, kf_view_text("aws-crypto-public-key"), &public_key);
    assert_int_equal(has_key, signs(parts->suite));
    if (has_key) {
        assert_int_equal(parts->signature.length, parts->suite == 0x0214 ? 71 : 103);
        assert_true(parts_signature_holds(
            parts->suite, public_key, kf_view_of(parts->message.data, parts->body_end), parts->signature));
    }
    kf_encryption_context_unref(context);
}

void parts_verify(const struct parts *parts, struct kf_view data_key, struct kf_view context,
                  struct kf_view required, struct kf_view plaintext)
{
    struct parts_keys keys;
    parts_derive(parts->suite, data_key, parts->message_id, &keys);
    if (parts->format == 2)
        assert_memory_equal(parts->commit_key.data, keys.commit_key, 32);
    const struct kf_view key = kf_view_of(keys.key, keys.length);
    verify_header(parts, key, required);

    size_t done = 0;
    for (size_t i = 0; i < parts->frame_count; i++) {
        const struct parts_frame *frame = &parts->frames[i];
        const size_t left = plaintext.length - done;
        size_t length = left < parts->frame_length ? left : parts->frame_length;
        assert_int_equal(frame->final, i + 1 == parts->frame_count);
        verify_frame(parts, i, key, kf_view_of(plaintext.data + done, length));
        done += length;
    }
    assert_int_equal(done, plaintext.length);
    verify_signature(parts, context);
}
