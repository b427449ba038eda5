/*
 * Reuse: see reuse.h. Called by the caching CMM, where somebody listens.
 *
 * Looked at are windows of misses whose contexts have the same keys. When a window is full, and there was
 * less than one hit for two misses meanwhile, the keys are named of whose values at least nine in ten were different.
 * Of values nothing is kept but a hash of each, for as long as the window lasts; beside that one context is held,
 * for the names in it.
 */
#include "materials/cache/reuse.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/bytes.h"
#include "base/fork.h"

struct kfi_reuse {
    atomic_ullong hits;
    struct kfi_fork_guard guard;
    pthread_mutex_t lock;                        /* guards what follows; a leaf */
    const struct kf_encryption_context *context; /* a reference: the first of the window; NULL: none yet */
    size_t misses;
    size_t strangers; /* misses with other keys in their contexts since the window began */
    uint64_t hashes[KFI_REUSE_KEYS_MAX][KFI_REUSE_WINDOW];
};

static void reset(void *context)
{
    struct kfi_reuse *reuse = context;
    pthread_mutex_init(&reuse->lock, NULL);
    reuse->context = NULL;
    reuse->misses = 0;
    reuse->strangers = 0;
}

struct kfi_reuse *kfi_reuse_new(void)
{
    struct kfi_reuse *reuse = kfi_alloc_zeroed(sizeof *reuse);
    if (reuse == NULL)
        return NULL;
    kfi_fork_guard_init(&reuse->guard);
    reset(reuse);
    return reuse;
}

void kfi_reuse_free(struct kfi_reuse *reuse)
{
    if (reuse == NULL)
        return;
    kfi_fork_guard_check(&reuse->guard, reset, reuse);
    kf_encryption_context_unref(reuse->context);
    pthread_mutex_destroy(&reuse->lock);
    kfi_free(reuse);
}

void kfi_reuse_hit(struct kfi_reuse *reuse)
{
    atomic_fetch_add_explicit(&reuse->hits, 1, memory_order_relaxed);
}

/* FNV-1a: two values that are taken for one cost a diagnosis, no more. */
static uint64_t hash(struct kf_view value)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < value.length; i++)
        h = (h ^ value.data[i]) * UINT64_C(0x100000001b3);
    return h;
}

static bool same_keys(const struct kf_encryption_context *a, const struct kf_encryption_context *b)
{
    const size_t count = kf_encryption_context_count(a);
    if (kf_encryption_context_count(b) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!kfi_view_equal(kf_encryption_context_at(a, i).key, kf_encryption_context_at(b, i).key))
            return false;
    }
    return true;
}

static size_t keys_watched(const struct kf_encryption_context *context)
{
    const size_t count = kf_encryption_context_count(context);
    return count < KFI_REUSE_KEYS_MAX ? count : KFI_REUSE_KEYS_MAX;
}

static size_t distinct(const uint64_t *hashes, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (hashes[k] != hashes[i])
            k++;
        found += k == i;
    }
    return found;
}

/* Names the keys, at the end of a window. */
static void judge_locked(const struct kfi_reuse *reuse, struct kfi_reuse_finding *finding)
{
    finding->count = 0;
    finding->misses = reuse->misses;
    for (size_t i = 0; i < keys_watched(reuse->context); i++) {
        if (distinct(reuse->hashes[i], reuse->misses) * 10 >= reuse->misses * 9)
            finding->keys[finding->count++] = kf_encryption_context_at(reuse->context, i).key;
    }
}

/* Ends the window; its reference to a context goes to the caller. */
static const struct kf_encryption_context *end_locked(struct kfi_reuse *reuse)
{
    const struct kf_encryption_context *context = reuse->context;
    reuse->context = NULL;
    reuse->misses = 0;
    reuse->strangers = 0;
    return context;
}

/* Adds a miss to the window; true if that is full now, and is to be judged. */
static bool add_locked(struct kfi_reuse *reuse, const struct kf_encryption_context *context)
{
    if (reuse->context == NULL) {
        reuse->context = kf_encryption_context_ref(context);
        atomic_store_explicit(&reuse->hits, 0, memory_order_relaxed);
    }
    for (size_t i = 0; i < keys_watched(context); i++)
        reuse->hashes[i][reuse->misses] = hash(kf_encryption_context_at(context, i).value);
    return ++reuse->misses == KFI_REUSE_WINDOW;
}

bool kfi_reuse_miss(struct kfi_reuse *reuse, const struct kf_encryption_context *context,
                    struct kfi_reuse_finding *finding)
{
    if (kf_encryption_context_count(context) == 0)
        return false;
    const struct kf_encryption_context *ended = NULL;
    finding->count = 0;
    kfi_fork_guard_check(&reuse->guard, reset, reuse);
    pthread_mutex_lock(&reuse->lock);
    if (reuse->context != NULL && !same_keys(reuse->context, context)) {
        /* Of several kinds of requests one is looked at, until there is more of the others. */
        if (++reuse->strangers >= KFI_REUSE_WINDOW)
            ended = end_locked(reuse);
    } else if (add_locked(reuse, context)) {
        if (atomic_load_explicit(&reuse->hits, memory_order_relaxed) * 2 < reuse->misses)
            judge_locked(reuse, finding);
        ended = end_locked(reuse);
    }
    pthread_mutex_unlock(&reuse->lock);
    if (finding->count > 0) {
        finding->context = ended;
        return true;
    }
    kf_encryption_context_unref(ended);
    return false;
}
