/*
 * Credentials inside the library: immutable, counted, wiped at the last release; kept by a cache that
 * refreshes them ahead of their expiry, once for all who wait.
 */
#ifndef KFI_AWS_SERVICE_CREDENTIALS_H
#define KFI_AWS_SERVICE_CREDENTIALS_H

#include <keyflight/aws_credentials.h>

#include "base/refs.h"

struct kfi_aws_credentials {
    struct kfi_refs refs;
    const char *access_key_id, *secret_access_key; /* NUL-terminated, behind the struct in the same block */
    const char *session_token;                     /* NULL: none */
    const char *source;                            /* a phrase: where they come from */
    uint64_t expires_at;                           /* as in kf_aws_credentials */
    size_t block;                                  /* bytes of the block, all of them wiped */
};

struct kfi_aws_credentials *kfi_aws_credentials_ref(struct kfi_aws_credentials *credentials);
void kfi_aws_credentials_unref(struct kfi_aws_credentials *credentials); /* NULL is allowed */

/*
 * What a provider of ours puts beside: where they come from. The public one says "a provider of the
 * application".
 */
enum kf_code kfi_aws_credentials_result_set(struct kf_aws_credentials_result *result,
                                            const struct kf_aws_credentials *credentials, const char *source,
                                            struct kf_error *error);

bool kfi_aws_credentials_result_is_set(const struct kf_aws_credentials_result *result);

/*
 * One poll of a provider; `call` is for this alone (pass a child) and is reset once there is an answer.
 * `*out` becomes a reference. `error` is never NULL.
 */
enum kf_code kfi_aws_credentials_fetch(struct kf_aws_credentials_provider *provider, struct kf_call *call,
                                       struct kf_error *error, struct kfi_aws_credentials **out);

/* Seconds since 1970, by the clock of the wall: expiry goes by it. */
uint64_t kfi_aws_wall_clock(void);
/* For tests: from now on it shows `seconds` until it is set again; UINT64_MAX: the real time again. */
void kfi_aws_wall_clock_test_set(uint64_t seconds);

/* ---- The cache ---- */

/* How long before the expiry a refresh begins in the background, and from when on callers wait for it. */
#define KFI_AWS_REFRESH_AHEAD_S 300
#define KFI_AWS_REFRESH_NOW_S 60
/* After a refresh, of whatever outcome, none is begun for so long while there still are credentials. */
#define KFI_AWS_REFRESH_PAUSE_MS 10000

struct kfi_aws_credentials_cache;

/* Takes a reference of `provider`. `fetch_timeout_ms`: limit of one fetch. */
enum kf_code kfi_aws_credentials_cache_new(struct kf_aws_credentials_provider *provider,
                                           uint64_t fetch_timeout_ms, struct kf_error *error,
                                           struct kfi_aws_credentials_cache **out);
void kfi_aws_credentials_cache_unref(
    struct kfi_aws_credentials_cache *cache); /* NULL is allowed; fetches may be under way */

/*
 * Credentials that are good now: at once if there are some, else KF_PENDING until a fetch, shared by all who
 * ask, has landed. `call` is used for nothing else while this is pending (pass a child). `*out` becomes a
 * reference.
 */
enum kf_code kfi_aws_credentials_get(struct kfi_aws_credentials_cache *cache, struct kf_call *call,
                                     struct kf_error *error, struct kfi_aws_credentials **out);

/*
 * Says that a service refused `credentials` as expired: unless others are there already, the next ask
 * fetches.
 */
void kfi_aws_credentials_refused(struct kfi_aws_credentials_cache *cache,
                                 const struct kfi_aws_credentials *credentials);

#endif
