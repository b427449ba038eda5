/*
 * The caching CMM: decides which requests may share materials, and under what limits. The sharing is
 * cache.c's. (S: framework/caching-cmm.md)
 *
 * To its callers it is an asynchronous CMM like any other: a caller who has to wait has a seat in a flight,
 * kept as the state of his call.
 */
#include <keyflight/caching_cmm.h>

#include "base/error.h"
#include "base/sized.h"
#include "materials/cache_events.h"
#include "materials/cache_id.h"
#include "materials/materials.h"
#include "materials/reuse.h"
#include "suite/random.h"

struct caching_cmm {
    struct kf_cache *cache;
    struct kf_cmm *backing;
    struct kfi_cache_policy encrypting; /* with a reference to the listener */
    struct kfi_cache_policy decrypting; /* borrows it */
    struct kfi_reuse *reuse;            /* only with a listener */
    struct kf_view partition;           /* its own copy */
};

/* The state of a call that goes past the cache: it stays that way from poll to poll. */
static const char bypassing;

static enum kf_code nested(struct kf_error *error)
{
    return kf_error_set(
        error, KF_E_USAGE,
        "The materials that this caching CMM fetched came out of a caching CMM already: a second one around "
        "it would multiply the limits. Put one caching CMM outermost, or use CMMs that make new materials.");
}

/* ---- Encryption ---- */

/* Asks the backing CMM for materials that have been in no caching CMM yet, and marks them. */
static enum kf_code encryption_fresh(struct kf_cmm *backing, struct kf_call *call,
                                     const struct kf_encryption_request *request, struct kf_error *error,
                                     const struct kf_encryption_materials **out)
{
    enum kf_code code = kf_cmm_get_encryption_materials(backing, kf_call_child(call, 0), request, error, out);
    if (code == KF_OK && kfi_encryption_materials_mark_cached(*out)) {
        kf_encryption_materials_unref(*out);
        *out = NULL;
        code = nested(error);
    }
    return code;
}

/* What a question carries until it may have to be copied. */
struct encryption_asked {
    const struct caching_cmm *self;
    const struct kf_encryption_request *request;
};

/* A copy of a request that outlives its asker. */
struct encryption_copy {
    struct kfi_refs refs;
    struct kf_cmm *backing;
    struct kf_encryption_request request;
    struct kf_view *required_keys;
};

static void *encryption_request_copy(const void *context)
{
    const struct encryption_asked *asked = context;
    const struct kf_encryption_request *request = asked->request;
    struct encryption_copy *copy = kfi_alloc(sizeof *copy);
    struct kf_view *required_keys = kfi_copy_all(request->required_keys, request->required_key_count);
    if (copy == NULL || required_keys == NULL) {
        kfi_free(required_keys);
        kfi_free(copy);
        return NULL;
    }
    kfi_refs_init(&copy->refs);
    copy->backing = kf_cmm_ref(asked->self->backing);
    copy->request = *request;
    kf_encryption_context_ref(request->encryption_context);
    copy->required_keys = required_keys;
    copy->request.required_keys = required_keys;
    /* The materials will serve other messages too, so that this one's length is nobody's business. */
    copy->request.plaintext_bound = KF_LENGTH_UNKNOWN;
    return copy;
}

static void *encryption_request_ref(void *request)
{
    struct encryption_copy *copy = request;
    kfi_refs_add(&copy->refs, 1);
    return copy;
}

static void encryption_request_unref(void *request)
{
    struct encryption_copy *copy = request;
    if (!kfi_refs_drop(&copy->refs))
        return;
    kf_encryption_context_unref(copy->request.encryption_context);
    kfi_free(copy->required_keys);
    kf_cmm_unref(copy->backing);
    kfi_free(copy);
}

static enum kf_code encryption_fetch(void *request, struct kf_call *call, struct kf_error *error,
                                     void **value)
{
    struct encryption_copy *copy = request;
    const struct kf_encryption_materials *materials;
    enum kf_code code = encryption_fresh(copy->backing, call, &copy->request, error, &materials);
    if (code != KF_OK)
        return code;
    if (!materials->suite->info.derives) {
        code = kf_error_set(
            error, KF_E_POLICY,
            "The backing CMM chose suite %04x unasked; without a key derivation its keys must not be "
            "shared. Name that suite in the request, and the cache is bypassed.",
            (unsigned)materials->suite->info.id);
        kf_encryption_materials_unref(materials);
        return code;
    }
    *value = kfi_refs_unconst(materials);
    return KF_OK;
}

static void *encryption_value_ref(void *value)
{
    return kfi_refs_unconst(kf_encryption_materials_ref(value));
}

static void encryption_value_unref(void *value)
{
    kf_encryption_materials_unref(value);
}

static uint64_t encryption_value_settled(void *value)
{
    return kfi_encryption_materials_settled(value);
}

static const struct kfi_edk_list *encryption_edks(const void *request, const void *value)
{
    (void)request;
    return &((const struct kf_encryption_materials *)value)->edks;
}

static const struct kfi_cache_kind encryption_kind = {
    .value_ref = encryption_value_ref,
    .value_unref = encryption_value_unref,
    .value_settled = encryption_value_settled,
    .request_copy = encryption_request_copy,
    .request_ref = encryption_request_ref,
    .request_unref = encryption_request_unref,
    .fetch = encryption_fetch,
    .edks = encryption_edks,
};

/* Looks whether the cache does any good, and tells the listener if it hardly does. */
static void watch_reuse(struct caching_cmm *self, const struct kf_encryption_context *context,
                        enum kfi_cache_look look)
{
    if (self->reuse == NULL || look == KFI_CACHE_REFUSED)
        return;
    struct kfi_reuse_finding finding;
    if (look != KFI_CACHE_OPENED) {
        kfi_reuse_hit(self->reuse);
    } else if (kfi_reuse_miss(self->reuse, context, &finding)) {
        kfi_cache_tell(self->encrypting.listener, (struct kf_cache_event){
                                                      .kind = KF_CACHE_LOW_REUSE,
                                                      .context_keys = finding.keys,
                                                      .context_key_count = finding.count,
                                                      .misses = finding.misses,
                                                  });
        kf_encryption_context_unref(finding.context);
    }
}

/*
 * Whether a request goes past the cache: each key is then used once, outside the limits, and the caller's own
 * polls drive the backing CMM.
 */
static bool encryption_bypasses(const struct caching_cmm *self, const struct kf_encryption_request *request)
{
    if (request->plaintext_bound == KF_LENGTH_UNKNOWN ||
        request->plaintext_bound > self->encrypting.limits.max_bytes)
        return true;
    if (request->suite == KF_SUITE_DEFAULT)
        return false;
    const struct kfi_suite *suite = kfi_suite_get(request->suite);
    return suite == NULL || !suite->info.derives;
}

static enum kf_code get_encryption_materials(void *context, struct kf_call *call,
                                             const struct kf_encryption_request *request,
                                             struct kf_error *error,
                                             const struct kf_encryption_materials **out)
{
    struct caching_cmm *self = context;
    void *value = NULL;
    enum kf_code code;
    if (kf_call_state(call) == &bypassing)
        return encryption_fresh(self->backing, call, request, error, out);
    if (kf_call_state(call) != NULL) {
        code = kfi_cache_poll(call, error, &value);
        *out = value;
        return code;
    }
    if (encryption_bypasses(self, request)) {
        kfi_cache_count_bypass(self->cache);
        kf_call_state_set(call, (void *)(uintptr_t)&bypassing, NULL);
        return encryption_fresh(self->backing, call, request, error, out);
    }
    const struct encryption_asked asked = {self, request};
    struct kfi_cache_question question = {
        .kind = &encryption_kind,
        .policy = &self->encrypting,
        .length = request->plaintext_bound,
        .request = &asked,
    };
    enum kfi_cache_look look = KFI_CACHE_REFUSED;
    code = kfi_cache_key_encryption(self->partition, request, error, &question.key);
    if (code == KF_OK)
        code = kfi_cache_ask(self->cache, call, &question, error, &look, &value);
    watch_reuse(self, request->encryption_context, look);
    *out = value;
    return code;
}

/* ---- Decryption ---- */

static enum kf_code decryption_fresh(struct kf_cmm *backing, struct kf_call *call,
                                     const struct kf_decryption_request *request, struct kf_error *error,
                                     const struct kf_decryption_materials **out)
{
    enum kf_code code = kf_cmm_decrypt_materials(backing, kf_call_child(call, 0), request, error, out);
    if (code == KF_OK && kfi_decryption_materials_mark_cached(*out)) {
        kf_decryption_materials_unref(*out);
        *out = NULL;
        code = nested(error);
    }
    return code;
}

struct decryption_copy {
    struct kfi_refs refs;
    struct kf_cmm *backing;
    struct kf_decryption_request request;
    struct kfi_edk_list edks;
};

struct decryption_asked {
    const struct caching_cmm *self;
    const struct kf_decryption_request *request;
};

static void *decryption_request_ref(void *request)
{
    struct decryption_copy *copy = request;
    kfi_refs_add(&copy->refs, 1);
    return copy;
}

static void decryption_request_unref(void *request)
{
    struct decryption_copy *copy = request;
    if (!kfi_refs_drop(&copy->refs))
        return;
    kf_encryption_context_unref(copy->request.encryption_context);
    kf_encryption_context_unref(copy->request.reproduced_encryption_context);
    kfi_edk_list_free(&copy->edks);
    kf_cmm_unref(copy->backing);
    kfi_free(copy);
}

static void *decryption_request_copy(const void *context)
{
    const struct decryption_asked *asked = context;
    struct decryption_copy *copy = kfi_alloc_zeroed(sizeof *copy);
    if (copy == NULL)
        return NULL;
    kfi_refs_init(&copy->refs);
    copy->backing = kf_cmm_ref(asked->self->backing);
    copy->request = *asked->request;
    kf_encryption_context_ref(copy->request.encryption_context);
    kf_encryption_context_ref(copy->request.reproduced_encryption_context);
    for (size_t i = 0; i < asked->request->edk_count; i++) {
        if (kfi_edk_list_add(&copy->edks, &asked->request->edks[i], NULL) != KF_OK) {
            decryption_request_unref(copy);
            return NULL;
        }
    }
    copy->request.edks = copy->edks.items;
    return copy;
}

static enum kf_code decryption_fetch(void *request, struct kf_call *call, struct kf_error *error,
                                     void **value)
{
    struct decryption_copy *copy = request;
    const struct kf_decryption_materials *materials;
    enum kf_code code = decryption_fresh(copy->backing, call, &copy->request, error, &materials);
    *value = kfi_refs_unconst(materials);
    return code;
}

static void *decryption_value_ref(void *value)
{
    return kfi_refs_unconst(kf_decryption_materials_ref(value));
}

static void decryption_value_unref(void *value)
{
    kf_decryption_materials_unref(value);
}

static const struct kfi_edk_list *decryption_edks(const void *request, const void *value)
{
    (void)value;
    return &((const struct decryption_copy *)request)->edks;
}

static const struct kfi_cache_kind decryption_kind = {
    .decrypts = true,
    .value_ref = decryption_value_ref,
    .value_unref = decryption_value_unref,
    .request_copy = decryption_request_copy,
    .request_ref = decryption_request_ref,
    .request_unref = decryption_request_unref,
    .fetch = decryption_fetch,
    .edks = decryption_edks,
};

static bool decryption_bypasses(const struct kf_decryption_request *request)
{
    const struct kfi_suite *suite = kfi_suite_get(request->suite);
    return suite == NULL || !suite->info.derives;
}

static enum kf_code decrypt_materials(void *context, struct kf_call *call,
                                      const struct kf_decryption_request *request, struct kf_error *error,
                                      const struct kf_decryption_materials **out)
{
    struct caching_cmm *self = context;
    void *value = NULL;
    enum kf_code code;
    if (kf_call_state(call) == &bypassing)
        return decryption_fresh(self->backing, call, request, error, out);
    if (kf_call_state(call) != NULL) {
        code = kfi_cache_poll(call, error, &value);
        *out = value;
        return code;
    }
    if (decryption_bypasses(request)) {
        kfi_cache_count_bypass(self->cache);
        kf_call_state_set(call, (void *)(uintptr_t)&bypassing, NULL);
        return decryption_fresh(self->backing, call, request, error, out);
    }
    const struct decryption_asked asked = {self, request};
    struct kfi_cache_question question = {
        .kind = &decryption_kind,
        .policy = &self->decrypting,
        .request = &asked,
    };
    enum kfi_cache_look look;
    code = kfi_cache_key_decryption(self->partition, request, error, &question.key);
    if (code == KF_OK)
        code = kfi_cache_ask(self->cache, call, &question, error, &look, &value);
    *out = value;
    return code;
}

/* ---- The CMM ---- */

static void destroy(void *context)
{
    struct caching_cmm *self = context;
    kfi_reuse_free(self->reuse);
    kf_cache_listener_unref(self->encrypting.listener);
    kf_cache_unref(self->cache);
    kf_cmm_unref(self->backing);
    kfi_free(self);
}

#define FAILURE_BACKOFF_MAX_MS 86400000

static enum kf_code options_check(const struct kf_caching_cmm_options *options, struct kf_error *error)
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

static enum kf_code self_new(const struct kf_caching_cmm_options *options, struct kf_error *error,
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
    if (code != KF_OK) {
        kfi_free(self);
        return code;
    }
    self->partition = kf_view_of(copy, length);
    self->encrypting = (struct kfi_cache_policy){
        .limits = {options->max_messages, options->max_bytes, options->max_age_ms},
        .fetch_timeout_ms = options->fetch_timeout_ms,
        .max_age_jitter_ms = options->max_age_jitter_ms,
        .failure_backoff_ms = options->failure_backoff_ms,
        .refresh_ahead_permille = options->refresh_ahead_permille,
        .max_flights = options->max_flights,
        .settle = options->settle,
        .listener = kf_cache_listener_ref(options->listener),
    };
    self->decrypting = self->encrypting;
    self->decrypting.limits.max_messages = UINT64_MAX; /* reading wears no key out */
    self->decrypting.limits.max_bytes = UINT64_MAX;
    *out = self;
    return KF_OK;
}

enum kf_code kf_caching_cmm_new(const struct kf_caching_cmm_options *given, struct kf_error *error,
                                struct kf_cmm **out)
{
    static const struct kf_cmm_vtable vtable = {
        .size = sizeof vtable,
        .get_encryption_materials = get_encryption_materials,
        .decrypt_materials = decrypt_materials,
        .destroy = destroy,
    };
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    *out = NULL;
    enum kf_code code =
        kfi_sized_read(&options, sizeof options, given, "The options of a caching CMM", error);
    if (code == KF_OK)
        code = options_check(&options, error);
    struct caching_cmm *self = NULL;
    if (code == KF_OK)
        code = self_new(&options, error, &self);
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
        destroy(self);
    return code;
}
