/*
 * Credentials inside the library: immutable, counted, and wiped at the last release. A cache keeps them and
 * refreshes them before they expire, once for all callers.
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
 * As kf_aws_credentials_result_set, for providers of our own: `source` is a phrase that says where the credentials
 * come from. (The public function says "a provider of the application".)
 */
enum kf_code kfi_aws_credentials_result_set(struct kf_aws_credentials_result *result,
                                            const struct kf_aws_credentials *credentials, const char *source,
                                            struct kf_error *error);

bool kfi_aws_credentials_result_is_set(const struct kf_aws_credentials_result *result);

/*
 * One poll of a provider. `call` is used for nothing else (pass a child) and is reset once there is an answer.
 * `*out` becomes a reference. `error` is never NULL.
 */
enum kf_code kfi_aws_credentials_fetch(struct kf_aws_credentials_provider *provider, struct kf_call *call,
                                       struct kf_error *error, struct kfi_aws_credentials **out);

/* Seconds since 1970 by the wall clock, which decides when credentials expire. */
uint64_t kfi_aws_wall_clock(void);
/* For tests: stops the wall clock at `seconds`. UINT64_MAX: it shows the real time again. */
void kfi_aws_wall_clock_test_set(uint64_t seconds);

/* ---- The cache ---- */

/* So long before the expiry a refresh begins in the background. */
#define KFI_AWS_REFRESH_AHEAD_S 300
/* So long before the expiry callers begin to wait for the refresh. */
#define KFI_AWS_REFRESH_NOW_S 60
/* So long after a refresh, whether it failed or not, no other begins, unless the credentials have expired. */
#define KFI_AWS_REFRESH_PAUSE_MS 10000

struct kfi_aws_credentials_cache;

/* Takes a reference of `provider`. A fetch may take `fetch_timeout_ms`. */
enum kf_code kfi_aws_credentials_cache_new(struct kf_aws_credentials_provider *provider,
                                           uint64_t fetch_timeout_ms, struct kf_error *error,
                                           struct kfi_aws_credentials_cache **out);
/* NULL is allowed. Fetches may be under way. */
void kfi_aws_credentials_cache_unref(struct kfi_aws_credentials_cache *cache);

/*
 * Credentials that have not expired. If there are none, KF_PENDING until a fetch has landed, which all callers share.
 * `call` is used for nothing else while this is pending (pass a child). `*out` becomes a reference.
 */
enum kf_code kfi_aws_credentials_get(struct kfi_aws_credentials_cache *cache, struct kf_call *call,
                                     struct kf_error *error, struct kfi_aws_credentials **out);

/* Says that a service refused `credentials` as expired. If they are still in the cache, the next caller fetches. */
void kfi_aws_credentials_refused(struct kfi_aws_credentials_cache *cache,
                                 const struct kfi_aws_credentials *credentials);

#endif
