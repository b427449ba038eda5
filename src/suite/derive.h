/*
 * Key derivation of a message.
 * (S: framework/algorithm-suites.md#algorithm-suites-encryption-key-derivation-settings)
 */
#ifndef KFI_SUITE_DERIVE_H
#define KFI_SUITE_DERIVE_H

#include "suite/suite.h"

/* The keys of one message. Whoever holds them wipes them. */
struct kfi_message_key {
    size_t length;
    uint8_t key[KFI_KEY_MAX];
    uint8_t commit_key[KFI_COMMIT_KEY_LENGTH]; /* only if the suite commits */
};

/*
 * Derives the message key from a data key and a message id, both of the suite's lengths. In suites without
 * derivation it is the data key itself. Errors: KF_E_SYSTEM, KF_E_NO_MEMORY; `out` is then wiped.
 */
enum kf_code kfi_derive(const struct kfi_suite *suite, struct kf_view data_key, struct kf_view message_id,
                        struct kf_error *error, struct kfi_message_key *out);

/*
 * HKDF (RFC 5869) in its two steps, for kfi_derive and its tests. One extraction keys `hmac`, which was begun
 * with the hash. Any number of expansions follow, each of at most 255 digests. An empty salt is the RFC's
 * "not provided". Errors: KF_E_SYSTEM.
 */
struct kfi_hmac;
enum kf_code kfi_hkdf_extract(struct kfi_hmac *hmac, struct kf_view salt, struct kf_view key,
                              struct kf_error *error);
enum kf_code kfi_hkdf_expand(struct kfi_hmac *hmac, struct kf_view info, struct kf_error *error, uint8_t *out,
                             size_t length);

#endif
