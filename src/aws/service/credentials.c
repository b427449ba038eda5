/*
 * Credentials and their providers: see credentials.h. Called by the cache of credentials, by the sources, and by
 * applications that have a provider of their own. Keeps nothing; credentials_cache.c does.
 */
#include "aws/service/credentials.h"

#include <stdatomic.h>

#include "aws/service/text.h"
#include "base/bytes.h"
#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/sized.h"
#include "base/text.h"

#define ACCESS_KEY_ID_MAX 128
#define SECRET_ACCESS_KEY_MAX 256
#define SESSION_TOKEN_MAX 16384

/* ---- Credentials ---- */

struct kfi_aws_credentials *kfi_aws_credentials_ref(struct kfi_aws_credentials *credentials)
{
    if (credentials != NULL)
        kfi_refs_add(&credentials->refs, 1);
    return credentials;
}

void kfi_aws_credentials_unref(struct kfi_aws_credentials *credentials)
{
    if (credentials != NULL && kfi_refs_drop(&credentials->refs))
        kfi_free_secret(credentials, credentials->block);
}

static enum kf_code credentials_check(const struct kf_aws_credentials *credentials, struct kf_error *error)
{
    const struct {
        const char *name;
        struct kf_view value;
        size_t least, most;
    } parts[] = {
        {"The access key id", credentials->access_key_id, 1, ACCESS_KEY_ID_MAX},
        {"The secret access key", credentials->secret_access_key, 1, SECRET_ACCESS_KEY_MAX},
        {"The session token", credentials->session_token, 0, SESSION_TOKEN_MAX},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        enum kf_code code = kfi_view_check(parts[i].value, parts[i].name, error);
        if (code != KF_OK)
            return code;
        if (parts[i].value.length < parts[i].least || parts[i].value.length > parts[i].most)
            return kf_error_set(error, KF_E_USAGE, "%s has %zu bytes; it has to have %zu to %zu.",
                                parts[i].name, parts[i].value.length, parts[i].least, parts[i].most);
        if (!kfi_text_is_visible(parts[i].value)) /* they go into header lines */
            return kf_error_set(error, KF_E_USAGE,
                                "%s has characters that are not allowed: blanks, line breaks or others "
                                "that are not printable ASCII.",
                                parts[i].name);
    }
    return KF_OK;
}

/* Copies to `*next`, with a NUL behind, and moves `*next` on. */
static const char *append_text(char **next, struct kf_view view)
{
    char *copy = *next;
    if (view.length > 0)
        memcpy(copy, view.data, view.length);
    copy[view.length] = '\0';
    *next = copy + view.length + 1;
    return copy;
}

/* A copy with one reference, or NULL. */
static struct kfi_aws_credentials *credentials_copy(const struct kf_aws_credentials *from, const char *source)
{
    size_t block = sizeof(struct kfi_aws_credentials) + from->access_key_id.length +
                   from->secret_access_key.length + from->session_token.length + strlen(source) + 4;
    struct kfi_aws_credentials *credentials = kfi_alloc_zeroed(block);
    if (credentials == NULL)
        return NULL;
    char *next = (char *)(credentials + 1);
    kfi_refs_init(&credentials->refs);
    credentials->access_key_id = append_text(&next, from->access_key_id);
    credentials->secret_access_key = append_text(&next, from->secret_access_key);
    if (from->session_token.length > 0)
        credentials->session_token = append_text(&next, from->session_token);
    credentials->source = append_text(&next, kf_view_text(source));
    credentials->expires_at = from->expires_at;
    credentials->block = block;
    return credentials;
}

/* ---- What a fetch answers into ---- */

struct kf_aws_credentials_result {
    struct kfi_aws_credentials *credentials;
};

enum kf_code kfi_aws_credentials_result_set(struct kf_aws_credentials_result *result,
                                            const struct kf_aws_credentials *credentials, const char *source,
                                            struct kf_error *error)
{
    struct kf_aws_credentials own = KF_AWS_CREDENTIALS_INIT;
    if (result == NULL)
        return kf_error_set(error, KF_E_USAGE, "The result that credentials are set on is NULL.");
    enum kf_code code = kfi_sized_read(&own, sizeof own, credentials, "The credentials", error);
    if (code == KF_OK)
        code = credentials_check(&own, error);
    if (code != KF_OK)
        return code;
    struct kfi_aws_credentials *copied = credentials_copy(&own, source);
    if (copied == NULL)
        return kfi_no_memory(error);
    kfi_aws_credentials_unref(result->credentials);
    result->credentials = copied;
    return KF_OK;
}

enum kf_code kf_aws_credentials_result_set(struct kf_aws_credentials_result *result,
                                           const struct kf_aws_credentials *credentials,
                                           struct kf_error *error)
{
    return kfi_aws_credentials_result_set(result, credentials, "a provider of the application", error);
}

bool kfi_aws_credentials_result_is_set(const struct kf_aws_credentials_result *result)
{
    return result->credentials != NULL;
}

/* ---- Providers ---- */

struct kf_aws_credentials_provider {
    struct kfi_refs refs;
    struct kf_aws_credentials_vtable vtable;
    void *self;
};

enum kf_code kf_aws_credentials_provider_new(const struct kf_aws_credentials_vtable *vtable, void *self,
                                             struct kf_error *error, struct kf_aws_credentials_provider **out)
{
    struct kf_aws_credentials_vtable own = {.size = sizeof own};
    *out = NULL;
    enum kf_code code =
        kfi_sized_read(&own, sizeof own, vtable, "The functions of a credentials provider", error);
    if (code == KF_OK && own.fetch == NULL)
        code = kf_error_set(error, KF_E_USAGE, "A credentials provider needs a function fetch.");
    if (code != KF_OK)
        return code;
    struct kf_aws_credentials_provider *provider = kfi_alloc_zeroed(sizeof *provider);
    if (provider == NULL)
        return kfi_no_memory(error);
    kfi_refs_init(&provider->refs);
    provider->vtable = own;
    provider->self = self;
    *out = provider;
    return KF_OK;
}

struct kf_aws_credentials_provider *kf_aws_credentials_provider_ref(
    struct kf_aws_credentials_provider *provider)
{
    if (provider != NULL)
        kfi_refs_add(&provider->refs, 1);
    return provider;
}

void kf_aws_credentials_provider_unref(struct kf_aws_credentials_provider *provider)
{
    if (provider == NULL || !kfi_refs_drop(&provider->refs))
        return;
    if (provider->vtable.destroy != NULL)
        provider->vtable.destroy(provider->self);
    kfi_free(provider);
}

/* Checks what a provider answered: codes and credentials that it may not answer become errors. */
static enum kf_code provider_judge(enum kf_code code, const struct kf_aws_credentials_result *result,
                                   struct kf_error *error)
{
    if (code > KF_OK || (code != KF_E_BUG && strcmp(kf_code_name(code), "KF_E_BUG") == 0))
        return kf_error_set(error, KF_E_BUG,
                            "A credentials provider answered %d, which is not a code that it may answer.",
                            (int)code);
    if (code < KF_OK && (error->code != code || error->text[0] == '\0'))
        return kf_error_set(error, code, "A credentials provider failed with %s and did not say why.",
                            kf_code_name(code));
    if (code < KF_OK)
        return code;
    kfi_error_clear(error);
    if (result->credentials == NULL)
        return kf_error_set(error, KF_E_BUG, "A credentials provider answered KF_OK without credentials.");
    if (result->credentials->expires_at <= kfi_aws_wall_clock())
        return kf_error_set(error, KF_E_RETRY,
                            "The credentials that came from %s had expired already (or the clock of this "
                            "machine is wrong).",
                            kfi_shown_text(result->credentials->source, 200).text);
    return KF_OK;
}

enum kf_code kfi_aws_credentials_fetch(struct kf_aws_credentials_provider *provider, struct kf_call *call,
                                       struct kf_error *error, struct kfi_aws_credentials **out)
{
    struct kf_aws_credentials_result result = {NULL};
    *out = NULL;
    enum kf_code code = provider->vtable.fetch(provider->self, call, error, &result);
    const enum kf_code forked = kfi_call_check(call, error);
    if (forked != KF_OK)
        return forked; /* it forked inside */
    if (code == KF_PENDING) {
        kfi_error_clear(error);
        kfi_aws_credentials_unref(result.credentials);
        return code;
    }
    kfi_call_reset(call);
    code = provider_judge(code, &result, error);
    if (code == KF_OK)
        *out = result.credentials;
    else
        kfi_aws_credentials_unref(result.credentials);
    return code;
}

/* ---- The provider of credentials that never change ---- */

static enum kf_code static_fetch(void *self, struct kf_call *call, struct kf_error *error,
                                 struct kf_aws_credentials_result *out)
{
    (void)call;
    (void)error;
    out->credentials = kfi_aws_credentials_ref(self);
    return KF_OK;
}

static void static_destroy(void *self)
{
    kfi_aws_credentials_unref(self);
}

enum kf_code kf_aws_static_credentials_new(const struct kf_aws_credentials *credentials,
                                           struct kf_error *error, struct kf_aws_credentials_provider **out)
{
    static const struct kf_aws_credentials_vtable vtable = {sizeof vtable, static_fetch, static_destroy};
    struct kf_aws_credentials_result result = {NULL};
    *out = NULL;
    enum kf_code code = kfi_aws_credentials_result_set(&result, credentials,
                                                       "the credentials that the application gave", error);
    if (code == KF_OK)
        code = kf_aws_credentials_provider_new(&vtable, result.credentials, error, out);
    if (code != KF_OK)
        kfi_aws_credentials_unref(result.credentials);
    return code;
}

/* ---- The wall clock ---- */

static _Atomic uint64_t test_time = UINT64_MAX;

uint64_t kfi_aws_wall_clock(void)
{
    uint64_t fixed = atomic_load_explicit(&test_time, memory_order_relaxed);
    return fixed != UINT64_MAX ? fixed : kfi_wall_clock_s();
}

void kfi_aws_wall_clock_test_set(uint64_t seconds)
{
    atomic_store_explicit(&test_time, seconds, memory_order_relaxed);
}
