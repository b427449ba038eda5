/*
 * The EDKs of ECDH keyrings. They are the same whether this machine or a service computes the shared secret.
 * (S: framework/raw-ecdh-keyring.md)
 */
#ifndef KFI_KEYRINGS_ECDH_EDK_H
#define KFI_KEYRINGS_ECDH_EDK_H

#include <keyflight/raw_keyrings.h>

#include "materials/materials.h"
#include "suite/ecdh.h"

#define KFI_RAW_ECDH_PROVIDER "raw-ecdh"
#define KFI_KMS_ECDH_PROVIDER "aws-kms-ecdh"

/* The two parties that share a secret, by their compressed points. */
struct kfi_ecdh_parties {
    enum kf_ecdh_curve curve;
    struct kf_view sender, recipient;
};

/*
 * Wraps the data key of the materials, or a new one, under the secret of these parties, which has
 * kfi_ecdh_secret_length bytes. Adds the EDK. Errors: KF_E_SYSTEM, KF_E_NO_MEMORY, KF_E_USAGE.
 */
enum kf_code kfi_ecdh_edk_wrap(const char *provider, const struct kfi_ecdh_parties *parties,
                               const uint8_t *secret, const struct kf_encryption_materials *materials,
                               struct kf_error *error, struct kf_wrapped *out);

/*
 * Whether an EDK is one of ECDH on `curve`, from either kind of keyring and in the form that we know. If so,
 * `*out` has the parties that it names. Nobody has checked yet that their points are on the curve.
 */
bool kfi_ecdh_edk_read(const struct kf_edk *edk, enum kf_ecdh_curve curve, struct kfi_ecdh_parties *out);

/*
 * Unwraps an EDK that kfi_ecdh_edk_read has read. KF_E_FORGED (without a sentence) if the secret or the
 * encryption context differs, the EDK was changed, or its data key has another length. Errors: also
 * KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
enum kf_code kfi_ecdh_edk_unwrap(const struct kfi_ecdh_parties *parties, const uint8_t *secret,
                                 const struct kf_decryption_materials *materials, const struct kf_edk *edk,
                                 struct kf_error *error, struct kf_data_key *out);

#endif
