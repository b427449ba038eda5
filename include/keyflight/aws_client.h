/*
 * The AWS client: how requests reach AWS. It has region, endpoint, credentials, connections and retries, and any number
 * of keyrings share it. Part of libkeyflight-aws.
 *
 * What an option leaves open comes from where the AWS SDKs take it: from environment variables, then from the shared
 * configuration files. They are read once, when the client is made. Only credentials are looked for again whenever
 * they have to be renewed, maybe on the library's own thread. So don't change the environment while there is a client.
 */
#ifndef KEYFLIGHT_AWS_CLIENT_H
#define KEYFLIGHT_AWS_CLIENT_H

#include <keyflight/aws_credentials.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A switch. Where it is unset the environment decides, then the profile. */
enum kf_aws_switch {
    KF_AWS_UNSET = 0,
    KF_AWS_OFF = 1,
    KF_AWS_ON = 2
};

KF_API const char *kf_aws_switch_name(enum kf_aws_switch value);

struct kf_aws_client_options {
    size_t size;

    /*
     * Strings are copied. Where one is NULL, or a switch is unset, the places that are listed are looked through, and
     * the first that has a value decides.
     */

    /* AWS_PROFILE, "default". If this option is given, credentials in the environment don't count. */
    const char *profile;
    /* For keys that are not given by ARN: AWS_REGION, AWS_DEFAULT_REGION, profile. */
    const char *region;
    /* The URL of KMS: AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, profile, that of the region. */
    const char *endpoint_url;
    enum kf_aws_switch use_fips;       /* AWS_USE_FIPS_ENDPOINT, profile, off */
    enum kf_aws_switch use_dual_stack; /* AWS_USE_DUALSTACK_ENDPOINT, profile, off */
    /*
     * A file of the certificates to trust, in PEM: AWS_CA_BUNDLE, profile, those of the system. Where libcurl finds these
     * was fixed when it was built: in a file, or in a directory if there is no file.
     */
    const char *ca_bundle;

    /* NULL: credentials are looked for where the AWS SDKs look for them. */
    struct kf_aws_credentials_provider *credentials;

    uint32_t max_connections;    /* at once, to all regions together; 1 to 10,000 */
    uint32_t max_attempts;       /* for one request, 1 to 100; 0: AWS_MAX_ATTEMPTS, profile, 3 */
    uint64_t connect_timeout_ms; /* how long one attempt may take to connect, at least 1 */
    uint64_t attempt_timeout_ms; /* how long one attempt may take as a whole, at least 1 */
    /* How long all attempts may take, or the search for credentials, at least 1. */
    uint64_t request_timeout_ms;
    /* 1 to 256 bytes of printable ASCII. The User-Agent has it behind "keyflight/VERSION". NULL: nothing. */
    const char *application;
};

#define KF_AWS_CLIENT_OPTIONS_INIT                                                                          \
    {                                                                                                       \
        sizeof(struct kf_aws_client_options), NULL, NULL, NULL, KF_AWS_UNSET, KF_AWS_UNSET, NULL, NULL, 50, \
            0, 2000, 5000, 10000, NULL                                                                      \
    }

KF_API void kf_aws_client_options_init(struct kf_aws_client_options *out, size_t size);

struct kf_aws_client;

/*
 * Makes a client. It reads the environment and configuration files now, on this thread, and sends nothing yet.
 * `options` may be NULL: the defaults. Errors: KF_E_USAGE (an option or a setting is wrong; the sentence says which
 * one and where it comes from), KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
KF_CODE kf_aws_client_new(const struct kf_aws_client_options *options, struct kf_error *error,
                          struct kf_aws_client **out);
KF_API struct kf_aws_client *kf_aws_client_ref(struct kf_aws_client *client);
KF_API void kf_aws_client_unref(struct kf_aws_client *client);

/* ---- To find out what a client would use, and where that comes from ---- */

struct kf_aws_setting {
    const char *value;  /* NULL: there is none */
    const char *source; /* where it was found; or where it was not found */
};

struct kf_aws_settings {
    size_t size; /* sizeof(struct kf_aws_settings), set by the caller */
    struct kf_aws_setting profile;
    struct kf_aws_setting region;
    struct kf_aws_setting kms_endpoint; /* its URL, for this region */
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

/* Fills `*out` as far as its size says. The strings live as long as the client. */
KF_API void kf_aws_client_settings(const struct kf_aws_client *client, struct kf_aws_settings *out);

/*
 * Answers the URL of KMS for keys in `region` (NULL: that of the client). Errors: KF_E_USAGE (there is no region, or it
 * is not a valid one), KF_E_NO_MEMORY.
 */
KF_CODE kf_aws_client_kms_endpoint(const struct kf_aws_client *client, const char *region,
                                   struct kf_error *error, struct kf_buf *out);

/* A search for credentials, which may have to ask a metadata service. It is used by one thread at a time. */
struct kf_aws_credentials_lookup;

/*
 * Begins a search, which may take `timeout_ms` from its first poll on (0: as long as request_timeout_ms of the client).
 * Errors: KF_E_USAGE, KF_E_SYSTEM, KF_E_NO_MEMORY.
 */
KF_CODE kf_aws_credentials_lookup_new(struct kf_aws_client *client, uint64_t timeout_ms,
                                      struct kf_error *error, struct kf_aws_credentials_lookup **out);
/*
 * KF_OK: there are credentials. KF_PENDING: not yet, and `waker` is called once polling again is worth while. With
 * `waker` NULL the poll blocks instead. Errors: KF_E_USAGE (there are none, and the sentence says where they were
 * looked for), KF_E_FORKED, KF_E_CLEANED_UP, KF_E_REMOTE, KF_E_RETRY, KF_E_TIMEOUT, KF_E_SYSTEM, KF_E_NO_MEMORY, and
 * what a provider answers.
 */
KF_CODE kf_aws_credentials_lookup_poll(struct kf_aws_credentials_lookup *lookup,
                                       const struct kf_waker *waker);
/* In how many milliseconds it has to be polled at the latest, because of timeout_ms. Or KF_NO_DEADLINE. */
KF_API uint64_t kf_aws_credentials_lookup_deadline(const struct kf_aws_credentials_lookup *lookup);
/* Why a poll failed. Lives as long as the lookup. */
KF_API const struct kf_error *kf_aws_credentials_lookup_error(const struct kf_aws_credentials_lookup *lookup);
/*
 * What was found, once a poll has answered KF_OK. The access key id is no secret. The time of expiry is in seconds
 * since 1970-01-01 UTC, or KF_AWS_NEVER_EXPIRES. Strings live as long as the lookup.
 */
KF_API const char *kf_aws_credentials_lookup_access_key_id(const struct kf_aws_credentials_lookup *lookup);
KF_API uint64_t kf_aws_credentials_lookup_expires_at(const struct kf_aws_credentials_lookup *lookup);
KF_API const char *kf_aws_credentials_lookup_source(const struct kf_aws_credentials_lookup *lookup);
/* Ends the search. Also allowed in a child after a fork. */
KF_API void kf_aws_credentials_lookup_free(struct kf_aws_credentials_lookup *lookup);

#ifdef __cplusplus
}
#endif

#endif
