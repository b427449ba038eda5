/*
 * Credentials in the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. Called by the
 * chain. A web identity that is named there is not supported, and must not be passed over in silence: the
 * next source could give another identity. Whoever names a profile by option means that one: then the
 * environment does not count.
 */
#include <stdlib.h>

#include "aws/service/credentials_sources.h"

const char *kfi_aws_environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static enum kf_code half_set(const char *set, const char *unset, struct kf_error *error)
{
    return kf_error_set(error, KF_E_USAGE,
                        "%s is set in the environment, but %s is not: set both of them, or neither.", set,
                        unset);
}

enum kf_code kfi_aws_environment_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                       struct kf_error *error, struct kf_aws_credentials_result *out)
{
    (void)call;
    const char *id = kfi_aws_environment("AWS_ACCESS_KEY_ID"),
               *secret = kfi_aws_environment("AWS_SECRET_ACCESS_KEY"),
               *token = kfi_aws_environment("AWS_SESSION_TOKEN");
    if (chain->profile_is_explicit)
        return kf_error_set(error, KF_OK, "not looked at, since option profile is given");
    if (id == NULL && secret == NULL && kfi_aws_environment("AWS_WEB_IDENTITY_TOKEN_FILE") != NULL &&
        kfi_aws_environment("AWS_ROLE_ARN") != NULL)
        return kf_error_set(
            error, KF_E_USAGE,
            "The environment takes its credentials from a web identity "
            "(AWS_WEB_IDENTITY_TOKEN_FILE), which is not supported: give static credentials, or "
            "a credentials provider.");
    if (id == NULL && secret == NULL)
        return kf_error_set(error, KF_OK, "AWS_ACCESS_KEY_ID is not set");
    if (id == NULL)
        return half_set("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", error);
    if (secret == NULL)
        return half_set("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", error);

    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    credentials.access_key_id = kf_view_text(id);
    credentials.secret_access_key = kf_view_text(secret);
    if (token != NULL)
        credentials.session_token = kf_view_text(token);
    enum kf_code code = kfi_aws_credentials_result_set(out, &credentials, "the environment", error);
    if (code == KF_E_USAGE)
        kf_error_set(error, code, "Of the credentials in the environment: %s", error->text);
    return code;
}
