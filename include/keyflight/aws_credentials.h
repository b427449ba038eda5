/*
 * AWS credentials: what signs the requests to AWS. Part of libkeyflight-aws.
 *
 * A client that was given no provider looks where the AWS SDKs look: environment, shared configuration files,
 * container endpoint, instance metadata. Wherever credentials come from, the client keeps them and renews them before
 * they expire. It asks once, however many requests wait.
 */
#ifndef KEYFLIGHT_AWS_CREDENTIALS_H
#define KEYFLIGHT_AWS_CREDENTIALS_H

#include <keyflight/call.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The expires_at of what never expires: 2^64-1. */
static const uint64_t KF_AWS_NEVER_EXPIRES = 18446744073709551615ULL;

struct kf_aws_credentials {
    size_t size;                      /* sizeof(struct kf_aws_credentials) */
    struct kf_view access_key_id;     /* 1 to 128 bytes of printable ASCII */
    struct kf_view secret_access_key; /* 1 to 256 bytes of printable ASCII; a secret */
    struct kf_view session_token;     /* 0 (none) to 16,384 bytes of printable ASCII; a secret */
    uint64_t expires_at;              /* seconds since 1970-01-01 UTC, or KF_AWS_NEVER_EXPIRES */
};

#define KF_AWS_CREDENTIALS_INIT                                                                  \
    {                                                                                            \
        sizeof(struct kf_aws_credentials), {NULL, 0}, {NULL, 0}, {NULL, 0}, KF_AWS_NEVER_EXPIRES \
    }

KF_API void kf_aws_credentials_init(struct kf_aws_credentials *out, size_t size);

/* Where a client gets credentials from. A provider never changes. */
struct kf_aws_credentials_provider;

KF_API struct kf_aws_credentials_provider *kf_aws_credentials_provider_ref(
    struct kf_aws_credentials_provider *provider);
KF_API void kf_aws_credentials_provider_unref(struct kf_aws_credentials_provider *provider);

/* Makes a provider of these credentials, which are copied. Errors: KF_E_USAGE, KF_E_NO_MEMORY. */
KF_CODE kf_aws_static_credentials_new(const struct kf_aws_credentials *credentials, struct kf_error *error,
                                      struct kf_aws_credentials_provider **out);

/* ---- Providers of your own ---- */

/* Where a provider's fetch puts the credentials. */
struct kf_aws_credentials_result;

/* Puts credentials there. They are copied. Errors: KF_E_USAGE (see struct kf_aws_credentials), KF_E_NO_MEMORY. */
KF_CODE kf_aws_credentials_result_set(struct kf_aws_credentials_result *result,
                                      const struct kf_aws_credentials *credentials, struct kf_error *error);

struct kf_aws_credentials_vtable {
    size_t size; /* sizeof(struct kf_aws_credentials_vtable) */

    /*
     * Gets new credentials. It is polled (call.h), so it must not block. When it answers KF_OK it has to have set the
     * result. `error` is never NULL; a fetch that fails writes a sentence there.
     */
    enum kf_code (*fetch)(void *self, struct kf_call *call, struct kf_error *error,
                          struct kf_aws_credentials_result *out);

    /* Called by the last _unref, on whatever thread that is. May be NULL. */
    void (*destroy)(void *self);
};

/*
 * Makes a provider of your functions. `vtable` is copied. `self` is passed to them, and belongs to the provider once
 * this has answered KF_OK. Errors: KF_E_USAGE, KF_E_NO_MEMORY.
 */
KF_CODE kf_aws_credentials_provider_new(const struct kf_aws_credentials_vtable *vtable, void *self,
                                        struct kf_error *error, struct kf_aws_credentials_provider **out);

#ifdef __cplusplus
}
#endif

#endif
