/*
 * Messages made by hand, in shapes that other clients write and the library never does. What the format
 * allows is read; test_forged.c has what it forbids.
 */
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>
#include <string.h>

#include "support/forge.h"

static struct kf_cmm *cmm;
static struct kf_decrypt_options any_suite;
static struct forge forge;

static int set_up(void **state)
{
    (void)state;
    cmm = client_cmm_of_two();
    any_suite = client_decrypt_options();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kf_cmm_unref(cmm);
    return 0;
}

/* Signs the message if its suite signs. Then it is read, in one call and byte by byte. */
#define assert_read(plaintext) check_read((plaintext), __LINE__)
static void check_read(struct kf_view plaintext, int line)
{
    if (forge.signer != NULL)
        forge_sign(&forge);
    const struct kf_view message = forge_view(&forge);
    client_assert_decrypts(cmm, &any_suite, message, plaintext, __FILE__, line);
    struct streamed streamed;
    stream_decrypt(cmm, &any_suite, message, (struct feed){1, 1, 64, 64, 0}, &streamed);
    support_assert_ok(streamed.code, &streamed.error, __FILE__, line);
    assert_same_bytes(streamed_view(&streamed), plaintext);
    streamed_free(&streamed);
    forge_end(&forge);
}

static void begin(size_t suite, uint32_t frame_length)
{
    forge_begin(&forge, client_suites[suite]);
    forge.frame_length = frame_length;
    forge.content_type = frame_length == 0 ? 1 : 2;
    forge_header(&forge);
}

/* ---- Bodies ---- */

static void final_frames_are_empty_short_or_full(void **state)
{
    (void)state;
    const struct kf_view text = client_plaintext(200);
    for (size_t suite = 0; suite < CLIENT_SUITES; suite++) {
        begin(suite, 100);
        forge_regular(&forge, 1, kf_view_of(text.data, 100));
        forge_regular(&forge, 2, kf_view_of(text.data + 100, 100));
        forge_final(&forge, 3, kf_view_of(NULL, 0));
        assert_read(text);
        begin(suite, 100);
        forge_regular(&forge, 1, kf_view_of(text.data, 100));
        forge_final(&forge, 2, kf_view_of(text.data + 100, 100));
        assert_read(text);
        begin(suite, 100);
        forge_regular(&forge, 1, kf_view_of(text.data, 100));
        forge_final(&forge, 2, kf_view_of(text.data + 100, 1));
        assert_read(kf_view_of(text.data, 101));
        begin(suite, 100);
        forge_final(&forge, 1, kf_view_of(NULL, 0));
        assert_read(kf_view_of(NULL, 0));
    }
}

static void frames_have_1_byte_or_up_to_the_most(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {10, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    for (size_t suite = 0; suite < CLIENT_SUITES; suite++) {
        for (size_t i = 0; i < 4; i++) {
            begin(suite, lengths[i]);
            forge_final(&forge, 1, client_plaintext(10));
            assert_read(client_plaintext(10));
        }
        begin(suite, 1);
        for (uint32_t i = 0; i < 9; i++)
            forge_regular(&forge, i + 1, kf_view_of(client_plaintext(10).data + i, 1));
        forge_final(&forge, 10, kf_view_of(client_plaintext(10).data + 9, 1));
        assert_read(client_plaintext(10));
    }
}

static void bodies_that_are_not_framed_are_read(void **state)
{
    (void)state;
    for (size_t suite = 0; suite < CLIENT_SUITES; suite++) {
        begin(suite, 0);
        forge_single_block(&forge, client_plaintext(200));
        assert_read(client_plaintext(200));
        begin(suite, 0);
        forge_single_block(&forge, kf_view_of(NULL, 0));
        assert_read(kf_view_of(NULL, 0));
    }
}

/* Official messages have IVs that are not the padded number. The stored IV counts. */
static void the_stored_iv_is_used(void **state)
{
    (void)state;
    static const uint8_t odd[12] = {255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1};
    for (size_t suite = 0; suite < CLIENT_SUITES; suite++) {
        begin(suite, 10);
        kfi_write_u32(&forge.writer, 1);
        kfi_write_bytes(&forge.writer, kf_view_of(odd, 12));
        forge_sealed(&forge, "Frame", 1, odd, client_plaintext(10));
        forge_final(&forge, 2, kf_view_of(NULL, 0));
        assert_read(client_plaintext(10));

        begin(suite, 10);
        kfi_write_u32(&forge.writer, 0xFFFFFFFF);
        kfi_write_u32(&forge.writer, 1);
        kfi_write_bytes(&forge.writer, kf_view_of(odd, 12));
        kfi_write_u32(&forge.writer, 10);
        forge_sealed(&forge, "Final Frame", 1, odd, client_plaintext(10));
        assert_read(client_plaintext(10));

        begin(suite, 0);
        kfi_write_bytes(&forge.writer, kf_view_of(odd, 12));
        kfi_write_u64(&forge.writer, 10);
        forge_sealed(&forge, "Single Block", 1, odd, client_plaintext(10));
        assert_read(client_plaintext(10));
    }
    forge_begin(&forge, 0x0178); /* the IV of the header too */
    memcpy(forge.header_iv, odd, 12);
    forge_header(&forge);
    forge_final(&forge, 1, client_plaintext(10));
    assert_read(client_plaintext(10));
}

/* ---- Contexts ---- */

/*
 * Pairs are written in the order of their keys, but no reader insists on that: tag and signature cover the
 * bytes as they stand, and keyrings get them sorted.
 */
static void contexts_out_of_order_are_read(void **state)
{
    (void)state;
    static struct forge sorted;
    static const unsigned suites[] = {0x0014, 0x0178, 0x0478};
    forge_context(&sorted, "A", "1", "a", "2", "aa", "3", "\xc3\xa9", "4");
    for (size_t i = 0; i < 3; i++) {
        forge_begin(&forge, suites[i]);
        forge_context(&forge, "\xc3\xa9", "4", "aa", "3", "A", "1", "a", "2");
        forge.bound = sorted.context;
        forge_header(&forge);
        forge_final(&forge, 1, client_plaintext(10));
        assert_read(client_plaintext(10));
    }
}

/* Reserved and empty keys are refused only when they are to be written. */
static void any_key_is_read(void **state)
{
    (void)state;
    forge_begin(&forge, 0x0478);
    forge_context(&forge, "", "no key", "aws-crypto-", "", "aws-crypto-purpose", "tests");
    forge_header(&forge);
    forge_final(&forge, 1, client_plaintext(10));
    assert_read(client_plaintext(10));
}

/* ---- Signatures ---- */

/* We write signatures of one length. We read all that DER allows, with a low or a high s. */
static void signatures_of_any_length_are_read(void **state)
{
    (void)state;
    static const unsigned suites[] = {0x0214, 0x0346, 0x0378, 0x0578};
    for (size_t i = 0; i < 4; i++) {
        EC_GROUP *group = EC_GROUP_new_by_curve_name(i == 0 ? NID_X9_62_prime256v1 : NID_secp384r1);
        for (unsigned negated = 0; negated < 2; negated++) {
            forge_begin(&forge, suites[i]);
            forge_header(&forge);
            forge_final(&forge, 1, client_plaintext(10));
            uint8_t der[160], *to = der;
            const struct kf_view signature = forge_signature(&forge, der);
            const uint8_t *from = der;
            ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &from, (long)signature.length);
            BIGNUM *r = BN_dup(ECDSA_SIG_get0_r(numbers)), *s = BN_dup(ECDSA_SIG_get0_s(numbers));
            if (negated == 1) /* one of the two is above half of the order */
                assert_int_equal(BN_sub(s, EC_GROUP_get0_order(group), s), 1);
            assert_int_equal(ECDSA_SIG_set0(numbers, r, s), 1);
            forge_footer(&forge, kf_view_of(der, (size_t)i2d_ECDSA_SIG(numbers, &to)));
            ECDSA_SIG_free(numbers);
            assert_decrypts(cmm, &any_suite, forge_view(&forge), client_plaintext(10));
            forge_end(&forge);
        }
        EC_GROUP_free(group);
    }
}

/* ---- Limits ---- */

/* The limits on frames and plaintext hold for a body that is not framed too. */
static void a_body_that_is_not_framed_is_limited(void **state)
{
    (void)state;
    struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
    begin(9, 0); /* 0478 */
    forge_single_block(&forge, client_plaintext(100));
    options.max_frame_length = options.max_plaintext_length = 100;
    assert_decrypts(cmm, &options, forge_view(&forge), client_plaintext(100));
    options.max_frame_length = 99;
    assert_refused(cmm, &options, forge_view(&forge), KF_E_LIMIT);
    options.max_frame_length = 100;
    options.max_plaintext_length = 99;
    assert_refused(cmm, &options, forge_view(&forge), KF_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(final_frames_are_empty_short_or_full),
        cmocka_unit_test(frames_have_1_byte_or_up_to_the_most),
        cmocka_unit_test(bodies_that_are_not_framed_are_read),
        cmocka_unit_test(the_stored_iv_is_used),
        cmocka_unit_test(contexts_out_of_order_are_read),
        cmocka_unit_test(any_key_is_read),
        cmocka_unit_test(signatures_of_any_length_are_read),
        cmocka_unit_test(a_body_that_is_not_framed_is_limited),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
