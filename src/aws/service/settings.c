/*
 * Settings: see settings.h. Called by client.c when a client is made.
 *
 * Each setting has a struct origin that says where it may come from. If a setting is not valid, the sentence names the
 * place that it came from. The files may hold secrets, and are wiped once the settings are read.
 */
#include "aws/service/settings.h"

#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "aws/service/endpoint.h"
#include "aws/service/profile.h"
#include "aws/service/text.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/names.h"
#include "base/text.h"

/* Where a setting may come from, in this order. NULL: not from there. */
struct origin {
    const char *option;
    const char *variables[2];
    const char *service; /* the profile's nested key for this service */
    const char *key;     /* the profile's key */
};

struct settings_reader {
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
    kfi_text_print(text, sizeof text, format, arguments);
    va_end(arguments);
    return kfi_copy_text(text);
}

static void setting_free(struct kfi_aws_setting *setting)
{
    kfi_free(setting->value);
    kfi_free(setting->source);
    *setting = (struct kfi_aws_setting){NULL, NULL};
}

/* Sets a setting. `source` is taken over; it is NULL if there was no memory for it. */
static enum kf_code setting_put(struct settings_reader *reader, struct kfi_aws_setting *setting,
                                const char *value, char *source)
{
    setting_free(setting);
    setting->source = source;
    setting->value = kfi_copy_text(value);
    if (source == NULL || (value != NULL && setting->value == NULL)) {
        setting_free(setting);
        return kfi_no_memory(reader->error);
    }
    return KF_OK;
}

static bool is_given(const char *value)
{
    return value != NULL && value[0] != '\0';
}

/* Where a value was looked for, in vain. */
static char *places(const struct settings_reader *reader, const struct origin *origin)
{
    struct kfi_listing list;
    const char *names[] = {origin->option, origin->variables[0], origin->variables[1]};
    kfi_listing_begin(&list, KFI_LISTING_MAX);
    for (size_t i = 0; i < 3; i++) {
        if (names[i] != NULL)
            kfi_listing_add(&list, ", ", "%s%s", i == 0 ? "option " : "", names[i]);
    }
    if (origin->key != NULL)
        kfi_listing_add(&list, ", ", "%s of profile %s%s", origin->key,
                        kfi_shown_text(reader->settings->profile.value, 64).text,
                        reader->profiles.config.found || reader->profiles.credentials.found
                            ? ""
                            : " (there is no configuration file)");
    return phrase("%s", kfi_listing_end(&list));
}

/* Looks for a setting in all places of its origin. `option` is the value of the option, or NULL. */
static enum kf_code setting_look(struct settings_reader *reader, const struct origin *origin,
                                 const char *option, struct kfi_aws_setting *setting)
{
    const char *profile = reader->settings->profile.value, *path = NULL;
    if (option != NULL)
        return setting_put(reader, setting, option, phrase("option %s", origin->option));
    for (size_t i = 0; i < 2; i++) {
        const char *value = origin->variables[i] != NULL ? kfi_aws_environment(origin->variables[i]) : NULL;
        if (value != NULL)
            return setting_put(reader, setting, value, phrase("%s in the environment", origin->variables[i]));
    }
    const char *value = NULL;
    if (origin->service != NULL)
        value = kfi_aws_profile_get_service(&reader->profiles, profile, origin->service, origin->key, &path);
    if (is_given(value))
        return setting_put(reader, setting, value,
                           phrase("the services of profile %s in %s", kfi_shown_text(profile, 64).text,
                                  kfi_shown_text(path, 300).text));
    if (origin->key != NULL)
        value = kfi_aws_profile_get(&reader->profiles, profile, origin->key, &path);
    if (is_given(value))
        return setting_put(
            reader, setting, value,
            phrase("profile %s in %s", kfi_shown_text(profile, 64).text, kfi_shown_text(path, 300).text));
    return setting_put(reader, setting, NULL, places(reader, origin));
}

/* ---- Each setting ---- */

static enum kf_code read_profile(struct settings_reader *reader)
{
    static const struct origin origin = {"profile", {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}, NULL, NULL};
    struct kfi_aws_setting *setting = &reader->settings->profile;
    enum kf_code code = setting_look(reader, &origin, reader->options->profile, setting);
    if (code != KF_OK)
        return code;
    if (setting->value == NULL)
        return setting_put(reader, setting, "default", phrase("the default"));
    reader->settings->profile_is_explicit = reader->options->profile != NULL;
    if (kfi_aws_profile_exists(&reader->profiles, setting->value))
        return KF_OK;
    const struct kfi_aws_profile_file *config = &reader->profiles.config,
                                      *credentials = &reader->profiles.credentials;
    return kf_error_set(
        reader->error, KF_E_USAGE, "There is no profile %s (%s): not in %s%s, and not in %s%s.",
        kfi_shown_text(setting->value, 64).text, setting->source,
        kfi_shown_text(config->path != NULL ? config->path : "~/.aws/config", 120).text,
        config->found ? "" : " (no such file)",
        kfi_shown_text(credentials->path != NULL ? credentials->path : "~/.aws/credentials", 120).text,
        credentials->found ? "" : " (no such file)");
}

static enum kf_code read_region(struct settings_reader *reader)
{
    static const struct origin origin = {"region", {"AWS_REGION", "AWS_DEFAULT_REGION"}, NULL, "region"};
    struct kfi_aws_setting *setting = &reader->settings->region;
    enum kf_code code = setting_look(reader, &origin, reader->options->region, setting);
    if (code != KF_OK || setting->value == NULL || kfi_aws_region_is_valid(kf_view_text(setting->value)))
        return code;
    return kf_error_set(reader->error, KF_E_USAGE,
                        "The region given by %s is not valid. Write it like us-east-1: letters, digits and "
                        "inner hyphens, at most 63.",
                        setting->source);
}

static enum kf_code read_switch(struct settings_reader *reader, const struct origin *origin,
                                enum kf_aws_switch option, bool *out)
{
    *out = option == KF_AWS_ON;
    if (option != KF_AWS_UNSET)
        return KF_OK;
    struct kfi_aws_setting setting = {NULL, NULL};
    enum kf_code code = setting_look(reader, origin, NULL, &setting);
    *out = setting.value != NULL && strcasecmp(setting.value, "true") == 0;
    if (code == KF_OK && setting.value != NULL && !*out && strcasecmp(setting.value, "false") != 0)
        code = kf_error_set(reader->error, KF_E_USAGE, "The switch %s, given by %s, has to be true or false.",
                            origin->key, setting.source);
    setting_free(&setting);
    return code;
}

static enum kf_code read_switches(struct settings_reader *reader)
{
    static const struct origin fips = {NULL, {"AWS_USE_FIPS_ENDPOINT"}, NULL, "use_fips_endpoint"};
    static const struct origin dual = {NULL, {"AWS_USE_DUALSTACK_ENDPOINT"}, NULL, "use_dualstack_endpoint"};
    enum kf_code code = read_switch(reader, &fips, reader->options->use_fips, &reader->settings->use_fips);
    if (code == KF_OK)
        code = read_switch(reader, &dual, reader->options->use_dual_stack, &reader->settings->use_dual_stack);
    return code;
}

static enum kf_code read_endpoint(struct settings_reader *reader)
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
        return setting_put(reader, setting, NULL, phrase("configured endpoints are ignored"));
    code = setting_look(reader, &origin, reader->options->endpoint_url, setting);
    if (code != KF_OK || setting->value == NULL || kfi_aws_endpoint_is_valid(setting->value))
        return code;
    return kf_error_set(
        reader->error, KF_E_USAGE,
        "The endpoint given by %s is not valid. Give a URL that begins with http:// or https:// "
        "and has a host, but neither user, query nor fragment.",
        setting->source);
}

static enum kf_code read_ca_bundle(struct settings_reader *reader)
{
    static const struct origin origin = {"ca_bundle", {"AWS_CA_BUNDLE"}, NULL, "ca_bundle"};
    struct kfi_aws_setting *setting = &reader->settings->ca_bundle;
    enum kf_code code = setting_look(reader, &origin, reader->options->ca_bundle, setting);
    if (code != KF_OK || setting->value == NULL || access(setting->value, R_OK) == 0)
        return code;
    return kf_error_set(reader->error, KF_E_USAGE,
                        "The file of certificates to trust, %s (%s), can't be read.",
                        kfi_shown_text(setting->value, 200).text, setting->source);
}

static enum kf_code read_retry_mode(struct settings_reader *reader)
{
    static const struct origin origin = {NULL, {"AWS_RETRY_MODE"}, NULL, "retry_mode"};
    struct kfi_aws_setting setting = {NULL, NULL};
    enum kf_code code = setting_look(reader, &origin, NULL, &setting);
    /* We have one way of retrying. The AWS SDKs know two more, which differ in their pauses. */
    if (code == KF_OK && setting.value != NULL && strcasecmp(setting.value, "standard") != 0 &&
        strcasecmp(setting.value, "legacy") != 0 && strcasecmp(setting.value, "adaptive") != 0)
        code = kf_error_set(
            reader->error, KF_E_USAGE,
            "The retry mode given by %s is not valid. It has to be standard; legacy and adaptive "
            "are taken as standard.",
            setting.source);
    setting_free(&setting);
    return code;
}

static enum kf_code read_attempts(struct settings_reader *reader)
{
    static const struct origin origin = {"max_attempts", {"AWS_MAX_ATTEMPTS"}, NULL, "max_attempts"};
    struct kfi_aws_setting *setting = &reader->settings->max_attempts;
    char given[16];
    snprintf(given, sizeof given, "%u", (unsigned)reader->options->max_attempts);
    enum kf_code code =
        setting_look(reader, &origin, reader->options->max_attempts > 0 ? given : NULL, setting);
    if (code == KF_OK && setting->value == NULL)
        code = setting_put(reader, setting, "3", phrase("the default"));
    if (code != KF_OK)
        return code;
    reader->settings->attempts = kfi_text_number(setting->value, KFI_AWS_ATTEMPTS_MAX);
    if (reader->settings->attempts > 0)
        return KF_OK;
    return kf_error_set(reader->error, KF_E_USAGE,
                        "The number of attempts given by %s has to be a whole number from 1 to %d.",
                        setting->source, KFI_AWS_ATTEMPTS_MAX);
}

enum kf_code kfi_aws_settings_read(const struct kf_aws_client_options *options, struct kf_error *error,
                                   struct kfi_aws_settings *out)
{
    static enum kf_code (*const steps[])(struct settings_reader *) = {
        read_profile,   read_region,     read_switches, read_endpoint,
        read_ca_bundle, read_retry_mode, read_attempts,
    };
    memset(out, 0, sizeof *out);
    struct settings_reader reader = {.options = options, .settings = out, .error = error};
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
    setting_free(&settings->profile);
    setting_free(&settings->region);
    setting_free(&settings->kms_endpoint_url);
    setting_free(&settings->ca_bundle);
    setting_free(&settings->max_attempts);
}

/* ---- Names ---- */

const char *kf_aws_switch_name(enum kf_aws_switch value)
{
    static const struct kfi_name switches[] = {
        {KF_AWS_UNSET, "unset"}, {KF_AWS_OFF, "off"}, {KF_AWS_ON, "on"}};
    return KFI_NAME_OF(switches, value, "unknown");
}
