/*
 * Views that have a length but no data, in every public function that takes a view. Each is refused with a
 * sentence that names it, and the call changes nothing.
 */
#include <string.h>

#include <keyflight/aws.h>
#include <keyflight/raw_keyrings.h>
#include <keyflight/required_context_cmm.h>

#include "support/client.h"
#include "support/keys.h"

#include "base/call.h"
#include "materials/materials.h"

static const struct kf_view none = {NULL, 5};

/* The call was refused, and the sentence begins with the argument. */
#define assert_names(code, error, name) assert_names_at((code), (error), (name), __FILE__, __LINE__)
static void assert_names_at(enum kf_code code, const struct kf_error *error, const char *name,
                            const char *file, int line)
{
    const char *sentence = strncmp(error->text, name, strlen(name)) == 0 ? name : error->text;
    _assert_string_equal(sentence, name, file, line);
    _assert_int_equal((LargestIntegralType)code, (LargestIntegralType)KF_E_USAGE, file, line);
    _assert_int_equal((LargestIntegralType)error->code, (LargestIntegralType)KF_E_USAGE, file, line);
    _assert_true(strstr(error->text, "is NULL") != NULL || strstr(error->text, "are NULL") != NULL,
                 "says that it is NULL", file, line);
}

/* ---- Messages ---- */

static void of_one_call(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf out = client_message(cmm, NULL, client_plaintext(10)); /* is not there afterwards */
    assert_names(kf_encrypt(cmm, NULL, none, &error, &out), &error, "The plaintext");
    assert_int_equal(out.length, 0);

    const struct kf_header *header = (const struct kf_header *)(uintptr_t)1;
    assert_names(kf_decrypt(cmm, NULL, none, &error, &header, &out), &error, "The message");
    assert_null(header);
    header = (const struct kf_header *)(uintptr_t)1;
    assert_names(kf_header_parse(none, 0, &error, &header), &error, "The message");
    assert_null(header);
    kf_buf_free(&out);
    kf_cmm_unref(cmm);
}

static void done_never(void *context, const struct kf_job_result *result)
{
    (void)context, (void)result;
    fail_msg("a job that could not begin was done");
}

static void of_jobs(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_error error = KF_ERROR_INIT;
    struct kf_jobs *jobs;
    struct kf_job *job = (struct kf_job *)(uintptr_t)1;
    assert_ok(kf_jobs_new(NULL, &error, &jobs), &error);
    assert_names(kf_jobs_encrypt(jobs, cmm, NULL, none, done_never, NULL, &error, &job), &error,
                 "The plaintext");
    assert_null(job);
    job = (struct kf_job *)(uintptr_t)1;
    assert_names(kf_jobs_decrypt(jobs, cmm, NULL, none, done_never, NULL, &error, &job), &error,
                 "The message");
    assert_null(job);
    assert_int_equal(kf_jobs_run(jobs, &error), KF_OK);
    kf_jobs_free(jobs);
    kf_cmm_unref(cmm);
}

/* A poll that can't be is as if it had never been: the stream goes on. */
static void of_streams(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encryptor *encryptor;
    struct kf_decryptor *decryptor;
    uint8_t message[1000], plaintext[100];
    assert_ok(kf_encryptor_new(cmm, NULL, &error, &encryptor), &error);
    assert_ok(kf_decryptor_new(cmm, NULL, &error, &decryptor), &error);

    struct kf_io io = {.in_length = 1, .out = message, .out_room = sizeof message};
    assert_names(kf_encryptor_poll(encryptor, &io, NULL), kf_encryptor_error(encryptor), "The input");
    io = (struct kf_io){.in = plaintext, .in_length = 1, .out_room = 1};
    assert_names(kf_encryptor_poll(encryptor, &io, NULL), kf_encryptor_error(encryptor), "The output");
    const struct kf_view expected = client_plaintext(100);
    io = (struct kf_io){expected.data, 100, true, message, sizeof message, 0, 0};
    assert_int_equal(kf_encryptor_poll(encryptor, &io, NULL), KF_OK);
    const size_t length = io.out_used;

    io = (struct kf_io){.in_length = 1, .out = plaintext, .out_room = sizeof plaintext};
    assert_names(kf_decryptor_poll(decryptor, &io, NULL), kf_decryptor_error(decryptor), "The input");
    io = (struct kf_io){.in = message, .in_length = length, .out_room = 1};
    assert_names(kf_decryptor_poll(decryptor, &io, NULL), kf_decryptor_error(decryptor), "The output");
    io = (struct kf_io){message, length, true, plaintext, sizeof plaintext, 0, 0};
    assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_OK);
    assert_same_bytes(kf_view_of(plaintext, io.out_used), expected);
    kf_encryptor_free(encryptor);
    kf_decryptor_free(decryptor);
    kf_cmm_unref(cmm);
}

static void of_options(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf out = KF_BUF_INIT;
    const struct kf_encryption_context *context = client_context("a", "1");
    const struct kf_view keys[] = {{(const uint8_t *)"a", 1}, none};
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.encryption_context = context;
    options.required_keys = keys;
    options.required_key_count = 2;
    assert_names(kf_encrypt(cmm, &options, client_plaintext(1), &error, &out), &error,
                 "Option required_keys[1]");
    struct kf_encryptor *encryptor;
    assert_names(kf_encryptor_new(cmm, &options, &error, &encryptor), &error, "Option required_keys[1]");
    assert_null(encryptor);
    options.required_keys = NULL;
    assert_names(kf_encryptor_new(cmm, &options, &error, &encryptor), &error, "Option required_keys");
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
}

/* ---- Encryption contexts ---- */

static void of_contexts(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_encryption_context *context = (const struct kf_encryption_context *)(uintptr_t)1;
    struct kf_pair pairs[] = {{kf_view_text("a"), kf_view_text("1")}, {kf_view_text("b"), none}};
    assert_names(kf_encryption_context_new(pairs, 2, &error, &context), &error, "The value of pair 2");
    assert_null(context);
    pairs[0].key = none;
    assert_names(kf_encryption_context_new(pairs, 2, &error, &context), &error, "The key of pair 1");
    assert_names(kf_encryption_context_new(NULL, 2, &error, &context), &error, "The pairs");
    assert_ok(kf_encryption_context_new(NULL, 0, &error, &context), &error);
    kf_encryption_context_unref(context);

    /* This function has no error to set: it answers that there is no such key. */
    struct kf_view value = kf_view_text("untouched");
    context = client_context("", "empty", "a", "1");
    assert_false(kf_encryption_context_get(context, none, &value));
    assert_same_bytes(value, kf_view_text("untouched"));
    assert_true(kf_encryption_context_get(context, kf_view_of(NULL, 0), &value));
    assert_same_bytes(value, kf_view_text("empty"));
    kf_encryption_context_unref(context);
}

/* ---- Keyrings and keys ---- */

static void of_raw_aes_keyrings(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    options.wrapping_key = kf_view_of(NULL, 32);
    assert_names(kf_raw_aes_keyring_new(&options, &error, &keyring), &error, "Option wrapping_key");
    options.wrapping_key = client_plaintext(32);
    options.key_name = none;
    assert_names(kf_raw_aes_keyring_new(&options, &error, &keyring), &error, "Option key_name");
    options.key_namespace = none;
    assert_names(kf_raw_aes_keyring_new(&options, &error, &keyring), &error, "Option key_namespace");
    assert_null(keyring);
}

static void of_raw_rsa_and_ecdh_keyrings(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    struct kf_raw_rsa_keyring_options rsa = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    rsa.public_key = none;
    assert_names(kf_raw_rsa_keyring_new(&rsa, &error, &keyring), &error, "Option public_key");
    rsa.public_key = key_file("rsa-public.pem");
    rsa.private_key = none;
    assert_names(kf_raw_rsa_keyring_new(&rsa, &error, &keyring), &error, "Option private_key");
    rsa.private_key = kf_view_of(NULL, 0);
    rsa.key_name = none;
    assert_names(kf_raw_rsa_keyring_new(&rsa, &error, &keyring), &error, "Option key_name");
    rsa.key_namespace = none;
    assert_names(kf_raw_rsa_keyring_new(&rsa, &error, &keyring), &error, "Option key_namespace");

    struct kf_raw_ecdh_keyring_options ecdh = KF_RAW_ECDH_KEYRING_OPTIONS_INIT;
    ecdh.schema = KF_ECDH_STATIC;
    ecdh.curve = KF_ECDH_P256;
    ecdh.public_key = none;
    assert_names(kf_raw_ecdh_keyring_new(&ecdh, &error, &keyring), &error, "Option public_key");
    ecdh.public_key = kf_view_of(NULL, 0);
    ecdh.private_key = none;
    assert_names(kf_raw_ecdh_keyring_new(&ecdh, &error, &keyring), &error, "Option private_key");

    struct kf_raw_key_info info = {.size = sizeof info};
    assert_names(kf_raw_key_describe(none, NULL, &error, &info), &error, "A key");
}

static void of_lists_of_keyrings(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    assert_names(kf_multi_keyring_new(NULL, NULL, 2, &error, &keyring), &error, "The children");
    assert_null(keyring);
}

static void of_credentials(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_aws_credentials_provider *provider;
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    credentials.access_key_id = kf_view_text("AKIDEXAMPLE");
    credentials.secret_access_key = kf_view_text("secret");
    credentials.session_token = none;
    assert_names(kf_aws_static_credentials_new(&credentials, &error, &provider), &error, "The session token");
    credentials.secret_access_key = none;
    assert_names(kf_aws_static_credentials_new(&credentials, &error, &provider), &error,
                 "The secret access key");
    credentials.access_key_id = none;
    assert_names(kf_aws_static_credentials_new(&credentials, &error, &provider), &error, "The access key id");
    assert_null(provider);
}

/* ---- What keyrings and CMMs of users hand on ---- */

static void of_what_a_keyring_adds(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encryption_materials *materials =
        kfi_encryption_materials_new(kfi_suite_get(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY));
    struct kf_wrapped wrapped;
    kfi_wrapped_init(&wrapped, materials);
    assert_names(kf_wrapped_data_key_set(&wrapped, kf_view_of(NULL, 32), &error), &error, "The data key");
    assert_false(wrapped.has_key);

    char fingerprint[KF_FINGERPRINT_SIZE] = "untouched";
    const struct kf_view text = kf_view_text("x");
    const struct {
        struct kf_edk edk;
        const char *name;
    } cases[] = {
        {{none, text, text}, "The provider id"},
        {{text, none, text}, "The provider information"},
        {{text, text, none}, "The ciphertext"},
    };
    for (size_t i = 0; i < 3; i++) {
        assert_names(kf_wrapped_edk_add(&wrapped, &cases[i].edk, &error), &error, cases[i].name);
        assert_names(kf_edk_fingerprint(&cases[i].edk, &error, fingerprint), &error, cases[i].name);
        assert_string_equal(fingerprint, "");
    }
    assert_int_equal(wrapped.edks.count, 0);
    kfi_wrapped_free(&wrapped);
    kf_encryption_materials_unref(materials);
}

static void of_requests(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_call call;
    kfi_call_init(&call, NULL);

    const struct kf_encryption_materials *encryption;
    struct kf_encryption_request request = {.required_key_count = 1};
    assert_names(kf_cmm_get_encryption_materials(cmm, &call, &request, &error, &encryption), &error,
                 "required_keys");
    request.required_keys = &none;
    assert_names(kf_cmm_get_encryption_materials(cmm, &call, &request, &error, &encryption), &error,
                 "required_keys of a request[0]");
    assert_null(encryption);

    const struct kf_decryption_materials *decryption;
    struct kf_decryption_request question = {.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, .edk_count = 1};
    assert_names(kf_cmm_decrypt_materials(cmm, &call, &question, &error, &decryption), &error,
                 "The encrypted data keys");
    const struct kf_edk edk = {kf_view_text("tests"), none, kf_view_text("x")};
    question.edks = &edk;
    assert_names(kf_cmm_decrypt_materials(cmm, &call, &question, &error, &decryption), &error,
                 "The provider information");
    assert_null(decryption);
    kfi_call_end(&call);
    kf_cmm_unref(cmm);
}

static void of_edks_for_a_keyring(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = client_keyring("one", 1);
    struct kf_decryption_materials *materials =
        kfi_decryption_materials_new(kfi_suite_get(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY));
    struct kf_data_key data_key = {.length = 0};
    struct kf_call call;
    kfi_call_init(&call, NULL);
    const struct kf_edk edk = {kf_view_text("tests"), kf_view_text("one"), none};
    assert_names(kf_keyring_on_decrypt(keyring, &call, materials, &edk, 1, &error, &data_key), &error,
                 "The ciphertext");
    assert_names(kf_keyring_on_decrypt(keyring, &call, materials, NULL, 1, &error, &data_key), &error,
                 "The encrypted data keys");
    kfi_call_end(&call);
    kf_decryption_materials_unref(materials);
    kf_keyring_unref(keyring);
}

/* This function answers no error: the id is ignored. */
static void of_request_ids(void **state)
{
    (void)state;
    struct kfi_request_id id = {.length = 0};
    struct kf_call call;
    kfi_call_init(&call, NULL);
    call.request_id = &id;
    kf_call_request_id_set(&call, kf_view_text("known"));
    assert_int_equal(id.length, 5);
    kf_call_request_id_set(&call, none);
    assert_int_equal(id.length, 0);
    kfi_call_end(&call);
}

/* ---- CMMs ---- */

static void of_cmms(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cache *cache;
    struct kf_cmm *backing = client_cmm_of_two(), *cmm;
    assert_ok(kf_cache_new(1, &error, &cache), &error);
    struct kf_caching_cmm_options caching = KF_CACHING_CMM_OPTIONS_INIT;
    caching.cache = cache;
    caching.cmm = backing;
    caching.max_age_ms = 1000;
    caching.partition_id = none;
    assert_names(kf_caching_cmm_new(&caching, &error, &cmm), &error, "Option partition_id");
    assert_null(cmm);

    struct kf_required_encryption_context_cmm_options required =
        KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT;
    required.cmm = backing;
    required.required_key_count = 1;
    assert_names(kf_required_encryption_context_cmm_new(&required, &error, &cmm), &error,
                 "Option required_keys");
    required.required_keys = &none;
    assert_names(kf_required_encryption_context_cmm_new(&required, &error, &cmm), &error,
                 "Option required_keys[0]");
    assert_null(cmm);
    kf_cache_unref(cache);
    kf_cmm_unref(backing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_one_call),
        cmocka_unit_test(of_jobs),
        cmocka_unit_test(of_streams),
        cmocka_unit_test(of_options),
        cmocka_unit_test(of_contexts),
        cmocka_unit_test(of_raw_aes_keyrings),
        cmocka_unit_test(of_raw_rsa_and_ecdh_keyrings),
        cmocka_unit_test(of_lists_of_keyrings),
        cmocka_unit_test(of_credentials),
        cmocka_unit_test(of_what_a_keyring_adds),
        cmocka_unit_test(of_requests),
        cmocka_unit_test(of_edks_for_a_keyring),
        cmocka_unit_test(of_request_ids),
        cmocka_unit_test(of_cmms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
