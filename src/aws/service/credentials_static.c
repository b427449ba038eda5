/*
 * Credentials that somebody wrote down: in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 * AWS_SESSION_TOKEN), or in a profile of the shared configuration files. Called by the chain.
 *
 * Both may name other ways to credentials, which are not supported. That is an error and not passed over in
 * silence: the next source could belong to somebody else.
 */
#include <stdio.h>

#include "aws/service/credentials_sources.h"
#include "aws/service/profile.h"
#include "aws/service/text.h"
#include "base/text.h"

/* Bytes in a sentence. */
#define PROFILE_SHOWN 64
#define PATH_SHOWN 300

/* An access key as a source has it. */
struct access_key {
    const char *source;                /* a phrase: "the environment", "profile dev in /…/credentials" */
    const char *id_name, *secret_name; /* what the source calls them */
    const char *id, *secret, *token;   /* NULL: not set. One of id and secret is. */
};

static enum kf_code access_key_take(const struct access_key *key, struct kf_error *error,
                                    struct kf_aws_credentials_result *out)
{
    if (key->id == NULL || key->secret == NULL)
        return kf_error_set(error, KF_E_USAGE,
                            "The credentials of %s are incomplete: %s is set, but %s is not. Set both, or "
                            "neither.",
                            key->source, key->id != NULL ? key->id_name : key->secret_name,
                            key->id != NULL ? key->secret_name : key->id_name);
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    credentials.access_key_id = kf_view_text(key->id);
    credentials.secret_access_key = kf_view_text(key->secret);
    if (key->token != NULL)
        credentials.session_token = kf_view_text(key->token);
    enum kf_code code = kfi_aws_credentials_result_set(out, &credentials, key->source, error);
    if (code == KF_E_USAGE)
        kf_error_set(error, code, "The credentials of %s are not valid: %s", key->source, error->text);
    return code;
}

/* ---- The environment ---- */

enum kf_code kfi_aws_environment_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                       struct kf_error *error, struct kf_aws_credentials_result *out)
{
    (void)call;
    const struct access_key key = {
        .source = "the environment",
        .id_name = "AWS_ACCESS_KEY_ID",
        .secret_name = "AWS_SECRET_ACCESS_KEY",
        .id = kfi_aws_environment("AWS_ACCESS_KEY_ID"),
        .secret = kfi_aws_environment("AWS_SECRET_ACCESS_KEY"),
        .token = kfi_aws_environment("AWS_SESSION_TOKEN"),
    };
    if (chain->profile_is_explicit)
        return kf_error_set(error, KF_OK, "not looked at, since option profile is given");
    if (key.id != NULL || key.secret != NULL)
        return access_key_take(&key, error, out);
    if (kfi_aws_environment("AWS_WEB_IDENTITY_TOKEN_FILE") != NULL &&
        kfi_aws_environment("AWS_ROLE_ARN") != NULL)
        return kf_error_set(error, KF_E_USAGE,
                            "The environment takes its credentials from a web identity "
                            "(AWS_WEB_IDENTITY_TOKEN_FILE), which is "
                            "not supported: give static credentials, or a credentials provider.");
    return kf_error_set(error, KF_OK, "AWS_ACCESS_KEY_ID is not set");
}

/* ---- The profile ---- */

/* How a profile can name credentials that are not in it, in the order in which the AWS SDKs look. */
struct indirection {
    const char *key, *what;
    bool is_first; /* the AWS SDKs use it even if the profile has static credentials as well */
};
static const struct indirection indirections[] = {
    {"role_arn", "an assumed role", true},        {"web_identity_token_file", "a web identity", true},
    {"sso_session", "IAM Identity Center", true}, {"sso_start_url", "IAM Identity Center", true},
    {"login_session", "a login session", false},  {"credential_process", "a program", false},
};

/* The error for a profile that has such credentials; KF_OK if it has none. */
static enum kf_code refuse_indirection(const struct kfi_aws_profiles *profiles, const char *profile,
                                       bool is_first, struct kf_error *error)
{
    const char *path = NULL;
    for (size_t i = 0; i < sizeof indirections / sizeof indirections[0]; i++) {
        if (indirections[i].is_first == is_first &&
            kfi_aws_profile_get(profiles, profile, indirections[i].key, &path) != NULL)
            return kf_error_set(error, KF_E_USAGE,
                                "Profile %s in %s takes its credentials from %s (%s), which is not "
                                "supported: give static credentials, or a credentials provider.",
                                kfi_shown_text(profile, PROFILE_SHOWN).text, kfi_shown_text(path, 200).text,
                                indirections[i].what, indirections[i].key);
    }
    return KF_OK;
}

/* No credentials: says which of the two files were there. */
static enum kf_code nothing_there(const struct kfi_aws_profiles *profiles, const char *profile,
                                  struct kf_error *error)
{
    const struct kfi_aws_profile_file *files[] = {&profiles->credentials, &profiles->config};
    if (kfi_aws_profile_exists(profiles, profile))
        return kf_error_set(error, KF_OK, "no aws_access_key_id in it");
    struct kfi_listing looked;
    kfi_listing_begin(&looked, 200);
    for (size_t i = 0; i < 2; i++) {
        if (files[i]->path == NULL)
            return kf_error_set(error, KF_OK, "there is no home directory to look in");
        kfi_listing_add(&looked, ", ", "%s%s", kfi_shown_text(files[i]->path, 70).text,
                        files[i]->found ? " has no such profile" : " is not there");
    }
    return kf_error_set(error, KF_OK, "%s", kfi_listing_end(&looked));
}

/* The access key in one file of the profile. Parts in the other file belong to another key. */
static enum kf_code profile_take(const struct kfi_aws_profiles *profiles, const char *profile,
                                 struct kf_error *error, struct kf_aws_credentials_result *out)
{
    const char *id_path = NULL, *secret_path = NULL, *token_path = NULL;
    struct access_key key = {
        .id_name = "aws_access_key_id",
        .secret_name = "aws_secret_access_key",
        .id = kfi_aws_profile_get(profiles, profile, "aws_access_key_id", &id_path),
        .secret = kfi_aws_profile_get(profiles, profile, "aws_secret_access_key", &secret_path),
        .token = kfi_aws_profile_get(profiles, profile, "aws_session_token", &token_path),
    };
    if (key.id == NULL && key.secret == NULL) {
        enum kf_code code = refuse_indirection(profiles, profile, false, error);
        return code == KF_OK ? nothing_there(profiles, profile, error) : code;
    }
    const char *path = key.id != NULL ? id_path : secret_path;
    key.secret = secret_path == path ? key.secret : NULL;
    key.token = token_path == path ? key.token : NULL;
    char source[2 * sizeof(struct kfi_shown) + 16];
    snprintf(source, sizeof source, "profile %s in %s", kfi_shown_text(profile, PROFILE_SHOWN).text,
             kfi_shown_text(path, PATH_SHOWN).text);
    key.source = source;
    return access_key_take(&key, error, out);
}

/* The files are read anew at each fetch, so that new credentials in them are found. */
enum kf_code kfi_aws_profile_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                   struct kf_error *error, struct kf_aws_credentials_result *out)
{
    (void)call;
    struct kfi_aws_profiles profiles;
    enum kf_code code = kfi_aws_profiles_read(error, &profiles);
    if (code != KF_OK)
        return code;
    code = refuse_indirection(&profiles, chain->profile, true, error);
    if (code == KF_OK)
        code = profile_take(&profiles, chain->profile, error, out);
    kfi_aws_profiles_free(&profiles);
    return code;
}
