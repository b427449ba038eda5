/*
 * The required encryption context CMM. It has a list of keys. Every message has to have these keys in its encryption
 * context, and none stores their pairs: whoever decrypts it has to know them.
 * (S: framework/required-encryption-context-cmm.md)
 */
#ifndef KEYFLIGHT_REQUIRED_CONTEXT_CMM_H
#define KEYFLIGHT_REQUIRED_CONTEXT_CMM_H

#include <keyflight/cmm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kf_required_encryption_context_cmm_options {
    size_t size;
    struct kf_cmm *cmm;                  /* answers the requests. Needed: either this */
    struct kf_keyring *keyring;          /* or this, for a default CMM on it */
    const struct kf_view *required_keys; /* needed: UTF-8, 0 to 65,535 bytes each, no key twice; copied */
    size_t required_key_count;           /* at least 1 */
};

#define KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT                                \
    {                                                                                  \
        sizeof(struct kf_required_encryption_context_cmm_options), NULL, NULL, NULL, 0 \
    }

KF_API void kf_required_encryption_context_cmm_options_init(
    struct kf_required_encryption_context_cmm_options *out, size_t size);

/*
 * Makes one. With it an encryption fails (KF_E_POLICY) if its encryption context lacks a required key, and a
 * decryption if its reproduced encryption context does. It may stand in front of a caching CMM or behind one: only
 * requests that require and reproduce the same share materials. Errors: KF_E_USAGE, KF_E_NO_MEMORY.
 */
KF_CODE kf_required_encryption_context_cmm_new(
    const struct kf_required_encryption_context_cmm_options *options, struct kf_error *error,
    struct kf_cmm **out);

#ifdef __cplusplus
}
#endif

#endif
