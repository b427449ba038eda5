/*
 * Static credentials in the shared configuration files. Called by the chain; the files are read anew at each
 * fetch, so that what was replaced there is found.
 */
#include <stdio.h>

#include "aws/service/credentials_sources.h"
#include "aws/service/profile.h"

/* How a profile can name credentials that are not in it, in the order in which the AWS SDKs look. */
struct kind {
    const char *key, *what;
    bool before_static; /* it counts even where the profile has static credentials as well */
};
static const struct kind kinds[] = {
    {"role_arn", "an assumed role", true},        {"web_identity_token_file", "a web identity", true},
    {"sso_session", "IAM Identity Center", true}, {"sso_start_url", "IAM Identity Center", true},
    {"login_session", "a login session", false},  {"credential_process", "a program", false},
};

/* The answer for a profile that has credentials of a kind that is not supported; KF_OK if it has none. */
static enum kf_code refuse(const struct kfi_aws_profiles *profiles, const char *profile, bool before_static,
                           struct kf_error *error)
{
    const char *path = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].before_static == before_static &&
            kfi_aws_profile_get(profiles, profile, kinds[i].key, &path) != NULL)
            return kf_error_set(error, KF_E_USAGE,
                                "Profile %.64s in %.200s takes its credentials from %s (%s), which is not "
                                "supported: give static credentials, or a credentials provider.",
                                profile, path, kinds[i].what, kinds[i].key);
    }
    return KF_OK;
}

static enum kf_code half_set(const char *profile, const char *path, const char *set, const char *unset,
                             struct kf_error *error)
{
    return kf_error_set(error, KF_E_USAGE,
                        "Profile %.64s in %.200s has %s, but %s is not there: set both of them, or neither.",
                        profile, path, set, unset);
}

/* What of the two files was there. */
static enum kf_code nothing_there(const struct kfi_aws_profiles *profiles, const char *profile,
                                  struct kf_error *error)
{
    const struct kfi_aws_profile_file *files[] = {&profiles->credentials, &profiles->config};
    if (kfi_aws_profile_exists(profiles, profile))
        return kf_error_set(error, KF_OK, "no aws_access_key_id in it");
    char text[200] = "";
    size_t length = 0;
    for (size_t i = 0; i < 2; i++) {
        if (files[i]->path == NULL)
            return kf_error_set(error, KF_OK, "there is no home directory to look in");
        int written = snprintf(text + length, sizeof text - length, "%s%.70s%s", i > 0 ? ", " : "",
                               files[i]->path, files[i]->found ? " has no such profile" : " is not there");
        length += written > 0 ? (size_t)written : 0;
    }
    return kf_error_set(error, KF_OK, "%s", text);
}

static enum kf_code take(const struct kfi_aws_profiles *profiles, const char *profile, struct kf_error *error,
                         struct kf_aws_credentials_result *out)
{
    const char *path = NULL, *secret_path = NULL, *token_path = NULL;
    const char *id = kfi_aws_profile_get(profiles, profile, "aws_access_key_id", &path);
    const char *secret = kfi_aws_profile_get(profiles, profile, "aws_secret_access_key", &secret_path);
    const char *token = kfi_aws_profile_get(profiles, profile, "aws_session_token", &token_path);
    enum kf_code code = KF_OK;
    if (id == NULL && secret == NULL)
        code = refuse(profiles, profile, false, error);
    if (code != KF_OK)
        return code;
    if (id == NULL && secret == NULL)
        return nothing_there(profiles, profile, error);
    /* What belongs together is in one file: halves of two pairs would make none. */
    if (id == NULL)
        return half_set(profile, secret_path, "aws_secret_access_key", "aws_access_key_id", error);
    if (secret == NULL || secret_path != path)
        return half_set(profile, path, "aws_access_key_id", "aws_secret_access_key", error);

    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    credentials.access_key_id = kf_view_text(id);
    credentials.secret_access_key = kf_view_text(secret);
    if (token != NULL && token_path == path)
        credentials.session_token = kf_view_text(token);
    char source[400];
    snprintf(source, sizeof source, "profile %.64s in %.300s", profile, path);
    code = kfi_aws_credentials_result_set(out, &credentials, source, error);
    if (code == KF_E_USAGE)
        kf_error_set(error, code, "Of the credentials of %.370s: %s", source, error->text);
    return code;
}

enum kf_code kfi_aws_profile_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                   struct kf_error *error, struct kf_aws_credentials_result *out)
{
    (void)call;
    struct kfi_aws_profiles profiles;
    enum kf_code code = kfi_aws_profiles_read(error, &profiles);
    if (code != KF_OK)
        return code;
    code = refuse(&profiles, chain->profile, true, error);
    if (code == KF_OK)
        code = take(&profiles, chain->profile, error, out);
    kfi_aws_profiles_free(&profiles);
    return code;
}
