/*
 * What the tests with the fault-injecting KMS share: the KMS, a client that reaches nothing else, a KMS keyring, and
 * CMMs on it.
 */
#ifndef TESTS_AWS_FAULT_STAGE_H
#define TESTS_AWS_FAULT_STAGE_H

#include "aws/environment.h"
#include "support/asker.h"
#include "support/fault_kms.h"

#include <keyflight/aws.h>

#define FAULT_REGION "eu-west-1"
#define FAULT_KEY "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
#define FAULT_OTHER_KEY "arn:aws:kms:eu-west-1:111122223333:key/2234abcd-12ab-34cd-56ef-1234567890ab"

struct fault_stage {
    struct fault_kms kms;
    struct kf_aws_client *client;
    struct kf_keyring *keyring;
    struct kf_cmm *cmm; /* a default CMM */
    struct kf_cache *cache;
    struct kf_cmm *caching; /* a caching CMM on the same keyring */
};

/* Options of a client that tries once and waits for a minute, with credentials that the KMS knows. */
static inline struct kf_aws_client_options fault_stage_options(void)
{
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    credentials.access_key_id = kf_view_text("AKIDEXAMPLE");
    credentials.secret_access_key = kf_view_text("the-secret-of-the-tests");
    assert_ok(kf_aws_static_credentials_new(&credentials, &error, &options.credentials), &error);
    options.max_attempts = 1;
    options.connect_timeout_ms = options.attempt_timeout_ms = options.request_timeout_ms = 60000;
    return options;
}

/* Starts a KMS and makes a client of it. The reference to the options' credentials is taken over. */
static inline void fault_stage_open(struct fault_stage *stage, struct kf_aws_client_options *options,
                                    uint64_t max_messages, const char *tls_host)
{
    struct kf_aws_kms_keyring_options keyring = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    struct kf_caching_cmm_options caching = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    environment_set("NO_PROXY",
                    "127.0.0.1"); /* the KMS is reached directly, whatever proxies this machine has */
    environment_set("no_proxy", "127.0.0.1");
    fault_kms_start(&stage->kms, tls_host);
    fault_kms_control(&stage->kms, "{'verify': true}");
    options->endpoint_url = stage->kms.url;
    options->ca_bundle = stage->kms.certificate[0] != '\0' ? stage->kms.certificate : NULL;
    assert_ok(kf_aws_client_new(options, &error, &stage->client), &error);
    kf_aws_credentials_provider_unref(options->credentials);
    keyring.client = stage->client;
    keyring.generator = FAULT_KEY;
    assert_ok(kf_aws_kms_keyring_new(&keyring, &error, &stage->keyring), &error);
    assert_ok(kf_default_cmm_new(stage->keyring, &error, &stage->cmm), &error);
    assert_ok(kf_cache_new(10, &error, &stage->cache), &error);
    caching.cache = stage->cache;
    caching.keyring = stage->keyring;
    caching.max_age_ms = 600000;
    caching.fetch_timeout_ms = 120000;
    caching.max_messages = max_messages;
    assert_ok(kf_caching_cmm_new(&caching, &error, &stage->caching), &error);
}

static inline void fault_stage_close(struct fault_stage *stage)
{
    kf_cmm_unref(stage->caching);
    kf_cache_unref(stage->cache);
    kf_cmm_unref(stage->cmm);
    kf_keyring_unref(stage->keyring);
    kf_aws_client_unref(stage->client);
    fault_kms_stop(&stage->kms);
}

/* One asker of `cmm`: its code and error. */
static inline enum kf_code fault_stage_ask(struct kf_cmm *cmm, struct kf_error *error)
{
    struct asker asker;
    asker_ask(&asker, cmm, 1);
    const enum kf_code code = asker_wait(&asker);
    *error = asker.error;
    asker_leave(&asker);
    return code;
}

#endif
