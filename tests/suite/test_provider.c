/*
 * The provider that a user sets: a library context of the user's own, before first use and never after, and
 * what becomes of it in a forked child. The tests build on one another, since a process has one provider.
 */
#include "bytes.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite/aead.h"
#include "suite/derive.h"
#include "suite/provider.h"
#include "suite/random.h"
#include "suite/signature.h"

static OSSL_LIB_CTX *library;

static void what_offers_nothing_is_refused_and_can_be_mended(void **state)
{
    (void)state;
    assert_int_equal(kf_crypto_provider_set(NULL, "provider=nobody"), KF_E_SYSTEM);
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_equal(kf_crypto_provider_set(library, "this is no query"), KF_E_USAGE);
    assert_int_equal(ERR_peek_error(), 0);
}

static void a_library_context_is_used_from_then_on(void **state)
{
    (void)state;
    char properties[] = "provider=default";
    assert_int_equal(kf_crypto_provider_set(library, properties), KF_OK);
    memset(properties, 'x', sizeof properties - 1);

    const struct kfi_provider *provider;
    assert_int_equal(kfi_provider_get(NULL, &provider), KF_OK);
    assert_ptr_equal(provider->library, library);
    assert_string_equal(provider->properties, "provider=default");
    assert_false(provider->fips);
}

static void it_can_not_be_set_again(void **state)
{
    (void)state;
    assert_int_equal(kf_crypto_provider_set(NULL, NULL), KF_E_USAGE);
    assert_int_equal(kf_crypto_provider_set(library, "provider=default"), KF_E_USAGE);
}

/* The cryptography of one message: random bytes, keys, a seal, a signature and its verification. */
static enum kf_code work(uint8_t random[32])
{
    static const uint8_t iv[KFI_IV_LENGTH];
    const struct kfi_suite *suite = kfi_suite_get(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384);
    struct kfi_message_key key;
    struct kfi_aead *aead = NULL;
    struct kfi_transcript *signing = NULL;
    struct kfi_transcript *verifying = NULL;
    struct kfi_signing_key *signing_key = NULL;
    struct kfi_verification_key *verification_key = NULL;
    uint8_t tag[KFI_TAG_LENGTH];
    uint8_t signature[KFI_SIGNATURE_MAX];

    enum kf_code code = kfi_random(random, 32, NULL);
    if (code == KF_OK)
        code = kfi_derive(suite, kf_view_of(random, 32), kf_view_of(random, 32), NULL, &key);
    if (code == KF_OK)
        code = kfi_aead_new(kf_view_of(key.key, key.length), NULL, &aead);
    if (code == KF_OK)
        code = kfi_aead_seal(aead, iv, NULL, 0, NULL, 0, NULL, NULL, tag);
    if (code == KF_OK)
        code = kfi_signing_key_generate(suite->curve, NULL, &signing_key);
    if (code == KF_OK)
        code = kfi_verification_key_parse(suite->curve, kfi_signing_key_public_text(signing_key), NULL,
                                          &verification_key);
    if (code == KF_OK)
        code = kfi_transcript_new(suite->signature_hash, NULL, &signing);
    if (code == KF_OK)
        code = kfi_transcript_new(suite->signature_hash, NULL, &verifying);
    if (code == KF_OK)
        code = kfi_transcript_sign(signing, signing_key, suite->signature_length, NULL, signature);
    if (code == KF_OK)
        code = kfi_transcript_verify(verifying, verification_key,
                                     kf_view_of(signature, suite->signature_length), NULL);

    kfi_transcript_free(signing);
    kfi_transcript_free(verifying);
    kfi_signing_key_unref(signing_key);
    kfi_verification_key_unref(verification_key);
    kfi_aead_free(aead);
    return code;
}

static void everything_works_from_it(void **state)
{
    (void)state;
    uint8_t random[32];
    assert_int_equal(work(random), KF_OK);
}

static void a_child_works_and_draws_other_numbers(void **state)
{
    (void)state;
    struct {
        uint8_t random[32];
        enum kf_code code;
    } child;
    uint8_t parent[32];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    /* A generator that was used: the child inherits its state. */
    assert_int_equal(kfi_random(parent, sizeof parent, NULL), KF_OK);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child.code = work(child.random);
        _exit(write(ends[1], &child, sizeof child) == (ssize_t)sizeof child ? 0 : 1);
    }
    int status;
    assert_int_equal(kfi_random(parent, sizeof parent, NULL), KF_OK);
    assert_int_equal(read(ends[0], &child, sizeof child), sizeof child);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(child.code, KF_OK);
    assert_memory_not_equal(child.random, parent, sizeof parent);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_offers_nothing_is_refused_and_can_be_mended),
        cmocka_unit_test(a_library_context_is_used_from_then_on),
        cmocka_unit_test(it_can_not_be_set_again),
        cmocka_unit_test(everything_works_from_it),
        cmocka_unit_test(a_child_works_and_draws_other_numbers),
    };
    /* Never freed: the provider keeps it to the end of the process. */
    library = OSSL_LIB_CTX_new();
    return library != NULL ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
