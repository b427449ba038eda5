/*
 * Names of raw keyrings: see raw_names.h. Called by the raw AES and the raw RSA keyring.
 */
#include "keyrings/raw_names.h"

#include "base/bytes.h"
#include "base/text.h"

enum kf_code kfi_raw_names_check(const char *kind, struct kf_view key_namespace, struct kf_view key_name,
                                 size_t name_max, struct kf_error *error)
{
    enum kf_code code = kfi_view_check(key_namespace, "Option key_namespace", error);
    if (code == KF_OK)
        code = kfi_view_check(key_name, "Option key_name", error);
    if (code != KF_OK)
        return code;
    if (key_namespace.length > UINT16_MAX || key_name.length > name_max)
        return kf_error_set(error, KF_E_USAGE, "The namespace or the name of a raw %s key is too long.",
                            kind);
    if (!kfi_view_is_utf8(key_namespace) || !kfi_view_is_utf8(key_name))
        return kf_error_set(error, KF_E_USAGE, "The namespace and the name of a raw %s key have to be UTF-8.",
                            kind);
    /* (S: framework/keyring-interface.md#key-provider-id) */
    if (kfi_view_begins(key_namespace, "aws-kms"))
        return kf_error_set(error, KF_E_USAGE,
                            "Namespaces that begin with \"aws-kms\" are reserved for AWS KMS.");
    return KF_OK;
}

void kfi_raw_names_keep(void *memory, struct kf_view *key_namespace, struct kf_view *key_name)
{
    struct kfi_writer writer = {memory, key_namespace->length + key_name->length, false};
    struct kf_view *const names[] = {key_namespace, key_name};
    for (size_t i = 0; i < 2; i++) {
        const struct kf_view kept = kf_view_of(writer.next, names[i]->length);
        kfi_write_bytes(&writer, *names[i]);
        *names[i] = kept;
    }
}

enum kf_code kfi_raw_names_unwrap_none(const char *kind, struct kf_view key_namespace,
                                       struct kf_view key_name, size_t edk_count, size_t tried,
                                       const char *difference, struct kf_error *error)
{
    const struct kfi_shown name = kfi_quoted(key_name), in = kfi_quoted(key_namespace);
    if (tried == 0)
        return kf_error_set(
            error, KF_E_KEYS,
            "None of the %zu encrypted data keys was made for the raw %s key %s in namespace %s.", edk_count,
            kind, name.text, in.text);
    return kf_error_set(error, KF_E_KEYS,
                        "The raw %s key %s in namespace %s unwraps none of the %zu encrypted data keys made "
                        "for that name: it is "
                        "another key of the same name, %s, or they were changed.",
                        kind, name.text, in.text, tried, difference);
}
