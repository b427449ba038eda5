/*
 * The caching CMM: decides which requests may share materials, and under what limits. The sharing is
 * cache/cache.c's. (S: framework/caching-cmm.md)
 *
 * To its callers it is an asynchronous CMM like any other: a caller who has to wait has a seat in a flight,
 * kept as the state of his call.
 */
#include <keyflight/caching_cmm.h>

#include "base/error.h"
#include "base/sized.h"
#include "materials/cache/cache.h"
#include "materials/cache/events.h"
#include "materials/cache/reuse.h"
#include "materials/materials.h"
#include "suite/random.h"

struct caching_cmm {
    struct kf_cache *cache;
    struct kf_cmm *backing;
    struct kfi_cache_policy policies
        [KFI_DIRECTIONS]; /* the first has references to the listener and to `stuck`, the other borrows them */
    struct kfi_reuse *reuse;  /* only with a listener */
    struct kf_view partition; /* its own copy */
};

/* The state of a call that goes past the cache: it stays that way from poll to poll. */
static const char bypassing;

/*
 * Whether a request goes past the cache: each key is then used once, outside the limits, and the caller's own
 * polls drive the backing CMM.
 */
static bool bypasses(const struct kfi_asked *asked, uint64_t length, const struct kfi_cache_policy *policy)
{
    const enum kf_suite id = asked->direction == KFI_ENCRYPTION ? asked->request.encryption->suite
                                                                : asked->request.decryption->suite;
    if (length == KF_LENGTH_UNKNOWN || length > policy->rules.limits.max_bytes)
        return true;
    if (id == KF_SUITE_DEFAULT && asked->direction == KFI_ENCRYPTION)
        return false;
    const struct kfi_suite *suite = kfi_suite_get(id);
    return suite == NULL || !suite->info.derives;
}

static enum kf_code key_of(const struct caching_cmm *self, const struct kfi_asked *asked,
                           struct kf_error *error, struct kfi_cache_key *out)
{
    return asked->direction == KFI_ENCRYPTION
               ? kfi_cache_key_encryption(self->partition, asked->request.encryption, error, out)
               : kfi_cache_key_decryption(self->partition, asked->request.decryption, error, out);
}

/* Looks whether the cache does any good, and tells the listener if it hardly does. */
static void watch_reuse(const struct caching_cmm *self, const struct kf_encryption_context *context,
                        enum kfi_cache_outcome outcome)
{
    struct kfi_reuse_finding finding;
    if (self->reuse == NULL || outcome == KFI_CACHE_REFUSED)
        return;
    if (outcome == KFI_CACHE_SHARED) {
        kfi_reuse_hit(self->reuse);
    } else if (kfi_reuse_miss(self->reuse, context, &finding)) {
        kfi_cache_tell(self->policies[KFI_ENCRYPTION].listener, (struct kf_cache_event){
                                                                    .kind = KF_CACHE_LOW_REUSE,
                                                                    .context_keys = finding.keys,
                                                                    .context_key_count = finding.count,
                                                                    .misses = finding.misses,
                                                                });
        kf_encryption_context_unref(finding.context);
    }
}

/* One poll for materials of either direction; `length` is what is charged for them. */
static enum kf_code materials_get(const struct caching_cmm *self, struct kf_call *call,
                                  const struct kfi_asked *asked, uint64_t length, struct kf_error *error,
                                  const struct kfi_materials **out)
{
    const void *state = kf_call_state(call);
    struct kfi_cache_question question = {
        .policy = &self->policies[asked->direction],
        .length = length,
        .asked = *asked,
    };
    *out = NULL;
    if (state == &bypassing)
        return kfi_asked_poll(asked, call, error, out);
    if (state != NULL)
        return kfi_cache_poll(call, error, out);
    if (bypasses(asked, length, question.policy)) {
        kfi_cache_count_bypass(self->cache, asked->direction);
        kf_call_state_set(call, kfi_refs_unconst(&bypassing), NULL);
        return kfi_asked_poll(asked, call, error, out);
    }
    enum kfi_cache_outcome outcome;
    enum kf_code code = key_of(self, asked, error, &question.key);
    if (code != KF_OK)
        return code;
    code = kfi_cache_ask(self->cache, call, &question, error, &outcome, out);
    if (asked->direction == KFI_ENCRYPTION)
        watch_reuse(self, asked->request.encryption->encryption_context, outcome);
    return code;
}

static enum kf_code caching_get_encryption(void *context, struct kf_call *call,
                                           const struct kf_encryption_request *request,
                                           struct kf_error *error, const struct kf_encryption_materials **out)
{
    const struct caching_cmm *self = context;
    const struct kfi_asked asked = {KFI_ENCRYPTION, self->backing, {.encryption = request}};
    const struct kfi_materials *materials;
    enum kf_code code = materials_get(self, call, &asked, request->plaintext_bound, error, &materials);
    *out = kfi_encryption_materials_of(materials);
    return code;
}

static enum kf_code caching_decrypt(void *context, struct kf_call *call,
                                    const struct kf_decryption_request *request, struct kf_error *error,
                                    const struct kf_decryption_materials **out)
{
    const struct caching_cmm *self = context;
    const struct kfi_asked asked = {KFI_DECRYPTION, self->backing, {.decryption = request}};
    const struct kfi_materials *materials;
    enum kf_code code = materials_get(self, call, &asked, 0, error, &materials);
    *out = kfi_decryption_materials_of(materials);
    return code;
}

/* ---- The CMM ---- */

static void caching_destroy(void *context)
{
    struct caching_cmm *self = context;
    kfi_reuse_free(self->reuse);
    kf_cache_listener_unref(self->policies[KFI_ENCRYPTION].listener);
    kfi_stuck_unref(self->policies[KFI_ENCRYPTION].stuck);
    kf_cache_unref(self->cache);
    kf_cmm_unref(self->backing);
    kfi_free(self);
}

#define FAILURE_BACKOFF_MAX_MS 86400000

static enum kf_code caching_options_check(const struct kf_caching_cmm_options *options,
                                          struct kf_error *error)
{
    enum kf_code code = kfi_view_check(options->partition_id, "Option partition_id", error);
    if (code != KF_OK)
        return code;
    if (options->cache == NULL)
        return kf_error_set(error, KF_E_USAGE, "A caching CMM needs a cache (option cache).");
    if ((options->cmm == NULL) == (options->keyring == NULL))
        return kf_error_set(error, KF_E_USAGE,
                            "A caching CMM needs either a CMM or a keyring behind it, not both.");
    if (options->max_age_ms == 0)
        return kf_error_set(error, KF_E_USAGE, "max_age_ms has to be given, and is at least 1.");
    if (options->max_messages == 0 || options->max_messages > KF_MAX_MESSAGES_LIMIT)
        return kf_error_set(error, KF_E_USAGE, "max_messages is from 1 to 2^32.");
    if (options->max_bytes > KF_MAX_BYTES_LIMIT)
        return kf_error_set(error, KF_E_USAGE, "max_bytes is from 0 to 2^63-1.");
    if (options->fetch_timeout_ms == 0)
        return kf_error_set(error, KF_E_USAGE, "fetch_timeout_ms is at least 1.");
    if (options->refresh_ahead_permille > 999)
        return kf_error_set(error, KF_E_USAGE, "refresh_ahead_permille is from 0 (off) to 999.");
    if (options->max_age_jitter_ms >= options->max_age_ms)
        return kf_error_set(error, KF_E_USAGE, "max_age_jitter_ms is less than max_age_ms.");
    if (options->failure_backoff_ms > FAILURE_BACKOFF_MAX_MS)
        return kf_error_set(error, KF_E_USAGE, "failure_backoff_ms is from 0 (off) to a day.");
    return KF_OK;
}

/* Partitions that nobody names are random, so that no two CMMs share by accident. */
#define RANDOM_PARTITION_LENGTH 16

static enum kf_code caching_new(const struct kf_caching_cmm_options *options, struct kf_error *error,
                                struct caching_cmm **out)
{
    struct kf_view partition = options->partition_id;
    size_t length = partition.length > 0 ? partition.length : RANDOM_PARTITION_LENGTH;
    struct caching_cmm *self = kfi_alloc_zeroed(sizeof *self + length);
    if (self == NULL)
        return kfi_no_memory(error);
    uint8_t *copy = (uint8_t *)(self + 1);
    enum kf_code code = KF_OK;
    if (partition.length > 0)
        memcpy(copy, partition.data, partition.length);
    else
        code = kfi_random(copy, length, error);
    struct kfi_stuck *stuck = code == KF_OK ? kfi_stuck_new() : NULL;
    if (stuck == NULL) {
        kfi_free(self);
        return code != KF_OK ? code : kfi_no_memory(error);
    }
    self->partition = kf_view_of(copy, length);
    struct kfi_cache_policy *encrypting = &self->policies[KFI_ENCRYPTION];
    struct kfi_cache_policy *decrypting = &self->policies[KFI_DECRYPTION];
    *encrypting = (struct kfi_cache_policy){
        .rules = {.limits = {options->max_messages, options->max_bytes, options->max_age_ms},
                  .failure_backoff_ms = options->failure_backoff_ms,
                  .refresh_ahead_permille = options->refresh_ahead_permille,
                  .max_flights = options->max_flights,
                  .settle = options->settle},
        .fetch_timeout_ms = options->fetch_timeout_ms,
        .max_age_jitter_ms = options->max_age_jitter_ms,
        .listener = kf_cache_listener_ref(options->listener),
        .stuck = stuck,
    };
    *decrypting = *encrypting;
    decrypting->rules.limits.max_messages = UINT64_MAX; /* reading wears no key out */
    decrypting->rules.limits.max_bytes = UINT64_MAX;
    *out = self;
    return KF_OK;
}

enum kf_code kf_caching_cmm_new(const struct kf_caching_cmm_options *given, struct kf_error *error,
                                struct kf_cmm **out)
{
    static const struct kf_cmm_vtable vtable = {
        .size = sizeof vtable,
        .get_encryption_materials = caching_get_encryption,
        .decrypt_materials = caching_decrypt,
        .destroy = caching_destroy,
        .never_blocks = true,
    };
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    *out = NULL;
    enum kf_code code =
        kfi_sized_read(&options, sizeof options, given, "The options of a caching CMM", error);
    if (code == KF_OK)
        code = caching_options_check(&options, error);
    struct caching_cmm *self = NULL;
    if (code == KF_OK)
        code = caching_new(&options, error, &self);
    if (code != KF_OK)
        return code;
    if (options.listener != NULL && (self->reuse = kfi_reuse_new()) == NULL)
        code = kfi_no_memory(error);
    else if (options.keyring != NULL)
        code = kf_default_cmm_new(options.keyring, error, &self->backing);
    else
        self->backing = kf_cmm_ref(options.cmm);
    if (code == KF_OK) {
        self->cache = kf_cache_ref(options.cache);
        code = kf_cmm_new(&vtable, self, error, out);
    }
    if (code != KF_OK)
        caching_destroy(self);
    return code;
}
