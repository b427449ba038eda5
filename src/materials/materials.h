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

/* For what materials are. */
enum kfi_direction {
    KFI_ENCRYPTION,
    KFI_DECRYPTION,
    KFI_DIRECTIONS
};

/*
 * What both kinds of materials begin with. The default CMM fills it in. Once somebody else has a reference nothing
 * changes but the counts, `cached` and `settled`.
 */
struct kfi_materials {
    struct kfi_refs refs;
    enum kfi_direction direction;
    atomic_bool cached;    /* came out of a caching CMM */
    atomic_ullong settled; /* bytes that finished messages reserved and did not use; the cache takes them */
    const struct kfi_suite *suite;
    const struct kf_encryption_context *context;  /* the whole one */
    const struct kf_encryption_context *required; /* pairs to authenticate only */
    struct kf_data_key data_key;
};

struct kf_encryption_materials {
    struct kfi_materials head;                  /* first */
    const struct kf_encryption_context *stored; /* pairs to store */
    struct kfi_edk_list edks;
    struct kfi_signing_key *signing_key; /* NULL unless the suite signs */
};

struct kf_decryption_materials {
    struct kfi_materials head;                     /* first */
    struct kfi_verification_key *verification_key; /* NULL unless the suite signs */
};

/* ---- What holds for both kinds ---- */

/* NULL is allowed. */
const struct kfi_materials *kfi_materials_ref(const struct kfi_materials *materials);
void kfi_materials_unref(const struct kfi_materials *materials);

/* Marks materials as having been in a caching CMM, and says whether they were marked before. */
bool kfi_materials_mark_cached(const struct kfi_materials *materials);

/*
 * A message that was made with these materials is whole and was so many bytes shorter than was reserved for
 * it. Where a cache still has the key, and settles, it takes them back.
 */
void kfi_materials_settle(const struct kfi_materials *materials, uint64_t bytes);
/* Takes away the bytes given back since the last time. */
uint64_t kfi_materials_settled(const struct kfi_materials *materials);

/* The whole of a head, whose direction says what it is. NULL for NULL. */
const struct kf_encryption_materials *kfi_encryption_materials_of(const struct kfi_materials *materials);
const struct kf_decryption_materials *kfi_decryption_materials_of(const struct kfi_materials *materials);

/* ---- Making them ---- */

/* Empty materials with one reference, or NULL. */
struct kf_encryption_materials *kfi_encryption_materials_new(const struct kfi_suite *suite);
struct kf_decryption_materials *kfi_decryption_materials_new(const struct kfi_suite *suite);

/*
 * The same materials (contexts shared, no EDKs, no signing key) with a data key: what a multi-keyring's
 * children see. NULL: no memory.
 */
struct kf_encryption_materials *kfi_encryption_materials_with_key(
    const struct kf_encryption_materials *materials, const struct kf_data_key *data_key);

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

/*
 * What every keyring begins to wrap with: the data key of the materials, or a new one, which is then set on
 * `wrapped` too. Whoever asked wipes `*out`, also after an error. Errors: KF_E_SYSTEM, KF_E_USAGE.
 */
enum kf_code kfi_data_key_to_wrap(const struct kf_encryption_materials *materials, struct kf_wrapped *wrapped,
                                  struct kf_error *error, struct kf_data_key *out);

#endif
