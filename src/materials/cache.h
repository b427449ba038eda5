/*
 * The cache of materials: entries, flights and their budgets, under one lock.
 */
#ifndef KFI_MATERIALS_CACHE_H
#define KFI_MATERIALS_CACHE_H

#include <keyflight/caching_cmm.h>

#include "base/flight.h"

/*
 * What requests have to agree in to share materials: the specification's identifier, and beside it what that
 * leaves out although it decides whether the answer is allowed.
 */
#define KFI_CACHE_ID_LENGTH 48
struct kfi_cache_key {
    uint8_t id[KFI_CACHE_ID_LENGTH];
    uint8_t beside[KFI_CACHE_ID_LENGTH];
};

/* What may be done with one data key. UINT64_MAX: without limit. */
struct kfi_limits {
    uint64_t max_messages;
    uint64_t max_bytes;
    uint64_t max_age_ms;
};

/* How materials of one direction are fetched and kept. */
struct kfi_cache_kind {
    void *(*value_ref)(void *value);
    void (*value_unref)(void *value);
    void *(*request_copy)(const void *request); /* all of its own; NULL: no memory */
    void (*request_free)(void *request);
    /* One poll of the backing CMM with a copied request. */
    enum kf_code (*fetch)(void *request, struct kf_call *call, struct kf_error *error, void **value);
};

struct kfi_cache_question {
    const struct kfi_cache_kind *kind;
    struct kfi_cache_key key;
    struct kfi_limits limits;
    uint64_t length; /* bytes to charge, beside one message */
    uint64_t fetch_timeout_ms;
    const void *request;
};

/*
 * Asks for materials and charges one use of them: KF_OK and a reference, or KF_PENDING: the caller is seated
 * in a flight, `call` keeps the seat (in its state) and is woken; dropping the call leaves the seat. Any
 * other code is the fetch's.
 */
enum kf_code kfi_cache_ask(struct kf_cache *cache, struct kf_call *call,
                           const struct kfi_cache_question *question, struct kf_error *error, void **value);

/* Asks again for what kfi_cache_ask left pending in `call`. */
enum kf_code kfi_cache_poll(struct kf_call *call, struct kf_error *error, void **value);

/* Counts a request that went past the cache. */
void kfi_cache_count_bypass(struct kf_cache *cache);

#endif
