/*
 * Reuse: see reuse.h. Called by the caching CMM, where somebody listens.
 *
 * Misses are counted in periods, of requests whose contexts have the same keys. A period with less than one hit for
 * two misses names the keys of whose values, in its last misses, at least four in five had not come before in it. Of
 * values nothing is kept but one bit for each, until the period ends; beside that one context is held, for the names
 * in it.
 */
#include "materials/cache/reuse.h"

#include <stdatomic.h>

#include "base/bytes.h"
#include "base/fork.h"
#include "base/lock.h"

/* Bits enough that of the values of a whole period few share one: 1 in 17 at its end. */
#define CAME_WORDS (KFI_REUSE_PERIOD * 16 / 64)

struct kfi_reuse {
    atomic_ullong hits;
    struct kfi_fork_guard guard;
    struct kfi_lock lock;                        /* guards what follows; a leaf */
    const struct kf_encryption_context *context; /* a reference: the first of the period; NULL: none yet */
    size_t misses;
    size_t strangers;                 /* misses with other keys in their contexts since the period began */
    size_t fresh[KFI_REUSE_KEYS_MAX]; /* values of the sample that had not come before */
    uint64_t came[KFI_REUSE_KEYS_MAX][CAME_WORDS]; /* a bit for each value of the period, by its hash */
};

/* Begins anew; the former context, whose reference goes to the caller. */
static const struct kf_encryption_context *period_begin(struct kfi_reuse *reuse)
{
    const struct kf_encryption_context *context = reuse->context;
    reuse->context = NULL;
    reuse->misses = 0;
    reuse->strangers = 0;
    memset(reuse->fresh, 0, sizeof reuse->fresh);
    memset(reuse->came, 0, sizeof reuse->came);
    return context;
}

/* In a forked child what was inherited is abandoned. */
static void reuse_reset(void *context)
{
    struct kfi_reuse *reuse = context;
    kfi_lock_init(&reuse->lock);
    (void)period_begin(reuse);
}

struct kfi_reuse *kfi_reuse_new(void)
{
    struct kfi_reuse *reuse = kfi_alloc_zeroed(sizeof *reuse);
    if (reuse == NULL)
        return NULL;
    kfi_fork_guard_init(&reuse->guard);
    reuse_reset(reuse);
    return reuse;
}

void kfi_reuse_free(struct kfi_reuse *reuse)
{
    if (reuse == NULL)
        return;
    kfi_fork_guard_check(&reuse->guard, reuse_reset, reuse);
    kf_encryption_context_unref(reuse->context);
    kfi_lock_end(&reuse->lock);
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

/* Notes that a value came; true if it had not come before. */
static bool note_value(uint64_t came[CAME_WORDS], struct kf_view value)
{
    const uint64_t h = hash(value), bit = UINT64_C(1) << (h % 64);
    uint64_t *word = &came[h / 64 % CAME_WORDS];
    const bool fresh = (*word & bit) == 0;
    *word |= bit;
    return fresh;
}

/* Names the keys, at the end of a period. */
static void period_judge(const struct kfi_reuse *reuse, struct kfi_reuse_finding *finding)
{
    finding->count = 0;
    finding->misses = reuse->misses;
    for (size_t i = 0; i < keys_watched(reuse->context); i++) {
        if (reuse->fresh[i] * 5 >= (size_t)KFI_REUSE_SAMPLE * 4)
            finding->keys[finding->count++] = kf_encryption_context_at(reuse->context, i).key;
    }
}

/* Adds a miss to the period; true if that is over now, and is to be judged. */
static bool period_add(struct kfi_reuse *reuse, const struct kf_encryption_context *context)
{
    if (reuse->context == NULL) {
        reuse->context = kf_encryption_context_ref(context);
        atomic_store_explicit(&reuse->hits, 0, memory_order_relaxed);
    }
    const bool sampled = reuse->misses >= KFI_REUSE_PERIOD - KFI_REUSE_SAMPLE;
    for (size_t i = 0; i < keys_watched(context); i++) {
        const bool fresh = note_value(reuse->came[i], kf_encryption_context_at(context, i).value);
        reuse->fresh[i] += sampled && fresh;
    }
    return ++reuse->misses == KFI_REUSE_PERIOD;
}

bool kfi_reuse_miss(struct kfi_reuse *reuse, const struct kf_encryption_context *context,
                    struct kfi_reuse_finding *finding)
{
    if (kf_encryption_context_count(context) == 0)
        return false;
    const struct kf_encryption_context *ended = NULL;
    finding->count = 0;
    kfi_fork_guard_check(&reuse->guard, reuse_reset, reuse);
    kfi_lock_take(&reuse->lock);
    if (reuse->context != NULL && !same_keys(reuse->context, context)) {
        /* Of several kinds of requests one is looked at, until there is more of the others. */
        if (++reuse->strangers >= KFI_REUSE_PERIOD)
            ended = period_begin(reuse);
    } else if (period_add(reuse, context)) {
        if (atomic_load_explicit(&reuse->hits, memory_order_relaxed) * 2 < reuse->misses)
            period_judge(reuse, finding);
        ended = period_begin(reuse);
    }
    kfi_lock_leave(&reuse->lock);
    if (finding->count > 0) {
        finding->context = ended;
        return true;
    }
    kf_encryption_context_unref(ended);
    return false;
}
