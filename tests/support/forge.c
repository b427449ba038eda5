/*
 * Messages made by hand: see forge.h.
 */
#include "support/forge.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* ---- Keys ---- */

static bool signs(unsigned suite)
{
    return suite == 0x0214 || suite == 0x0346 || suite == 0x0378 || suite == 0x0578;
}

static size_t data_key_length(unsigned suite)
{
    const unsigned low = suite & 0xFF;
    return suite == 0x0014 || suite == 0x0114 || suite == 0x0214 ? 16 : low == 0x46 ? 24 : 32;
}

static struct kf_view data_key_of(const struct forge *forge)
{
    static uint8_t data_key[32];
    memset(data_key, 0x77, sizeof data_key);
    return kf_view_of(data_key, data_key_length(forge->suite));
}

static void make_signer(struct forge *forge)
{
    const bool p256 = forge->suite == 0x0214;
    uint8_t point[128];
    size_t length;
    forge->signer = EVP_EC_gen(p256 ? "P-256" : "P-384");
    assert_non_null(forge->signer);
    assert_int_equal(
        EVP_PKEY_get_octet_string_param(forge->signer, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &length),
        1);
    /* x behind the parity of y: the compressed form. */
    const size_t coordinate = p256 ? 32 : 48;
    assert_int_equal(length, 1 + 2 * coordinate);
    point[0] = (uint8_t)(2 + (point[length - 1] & 1));
    EVP_EncodeBlock((uint8_t *)forge->public_key, point, (int)(1 + coordinate));
}

void forge_begin(struct forge *forge, unsigned suite)
{
    memset(forge, 0, sizeof *forge);
    forge->version = suite == 0x0478 || suite == 0x0578 ? 2 : 1;
    forge->type = 0x80;
    forge->suite = suite;
    memset(forge->message_id, 0x1d, sizeof forge->message_id);
    forge->edk_count = 1;
    forge->content_type = 2;
    forge->iv_length = 12;
    forge->frame_length = 100;
    forge->writer = (struct kfi_writer){forge->bytes, sizeof forge->bytes, false};
    if (!signs(suite))
        return;
    make_signer(forge);
    forge_context(forge, "aws-crypto-public-key", forge->public_key);
}

void forge_end(struct forge *forge)
{
    EVP_PKEY_free(forge->signer);
    forge->signer = NULL;
}

void forge_context_of(struct forge *forge, ...)
{
    struct kfi_writer writer = {forge->context_bytes, sizeof forge->context_bytes, false};
    uint16_t count = 0;
    const char *key;
    kfi_write_u16(&writer, 0);
    va_list texts;
    va_start(texts, forge);
    while ((key = va_arg(texts, const char *)) != NULL) {
        kfi_write_field(&writer, kf_view_text(key));
        kfi_write_field(&writer, kf_view_text(va_arg(texts, const char *)));
        count++;
    }
    va_end(texts);
    assert_false(writer.overflow);
    forge->context = kf_view_of(forge->context_bytes, sizeof forge->context_bytes - writer.room);
    writer = (struct kfi_writer){forge->context_bytes, 2, false};
    kfi_write_u16(&writer, count);
}

/* ---- Writing ---- */

static struct kf_view key_of(const struct forge *forge)
{
    return kf_view_of(forge->keys.key, forge->keys.length);
}

static struct kf_view message_id_of(const struct forge *forge)
{
    return kf_view_of(forge->message_id, forge->version == 1 ? 16 : 32);
}

struct kf_view forge_view(const struct forge *forge)
{
    assert_false(forge->writer.overflow);
    return kf_view_of(forge->bytes, sizeof forge->bytes - forge->writer.room);
}

/* The EDK that the raw AES keyring "one" unwraps. */
static void write_edk(struct forge *forge)
{
    static const uint8_t info[3 + 8 + 12] = "one\0\0\0\x80\0\0\0\x0c"
                                            "edk iv, 12 b";
    const struct kf_view data_key = data_key_of(forge);
    uint8_t wrapping_key[32], sealed[32 + 16];
    memset(wrapping_key, 1, sizeof wrapping_key);
    parts_seal(kf_view_of(wrapping_key, 32), kf_view_of(info + 11, 12),
               forge->bound.data != NULL ? forge->bound : forge->context, data_key, sealed,
               sealed + data_key.length);
    kfi_write_field(&forge->writer, kf_view_text("tests"));
    kfi_write_field(&forge->writer, kf_view_of(info, sizeof info));
    kfi_write_field(&forge->writer, kf_view_of(sealed, data_key.length + 16));
}

void forge_header(struct forge *forge)
{
    struct kfi_writer *writer = &forge->writer;
    parts_derive(forge->suite, data_key_of(forge), message_id_of(forge), &forge->keys);
    forge->keys.commit_key[31] = (uint8_t)(forge->keys.commit_key[31] + forge->commit_lie);

    kfi_write_u8(writer, (uint8_t)forge->version);
    if (forge->version == 1)
        kfi_write_u8(writer, (uint8_t)forge->type);
    kfi_write_u16(writer, (uint16_t)forge->suite);
    kfi_write_bytes(writer, message_id_of(forge));
    kfi_write_field(writer, forge->context);
    kfi_write_u16(writer, (uint16_t)forge->edk_count);
    if (forge->edk_count > 0)
        write_edk(forge);
    kfi_write_u8(writer, (uint8_t)forge->content_type);
    if (forge->version == 1) {
        kfi_write_u32(writer, forge->reserved);
        kfi_write_u8(writer, (uint8_t)forge->iv_length);
    }
    kfi_write_u32(writer, forge->frame_length);
    if (forge->version == 2 && !forge->without_suite_data)
        kfi_write_bytes(writer, kf_view_of(forge->keys.commit_key, 32));

    /* Pairs that are not stored are written for the tag, and taken back. */
    const struct kfi_writer end = *writer;
    uint8_t tag[16];
    kfi_write_bytes(writer, forge->not_stored);
    parts_seal(key_of(forge), kf_view_of(forge->header_iv, 12), forge_view(forge), kf_view_of(NULL, 0), NULL,
               tag);
    *writer = end;
    if (forge->version == 1)
        kfi_write_bytes(writer, kf_view_of(forge->header_iv, 12));
    kfi_write_bytes(writer, kf_view_of(tag, 16));
}

void forge_sealed(struct forge *forge, const char *name, uint32_t sequence, const uint8_t iv[12],
                  struct kf_view plaintext)
{
    uint8_t aad[96], tag[16], *sealed = malloc(plaintext.length + 1);
    parts_seal(key_of(forge), kf_view_of(iv, 12),
               parts_body_aad(message_id_of(forge), name, sequence, plaintext.length, aad), plaintext, sealed,
               tag);
    kfi_write_bytes(&forge->writer, kf_view_of(sealed, plaintext.length));
    kfi_write_bytes(&forge->writer, kf_view_of(tag, 16));
    free(sealed);
}

/* Writes a number and the IV that belongs to it. */
static void write_iv(struct forge *forge, uint32_t sequence, uint8_t iv[12])
{
    struct kfi_writer writer = {iv, 12, false};
    kfi_write_u64(&writer, 0);
    kfi_write_u32(&writer, sequence);
    kfi_write_bytes(&forge->writer, kf_view_of(iv, 12));
}

void forge_regular(struct forge *forge, uint32_t sequence, struct kf_view plaintext)
{
    uint8_t iv[12];
    kfi_write_u32(&forge->writer, sequence);
    write_iv(forge, sequence, iv);
    forge_sealed(forge, "Frame", sequence, iv, plaintext);
}

void forge_final(struct forge *forge, uint32_t sequence, struct kf_view plaintext)
{
    uint8_t iv[12];
    kfi_write_u32(&forge->writer, 0xFFFFFFFF);
    kfi_write_u32(&forge->writer, sequence);
    write_iv(forge, sequence, iv);
    kfi_write_u32(&forge->writer, (uint32_t)plaintext.length);
    forge_sealed(forge, "Final Frame", sequence, iv, plaintext);
}

void forge_single_block(struct forge *forge, struct kf_view plaintext)
{
    uint8_t iv[12];
    write_iv(forge, 1, iv);
    kfi_write_u64(&forge->writer, plaintext.length);
    forge_sealed(forge, "Single Block", 1, iv, plaintext);
}

struct kf_view forge_signature(const struct forge *forge, uint8_t *out)
{
    const struct kf_view bytes = forge_view(forge);
    size_t length = 160;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, forge->suite == 0x0214 ? EVP_sha256() : EVP_sha384(),
                                        NULL, forge->signer),
                     1);
    assert_int_equal(EVP_DigestSign(context, out, &length, bytes.data, bytes.length), 1);
    EVP_MD_CTX_free(context);
    return kf_view_of(out, length);
}

void forge_footer(struct forge *forge, struct kf_view signature)
{
    kfi_write_field(&forge->writer, signature);
}

void forge_sign(struct forge *forge)
{
    uint8_t signature[160];
    forge_footer(forge, forge_signature(forge, signature));
}
