/*
 * Names of raw keyrings: see raw_names.h. Called by the raw AES and the raw RSA keyring.
 */
#include "keyrings/raw_names.h"

#include "base/bytes.h"

enum kf_code kfi_raw_names_check(const char *kind, struct kf_view key_namespace, struct kf_view key_name,
                                 size_t name_max, struct kf_error *error)
{
    static const char reserved[] = "aws-kms";
    if (key_namespace.length > UINT16_MAX || key_name.length > name_max)
        return kf_error_set(error, KF_E_USAGE, "The namespace or the name of a raw %s key is too long.",
                            kind);
    if (!kfi_view_is_utf8(key_namespace) || !kfi_view_is_utf8(key_name))
        return kf_error_set(error, KF_E_USAGE, "The namespace and the name of a raw %s key have to be UTF-8.",
                            kind);
    /* (S: framework/keyring-interface.md#key-provider-id) */
    if (key_namespace.length >= sizeof reserved - 1 &&
        memcmp(key_namespace.data, reserved, sizeof reserved - 1) == 0)
        return kf_error_set(error, KF_E_USAGE,
                            "Namespaces that begin with \"aws-kms\" are reserved for AWS KMS.");
    return KF_OK;
}
