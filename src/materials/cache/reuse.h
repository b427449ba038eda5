/*
 * Reuse: whether a caching CMM does any good, and which keys of the encryption context keep it from that.
 */
#ifndef KFI_MATERIALS_CACHE_REUSE_H
#define KFI_MATERIALS_CACHE_REUSE_H

#include <keyflight/encryption_context.h>

/* Keys of a context that are looked at, the first ones by name. */
#define KFI_REUSE_KEYS_MAX 16
/*
 * So many misses make a period, at whose end it is judged. Only the last ones are looked at: that a value comes for
 * the first time is no evidence while a process is young, and each of its tenants has to come once.
 */
#define KFI_REUSE_PERIOD 1024
#define KFI_REUSE_SAMPLE 64

struct kfi_reuse;

struct kfi_reuse *kfi_reuse_new(void); /* NULL: no memory */
void kfi_reuse_free(struct kfi_reuse *reuse);

/* A request that was answered by a key which was there or under way. */
void kfi_reuse_hit(struct kfi_reuse *reuse);

struct kfi_reuse_finding {
    const struct kf_encryption_context *context; /* a reference; the keys are views of it */
    struct kf_view keys[KFI_REUSE_KEYS_MAX];
    size_t count;
    uint64_t misses;
};

/*
 * A request with this context (NULL: empty) that began a fetch. True if `*finding` says which keys' values
 * keep the requests from sharing data keys; its reference then belongs to the caller.
 */
bool kfi_reuse_miss(struct kfi_reuse *reuse, const struct kf_encryption_context *context,
                    struct kfi_reuse_finding *finding);

#endif
