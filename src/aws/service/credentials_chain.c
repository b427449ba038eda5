/*
 * The chain of sources: see credentials_sources.h. It is a provider like any other; the cache of credentials polls it.
 */
#include "aws/service/credentials_sources.h"
#include "base/call.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

static const struct source {
    const char *name;
    enum kf_code (*fetch)(const struct kfi_aws_chain *chain, struct kf_call *call, struct kf_error *error,
                          struct kf_aws_credentials_result *out);
} sources[] = {
    {"environment", kfi_aws_environment_fetch},
    {"profile", kfi_aws_profile_fetch},
    {"container", kfi_aws_container_fetch},
    {"instance metadata", kfi_aws_instance_fetch},
};
#define SOURCE_COUNT (sizeof sources / sizeof sources[0])

/* The most of a sentence that may tell what was tried. */
#define TRIED_ROOM 460

/* How far a fetch has come, and what was tried in vain. */
struct progress {
    size_t index;
    struct kfi_listing tried;
};

static void progress_note(struct progress *progress, const struct kfi_aws_chain *chain,
                          const struct source *source, const char *why)
{
    bool is_profile = source->fetch == kfi_aws_profile_fetch;
    kfi_listing_add(&progress->tried, "; ", "%s%s%s: %s", source->name, is_profile ? " " : "",
                    is_profile ? kfi_shown_text(chain->profile, 64).text : "", why);
}

static enum kf_code no_credentials(struct progress *progress, struct kf_error *error)
{
    return kf_error_set(error, KF_E_USAGE, "There are no AWS credentials. Tried: %s.",
                        kfi_listing_end(&progress->tried));
}

static enum kf_code chain_fetch(void *self, struct kf_call *call, struct kf_error *error,
                                struct kf_aws_credentials_result *out)
{
    const struct kfi_aws_chain *chain = self;
    struct progress *progress = kf_call_state(call);
    struct kf_call *child = kf_call_child(call, 0);
    if (progress == NULL && (progress = kfi_alloc_zeroed(sizeof *progress)) != NULL) {
        kfi_listing_begin(&progress->tried, TRIED_ROOM);
        kf_call_state_set(call, progress, kfi_free);
    }
    if (progress == NULL || child == NULL)
        return kfi_no_memory(error);
    for (; progress->index < SOURCE_COUNT; progress->index++) {
        const struct source *source = &sources[progress->index];
        enum kf_code code = source->fetch(chain, child, error, out);
        if (code != KF_OK || kfi_aws_credentials_result_is_set(out))
            return code;
        progress_note(progress, chain, source, error->text);
        kfi_error_clear(error);
        kfi_call_reset(child);
    }
    return no_credentials(progress, error);
}

static void chain_destroy(void *self)
{
    struct kfi_aws_chain *chain = self;
    kfi_http_pool_unref(chain->pool);
    kfi_free(chain->profile);
    kfi_free(chain);
}

enum kf_code kfi_aws_credentials_chain_new(const struct kfi_aws_settings *settings,
                                           struct kfi_http_pool *pool, struct kf_error *error,
                                           struct kf_aws_credentials_provider **out)
{
    static const struct kf_aws_credentials_vtable vtable = {sizeof vtable, chain_fetch, chain_destroy};
    const char *profile = settings->profile.value;
    *out = NULL;
    struct kfi_aws_chain *chain = kfi_alloc_zeroed(sizeof *chain);
    if (chain == NULL)
        return kfi_no_memory(error);
    chain->profile = kfi_copy_text(profile);
    chain->profile_is_explicit = settings->profile_is_explicit;
    chain->pool = kfi_http_pool_ref(pool);
    enum kf_code code = chain->profile == NULL ? kfi_no_memory(error)
                                               : kf_aws_credentials_provider_new(&vtable, chain, error, out);
    if (code != KF_OK)
        chain_destroy(chain);
    return code;
}
