/*
 * Materials inside the library. The default CMM builds them, encrypt.c and decrypt.c read them, and the cache
 * shares them.
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

/* What materials are for. */
enum kfi_direction {
    KFI_ENCRYPTION,
    KFI_DECRYPTION,
    KFI_DIRECTIONS
};

/*
 * The beginning of both kinds of materials. The default CMM fills it in. Once anybody else has a reference,
 * nothing changes but the count, `cached` and `settled`.
 */
struct kfi_materials {
    struct kfi_refs refs;
    enum kfi_direction direction;
    atomic_bool cached; /* they came out of a caching CMM */
    atomic_ullong
        settled; /* bytes that finished messages had reserved and did not use; the cache takes them back */
    const struct kfi_suite *suite;
    const struct kf_encryption_context *context;  /* all pairs */
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

/* Marks that materials came out of a caching CMM. True if they were marked before. */
bool kfi_materials_mark_cached(const struct kfi_materials *materials);

/*
 * A message that was made with these materials is complete. It is `bytes` shorter than what was reserved for
 * it. A cache that settles takes them back while it has the key.
 */
void kfi_materials_settle(const struct kfi_materials *materials, uint64_t bytes);
/* Takes the bytes that were given back since the last time. */
uint64_t kfi_materials_settled(const struct kfi_materials *materials);

/* The materials that a head belongs to. Its direction has to be right. NULL gives NULL. */
const struct kf_encryption_materials *kfi_encryption_materials_of(const struct kfi_materials *materials);
const struct kf_decryption_materials *kfi_decryption_materials_of(const struct kfi_materials *materials);

/* ---- Making them ---- */

/* Empty materials with one reference; NULL: no memory. */
struct kf_encryption_materials *kfi_encryption_materials_new(const struct kfi_suite *suite);
struct kf_decryption_materials *kfi_decryption_materials_new(const struct kfi_suite *suite);

/*
 * The same materials with a data key. They share the contexts, and have no EDKs and no signing key. The
 * children of a multi-keyring see them. NULL: no memory.
 */
struct kf_encryption_materials *kfi_encryption_materials_with_key(
    const struct kf_encryption_materials *materials, const struct kf_data_key *data_key);

/* What a keyring adds to materials. */
struct kf_wrapped {
    size_t data_key_length; /* the length that a data key has to have */
    bool has_key;           /* there is a data key, so none may be set */
    struct kf_data_key data_key;
    struct kfi_edk_list edks;
};

void kfi_wrapped_init(struct kf_wrapped *wrapped, const struct kf_encryption_materials *materials);
/* Wipes and frees the content. */
void kfi_wrapped_free(struct kf_wrapped *wrapped);

/*
 * The data key to wrap, with which every keyring begins. It is that of the materials, or a new one, which is
 * then set on `wrapped` too. The caller wipes `*out`, also after an error. Errors: KF_E_SYSTEM, KF_E_USAGE.
 */
enum kf_code kfi_data_key_to_wrap(const struct kf_encryption_materials *materials, struct kf_wrapped *wrapped,
                                  struct kf_error *error, struct kf_data_key *out);

#endif
