/*
 * Options of the KMS keyrings: how they are checked, and copied.
 */
#ifndef KFI_AWS_KEYRINGS_KMS_OPTIONS_H
#define KFI_AWS_KEYRINGS_KMS_OPTIONS_H

#include <keyflight/types.h>

/* Whether `text` is 1 to `max` characters of visible ASCII, so that it fits into any request and sentence. */
bool kfi_kms_text_is_plain(struct kf_view text, size_t max);

/*
 * Checks that `name` names a key for encryption: the ARN of a key or alias, a key id (a UUID, or "mrk-" and 32
 * hexadecimal digits), or alias/NAME. `*region` becomes the region of an ARN, else empty. Errors: KF_E_USAGE.
 * (S: framework/aws-kms/aws-kms-key-arn.md#a-valid-aws-kms-identifier)
 */
enum kf_code kfi_kms_name_check(const char *name, struct kf_error *error, struct kf_view *region);

/* Checks that KMS takes these grant tokens: at most 10, of 1 to 8,192 characters each. Errors: KF_E_USAGE. */
enum kf_code kfi_kms_grant_tokens_check(const char *const *tokens, size_t count, struct kf_error *error);

/* A copy of a list of strings, all in one block that is freed by kfi_free; NULL: no memory. */
char **kfi_kms_strings_copy(const char *const *strings, size_t count);

#endif
