/*
 * Materials: see materials.h. The default CMM and multi-keyrings make them; everybody else only reads them.
 */
#include "materials/materials.h"

#include "base/container.h"
#include "base/error.h"
#include "suite/digest.h"
#include "suite/random.h"

/* ---- What holds for both kinds ---- */

static void head_init(struct kfi_materials *head, enum kfi_direction direction, const struct kfi_suite *suite)
{
    kfi_refs_init(&head->refs);
    head->direction = direction;
    head->suite = suite;
}

const struct kf_encryption_materials *kfi_encryption_materials_of(const struct kfi_materials *materials)
{
    return materials == NULL ? NULL : KFI_CONTAINER(materials, struct kf_encryption_materials, head);
}

const struct kf_decryption_materials *kfi_decryption_materials_of(const struct kfi_materials *materials)
{
    return materials == NULL ? NULL : KFI_CONTAINER(materials, struct kf_decryption_materials, head);
}

const struct kfi_materials *kfi_materials_ref(const struct kfi_materials *materials)
{
    if (materials != NULL)
        kfi_refs_add(&materials->refs, 1);
    return materials;
}

static void encryption_free(struct kf_encryption_materials *materials)
{
    kf_encryption_context_unref(materials->stored);
    kfi_edk_list_free(&materials->edks);
    kfi_signing_key_unref(materials->signing_key);
    kfi_free_secret(materials, sizeof *materials);
}

static void decryption_free(struct kf_decryption_materials *materials)
{
    kfi_verification_key_unref(materials->verification_key);
    kfi_free_secret(materials, sizeof *materials);
}

void kfi_materials_unref(const struct kfi_materials *materials)
{
    if (materials == NULL || !kfi_refs_drop(&materials->refs))
        return;
    kf_encryption_context_unref(materials->context);
    kf_encryption_context_unref(materials->required);
    if (materials->direction == KFI_ENCRYPTION)
        encryption_free(kfi_refs_unconst(kfi_encryption_materials_of(materials)));
    else
        decryption_free(kfi_refs_unconst(kfi_decryption_materials_of(materials)));
}

bool kfi_materials_mark_cached(const struct kfi_materials *materials)
{
    struct kfi_materials *marked = kfi_refs_unconst(materials);
    return atomic_exchange_explicit(&marked->cached, true, memory_order_relaxed);
}

void kfi_materials_settle(const struct kfi_materials *materials, uint64_t bytes)
{
    struct kfi_materials *counted = kfi_refs_unconst(materials);
    atomic_fetch_add_explicit(&counted->settled, bytes, memory_order_relaxed);
}

uint64_t kfi_materials_settled(const struct kfi_materials *materials)
{
    struct kfi_materials *counted = kfi_refs_unconst(materials);
    return atomic_exchange_explicit(&counted->settled, 0, memory_order_relaxed);
}

/* ---- Encryption materials ---- */

struct kf_encryption_materials *kfi_encryption_materials_new(const struct kfi_suite *suite)
{
    struct kf_encryption_materials *materials = kfi_alloc_zeroed(sizeof *materials);
    if (materials != NULL)
        head_init(&materials->head, KFI_ENCRYPTION, suite);
    return materials;
}

struct kf_encryption_materials *kfi_encryption_materials_with_key(
    const struct kf_encryption_materials *materials, const struct kf_data_key *data_key)
{
    struct kf_encryption_materials *other = kfi_encryption_materials_new(materials->head.suite);
    if (other == NULL)
        return NULL;
    other->head.context = kf_encryption_context_ref(materials->head.context);
    other->head.required = kf_encryption_context_ref(materials->head.required);
    other->stored = kf_encryption_context_ref(materials->stored);
    other->head.data_key = *data_key;
    return other;
}

const struct kf_encryption_materials *kf_encryption_materials_ref(
    const struct kf_encryption_materials *materials)
{
    if (materials != NULL)
        kfi_materials_ref(&materials->head);
    return materials;
}

void kf_encryption_materials_unref(const struct kf_encryption_materials *materials)
{
    if (materials != NULL)
        kfi_materials_unref(&materials->head);
}

enum kf_suite kf_encryption_materials_suite(const struct kf_encryption_materials *materials)
{
    return materials->head.suite->info.id;
}

const struct kf_encryption_context *kf_encryption_materials_encryption_context(
    const struct kf_encryption_materials *materials)
{
    return materials->head.context;
}

const struct kf_encryption_context *kf_encryption_materials_required_context(
    const struct kf_encryption_materials *materials)
{
    return materials->head.required;
}

struct kf_view kf_encryption_materials_data_key(const struct kf_encryption_materials *materials)
{
    return kf_view_of(materials->head.data_key.bytes, materials->head.data_key.length);
}

size_t kf_encryption_materials_edk_count(const struct kf_encryption_materials *materials)
{
    return materials->edks.count;
}

struct kf_edk kf_encryption_materials_edk(const struct kf_encryption_materials *materials, size_t index)
{
    return materials->edks.items[index];
}

/* ---- Decryption materials ---- */

struct kf_decryption_materials *kfi_decryption_materials_new(const struct kfi_suite *suite)
{
    struct kf_decryption_materials *materials = kfi_alloc_zeroed(sizeof *materials);
    if (materials != NULL)
        head_init(&materials->head, KFI_DECRYPTION, suite);
    return materials;
}

const struct kf_decryption_materials *kf_decryption_materials_ref(
    const struct kf_decryption_materials *materials)
{
    if (materials != NULL)
        kfi_materials_ref(&materials->head);
    return materials;
}

void kf_decryption_materials_unref(const struct kf_decryption_materials *materials)
{
    if (materials != NULL)
        kfi_materials_unref(&materials->head);
}

enum kf_suite kf_decryption_materials_suite(const struct kf_decryption_materials *materials)
{
    return materials->head.suite->info.id;
}

const struct kf_encryption_context *kf_decryption_materials_encryption_context(
    const struct kf_decryption_materials *materials)
{
    return materials->head.context;
}

const struct kf_encryption_context *kf_decryption_materials_required_context(
    const struct kf_decryption_materials *materials)
{
    return materials->head.required;
}

struct kf_view kf_decryption_materials_data_key(const struct kf_decryption_materials *materials)
{
    return kf_view_of(materials->head.data_key.bytes, materials->head.data_key.length);
}

/* ---- What keyrings add ---- */

void kfi_wrapped_init(struct kf_wrapped *wrapped, const struct kf_encryption_materials *materials)
{
    *wrapped = (struct kf_wrapped){
        .data_key_length = materials->head.suite->info.data_key_length,
        .has_key = materials->head.data_key.length > 0,
    };
}

void kfi_wrapped_free(struct kf_wrapped *wrapped)
{
    kfi_edk_list_free(&wrapped->edks);
    kfi_wipe(&wrapped->data_key, sizeof wrapped->data_key);
}

enum kf_code kf_wrapped_data_key_set(struct kf_wrapped *wrapped, struct kf_view data_key,
                                     struct kf_error *error)
{
    if (wrapped->has_key)
        return kf_error_set(error, KF_E_USAGE,
                            "A keyring made a data key although the materials have one to wrap.");
    enum kf_code code = kfi_view_check(data_key, "The data key that a keyring made", error);
    if (code != KF_OK)
        return code;
    if (data_key.length != wrapped->data_key_length)
        return kf_error_set(error, KF_E_USAGE,
                            "A keyring made a data key of %zu bytes; this suite needs %zu.", data_key.length,
                            wrapped->data_key_length);
    wrapped->has_key = true;
    wrapped->data_key.length = data_key.length;
    memcpy(wrapped->data_key.bytes, data_key.data, data_key.length);
    return KF_OK;
}

enum kf_code kf_wrapped_edk_add(struct kf_wrapped *wrapped, const struct kf_edk *edk, struct kf_error *error)
{
    return kfi_edk_list_add(&wrapped->edks, edk, error);
}

enum kf_code kfi_data_key_to_wrap(const struct kf_encryption_materials *materials, struct kf_wrapped *wrapped,
                                  struct kf_error *error, struct kf_data_key *out)
{
    *out = materials->head.data_key;
    if (out->length > 0)
        return KF_OK;
    out->length = materials->head.suite->info.data_key_length;
    enum kf_code code = kfi_random(out->bytes, out->length, error);
    if (code == KF_OK)
        code = kf_wrapped_data_key_set(wrapped, kf_view_of(out->bytes, out->length), error);
    return code;
}

enum kf_code kf_edk_fingerprint(const struct kf_edk *edk, struct kf_error *error,
                                char out[KF_FINGERPRINT_SIZE])
{
    /* The EDK as it is serialized, but not put together: three fields, each behind its length. */
    const struct kf_view fields[] = {edk->provider_id, edk->provider_info, edk->ciphertext};
    uint8_t lengths[3][2];
    struct kf_view parts[6];
    uint8_t digest[KFI_HASH_MAX];
    enum kf_code code = kfi_edk_check(edk, error);
    for (size_t i = 0; i < 3; i++) {
        lengths[i][0] = (uint8_t)(fields[i].length >> 8);
        lengths[i][1] = (uint8_t)fields[i].length;
        parts[2 * i] = kf_view_of(lengths[i], 2);
        parts[2 * i + 1] = fields[i];
    }
    if (code == KF_OK)
        code = kfi_digest(KFI_SHA256, parts, 6, error, digest);
    out[0] = '\0'; /* not earlier: the EDK may lie in it */
    if (code != KF_OK)
        return code;
    kfi_view_hex(kf_view_of(digest, KF_FINGERPRINT_SIZE / 2), out);
    return KF_OK;
}
