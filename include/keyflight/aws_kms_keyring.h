/*
 * Keyrings whose wrapping keys are in AWS KMS. Part of libkeyflight-aws.
 *
 * They don't block: a request goes out, and the library's own thread goes on when the reply is there. KMS gets the
 * whole encryption context, with the pairs that a message does not store, and with the public key of a suite that
 * signs. It shows in CloudTrail, and policies can ask for it.
 *
 * Encryption fails as the first request fails: KF_E_REMOTE (KMS refused, or its reply does not fit the request),
 * KF_E_RETRY and KF_E_TIMEOUT (it may work later), KF_E_USAGE (there are no credentials), and others.
 *
 * Decryption tries the EDKs that are meant for the keyring, one after another. If none can be opened, the sentence has
 * the reasons of all, and the code is the first of these that applies:
 *   KF_E_MALFORMED  an EDK is of provider "aws-kms", but has no ARN of a KMS key; then none is tried
 *   KF_E_RETRY, KF_E_TIMEOUT
 *                   for at least one EDK, to ask KMS again later may help
 *   KF_E_REMOTE, KF_E_USAGE, KF_E_LIMIT
 *                   for at least one EDK something else was wrong: credentials, a signature, a reply that names another
 *                   key or has a data key of another length, more than 256 regions in one client
 *   KF_E_KEYS       no EDK was meant for the keyring, or KMS refused each one: it belongs to another key or context, or
 *                   the key is disabled, deleted, or not for this caller
 * Lack of memory and failures of the system end it at once.
 */
#ifndef KEYFLIGHT_AWS_KMS_KEYRING_H
#define KEYFLIGHT_AWS_KMS_KEYRING_H

#include <keyflight/aws_client.h>
#include <keyflight/keyring.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A KMS keyring. To encrypt, `generator` makes the data key (GenerateDataKey), and then all further keys wrap it side
 * by side (Encrypt). To decrypt, each key is tried with the EDKs that have its ARN (Decrypt).
 *
 * Give a key by its key ARN. To encrypt, an alias ARN does too, and for a key in the client's region a key id or
 * alias/NAME. Decryption compares with the key ARN in the EDK, so other names never match. No name may come twice.
 * (S: framework/aws-kms/aws-kms-keyring.md, framework/aws-kms/aws-kms-multi-keyrings.md)
 */
struct kf_aws_kms_keyring_options {
    size_t size;
    struct kf_aws_client *client;    /* needed */
    const char *generator;           /* NULL: the keyring wraps data keys that an earlier one has made */
    const char *const *key_ids;      /* further keys */
    size_t key_id_count;             /* at least 1 if there is no generator */
    const char *const *grant_tokens; /* sent with every request; 1 to 8,192 bytes of ASCII each */
    size_t grant_token_count;        /* 0 to 10 */
};

#define KF_AWS_KMS_KEYRING_OPTIONS_INIT                                         \
    {                                                                           \
        sizeof(struct kf_aws_kms_keyring_options), NULL, NULL, NULL, 0, NULL, 0 \
    }

KF_API void kf_aws_kms_keyring_options_init(struct kf_aws_kms_keyring_options *out, size_t size);

/*
 * Makes one. Strings are copied, and nothing is sent yet. Errors: KF_E_USAGE (no valid name of a KMS key, a name that
 * comes twice, a name whose region is unknown, no valid grant token), KF_E_NO_MEMORY.
 */
KF_CODE kf_aws_kms_keyring_new(const struct kf_aws_kms_keyring_options *options, struct kf_error *error,
                               struct kf_keyring **out);

/*
 * A KMS discovery keyring decrypts with the KMS key that the EDK names, in the region of that key. It can't encrypt
 * (KF_E_USAGE). Without a filter a message from anywhere makes this process call KMS, in any region, with the ARN that
 * the message brought. So name the accounts and the regions that you trust.
 * (S: framework/aws-kms/aws-kms-discovery-keyring.md)
 */
struct kf_aws_kms_discovery_keyring_options {
    size_t size;
    struct kf_aws_client *client;    /* needed */
    const char *const *regions;      /* only EDKs with keys of these regions are tried */
    size_t region_count;             /* 0: any region */
    const char *partition;           /* that of the accounts: "aws", "aws-cn", … */
    const char *const *accounts;     /* of 12 digits; only EDKs with keys of these accounts are tried */
    size_t account_count;            /* 0, and `partition` NULL: any account */
    const char *const *grant_tokens; /* sent with every request; 1 to 8,192 bytes of ASCII each */
    size_t grant_token_count;        /* 0 to 10 */
};

#define KF_AWS_KMS_DISCOVERY_KEYRING_OPTIONS_INIT                                                  \
    {                                                                                              \
        sizeof(struct kf_aws_kms_discovery_keyring_options), NULL, NULL, 0, NULL, NULL, 0, NULL, 0 \
    }

KF_API void kf_aws_kms_discovery_keyring_options_init(struct kf_aws_kms_discovery_keyring_options *out,
                                                      size_t size);

/* Makes one. Strings are copied, and nothing is sent yet. Errors: KF_E_USAGE, KF_E_NO_MEMORY. */
KF_CODE kf_aws_kms_discovery_keyring_new(const struct kf_aws_kms_discovery_keyring_options *options,
                                         struct kf_error *error, struct kf_keyring **out);

#ifdef __cplusplus
}
#endif

#endif
