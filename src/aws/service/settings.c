/*
 * Settings: see settings.h. Called by client.c when a client is made.
 *
 * For each setting there is one row that says where it may come from; whoever fails says which of these
 * places it was. The files may hold secrets, and are forgotten once the settings are read.
 */
#include "aws/service/settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "aws/service/endpoint.h"
#include "aws/service/profile.h"
#include "base/error.h"
#include "base/memory.h"

/* Where a setting may come from, in this order: option, variables, keys of the profile. */
struct origin {
    const char *option; /* NULL: there is none */
    const char *variables[2];
    const char *service; /* of the nested key that comes before the plain one; NULL: there is none */
    const char *key;     /* NULL: none */
};

struct reader {
    const struct kf_aws_client_options *options;
    struct kfi_aws_profiles profiles;
    struct kfi_aws_settings *settings;
    struct kf_error *error;
};

__attribute__((format(printf, 1, 2))) static char *phrase(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0)
        text[0] = '\0';
    return kfi_copy_text(text);
}

static void forget(struct kfi_aws_setting *setting)
{
    kfi_free(setting->value);
    kfi_free(setting->source);
    *setting = (struct kfi_aws_setting){NULL, NULL};
}

/* Takes `source`, which is NULL if there was no memory for it. */
static enum kf_code put(struct reader *reader, struct kfi_aws_setting *setting, const char *value,
                        char *source)
{
    forget(setting);
    setting->source = source;
    if (value != NULL)
        setting->value = kfi_copy_text(value);
    if (source == NULL || (value != NULL && setting->value == NULL)) {
        forget(setting);
        return kfi_no_memory(reader->error);
    }
    return KF_OK;
}

static bool is_given(const char *value)
{
    return value != NULL && value[0] != '\0';
}

/* What was looked through, if nothing was found. */
static char *places(const struct reader *reader, const struct origin *origin)
{
    char text[768];
    size_t length = 0;
    const char *names[] = {origin->option, origin->variables[0], origin->variables[1]};
    text[0] = '\0';
    for (size_t i = 0; i < 3; i++) {
        if (names[i] == NULL)
            continue;
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s%s", length > 0 ? ", " : "",
                                   i == 0 ? "option " : "", names[i]);
    }
    if (origin->key != NULL)
        snprintf(text + length, sizeof text - length, "%s%s of profile %.64s%s", length > 0 ? ", " : "",
                 origin->key, reader->settings->profile.value,
                 reader->profiles.config.found || reader->profiles.credentials.found
                     ? ""
                     : " (there is no configuration file)");
    return phrase("%s", text);
}

/* Looks for a setting; without a value, its source is what was looked through. */
static enum kf_code look(struct reader *reader, const struct origin *origin, const char *option,
                         struct kfi_aws_setting *setting)
{
    const char *profile = reader->settings->profile.value, *path = NULL;
    if (option != NULL)
        return put(reader, setting, option, phrase("option %s", origin->option));
    for (size_t i = 0; i < 2; i++) {
        const char *value = origin->variables[i] != NULL ? getenv(origin->variables[i]) : NULL;
        if (is_given(value))
            return put(reader, setting, value, phrase("%s in the environment", origin->variables[i]));
    }
    const char *value = NULL;
    if (origin->service != NULL)
        value = kfi_aws_profile_get_service(&reader->profiles, profile, origin->service, origin->key, &path);
    if (is_given(value))
        return put(reader, setting, value, phrase("the services of profile %.64s in %.300s", profile, path));
    if (origin->key != NULL)
        value = kfi_aws_profile_get(&reader->profiles, profile, origin->key, &path);
    if (is_given(value))
        return put(reader, setting, value, phrase("profile %.64s in %.300s", profile, path));
    return put(reader, setting, NULL, places(reader, origin));
}

/* ---- Each setting ---- */

static enum kf_code read_profile(struct reader *reader)
{
    static const struct origin origin = {"profile", {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}, NULL, NULL};
    struct kfi_aws_setting *setting = &reader->settings->profile;
    enum kf_code code = look(reader, &origin, reader->options->profile, setting);
    if (code != KF_OK)
        return code;
    if (setting->value == NULL)
        return put(reader, setting, "default", phrase("the default"));
    reader->settings->profile_is_explicit = reader->options->profile != NULL;
    if (kfi_aws_profile_exists(&reader->profiles, setting->value))
        return KF_OK;
    const struct kfi_aws_profile_file *config = &reader->profiles.config,
                                      *credentials = &reader->profiles.credentials;
    return kf_error_set(
        reader->error, KF_E_USAGE, "There is no profile %.64s (%s): not in %.150s%s, and not in %.150s%s.",
        setting->value, setting->source, config->path != NULL ? config->path : "~/.aws/config",
        config->found ? "" : " (no such file)",
        credentials->path != NULL ? credentials->path : "~/.aws/credentials",
        credentials->found ? "" : " (no such file)");
}

static enum kf_code read_region(struct reader *reader)
{
    static const struct origin origin = {"region", {"AWS_REGION", "AWS_DEFAULT_REGION"}, NULL, "region"};
    struct kfi_aws_setting *setting = &reader->settings->region;
    enum kf_code code = look(reader, &origin, reader->options->region, setting);
    if (code != KF_OK || setting->value == NULL || kfi_aws_region_is_valid(kf_view_text(setting->value)))
        return code;
    return kf_error_set(reader->error, KF_E_USAGE,
                        "The region given by %s is none: it has to be like us-east-1 (letters, digits and "
                        "inner hyphens, 63 of them at most).",
                        setting->source);
}

static enum kf_code read_switch(struct reader *reader, const struct origin *origin, enum kf_aws_switch option,
                                bool *out)
{
    *out = option == KF_AWS_ON;
    if (option != KF_AWS_UNSET)
        return KF_OK;
    struct kfi_aws_setting setting = {NULL, NULL};
    enum kf_code code = look(reader, origin, NULL, &setting);
    *out = setting.value != NULL && strcasecmp(setting.value, "true") == 0;
    if (code == KF_OK && setting.value != NULL && !*out && strcasecmp(setting.value, "false") != 0)
        code = kf_error_set(reader->error, KF_E_USAGE, "The switch %s, given by %s, has to be true or false.",
                            origin->key, setting.source);
    forget(&setting);
    return code;
}

static enum kf_code read_switches(struct reader *reader)
{
    static const struct origin fips = {NULL, {"AWS_USE_FIPS_ENDPOINT"}, NULL, "use_fips_endpoint"};
    static const struct origin dual = {NULL, {"AWS_USE_DUALSTACK_ENDPOINT"}, NULL, "use_dualstack_endpoint"};
    enum kf_code code = read_switch(reader, &fips, reader->options->use_fips, &reader->settings->use_fips);
    if (code == KF_OK)
        code = read_switch(reader, &dual, reader->options->use_dual_stack, &reader->settings->use_dual_stack);
    return code;
}

static enum kf_code read_endpoint(struct reader *reader)
{
    static const struct origin ignore = {
        NULL, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"}, NULL, "ignore_configured_endpoint_urls"};
    static const struct origin origin = {
        "endpoint_url", {"AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"}, "kms", "endpoint_url"};
    struct kfi_aws_setting *setting = &reader->settings->kms_endpoint_url;
    bool ignored;
    enum kf_code code = read_switch(reader, &ignore, KF_AWS_UNSET, &ignored);
    if (code != KF_OK)
        return code;
    if (ignored && reader->options->endpoint_url == NULL)
        return put(reader, setting, NULL, phrase("configured endpoints are ignored"));
    code = look(reader, &origin, reader->options->endpoint_url, setting);
    if (code != KF_OK || setting->value == NULL || kfi_aws_endpoint_is_valid(setting->value))
        return code;
    return kf_error_set(reader->error, KF_E_USAGE,
                        "The endpoint given by %s is no URL that can be one: it has to be "
                        "http:// or https:// with a host, and neither user, query nor fragment.",
                        setting->source);
}

static enum kf_code read_ca_bundle(struct reader *reader)
{
    static const struct origin origin = {"ca_bundle", {"AWS_CA_BUNDLE"}, NULL, "ca_bundle"};
    struct kfi_aws_setting *setting = &reader->settings->ca_bundle;
    enum kf_code code = look(reader, &origin, reader->options->ca_bundle, setting);
    if (code != KF_OK || setting->value == NULL || access(setting->value, R_OK) == 0)
        return code;
    return kf_error_set(reader->error, KF_E_USAGE,
                        "The file of certificates to trust, %.200s (%s), can't be read.", setting->value,
                        setting->source);
}

static enum kf_code read_retry_mode(struct reader *reader)
{
    static const struct origin origin = {NULL, {"AWS_RETRY_MODE"}, NULL, "retry_mode"};
    struct kfi_aws_setting setting = {NULL, NULL};
    enum kf_code code = look(reader, &origin, NULL, &setting);
    /* There is one way of retrying here. The other two are known, and differ in when they ask again. */
    if (code == KF_OK && setting.value != NULL && strcasecmp(setting.value, "standard") != 0 &&
        strcasecmp(setting.value, "legacy") != 0 && strcasecmp(setting.value, "adaptive") != 0)
        code = kf_error_set(reader->error, KF_E_USAGE,
                            "The retry mode given by %s is none: it has to be standard (legacy and adaptive "
                            "are taken as standard).",
                            setting.source);
    forget(&setting);
    return code;
}

static enum kf_code read_attempts(struct reader *reader)
{
    static const struct origin origin = {"max_attempts", {"AWS_MAX_ATTEMPTS"}, NULL, "max_attempts"};
    struct kfi_aws_setting *setting = &reader->settings->max_attempts;
    char given[16];
    snprintf(given, sizeof given, "%u", (unsigned)reader->options->max_attempts);
    enum kf_code code = look(reader, &origin, reader->options->max_attempts > 0 ? given : NULL, setting);
    if (code == KF_OK && setting->value == NULL)
        code = put(reader, setting, "3", phrase("the default"));
    if (code != KF_OK)
        return code;
    size_t length = strlen(setting->value);
    reader->settings->attempts =
        length <= 3 && strspn(setting->value, "0123456789") == length ? (uint32_t)atoi(setting->value) : 0;
    if (reader->settings->attempts >= 1 && reader->settings->attempts <= KFI_AWS_ATTEMPTS_MAX)
        return KF_OK;
    return kf_error_set(reader->error, KF_E_USAGE,
                        "The attempts given by %s have to be a number from 1 to %d.", setting->source,
                        KFI_AWS_ATTEMPTS_MAX);
}

enum kf_code kfi_aws_settings_read(const struct kf_aws_client_options *options, struct kf_error *error,
                                   struct kfi_aws_settings *out)
{
    static enum kf_code (*const steps[])(struct reader *) = {
        read_profile,   read_region,     read_switches, read_endpoint,
        read_ca_bundle, read_retry_mode, read_attempts,
    };
    memset(out, 0, sizeof *out);
    struct reader reader = {.options = options, .settings = out, .error = error};
    enum kf_code code = kfi_aws_profiles_read(error, &reader.profiles);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && code == KF_OK; i++)
        code = steps[i](&reader);
    kfi_aws_profiles_free(&reader.profiles);
    if (code != KF_OK)
        kfi_aws_settings_free(out);
    return code;
}

void kfi_aws_settings_free(struct kfi_aws_settings *settings)
{
    forget(&settings->profile);
    forget(&settings->region);
    forget(&settings->kms_endpoint_url);
    forget(&settings->ca_bundle);
    forget(&settings->max_attempts);
}
