/*
 * AWS credentials: where requests to AWS get the keys that sign them. Part of libkeyflight-aws.
 *
 * A client without a provider of its own looks where the AWS SDKs look: environment, shared configuration
 * files, container endpoint, instance metadata. Whatever the source, the client keeps what it got, refreshes
 * it ahead of its expiry, and asks once however many requests wait for it.
 */
#ifndef KEYFLIGHT_AWS_CREDENTIALS_H
#define KEYFLIGHT_AWS_CREDENTIALS_H

#include <keyflight/call.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The time of expiry of what never expires: 2^64-1. */
static const uint64_t KF_AWS_NEVER_EXPIRES = 18446744073709551615ULL;

struct kf_aws_credentials {
    size_t size;                      /* sizeof(struct kf_aws_credentials) */
    struct kf_view access_key_id;     /* 1 to 128 bytes of printable ASCII */
    struct kf_view secret_access_key; /* 1 to 256 bytes of printable ASCII; a secret */
    struct kf_view session_token;     /* printable ASCII, to 16,384 bytes; length 0: none; a secret */
    uint64_t expires_at;              /* seconds since 1970-01-01 UTC, or KF_AWS_NEVER_EXPIRES */
};

#define KF_AWS_CREDENTIALS_INIT                                                                  \
    {                                                                                            \
        sizeof(struct kf_aws_credentials), {NULL, 0}, {NULL, 0}, {NULL, 0}, KF_AWS_NEVER_EXPIRES \
    }

KF_API void kf_aws_credentials_init(struct kf_aws_credentials *out, size_t size);

/* A provider never changes after creation and may be used by many threads at once. */
struct kf_aws_credentials_provider;

KF_API struct kf_aws_credentials_provider *kf_aws_credentials_provider_ref(
    struct kf_aws_credentials_provider *provider);
/* NULL is allowed. */
KF_API void kf_aws_credentials_provider_unref(struct kf_aws_credentials_provider *provider);

/* A provider of just these credentials, copied. Errors: KF_E_USAGE, KF_E_NO_MEMORY. */
KF_CODE kf_aws_static_credentials_new(const struct kf_aws_credentials *credentials, struct kf_error *error,
                                      struct kf_aws_credentials_provider **out);

/* ---- Providers of your own ---- */

/* What a fetch answers into. */
struct kf_aws_credentials_result;

/* Sets what was fetched; copied. Errors: KF_E_USAGE (a part missing, too long, not ASCII), KF_E_NO_MEMORY. */
KF_CODE kf_aws_credentials_result_set(struct kf_aws_credentials_result *result,
                                      const struct kf_aws_credentials *credentials, struct kf_error *error);

struct kf_aws_credentials_vtable {
    size_t size; /* sizeof(struct kf_aws_credentials_vtable) */

    /*
     * Gets fresh credentials. Called again with the same call while it answers KF_PENDING; it must not block
     * (see call.h). A poll that answers KF_OK has to set the result; one that does not sets nothing. `error`
     * is never NULL.
     */
    enum kf_code (*fetch)(void *self, struct kf_call *call, struct kf_error *error,
                          struct kf_aws_credentials_result *out);

    void (*destroy)(void *self); /* at the last release, on whatever thread that is; may be NULL */
};

/*
 * Plugs a provider in. `vtable` has to outlive it; `self` is passed to its functions and belongs to it once
 * this returned KF_OK. Errors: KF_E_USAGE, KF_E_NO_MEMORY.
 */
KF_CODE kf_aws_credentials_provider_new(const struct kf_aws_credentials_vtable *vtable, void *self,
                                        struct kf_error *error, struct kf_aws_credentials_provider **out);

#ifdef __cplusplus
}
#endif

#endif
