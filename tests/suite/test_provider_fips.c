/*
 * A property query that names fips. Here it is only a preference, so that no FIPS provider is needed. Signatures then come
 * from OpenSSL, as everything else does.
 */
#include "bytes.h"

#include "suite/provider.h"
#include "suite/signature_engine.h"

static void signatures_come_from_openssl(void **state)
{
    (void)state;
    const struct kfi_provider *provider;
    const struct kfi_signature_engine *engine;
    assert_int_equal(kf_crypto_provider_set(NULL, "provider=default,?FIPS=yes"), KF_OK);
    assert_int_equal(kfi_provider_get(NULL, &provider), KF_OK);
    assert_true(provider->fips);
    assert_int_equal(kfi_signature_engine_get(KFI_P256, NULL, &engine), KF_OK);
    assert_ptr_equal(engine, &kfi_signature_openssl);
    assert_int_equal(kfi_signature_engine_get(KFI_P384, NULL, &engine), KF_OK);
    assert_ptr_equal(engine, &kfi_signature_openssl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_come_from_openssl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
