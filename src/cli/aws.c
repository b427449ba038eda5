/*
 * AWS, as the commands see it: see aws.h. Never reads a setting of AWS itself: that is the library's.
 */
#include "aws.h"

#include <stdlib.h>

bool cli_aws_take(struct cli_aws *aws, int id, const char *value)
{
    switch (id) {
    case CLI_REGION:
        aws->region = value;
        return true;
    case CLI_PROFILE:
        aws->profile = value;
        return true;
    case CLI_ENDPOINT_URL:
        aws->endpoint_url = value;
        return true;
    default:
        return false;
    }
}

enum kf_code cli_aws_client(const struct cli_aws *aws, struct cli_failure *failure,
                            struct kf_aws_client **out)
{
    struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    options.region = aws->region;
    options.profile = aws->profile;
    options.endpoint_url = aws->endpoint_url;
    failure->subject = NULL;
    return kf_aws_client_new(&options, &failure->error, out);
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

enum kf_code cli_aws_endpoint(const struct kf_aws_client *client, const char *key, struct kf_error *error,
                              struct kf_buf *out)
{
    struct kf_view view = cli_aws_arn_region(key);
    char *region = view.length > 0 ? strndup((const char *)view.data, view.length) : NULL;
    if (view.length > 0 && region == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is not enough memory.");
    enum kf_code code = kf_aws_client_kms_endpoint(client, region, error, out);
    free(region);
    return code;
}
