/*
 * Callers of other releases, and callers that never set a size: each struct that begins with its size is refused,
 * read or filled by the rule in types.h, and its initialiser exists as a function. What is given is no longer
 * than its size says, or than the size itself, so that AddressSanitizer finds whoever reads on.
 */
#include "support/client.h"

#include <keyflight/aws.h>
#include <stdio.h>
#include <string.h>

/* ---- What is read ---- */

static struct kf_cmm *cmm; /* that a test uses */

/* Each struct, whether it says enough by its size alone, what is made of it, how, and how that ends. */
#define READ(X)                                                                                           \
    X(kf_raw_aes_keyring_options, false, kf_keyring, kf_raw_aes_keyring_new(given, error, &out), unref)   \
    X(kf_raw_rsa_keyring_options, false, kf_keyring, kf_raw_rsa_keyring_new(given, error, &out), unref)   \
    X(kf_raw_ecdh_keyring_options, false, kf_keyring, kf_raw_ecdh_keyring_new(given, error, &out), unref) \
    X(kf_blocking_keyring_options, false, kf_keyring, kf_blocking_keyring_new(given, error, &out), unref) \
    X(kf_aws_kms_keyring_options, false, kf_keyring, kf_aws_kms_keyring_new(given, error, &out), unref)   \
    X(kf_aws_kms_discovery_keyring_options, false, kf_keyring,                                            \
      kf_aws_kms_discovery_keyring_new(given, error, &out), unref)                                        \
    X(kf_keyring_vtable, false, kf_keyring, kf_keyring_new(given, NULL, error, &out), unref)              \
    X(kf_cmm_vtable, false, kf_cmm, kf_cmm_new(given, NULL, error, &out), unref)                          \
    X(kf_required_encryption_context_cmm_options, false, kf_cmm,                                          \
      kf_required_encryption_context_cmm_new(given, error, &out), unref)                                  \
    X(kf_caching_cmm_options, false, kf_cmm, kf_caching_cmm_new(given, error, &out), unref)               \
    X(kf_aws_client_options, true, kf_aws_client, kf_aws_client_new(given, error, &out), unref)           \
    X(kf_aws_credentials, false, kf_aws_credentials_provider,                                             \
      kf_aws_static_credentials_new(given, error, &out), unref)                                           \
    X(kf_aws_credentials_vtable, false, kf_aws_credentials_provider,                                      \
      kf_aws_credentials_provider_new(given, NULL, error, &out), unref)                                   \
    X(kf_encrypt_options, true, kf_encryptor, kf_encryptor_new(cmm, given, error, &out), free)            \
    X(kf_decrypt_options, true, kf_decryptor, kf_decryptor_new(cmm, given, error, &out), free)            \
    X(kf_jobs_options, true, kf_jobs, kf_jobs_new(given, error, &out), free)

#define DEFINE_READ(type, enough, made, make, end)                             \
    static enum kf_code read_##type(const void *given, struct kf_error *error) \
    {                                                                          \
        struct made *out = NULL;                                               \
        enum kf_code code = make;                                              \
        assert_true((out != NULL) == (code == KF_OK));                         \
        made##_##end(out);                                                     \
        return code;                                                           \
    }
READ(DEFINE_READ)

static const struct reader {
    const char *type;
    size_t size;
    bool enough;
    enum kf_code (*read)(const void *given, struct kf_error *error);
} readers[] = {
#define READ_ROW(type, enough, made, make, end) {#type, sizeof(struct type), enough, read_##type},
    READ(READ_ROW)};

/* Gives `reader` a size, and nothing behind it. */
static enum kf_code read_size(const struct reader *reader, size_t size, struct kf_error *error)
{
    *error = (struct kf_error)KF_ERROR_INIT;
    size_t *given = malloc(sizeof *given);
    assert_non_null(given);
    *given = size;
    enum kf_code code = reader->read(given, error);
    free(given);
    return code;
}

static void what_is_no_size_or_too_large_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        const size_t wrong[] = {
            0, 1, 7, readers[i].size - 1, readers[i].size + sizeof(size_t), SIZE_MAX - 7, SIZE_MAX};
        for (size_t w = 0; w < sizeof wrong / sizeof wrong[0]; w++) {
            struct kf_error error;
            if (read_size(&readers[i], wrong[w], &error) != KF_E_USAGE || strstr(error.text, "size") == NULL)
                fail_msg("struct %s of size %zu: %s", readers[i].type, wrong[w], error.text);
        }
    }
}

static void a_size_alone_says_that_all_is_as_it_is_by_default(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        struct kf_error error;
        enum kf_code code = read_size(&readers[i], sizeof(size_t), &error);
        if (code != (readers[i].enough ? KF_OK : KF_E_USAGE) || strstr(error.text, "size") != NULL)
            fail_msg("struct %s of its size alone: %s", readers[i].type, error.text);
    }
}

/* ---- Initialisers ---- */

#define INITIALISED(X)                                                                             \
    X(kf_raw_aes_keyring_options, KF_RAW_AES_KEYRING_OPTIONS_INIT)                                 \
    X(kf_raw_rsa_keyring_options, KF_RAW_RSA_KEYRING_OPTIONS_INIT)                                 \
    X(kf_raw_ecdh_keyring_options, KF_RAW_ECDH_KEYRING_OPTIONS_INIT)                               \
    X(kf_raw_key_info, KF_RAW_KEY_INFO_INIT)                                                       \
    X(kf_blocking_keyring_options, KF_BLOCKING_KEYRING_OPTIONS_INIT)                               \
    X(kf_required_encryption_context_cmm_options, KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT) \
    X(kf_caching_cmm_options, KF_CACHING_CMM_OPTIONS_INIT)                                         \
    X(kf_cache_stats, KF_CACHE_STATS_INIT)                                                         \
    X(kf_encrypt_options, KF_ENCRYPT_OPTIONS_INIT)                                                 \
    X(kf_decrypt_options, KF_DECRYPT_OPTIONS_INIT)                                                 \
    X(kf_jobs_options, KF_JOBS_OPTIONS_INIT)                                                       \
    X(kf_aws_client_options, KF_AWS_CLIENT_OPTIONS_INIT)                                           \
    X(kf_aws_settings, KF_AWS_SETTINGS_INIT)                                                       \
    X(kf_aws_credentials, KF_AWS_CREDENTIALS_INIT)                                                 \
    X(kf_aws_kms_keyring_options, KF_AWS_KMS_KEYRING_OPTIONS_INIT)                                 \
    X(kf_aws_kms_discovery_keyring_options, KF_AWS_KMS_DISCOVERY_KEYRING_OPTIONS_INIT)

/* Compares the function with the macro, for callers whose struct is the same, ends earlier, and ends later. */
#define CHECK_INITIALISED(type, initialiser)                       \
    {                                                              \
        static const struct type expected = initialiser;           \
        struct {                                                   \
            struct type now;                                       \
            uint64_t later;                                        \
        } out;                                                     \
        memset(&out, 0xaa, sizeof out);                            \
        const uint64_t untouched = out.later;                      \
        type##_init(&out.now, sizeof out.now);                     \
        assert_memory_equal(&out.now, &expected, sizeof expected); \
        assert_true(out.later == untouched);                       \
        type##_init(&out.now, sizeof out);                         \
        assert_int_equal(out.now.size, sizeof out);                \
        assert_true(out.later == 0);                               \
        memset(&out, 0xaa, sizeof out);                            \
        type##_init(&out.now, sizeof(size_t));                     \
        assert_int_equal(out.now.size, sizeof(size_t));            \
        assert_true(((uint8_t *)&out)[sizeof(size_t)] == 0xaa);    \
    }

static void a_function_says_what_the_macro_says(void **state)
{
    (void)state;
    INITIALISED(CHECK_INITIALISED)

    struct kf_error error = {KF_E_BUG, "text"};
    kf_error_init(&error);
    assert_int_equal(error.code, KF_OK);
    assert_string_equal(error.text, "");
    struct kf_buf buf = {(uint8_t *)&buf, 1, 1};
    kf_buf_init(&buf);
    assert_true(buf.data == NULL && buf.length == 0 && buf.capacity == 0);
}

/* ---- What is filled ---- */

static void nothing_is_filled_without_a_size(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cache *cache;
    struct kf_aws_client *client;
    assert_ok(kf_cache_new(1, &error, &cache), &error);
    assert_ok(kf_aws_client_new(NULL, &error, &client), &error);
    static const size_t wrong[] = {0, 13, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct kf_cache_stats stats = {.size = wrong[i], .hits = 77, .failed_fast = 88};
        kf_cache_stats_read(cache, &stats);
        assert_true(stats.size == wrong[i] && stats.hits == 77 && stats.failed_fast == 88);
        struct kf_aws_settings settings = {.size = wrong[i], .profile = {"a", "b"}};
        kf_aws_client_settings(client, &settings);
        assert_true(settings.size == wrong[i] && settings.profile.value[0] == 'a');
    }
    kf_aws_client_unref(client);
    kf_cache_unref(cache);

    struct kf_buf public_key = KF_BUF_INIT, private_key = KF_BUF_INIT;
    assert_ok(kf_raw_ecdh_key_generate(KF_ECDH_P256, &error, &public_key, &private_key), &error);
    struct kf_raw_key_info info = {.curve = 7};
    assert_int_equal(kf_raw_key_describe(kf_view_of(public_key.data, public_key.length), NULL, &error, &info),
                     KF_E_USAGE);
    assert_non_null(strstr(error.text, "size"));
    assert_int_equal(info.curve, 7);
    kf_buf_free(&public_key);
    kf_buf_free(&private_key);
}

/* ---- The release ---- */

static void the_release_is_the_one_of_the_headers(void **state)
{
    (void)state;
    char numbers[64];
    snprintf(numbers, sizeof numbers, "%d.%d.%d", KF_VERSION_MAJOR, KF_VERSION_MINOR, KF_VERSION_PATCH);
    assert_string_equal(numbers, KF_VERSION);
    assert_string_equal(kf_version(), KF_VERSION);
}

static int make_cmm(void **state)
{
    (void)state;
    cmm = client_cmm_on(client_keyring("key", 1));
    return 0;
}

static int free_cmm(void **state)
{
    (void)state;
    kf_cmm_unref(cmm);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_size_or_too_large_is_refused),
        cmocka_unit_test(a_size_alone_says_that_all_is_as_it_is_by_default),
        cmocka_unit_test(a_function_says_what_the_macro_says),
        cmocka_unit_test(nothing_is_filled_without_a_size),
        cmocka_unit_test(the_release_is_the_one_of_the_headers),
    };
    return cmocka_run_group_tests(tests, make_cmm, free_cmm);
}
