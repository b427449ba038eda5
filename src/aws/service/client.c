/*
 * The client: see client.h. The application makes it; keyrings and requests use it. It holds what all requests
 * share: settings, connections, credentials, and the services in their regions.
 */
#include "aws/service/client.h"

#include <stdio.h>

#include "aws/service/credentials_sources.h"
#include "aws/service/endpoint.h"
#include "aws/service/text.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/refs.h"
#include "base/sized.h"

#define APPLICATION_MAX 256
#define MAX_CONNECTIONS 10000
/* AWS has fewer. The bound is for discovery, which takes regions out of messages that may be forged. */
#define SERVICE_COUNT_MAX 256

struct kf_aws_client {
    struct kfi_refs refs;
    struct kfi_fork_guard guard;
    struct kfi_aws_settings settings;
    struct kfi_aws_limits limits;
    struct kfi_http_pool *pool;
    struct kfi_aws_credentials_cache *credentials;
    char kms_endpoint[KFI_AWS_URL_MAX]; /* in the client's region, for the diagnosis; "": no region */
    const char *kms_endpoint_source;

    struct kfi_lock lock; /* guards the list of services, which only grows; a leaf */
    struct kfi_aws_service *services;
    size_t service_count;
};

/* ---- Making one ---- */

/* In a forked child the list may have been inherited in the middle of a change. */
static void client_reset(void *context)
{
    struct kf_aws_client *client = context;
    kfi_lock_init(&client->lock);
    client->services = NULL;
    client->service_count = 0;
}

static enum kf_code client_options_check(const struct kf_aws_client_options *options, struct kf_error *error)
{
    if (options->max_connections < 1 || options->max_connections > MAX_CONNECTIONS)
        return kf_error_set(error, KF_E_USAGE, "Option max_connections has to be 1 to %d.", MAX_CONNECTIONS);
    if (options->max_attempts > KFI_AWS_ATTEMPTS_MAX)
        return kf_error_set(error, KF_E_USAGE, "Option max_attempts has to be 1 to %d, or 0.",
                            KFI_AWS_ATTEMPTS_MAX);
    if (options->connect_timeout_ms == 0 || options->attempt_timeout_ms == 0 ||
        options->request_timeout_ms == 0)
        return kf_error_set(
            error, KF_E_USAGE,
            "Options connect_timeout_ms, attempt_timeout_ms and request_timeout_ms have to be "
            "at least 1.");
    if (options->use_fips > KF_AWS_ON || options->use_dual_stack > KF_AWS_ON)
        return kf_error_set(error, KF_E_USAGE,
                            "Options use_fips and use_dual_stack have to be KF_AWS_UNSET, _OFF or _ON.");
    if (options->application == NULL)
        return KF_OK;
    const struct kf_view application = kf_view_text(options->application);
    if (application.length == 0 || application.length > APPLICATION_MAX ||
        !kfi_text_is_printable(application))
        return kf_error_set(error, KF_E_USAGE,
                            "Option application has to be 1 to %d characters of printable ASCII.",
                            APPLICATION_MAX);
    return KF_OK;
}

static enum kf_code make_pool(struct kf_aws_client *client, const struct kf_aws_client_options *options,
                              struct kf_error *error)
{
    char user_agent[APPLICATION_MAX + 64];
    snprintf(user_agent, sizeof user_agent, "keyflight/" KF_VERSION "%s%s",
             options->application != NULL ? " " : "",
             options->application != NULL ? options->application : "");
    const struct kfi_http_pool_options pool = {
        .max_connections = options->max_connections,
        .ca_bundle = client->settings.ca_bundle.value,
        .user_agent = user_agent,
    };
    return kfi_http_pool_new(&pool, error, &client->pool);
}

static enum kf_code make_credentials(struct kf_aws_client *client,
                                     const struct kf_aws_client_options *options, struct kf_error *error)
{
    struct kf_aws_credentials_provider *provider = kf_aws_credentials_provider_ref(options->credentials);
    enum kf_code code = KF_OK;
    if (provider == NULL)
        code = kfi_aws_credentials_chain_new(&client->settings, client->pool, error, &provider);
    if (code == KF_OK)
        code =
            kfi_aws_credentials_cache_new(provider, options->request_timeout_ms, error, &client->credentials);
    kf_aws_credentials_provider_unref(provider);
    return code;
}

static enum kf_code find_kms_endpoint(struct kf_aws_client *client, struct kf_error *error)
{
    const char *region = client->settings.region.value;
    client->kms_endpoint_source = client->settings.region.source;
    return region == NULL ? KF_OK
                          : kfi_aws_endpoint(&client->settings, "kms", region, error, client->kms_endpoint,
                                             &client->kms_endpoint_source);
}

enum kf_code kf_aws_client_new(const struct kf_aws_client_options *options, struct kf_error *error,
                               struct kf_aws_client **out)
{
    struct kf_aws_client_options own = KF_AWS_CLIENT_OPTIONS_INIT;
    *out = NULL;
    enum kf_code code = KF_OK;
    if (options != NULL)
        code = kfi_sized_read(&own, sizeof own, options, "The options of an AWS client", error);
    if (code == KF_OK)
        code = client_options_check(&own, error);
    if (code == KF_OK)
        code = kfi_fork_ready(error);
    if (code != KF_OK)
        return code;
    struct kf_aws_client *client = kfi_alloc_zeroed(sizeof *client);
    if (client == NULL)
        return kfi_no_memory(error);
    kfi_refs_init(&client->refs);
    kfi_fork_guard_init(&client->guard);
    client_reset(client);
    code = kfi_aws_settings_read(&own, error, &client->settings);
    client->limits = (struct kfi_aws_limits){
        .max_attempts = client->settings.attempts,
        .connect_timeout_ms = own.connect_timeout_ms,
        .attempt_timeout_ms = own.attempt_timeout_ms,
        .request_timeout_ms = own.request_timeout_ms,
    };
    if (code == KF_OK)
        code = make_pool(client, &own, error);
    if (code == KF_OK)
        code = make_credentials(client, &own, error);
    if (code == KF_OK)
        code = find_kms_endpoint(client, error);
    if (code == KF_OK)
        *out = client;
    else
        kf_aws_client_unref(client);
    return code;
}

struct kf_aws_client *kf_aws_client_ref(struct kf_aws_client *client)
{
    if (client != NULL)
        kfi_refs_add(&client->refs, 1);
    return client;
}

static void aws_service_free(struct kfi_aws_service *service)
{
    kfi_aws_retry_quota_destroy(&service->quota);
    kfi_free(service->name);
    kfi_free(service->region);
    kfi_free(service->url);
    kfi_free(service);
}

void kf_aws_client_unref(struct kf_aws_client *client)
{
    if (client == NULL || !kfi_refs_drop(&client->refs))
        return;
    kfi_fork_guard_check(&client->guard, client_reset, client);
    while (client->services != NULL) {
        struct kfi_aws_service *service = client->services;
        client->services = service->next;
        aws_service_free(service);
    }
    kfi_aws_credentials_cache_unref(client->credentials);
    kfi_http_pool_unref(client->pool);
    kfi_aws_settings_free(&client->settings);
    kfi_lock_end(&client->lock);
    kfi_free(client);
}

/* ---- Services ---- */

static enum kf_code aws_service_new(struct kf_aws_client *client, const char *name, const char *region,
                                    struct kf_error *error, struct kfi_aws_service **out)
{
    char url[KFI_AWS_URL_MAX];
    *out = NULL;
    enum kf_code code = kfi_aws_endpoint(&client->settings, name, region, error, url, NULL);
    if (code != KF_OK)
        return code;
    struct kfi_aws_service *service = kfi_alloc_zeroed(sizeof *service);
    if (service == NULL)
        return kfi_no_memory(error);
    kfi_aws_retry_quota_init(&service->quota);
    service->client = client;
    service->name = kfi_copy_text(name);
    service->region = kfi_copy_text(region);
    service->url = kfi_copy_text(url);
    if (service->name == NULL || service->region == NULL || service->url == NULL) {
        aws_service_free(service);
        return kfi_no_memory(error);
    }
    *out = service;
    return KF_OK;
}

/* The service in the list. If it is not there, `made` (may be NULL) is added, unless the list is full. */
static struct kfi_aws_service *aws_service_find(struct kf_aws_client *client, const char *name,
                                                const char *region, struct kfi_aws_service *made)
{
    kfi_lock_take(&client->lock);
    struct kfi_aws_service *service = client->services;
    while (service != NULL && (strcmp(service->name, name) != 0 || strcmp(service->region, region) != 0))
        service = service->next;
    if (service == NULL && made != NULL && client->service_count < SERVICE_COUNT_MAX) {
        made->next = client->services;
        client->services = service = made;
        client->service_count++;
    }
    kfi_lock_leave(&client->lock);
    return service;
}

enum kf_code kfi_aws_client_service(struct kf_aws_client *client, const char *name, const char *region,
                                    struct kf_error *error, struct kfi_aws_service **out)
{
    kfi_fork_guard_check(&client->guard, client_reset, client);
    *out = aws_service_find(client, name, region, NULL);
    if (*out != NULL)
        return KF_OK;
    struct kfi_aws_service *made;
    enum kf_code code = aws_service_new(client, name, region, error, &made);
    if (code != KF_OK)
        return code;
    *out = aws_service_find(client, name, region, made);
    if (*out != made)
        aws_service_free(made); /* another thread was faster, or the list is full */
    if (*out == NULL)
        return kf_error_set(
            error, KF_E_LIMIT,
            "A client serves at most %d regions, and has reached that. Name the regions that a "
            "discovery keyring may use in its option regions.",
            SERVICE_COUNT_MAX);
    return KF_OK;
}

/* ---- What others get from it ---- */

const char *kfi_aws_client_region(const struct kf_aws_client *client)
{
    return client->settings.region.value;
}

enum kf_code kfi_aws_client_no_region(const struct kf_aws_client *client, struct kf_error *error)
{
    return kf_error_set(error, KF_E_USAGE, "No AWS region is set. Tried: %s.",
                        client->settings.region.source);
}

struct kfi_http_pool *kfi_aws_client_pool(const struct kf_aws_client *client)
{
    return client->pool;
}

struct kfi_aws_credentials_cache *kfi_aws_client_credentials(const struct kf_aws_client *client)
{
    return client->credentials;
}

const struct kfi_aws_limits *kfi_aws_client_limits(const struct kf_aws_client *client)
{
    return &client->limits;
}

/* ---- The diagnosis ---- */

static struct kf_aws_setting setting_shown(const struct kfi_aws_setting *setting)
{
    return (struct kf_aws_setting){setting->value, setting->source};
}

void kf_aws_client_settings(const struct kf_aws_client *client, struct kf_aws_settings *out)
{
    const struct kfi_aws_settings *settings = &client->settings;
    const struct kf_aws_settings all = {
        .profile = setting_shown(&settings->profile),
        .region = setting_shown(&settings->region),
        .kms_endpoint = {client->kms_endpoint[0] != '\0' ? client->kms_endpoint : NULL,
                         client->kms_endpoint_source},
        .ca_bundle = setting_shown(&settings->ca_bundle),
        .max_attempts = setting_shown(&settings->max_attempts),
    };
    kfi_sized_write(out, &all, sizeof all);
}

enum kf_code kf_aws_client_kms_endpoint(const struct kf_aws_client *client, const char *region,
                                        struct kf_error *error, struct kf_buf *out)
{
    char url[KFI_AWS_URL_MAX];
    region = region != NULL ? region : client->settings.region.value;
    enum kf_code code = region == NULL ? kfi_aws_client_no_region(client, error)
                                       : kfi_aws_endpoint(&client->settings, "kms", region, error, url, NULL);
    kfi_buf_wipe(out); /* not before: the region's name may lie in it */
    if (code != KF_OK)
        return code;
    size_t length = strlen(url);
    if (kfi_buf_reserve(out, length, SIZE_MAX) != KF_OK)
        return kfi_no_memory(error);
    memcpy(out->data, url, length);
    out->length = length;
    return KF_OK;
}
