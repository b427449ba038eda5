/*
 * What every keyring begins to wrap with.
 */
#ifndef KFI_MATERIALS_DATA_KEY_H
#define KFI_MATERIALS_DATA_KEY_H

#include "materials/materials.h"

/*
 * The data key to wrap: that of the materials, or a new one, which is then set on `wrapped` too. Whoever asked
 * wipes `*out`, also after an error. Errors: KF_E_SYSTEM, KF_E_USAGE.
 */
enum kf_code kfi_data_key_to_wrap(const struct kf_encryption_materials *materials, struct kf_wrapped *wrapped,
                                  struct kf_error *error, struct kf_data_key *out);

#endif
