/*
 * Encrypted data keys on the wire, and lists of them. (S: framework/structures.md#encrypted-data-key)
 */
#ifndef KFI_MESSAGE_EDK_H
#define KFI_MESSAGE_EDK_H

#include <keyflight/materials.h>

#include "base/bytes.h"

/* EDKs of a message at most, for a header counts them in 16 bits. */
#define KFI_EDK_COUNT_MAX 65535

/* A list of EDKs that owns their bytes. Zero-initialised is empty. */
struct kfi_edk_list {
    struct kf_edk *items;
    size_t count;
    size_t capacity;
};

/* Whether its parts are views, and short enough to be written. Errors: KF_E_USAGE. */
enum kf_code kfi_edk_check(const struct kf_edk *edk, struct kf_error *error);

/* The same of a list, which may be NULL only if it has none. */
enum kf_code kfi_edks_check(const struct kf_edk *edks, size_t count, struct kf_error *error);

/*
 * Adds a copy. Errors: KF_E_USAGE (kfi_edk_check, more than 65,535 EDKs), KF_E_NO_MEMORY; the list
 * is then unchanged.
 */
enum kf_code kfi_edk_list_add(struct kfi_edk_list *list, const struct kf_edk *edk, struct kf_error *error);

/* Moves all of `from` behind what `to` has; `from` is then empty. Errors: the same; both are then unchanged.
 */
enum kf_code kfi_edk_list_move(struct kfi_edk_list *to, struct kfi_edk_list *from, struct kf_error *error);

/* Frees what the list has and leaves it empty. */
void kfi_edk_list_free(struct kfi_edk_list *list);

/* Bytes of one EDK on the wire: three fields with their lengths. */
size_t kfi_edk_serialized_length(const struct kf_edk *edk);
void kfi_edk_write(struct kfi_writer *writer, const struct kf_edk *edk);
/* Views of what is read. */
struct kf_edk kfi_edk_read(struct kfi_reader *reader);

#endif
