/*
 * The raw AES keyring: its EDKs taken apart and made by hand, which EDKs it tries, and which options it refuses.
 */
#include <string.h>

#include "support/client.h"
#include "support/parts.h"
#include "support/wrapping.h"

/* ---- A keyring, and asking it ---- */

static const uint8_t bytes_of_keys[64] = "0123456789abcdefghijklmnopqrstuv";

static struct kf_keyring *keyring_of(struct kf_view name_space, struct kf_view name, size_t key_length)
{
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    options.key_namespace = name_space;
    options.key_name = name;
    options.wrapping_key = kf_view_of(bytes_of_keys, key_length);
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_raw_aes_keyring_new(&options, &error, &keyring), &error);
    return keyring;
}

static struct kf_keyring *keyring_named(const char *name_space, const char *name)
{
    return keyring_of(kf_view_text(name_space), kf_view_text(name), 32);
}

/* Serialized {a: 1}. */
static const uint8_t context_bytes[] = {0, 1, 0, 1, 'a', 0, 1, '1'};

static enum kf_code wrap(struct kf_keyring *keyring, enum kf_suite suite, const struct kf_data_key *data_key,
                         struct kf_wrapped *out)
{
    struct kf_error error;
    return wrapping_wrap(keyring, suite, "1", data_key, &error, out);
}

static void check_none_fits(struct kf_keyring *keyring, const char *value, const struct kf_edk *edks,
                            size_t count)
{
    struct kf_data_key data_key;
    struct kf_error error;
    assert_int_equal(wrapping_unwrap(keyring, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, value, edks, count,
                                     &error, &data_key),
                     KF_E_KEYS);
}

/* ---- EDKs by hand ---- */

struct by_hand {
    uint8_t info[100], ciphertext[64];
    struct kf_edk edk;
};

static const uint8_t data_key_bytes[32] = "the data key that is wrapped...";

/* Context {a: 1}, the whole wrapping key. */
static void make(struct by_hand *made, const char *name_space, const char *name, uint32_t tag_bits,
                 uint32_t iv_length, size_t data_key_length)
{
    static const uint8_t iv[12] = "just an iv..";
    struct kfi_writer writer = {made->info, sizeof made->info, false};
    kfi_write_bytes(&writer, kf_view_text(name));
    kfi_write_u32(&writer, tag_bits);
    kfi_write_u32(&writer, iv_length);
    kfi_write_bytes(&writer, kf_view_of(iv, 12));
    parts_seal(kf_view_of(bytes_of_keys, 32), kf_view_of(iv, 12),
               kf_view_of(context_bytes, sizeof context_bytes), kf_view_of(data_key_bytes, data_key_length),
               made->ciphertext, made->ciphertext + data_key_length);
    made->edk =
        (struct kf_edk){kf_view_text(name_space), kf_view_of(made->info, sizeof made->info - writer.room),
                        kf_view_of(made->ciphertext, data_key_length + 16)};
}

static void check_fits(struct kf_keyring *keyring, const struct kf_edk *edks, size_t count)
{
    struct kf_data_key data_key;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(
        wrapping_unwrap(keyring, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, "1", edks, count, &error, &data_key),
        &error);
    assert_int_equal(data_key.length, 32);
    assert_memory_equal(data_key.bytes, data_key_bytes, 32);
}

static void it_wraps_as_the_specification_says(void **state)
{
    (void)state;
    static const size_t lengths[] = {16, 24, 32};
    static const enum kf_suite suites[] = {KF_AES_128_GCM_IV12_TAG16_NO_KDF,
                                           KF_AES_192_GCM_IV12_TAG16_HKDF_SHA256,
                                           KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY};
    for (size_t k = 0; k < 3; k++) {
        struct kf_keyring *keyring = keyring_of(kf_view_text("space"), kf_view_text("name"), lengths[k]);
        for (size_t s = 0; s < 3; s++) {
            struct kf_wrapped wrapped;
            uint8_t opened[32];
            assert_int_equal(wrap(keyring, suites[s], NULL, &wrapped), KF_OK);
            assert_int_equal(wrapped.data_key.length, lengths[s]);
            assert_int_equal(wrapped.edks.count, 1);
            const struct kf_edk *edk = &wrapped.edks.items[0];
            assert_same_bytes(edk->provider_id, kf_view_text("space"));
            assert_int_equal(edk->provider_info.length, 4 + 20);
            assert_memory_equal(edk->provider_info.data, "name\0\0\0\x80\0\0\0\x0c", 12);
            assert_int_equal(edk->ciphertext.length, lengths[s] + 16);
            assert_true(parts_unwrap(edk, kf_view_of(bytes_of_keys, lengths[k]),
                                     kf_view_of(context_bytes, sizeof context_bytes), opened));
            assert_memory_equal(opened, wrapped.data_key.bytes, lengths[s]);
            kfi_wrapped_free(&wrapped);
        }
        kf_keyring_unref(keyring);
    }
}

static void it_wraps_a_data_key_that_is_there(void **state)
{
    (void)state;
    struct kf_keyring *keyring = keyring_named("space", "name");
    struct kf_data_key data_key = {.length = 32};
    memcpy(data_key.bytes, data_key_bytes, 32);
    struct kf_wrapped wrapped[2];
    uint8_t opened[32];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(wrap(keyring, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, &data_key, &wrapped[i]), KF_OK);
        assert_int_equal(wrapped[i].data_key.length, 0); /* it made no data key */
        assert_true(parts_unwrap(&wrapped[i].edks.items[0], kf_view_of(bytes_of_keys, 32),
                                 kf_view_of(context_bytes, sizeof context_bytes), opened));
        assert_memory_equal(opened, data_key_bytes, 32);
    }
    /* Under an IV of its own each time. */
    assert_memory_not_equal(wrapped[0].edks.items[0].provider_info.data + 12,
                            wrapped[1].edks.items[0].provider_info.data + 12, 12);
    kfi_wrapped_free(&wrapped[0]);
    kfi_wrapped_free(&wrapped[1]);
    kf_keyring_unref(keyring);
}

static void it_unwraps_what_was_made_by_hand(void **state)
{
    (void)state;
    struct kf_keyring *keyring = keyring_named("space", "name");
    struct by_hand made;
    make(&made, "space", "name", 128, 12, 32);
    check_fits(keyring, &made.edk, 1);
    check_none_fits(keyring, "2", &made.edk, 1); /* bound to its context */
    check_none_fits(keyring, "1", NULL, 0);
    kf_keyring_unref(keyring);
}

/* ---- Which EDKs are its own ---- */

static void names_are_compared_whole(void **state)
{
    (void)state;
    static const char *const others[] = {"key", "key10", "key2", "Key1", "key1 ", ""};
    struct kf_keyring *keyring = keyring_named("space", "key1");
    struct by_hand made;
    make(&made, "space", "key1", 128, 12, 32);
    check_fits(keyring, &made.edk, 1);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        make(&made, "space", others[i], 128, 12, 32);
        check_none_fits(keyring, "1", &made.edk, 1);
        struct kf_keyring *other = keyring_named("space", others[i]);
        check_fits(other, &made.edk, 1);
        make(&made, "space", "key1", 128, 12, 32);
        check_none_fits(other, "1", &made.edk, 1);
        kf_keyring_unref(other);
    }
    static const char *const spaces[] = {"spac", "spaces", "Space", ""};
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
        make(&made, spaces[i], "key1", 128, 12, 32);
        check_none_fits(keyring, "1", &made.edk, 1);
    }
    kf_keyring_unref(keyring);
}

static void another_form_of_the_info_is_not_its_own(void **state)
{
    (void)state;
    static const uint32_t tags[] = {0, 96, 127, 129, 16, 0x80000000}, ivs[] = {0, 11, 13, 16, 0x0c000000};
    struct kf_keyring *keyring = keyring_named("space", "name");
    struct by_hand made;
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        make(&made, "space", "name", tags[i], 12, 32);
        check_none_fits(keyring, "1", &made.edk, 1);
    }
    for (size_t i = 0; i < sizeof ivs / sizeof ivs[0]; i++) {
        make(&made, "space", "name", 128, ivs[i], 32);
        check_none_fits(keyring, "1", &made.edk, 1);
    }
    make(&made, "space", "name", 128, 12, 32);
    const size_t length = made.edk.provider_info.length;
    for (size_t shorter = 0; shorter <= length + 1; shorter++) { /* cut at every byte, and one too long */
        made.edk.provider_info.length = shorter;
        if (shorter == length)
            check_fits(keyring, &made.edk, 1);
        else
            check_none_fits(keyring, "1", &made.edk, 1);
    }
    kf_keyring_unref(keyring);
}

static void a_data_key_has_to_have_the_suites_length(void **state)
{
    (void)state;
    struct kf_keyring *keyring = keyring_named("space", "name");
    struct by_hand made;
    for (size_t length = 0; length <= 40; length += 8) {
        make(&made, "space", "name", 128, 12, length < 32 ? length : 32);
        made.edk.ciphertext.length = length + 16;
        if (length == 32)
            check_fits(keyring, &made.edk, 1);
        else
            check_none_fits(keyring, "1", &made.edk, 1);
    }
    make(&made, "space", "name", 128, 12, 32);
    for (size_t length = 0; length < 48; length++) {
        made.edk.ciphertext.length = length;
        check_none_fits(keyring, "1", &made.edk, 1);
    }
    kf_keyring_unref(keyring);
}

/* An EDK that has its name and does not open must not hide one that does. */
static void it_tries_every_edk_that_may_be_its_own(void **state)
{
    (void)state;
    struct kf_keyring *keyring = keyring_named("space", "name");
    struct by_hand made[5];
    struct kf_edk edks[5];
    for (size_t i = 0; i < 5; i++)
        make(&made[i], i == 3 ? "elsewhere" : "space", "name", 128, 12, 32);
    made[0].ciphertext[0] ^= 1;         /* the ciphertext changed */
    made[1].ciphertext[47] ^= 1;        /* the tag */
    made[2].edk.ciphertext.length = 20; /* too short for a key */
    for (size_t i = 0; i < 5; i++)
        edks[i] = made[i].edk;
    check_fits(keyring, edks, 5);
    check_none_fits(keyring, "1", edks, 4);
    made[4].info[23] ^= 1; /* the IV of the last one */
    check_none_fits(keyring, "1", edks, 5);
    kf_keyring_unref(keyring);
}

static void the_sentence_tells_a_missing_key_from_a_wrong_one(void **state)
{
    (void)state;
    struct kf_keyring *keyring = keyring_named("space", "name");
    struct by_hand made;
    struct kf_data_key data_key;
    struct kf_error missing = KF_ERROR_INIT, wrong = KF_ERROR_INIT;
    make(&made, "space", "other", 128, 12, 32);
    assert_int_equal(wrapping_unwrap(keyring, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, "1", &made.edk, 1,
                                     &missing, &data_key),
                     KF_E_KEYS);
    make(&made, "space", "name", 128, 12, 32);
    assert_int_equal(
        wrapping_unwrap(keyring, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, "2", &made.edk, 1, &wrong, &data_key),
        KF_E_KEYS);
    assert_non_null(strstr(missing.text, "\"name\""));
    assert_non_null(strstr(missing.text, "\"space\""));
    assert_non_null(strstr(wrong.text, "\"name\""));
    assert_string_not_equal(missing.text, wrong.text);
    kf_keyring_unref(keyring);
}

/* ---- Options ---- */

static void check_options(struct kf_view name_space, struct kf_view name, size_t key_length, bool allowed)
{
    uint8_t key[64] = {0};
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    options.key_namespace = name_space;
    options.key_name = name;
    options.wrapping_key = kf_view_of(key, key_length);
    struct kf_keyring *keyring = (struct kf_keyring *)&options; /* anything but NULL */
    struct kf_error error = KF_ERROR_INIT;
    const enum kf_code code = kf_raw_aes_keyring_new(&options, &error, &keyring);
    assert_int_equal(code, allowed ? KF_OK : KF_E_USAGE);
    assert_true(allowed == (keyring != NULL));
    assert_true(allowed == (error.text[0] == '\0'));
    kf_keyring_unref(keyring);
}

static void options_out_of_bounds_are_refused(void **state)
{
    (void)state;
    const struct kf_view text = kf_view_text("text");
    for (size_t length = 0; length <= 64; length++)
        check_options(text, text, length, length == 16 || length == 24 || length == 32);

    static const char *const reserved[] = {"aws-kms", "aws-kms-", "aws-kms-hierarchy", "aws-kmsx"};
    static const char *const not_reserved[] = {"",          "aws-km", "AWS-KMS",     " aws-kms",
                                               "x-aws-kms", "aws",    "\xE2\x82\xAC"};
    static const char *const not_utf8[] = {"\xFF", "\xC0\x80", "a\xE2\x82", "\xED\xA0\x80"};
    for (size_t i = 0; i < 4; i++)
        check_options(kf_view_text(reserved[i]), text, 32, false);
    for (size_t i = 0; i < 7; i++)
        check_options(kf_view_text(not_reserved[i]), text, 32, true);
    for (size_t i = 0; i < 4; i++) {
        check_options(kf_view_text(not_utf8[i]), text, 32, false);
        check_options(text, kf_view_text(not_utf8[i]), 32, false);
    }
    check_options(text, kf_view_text("aws-kms"), 32, true); /* only namespaces are reserved */

    static uint8_t letters[65536];
    memset(letters, 'n', sizeof letters);
    check_options(kf_view_of(letters, 65535), text, 32, true);
    check_options(kf_view_of(letters, 65536), text, 32, false);
    check_options(text, kf_view_of(letters, 65515), 32, true);
    check_options(text, kf_view_of(letters, 65516), 32, false);

    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_keyring *keyring;
    options.wrapping_key = kf_view_of(NULL, 32);
    assert_int_equal(kf_raw_aes_keyring_new(&options, NULL, &keyring), KF_E_USAGE);
    options.wrapping_key = kf_view_of(bytes_of_keys, 32);
    options.size = 0;
    assert_int_equal(kf_raw_aes_keyring_new(&options, NULL, &keyring), KF_E_USAGE);
    options.size = sizeof options + 1;
    assert_int_equal(kf_raw_aes_keyring_new(&options, NULL, &keyring), KF_E_USAGE);
    assert_int_equal(kf_raw_aes_keyring_new(NULL, NULL, &keyring), KF_E_USAGE);
    assert_null(keyring);
}

/* The longest names, empty ones, and names with a NUL. */
static void names_of_every_length_round_trip(void **state)
{
    (void)state;
    static uint8_t letters[65535];
    memset(letters, 'n', sizeof letters);
    const struct kf_view names[] = {kf_view_of(NULL, 0), kf_view_of(letters, 65515), kf_view_of("a\0b", 3)};
    const struct kf_view others[] = {kf_view_of("x", 1), kf_view_of(letters, 65514), kf_view_of("a\0c", 3)};
    for (size_t i = 0; i < 3; i++) {
        struct kf_keyring *keyring = keyring_of(names[i], names[i], 32),
                          *other = keyring_of(names[i], others[i], 32);
        struct kf_wrapped wrapped;
        struct kf_data_key data_key;
        struct kf_error error = KF_ERROR_INIT;
        assert_int_equal(wrap(keyring, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, NULL, &wrapped), KF_OK);
        assert_ok(wrapping_unwrap(keyring, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, "1", wrapped.edks.items, 1,
                                  &error, &data_key),
                  &error);
        assert_memory_equal(data_key.bytes, wrapped.data_key.bytes, 32);
        check_none_fits(other, "1", wrapped.edks.items, 1);
        kfi_wrapped_free(&wrapped);
        kf_keyring_unref(keyring);
        kf_keyring_unref(other);
    }
}

/* What the options point to need not outlive the call. */
static void options_are_copied(void **state)
{
    (void)state;
    char text[] = "name";
    uint8_t key[32];
    memcpy(key, bytes_of_keys, sizeof key);
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    options.key_namespace = options.key_name = kf_view_text(text);
    options.wrapping_key = kf_view_of(key, sizeof key);
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_raw_aes_keyring_new(&options, &error, &keyring), &error);
    memset(text, 0, sizeof text);
    memset(key, 0, sizeof key);
    struct by_hand made;
    make(&made, "name", "name", 128, 12, 32);
    check_fits(keyring, &made.edk, 1);
    kf_keyring_unref(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_wraps_as_the_specification_says),
        cmocka_unit_test(it_wraps_a_data_key_that_is_there),
        cmocka_unit_test(it_unwraps_what_was_made_by_hand),
        cmocka_unit_test(names_are_compared_whole),
        cmocka_unit_test(another_form_of_the_info_is_not_its_own),
        cmocka_unit_test(a_data_key_has_to_have_the_suites_length),
        cmocka_unit_test(it_tries_every_edk_that_may_be_its_own),
        cmocka_unit_test(the_sentence_tells_a_missing_key_from_a_wrong_one),
        cmocka_unit_test(options_out_of_bounds_are_refused),
        cmocka_unit_test(names_of_every_length_round_trip),
        cmocka_unit_test(options_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
