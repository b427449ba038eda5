/*
 * What the tests of the KMS keyrings share: a KMS on loopback that answers as it is told, a keyring that asks it, and
 * an asker that asks the keyring.
 */
#ifndef TESTS_AWS_KMS_STAGE_H
#define TESTS_AWS_KMS_STAGE_H

#include "aws/environment.h"
#include "aws/scripted_server.h"
#include "support/asker.h"
#include "support/client.h"

#include <keyflight/aws.h>

#define KEY "arn:aws:kms:eu-central-1:111122223333:key/12345678-1234-1234-1234-123456789012"
#define KEY_2 "arn:aws:kms:eu-central-1:111122223333:key/22345678-1234-1234-1234-123456789012"
#define KEY_WEST "arn:aws:kms:eu-west-1:111122223333:key/32345678-1234-1234-1234-123456789012"
#define KEY_STRANGER "arn:aws:kms:eu-central-1:444455556666:key/42345678-1234-1234-1234-123456789012"
#define KEY_CHINA "arn:aws-cn:kms:cn-north-1:111122223333:key/52345678-1234-1234-1234-123456789012"
#define ALIAS "arn:aws:kms:eu-central-1:111122223333:alias/name"

/* Data keys of 32, 31 and 16 times 'k', and ciphertexts "wrapped-1" and so on, in base64. */
#define TEN_TRIPLES "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr"
#define DATA_KEY TEN_TRIPLES "a2s="
#define DATA_KEY_31 TEN_TRIPLES "aw=="
#define DATA_KEY_16 "a2tra2tra2tra2tra2traw=="
#define WRAPPED_1 "d3JhcHBlZC0x"
#define WRAPPED_2 "d3JhcHBlZC0y"
#define WRAPPED_3 "d3JhcHBlZC0z"

#define GENERATED(key, data_key) \
    "{\"CiphertextBlob\":\"" WRAPPED_1 "\",\"KeyId\":\"" key "\",\"Plaintext\":\"" data_key "\"}"
#define ENCRYPTED(key, wrapped) "{\"CiphertextBlob\":\"" wrapped "\",\"KeyId\":\"" key "\"}"
#define DECRYPTED(key, data_key) "{\"KeyId\":\"" key "\",\"Plaintext\":\"" data_key "\"}"
#define REFUSED(type) "{\"__type\":\"" type "\",\"message\":\"because of " type "\"}"

/* The next reply of the script. */
static inline void kms_reply(int status, const char *body)
{
    server_say(status, NULL, body);
}

/* The same, but for a request whose body contains `about`. */
static inline void kms_reply_about(const char *about, int status, const char *body)
{
    server_tell((struct server_answer){.status = status, .body = body, .about = about});
}

/* ---- A keyring, and an asker ---- */

struct stage {
    struct kf_aws_client *client;
    struct kf_keyring *keyring;
    struct kf_cmm *cmm;
    struct asker asker;
};

static inline void stage_open(struct stage *stage)
{
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    *stage = (struct stage){.client = NULL};
    server_start((struct server_habits){.numbers = true});
    credentials.access_key_id = kf_view_text("AKIAIOSFODNN7EXAMPLE");
    credentials.secret_access_key = kf_view_text("a-secret-of-the-tests");
    assert_ok(kf_aws_static_credentials_new(&credentials, &error, &options.credentials), &error);
    options.endpoint_url = server.url;
    options.region = "eu-central-1";
    options.max_attempts = 1; /* requests have tests of their own that retry */
    assert_ok(kf_aws_client_new(&options, &error, &stage->client), &error);
    kf_aws_credentials_provider_unref(options.credentials);
}

static inline void stage_use(struct stage *stage, struct kf_keyring *keyring)
{
    struct kf_error error = KF_ERROR_INIT;
    asker_leave(&stage->asker);
    kf_cmm_unref(stage->cmm);
    kf_keyring_unref(stage->keyring);
    stage->keyring = keyring;
    assert_ok(kf_default_cmm_new(keyring, &error, &stage->cmm), &error);
}

/* A KMS keyring of up to three keys. */
static inline void stage_keys(struct stage *stage, const char *generator, const char *key_1,
                              const char *key_2)
{
    static const char *const tokens[] = {"token-1", "token-2"};
    const char *const keys[] = {key_1, key_2};
    struct kf_aws_kms_keyring_options options = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    options.client = stage->client;
    options.generator = generator;
    options.key_ids = keys;
    options.key_id_count = key_2 != NULL ? 2 : key_1 != NULL ? 1 : 0;
    options.grant_tokens = tokens;
    options.grant_token_count = 2;
    assert_ok(kf_aws_kms_keyring_new(&options, &error, &keyring), &error);
    stage_use(stage, keyring);
}

/* A discovery keyring with a filter; NULL: everything passes. */
static inline void stage_discovery(struct stage *stage, const char *partition, const char *account,
                                   const char *region)
{
    struct kf_aws_kms_discovery_keyring_options options = KF_AWS_KMS_DISCOVERY_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    options.client = stage->client;
    options.partition = partition;
    options.accounts = &account;
    options.account_count = account != NULL ? 1 : 0;
    options.regions = &region;
    options.region_count = region != NULL ? 1 : 0;
    assert_ok(kf_aws_kms_discovery_keyring_new(&options, &error, &keyring), &error);
    stage_use(stage, keyring);
}

static inline void stage_close(struct stage *stage)
{
    asker_leave(&stage->asker);
    kf_cmm_unref(stage->cmm);
    kf_keyring_unref(stage->keyring);
    kf_aws_client_unref(stage->client);
    server_stop();
}

static inline enum kf_code wrap(struct stage *stage)
{
    asker_leave(&stage->asker);
    asker_ask(&stage->asker, stage->cmm, 1);
    return asker_wait(&stage->asker);
}

static inline enum kf_code unwrap(struct stage *stage, const struct kf_edk *edks, size_t count)
{
    const struct kf_decryption_request request = decryption_request(edks, count);
    asker_leave(&stage->asker);
    asker_decrypt(&stage->asker, stage->cmm, &request);
    return asker_wait(&stage->asker);
}

static inline struct kf_edk edk_of(const char *provider, const char *info, const char *ciphertext)
{
    return (struct kf_edk){kf_view_text(provider), kf_view_text(info), kf_view_text(ciphertext)};
}

static inline void check_says(const struct stage *stage, const char *text)
{
    if (strstr(stage->asker.error.text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", stage->asker.error.text, text);
}

/* The asker got the data key of 32 times 'k'. */
static inline void check_key(const struct stage *stage)
{
    static const char key[] = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";
    assert_same_bytes(asker_key(&stage->asker), kf_view_text(key));
}

/* EDK `index` that the asker got is of this key, and holds this ciphertext. */
static inline void check_edk(const struct stage *stage, size_t index, const char *key, const char *ciphertext)
{
    const struct kf_edk edk = kf_encryption_materials_edk(stage->asker.encryption_materials, index);
    assert_same_bytes(edk.provider_id, kf_view_text("aws-kms"));
    assert_same_bytes(edk.provider_info, kf_view_text(key));
    assert_same_bytes(edk.ciphertext, kf_view_text(ciphertext));
}

/* Request `index` was of this operation, and its body contains these pieces. */
#define check_request(index, operation, ...) \
    check_request_has((index), (operation), (const char *const[]){__VA_ARGS__, NULL})
static inline void check_request_has(size_t index, const char *operation, const char *const *pieces)
{
    char target[64];
    snprintf(target, sizeof target, "TrentService.%s", operation);
    assert_string_equal(server_header(index, "x-amz-target"), target);
    for (; *pieces != NULL; pieces++) {
        if (strstr(server_body(index), *pieces) == NULL)
            fail_msg("request %zu, %s, has no %s", index, server_body(index), *pieces);
    }
}

#endif
