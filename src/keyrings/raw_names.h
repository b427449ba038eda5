/*
 * What raw keyrings are named by.
 */
#ifndef KFI_KEYRINGS_RAW_NAMES_H
#define KFI_KEYRINGS_RAW_NAMES_H

#include <keyflight/types.h>

/*
 * Whether a raw keyring of this kind ("AES") may have this namespace, and this name of at most `name_max`
 * bytes. Errors: KF_E_USAGE.
 */
enum kf_code kfi_raw_names_check(const char *kind, struct kf_view key_namespace, struct kf_view key_name,
                                 size_t name_max, struct kf_error *error);

/* Copies both to `memory`, which has room for just them, and has the views show the copies. */
void kfi_raw_names_keep(void *memory, struct kf_view *key_namespace, struct kf_view *key_name);

/*
 * KF_E_KEYS, and a sentence: of `edk_count` EDKs `tried` were made for these names, and none opened.
 * `difference` says what may differ beside the key.
 */
enum kf_code kfi_raw_names_unwrap_none(const char *kind, struct kf_view key_namespace,
                                       struct kf_view key_name, size_t edk_count, size_t tried,
                                       const char *difference, struct kf_error *error);

#endif
