/*
 * The length of signatures, with an engine that signs as it is told: a signature is negated if that gives the length, and
 * made again only if it does not.
 */
#include "signatures.h"

/* What the engine answers next, and how often it was asked. */
static struct {
    const char *r[2];
    const char *s[2];
    size_t count; /* the last one is repeated */
    enum kf_code code;
    unsigned asked;
} told;

static enum kf_code generate(enum kfi_curve curve, struct kf_error *error, uint8_t point[KFI_POINT_MAX],
                             void **secret)
{
    (void)curve;
    (void)error;
    memset(point, 2, KFI_POINT_MAX);
    *secret = &told;
    return KF_OK;
}

static void secret_free(void *secret)
{
    assert_ptr_equal(secret, &told);
}

static enum kf_code sign(void *secret, struct kf_view digest, struct kf_error *error, ECDSA_SIG **out)
{
    (void)secret;
    (void)digest;
    size_t which = told.asked < told.count ? told.asked : told.count - 1;
    told.asked++;
    if (told.code != KF_OK)
        return kf_error_set(error, told.code, "As told.");
    *out = ECDSA_SIG_new();
    assert_non_null(*out);
    assert_int_equal(ECDSA_SIG_set0(*out, number(told.r[which], 0), number(told.s[which], 0)), 1);
    return KF_OK;
}

static const struct kfi_signature_engine engine = {
    .generate = generate,
    .secret_free = secret_free,
    .sign = sign,
};

static enum kf_code sign_as_told(const struct curve *curve, struct kf_error *error, struct bytes *out)
{
    struct kfi_signing_key *key;
    out->length = curve->length;
    told.asked = 0;
    assert_int_equal(kfi_signing_key_generate_by(&engine, curve->curve, NULL, &key), KF_OK);
    struct kfi_transcript *transcript = transcript_of(curve->hash, kf_view_text("sample"));
    enum kf_code code = kfi_transcript_sign(transcript, key, curve->length, error, out->data);
    kfi_transcript_free(transcript);
    kfi_signing_key_unref(key);
    return code;
}

/* A number with `digits` hexadecimal digits behind `front`, all of them 1. */
static const char *with_ones(char *text, const char *front, size_t digits)
{
    strcpy(text, front);
    memset(text + strlen(front), '1', digits);
    text[strlen(front) + digits] = '\0';
    return text;
}

/* The numbers of each length that a signature can have. */
struct numbers {
    char high[97];      /* the highest bit is set: needs a zero before it */
    char low[97];       /* has all bytes, and its highest bit is not set */
    char short_[97];    /* lacks a byte */
    char high_less[97]; /* the order less `high`: is low */
    char low_less[97];  /* the order less `low`: is high */
};

static void less(const char *order, const char *subtrahend, char out[97])
{
    BIGNUM *a = number(order, 0);
    BIGNUM *b = number(subtrahend, 0);
    assert_int_equal(BN_sub(a, a, b), 1);
    char *digits = BN_bn2hex(a);
    strcpy(out, digits);
    OPENSSL_free(digits);
    BN_free(a);
    BN_free(b);
}

static struct numbers numbers_of(const struct curve *curve)
{
    size_t digits = strlen(curve->order);
    struct numbers numbers;
    with_ones(numbers.high, "9", digits - 1);
    with_ones(numbers.low, "3", digits - 1);
    with_ones(numbers.short_, "007F", digits - 4);
    less(curve->order, numbers.high, numbers.high_less);
    less(curve->order, numbers.low, numbers.low_less);
    return numbers;
}

static void tell(const char *r, const char *s)
{
    memset(&told, 0, sizeof told);
    told.r[0] = r;
    told.s[0] = s;
    told.count = 1;
}

static void assert_signs(const struct curve *curve, const char *r, const char *s, unsigned asked)
{
    struct bytes der;
    struct bytes expected = der_of(number(r, 0), number(s, 0));
    assert_int_equal(sign_as_told(curve, NULL, &der), KF_OK);
    assert_int_equal(expected.length, curve->length);
    assert_memory_equal(der.data, expected.data, expected.length);
    assert_int_equal(told.asked, asked);
}

static void a_signature_of_the_length_is_left_alone(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        struct numbers numbers = numbers_of(&curves[c]);
        tell(numbers.high, numbers.low);
        assert_signs(&curves[c], numbers.high, numbers.low, 1);
        tell(numbers.low, numbers.high);
        assert_signs(&curves[c], numbers.low, numbers.high, 1);
    }
}

static void another_is_mended_by_negating_s(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        struct numbers numbers = numbers_of(&curves[c]);
        tell(numbers.high, numbers.high);
        assert_signs(&curves[c], numbers.high, numbers.high_less, 1);
        tell(numbers.low, numbers.low);
        assert_signs(&curves[c], numbers.low, numbers.low_less, 1);
        /* s is a byte too short. Negated it has the right length, because n - s is high. */
        tell(numbers.low, numbers.short_);
        char negated[97];
        less(curves[c].order, numbers.short_, negated);
        assert_signs(&curves[c], numbers.low, negated, 1);
    }
}

static void what_can_not_be_mended_is_made_again(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        struct numbers numbers = numbers_of(&curves[c]);
        tell(numbers.short_, numbers.high);
        told.r[1] = numbers.low;
        told.s[1] = numbers.low;
        told.count = 2;
        assert_signs(&curves[c], numbers.low, numbers.low_less, 2);
    }
}

static void an_engine_that_never_makes_it_is_a_bug(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        struct kf_error error = KF_ERROR_INIT;
        struct numbers numbers = numbers_of(&curves[c]);
        struct bytes der;
        tell(numbers.short_, numbers.high);
        assert_int_equal(sign_as_told(&curves[c], &error, &der), KF_E_BUG);
        assert_non_null(strstr(error.text, c == 0 ? "71 bytes" : "103 bytes"));
        assert_in_range(told.asked, 2, 1000);
    }
}

static void an_engines_failure_is_passed_on_at_once(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct bytes der;
    tell("1", "1");
    told.code = KF_E_SYSTEM;
    assert_int_equal(sign_as_told(&curves[0], &error, &der), KF_E_SYSTEM);
    assert_string_equal(error.text, "As told.");
    assert_int_equal(told.asked, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_of_the_length_is_left_alone),
        cmocka_unit_test(another_is_mended_by_negating_s),
        cmocka_unit_test(what_can_not_be_mended_is_made_again),
        cmocka_unit_test(an_engine_that_never_makes_it_is_a_bug),
        cmocka_unit_test(an_engines_failure_is_passed_on_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
