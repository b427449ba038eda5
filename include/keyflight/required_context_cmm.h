/*
 * The required encryption context CMM: keys of the encryption context that every message has to have, that no
 * message stores, and that every reader has to bring again. (S: framework/required-encryption-context-cmm.md)
 */
#ifndef KEYFLIGHT_REQUIRED_CONTEXT_CMM_H
#define KEYFLIGHT_REQUIRED_CONTEXT_CMM_H

#include <keyflight/cmm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kf_required_encryption_context_cmm_options {
    size_t size;
    struct kf_cmm *cmm;                  /* answers the requests; either this */
    struct kf_keyring *keyring;          /* or this, with a default CMM on it */
    const struct kf_view *required_keys; /* UTF-8, each once; copied */
    size_t required_key_count;           /* at least 1 */
};

#define KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT                                \
    {                                                                                  \
        sizeof(struct kf_required_encryption_context_cmm_options), NULL, NULL, NULL, 0 \
    }

KF_API void kf_required_encryption_context_cmm_options_init(
    struct kf_required_encryption_context_cmm_options *out, size_t size);

/*
 * Encryption fails with KF_E_POLICY unless the encryption context has every required key; decryption unless
 * the reproduced one has. May stand around a caching CMM or behind one: materials are only shared by requests
 * that require and reproduce the same. Takes references of its own. Errors: KF_E_USAGE, KF_E_NO_MEMORY.
 */
KF_CODE kf_required_encryption_context_cmm_new(
    const struct kf_required_encryption_context_cmm_options *options, struct kf_error *error,
    struct kf_cmm **out);

#ifdef __cplusplus
}
#endif

#endif
