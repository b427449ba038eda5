/*
 * Data keys to wrap: see data_key.h. Called by the keyrings that wrap on this machine.
 */
#include "materials/data_key.h"

#include "suite/random.h"

enum kf_code kfi_data_key_to_wrap(const struct kf_encryption_materials *materials, struct kf_wrapped *wrapped,
                                  struct kf_error *error, struct kf_data_key *out)
{
    *out = materials->head.data_key;
    if (out->length > 0)
        return KF_OK;
    out->length = materials->head.suite->info.data_key_length;
    enum kf_code code = kfi_random(out->bytes, out->length, error);
    if (code == KF_OK)
        code = kf_wrapped_data_key_set(wrapped, kf_view_of(out->bytes, out->length), error);
    return code;
}
