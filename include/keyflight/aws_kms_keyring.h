/*
 * Keyrings whose wrapping keys are in AWS KMS. Part of libkeyflight-aws.
 *
 * They are asynchronous: a request goes out, and the internal thread polls on when its reply is there. The
 * encryption context goes to KMS as it is, with the pairs that a message does not store and the public key of
 * a signing suite (it shows in CloudTrail and can be a condition of policies).
 *
 * Encryption fails with what the first request that fails did: KF_E_REMOTE (KMS refused, or its reply is not
 * what was asked for), KF_E_RETRY and KF_E_TIMEOUT (it may pass), KF_E_USAGE (no credentials), ….
 *
 * Decryption tries the EDKs that are meant for the keyring, one after another, and collects what failed. If
 * none opened:
 *   KF_E_KEYS       none was meant for the keyring, or KMS refused each for what it is: another key or
 *                   context, a key that is disabled or gone, or that the caller may not use
 *   KF_E_RETRY, KF_E_TIMEOUT
 *                   asking KMS about at least one of them may work later
 *   KF_E_REMOTE, KF_E_USAGE, KF_E_LIMIT
 *                   else, if one failed for other reasons: credentials, signature, a reply that names another
 *                   key or has a data key of another length, more than 256 regions in one client, …
 *   KF_E_MALFORMED  an EDK is of provider "aws-kms" but carries no ARN of a KMS key; nothing is tried then
 * Lack of memory and troubles of the system end it at once.
 */
#ifndef KEYFLIGHT_AWS_KMS_KEYRING_H
#define KEYFLIGHT_AWS_KMS_KEYRING_H

#include <keyflight/aws_client.h>
#include <keyflight/keyring.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A KMS keyring: `generator` makes the data key (GenerateDataKey), every further key wraps it as well
 * (Encrypt), side by side; on decryption (Decrypt) each key is tried on the EDKs that carry its ARN.
 *
 * A key is named by its key ARN; for encryption also by an alias ARN, and in the client's region by a key id
 * or alias/NAME. Decryption needs key ARNs: an EDK carries one, and anything else never equals it. A name may
 * be given once.
 * (S: framework/aws-kms/aws-kms-keyring.md, framework/aws-kms/aws-kms-multi-keyrings.md)
 */
struct kf_aws_kms_keyring_options {
    size_t size;
    struct kf_aws_client *client; /* needed; the keyring takes a reference */
    const char *generator;        /* NULL: it only wraps what another keyring of a multi-keyring generated */
    const char *const *key_ids;   /* further keys */
    size_t key_id_count;          /* with no generator at least 1 */
    const char *const *grant_tokens; /* sent with every request; 1 to 8,192 bytes of ASCII each */
    size_t grant_token_count;        /* at most 10 */
};

#define KF_AWS_KMS_KEYRING_OPTIONS_INIT                                         \
    {                                                                           \
        sizeof(struct kf_aws_kms_keyring_options), NULL, NULL, NULL, 0, NULL, 0 \
    }

KF_API void kf_aws_kms_keyring_options_init(struct kf_aws_kms_keyring_options *out, size_t size);

/*
 * Strings are copied; nothing is sent. Errors: KF_E_USAGE (not the name of a KMS key, one given twice, no
 * region for one, a grant token that can't be), KF_E_NO_MEMORY. The caller owns one reference of `*out`.
 */
KF_CODE kf_aws_kms_keyring_new(const struct kf_aws_kms_keyring_options *options, struct kf_error *error,
                               struct kf_keyring **out);

/*
 * A KMS discovery keyring: decrypts with whatever KMS key an EDK names, in that key's own region; can't
 * encrypt (KF_E_USAGE). Without a filter any account's message makes this process call KMS, in any region,
 * with the ARN that the message brought: name the accounts you trust, and the regions.
 * (S: framework/aws-kms/aws-kms-discovery-keyring.md)
 */
struct kf_aws_kms_discovery_keyring_options {
    size_t size;
    struct kf_aws_client *client;    /* needed; the keyring takes a reference */
    const char *const *regions;      /* EDKs of these regions are tried, of others not */
    size_t region_count;             /* 0: of every region */
    const char *partition;           /* "aws", "aws-cn", …: needed with accounts */
    const char *const *accounts;     /* 12 digits each; EDKs of others are not tried */
    size_t account_count;            /* 0, with partition NULL: of every account */
    const char *const *grant_tokens; /* sent with every request */
    size_t grant_token_count;        /* at most 10 */
};

#define KF_AWS_KMS_DISCOVERY_KEYRING_OPTIONS_INIT                                                  \
    {                                                                                              \
        sizeof(struct kf_aws_kms_discovery_keyring_options), NULL, NULL, 0, NULL, NULL, 0, NULL, 0 \
    }

KF_API void kf_aws_kms_discovery_keyring_options_init(struct kf_aws_kms_discovery_keyring_options *out,
                                                      size_t size);

/* Strings are copied. Errors: KF_E_USAGE, KF_E_NO_MEMORY. The caller owns one reference of `*out`. */
KF_CODE kf_aws_kms_discovery_keyring_new(const struct kf_aws_kms_discovery_keyring_options *options,
                                         struct kf_error *error, struct kf_keyring **out);

#ifdef __cplusplus
}
#endif

#endif
