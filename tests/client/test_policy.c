/*
 * The commitment policy: what each of the three allows, both ways, for all suites, and which suite it
 * prefers. It also holds if a CMM answers with another suite. (S: framework/commitment-policy.md)
 */
#include "support/client.h"
#include "support/parts.h"

static const enum kf_commitment_policy policies[] = {
    KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT, KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT, KF_FORBID_ENCRYPT_ALLOW_DECRYPT};

static struct kf_cmm *cmm;

static int set_up(void **state)
{
    (void)state;
    cmm = client_cmm_of_two();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kf_cmm_unref(cmm);
    return 0;
}

static bool commits(enum kf_suite suite)
{
    return suite == KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY ||
           suite == KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
}

static void each_policy_encrypts_with_its_suites(void **state)
{
    (void)state;
    for (size_t p = 0; p < 3; p++) {
        for (size_t s = 0; s < CLIENT_SUITES; s++) {
            struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
            options.commitment_policy = policies[p];
            options.suite = client_suites[s];
            const bool allowed =
                commits(client_suites[s]) == (policies[p] != KF_FORBID_ENCRYPT_ALLOW_DECRYPT);
            struct kf_buf out = KF_BUF_INIT;
            struct kf_error error = KF_ERROR_INIT;
            const enum kf_code code = kf_encrypt(cmm, &options, client_plaintext(3), &error, &out);
            assert_int_equal(code, allowed ? KF_OK : KF_E_POLICY);
            assert_int_equal(kf_code_class(code), allowed ? KF_CLASS_OK : KF_CLASS_USAGE);
            assert_true(allowed == (out.length > 0));
            kf_buf_free(&out);
        }
    }
}

static void each_policy_decrypts_its_suites(void **state)
{
    (void)state;
    for (size_t s = 0; s < CLIENT_SUITES; s++) {
        const struct kf_encrypt_options options = client_encrypt_options(client_suites[s], 10, NULL);
        struct kf_buf message = client_message(cmm, &options, client_plaintext(25));
        for (size_t p = 0; p < 3; p++) {
            struct kf_decrypt_options decrypt_options = KF_DECRYPT_OPTIONS_INIT;
            decrypt_options.commitment_policy = policies[p];
            if (commits(client_suites[s]) || policies[p] != KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
                assert_decrypts(cmm, &decrypt_options, buf_view(message), client_plaintext(25));
            else
                assert_refused(cmm, &decrypt_options, buf_view(message), KF_E_POLICY);
        }
        kf_buf_free(&message);
    }
}

static void each_policy_prefers_a_signing_suite(void **state)
{
    (void)state;
    static const unsigned preferred[] = {0x0578, 0x0578, 0x0378};
    static struct parts parts;
    for (size_t p = 0; p < 3; p++) {
        struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
        options.commitment_policy = policies[p];
        struct kf_buf message = client_message(cmm, &options, client_plaintext(3));
        parts_read(buf_view(message), &parts);
        assert_int_equal(parts.suite, preferred[p]);
        kf_buf_free(&message);
    }
    /* Without any options: the strictest policy and its suite. */
    struct kf_buf message = client_message(cmm, NULL, client_plaintext(3));
    parts_read(buf_view(message), &parts);
    assert_int_equal(parts.suite, 0x0578);
    assert_decrypts(cmm, NULL, buf_view(message), client_plaintext(3));
    kf_buf_free(&message);
}

static void a_number_that_is_no_policy_is_refused(void **state)
{
    (void)state;
    struct kf_buf message = client_message(cmm, NULL, client_plaintext(3)), out = KF_BUF_INIT;
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_decrypt_options decrypt_options = KF_DECRYPT_OPTIONS_INIT;
    options.commitment_policy = decrypt_options.commitment_policy = (enum kf_commitment_policy)3;
    assert_int_equal(kf_encrypt(cmm, &options, client_plaintext(3), NULL, &out), KF_E_POLICY);
    assert_refused(cmm, &decrypt_options, buf_view(message), KF_E_POLICY);
    kf_buf_free(&message);
    kf_buf_free(&out);
}

/* A message that the policy refuses costs no call of the key service. */
static void a_refused_message_reaches_no_cmm(void **state)
{
    (void)state;
    struct kf_cmm *told_cmm;
    struct told *told = told_new(&told_cmm);
    told_answer_always(told, true);
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256, 10, NULL);
    struct kf_buf message = client_message(told_cmm, &options, client_plaintext(3));
    assert_int_equal(told_begun(told), 1);
    assert_refused(told_cmm, NULL, buf_view(message), KF_E_POLICY);
    assert_int_equal(told_begun(told), 1);
    kf_buf_free(&message);
    kf_cmm_unref(told_cmm);
    told_free(told);
}

/* ---- A CMM that answers with what nobody asked for ---- */

static enum kf_code other_suite_encrypt(void *self, struct kf_call *call,
                                        const struct kf_encryption_request *request, struct kf_error *error,
                                        const struct kf_encryption_materials **out)
{
    struct kf_encryption_request changed = *request;
    changed.suite = *(enum kf_suite *)self;
    changed.commitment_policy =
        commits(changed.suite) ? KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT : KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    return kf_cmm_get_encryption_materials(cmm, kf_call_child(call, 0), &changed, error, out);
}

static enum kf_code other_suite_decrypt(void *self, struct kf_call *call,
                                        const struct kf_decryption_request *request, struct kf_error *error,
                                        const struct kf_decryption_materials **out)
{
    struct kf_decryption_request changed = *request;
    changed.suite = *(enum kf_suite *)self;
    changed.commitment_policy = KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT;
    return kf_cmm_decrypt_materials(cmm, kf_call_child(call, 0), &changed, error, out);
}

static void the_suite_of_the_materials_is_checked_too(void **state)
{
    (void)state;
    static const struct kf_cmm_vtable vtable = {sizeof vtable, other_suite_encrypt, other_suite_decrypt, NULL,
                                                false};
    static struct parts parts;
    enum kf_suite suite;
    struct kf_cmm *other;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_cmm_new(&vtable, &suite, &error, &other), &error);
    struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 10, NULL);

    suite = KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256;
    struct kf_buf out = KF_BUF_INIT;
    assert_int_equal(kf_encrypt(other, &options, client_plaintext(3), &error, &out), KF_E_POLICY);
    assert_int_equal(out.length, 0);

    /* Within the policy the CMM may choose: the materials' suite is what counts. */
    suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
    assert_ok(kf_encrypt(other, &options, client_plaintext(3), &error, &out), &error);
    parts_read(buf_view(out), &parts);
    assert_int_equal(parts.suite, 0x0578);
    assert_decrypts(other, NULL, buf_view(out), client_plaintext(3));

    /* On decryption it has to be the message's suite. */
    suite = KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256;
    struct kf_buf unsigned_message = client_message(cmm, &options, client_plaintext(3));
    assert_refused(other, NULL, buf_view(unsigned_message), KF_E_BUG);
    kf_buf_free(&unsigned_message);
    kf_buf_free(&out);
    kf_cmm_unref(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_policy_encrypts_with_its_suites),
        cmocka_unit_test(each_policy_decrypts_its_suites),
        cmocka_unit_test(each_policy_prefers_a_signing_suite),
        cmocka_unit_test(a_number_that_is_no_policy_is_refused),
        cmocka_unit_test(a_refused_message_reaches_no_cmm),
        cmocka_unit_test(the_suite_of_the_materials_is_checked_too),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
