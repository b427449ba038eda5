/*
 * EDKs of ECDH keyrings: see ecdh_edk.h. Called by the raw ECDH keyring.
 *
 * The shared secret, a salt and the FixedInfo give a commitment key, which the EDK contains, and a wrapping
 * key. The FixedInfo names the parties, the curve and the encryption context. Its names are in lower case:
 * every implementation has them so, though the formula of the specification does not.
 * (S: framework/key-agreement-schemas.md#key-derivation)
 */
#include "keyrings/ecdh_edk.h"

#include "base/error.h"
#include "suite/aead.h"
#include "suite/random.h"

#define VERSION 1
#define SALT_LENGTH 32
#define COMMIT_KEY_LENGTH 32
#define WRAPPING_KEY_LENGTH 32
/* What a ciphertext has before the data key. */
#define FRONT_LENGTH (SALT_LENGTH + COMMIT_KEY_LENGTH)

static const char label[] = "ecdh-key-derivation";
static const char function[] = "HMAC_SHA384";

/* Each wrapping key serves one data key only. (S: framework/raw-ecdh-keyring.md#data-key-wrapping) */
static const uint8_t zero_iv[KFI_IV_LENGTH];

static const char *curve_name(enum kf_ecdh_curve curve)
{
    switch (curve) {
    case KF_ECDH_P256:
        return "p256";
    case KF_ECDH_P384:
        return "p384";
    default:
        return "p521";
    }
}

/* Derived keys, and what they are bound to. */
struct wrapping {
    uint8_t keys[COMMIT_KEY_LENGTH + WRAPPING_KEY_LENGTH];
    uint8_t *info; /* the FixedInfo */
    size_t info_length;
    struct kfi_aead *aead; /* under the wrapping key */
};

static void wrapping_end(struct wrapping *wrapping)
{
    kfi_aead_free(wrapping->aead);
    kfi_free(wrapping->info);
    kfi_wipe(wrapping->keys, sizeof wrapping->keys);
}

static enum kf_code wrapping_fixed_info(const struct kfi_ecdh_parties *parties,
                                        const struct kf_encryption_context *context, struct kf_error *error,
                                        struct wrapping *out)
{
    const char *curve = curve_name(parties->curve);
    const struct kf_view serialized = kf_encryption_context_serialized(context);
    out->info_length = sizeof label + strlen(curve) + 1 + sizeof function + parties->sender.length +
                       parties->recipient.length + 3 + serialized.length;
    out->info = kfi_alloc(out->info_length);
    if (out->info == NULL)
        return kfi_no_memory(error);
    struct kfi_writer writer = {out->info, out->info_length, false};
    kfi_write_bytes(&writer, kf_view_of(label, sizeof label)); /* with its zero byte */
    kfi_write_bytes(&writer, kf_view_of(curve, strlen(curve) + 1));
    kfi_write_bytes(&writer, kf_view_of(function, sizeof function));
    kfi_write_bytes(&writer, parties->sender);
    kfi_write_bytes(&writer, parties->recipient);
    kfi_write_u8(&writer, 0);
    kfi_write_u8(&writer, VERSION);
    kfi_write_u8(&writer, 0);
    kfi_write_bytes(&writer, serialized);
    return KF_OK;
}

/* After it, wrapping_end is due, also if it fails. */
static enum kf_code wrapping_begin(const struct kfi_ecdh_parties *parties, const uint8_t *secret,
                                   const struct kf_encryption_context *context,
                                   const uint8_t salt[SALT_LENGTH], struct kf_error *error,
                                   struct wrapping *out)
{
    *out = (struct wrapping){.info = NULL};
    enum kf_code code = wrapping_fixed_info(parties, context, error, out);
    if (code == KF_OK)
        code = kfi_kdf_counter(KFI_SHA384, kf_view_of(secret, kfi_ecdh_secret_length(parties->curve)),
                               kf_view_of(out->info, out->info_length), kf_view_of(salt, SALT_LENGTH), error,
                               out->keys, sizeof out->keys);
    if (code == KF_OK)
        code =
            kfi_aead_new(kf_view_of(out->keys + COMMIT_KEY_LENGTH, WRAPPING_KEY_LENGTH), error, &out->aead);
    return code;
}

/* (S: framework/raw-ecdh-keyring.md#key-provider-information) */
static enum kf_code ecdh_edk_add(const char *provider, const struct kfi_ecdh_parties *parties,
                                 struct kf_view ciphertext, struct kf_error *error, struct kf_wrapped *out)
{
    uint8_t info[1 + 2 * (4 + KFI_ECDH_POINT_MAX)];
    struct kfi_writer writer = {info, sizeof info, false};
    kfi_write_u8(&writer, VERSION);
    kfi_write_u32(&writer, (uint32_t)parties->recipient.length);
    kfi_write_bytes(&writer, parties->recipient);
    kfi_write_u32(&writer, (uint32_t)parties->sender.length);
    kfi_write_bytes(&writer, parties->sender);
    const struct kf_edk edk = {
        .provider_id = kf_view_text(provider),
        .provider_info = kf_view_of(info, sizeof info - writer.room),
        .ciphertext = ciphertext,
    };
    return kf_wrapped_edk_add(out, &edk, error);
}

enum kf_code kfi_ecdh_edk_wrap(const char *provider, const struct kfi_ecdh_parties *parties,
                               const uint8_t *secret, const struct kf_encryption_materials *materials,
                               struct kf_error *error, struct kf_wrapped *out)
{
    uint8_t ciphertext[FRONT_LENGTH + KF_DATA_KEY_MAX + KFI_TAG_LENGTH];
    uint8_t *wrapped = ciphertext + FRONT_LENGTH;
    struct wrapping wrapping = {.info = NULL};
    struct kf_data_key data_key;
    enum kf_code code = kfi_data_key_to_wrap(materials, out, error, &data_key);
    if (code == KF_OK)
        code = kfi_random(ciphertext, SALT_LENGTH, error);
    if (code == KF_OK)
        code = wrapping_begin(parties, secret, materials->head.context, ciphertext, error, &wrapping);
    if (code == KF_OK) {
        const struct kf_view aad = kf_view_of(wrapping.info, wrapping.info_length);
        memcpy(ciphertext + SALT_LENGTH, wrapping.keys, COMMIT_KEY_LENGTH);
        code = kfi_aead_seal(wrapping.aead, zero_iv, &aad, 1, data_key.bytes, data_key.length, error, wrapped,
                             wrapped + data_key.length);
    }
    if (code == KF_OK)
        code =
            ecdh_edk_add(provider, parties,
                         kf_view_of(ciphertext, FRONT_LENGTH + data_key.length + KFI_TAG_LENGTH), error, out);
    wrapping_end(&wrapping);
    kfi_wipe(&data_key, sizeof data_key);
    return code;
}

/* (S: framework/raw-ecdh-keyring.md#ondecrypt) */
bool kfi_ecdh_edk_read(const struct kf_edk *edk, enum kf_ecdh_curve curve, struct kfi_ecdh_parties *out)
{
    const size_t length = 1 + kfi_ecdh_secret_length(curve);
    if (!kfi_view_equal(edk->provider_id, kf_view_text(KFI_RAW_ECDH_PROVIDER)) &&
        !kfi_view_equal(edk->provider_id, kf_view_text(KFI_KMS_ECDH_PROVIDER)))
        return false;
    struct kfi_reader reader = {edk->provider_info, false};
    bool ours = kfi_read_u8(&reader) == VERSION && kfi_read_u32(&reader) == length;
    out->curve = curve;
    out->recipient = kfi_read_bytes(&reader, length);
    ours = ours && kfi_read_u32(&reader) == length;
    out->sender = kfi_read_bytes(&reader, length);
    return ours && !reader.short_read && reader.rest.length == 0;
}

enum kf_code kfi_ecdh_edk_unwrap(const struct kfi_ecdh_parties *parties, const uint8_t *secret,
                                 const struct kf_decryption_materials *materials, const struct kf_edk *edk,
                                 struct kf_error *error, struct kf_data_key *out)
{
    const size_t length = materials->head.suite->info.data_key_length;
    if (edk->ciphertext.length != FRONT_LENGTH + length + KFI_TAG_LENGTH)
        return KF_E_FORGED;
    const uint8_t *ciphertext = edk->ciphertext.data, *wrapped = ciphertext + FRONT_LENGTH;
    struct wrapping wrapping;
    enum kf_code code =
        wrapping_begin(parties, secret, materials->head.context, ciphertext, error, &wrapping);
    if (code == KF_OK && !kfi_equal_secret(wrapping.keys, ciphertext + SALT_LENGTH, COMMIT_KEY_LENGTH))
        code = KF_E_FORGED;
    if (code == KF_OK) {
        const struct kf_view aad = kf_view_of(wrapping.info, wrapping.info_length);
        code = kfi_aead_open(wrapping.aead, zero_iv, &aad, 1, wrapped, length, wrapped + length, error,
                             out->bytes);
    }
    if (code == KF_OK)
        out->length = length;
    wrapping_end(&wrapping);
    return code;
}
