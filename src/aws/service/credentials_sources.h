/*
 * Where credentials come from if the application gives none: a chain of sources, asked one after another.
 * Called by client.c, which makes the chain; the sources are called by the chain alone.
 */
#ifndef KFI_AWS_SERVICE_CREDENTIALS_SOURCES_H
#define KFI_AWS_SERVICE_CREDENTIALS_SOURCES_H

#include "aws/service/credentials.h"
#include "aws/service/endpoint.h"
#include "aws/service/http.h"
#include "aws/service/settings.h"

/*
 * Environment, profile, container endpoint, instance metadata; takes what it needs of `settings`, and a
 * reference of `pool`.
 */
enum kf_code kfi_aws_credentials_chain_new(const struct kfi_aws_settings *settings,
                                           struct kfi_http_pool *pool, struct kf_error *error,
                                           struct kf_aws_credentials_provider **out);

/* ---- The sources ---- */

/* What a source may need to know. */
struct kfi_aws_chain {
    char *profile;
    bool profile_is_explicit;
    struct kfi_http_pool *pool;
};

/*
 * A source answers as a provider does (`call` is a child for itself alone), with one thing more: KF_OK with
 * no result set means that this source has none, and then the error's text says why, in a few words. Errors
 * are for what was meant to serve and failed: the chain ends there, lest somebody else's credentials are
 * taken.
 */
enum kf_code kfi_aws_environment_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                       struct kf_error *error, struct kf_aws_credentials_result *out);
enum kf_code kfi_aws_profile_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                   struct kf_error *error, struct kf_aws_credentials_result *out);
enum kf_code kfi_aws_container_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                     struct kf_error *error, struct kf_aws_credentials_result *out);
enum kf_code kfi_aws_instance_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                    struct kf_error *error, struct kf_aws_credentials_result *out);

/* The value of an environment variable, or NULL if it is not set or empty. */
const char *kfi_aws_environment(const char *name);

#define KFI_AWS_CONTAINER_URL_MAX 2048

/*
 * The URL of the container endpoint that the environment names; "" if it names none. Errors: KF_E_USAGE (it
 * is none, or one that must not be asked).
 */
enum kf_code kfi_aws_container_url(struct kf_error *error, char url[KFI_AWS_CONTAINER_URL_MAX]);

/*
 * The URL of the instance metadata service, without a slash behind. Errors: KF_E_USAGE (the environment names
 * one that can't be).
 */
enum kf_code kfi_aws_instance_endpoint(struct kf_error *error, char url[KFI_AWS_URL_MAX]);

/* ---- What the two sources that are asked by HTTP share ---- */

/* A question to a metadata service, asked again if need be. Zero-initialised it has not been asked. */
struct kfi_aws_metadata {
    struct kfi_http_exchange *exchange;
    uint32_t tries;     /* begun */
    uint64_t resume_at; /* by kfi_now_ms: not before it is the next one begun */
};

struct kfi_aws_metadata_question {
    const char *method, *url;
    const char *const *headers;
    size_t header_count;
    uint64_t timeout_ms; /* of one try */
    uint32_t tries;      /* at most */
};

/*
 * KF_PENDING (then `call` is woken), or KF_OK and the reply of whatever status, which lives until the end; or
 * what the transport said at the last try. The question has to be the same each time.
 */
enum kf_code kfi_aws_metadata_poll(struct kfi_aws_metadata *metadata, struct kfi_http_pool *pool,
                                   const struct kfi_aws_metadata_question *question, struct kf_call *call,
                                   struct kf_error *error, const struct kfi_http_reply **reply);
/* Cancels, wipes; it can be asked another question then. */
void kfi_aws_metadata_end(struct kfi_aws_metadata *metadata);

/* KF_OK for a reply of status 200, else an error about `who` ("The container endpoint"). */
enum kf_code kfi_aws_metadata_check(const struct kfi_http_reply *reply, const char *who,
                                    struct kf_error *error);

/* Credentials out of the JSON that `who` answered; `source` is the phrase that goes with them. */
enum kf_code kfi_aws_metadata_credentials(struct kf_view json, const char *who, const char *source,
                                          struct kf_error *error, struct kf_aws_credentials_result *out);

/* "2026-11-24T13:00:00Z" in seconds since 1970; false if it is not such a time. */
bool kfi_aws_time_parse(const char *text, uint64_t *out);

#endif
