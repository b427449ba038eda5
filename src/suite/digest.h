/*
 * Digests of bytes that are all there.
 */
#ifndef KFI_SUITE_DIGEST_H
#define KFI_SUITE_DIGEST_H

#include "base/memory.h"
#include "suite/suite.h"

/* The length of a digest of this kind, in bytes. */
size_t kfi_hash_length(enum kfi_hash hash);

/*
 * Writes the digest of the concatenated `parts` to `out`, which has kfi_hash_length bytes. Errors:
 * KF_E_SYSTEM.
 */
KFI_SHARED enum kf_code kfi_digest(enum kfi_hash hash, const struct kf_view *parts, size_t part_count,
                                   struct kf_error *error, uint8_t *out);

#endif
