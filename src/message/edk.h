/*
 * Encrypted data keys on the wire, and lists of them. (S: framework/structures.md#encrypted-data-key)
 */
#ifndef KFI_MESSAGE_EDK_H
#define KFI_MESSAGE_EDK_H

#include <keyflight/materials.h>

#include "base/bytes.h"

/* The most EDKs of a message: a header counts them in 16 bits. */
#define KFI_EDK_COUNT_MAX 65535

/* A list of EDKs that owns their bytes. All zero: it is empty. */
struct kfi_edk_list {
    struct kf_edk *items;
    size_t count;
    size_t capacity;
};

/* Checks that its parts are valid views, and short enough for a message. Errors: KF_E_USAGE. */
enum kf_code kfi_edk_check(const struct kf_edk *edk, struct kf_error *error);

/* The same for a list of EDKs, which may be NULL if it has none. */
enum kf_code kfi_edks_check(const struct kf_edk *edks, size_t count, struct kf_error *error);

/*
 * Adds a copy. Errors: KF_E_USAGE (by kfi_edk_check, or more than 65,535 EDKs), KF_E_NO_MEMORY; the list is
 * then unchanged.
 */
enum kf_code kfi_edk_list_add(struct kfi_edk_list *list, const struct kf_edk *edk, struct kf_error *error);

/*
 * Moves all EDKs of `from` to the end of `to`; `from` is then empty. Errors: the same; both lists are then
 * unchanged.
 */
enum kf_code kfi_edk_list_move(struct kfi_edk_list *to, struct kfi_edk_list *from, struct kf_error *error);

/* Frees the content and leaves the list empty. */
void kfi_edk_list_free(struct kfi_edk_list *list);

/* The length of one EDK on the wire: three parts, each with its length. */
size_t kfi_edk_serialized_length(const struct kf_edk *edk);
void kfi_edk_write(struct kfi_writer *writer, const struct kf_edk *edk);
/* Reads one EDK; its parts are views of the input. */
struct kf_edk kfi_edk_read(struct kfi_reader *reader);

#endif
