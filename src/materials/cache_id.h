/*
 * Cache identifiers: which requests may share materials.
 */
#ifndef KFI_MATERIALS_CACHE_ID_H
#define KFI_MATERIALS_CACHE_ID_H

#include "materials/cache.h"

/*
 * (S: framework/caching-cmm.md#appendix-a-cache-entry-identifier-formulas) Errors: KF_E_SYSTEM,
 * KF_E_NO_MEMORY, KF_E_POLICY.
 */
enum kf_code kfi_cache_key_encryption(struct kf_view partition, const struct kf_encryption_request *request,
                                      struct kf_error *error, struct kfi_cache_key *out);
enum kf_code kfi_cache_key_decryption(struct kf_view partition, const struct kf_decryption_request *request,
                                      struct kf_error *error, struct kfi_cache_key *out);

#endif
