/*
 * The key by which requests share materials: requests with equal keys may get the same data key.
 */
#ifndef KFI_MATERIALS_CACHE_KEY_H
#define KFI_MATERIALS_CACHE_KEY_H

#include <keyflight/materials.h>

/* The specification's identifier, and beside it what that leaves out although it decides whether an answer is
 * allowed. */
#define KFI_CACHE_ID_LENGTH 48
struct kfi_cache_key {
    uint8_t id[KFI_CACHE_ID_LENGTH];
    uint8_t beside[KFI_CACHE_ID_LENGTH];
};

/*
 * (S: framework/caching-cmm.md#appendix-a-cache-entry-identifier-formulas)
 * Errors: KF_E_SYSTEM, KF_E_NO_MEMORY, KF_E_POLICY.
 */
enum kf_code kfi_cache_key_encryption(struct kf_view partition, const struct kf_encryption_request *request,
                                      struct kf_error *error, struct kfi_cache_key *out);
enum kf_code kfi_cache_key_decryption(struct kf_view partition, const struct kf_decryption_request *request,
                                      struct kf_error *error, struct kfi_cache_key *out);

#endif
