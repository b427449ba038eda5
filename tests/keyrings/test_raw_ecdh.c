/*
 * The raw ECDH keyring: its EDKs taken apart by hand, which schema reads what, which EDKs it tries, and which options it
 * refuses.
 */
#include <stdio.h>

#include "support/client.h"
#include "support/failing_allocator.h"
#include "support/keys.h"
#include "support/parts.h"
#include "support/wrapping.h"

#include "suite/ecdh.h"

#define SUITE KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY

static const struct {
    const char *name;
    enum kf_ecdh_curve curve;
    size_t point; /* bytes of one */
} curves[] = {{"p256", KF_ECDH_P256, 33}, {"p384", KF_ECDH_P384, 49}, {"p521", KF_ECDH_P521, 67}};
#define CURVES 3

static struct kf_view curve_file(size_t curve, const char *rest)
{
    char name[64];
    snprintf(name, sizeof name, "%s-%s", curves[curve].name, rest);
    return key_file(name);
}

static struct kf_raw_ecdh_keyring_options options_of(size_t curve, enum kf_ecdh_schema schema,
                                                     const char *private_file, const char *public_file)
{
    struct kf_raw_ecdh_keyring_options options = KF_RAW_ECDH_KEYRING_OPTIONS_INIT;
    options.schema = schema;
    options.curve = curves[curve].curve;
    if (private_file != NULL)
        options.private_key = curve_file(curve, private_file);
    if (public_file != NULL)
        options.public_key = curve_file(curve, public_file);
    return options;
}

static struct kf_keyring *keyring_of(size_t curve, enum kf_ecdh_schema schema, const char *private_file,
                                     const char *public_file)
{
    const struct kf_raw_ecdh_keyring_options options = options_of(curve, schema, private_file, public_file);
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_raw_ecdh_keyring_new(&options, &error, &keyring), &error);
    return keyring;
}

/* A sends to B. */
static struct kf_keyring *sender(size_t curve)
{
    return keyring_of(curve, KF_ECDH_STATIC, "a-pkcs8.pem", "b-public.pem");
}

static struct kf_keyring *discovery(size_t curve)
{
    return keyring_of(curve, KF_ECDH_DISCOVERY, "b-pkcs8.pem", NULL);
}

static struct kf_wrapped wrap(struct kf_keyring *keyring, enum kf_suite suite)
{
    struct kf_wrapped wrapped;
    struct kf_error error;
    assert_ok(wrapping_wrap(keyring, suite, "1", NULL, &error, &wrapped), &error);
    assert_int_equal(wrapped.edks.count, 1);
    return wrapped;
}

static void check_fits(struct kf_keyring *keyring, enum kf_suite suite, const struct kf_edk *edks,
                       size_t count, const struct kf_data_key *expected)
{
    struct kf_data_key data_key;
    struct kf_error error;
    assert_ok(wrapping_unwrap(keyring, suite, "1", edks, count, &error, &data_key), &error);
    assert_int_equal(data_key.length, expected->length);
    assert_memory_equal(data_key.bytes, expected->bytes, expected->length);
}

static void check_none_fits(struct kf_keyring *keyring, const char *value, const struct kf_edk *edks,
                            size_t count, const char *says)
{
    struct kf_data_key data_key;
    struct kf_error error;
    assert_int_equal(wrapping_unwrap(keyring, SUITE, value, edks, count, &error, &data_key), KF_E_KEYS);
    if (strstr(error.text, says) == NULL)
        fail_msg("\"%s\" is not in: %s", says, error.text);
}

static void check_refuses_one(struct kf_keyring *keyring, struct kf_edk edk, const char *says)
{
    check_none_fits(keyring, "1", &edk, 1, says);
}

#define NOT_OURS "None of the"
#define NOT_OPENED "unwraps none of the"

/* ---- By hand ---- */

/* Serialized {a: 1}. */
static const uint8_t context_bytes[] = {0, 1, 0, 1, 'a', 0, 1, '1'};

/* Opens an EDK as WIRE says. */
static void open_by_hand(size_t curve, const struct kf_edk *edk, struct kf_data_key *out)
{
    const size_t point = curves[curve].point;
    struct kfi_reader reader = {edk->provider_info, false};
    assert_same_bytes(edk->provider_id, kf_view_text("raw-ecdh"));
    assert_int_equal(edk->provider_info.length, 1 + 4 + point + 4 + point);
    assert_int_equal(kfi_read_u8(&reader), 1);
    assert_int_equal(kfi_read_u32(&reader), point);
    const struct kf_view recipient = kfi_read_bytes(&reader, point);
    assert_int_equal(kfi_read_u32(&reader), point);
    const struct kf_view from = kfi_read_bytes(&reader, point);

    struct kfi_ecdh_key *own, *peer;
    struct kf_error error = KF_ERROR_INIT;
    uint8_t secret[KFI_ECDH_SECRET_MAX], keys[64];
    assert_ok(
        kfi_ecdh_key_new(curves[curve].curve, curve_file(curve, "b-sec1.pem"), true, NULL, &error, &own),
        &error);
    assert_same_bytes(kfi_ecdh_key_point(own), recipient);
    assert_int_equal(kfi_ecdh_key_of_point(curves[curve].curve, from, NULL, &peer), KF_OK);
    assert_int_equal(kfi_ecdh_agree(own, peer, NULL, secret), KF_OK);
    kfi_ecdh_key_free(own);
    kfi_ecdh_key_free(peer);

    uint8_t info[512];
    struct kfi_writer writer = {info, sizeof info, false};
    kfi_write_bytes(&writer, kf_view_of("ecdh-key-derivation\0", 20));
    kfi_write_bytes(&writer, kf_view_of(curves[curve].name, 5));
    kfi_write_bytes(&writer, kf_view_of("HMAC_SHA384\0", 12));
    kfi_write_bytes(&writer, from);
    kfi_write_bytes(&writer, recipient);
    kfi_write_bytes(&writer, kf_view_of("\0\1\0", 3));
    kfi_write_bytes(&writer, kf_view_of(context_bytes, sizeof context_bytes));
    const struct kf_view aad = kf_view_of(info, sizeof info - writer.room);
    const uint8_t *ciphertext = edk->ciphertext.data, iv[12] = {0};
    assert_int_equal(kfi_kdf_counter(KFI_SHA384, kf_view_of(secret, point - 1), aad,
                                     kf_view_of(ciphertext, 32), NULL, keys, sizeof keys),
                     KF_OK);
    assert_memory_equal(ciphertext + 32, keys, 32);
    out->length = edk->ciphertext.length - 32 - 32 - 16;
    assert_true(parts_open(kf_view_of(keys + 32, 32), kf_view_of(iv, 12), aad,
                           kf_view_of(ciphertext + 64, out->length),
                           kf_view_of(ciphertext + 64 + out->length, 16), out->bytes));
}

static void it_wraps_as_the_specification_says(void **state)
{
    (void)state;
    static const enum kf_suite suites[] = {KF_AES_128_GCM_IV12_TAG16_NO_KDF,
                                           KF_AES_192_GCM_IV12_TAG16_HKDF_SHA256, SUITE};
    for (size_t c = 0; c < CURVES; c++) {
        struct kf_keyring *writers[] = {sender(c), keyring_of(c, KF_ECDH_EPHEMERAL, NULL, "b-public.pem")};
        for (size_t w = 0; w < 2; w++) {
            for (size_t s = 0; s < 3; s++) {
                struct kf_wrapped wrapped = wrap(writers[w], suites[s]);
                struct kf_data_key data_key;
                assert_int_equal(wrapped.data_key.length, 16 + 8 * s);
                open_by_hand(c, &wrapped.edks.items[0], &data_key);
                assert_int_equal(data_key.length, wrapped.data_key.length);
                assert_memory_equal(data_key.bytes, wrapped.data_key.bytes, data_key.length);
                kfi_wrapped_free(&wrapped);
            }
            kf_keyring_unref(writers[w]);
        }
    }
}

static void it_wraps_a_data_key_that_is_there(void **state)
{
    (void)state;
    struct kf_keyring *keyring = sender(0);
    struct kf_data_key data_key = {.length = 32};
    struct kf_wrapped wrapped[2];
    struct kf_error error;
    memcpy(data_key.bytes, key_file("data-key.bin").data, 32);
    for (size_t i = 0; i < 2; i++) {
        assert_ok(wrapping_wrap(keyring, SUITE, "1", &data_key, &error, &wrapped[i]), &error);
        assert_int_equal(wrapped[i].data_key.length, 0); /* it made no data key */
        check_fits(keyring, SUITE, wrapped[i].edks.items, 1, &data_key);
    }
    /* Each time with another salt, and so under another key. */
    assert_memory_not_equal(wrapped[0].edks.items[0].ciphertext.data,
                            wrapped[1].edks.items[0].ciphertext.data, 32);
    kfi_wrapped_free(&wrapped[0]);
    kfi_wrapped_free(&wrapped[1]);
    kf_keyring_unref(keyring);
}

static void ephemeral_senders_are_new_each_time(void **state)
{
    (void)state;
    struct kf_keyring *keyring = keyring_of(0, KF_ECDH_EPHEMERAL, NULL, "b-public.pem");
    struct kf_wrapped first = wrap(keyring, SUITE), second = wrap(keyring, SUITE);
    const uint8_t *a = first.edks.items[0].provider_info.data, *b = second.edks.items[0].provider_info.data;
    assert_memory_equal(a, b, 5 + 33);
    assert_memory_not_equal(a + 5 + 33 + 4, b + 5 + 33 + 4, 33);
    kfi_wrapped_free(&first);
    kfi_wrapped_free(&second);
    kf_keyring_unref(keyring);
}

/* ---- Which schema reads what ---- */

static void every_schema_reads_what_is_meant_for_it(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVES; c++) {
        struct kf_keyring *writer = sender(c),
                          *ephemeral = keyring_of(c, KF_ECDH_EPHEMERAL, NULL, "b-public.pem");
        struct kf_keyring *mirrored = keyring_of(c, KF_ECDH_STATIC, "b-pkcs8.pem", "a-public.pem");
        struct kf_keyring *finder = discovery(c),
                          *other = keyring_of(c, KF_ECDH_DISCOVERY, "a-pkcs8.pem", NULL);
        struct kf_wrapped fixed = wrap(writer, SUITE), fresh = wrap(ephemeral, SUITE),
                          back = wrap(mirrored, SUITE);

        check_fits(writer, SUITE, fixed.edks.items, 1, &fixed.data_key);
        check_fits(mirrored, SUITE, fixed.edks.items, 1, &fixed.data_key);
        check_fits(finder, SUITE, fixed.edks.items, 1, &fixed.data_key);
        check_none_fits(other, "1", fixed.edks.items, 1, NOT_OURS);
        check_none_fits(ephemeral, "1", fixed.edks.items, 1, "only encrypts");

        check_fits(finder, SUITE, fresh.edks.items, 1, &fresh.data_key);
        check_none_fits(writer, "1", fresh.edks.items, 1, NOT_OURS);
        check_none_fits(other, "1", fresh.edks.items, 1, NOT_OURS);
        check_none_fits(ephemeral, "1", fresh.edks.items, 1, "only encrypts");

        check_fits(writer, SUITE, back.edks.items, 1, &back.data_key);
        check_fits(other, SUITE, back.edks.items, 1, &back.data_key);
        check_none_fits(finder, "1", back.edks.items, 1, NOT_OURS);

        struct kf_wrapped nothing;
        struct kf_error error;
        assert_int_equal(wrapping_wrap(finder, SUITE, "1", NULL, &error, &nothing), KF_E_KEYS);
        assert_non_null(strstr(error.text, "only decrypts"));
        kfi_wrapped_free(&nothing);
        kfi_wrapped_free(&fixed);
        kfi_wrapped_free(&fresh);
        kfi_wrapped_free(&back);
        kf_keyring_unref(writer);
        kf_keyring_unref(ephemeral);
        kf_keyring_unref(mirrored);
        kf_keyring_unref(finder);
        kf_keyring_unref(other);
    }
}

static void messages_go_from_sender_to_recipient(void **state)
{
    (void)state;
    const struct kf_encryption_context *context = client_context("purpose", "tests");
    for (size_t c = 0; c < CURVES; c++) {
        struct kf_cmm *writers[] = {client_cmm_on(sender(c)),
                                    client_cmm_on(keyring_of(c, KF_ECDH_EPHEMERAL, NULL, "b-public.pem"))};
        struct kf_cmm *reader = client_cmm_on(discovery(c));
        struct kf_cmm *wrong = client_cmm_on(keyring_of(c, KF_ECDH_DISCOVERY, "a-pkcs8.pem", NULL));
        for (size_t i = 0; i < 2 * CLIENT_SUITES; i++) {
            const struct kf_encrypt_options options =
                client_encrypt_options(client_suites[i / 2], 100, context);
            const struct kf_decrypt_options any = client_decrypt_options();
            struct kf_buf message = client_message(writers[i % 2], &options, client_plaintext(250));
            assert_decrypts(reader, &any, buf_view(message), client_plaintext(250));
            assert_refused(wrong, &any, buf_view(message), KF_E_KEYS);
            kf_buf_free(&message);
        }
        kf_cmm_unref(writers[0]);
        kf_cmm_unref(writers[1]);
        kf_cmm_unref(reader);
        kf_cmm_unref(wrong);
    }
    kf_encryption_context_unref(context);
}

/* ---- EDKs that are none, or were changed ---- */

static void every_change_is_noticed(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVES; c++) {
        struct kf_keyring *writer = sender(c), *finder = discovery(c);
        struct kf_wrapped wrapped = wrap(writer, SUITE);
        const struct kf_edk good = wrapped.edks.items[0];
        uint8_t info[150], ciphertext[112];
        memcpy(info, good.provider_info.data, good.provider_info.length);
        memcpy(ciphertext, good.ciphertext.data, sizeof ciphertext);
        struct kf_edk changed = {good.provider_id, kf_view_of(info, good.provider_info.length),
                                 kf_view_of(ciphertext, sizeof ciphertext)};
        for (size_t i = 0; i < good.provider_info.length; i++) {
            info[i] ^= (uint8_t)(1 << i % 8);
            check_refuses_one(writer, changed, NOT_OURS);
            /* Discovery takes any sender and tries. It does not take another recipient. */
            check_refuses_one(finder, changed, i < 9 + curves[c].point ? NOT_OURS : NOT_OPENED);
            info[i] ^= (uint8_t)(1 << i % 8);
        }
        for (size_t i = 0; i < sizeof ciphertext; i++) {
            ciphertext[i] ^= (uint8_t)(1 << i % 8);
            check_refuses_one(writer, changed, NOT_OPENED);
            check_refuses_one(finder, changed, NOT_OPENED);
            ciphertext[i] ^= (uint8_t)(1 << i % 8);
        }
        check_none_fits(writer, "2", &changed, 1, NOT_OPENED); /* bound to its context */
        check_none_fits(finder, "2", &changed, 1, NOT_OPENED);
        check_fits(writer, SUITE, &changed, 1, &wrapped.data_key);
        check_fits(finder, SUITE, &changed, 1, &wrapped.data_key);
        kfi_wrapped_free(&wrapped);
        kf_keyring_unref(writer);
        kf_keyring_unref(finder);
    }
}

static void cut_and_lengthened_edks_are_refused(void **state)
{
    (void)state;
    struct kf_keyring *finder = discovery(1), *writer = sender(1);
    struct kf_wrapped wrapped = wrap(writer, SUITE);
    const struct kf_edk good = wrapped.edks.items[0];
    uint8_t info[200] = {0}, ciphertext[200] = {0};
    memcpy(info, good.provider_info.data, good.provider_info.length);
    memcpy(ciphertext, good.ciphertext.data, good.ciphertext.length);
    for (size_t length = 0; length <= sizeof info; length++) {
        struct kf_edk edk = good;
        edk.provider_info = kf_view_of(info, length);
        if (length != good.provider_info.length)
            check_refuses_one(finder, edk, NOT_OURS);
        edk = good;
        edk.ciphertext = kf_view_of(ciphertext, length);
        if (length != good.ciphertext.length)
            check_refuses_one(finder, edk, NOT_OPENED);
    }
    kfi_wrapped_free(&wrapped);
    kf_keyring_unref(finder);
    kf_keyring_unref(writer);
}

static void providers_are_those_of_ecdh(void **state)
{
    (void)state;
    struct kf_keyring *keyring = discovery(0), *writer = sender(0);
    struct kf_wrapped wrapped = wrap(writer, SUITE);
    struct kf_edk edk = wrapped.edks.items[0];
    static const char *const others[] = {"", "raw-ecd", "raw-ecdh2", "RAW-ECDH", "aws-kms", "aws-kms-ecdh2"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        edk.provider_id = kf_view_text(others[i]);
        check_refuses_one(keyring, edk, NOT_OURS);
    }
    edk.provider_id = kf_view_text("aws-kms-ecdh"); /* the sender's key may be in KMS */
    check_fits(keyring, SUITE, &edk, 1, &wrapped.data_key);
    kfi_wrapped_free(&wrapped);
    kf_keyring_unref(keyring);
    kf_keyring_unref(writer);
}

/* A sender whose point is not on the curve spoils its own EDK, not the others. */
static void it_tries_every_edk_that_may_be_its_own(void **state)
{
    (void)state;
    struct kf_keyring *keyring = discovery(0), *writer = sender(0), *other_curve = sender(1);
    struct kf_wrapped wrapped = wrap(writer, SUITE), elsewhere = wrap(other_curve, SUITE);
    const struct kf_edk good = wrapped.edks.items[0];
    uint8_t infos[3][75], ciphertext[112];
    struct kf_edk edks[6] = {elsewhere.edks.items[0], good, good, good, good, good};
    for (size_t i = 0; i < 3; i++) {
        memcpy(infos[i], good.provider_info.data, 75);
        edks[1 + i].provider_info = kf_view_of(infos[i], 75);
    }
    memset(infos[0] + 43, 0xff, 32); /* no coordinate */
    infos[1][42] = 4;                /* not compressed */
    infos[2][0] = 2;                 /* a version to come */
    memcpy(ciphertext, good.ciphertext.data, 112);
    ciphertext[40] ^= 1;
    edks[4].ciphertext = kf_view_of(ciphertext, 112);
    check_none_fits(keyring, "1", edks, 5, "none of the 3");
    check_fits(keyring, SUITE, edks, 6, &wrapped.data_key);
    kfi_wrapped_free(&wrapped);
    kfi_wrapped_free(&elsewhere);
    kf_keyring_unref(keyring);
    kf_keyring_unref(writer);
    kf_keyring_unref(other_curve);
}

/* ---- Options ---- */

static void check_options(const struct kf_raw_ecdh_keyring_options *options, const char *says)
{
    struct kf_keyring *keyring = (struct kf_keyring *)&keyring; /* anything but NULL */
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_raw_ecdh_keyring_new(options, &error, &keyring), KF_E_USAGE);
    assert_null(keyring);
    if (strstr(error.text, says) == NULL)
        fail_msg("\"%s\" is not in: %s", says, error.text);
}

static void options_out_of_bounds_are_refused(void **state)
{
    (void)state;
    static const struct {
        enum kf_ecdh_schema schema;
        const char *private_file, *public_file, *says;
    } cases[] = {
        {(enum kf_ecdh_schema)0, "a-pkcs8.pem", "b-public.pem", "schema 0"},
        {(enum kf_ecdh_schema)4, "a-pkcs8.pem", "b-public.pem", "schema 4"},
        {KF_ECDH_STATIC, NULL, "b-public.pem", "needs a private key"},
        {KF_ECDH_STATIC, "a-pkcs8.pem", NULL, "recipient's public key"},
        {KF_ECDH_STATIC, "a-public.pem", "b-public.pem", "public key was given"},
        {KF_ECDH_STATIC, "a-pkcs8.pem", "b-pkcs8.pem", "private key was given"},
        {KF_ECDH_EPHEMERAL, NULL, NULL, "recipient's public key"},
        {KF_ECDH_EPHEMERAL, "a-pkcs8.pem", "b-public.pem", "no private key"},
        {KF_ECDH_DISCOVERY, NULL, NULL, "needs a private key"},
        {KF_ECDH_DISCOVERY, "b-pkcs8.pem", "a-public.pem", "no public key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct kf_raw_ecdh_keyring_options options =
            options_of(1, cases[i].schema, cases[i].private_file, cases[i].public_file);
        check_options(&options, cases[i].says);
    }
    struct kf_raw_ecdh_keyring_options options = options_of(1, KF_ECDH_STATIC, "a-pkcs8.pem", "b-public.pem");
    options.curve = (enum kf_ecdh_curve)0;
    check_options(&options, "no curve 0");
    options.curve = KF_ECDH_P256;
    check_options(&options, "on P-384");
    options.private_key = key_file("p256-a-pkcs8.pem"); /* each key has to be on the curve */
    check_options(&options, "on P-384");
    options.size = 0;
    check_options(&options, "no valid size");
    check_options(NULL, "are missing");
}

static void an_encrypted_key_asks_for_its_passphrase(void **state)
{
    (void)state;
    struct passphrase right = {"secret", 0}, nobody = {NULL, 0};
    struct kf_raw_ecdh_keyring_options options =
        options_of(2, KF_ECDH_STATIC, "a-encrypted.pem", "b-public.pem");
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    options.passphrase = passphrase_source(&nobody);
    check_options(&options, "no passphrase was given");
    options.passphrase = passphrase_source(&right);
    assert_ok(kf_raw_ecdh_keyring_new(&options, &error, &keyring), &error);
    assert_int_equal(right.asked, 1);
    struct kf_wrapped wrapped = wrap(keyring, SUITE);
    check_fits(keyring, SUITE, wrapped.edks.items, 1, &wrapped.data_key);
    kfi_wrapped_free(&wrapped);
    kf_keyring_unref(keyring);
}

/* ---- Memory ---- */

static enum kf_code make_and_use(const void *options, struct kf_error *error)
{
    struct kf_keyring *keyring;
    enum kf_code code = kf_raw_ecdh_keyring_new(options, error, &keyring);
    return code == KF_OK ? client_round_trip(keyring, error) : code;
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    const struct kf_raw_ecdh_keyring_options options =
        options_of(1, KF_ECDH_STATIC, "a-pkcs8.pem", "b-public.pem");
    assert_true(each_allocation_fails(make_and_use, &options) > 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_wraps_as_the_specification_says),
        cmocka_unit_test(it_wraps_a_data_key_that_is_there),
        cmocka_unit_test(ephemeral_senders_are_new_each_time),
        cmocka_unit_test(every_schema_reads_what_is_meant_for_it),
        cmocka_unit_test(messages_go_from_sender_to_recipient),
        cmocka_unit_test(every_change_is_noticed),
        cmocka_unit_test(cut_and_lengthened_edks_are_refused),
        cmocka_unit_test(providers_are_those_of_ecdh),
        cmocka_unit_test(it_tries_every_edk_that_may_be_its_own),
        cmocka_unit_test(options_out_of_bounds_are_refused),
        cmocka_unit_test(an_encrypted_key_asks_for_its_passphrase),
        cmocka_unit_test(no_memory_is_an_error),
    };
    failing_allocator_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
