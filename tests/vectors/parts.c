/*
 * Known answers of parts: kdf (HKDF and SP 800-108 in counter mode), cache-ids, and raw-keyring-edk (EDKs and
 * the data keys in them).
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/call.h"
#include "materials/cache/key.h"
#include "materials/materials.h"
#include "message/edk.h"
#include "message/encryption_context.h"
#include "suite/derive.h"
#include "suite/ecdh.h"
#include "suite/hmac.h"
#include "vectors/keyrings.h"

/* ---- kdf ---- */

static bool want_hash(const struct json *test, struct verdict *verdict, enum kfi_hash *out)
{
    static const char *const names[] = {
        [KFI_SHA256] = "sha256", [KFI_SHA384] = "sha384", [KFI_SHA512] = "sha512"};
    struct kf_view name;
    if (!want_text(test, "hash", verdict, &name))
        return false;
    for (unsigned i = 0; i < KFI_HASH_COUNT; i++) {
        *out = (enum kfi_hash)i;
        if (kfi_view_equal(name, kf_view_text(names[i])))
            return true;
    }
    return skip(verdict, "no suite and no keyring uses %s", (const char *)name.data);
}

/* Null is empty. */
static bool maybe_hex(struct vectors *vectors, const struct json *test, const char *name,
                      struct verdict *verdict, struct kf_view *out)
{
    *out = kf_view_of(NULL, 0);
    return json_get(test, name) == NULL || want_hex(vectors, test, name, verdict, out);
}

/* The bytes that come out, and as many that should. */
static bool want_okm(struct vectors *vectors, const struct json *test, const char *length_name,
                     struct verdict *verdict, struct kf_view *wanted, uint8_t **out)
{
    const struct json *length = want(test, length_name, JSON_NUMBER, verdict);
    if (length == NULL || !want_hex(vectors, test, "okm", verdict, wanted))
        return false;
    if (length->number != (long long)wanted->length)
        return fail(verdict, "the manifest is damaged: the okm has another length than it says");
    *out = arena_take(&vectors->arena, wanted->length);
    return true;
}

static void run_hkdf(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    struct kf_view ikm, salt, info, wanted;
    enum kfi_hash hash;
    struct kfi_hmac hmac;
    struct kf_error error = KF_ERROR_INIT;
    uint8_t *okm = NULL;
    if (!want_hash(test, verdict, &hash) || !want_hex(vectors, test, "ikm", verdict, &ikm) ||
        !maybe_hex(vectors, test, "salt", verdict, &salt) ||
        !maybe_hex(vectors, test, "info", verdict, &info) ||
        !want_okm(vectors, test, "okm_len", verdict, &wanted, &okm))
        return;
    enum kf_code code = kfi_hmac_begin(hash, &error, &hmac);
    if (code == KF_OK)
        code = kfi_hkdf_extract(&hmac, salt, ikm, &error);
    if (code == KF_OK)
        code = kfi_hkdf_expand(&hmac, info, &error, okm, wanted.length);
    kfi_hmac_end(&hmac);
    if (done(code, &error, "HKDF", verdict))
        same(kf_view_of(okm, wanted.length), wanted, "the derived key", verdict);
}

/* Counter mode over an info that is given whole: what the library's derivation does, without its own info. */
static void run_raw_derive(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    struct kf_view key, info, wanted;
    enum kfi_hash hash;
    struct kfi_hmac hmac;
    struct kf_error error = KF_ERROR_INIT;
    uint8_t *okm = NULL, block[KFI_HASH_MAX];
    if (!want_hash(test, verdict, &hash) || !want_hex(vectors, test, "ikm", verdict, &key) ||
        !want_hex(vectors, test, "nonce_or_info", verdict, &info) ||
        !want_okm(vectors, test, "L", verdict, &wanted, &okm))
        return;
    enum kf_code code = kfi_hmac_begin(hash, &error, &hmac);
    if (code == KF_OK)
        code = kfi_hmac_key(&hmac, key, &error);
    uint8_t number = 0;
    for (size_t at = 0; code == KF_OK && at < wanted.length; at += kfi_hash_length(hash)) {
        const uint8_t counter[] = {0, 0, 0, ++number};
        const struct kf_view parts[] = {kf_view_of(counter, sizeof counter), info};
        const size_t left = wanted.length - at, length = kfi_hash_length(hash);
        code = kfi_hmac(&hmac, parts, 2, &error, block);
        memcpy(okm + at, block, left < length ? left : length);
    }
    kfi_hmac_end(&hmac);
    if (done(code, &error, "HMAC", verdict))
        same(kf_view_of(okm, wanted.length), wanted, "the derived key", verdict);
}

static void run_counter_mode(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    struct kf_view key, label, context, wanted;
    enum kfi_hash hash;
    struct kf_error error = KF_ERROR_INIT;
    uint8_t *okm = NULL;
    if (want_hash(test, verdict, &hash) && want_hex(vectors, test, "ikm", verdict, &key) &&
        maybe_hex(vectors, test, "purpose", verdict, &label) &&
        want_hex(vectors, test, "nonce_or_info", verdict, &context) &&
        want_okm(vectors, test, "L", verdict, &wanted, &okm) &&
        done(kfi_kdf_counter(hash, key, label, context, &error, okm, wanted.length), &error, "the derivation",
             verdict))
        same(kf_view_of(okm, wanted.length), wanted, "the derived key", verdict);
}

/* ---- cache-ids ---- */

#define EDKS_MAX 64

/* What is asked for, in either file's words. */
struct question {
    bool decrypts, named; /* named: it says which suite */
    struct kf_view partition;
    unsigned suite;
    const struct kf_encryption_context *context;
    struct kf_edk edks[EDKS_MAX];
    size_t edk_count;
};

static struct kf_view digest(const struct kf_view *parts, size_t count, uint8_t out[KFI_HASH_MAX])
{
    struct kf_error error = KF_ERROR_INIT;
    const enum kf_code code = kfi_digest(KFI_SHA512, parts, count, &error, out);
    return kf_view_of(out, code == KF_OK ? KFI_HASH_MAX : 0);
}

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, KFI_HASH_MAX);
}

/*
 * The identifier that clients before version 0.4.0 of the specification have, which the library has not: what
 * it proves is how the library writes encryption contexts and EDKs.
 */
static void old_identifier(struct vectors *vectors, const struct question *question,
                           uint8_t out[KFI_HASH_MAX])
{
    static const uint8_t zero[KFI_HASH_MAX];
    const uint8_t suite[] = {1, (uint8_t)(question->suite >> 8), (uint8_t)question->suite};
    const struct kf_view context = kf_encryption_context_serialized(question->context);
    uint8_t partition[KFI_HASH_MAX], digest_of_context[KFI_HASH_MAX], edks[EDKS_MAX][KFI_HASH_MAX];
    for (size_t i = 0; i < question->edk_count; i++) {
        const size_t length = kfi_edk_serialized_length(&question->edks[i]);
        uint8_t *bytes = arena_take(&vectors->arena, length);
        struct kfi_writer writer = {bytes, length, false};
        kfi_edk_write(&writer, &question->edks[i]);
        const struct kf_view whole = kf_view_of(bytes, length);
        digest(&whole, 1, edks[i]);
    }
    if (question->edk_count > 0)
        qsort(edks, question->edk_count, sizeof edks[0], compare_digests);
    const struct kf_view decryption[] = {
        digest(&question->partition, 1, partition),
        kf_view_of(suite + 1, 2),
        kf_view_of(edks, question->edk_count * sizeof edks[0]),
        kf_view_of(zero, sizeof zero),
        digest(&context, 1, digest_of_context),
    };
    const struct kf_view encryption[] = {
        decryption[0],
        question->named ? kf_view_of(suite, 3) : kf_view_of(zero, 1),
        decryption[4],
    };
    if (question->decrypts)
        digest(decryption, 5, out);
    else
        digest(encryption, 3, out);
}

/* The library's own. */
static bool new_identifier(const struct question *question, struct verdict *verdict,
                           struct kfi_cache_key *out)
{
    const struct kf_encryption_request encryption = {
        .suite = (enum kf_suite)question->suite,
        .encryption_context = question->context,
    };
    const struct kf_decryption_request decryption = {
        .suite = (enum kf_suite)question->suite,
        .encryption_context = question->context,
        .edks = question->edks,
        .edk_count = question->edk_count,
    };
    struct kf_error error = KF_ERROR_INIT;
    const enum kf_code code = question->decrypts
                                  ? kfi_cache_key_decryption(question->partition, &decryption, &error, out)
                                  : kfi_cache_key_encryption(question->partition, &encryption, &error, out);
    return done(code, &error, "the identifier", verdict);
}

/* Three strings each, in hexadecimal digits; or objects with two that are text. */
static bool want_edks(struct vectors *vectors, const struct json *list, struct verdict *verdict,
                      struct question *out)
{
    JSON_EACH(item, list)
    {
        if (out->edk_count == EDKS_MAX)
            return fail(verdict, "there are more than %d EDKs", EDKS_MAX);
        struct kf_edk *edk = &out->edks[out->edk_count++];
        const bool good = item->type == JSON_ARRAY
                              ? item->count == 3 && unhex(vectors, item->first->text, &edk->provider_id) &&
                                    unhex(vectors, item->first->next->text, &edk->provider_info) &&
                                    unhex(vectors, item->first->next->next->text, &edk->ciphertext)
                              : want_text(item, "provider_id", verdict, &edk->provider_id) &&
                                    want_text(item, "provider_info", verdict, &edk->provider_info) &&
                                    want_hex(vectors, item, "ciphertext_hex", verdict, &edk->ciphertext);
        if (!good)
            return fail(verdict, "the manifest is damaged: an EDK is none");
    }
    return true;
}

static void run_cache_id(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    const bool official = json_get(test, "op") != NULL; /* else of JavaScript */
    struct question question = {.named = json_get(test, official ? "algorithm" : "suite") != NULL};
    struct kf_view wanted;
    uint8_t old[KFI_HASH_MAX];
    question.decrypts = json_is(test, official ? "op" : "kind", official ? "dec" : "decrypt");
    if (!want_text(test, official ? "partition_utf8" : "partition", verdict, &question.partition) ||
        (question.named &&
         !want_suite_number(test, official ? "algorithm" : "suite", verdict, &question.suite)) ||
        !want_edks(vectors, json_get_as(test, "edks", JSON_ARRAY), verdict, &question))
        return;
    if (!(official
              ? context_of_hex(vectors, json_get(test, "encryption_context_hex"), verdict, &question.context)
              : context_of(json_get(test, "encryption_context"), verdict, &question.context)))
        return;
    old_identifier(vectors, &question, old);
    struct kfi_cache_key key;
    if ((official ? want_base64(vectors, test, "legacy_sha512_b64", verdict, &wanted)
                  : want_hex(vectors, test, "cache_id_hex", verdict, &wanted)) &&
        same(kf_view_of(old, sizeof old), wanted, "the old identifier", verdict) &&
        json_get(test, "spec_0_4_sha384_hex_SELF_COMPUTED") != NULL &&
        want_hex(vectors, test, "spec_0_4_sha384_hex_SELF_COMPUTED", verdict, &wanted) &&
        new_identifier(&question, verdict, &key))
        same(kf_view_of(key.id, sizeof key.id), wanted, "the identifier", verdict);
    kf_encryption_context_unref(question.context);
}

/* ---- raw-keyring-edk ---- */

/* A keyring that unwraps: the provider information of raw AES is the key's name and 20 bytes of its own. */
static struct kf_keyring *edk_keyring(struct vectors *vectors, const struct json *test, struct kf_edk *edk,
                                      struct verdict *verdict)
{
    struct kf_raw_aes_keyring_options aes = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_raw_rsa_keyring_options rsa = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = NULL;
    if (json_is(test, "kind", "raw-aes")) {
        if (!want_hex(vectors, test, "provider_info_hex", verdict, &edk->provider_info) ||
            !want_hex(vectors, test, "wrapping_key_hex", verdict, &aes.wrapping_key))
            return NULL;
        if (edk->provider_info.length < 20) {
            fail(verdict, "the manifest is damaged: the provider information is too short");
            return NULL;
        }
        aes.key_namespace = edk->provider_id;
        aes.key_name = kf_view_of(edk->provider_info.data, edk->provider_info.length - 20);
        done(kf_raw_aes_keyring_new(&aes, &error, &keyring), &error, "the raw AES keyring", verdict);
        return keyring;
    }
    const struct json *padding = want(test, "padding", JSON_ARRAY, verdict);
    if (padding == NULL || !want_text(test, "provider_info", verdict, &edk->provider_info) ||
        !want_text(test, "private_key_pem", verdict, &rsa.private_key))
        return NULL;
    rsa.key_namespace = edk->provider_id;
    rsa.key_name = edk->provider_info;
    rsa.padding = KF_RSA_PKCS1;
    if (padding->count == 2 && padding->first->next->type == JSON_STRING)
        rsa.padding = oaep_padding(padding->first->next->text);
    done(kf_raw_rsa_keyring_new(&rsa, &error, &keyring), &error, "the raw RSA keyring", verdict);
    return keyring;
}

static void run_edk(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    const struct kf_suite_info *suite;
    struct kf_edk edk;
    struct kf_view wanted;
    struct kf_data_key data_key = {.length = 0};
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_encryption_context *context = NULL;
    if (!want_suite(test, "alg", verdict, &suite) ||
        !want_text(test, "provider_id", verdict, &edk.provider_id) ||
        !want_hex(vectors, test, "edk_hex", verdict, &edk.ciphertext) ||
        !want_hex(vectors, test, "data_key_hex", verdict, &wanted) ||
        !context_of_hex(vectors, json_get(test, "encryption_context_hex"), verdict, &context))
        return;
    struct kf_keyring *keyring = edk_keyring(vectors, test, &edk, verdict);
    struct kf_decryption_materials *materials = kfi_decryption_materials_new(kfi_suite_get(suite->id));
    if (keyring != NULL && materials != NULL) {
        struct kf_call call;
        kfi_call_init(&call, NULL);
        materials->head.context = kf_encryption_context_ref(context);
        if (done(kf_keyring_on_decrypt(keyring, &call, materials, &edk, 1, &error, &data_key), &error,
                 "unwrapping", verdict))
            same(kf_view_of(data_key.bytes, data_key.length), wanted, "the data key", verdict);
        kfi_call_end(&call);
    }
    kf_decryption_materials_unref(materials);
    kf_keyring_unref(keyring);
    kf_encryption_context_unref(context);
}

/* ---- Which it is ---- */

bool run_parts(struct vectors *vectors)
{
    const struct json *root = vectors->root;
    const struct json *raw = json_get_as(root, "raw_derive", JSON_ARRAY);
    const struct json *counter = json_get_as(root, "kdf_counter_mode", JSON_ARRAY);
    vectors_each(vectors, raw, "name", run_raw_derive);
    vectors_each(vectors, counter, "name", run_counter_mode);
    if (root->type != JSON_ARRAY)
        return raw != NULL || counter != NULL;
    const struct json *first = root->first;
    if (json_get(first, "ikm") != NULL)
        vectors_each(vectors, root, "name", run_hkdf);
    else if (json_get(first, "partition_utf8") != NULL || json_get(first, "cache_id_hex") != NULL)
        vectors_each(vectors, root, NULL, run_cache_id);
    else if (json_get(first, "edk_hex") != NULL)
        vectors_each(vectors, root, NULL, run_edk);
    else
        return false;
    return true;
}
