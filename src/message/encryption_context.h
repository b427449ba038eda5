/*
 * The encryption context inside the library: an object in one allocation that never changes. It has the
 * sorted pairs and their serialized form.
 */
#ifndef KFI_MESSAGE_ENCRYPTION_CONTEXT_H
#define KFI_MESSAGE_ENCRYPTION_CONTEXT_H

#include <keyflight/encryption_context.h>

#include "base/bytes.h"

/* The longest serialized context, in bytes: a header gives its length in 16 bits. */
#define KFI_ENCRYPTION_CONTEXT_MAX 65535

/*
 * Whether kf_encryption_context_parse would take these bytes, the content of a header's AAD field: it looks at
 * everything but keys that come twice, and takes no memory. Errors: KF_E_MALFORMED.
 */
enum kf_code kfi_encryption_context_check(struct kf_view serialized, struct kf_error *error);

/*
 * A context of all pairs of `context` and one more, whose key must be new. Errors: as
 * kf_encryption_context_new.
 */
enum kf_code kfi_encryption_context_with(const struct kf_encryption_context *context, struct kf_pair pair,
                                         struct kf_error *error, const struct kf_encryption_context **out);

/*
 * Splits `context` by a list of keys: the pairs whose keys are in the list, and the others. Each listed key
 * has to be in the context, else KF_E_POLICY with a sentence. A key may be listed twice. Errors: also
 * KF_E_NO_MEMORY.
 */
enum kf_code kfi_encryption_context_split(const struct kf_encryption_context *context,
                                          const struct kf_view *keys, size_t key_count,
                                          struct kf_error *error,
                                          const struct kf_encryption_context **in_list,
                                          const struct kf_encryption_context **others);

/*
 * Joins what a message stores with what its reader reproduced. `*joined` has all pairs, `*only_reproduced`
 * those that are not stored. A key in both has to have equal values, else KF_E_POLICY with a sentence that
 * names the key. Errors: also KF_E_LIMIT (a context cannot be so long), KF_E_NO_MEMORY.
 * (S: framework/cmm-interface.md#decrypt-materials)
 */
enum kf_code kfi_encryption_context_join(const struct kf_encryption_context *stored,
                                         const struct kf_encryption_context *reproduced,
                                         struct kf_error *error, const struct kf_encryption_context **joined,
                                         const struct kf_encryption_context **only_reproduced);

#endif
