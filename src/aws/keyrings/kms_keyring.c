/*
 * The KMS keyring: a keyring for each key, put together to a multi-keyring, so that all keys wrap side by
 * side. (S: framework/aws-kms/aws-kms-multi-keyrings.md#aws-kms-multi-keyring)
 */
#include <keyflight/aws_kms_keyring.h>

#include "aws/keyrings/kms_key.h"
#include "aws/keyrings/kms_options.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/sized.h"

/* The name of key `index`, counting the generator first. */
static const char *name_at(const struct kf_aws_kms_keyring_options *options, size_t index)
{
    if (options->generator == NULL)
        return options->key_ids[index];
    return index == 0 ? options->generator : options->key_ids[index - 1];
}

static enum kf_code options_check(const struct kf_aws_kms_keyring_options *options, struct kf_error *error)
{
    if (options->client == NULL)
        return kf_error_set(error, KF_E_USAGE, "A KMS keyring needs a client (option client).");
    if (options->generator == NULL && options->key_id_count == 0)
        return kf_error_set(error, KF_E_USAGE,
                            "A KMS keyring needs a key: give option generator, key_ids or both.");
    if (options->key_id_count > 0 && options->key_ids == NULL)
        return kf_error_set(error, KF_E_USAGE, "Option key_ids is NULL, though key_id_count is not 0.");
    size_t count = options->key_id_count + (options->generator != NULL ? 1 : 0);
    for (size_t i = 0; i < count; i++) {
        struct kf_view region;
        const char *name = name_at(options, i);
        enum kf_code code = kfi_kms_name_check(name, error, &region);
        if (code != KF_OK)
            return code;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(name_at(options, j), name) == 0)
                return kf_error_set(error, KF_E_USAGE, "The KMS key %.200s is named twice: once is enough.",
                                    name);
        }
    }
    return kfi_kms_grant_tokens_check(options->grant_tokens, options->grant_token_count, error);
}

static enum kf_code key_new(const struct kf_aws_kms_keyring_options *options, const char *name,
                            struct kf_error *error, struct kf_keyring **out)
{
    return kfi_kms_key_keyring_new(options->client, name, options->grant_tokens, options->grant_token_count,
                                   error, out);
}

/* `keys` has room for the further keys, and is theirs who calls. */
static enum kf_code build(const struct kf_aws_kms_keyring_options *options, struct kf_keyring **generator,
                          struct kf_keyring **keys, struct kf_error *error, struct kf_keyring **out)
{
    enum kf_code code = KF_OK;
    if (options->generator != NULL)
        code = key_new(options, options->generator, error, generator);
    for (size_t i = 0; i < options->key_id_count && code == KF_OK; i++)
        code = key_new(options, options->key_ids[i], error, &keys[i]);
    if (code == KF_OK && options->key_id_count == 0)
        *out = kf_keyring_ref(*generator);
    else if (code == KF_OK)
        code = kf_multi_keyring_new(*generator, keys, options->key_id_count, error, out);
    return code;
}

enum kf_code kf_aws_kms_keyring_new(const struct kf_aws_kms_keyring_options *given, struct kf_error *error,
                                    struct kf_keyring **out)
{
    struct kf_aws_kms_keyring_options options = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    *out = NULL;
    enum kf_code code =
        kfi_sized_read(&options, sizeof options, given, "The options of a KMS keyring", error);
    if (code == KF_OK)
        code = options_check(&options, error);
    if (code != KF_OK)
        return code;
    struct kf_keyring *generator = NULL;
    struct kf_keyring **keys = kfi_alloc_zeroed(options.key_id_count * sizeof(struct kf_keyring *));
    if (keys == NULL)
        return kfi_no_memory(error);
    code = build(&options, &generator, keys, error, out);
    /* The multi-keyring has references of its own. */
    kf_keyring_unref(generator);
    for (size_t i = 0; i < options.key_id_count; i++)
        kf_keyring_unref(keys[i]);
    kfi_free(keys);
    return code;
}
