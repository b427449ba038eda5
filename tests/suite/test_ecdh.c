/*
 * ECDH and the key derivation behind it: against NIST's and the openssl command's answers, and which keys and
 * points are refused.
 */
#include "bytes.h"
#include "support/client.h"
#include "support/keys.h"

#include "base/bytes.h"
#include "suite/ecdh.h"

static const struct {
    const char *name;
    enum kf_ecdh_curve curve;
    size_t length;
} curves[] = {{"p256", KF_ECDH_P256, 32}, {"p384", KF_ECDH_P384, 48}, {"p521", KF_ECDH_P521, 66}};
#define CURVES 3

static struct kf_view curve_file(size_t curve, const char *rest)
{
    char name[64];
    snprintf(name, sizeof name, "%s-%s", curves[curve].name, rest);
    return key_file(name);
}

static struct kfi_ecdh_key *key_of(size_t curve, const char *rest, bool is_private)
{
    struct kfi_ecdh_key *key;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kfi_ecdh_key_new(curves[curve].curve, curve_file(curve, rest), is_private, NULL, &error, &key),
              &error);
    return key;
}

/* ---- Keys made by hand ---- */

/* ECPrivateKey on P-256 of these bytes, and a public key or none. */
static struct kf_view p256_private(struct kf_view scalar, struct kf_view point)
{
    static uint8_t der[256];
    struct kfi_writer writer = {der, sizeof der, false};
    const size_t tail = point.length > 0 ? 5 + point.length : 0;
    kfi_write_u16(&writer, (uint16_t)(0x3000 | (5 + scalar.length + 12 + tail)));
    kfi_write_bytes(&writer, kf_view_of("\x02\x01\x01\x04", 4));
    kfi_write_u8(&writer, (uint8_t)scalar.length);
    kfi_write_bytes(&writer, scalar);
    kfi_write_bytes(&writer, kf_view_of("\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 12));
    if (point.length > 0) {
        kfi_write_u8(&writer, 0xa1);
        kfi_write_u8(&writer, (uint8_t)(3 + point.length));
        kfi_write_u8(&writer, 3);
        kfi_write_u8(&writer, (uint8_t)(1 + point.length));
        kfi_write_u8(&writer, 0);
        kfi_write_bytes(&writer, point);
    }
    return kf_view_of(der, sizeof der - writer.room);
}

/* SubjectPublicKeyInfo on P-256 of these bytes. */
static struct kf_view p256_public(struct kf_view point)
{
    static uint8_t der[256];
    struct kfi_writer writer = {der, sizeof der, false};
    kfi_write_u16(&writer, (uint16_t)(0x3000 | (21 + 3 + point.length)));
    kfi_write_bytes(&writer, kf_view_of("\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
                                        "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03",
                                        22));
    kfi_write_u8(&writer, (uint8_t)(1 + point.length));
    kfi_write_u8(&writer, 0);
    kfi_write_bytes(&writer, point);
    return kf_view_of(der, sizeof der - writer.room);
}

static enum kf_code p256_new(struct kf_view text, bool is_private, struct kfi_ecdh_key **out)
{
    struct kf_error error = KF_ERROR_INIT;
    const enum kf_code code = kfi_ecdh_key_new(KF_ECDH_P256, text, is_private, NULL, &error, out);
    assert_true((code == KF_OK) == (error.text[0] == '\0'));
    assert_true((code == KF_OK) == (*out != NULL));
    return code;
}

static void check_private(const char *scalar_hex, const char *point_hex, enum kf_code expected)
{
    const struct bytes scalar = hex(scalar_hex), point = hex(point_hex);
    struct kfi_ecdh_key *key;
    assert_int_equal(p256_new(p256_private(view(&scalar), view(&point)), true, &key), expected);
    kfi_ecdh_key_free(key);
}

static void check_public(const char *point_hex, enum kf_code expected)
{
    const struct bytes point = hex(point_hex);
    struct kfi_ecdh_key *key;
    assert_int_equal(p256_new(p256_public(view(&point)), false, &key), expected);
    kfi_ecdh_key_free(key);
}

/* ---- Secrets ---- */

/* NIST CAVS, ECC CDH primitive on P-256, count 0. */
static void nist_gives_the_same_secret(void **state)
{
    (void)state;
    const struct bytes scalar = hex("7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534");
    const struct bytes peer = hex("04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287"
                                  "db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac");
    const struct bytes expected = hex("46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b");
    struct kfi_ecdh_key *own, *other;
    uint8_t secret[KFI_ECDH_SECRET_MAX];
    assert_int_equal(p256_new(p256_private(view(&scalar), kf_view_of(NULL, 0)), true, &own), KF_OK);
    assert_int_equal(p256_new(p256_public(view(&peer)), false, &other), KF_OK);
    assert_int_equal(kfi_ecdh_agree(own, other, NULL, secret), KF_OK);
    assert_memory_equal(secret, expected.data, 32);
    kfi_ecdh_key_free(own);
    kfi_ecdh_key_free(other);
}

static void openssl_gives_the_same_secret(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVES; c++) {
        const struct kf_view expected = curve_file(c, "secret.bin");
        struct kfi_ecdh_key *a = key_of(c, "a-pkcs8.pem", true), *b = key_of(c, "b-pkcs8.pem", true);
        struct kfi_ecdh_key *a_public = key_of(c, "a-compressed.pem", false);
        struct kfi_ecdh_key *b_public = key_of(c, "b-public.pem", false);
        uint8_t secret[KFI_ECDH_SECRET_MAX];
        assert_int_equal(expected.length, curves[c].length);
        assert_int_equal(kfi_ecdh_secret_length(curves[c].curve), expected.length);
        assert_int_equal(kfi_ecdh_agree(a, b_public, NULL, secret), KF_OK);
        assert_memory_equal(secret, expected.data, expected.length);
        assert_int_equal(kfi_ecdh_agree(b, a_public, NULL, secret), KF_OK);
        assert_memory_equal(secret, expected.data, expected.length);
        assert_int_equal(kfi_ecdh_agree(b, a, NULL, secret), KF_OK); /* a private key is a public one too */
        assert_memory_equal(secret, expected.data, expected.length);
        kfi_ecdh_key_free(a);
        kfi_ecdh_key_free(b);
        kfi_ecdh_key_free(a_public);
        kfi_ecdh_key_free(b_public);
    }
}

static void every_form_of_a_key_has_the_same_point(void **state)
{
    (void)state;
    static const char *const forms[] = {"a-sec1.pem", "a-pkcs8.der", "a-lonely.pem", "a-public.pem",
                                        "a-compressed.der"};
    for (size_t c = 0; c < CURVES; c++) {
        struct kfi_ecdh_key *first = key_of(c, "a-sec1.der", true), *again;
        const struct kf_view point = kfi_ecdh_key_point(first);
        assert_int_equal(point.length, 1 + curves[c].length);
        for (size_t i = 0; i < 5; i++) {
            struct kfi_ecdh_key *key = key_of(c, forms[i], i < 3);
            assert_same_bytes(kfi_ecdh_key_point(key), point);
            kfi_ecdh_key_free(key);
        }
        assert_int_equal(kfi_ecdh_key_of_point(curves[c].curve, point, NULL, &again), KF_OK);
        assert_same_bytes(kfi_ecdh_key_point(again), point);
        kfi_ecdh_key_free(again);
        kfi_ecdh_key_free(first);
    }
}

static void new_pairs_agree_and_are_new(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVES; c++) {
        struct kfi_ecdh_key *pairs[2], *halves[2];
        uint8_t secrets[2][KFI_ECDH_SECRET_MAX];
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(kfi_ecdh_key_generate(curves[c].curve, NULL, &pairs[i]), KF_OK);
            assert_int_equal(
                kfi_ecdh_key_of_point(curves[c].curve, kfi_ecdh_key_point(pairs[i]), NULL, &halves[i]),
                KF_OK);
        }
        assert_memory_not_equal(kfi_ecdh_key_point(pairs[0]).data, kfi_ecdh_key_point(pairs[1]).data,
                                curves[c].length);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(kfi_ecdh_agree(pairs[i], halves[1 - i], NULL, secrets[i]), KF_OK);
        assert_memory_equal(secrets[0], secrets[1], curves[c].length);
        for (size_t i = 0; i < 2; i++) {
            kfi_ecdh_key_free(pairs[i]);
            kfi_ecdh_key_free(halves[i]);
        }
    }
}

/* ---- What is refused ---- */

#define ORDER "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc63255"
#define BASE_X "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
#define BASE_Y "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"

static void scalars_are_from_1_to_the_order(void **state)
{
    (void)state;
    check_private("01", "", KF_OK);
    check_private("0000000000000000000000000000000000000000000000000000000000000001", "", KF_OK);
    check_private(ORDER "0", "", KF_OK);
    check_private(ORDER "1", "", KF_E_USAGE);
    check_private(ORDER "2", "", KF_E_USAGE);
    check_private("00", "", KF_E_USAGE);
    check_private("", "", KF_E_USAGE);
    check_private("", "04" BASE_X BASE_Y, KF_E_USAGE); /* a public key that says it is private */
    check_private("0000000000000000000000000000000000000000000000000000000000000000", "", KF_E_USAGE);
    check_private("000000000000000000000000000000000000000000000000000000000000000001", "", KF_E_USAGE);
    check_private("01", "04" BASE_X BASE_Y, KF_OK); /* 1 belongs to the base point, */
    check_private("01", "03" BASE_X, KF_OK);
    check_private("02", "04" BASE_X BASE_Y, KF_E_USAGE); /* and 2 does not */
    check_private("01", "02" BASE_X, KF_E_USAGE);
}

static void points_have_to_be_on_the_curve(void **state)
{
    (void)state;
    check_public("04" BASE_X BASE_Y, KF_OK);
    check_public("03" BASE_X, KF_OK);
    check_public("02" BASE_X, KF_OK);
    check_public("05" BASE_X, KF_E_USAGE);
    check_public("04" BASE_X BASE_X, KF_E_USAGE);
    check_public("04" BASE_Y BASE_X, KF_E_USAGE);
    check_public("04" BASE_X, KF_E_USAGE);
    check_public("03" BASE_X "00", KF_E_USAGE);
    check_public("07" BASE_X BASE_Y, KF_E_USAGE); /* hybrid */
    check_public("00", KF_E_USAGE);               /* at infinity */
    check_public("", KF_E_USAGE);
    /* x = p + 5 is not below p. Without p, 5 would be the x of a point. */
    check_public("02ffffffff00000001000000000000000000000001000000000000000000000004", KF_E_USAGE);
}

static void check_point(enum kf_ecdh_curve curve, struct kf_view point)
{
    struct kfi_ecdh_key *key;
    assert_int_equal(kfi_ecdh_key_of_point(curve, point, NULL, &key), KF_E_MALFORMED);
    assert_null(key);
}

static void points_of_messages_are_compressed(void **state)
{
    (void)state;
    const struct bytes whole = hex("04" BASE_X BASE_Y), short_one = hex("03" BASE_X);
    struct bytes other = short_one;
    struct kfi_ecdh_key *key;
    assert_int_equal(kfi_ecdh_key_of_point(KF_ECDH_P256, view(&short_one), NULL, &key), KF_OK);
    kfi_ecdh_key_free(key);
    check_point(KF_ECDH_P256, view(&whole));
    check_point(KF_ECDH_P384, view(&short_one));
    check_point(KF_ECDH_P256, kf_view_of(NULL, 0));
    for (size_t length = 0; length < short_one.length; length++)
        check_point(KF_ECDH_P256, kf_view_of(short_one.data, length));
    for (unsigned first = 0; first < 256; first++) {
        other.data[0] = (uint8_t)first;
        if (first != 2 && first != 3)
            check_point(KF_ECDH_P256, view(&other));
    }
}

static void the_wrong_kind_half_or_curve_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        bool is_private;
        const char *says;
    } cases[] = {
        {"p256-a-public.pem", true, "public key was given"},
        {"p256-a-pkcs8.pem", false, "private key was given"},
        {"p384-a-pkcs8.pem", true, "key on P-384 was given"},
        {"p521-a-public.pem", false, "key on P-521 was given"},
        {"rsa-pkcs8.pem", true, "An RSA key was given"},
        {"bad-hybrid.pem", false, "not a point"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kfi_ecdh_key *key;
        struct kf_error error = KF_ERROR_INIT;
        assert_int_equal(
            kfi_ecdh_key_new(KF_ECDH_P256, key_file(cases[i].file), cases[i].is_private, NULL, &error, &key),
            KF_E_USAGE);
        assert_null(key);
        if (strstr(error.text, cases[i].says) == NULL)
            fail_msg("\"%s\" is not in: %s", cases[i].says, error.text);
    }
}

/* ---- Key derivation ---- */

/* Computed by Python's hmac. */
static void keys_are_derived_in_counter_mode(void **state)
{
    (void)state;
    static const struct {
        enum kfi_hash hash;
        size_t key_length;
        const char *label;
        size_t label_length;
        uint8_t context_first;
        size_t context_length;
        const char *expected;
    } cases[] = {
        {KFI_SHA384, 32, "label", 5, 100, 32,
         "07b7a5dda929e6c65cdd55ee9a4174ce2926717f5bcda834c90975f9e9e109dc0b4a010d7a6a533809318b109c46bf2f"
         "817709ddaa0bbcc2864978fd127098d9"},
        {KFI_SHA384, 66, "ecdh-key-derivation\0p521", 24, 0, 32,
         "261c5544e6518ed7fd1677f38b51563d6ed82c3feae279eb980bcc44e25ac0bff71a0fbcd8f156110810ba06c9986180"
         "9abc534b895c2f5291710577cfdfb64b31fe3d8aa9b7b1fe55ee52f61ed67430a0b4afd59b96271f3c7d3aab6eeecef7"
         "1fd50732ac318358eaaf776b49a5a186d07d841511ae30d6443f9624c681950c38a8"},
        {KFI_SHA256, 48, "x", 1, 0, 0, "f610cfc63da3f8f81fddd20ffcad8715fe7131cc62459d254e071a3d30b345a2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct bytes key = range(0, cases[i].key_length), expected = hex(cases[i].expected);
        const struct bytes context = range(cases[i].context_first, cases[i].context_length);
        uint8_t out[256];
        struct kf_error error = KF_ERROR_INIT;
        assert_ok(kfi_kdf_counter(cases[i].hash, view(&key),
                                  kf_view_of(cases[i].label, cases[i].label_length), view(&context), &error,
                                  out, expected.length),
                  &error);
        assert_memory_equal(out, expected.data, expected.length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nist_gives_the_same_secret),
        cmocka_unit_test(openssl_gives_the_same_secret),
        cmocka_unit_test(every_form_of_a_key_has_the_same_point),
        cmocka_unit_test(new_pairs_agree_and_are_new),
        cmocka_unit_test(scalars_are_from_1_to_the_order),
        cmocka_unit_test(points_have_to_be_on_the_curve),
        cmocka_unit_test(points_of_messages_are_compressed),
        cmocka_unit_test(the_wrong_kind_half_or_curve_is_refused),
        cmocka_unit_test(keys_are_derived_in_counter_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
