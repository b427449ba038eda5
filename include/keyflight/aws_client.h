/*
 * The AWS client: how requests reach AWS. Region, endpoint, credentials, connections, retries; shared by any
 * number of keyrings. Part of libkeyflight-aws.
 *
 * What an option leaves open comes from where the AWS SDKs take it: environment variables, then the shared
 * configuration files. They are read once, when the client is made; but credentials are looked for anew at
 * each refresh, maybe on the internal thread, so that nobody should change the environment while there is a
 * client.
 */
#ifndef KEYFLIGHT_AWS_CLIENT_H
#define KEYFLIGHT_AWS_CLIENT_H

#include <keyflight/aws_credentials.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A switch that an option may leave to the environment and the profile. */
enum kf_aws_switch {
    KF_AWS_UNSET = 0,
    KF_AWS_OFF = 1,
    KF_AWS_ON = 2
};

KF_API const char *kf_aws_switch_name(enum kf_aws_switch value);

struct kf_aws_client_options {
    size_t size;

    /* NULL: AWS_PROFILE, or "default". With one, credentials in the environment don't count. */
    const char *profile;
    /* For keys that are not given by ARN. NULL: AWS_REGION, AWS_DEFAULT_REGION, profile. */
    const char *region;
    /* Of KMS. NULL: AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, profile, the region's. */
    const char *endpoint_url;
    enum kf_aws_switch use_fips;       /* KF_AWS_UNSET: AWS_USE_FIPS_ENDPOINT, profile, off */
    enum kf_aws_switch use_dual_stack; /* KF_AWS_UNSET: AWS_USE_DUALSTACK_ENDPOINT, profile, off */
    /* A PEM file of the certificates to trust. NULL: AWS_CA_BUNDLE, profile, the system's. */
    const char *ca_bundle;

    /* NULL: the default chain. The client takes a reference. */
    struct kf_aws_credentials_provider *credentials;

    uint32_t max_connections;    /* at once, over all regions; 1 to 10,000 */
    uint32_t max_attempts;       /* of one request, 1 to 100; 0: AWS_MAX_ATTEMPTS, profile, 3 */
    uint64_t connect_timeout_ms; /* of one attempt, at least 1 */
    uint64_t attempt_timeout_ms; /* of one attempt from its beginning to its last byte, at least 1 */
    uint64_t request_timeout_ms; /* of a request with all its attempts, or of finding credentials */
    const char *application;     /* put behind "keyflight/VERSION" in the User-Agent; NULL: nothing */
};

#define KF_AWS_CLIENT_OPTIONS_INIT                                                                          \
    {                                                                                                       \
        sizeof(struct kf_aws_client_options), NULL, NULL, NULL, KF_AWS_UNSET, KF_AWS_UNSET, NULL, NULL, 50, \
            0, 2000, 5000, 10000, NULL                                                                      \
    }

KF_API void kf_aws_client_options_init(struct kf_aws_client_options *out, size_t size);

struct kf_aws_client;

/*
 * Makes a client; nothing is sent. `options` NULL: the defaults. Reads environment and configuration files
 * (on the calling thread). Errors: KF_E_USAGE (an option or a setting is wrong; the sentence says which and
 * where it comes from), KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
KF_CODE kf_aws_client_new(const struct kf_aws_client_options *options, struct kf_error *error,
                          struct kf_aws_client **out);
KF_API struct kf_aws_client *kf_aws_client_ref(struct kf_aws_client *client);
KF_API void kf_aws_client_unref(struct kf_aws_client *client); /* NULL is allowed */

/* ---- For a diagnosis: what a client would use, and where that comes from ---- */

struct kf_aws_setting {
    const char *value;  /* NULL: there is none */
    const char *source; /* where it was found, or what was looked through in vain */
};

struct kf_aws_settings {
    size_t size; /* sizeof(struct kf_aws_settings), set by the caller */
    struct kf_aws_setting profile;
    struct kf_aws_setting region;
    struct kf_aws_setting kms_endpoint; /* for that region */
    struct kf_aws_setting ca_bundle;
    struct kf_aws_setting max_attempts;
};

#define KF_AWS_SETTINGS_INIT                                                                    \
    {                                                                                           \
        sizeof(struct kf_aws_settings), {NULL, NULL}, {NULL, NULL}, {NULL, NULL}, {NULL, NULL}, \
        {                                                                                       \
            NULL, NULL                                                                          \
        }                                                                                       \
    }

KF_API void kf_aws_settings_init(struct kf_aws_settings *out, size_t size);

/* Fills as much of `*out` as out->size says; the strings live as long as the client. */
KF_API void kf_aws_client_settings(const struct kf_aws_client *client, struct kf_aws_settings *out);

/*
 * The endpoint of KMS that a key in `region` (NULL: the client's) is used at, with its scheme. Errors:
 * KF_E_USAGE (no region, or one that can't be), KF_E_NO_MEMORY.
 */
KF_CODE kf_aws_client_kms_endpoint(const struct kf_aws_client *client, const char *region,
                                   struct kf_error *error, struct kf_buf *out);

/* Finding the credentials: an operation that may have to ask a metadata service. */
struct kf_aws_credentials_lookup;

/* `timeout_ms` 0: no limit of its own. Errors: KF_E_USAGE, KF_E_NO_MEMORY. */
KF_CODE kf_aws_credentials_lookup_new(struct kf_aws_client *client, uint64_t timeout_ms,
                                      struct kf_error *error, struct kf_aws_credentials_lookup **out);
/*
 * KF_OK: found. KF_PENDING: the waker is called once polling again is worth while; with waker NULL it blocks.
 * Errors: KF_E_USAGE (nowhere; the sentence lists what was tried), KF_E_RETRY, KF_E_REMOTE, KF_E_TIMEOUT, …
 */
KF_CODE kf_aws_credentials_lookup_poll(struct kf_aws_credentials_lookup *lookup,
                                       const struct kf_waker *waker);
/* In how many milliseconds to poll at the latest; UINT64_MAX: never. */
KF_API uint64_t kf_aws_credentials_lookup_deadline(const struct kf_aws_credentials_lookup *lookup);
KF_API const struct kf_error *kf_aws_credentials_lookup_error(const struct kf_aws_credentials_lookup *lookup);
/* After KF_OK, living as long as the lookup: the access key id (no secret), when it expires, and whence. */
KF_API const char *kf_aws_credentials_lookup_access_key_id(const struct kf_aws_credentials_lookup *lookup);
KF_API uint64_t kf_aws_credentials_lookup_expires_at(const struct kf_aws_credentials_lookup *lookup);
KF_API const char *kf_aws_credentials_lookup_source(const struct kf_aws_credentials_lookup *lookup);
KF_API void kf_aws_credentials_lookup_free(struct kf_aws_credentials_lookup *lookup); /* NULL is allowed */

#ifdef __cplusplus
}
#endif

#endif
