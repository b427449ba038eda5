/*
 * Materials inside the library: built by the default CMM, read by encrypt.c and decrypt.c, shared by the
 * cache.
 */
#ifndef KFI_MATERIALS_MATERIALS_H
#define KFI_MATERIALS_MATERIALS_H

#include <keyflight/keyring.h>
#include <keyflight/materials.h>

#include "base/refs.h"
#include "message/edk.h"
#include "message/encryption_context.h"
#include "suite/signature.h"
#include "suite/suite.h"

#define KFI_RESERVED_PREFIX "aws-crypto-"
#define KFI_PUBLIC_KEY_NAME "aws-crypto-public-key"

/*
 * The default CMM fills these in; once somebody else has a reference nothing changes but the counts and
 * `cached` and `settled`.
 */
struct kf_encryption_materials {
    struct kfi_refs refs;
    atomic_bool cached;    /* came out of a caching CMM */
    atomic_ullong settled; /* bytes that finished messages reserved and did not use; the cache takes them */
    const struct kfi_suite *suite;
    const struct kf_encryption_context *context;  /* the whole one */
    const struct kf_encryption_context *required; /* pairs to authenticate only */
    const struct kf_encryption_context *stored;   /* pairs to store */
    struct kf_data_key data_key;
    struct kfi_edk_list edks;
    struct kfi_signing_key *signing_key; /* NULL unless the suite signs */
};

struct kf_decryption_materials {
    struct kfi_refs refs;
    atomic_bool cached;
    const struct kfi_suite *suite;
    const struct kf_encryption_context *context;
    const struct kf_encryption_context *required;
    struct kf_data_key data_key;
    struct kfi_verification_key *verification_key; /* NULL unless the suite signs */
};

/* Empty materials with one reference, or NULL. */
struct kf_encryption_materials *kfi_encryption_materials_new(const struct kfi_suite *suite);
struct kf_decryption_materials *kfi_decryption_materials_new(const struct kfi_suite *suite);

/*
 * The same materials (contexts shared, no EDKs, no signing key) with a data key: what a multi-keyring's
 * children see. NULL: no memory.
 */
struct kf_encryption_materials *kfi_encryption_materials_with_key(
    const struct kf_encryption_materials *materials, const struct kf_data_key *data_key);

/* Marks materials as having been in a caching CMM, and says whether they were marked before. */
bool kfi_encryption_materials_mark_cached(const struct kf_encryption_materials *materials);
bool kfi_decryption_materials_mark_cached(const struct kf_decryption_materials *materials);

/*
 * A message that was made with these materials is whole and was so many bytes shorter than was reserved for
 * it. Where a cache still has the key, and settles, it takes them back.
 */
void kfi_encryption_materials_settle(const struct kf_encryption_materials *materials, uint64_t bytes);
/* Takes away the bytes given back since the last time. */
uint64_t kfi_encryption_materials_settled(const struct kf_encryption_materials *materials);

/* What a keyring adds to materials. */
struct kf_wrapped {
    size_t data_key_length; /* the one that a data key has to have */
    bool has_key;           /* the materials have a data key: none may be set */
    struct kf_data_key data_key;
    struct kfi_edk_list edks;
};

void kfi_wrapped_init(struct kf_wrapped *wrapped, const struct kf_encryption_materials *materials);
/* Wipes and frees what is in it. */
void kfi_wrapped_free(struct kf_wrapped *wrapped);

#endif
