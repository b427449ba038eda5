/*
 * Asking keyrings: see wrapping.h.
 */
#include "support/wrapping.h"

#include "base/call.h"

enum kf_code wrapping_wrap(struct kf_keyring *keyring, enum kf_suite suite, const char *value,
                           const struct kf_data_key *data_key, struct kf_error *error, struct kf_wrapped *out)
{
    struct kf_encryption_materials *materials = kfi_encryption_materials_new(kfi_suite_get(suite));
    materials->head.context = client_context("a", value);
    if (data_key != NULL)
        materials->head.data_key = *data_key;
    struct kf_call call;
    *error = (struct kf_error)KF_ERROR_INIT;
    kfi_call_init(&call, NULL);
    kfi_wrapped_init(out, materials);
    const enum kf_code code = kf_keyring_on_encrypt(keyring, &call, materials, error, out);
    kfi_call_end(&call);
    kf_encryption_materials_unref(materials);
    return code;
}

enum kf_code wrapping_unwrap(struct kf_keyring *keyring, enum kf_suite suite, const char *value,
                             const struct kf_edk *edks, size_t count, struct kf_error *error,
                             struct kf_data_key *out)
{
    static const uint8_t zeros[KF_DATA_KEY_MAX];
    struct kf_decryption_materials *materials = kfi_decryption_materials_new(kfi_suite_get(suite));
    materials->head.context = client_context("a", value);
    struct kf_call call;
    *error = (struct kf_error)KF_ERROR_INIT;
    *out = (struct kf_data_key){.length = 0};
    kfi_call_init(&call, NULL);
    const enum kf_code code = kf_keyring_on_decrypt(keyring, &call, materials, edks, count, error, out);
    kfi_call_end(&call);
    kf_decryption_materials_unref(materials);
    if (code != KF_OK) {
        assert_int_equal(error->code, code);
        assert_true(error->text[0] != '\0');
        assert_int_equal(out->length, 0);
        assert_memory_equal(out->bytes, zeros, sizeof zeros);
    }
    return code;
}
