/*
 * Where credentials come from if the application gives none: a chain of sources that are asked one after another.
 * client.c makes the chain, and the chain alone calls the sources.
 */
#ifndef KFI_AWS_SERVICE_CREDENTIALS_SOURCES_H
#define KFI_AWS_SERVICE_CREDENTIALS_SOURCES_H

#include "aws/service/credentials.h"
#include "aws/service/endpoint.h"
#include "aws/service/http.h"
#include "aws/service/settings.h"

/*
 * The chain of environment, profile, container endpoint and instance metadata. It copies what it needs of
 * `settings`, and takes a reference of `pool`.
 */
enum kf_code kfi_aws_credentials_chain_new(const struct kfi_aws_settings *settings,
                                           struct kfi_http_pool *pool, struct kf_error *error,
                                           struct kf_aws_credentials_provider **out);

/* ---- The sources ---- */

/* What the sources know of the client. */
struct kfi_aws_chain {
    char *profile;
    bool profile_is_explicit; /* by option: then credentials in the environment don't count */
    struct kfi_http_pool *pool;
};

/*
 * A source answers as a provider does; `call` is for this source alone. But a source may also answer KF_OK and set no
 * result: it has no credentials, and the error's text says why, in a few words. An error means that the source was
 * meant to serve and failed. The chain ends there, because the next source may have somebody else's credentials.
 */
enum kf_code kfi_aws_environment_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                       struct kf_error *error, struct kf_aws_credentials_result *out);
enum kf_code kfi_aws_profile_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                   struct kf_error *error, struct kf_aws_credentials_result *out);
enum kf_code kfi_aws_container_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                     struct kf_error *error, struct kf_aws_credentials_result *out);
enum kf_code kfi_aws_instance_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                    struct kf_error *error, struct kf_aws_credentials_result *out);

#define KFI_AWS_CONTAINER_URL_MAX 2048

/*
 * The URL of the container endpoint that the environment names; "" if it names none. Errors: KF_E_USAGE (it is
 * not a URL of http or https, or must not be asked).
 */
enum kf_code kfi_aws_container_url(struct kf_error *error, char url[KFI_AWS_CONTAINER_URL_MAX]);

/*
 * The URL of the instance metadata service, without a slash at its end. Errors: KF_E_USAGE (the environment names
 * one that is not a URL of http or https).
 */
enum kf_code kfi_aws_instance_endpoint(struct kf_error *error, char url[KFI_AWS_URL_MAX]);

/* ---- What the container endpoint and the instance metadata service share ---- */

/* How far a question to such a service has come. All zero: it has not been asked. */
struct kfi_aws_metadata {
    struct kfi_http_exchange *exchange;
    uint32_t tries;     /* that have begun */
    uint64_t resume_at; /* in milliseconds of kfi_now_ms: when the next try begins */
};

struct kfi_aws_metadata_question {
    const char *method, *url;
    const char *const *headers;
    size_t header_count;
    uint64_t timeout_ms; /* of one try */
    uint32_t tries;      /* how many there may be */
};

/*
 * Asks, and asks again where that may help. KF_PENDING, and then `call` is woken; KF_OK and the reply, whatever its
 * status, which lives until kfi_aws_metadata_end; or why the last try got no reply. The question has to be the same
 * at each poll.
 */
enum kf_code kfi_aws_metadata_poll(struct kfi_aws_metadata *metadata, struct kfi_http_pool *pool,
                                   const struct kfi_aws_metadata_question *question, struct kf_call *call,
                                   struct kf_error *error, const struct kfi_http_reply **reply);
/* Cancels and wipes. Another question may follow. */
void kfi_aws_metadata_end(struct kfi_aws_metadata *metadata);

/*
 * Judges what kfi_aws_metadata_poll answered: KF_OK for a reply of status 200, else an error whose sentence begins
 * with `who` ("The container endpoint").
 */
enum kf_code kfi_aws_metadata_check(enum kf_code code, const struct kfi_http_reply *reply, const char *who,
                                    struct kf_error *error);

/* The credentials in the JSON of a reply of `who`; `source` is the phrase that says where they come from. */
enum kf_code kfi_aws_metadata_credentials(const struct kfi_http_reply *reply, const char *who,
                                          const char *source, struct kf_error *error,
                                          struct kf_aws_credentials_result *out);

/* "2026-11-24T13:00:00Z" in seconds since 1970; false if it is not such a time. */
bool kfi_aws_time_parse(const char *text, uint64_t *out);

#endif
