/*
 * The lookup of credentials, for a diagnosis: an operation that asks the client's cache of credentials. Called by
 * the application.
 */
#include "aws/service/client.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/operation.h"

struct kf_aws_credentials_lookup {
    struct kfi_operation operation;
    struct kf_aws_client *client;
    struct kfi_aws_credentials *found; /* a reference, once there are some */
};

enum kf_code kf_aws_credentials_lookup_new(struct kf_aws_client *client, uint64_t timeout_ms,
                                           struct kf_error *error, struct kf_aws_credentials_lookup **out)
{
    *out = NULL;
    if (client == NULL)
        return kf_error_set(error, KF_E_USAGE, "A lookup of credentials needs a client.");
    struct kf_aws_credentials_lookup *lookup = kfi_alloc_zeroed(sizeof *lookup);
    if (lookup == NULL)
        return kfi_no_memory(error);
    kfi_operation_init(&lookup->operation, timeout_ms, "No AWS credentials");
    lookup->client = kf_aws_client_ref(client);
    *out = lookup;
    return KF_OK;
}

/* One step of the operation. It has no input and no output. */
static enum kf_code lookup_step(void *context, struct kf_io *io, const struct kf_waker *waker)
{
    struct kf_aws_credentials_lookup *lookup = context;
    struct kfi_operation *operation = &lookup->operation;
    (void)io;
    if (lookup->found != NULL)
        return KF_OK;
    kfi_operation_await(operation, waker);
    enum kf_code asked = kfi_aws_credentials_get(kfi_aws_client_credentials(lookup->client), &operation->call,
                                                 &operation->error, &lookup->found);
    enum kf_code code = kfi_operation_awaited(operation, asked);
    if (asked == KF_PENDING && code == KF_E_TIMEOUT)
        kf_error_set(&operation->error, code, "No AWS credentials were there within %llu ms.",
                     (unsigned long long)operation->timeout_ms);
    return code;
}

enum kf_code kf_aws_credentials_lookup_poll(struct kf_aws_credentials_lookup *lookup,
                                            const struct kf_waker *waker)
{
    struct kf_io nothing = {0};
    if (kfi_call_is_inherited(&lookup->operation.call))
        return kf_error_set(&lookup->operation.error, KF_E_FORKED,
                            "This lookup began before a fork and can't go on in the child. Begin a new one.");
    return kfi_operation_poll(&lookup->operation, lookup_step, lookup, &nothing, waker);
}

uint64_t kf_aws_credentials_lookup_deadline(const struct kf_aws_credentials_lookup *lookup)
{
    return kfi_operation_deadline(&lookup->operation);
}

const struct kf_error *kf_aws_credentials_lookup_error(const struct kf_aws_credentials_lookup *lookup)
{
    return &lookup->operation.error;
}

const char *kf_aws_credentials_lookup_access_key_id(const struct kf_aws_credentials_lookup *lookup)
{
    return lookup->found != NULL ? lookup->found->access_key_id : NULL;
}

uint64_t kf_aws_credentials_lookup_expires_at(const struct kf_aws_credentials_lookup *lookup)
{
    return lookup->found != NULL ? lookup->found->expires_at : 0;
}

const char *kf_aws_credentials_lookup_source(const struct kf_aws_credentials_lookup *lookup)
{
    return lookup->found != NULL ? lookup->found->source : NULL;
}

void kf_aws_credentials_lookup_free(struct kf_aws_credentials_lookup *lookup)
{
    if (lookup == NULL || !kfi_operation_end(&lookup->operation))
        return;
    kfi_aws_credentials_unref(lookup->found);
    kf_aws_client_unref(lookup->client);
    kfi_free(lookup);
}
