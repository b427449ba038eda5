/*
 * What the tests of the chain of sources share: one fetch from the chain, and checks of its answer.
 */
#ifndef TESTS_AWS_CHAIN_H
#define TESTS_AWS_CHAIN_H

#include "environment.h"
#include "metadata_server.h"
#include "secrets.h"

#include "aws/service/credentials_sources.h"

#include "base/call.h"

static struct kf_error error; /* of the last fetch, like the next */
static struct kfi_aws_credentials *got;
static struct kf_aws_client_options options;

static inline int chain_setup(void **state)
{
    const struct kf_aws_client_options none = KF_AWS_CLIENT_OPTIONS_INIT;
    options = none;
    metadata_script(NULL, 0);
    return environment_setup(state);
}

static inline int chain_teardown(void **state)
{
    kfi_aws_credentials_unref(got);
    got = NULL;
    return environment_teardown(state);
}

static inline struct kf_aws_credentials_provider *chain_new(struct kfi_http_pool **pool)
{
    const struct kfi_http_pool_options pool_options = {.max_connections = 5, .user_agent = "tests"};
    struct kfi_aws_settings settings;
    struct kf_aws_credentials_provider *chain;
    assert_ok(kfi_aws_settings_read(&options, &error, &settings), &error);
    assert_ok(kfi_http_pool_new(&pool_options, &error, pool), &error);
    assert_ok(kfi_aws_credentials_chain_new(&settings, *pool, &error, &chain), &error);
    kfi_aws_settings_free(&settings);
    return chain;
}

/* One fetch from the chain, to its end. */
static inline enum kf_code fetch(void)
{
    struct kfi_http_pool *pool;
    struct kf_aws_credentials_provider *chain = chain_new(&pool);
    struct bell bell;
    struct kf_call call;
    enum kf_code code;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    kfi_call_init(&call, NULL);
    kfi_call_drive(&call, &waker);
    kfi_aws_credentials_unref(got);
    while ((code = kfi_aws_credentials_fetch(chain, kf_call_child(&call, 0), &error, &got)) == KF_PENDING)
        bell_wait(&bell);
    kfi_call_end(&call);
    bell_destroy(&bell);
    kf_aws_credentials_provider_unref(chain);
    kfi_http_pool_unref(pool);
    return code;
}

static inline void assert_got(const char *id, const char *secret, const char *token, const char *source)
{
    assert_ok(fetch(), &error);
    assert_string_equal(got->access_key_id, id);
    assert_string_equal(got->secret_access_key, secret);
    if (token == NULL)
        assert_null(got->session_token);
    else
        assert_string_equal(got->session_token, token);
    assert_string_equal(got->source, source);
}

static inline void assert_fails(enum kf_code code, const char *sentence)
{
    assert_int_equal(fetch(), code);
    assert_int_equal(error.code, code);
    if (strstr(error.text, sentence) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", sentence, error.text);
    assert_null(strstr(error.text, SECRET));
}

#define chain_test(test) cmocka_unit_test_setup_teardown(test, chain_setup, chain_teardown)

#endif
