/*
 * The namespaces and names of raw keyrings.
 */
#ifndef KFI_KEYRINGS_RAW_NAMES_H
#define KFI_KEYRINGS_RAW_NAMES_H

#include <keyflight/types.h>

/*
 * Checks that a raw keyring of this kind ("AES") can have this namespace and this name. A name has at most
 * `name_max` bytes. Errors: KF_E_USAGE.
 */
enum kf_code kfi_raw_names_check(const char *kind, struct kf_view key_namespace, struct kf_view key_name,
                                 size_t name_max, struct kf_error *error);

/* Copies both to `memory`, which has room for them. The views then show the copies. */
void kfi_raw_names_keep(void *memory, struct kf_view *key_namespace, struct kf_view *key_name);

/*
 * KF_E_KEYS and a sentence: `tried` of the `edk_count` EDKs were made for these names, and none could be
 * unwrapped. `difference` says what may differ apart from the key.
 */
enum kf_code kfi_raw_names_unwrap_none(const char *kind, struct kf_view key_namespace,
                                       struct kf_view key_name, size_t edk_count, size_t tried,
                                       const char *difference, struct kf_error *error);

#endif
