/*
 * Signatures: nettle's and OpenSSL's against each other and against known answers, and everything that has to
 * be refused.
 */
#include "signatures.h"

#include <openssl/err.h>
#include <openssl/evp.h>

static struct kfi_verification_key *parse(const struct kfi_signature_engine *engine, enum kfi_curve curve,
                                          struct kf_view text)
{
    struct kfi_verification_key *key;
    assert_int_equal(kfi_verification_key_parse_by(engine, curve, text, NULL, &key), KF_OK);
    return key;
}

/* ---- Signing and verifying ---- */

static void the_faster_engine_is_taken(void **state)
{
    (void)state;
    const struct kfi_signature_engine *engine;
    assert_int_equal(kfi_signature_engine_get(KFI_P256, NULL, &engine), KF_OK);
    assert_ptr_equal(engine, &kfi_signature_openssl);
    assert_int_equal(kfi_signature_engine_get(KFI_P384, NULL, &engine), KF_OK);
    assert_ptr_equal(engine, engines[ENGINE_COUNT - 1]);
}

/*
 * What one engine signs each engine verifies. All signatures have one length: of 300 about half have to be negated for
 * that, and about two made again.
 */
static void engines_verify_each_other(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        for (size_t e = 0; e < ENGINE_COUNT; e++) {
            const struct curve *curve = &curves[c];
            struct kfi_signing_key *signing;
            struct kfi_verification_key *verifying[ENGINE_COUNT];
            assert_int_equal(kfi_signing_key_generate_by(engines[e], curve->curve, NULL, &signing), KF_OK);
            for (size_t v = 0; v < ENGINE_COUNT; v++)
                verifying[v] = parse(engines[v], curve->curve, kfi_signing_key_public_text(signing));
            unsigned high_r = 0;
            for (uint32_t i = 0; i < 300; i++) {
                struct kf_view content = kf_view_of(&i, sizeof i);
                struct kfi_transcript *transcript = transcript_of(curve->hash, content);
                uint8_t der[KFI_SIGNATURE_MAX];
                assert_int_equal(kfi_transcript_sign(transcript, signing, curve->length, NULL, der), KF_OK);
                kfi_transcript_free(transcript);
                assert_int_equal(der[1], curve->length - 2);
                high_r += der[4] == 0;
                for (size_t v = 0; v < ENGINE_COUNT; v++)
                    assert_int_equal(
                        verify(verifying[v], curve->hash, content, kf_view_of(der, curve->length), NULL),
                        KF_OK);
            }
            /*
             * r stays as it was drawn, so it is high half the time (out of these bounds by chance: once in
             * 10^11 runs).
             */
            assert_in_range(high_r, 90, 210);
            for (size_t v = 0; v < ENGINE_COUNT; v++)
                kfi_verification_key_unref(verifying[v]);
            kfi_signing_key_unref(signing);
        }
    }
}

static void each_key_pair_is_another(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        for (size_t e = 0; e < ENGINE_COUNT; e++) {
            struct kfi_signing_key *a;
            struct kfi_signing_key *b;
            assert_int_equal(kfi_signing_key_generate_by(engines[e], curves[c].curve, NULL, &a), KF_OK);
            assert_int_equal(kfi_signing_key_generate_by(engines[e], curves[c].curve, NULL, &b), KF_OK);
            struct kf_view text = kfi_signing_key_public_text(a);
            assert_int_equal(text.length, curves[c].curve == KFI_P256 ? 44 : 68);
            assert_memory_not_equal(text.data, kfi_signing_key_public_text(b).data, text.length);
            kfi_signing_key_unref(a);
            kfi_signing_key_unref(b);
        }
    }
}

/*
 * Signatures over "sample": RFC 6979, A.2.5 and A.2.6, and numbers at the edges, for which the public key was
 * computed backwards: the lowest r and s, the highest, and an x above the order, of which r is the rest.
 */
static const struct {
    int curve; /* index */
    const char *key;
    const char *r;
    const char *s;
} known[] = {
    {0, "A2D+1LolWp0xyWHrdMY1bWjASbiSO2H6bOZpYi5g8p+2",
     "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
     "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"},
    {0, "AjPSbnpmtBK42R9XbQlQaEbPzYObawJbov1UXikxa9A1", "5", "1"},
    {0, "AzBmtL3oK8lVHsug1eG/w7dS3LR2eusie2gv7eLmrF6F", "5",
     "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632550"},
    {0, "A3nOkDmjWqbLnYB8bONDtuAiFVF2jFfUSkg/WKaPohRv",
     "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC63254F",
     "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC63254F"},
    {0, "AiQv5l8I1EkxNZtL5kv2hM4LY++BJINPfriwsSHL7crH", "3", "2"},
    {1, "Auw6TkFbThmkVoYYAp9Cf6XamovErpLgLgaq5ShrMAxk3vjw6pBVhmBkolRRVIC8Ew==",
     "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46",
     "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8"},
    {1, "A04NlV/lulrC37FbtEsMFe6Shu3sq0ah6TWCEsqFThjnoe5ieksOq/gIjYwLY+xHtA==", "2", "1"},
    {1, "A+EhA7gv857Pa+eHE4B67ivYEIEMJApb+rIxsT6C2Lc2li/WlqK5sxmn0mD8eELagg==", "2",
     "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52972"},
    {1, "AlE01Tj1QIxWILmvjz3cSplNxihsgy3AJ3FxdCYzmEg+1/Q7uarPmZszA2dzNEIpag==",
     "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52972",
     "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52971"},
    {1, "A5G21A/KwtN7xmuOSDRioUvjG5NNYYSbKCCAxPnOWGe92vh6New2Hr1ZI9xblGpxLg==", "2", "2"},
};

#define KNOWN_COUNT (sizeof known / sizeof known[0])

static void known_signatures_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        for (size_t e = 0; e < ENGINE_COUNT; e++) {
            const struct curve *curve = &curves[known[i].curve];
            struct kfi_verification_key *key = parse(engines[e], curve->curve, kf_view_text(known[i].key));
            struct bytes der = der_of(number(known[i].r, 0), number(known[i].s, 0));
            assert_int_equal(verify(key, curve->hash, kf_view_text("sample"), view(&der), NULL), KF_OK);
            assert_int_equal(verify(key, curve->hash, kf_view_text("sampld"), view(&der), NULL), KF_E_FORGED);

            /* The negated s holds as well. */
            BIGNUM *other = number(curve->order, 0);
            BIGNUM *s = number(known[i].s, 0);
            assert_int_equal(BN_sub(other, other, s), 1);
            BN_free(s);
            der = der_of(number(known[i].r, 0), other);
            assert_int_equal(verify(key, curve->hash, kf_view_text("sample"), view(&der), NULL), KF_OK);
            kfi_verification_key_unref(key);
        }
    }
}

static void transcripts_may_be_added_to_in_pieces(void **state)
{
    (void)state;
    struct kfi_verification_key *key = parse(engines[0], KFI_P256, kf_view_text(known[0].key));
    struct bytes der = der_of(number(known[0].r, 0), number(known[0].s, 0));
    struct kfi_transcript *transcript = transcript_of(KFI_SHA256, kf_view_text("sa"));
    assert_int_equal(kfi_transcript_add(transcript, kf_view_of(NULL, 0), NULL), KF_OK);
    assert_int_equal(kfi_transcript_add(transcript, kf_view_text("mple"), NULL), KF_OK);
    assert_int_equal(kfi_transcript_verify(transcript, key, view(&der), NULL), KF_OK);
    kfi_transcript_free(transcript);
    kfi_verification_key_unref(key);
}

/* ---- What has to be refused ---- */

/* With a sentence, and without a trace in the thread's OpenSSL errors. */
static void assert_refused(const struct kfi_verification_key *key, enum kfi_hash hash, struct kf_view der)
{
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(verify(key, hash, kf_view_text("sample"), der, &error), KF_E_FORGED);
    assert_int_equal(error.code, KF_E_FORGED);
    assert_non_null(strstr(error.text, "signature"));
    assert_int_equal(ERR_peek_error(), 0);
}

static void numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        for (size_t e = 0; e < ENGINE_COUNT; e++) {
            const struct curve *curve = &curves[known[i].curve];
            struct kfi_verification_key *key = parse(engines[e], curve->curve, kf_view_text(known[i].key));
            const struct {
                BIGNUM *r;
                BIGNUM *s;
            } pairs[] = {
                {number(NULL, 0), number(known[i].s, 0)},
                {number(known[i].r, 0), number(NULL, 0)},
                {number(NULL, 0), number(NULL, 0)},
                {number(curve->order, 0), number(known[i].s, 0)},
                {number(known[i].r, 0), number(curve->order, 0)},
                {number(curve->order, 1), number(known[i].s, 0)},
                /* The same numbers modulo the order. */
                {number(curve->order, 0), number(known[i].s, 0)},
                {number(known[i].r, 0), number(curve->order, 0)},
                /* Numbers longer than the curve's. */
                {number(known[i].r, 0), number(known[i].s, 0)},
                {number(known[i].r, 0), number(known[i].s, 0)},
                {number(known[i].r, 0), number(known[i].s, 0)},
            };
            BIGNUM *r = number(known[i].r, 0);
            BIGNUM *s = number(known[i].s, 0);
            BIGNUM *order = number(curve->order, 0);
            assert_int_equal(BN_add(pairs[6].r, order, r), 1);
            assert_int_equal(BN_add(pairs[7].s, order, s), 1);
            assert_int_equal(BN_lshift(pairs[8].r, r, 64), 1);
            assert_int_equal(BN_lshift(pairs[9].s, s, 64), 1);
            assert_int_equal(BN_lshift(pairs[10].r, r, 1000), 1);
            assert_int_equal(BN_lshift(pairs[10].s, s, 1000), 1);
            BN_free(r);
            BN_free(s);
            BN_free(order);
            for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++) {
                struct bytes der = der_of(pairs[p].r, pairs[p].s);
                assert_refused(key, curve->hash, view(&der));
            }
            kfi_verification_key_unref(key);
        }
    }
}

static void every_flipped_bit_and_every_cut_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        for (size_t e = 0; e < ENGINE_COUNT; e++) {
            const struct curve *curve = &curves[known[i].curve];
            struct kfi_verification_key *key = parse(engines[e], curve->curve, kf_view_text(known[i].key));
            struct bytes der = der_of(number(known[i].r, 0), number(known[i].s, 0));
            for (size_t bit = 0; bit < 8 * der.length; bit++) {
                struct bytes forged = der;
                forged.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_refused(key, curve->hash, view(&forged));
            }
            for (size_t length = 0; length < der.length; length++)
                assert_refused(key, curve->hash, kf_view_of(der.data, length));
            kfi_verification_key_unref(key);
        }
    }
}

static void only_strict_der_is_read(void **state)
{
    (void)state;
    /* r 5, s 1 hold for this key in "30 06 02 01 05 02 01 01"; the same numbers, written otherwise: */
    static const char *const refused[] = {
        "300602010502010100",     /* a byte behind */
        "3007020105020101",       /* a length past the end */
        "300702010502010100",     /* a byte inside, behind the numbers */
        "308106020105020101",     /* a length that is longer than it need be */
        "30800201050201010000",   /* BER's indefinite length */
        "300702810105020101",     /* the same for a number */
        "300702020005020101",     /* a zero that is not needed */
        "30060201050201013006",   /* another one behind */
        "3006020185020101",       /* a negative number */
        "3006020105030101",       /* not an integer */
        "3106020105020101",       /* not a sequence */
        "3009020105020101020101", /* a third number */
        "3003020105",             /* a missing one */
        "30070200020105020101",   /* an empty one */
        "3000",
        "00",
        "05",
    };
    for (size_t e = 0; e < ENGINE_COUNT; e++) {
        struct kfi_verification_key *key = parse(engines[e], KFI_P256, kf_view_text(known[1].key));
        struct bytes der = hex("3006020105020101");
        assert_int_equal(verify(key, KFI_SHA256, kf_view_text("sample"), view(&der), NULL), KF_OK);
        for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
            der = hex(refused[i]);
            assert_refused(key, KFI_SHA256, view(&der));
        }
        struct bytes longest = range(0x30, KFI_SIGNATURE_MAX + 1);
        assert_refused(key, KFI_SHA256, view(&longest));
        kfi_verification_key_unref(key);
    }
}

static void assert_no_key(enum kfi_curve curve, struct kf_view text, const char *said)
{
    for (size_t e = 0; e < ENGINE_COUNT; e++) {
        struct kf_error error = KF_ERROR_INIT;
        struct kfi_verification_key *key = (struct kfi_verification_key *)&error;
        assert_int_equal(kfi_verification_key_parse_by(engines[e], curve, text, &error, &key),
                         KF_E_MALFORMED);
        assert_null(key);
        assert_int_equal(error.code, KF_E_MALFORMED);
        assert_non_null(strstr(error.text, said));
        assert_int_equal(ERR_peek_error(), 0);
    }
}

static void public_keys_are_read_strictly(void **state)
{
    (void)state;
    const char *p256 = known[0].key;
    const char *p384 = known[5].key;
    char text[80];

    assert_no_key(KFI_P256, kf_view_text(""), "0 characters instead of 44");
    assert_no_key(KFI_P256, kf_view_text(p384), "68 characters instead of 44");
    assert_no_key(KFI_P384, kf_view_text(p256), "44 characters instead of 68");
    assert_no_key(KFI_P384, kf_view_of(p384, 67), "67 characters");
    assert_no_key(KFI_P384, kf_view_of(p384, 66), "66 characters");

    /* White space in the place of a character, at the front, at the end and inside. */
    for (size_t at = 0; at < 44; at++) {
        for (const char *odd = " \n\r\t-_=."; *odd != '\0'; odd++) {
            memcpy(text, p256, 44);
            text[at] = *odd;
            assert_no_key(KFI_P256, kf_view_of(text, 44), "base64");
        }
    }
    /* White space beside a key that is too short by it. */
    snprintf(text, sizeof text, " %.43s", p256);
    assert_no_key(KFI_P256, kf_view_of(text, 44), "base64");
    /* Bits beyond the last byte. */
    memcpy(text, p384, 68);
    for (const char *last = "xyz0123/+"; *last != '\0'; last++) {
        text[65] = *last;
        assert_no_key(KFI_P384, kf_view_of(text, 68), "base64");
    }
    /* Less padding, more bytes. */
    memcpy(text, p384, 68);
    text[66] = 'A';
    assert_no_key(KFI_P384, kf_view_of(text, 68), "base64");
}

static struct kf_view point_text(char *text, size_t bytes, uint8_t form, const BIGNUM *x)
{
    uint8_t point[KFI_POINT_MAX];
    point[0] = form;
    assert_int_equal(BN_bn2binpad(x, point + 1, (int)bytes), bytes);
    return kf_view_of(text, (size_t)EVP_EncodeBlock((uint8_t *)text, point, (int)(1 + bytes)));
}

static void only_points_of_the_curve_are_keys(void **state)
{
    (void)state;
    static const char *const primes[] = {
        "FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF",
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFFFF0000000000000000FFFFFFFF"};
    static const int on_curve[] = {5, 2};
    char text[80];
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        enum kfi_curve curve = curves[c].curve;
        size_t bytes = kfi_curve_bytes(curve);
        BIGNUM *on = number(NULL, on_curve[c]);
        BIGNUM *off = number(NULL, 1);
        BIGNUM *zero = number(NULL, 0);
        BIGNUM *beyond = number(primes[c], on_curve[c]); /* the same x, not reduced */
        for (uint8_t form = 2; form <= 3; form++) {
            for (size_t e = 0; e < ENGINE_COUNT; e++)
                kfi_verification_key_unref(parse(engines[e], curve, point_text(text, bytes, form, on)));
            assert_no_key(curve, point_text(text, bytes, form, off), "compressed point on the suite's curve");
            assert_no_key(curve, point_text(text, bytes, form, beyond),
                          "compressed point on the suite's curve");
        }
        /* Infinity, and the forms that are not compressed. */
        assert_no_key(curve, point_text(text, bytes, 0, zero), "compressed point");
        for (int form = 0; form <= 0xff; form++) {
            if (form != 2 && form != 3)
                assert_no_key(curve, point_text(text, bytes, (uint8_t)form, on), "compressed point");
        }
        BN_free(on);
        BN_free(off);
        BN_free(zero);
        BN_free(beyond);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_faster_engine_is_taken),
        cmocka_unit_test(engines_verify_each_other),
        cmocka_unit_test(each_key_pair_is_another),
        cmocka_unit_test(known_signatures_hold),
        cmocka_unit_test(transcripts_may_be_added_to_in_pieces),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(every_flipped_bit_and_every_cut_is_refused),
        cmocka_unit_test(only_strict_der_is_read),
        cmocka_unit_test(public_keys_are_read_strictly),
        cmocka_unit_test(only_points_of_the_curve_are_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
