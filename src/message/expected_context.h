/*
 * What a reader expects of a message's encryption context: pairs, and keys with any value.
 */
#ifndef KFI_MESSAGE_EXPECTED_CONTEXT_H
#define KFI_MESSAGE_EXPECTED_CONTEXT_H

#include "message/encryption_context.h"

/* Zero-initialised expects nothing. */
struct kfi_expected_context {
    const struct kf_encryption_context *pairs; /* NULL: none */
    struct kf_view *keys;                      /* with their bytes in one block */
    size_t key_count;
};

/* Takes a reference and copies. Errors: KF_E_USAGE, KF_E_NO_MEMORY; there is nothing to end then. */
enum kf_code kfi_expected_context_init(struct kfi_expected_context *expected,
                                       const struct kf_encryption_context *pairs, const struct kf_view *keys,
                                       size_t key_count, struct kf_error *error);
void kfi_expected_context_end(struct kfi_expected_context *expected);

/*
 * KF_E_POLICY, and a sentence with the keys, if a pair of `stored` has another value than is expected. Nothing that
 * is still to be added to these pairs can make that right.
 */
enum kf_code kfi_expected_context_check_stored(const struct kfi_expected_context *expected,
                                               const struct kf_encryption_context *stored,
                                               struct kf_error *error);

/* The same if `context` lacks something too. */
enum kf_code kfi_expected_context_check(const struct kfi_expected_context *expected,
                                        const struct kf_encryption_context *context, struct kf_error *error);

#endif
