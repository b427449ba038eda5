/*
 * The cache of materials, as the caching CMM sees it.
 */
#ifndef KFI_MATERIALS_CACHE_H
#define KFI_MATERIALS_CACHE_H

#include <keyflight/caching_cmm.h>

#include "base/flight.h"
#include "message/edk.h"

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
    bool decrypts;
    void *(*value_ref)(void *value);
    void (*value_unref)(void *value);
    /* Takes away the bytes that users of the materials gave back; NULL: they never do. Waits for nothing. */
    uint64_t (*value_settled)(void *value);
    void *(*request_copy)(const void *request); /* all of its own, with one reference; NULL: no memory */
    void *(*request_ref)(void *request);        /* of a copy */
    void (*request_unref)(void *request);
    /* One poll of the backing CMM with a copied request. */
    enum kf_code (*fetch)(void *request, struct kf_call *call, struct kf_error *error, void **value);
    /* The EDKs that the key came with or came out of. */
    const struct kfi_edk_list *(*edks)(const void *request, const void *value);
};

/* What a caching CMM wants of the cache. It lives as long as any call to that CMM. */
struct kfi_cache_policy {
    struct kfi_limits limits;
    uint64_t fetch_timeout_ms;
    uint64_t max_age_jitter_ms;
    uint64_t failure_backoff_ms;
    uint32_t refresh_ahead_permille;
    uint32_t max_flights; /* 0: any number */
    bool settle;
    struct kf_cache_listener *listener; /* or NULL */
};

struct kfi_cache_question {
    const struct kfi_cache_kind *kind;
    const struct kfi_cache_policy *policy;
    struct kfi_cache_key key;
    uint64_t length; /* bytes to charge, beside one message */
    const void *request;
};

/* What asking came to, for statistics of the caching CMM's own. */
enum kfi_cache_look {
    KFI_CACHE_REFUSED, /* by an error, of a fetch before or of ours */
    KFI_CACHE_HIT,
    KFI_CACHE_COALESCED,
    KFI_CACHE_QUEUED,
    KFI_CACHE_OPENED,
    KFI_CACHE_NEEDS_SEAT, /* within the cache only: memory has to be prepared */
    KFI_CACHE_NEEDS_FLIGHT
};

/*
 * Asks for materials and charges one use of them: KF_OK and a reference, or KF_PENDING: the caller is seated
 * in a flight or waits for his turn to be, `call` keeps that (in its state) and is woken; dropping the call
 * gives it up. Any other code is the fetch's.
 */
enum kf_code kfi_cache_ask(struct kf_cache *cache, struct kf_call *call,
                           const struct kfi_cache_question *question, struct kf_error *error,
                           enum kfi_cache_look *look, void **value);

/* Asks again for what kfi_cache_ask left pending in `call`. */
enum kf_code kfi_cache_poll(struct kf_call *call, struct kf_error *error, void **value);

/* Counts a request that went past the cache. */
void kfi_cache_count_bypass(struct kf_cache *cache);

#endif
