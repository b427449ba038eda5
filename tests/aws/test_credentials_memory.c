/*
 * The cache of credentials without memory: whoever needs a fetch is told so; whoever only comes when a refresh is due
 * gets the credentials that are there.
 */
#include "support/failing_allocator.h"
#include "support/support.h"

#include "aws/service/credentials.h"
#include "base/call.h"

#define NOW 1000000ULL /* seconds of the wall clock */

static unsigned fetches;

/* Answers at once, with credentials that a refresh is due for and nobody waits for. */
static enum kf_code fetch_short_lived(void *self, struct kf_call *call, struct kf_error *error,
                                      struct kf_aws_credentials_result *out)
{
    (void)self;
    (void)call;
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    credentials.access_key_id = kf_view_text("AKID");
    credentials.secret_access_key = kf_view_text("secret");
    credentials.expires_at = NOW + KFI_AWS_REFRESH_NOW_S + 100;
    fetches++;
    return kf_aws_credentials_result_set(out, &credentials, error);
}

static enum kf_code get(struct kfi_aws_credentials_cache *cache, struct kf_error *error,
                        struct kfi_aws_credentials **out)
{
    struct kf_call call;
    kfi_call_init(&call, NULL);
    enum kf_code code = kfi_aws_credentials_get(cache, &call, error, out);
    kfi_call_end(&call);
    return code;
}

static void a_refresh_that_finds_no_memory_is_nobodys_failure(void **state)
{
    (void)state;
    static const struct kf_aws_credentials_vtable vtable = {sizeof vtable, fetch_short_lived, NULL};
    struct kf_aws_credentials_provider *provider;
    struct kfi_aws_credentials_cache *cache;
    struct kfi_aws_credentials *held, *got;
    struct kf_error error = KF_ERROR_INIT;
    support_clock_stop(1000);
    kfi_aws_wall_clock_test_set(NOW);
    assert_ok(kf_aws_credentials_provider_new(&vtable, NULL, &error, &provider), &error);
    assert_ok(kfi_aws_credentials_cache_new(provider, 1000, &error, &cache), &error);

    fail_allocation(1);
    assert_int_equal(get(cache, &error, &got), KF_E_NO_MEMORY); /* there are none yet */
    assert_null(got);
    fail_allocation(0);
    error = (struct kf_error)KF_ERROR_INIT;
    assert_ok(get(cache, &error, &held), &error);
    assert_int_equal(fetches, 1);

    support_clock_advance(KFI_AWS_REFRESH_PAUSE_MS); /* from now on a refresh is due */
    fail_allocation(1);
    assert_ok(get(cache, &error, &got), &error);
    fail_allocation(0);
    assert_ptr_equal(got, held);
    assert_int_equal(error.code, KF_OK);
    assert_int_equal(fetches, 1);
    kfi_aws_credentials_unref(got);

    assert_ok(get(cache, &error, &got), &error);
    assert_int_equal(fetches, 2); /* with memory it begins */
    kfi_aws_credentials_unref(got);
    kfi_aws_credentials_unref(held);
    kfi_aws_credentials_cache_unref(cache);
    kf_aws_credentials_provider_unref(provider);
    kfi_aws_wall_clock_test_set(UINT64_MAX);
    support_clock_real();
    kf_cleanup();
    assert_int_equal(memory.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refresh_that_finds_no_memory_is_nobodys_failure),
    };
    failing_allocator_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
