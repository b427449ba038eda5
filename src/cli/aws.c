/* AWS: see aws.h. Never reads a setting of AWS itself: that is the library's. */
#include "aws.h"

#include <stdlib.h>
#include <string.h>

void cli_aws_end(struct cli_aws *aws)
{
    kf_aws_client_unref(aws->client);
    aws->client = NULL;
}

enum kf_code cli_aws_connect(struct cli_aws *aws, struct cli_failure *failure)
{
    if (aws->client != NULL)
        return KF_OK;
    struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    options.region = aws->region;
    options.profile = aws->profile;
    options.endpoint_url = aws->endpoint_url;
    failure->subject = NULL;
    return kf_aws_client_new(&options, &failure->error, &aws->client);
}

enum kf_code cli_aws_kms_keyring(struct cli_aws *aws, const char *generator, const char *const *key_ids,
                                 size_t key_id_count, struct cli_failure *failure, struct kf_keyring **out)
{
    struct kf_aws_kms_keyring_options options = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    enum kf_code code = cli_aws_connect(aws, failure);
    if (code != KF_OK)
        return code;
    options.client = aws->client;
    options.generator = generator;
    options.key_ids = key_ids;
    options.key_id_count = key_id_count;
    failure->subject = NULL;
    return kf_aws_kms_keyring_new(&options, &failure->error, out);
}

/* Cuts "111122223333,444455556666" into accounts; answers how many there are. */
static size_t split_accounts(char *text, const char **accounts)
{
    size_t count = 0;
    for (char *next = text; next != NULL;) {
        accounts[count++] = strsep(&next, ",");
    }
    return count;
}

enum kf_code cli_aws_discovery_keyring(struct cli_aws *aws, const char *value, const char *filter,
                                       struct cli_failure *failure, struct kf_keyring **out)
{
    struct kf_aws_kms_discovery_keyring_options options = KF_AWS_KMS_DISCOVERY_KEYRING_OPTIONS_INIT;
    enum kf_code code = cli_aws_connect(aws, failure);
    if (code != KF_OK)
        return code;
    options.client = aws->client;
    char *partition = strdup(filter);
    const char **accounts = calloc(strlen(filter) + 1, sizeof *accounts);
    char *list = partition != NULL ? strchr(partition, ':') : NULL;
    failure->subject = value;
    if (partition == NULL || accounts == NULL) {
        code = cli_fail_memory(failure);
    } else if (list != NULL) {
        *list = '\0';
        options.partition = partition;
        options.accounts = accounts;
        options.account_count = split_accounts(list + 1, accounts);
    } else if (filter[0] != '\0') {
        code = cli_fail(failure, value, KF_E_USAGE,
                        "Discovery in some accounts only is PARTITION:ACCOUNT,..., as in "
                        "kms-discovery:aws:111122223333.");
    }
    if (code == KF_OK)
        code = kf_aws_kms_discovery_keyring_new(&options, &failure->error, out);
    free(accounts);
    free(partition);
    return code;
}

struct kf_view cli_aws_arn_region(const char *key)
{
    if (strncmp(key, "arn:", strlen("arn:")) != 0)
        return kf_view_of("", 0);
    /* arn:PARTITION:kms:REGION:ACCOUNT:key/ID */
    for (int colons = 0; colons < 3; colons++) {
        key = strchr(key, ':');
        if (key == NULL)
            return kf_view_of("", 0);
        key++;
    }
    return kf_view_of(key, strcspn(key, ":"));
}

enum kf_code cli_aws_endpoint(const struct cli_aws *aws, const char *key, struct kf_error *error,
                              struct kf_buf *out)
{
    struct kf_view view = cli_aws_arn_region(key);
    char *region = view.length > 0 ? strndup((const char *)view.data, view.length) : NULL;
    if (view.length > 0 && region == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is not enough memory.");
    enum kf_code code = kf_aws_client_kms_endpoint(aws->client, region, error, out);
    free(region);
    return code;
}
