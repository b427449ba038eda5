/*
 * Encrypted data keys: see edk.h. Called by header.c, materials and keyrings. An EDK is written in the
 * message, so nothing here is a secret.
 */
#include "message/edk.h"

#include "base/error.h"

/* Makes room for `more` items. */
static enum kf_code edk_list_reserve(struct kfi_edk_list *list, size_t more, struct kf_error *error)
{
    if (more > KFI_EDK_COUNT_MAX - list->count)
        return kf_error_set(
            error, KF_E_USAGE,
            "There are more than 65,535 encrypted data keys, which is the most that a message can have.");
    if (list->count + more <= list->capacity)
        return KF_OK;
    size_t capacity = list->capacity * 2 > list->count + more ? list->capacity * 2 : list->count + more;
    struct kf_edk *items = kfi_alloc(capacity * sizeof *items);
    if (items == NULL)
        return kfi_no_memory(error);
    if (list->count > 0)
        memcpy(items, list->items, list->count * sizeof *items);
    kfi_free(list->items);
    list->items = items;
    list->capacity = capacity;
    return KF_OK;
}

enum kf_code kfi_edk_check(const struct kf_edk *edk, struct kf_error *error)
{
    const struct {
        const char *name;
        struct kf_view bytes;
    } parts[] = {
        {"The provider id of an encrypted data key", edk->provider_id},
        {"The provider information of an encrypted data key", edk->provider_info},
        {"The ciphertext of an encrypted data key", edk->ciphertext},
    };
    enum kf_code code = KF_OK;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && code == KF_OK; i++) {
        code = kfi_view_check(parts[i].bytes, parts[i].name, error);
        if (code == KF_OK && parts[i].bytes.length > UINT16_MAX) /* a part has a 16-bit length */
            code = kf_error_set(error, KF_E_USAGE, "%s has %zu bytes; a message can have at most 65,535.",
                                parts[i].name, parts[i].bytes.length);
    }
    return code;
}

enum kf_code kfi_edks_check(const struct kf_edk *edks, size_t count, struct kf_error *error)
{
    if (edks == NULL && count > 0)
        return kf_error_set(error, KF_E_USAGE, "The encrypted data keys are NULL, but their count is %zu.",
                            count);
    enum kf_code code = KF_OK;
    for (size_t i = 0; i < count && code == KF_OK; i++)
        code = kfi_edk_check(&edks[i], error);
    return code;
}

enum kf_code kfi_edk_list_add(struct kfi_edk_list *list, const struct kf_edk *edk, struct kf_error *error)
{
    enum kf_code code = kfi_edk_check(edk, error);
    if (code == KF_OK)
        code = edk_list_reserve(list, 1, error);
    if (code != KF_OK)
        return code;
    /* All three parts in one piece of memory, as on the wire. */
    size_t length = kfi_edk_serialized_length(edk);
    uint8_t *bytes = kfi_alloc(length);
    if (bytes == NULL)
        return kfi_no_memory(error);
    struct kfi_writer writer = {bytes, length, false};
    kfi_edk_write(&writer, edk);
    struct kfi_reader reader = {kf_view_of(bytes, length), false};
    list->items[list->count++] = kfi_edk_read(&reader);
    return KF_OK;
}

enum kf_code kfi_edk_list_move(struct kfi_edk_list *to, struct kfi_edk_list *from, struct kf_error *error)
{
    enum kf_code code = edk_list_reserve(to, from->count, error);
    if (code != KF_OK)
        return code;
    if (from->count > 0)
        memcpy(to->items + to->count, from->items, from->count * sizeof *from->items);
    to->count += from->count;
    kfi_free(from->items);
    *from = (struct kfi_edk_list){NULL, 0, 0};
    return KF_OK;
}

void kfi_edk_list_free(struct kfi_edk_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        /* The memory begins with the length of the first part. */
        kfi_free((void *)((uintptr_t)list->items[i].provider_id.data - 2));
    }
    kfi_free(list->items);
    *list = (struct kfi_edk_list){NULL, 0, 0};
}

size_t kfi_edk_serialized_length(const struct kf_edk *edk)
{
    return 6 + edk->provider_id.length + edk->provider_info.length + edk->ciphertext.length;
}

void kfi_edk_write(struct kfi_writer *writer, const struct kf_edk *edk)
{
    kfi_write_field(writer, edk->provider_id);
    kfi_write_field(writer, edk->provider_info);
    kfi_write_field(writer, edk->ciphertext);
}

struct kf_edk kfi_edk_read(struct kfi_reader *reader)
{
    struct kf_edk edk;
    edk.provider_id = kfi_read_field(reader);
    edk.provider_info = kfi_read_field(reader);
    edk.ciphertext = kfi_read_field(reader);
    return edk;
}
