/*
 * What the KMS keyrings check of their options, and keep of them.
 */
#ifndef KFI_AWS_KEYRINGS_KMS_OPTIONS_H
#define KFI_AWS_KEYRINGS_KMS_OPTIONS_H

#include <keyflight/types.h>

/* Whether `text` is 1 to `max` characters of visible ASCII, so that it fits any request and sentence. */
bool kfi_kms_text_is_plain(struct kf_view text, size_t max);

/*
 * Whether `name` names a key for encryption: the ARN of a key or alias, a key id (a UUID, or "mrk-" and 32
 * hexadecimal digits), or alias/NAME. `*region` is that of an ARN, else empty. KF_E_USAGE says what is wrong.
 * (S: framework/aws-kms/aws-kms-key-arn.md#a-valid-aws-kms-identifier)
 */
enum kf_code kfi_kms_name_check(const char *name, struct kf_error *error, struct kf_view *region);

/* Whether these are grant tokens as KMS takes them: at most 10, of 1 to 8,192 characters. */
enum kf_code kfi_kms_grant_tokens_check(const char *const *tokens, size_t count, struct kf_error *error);

/* A list of strings with their bytes in one block, to be freed by kfi_free, or NULL. */
char **kfi_kms_strings_copy(const char *const *strings, size_t count);

#endif
