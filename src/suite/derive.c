/*
 * Key derivation: see derive.h. Encrypt and decrypt call it once for each message.
 */
#include "suite/derive.h"

#include "base/bytes.h"
#include "suite/hmac.h"

enum kf_code kfi_hkdf_extract(struct kfi_hmac *hmac, struct kf_view salt, struct kf_view key,
                              struct kf_error *error)
{
    /* HMAC pads its key with zeros, so an empty salt is the same as the RFC's digest of zeros. */
    uint8_t extracted[KFI_HASH_MAX];
    enum kf_code code = kfi_hmac_key(hmac, salt, error);
    if (code == KF_OK)
        code = kfi_hmac(hmac, &key, 1, error, extracted);
    if (code == KF_OK)
        code = kfi_hmac_key(hmac, kf_view_of(extracted, kfi_hash_length(hmac->hash)), error);
    kfi_wipe(extracted, sizeof extracted);
    return code;
}

enum kf_code kfi_hkdf_expand(struct kfi_hmac *hmac, struct kf_view info, struct kf_error *error, uint8_t *out,
                             size_t length)
{
    uint8_t block[KFI_HASH_MAX];
    size_t block_length = 0; /* of the previous block; the first has none */
    enum kf_code code = KF_OK;
    for (uint8_t number = 1; length > 0 && code == KF_OK; number++) {
        const struct kf_view parts[] = {kf_view_of(block, block_length), info, kf_view_of(&number, 1)};
        code = kfi_hmac(hmac, parts, 3, error, block);
        if (code != KF_OK)
            break;
        block_length = kfi_hash_length(hmac->hash);
        size_t piece = length < block_length ? length : block_length;
        memcpy(out, block, piece);
        out += piece;
        length -= piece;
    }
    kfi_wipe(block, sizeof block);
    return code;
}

/*
 * Format 1: no salt, and the message id in the info.
 * (S: framework/transitive-requirements.md#hkdf-encryption-key)
 */
static enum kf_code derive_format_1(struct kfi_hmac *hmac, const struct kfi_suite *suite,
                                    struct kf_view data_key, struct kf_view message_id,
                                    struct kf_error *error, struct kfi_message_key *out)
{
    uint8_t info[2 + KFI_MESSAGE_ID_MAX];
    struct kfi_writer writer = {.next = info, .room = sizeof info};
    kfi_write_u16(&writer, (uint16_t)suite->info.id);
    kfi_write_bytes(&writer, message_id);
    enum kf_code code = kfi_hkdf_extract(hmac, kf_view_of(NULL, 0), data_key, error);
    if (code == KF_OK)
        code =
            kfi_hkdf_expand(hmac, kf_view_of(info, sizeof info - writer.room), error, out->key, out->length);
    return code;
}

/*
 * Format 2: the message id is the salt; one extraction gives both keys. The commit key's info lacks the
 * suite's identifier.
 * (S: framework/transitive-requirements.md#hkdf-encryption-key, framework/transitive-requirements.md#hkdf-commit-key)
 */
static enum kf_code derive_format_2(struct kfi_hmac *hmac, const struct kfi_suite *suite,
                                    struct kf_view data_key, struct kf_view message_id,
                                    struct kf_error *error, struct kfi_message_key *out)
{
    uint8_t info[2 + sizeof "DERIVEKEY" - 1];
    struct kfi_writer writer = {.next = info, .room = sizeof info};
    kfi_write_u16(&writer, (uint16_t)suite->info.id);
    kfi_write_bytes(&writer, kf_view_text("DERIVEKEY"));
    enum kf_code code = kfi_hkdf_extract(hmac, message_id, data_key, error);
    if (code == KF_OK)
        code = kfi_hkdf_expand(hmac, kf_view_of(info, sizeof info), error, out->key, out->length);
    if (code == KF_OK)
        code =
            kfi_hkdf_expand(hmac, kf_view_text("COMMITKEY"), error, out->commit_key, KFI_COMMIT_KEY_LENGTH);
    return code;
}

enum kf_code kfi_derive(const struct kfi_suite *suite, struct kf_view data_key, struct kf_view message_id,
                        struct kf_error *error, struct kfi_message_key *out)
{
    *out = (struct kfi_message_key){.length = suite->info.data_key_length};
    if (!suite->info.derives) {
        memcpy(out->key, data_key.data, out->length);
        return KF_OK;
    }
    struct kfi_hmac hmac;
    enum kf_code code = kfi_hmac_begin(suite->kdf_hash, error, &hmac);
    if (code == KF_OK)
        code = suite->info.commits ? derive_format_2(&hmac, suite, data_key, message_id, error, out)
                                   : derive_format_1(&hmac, suite, data_key, message_id, error, out);
    kfi_hmac_end(&hmac);
    if (code != KF_OK)
        kfi_wipe(out, sizeof *out);
    return code;
}
