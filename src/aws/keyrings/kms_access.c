/*
 * How a keyring reaches KMS: see kms_access.h. Called by both keyrings and by kms_unwrap.c.
 */
#include "aws/keyrings/kms_access.h"

#include "aws/keyrings/kms_options.h"
#include "aws/service/endpoint.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

enum kf_code kfi_kms_access_init(struct kfi_kms_access *access, struct kf_aws_client *client,
                                 const char *const *grant_tokens, size_t grant_token_count,
                                 struct kf_error *error)
{
    access->client = kf_aws_client_ref(client);
    access->grant_tokens = kfi_kms_strings_copy(grant_tokens, grant_token_count);
    access->grant_token_count = grant_token_count;
    return access->grant_tokens != NULL ? KF_OK : kfi_no_memory(error);
}

void kfi_kms_access_release(struct kfi_kms_access *access)
{
    kf_aws_client_unref(access->client);
    kfi_free(access->grant_tokens);
}

enum kf_code kfi_kms_service_in(struct kf_aws_client *client, struct kf_view region, struct kf_error *error,
                                struct kfi_aws_service **out)
{
    char text[KFI_AWS_REGION_MAX];
    if (region.length == 0) {
        const char *of_client = kfi_aws_client_region(client);
        return of_client != NULL ? kfi_aws_client_service(client, "kms", of_client, error, out)
                                 : kfi_aws_client_no_region(client, error);
    }
    if (region.length >= sizeof text || !kfi_aws_region_is_valid(region))
        return kf_error_set(error, KF_E_USAGE, "\"%s\" is not a region.",
                            kfi_shown(region, KFI_AWS_REGION_MAX).text);
    memcpy(text, region.data, region.length);
    text[region.length] = '\0';
    return kfi_aws_client_service(client, "kms", text, error, out);
}
