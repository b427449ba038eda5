/*
 * The KMS discovery keyring: it decrypts with the key that an EDK names, if its filter lets that key pass.
 * (S: framework/aws-kms/aws-kms-discovery-keyring.md)
 */
#include <keyflight/aws_kms_keyring.h>

#include "aws/keyrings/kms_options.h"
#include "aws/keyrings/kms_unwrap.h"
#include "aws/service/endpoint.h"
#include "base/bytes.h"
#include "base/container.h"
#include "base/error.h"
#include "base/sized.h"

#define PARTITION_MAX 32
#define ACCOUNT_LENGTH 12

/* The filter has three lists, each in one block. An empty list lets everything pass. */
struct discovery {
    struct kfi_kms_unwrapper unwrapper;
    char **partition; /* 0 or 1 */
    char **accounts;
    char **regions;
    size_t partition_count, account_count, region_count;
};

static struct discovery *discovery_of(const void *unwrapper)
{
    return KFI_CONTAINER(unwrapper, struct discovery, unwrapper);
}

static enum kf_code discovery_on_encrypt(void *context, struct kf_call *call,
                                         const struct kf_encryption_materials *materials,
                                         struct kf_error *error, struct kf_wrapped *out)
{
    (void)context, (void)call, (void)materials, (void)out;
    return kf_error_set(error, KF_E_USAGE,
                        "A KMS discovery keyring can only decrypt. To encrypt, name a key in a KMS keyring.");
}

static bool passes(char *const *list, size_t count, struct kf_view text)
{
    bool found = count == 0;
    for (size_t i = 0; i < count && !found; i++)
        found = kfi_view_equal(kf_view_text(list[i]), text);
    return found;
}

static bool discovery_is_meant(const struct kfi_kms_unwrapper *unwrapper, struct kf_view text,
                               const struct kfi_kms_arn *arn)
{
    (void)text;
    const struct discovery *self = discovery_of(unwrapper);
    return passes(self->partition, self->partition_count, arn->partition) &&
           passes(self->accounts, self->account_count, arn->account) &&
           passes(self->regions, self->region_count, arn->region);
}

static enum kf_code discovery_none_meant(const struct kfi_kms_unwrapper *unwrapper, size_t edk_count,
                                         struct kf_error *error)
{
    const struct discovery *self = discovery_of(unwrapper);
    bool filters = self->partition_count + self->account_count + self->region_count > 0;
    return kf_error_set(error, KF_E_KEYS,
                        filters ? "None of the %zu encrypted data keys was made under a KMS key of the "
                                  "partition, accounts and regions that are allowed."
                                : "None of the %zu encrypted data keys was made under a KMS key.",
                        edk_count);
}

static void discovery_destroy(void *unwrapper)
{
    struct discovery *self = discovery_of(unwrapper);
    kfi_kms_access_release(&self->unwrapper.access);
    kfi_free(self->partition);
    kfi_free(self->accounts);
    kfi_free(self->regions);
    kfi_free(self);
}

static bool is_account(const char *text)
{
    return text != NULL && strlen(text) == ACCOUNT_LENGTH && strspn(text, "0123456789") == ACCOUNT_LENGTH;
}

static enum kf_code accounts_check(const struct kf_aws_kms_discovery_keyring_options *options,
                                   struct kf_error *error)
{
    if (options->account_count == 0)
        return KF_OK;
    if (options->partition == NULL || options->accounts == NULL)
        return kf_error_set(
            error, KF_E_USAGE,
            "A filter of accounts needs options partition (\"aws\"), accounts and account_count.");
    for (size_t i = 0; i < options->account_count; i++) {
        if (!is_account(options->accounts[i]))
            return kf_error_set(error, KF_E_USAGE,
                                "Account %zu of the filter is not valid: it has to have 12 digits.", i + 1);
    }
    return KF_OK;
}

static enum kf_code discovery_options_check(const struct kf_aws_kms_discovery_keyring_options *options,
                                            struct kf_error *error)
{
    if (options->client == NULL)
        return kf_error_set(error, KF_E_USAGE, "A KMS discovery keyring needs a client (option client).");
    if (options->region_count > 0 && options->regions == NULL)
        return kf_error_set(error, KF_E_USAGE, "Option regions is NULL, though region_count is not 0.");
    for (size_t i = 0; i < options->region_count; i++) {
        if (options->regions[i] == NULL || !kfi_aws_region_is_valid(kf_view_text(options->regions[i])))
            return kf_error_set(error, KF_E_USAGE,
                                "Region %zu of the filter is not valid. Write it like eu-central-1.", i + 1);
    }
    if (options->partition != NULL &&
        (!kfi_kms_text_is_plain(kf_view_text(options->partition), PARTITION_MAX) ||
         strchr(options->partition, ':') != NULL))
        return kf_error_set(error, KF_E_USAGE,
                            "Option partition is not valid. Write it like \"aws\" or \"aws-cn\".");
    enum kf_code code = accounts_check(options, error);
    return code == KF_OK
               ? kfi_kms_grant_tokens_check(options->grant_tokens, options->grant_token_count, error)
               : code;
}

static enum kf_code filter_copy(struct discovery *self,
                                const struct kf_aws_kms_discovery_keyring_options *options,
                                struct kf_error *error)
{
    self->partition_count = options->partition != NULL ? 1 : 0;
    self->account_count = options->account_count;
    self->region_count = options->region_count;
    self->partition = kfi_kms_strings_copy(&options->partition, self->partition_count);
    self->accounts = kfi_kms_strings_copy(options->accounts, self->account_count);
    self->regions = kfi_kms_strings_copy(options->regions, self->region_count);
    bool copied = self->partition != NULL && self->accounts != NULL && self->regions != NULL;
    return copied ? KF_OK : kfi_no_memory(error);
}

enum kf_code kf_aws_kms_discovery_keyring_new(const struct kf_aws_kms_discovery_keyring_options *given,
                                              struct kf_error *error, struct kf_keyring **out)
{
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable,
        .on_encrypt = discovery_on_encrypt,
        .on_decrypt = kfi_kms_on_decrypt,
        .destroy = discovery_destroy,
        .never_blocks = true,
    };
    struct kf_aws_kms_discovery_keyring_options options = KF_AWS_KMS_DISCOVERY_KEYRING_OPTIONS_INIT;
    *out = NULL;
    enum kf_code code =
        kfi_sized_read(&options, sizeof options, given, "The options of a KMS discovery keyring", error);
    if (code == KF_OK)
        code = discovery_options_check(&options, error);
    if (code != KF_OK)
        return code;
    struct discovery *self = kfi_alloc_zeroed(sizeof *self);
    if (self == NULL)
        return kfi_no_memory(error);
    self->unwrapper.is_meant = discovery_is_meant;
    self->unwrapper.none_meant = discovery_none_meant;
    code = filter_copy(self, &options, error);
    if (code == KF_OK)
        code = kfi_kms_access_init(&self->unwrapper.access, options.client, options.grant_tokens,
                                   options.grant_token_count, error);
    if (code == KF_OK)
        code = kf_keyring_new(&vtable, &self->unwrapper, error, out);
    if (code != KF_OK)
        discovery_destroy(&self->unwrapper);
    return code;
}
