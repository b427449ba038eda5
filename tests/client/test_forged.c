/*
 * Messages with good keys and good tags that break one rule, so that only this rule can refuse them. Each is
 * refused with its class and a sentence that names the rule, in one call and as a stream. A stream gives out
 * only the frames before the flaw. test_foreign.c reads the same messages without the flaw.
 */
#include <openssl/evp.h>
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

/* The forged message is refused with a sentence that has `says` in it; a stream gives out `before` bytes. */
#define assert_forged(code, before, says) check_forged((code), (before), (says), __LINE__)
static void check_forged(enum kf_code code, size_t before, const char *says, int line)
{
    const struct kf_view message = forge_view(&forge);
    client_assert_refused(cmm, &any_suite, message, code, __FILE__, line);
    struct streamed streamed;
    stream_decrypt(cmm, &any_suite, message, (struct feed){1, 1, 100, 100, 0}, &streamed);
    _assert_int_equal((LargestIntegralType)streamed.code, (LargestIntegralType)code, __FILE__, line);
    if (strstr(streamed.error.text, says) == NULL)
        fail_msg("line %d: \"%s\" is not in: %s", line, says, streamed.error.text);
    assert_same_bytes(streamed_view(&streamed), client_plaintext(before));
    streamed_free(&streamed);
    forge_end(&forge);
}

/* The rest of a message whose header was changed, as it has to be. */
static void finish(void)
{
    forge_header(&forge);
    if (forge.content_type == 1)
        forge_single_block(&forge, client_plaintext(10));
    else
        forge_final(&forge, 1, client_plaintext(10));
    if (forge.signer != NULL)
        forge_sign(&forge);
}

/* ---- The header ---- */

static void check_context(struct kf_view context, const char *says)
{
    static const unsigned suites[] = {0x0014, 0x0178, 0x0478};
    for (size_t i = 0; i < 3; i++) {
        forge_begin(&forge, suites[i]);
        forge.context = context;
        finish();
        assert_forged(KF_E_MALFORMED, 0, says);
    }
}

static void contexts_are_exact(void **state)
{
    (void)state;
    static struct forge pairs;
    forge_context(&pairs, "a", "1", "b", "2", "a", "1");
    check_context(pairs.context, "has the key \"a\" twice");
    forge_context(&pairs, "", "1", "", "2");
    check_context(pairs.context, "twice");
    forge_context_of(&pairs, (char *)NULL);
    check_context(pairs.context, "has 0 pairs");
    check_context(kf_view_of("\0", 1), "1 byte");
    check_context(kf_view_of("\0\1\0\1a\0\1b\0", 9), "end 1 bytes earlier");
    check_context(kf_view_of("\0\2\0\1a\0\1b", 8), "Pair 2 of 2");
    check_context(kf_view_of("\0\1\0\1a\0\2b", 8), "Pair 1 of 1");
    forge_context(&pairs, "\xc3", "1");
    check_context(pairs.context, "not UTF-8");
    forge_context(&pairs, "a", "\xed\xa0\x80"); /* a surrogate */
    check_context(pairs.context, "not UTF-8");
}

static void a_suite_belongs_to_one_format(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLIENT_SUITES; i++) {
        const unsigned suite = client_suites[i];
        forge_begin(&forge, suite);
        forge.version = 3 - forge.version;
        finish();
        assert_forged(KF_E_MALFORMED, 0, "goes with format");
        if (suite == 0x0478 || suite == 0x0578)
            continue;
        forge_begin(&forge, suite);
        forge.version = 2;
        forge.without_suite_data = true;
        finish();
        assert_forged(KF_E_MALFORMED, 0, "goes with format 1");
    }
    static const unsigned unknown[] = {0x0000, 0x0015, 0x0070, 0x0479, 0x6701, 0xFFFF};
    for (size_t i = 0; i < 6; i++) {
        forge_begin(&forge, unknown[i]);
        finish();
        assert_forged(KF_E_MALFORMED, 0, "none of the AWS Encryption SDK's suites");
    }
}

static void fixed_fields_have_their_values(void **state)
{
    (void)state;
    static const unsigned types[] = {0, 0x7F, 0x81, 0xFF}, iv_lengths[] = {0, 11, 13, 16, 255};
    static const uint32_t reserved[] = {1, 0x80000000, 0xFFFFFFFF};
    for (size_t i = 0; i < 4; i++) {
        forge_begin(&forge, 0x0178);
        forge.type = types[i];
        finish();
        assert_forged(KF_E_MALFORMED, 0, "second byte");
    }
    for (size_t i = 0; i < 3; i++) {
        forge_begin(&forge, 0x0178);
        forge.reserved = reserved[i];
        finish();
        assert_forged(KF_E_MALFORMED, 0, "reserved bytes");
    }
    for (size_t i = 0; i < 5; i++) {
        forge_begin(&forge, 0x0378);
        forge.iv_length = iv_lengths[i];
        finish();
        assert_forged(KF_E_MALFORMED, 0, "IV length");
    }
    for (unsigned version = 0; version < 256; version += version == 0 ? 3 : 63) {
        forge_begin(&forge, 0x0478);
        forge_header(&forge);
        forge.bytes[0] = (uint8_t)version;
        assert_forged(KF_E_MALFORMED, 0, "begins with the byte");
    }
}

static void content_is_framed_or_not(void **state)
{
    (void)state;
    static const unsigned suites[] = {0x0178, 0x0478}, types[] = {0, 3, 0x82, 0xFF};
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < 4; i++) {
            forge_begin(&forge, suites[s]);
            forge.content_type = types[i];
            finish();
            assert_forged(KF_E_MALFORMED, 0, "content type");
        }
        forge_begin(&forge, suites[s]);
        forge.frame_length = 0;
        forge_header(&forge);
        forge_final(&forge, 1, client_plaintext(0)); /* the only frame that would fit */
        assert_forged(KF_E_MALFORMED, 0, "is 0; it has to be at least 1");
        forge_begin(&forge, suites[s]);
        forge.content_type = 1;
        forge.frame_length = 1;
        finish();
        assert_forged(KF_E_MALFORMED, 0, "not framed, but its frame length");
        forge_begin(&forge, suites[s]);
        forge.edk_count = 0;
        finish();
        assert_forged(KF_E_MALFORMED, 0, "0 encrypted data keys");
    }
}

/* A message made so that two keys open it. All holds but the commitment. */
static void a_message_commits_to_its_key(void **state)
{
    (void)state;
    static const uint8_t lies[] = {1, 0x80};
    for (size_t i = 0; i < 4; i++) {
        forge_begin(&forge, i < 2 ? 0x0478 : 0x0578);
        forge.commit_lie = lies[i % 2];
        finish();
        assert_forged(KF_E_FORGED, 0, "does not commit");
    }
}

/* As release 4.0.0 of the .NET client wrote it: the header's tag covers the count of an empty context. */
static void an_empty_context_adds_nothing_to_the_tag(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLIENT_SUITES; i++) {
        forge_begin(&forge, client_suites[i]);
        forge.not_stored = kf_view_of("\0\0", 2);
        finish();
        assert_forged(KF_E_FORGED, 0, "header does not match its authentication tag");
    }
}

/* ---- Public keys ---- */

static void check_public_key(unsigned suite, const char *key, const char *says)
{
    forge_begin(&forge, suite);
    forge_context(&forge, "aws-crypto-public-key", key);
    finish();
    assert_forged(KF_E_MALFORMED, 0, says);
}

static void suites_that_sign_have_a_public_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLIENT_SUITES; i++) {
        forge_begin(&forge, client_suites[i]);
        const bool signs = forge.signer != NULL;
        if (signs)
            forge_context(&forge, "a", "1");
        else
            forge_context(&forge, "a", "1", "aws-crypto-public-key", "");
        finish();
        assert_forged(KF_E_MALFORMED, 0, signs ? "lacks the key" : "although suite");
    }
}

static void public_keys_are_compressed_points_in_base64(void **state)
{
    (void)state;
    static const unsigned suites[] = {0x0214, 0x0346, 0x0378, 0x0578};
    for (size_t i = 0; i < 4; i++) {
        char key[160];
        uint8_t point[100] = {4};
        forge_begin(&forge, suites[i]);
        strcpy(key, forge.public_key);
        const size_t length = strlen(key);
        forge_end(&forge);

        memset(point + 1, 0x5A, 96); /* uncompressed, and at infinity */
        EVP_EncodeBlock((uint8_t *)key, point, suites[i] == 0x0214 ? 65 : 97);
        check_public_key(suites[i], key, "characters instead of");
        check_public_key(suites[i], "AA==", "characters instead of");
        check_public_key(suites[i], "", "characters instead of");
        point[0] = 5; /* no form of points */
        EVP_EncodeBlock((uint8_t *)key, point, suites[i] == 0x0214 ? 33 : 49);
        check_public_key(suites[i], key, "not a compressed point");
        point[0] = 2; /* x above the field's prime */
        memset(point + 1, 0xFF, 48);
        EVP_EncodeBlock((uint8_t *)key, point, suites[i] == 0x0214 ? 33 : 49);
        check_public_key(suites[i], key, "not a compressed point");

        memset(key, 'A', length); /* white space, bits too many, another alphabet */
        key[3] = '\n';
        check_public_key(suites[i], key, "not valid base64");
        key[3] = '-';
        check_public_key(suites[i], key, "not valid base64");
        key[3] = 'A';
        memcpy(key + length - 4, suites[i] == 0x0214 ? "AAA=" : "AB==", 4);
        if (suites[i] != 0x0214)
            check_public_key(suites[i], key, "not valid base64");
        key[length - 1] = '\0';
        check_public_key(suites[i], key, "characters instead of");
    }
    /* Of the other curve. */
    static struct forge other;
    forge_begin(&other, 0x0214);
    check_public_key(0x0578, other.public_key, "44 characters instead of 68");
    forge_end(&other);
    forge_begin(&other, 0x0378);
    check_public_key(0x0214, other.public_key, "68 characters instead of 44");
    forge_end(&other);
}

/* ---- The body ---- */

static void frames_are_numbered_from_1(void **state)
{
    (void)state;
    static const struct {
        uint32_t numbers[3]; /* the last is of the final frame; a leading 0: there is no such frame */
        size_t before;
    } sequences[] = {
        {{0, 0, 0}, 0},   {{0, 0, 2}, 0},   {{0, 0, 0xFFFFFFFF}, 0}, {{0, 1, 1}, 100}, {{0, 1, 3}, 100},
        {{0, 2, 3}, 0},   {{1, 1, 2}, 100}, {{1, 3, 4}, 100},        {{2, 1, 3}, 0},   {{1, 2, 2}, 200},
        {{1, 2, 0}, 200}, {{1, 2, 1}, 200}, {{0xFFFFFFFE, 1, 2}, 0},
    };
    static const unsigned suites[] = {0x0014, 0x0178, 0x0478, 0x0578};
    for (size_t s = 0; s < 4; s++) {
        for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
            const uint32_t *numbers = sequences[i].numbers;
            forge_begin(&forge, suites[s]);
            forge_header(&forge);
            for (size_t frame = 0; frame < 2; frame++) {
                if (numbers[frame] != 0)
                    forge_regular(
                        &forge, numbers[frame],
                        kf_view_of(client_plaintext(300).data + 100 * frame * (numbers[0] != 0), 100));
            }
            forge_final(&forge, numbers[2], client_plaintext(10));
            if (forge.signer != NULL)
                forge_sign(&forge);
            assert_forged(KF_E_MALFORMED, sequences[i].before, "was expected, but frame");
        }
    }
}

static void frames_have_their_length(void **state)
{
    (void)state;
    static const unsigned suites[] = {0x0178, 0x0478};
    for (size_t s = 0; s < 2; s++) {
        forge_begin(&forge, suites[s]);
        forge_header(&forge);
        forge_final(&forge, 1, client_plaintext(101));
        assert_forged(KF_E_MALFORMED, 0, "final frame says that it has 101 bytes");
        forge_begin(&forge, suites[s]);
        forge_header(&forge);
        forge_regular(&forge, 1, client_plaintext(100));
        /* Its last byte comes together with the end. The poll that fails takes back what it gave out. */
        assert_forged(KF_E_TRUNCATED, 0, "in the middle of its body");
        forge_begin(&forge, suites[s]); /* 2^36-31 bytes that need not be there */
        forge.content_type = 1;
        forge.frame_length = 0;
        forge_header(&forge);
        kfi_write_bytes(&forge.writer, client_plaintext(12));
        kfi_write_u64(&forge.writer, (UINT64_C(1) << 36) - 31);
        assert_forged(KF_E_MALFORMED, 0, "at most 68719476704");
    }
}

/* ---- The signature ---- */

/* A message of one frame that lacks its footer. */
static void begin_signed(unsigned suite)
{
    forge_begin(&forge, suite);
    forge_header(&forge);
    forge_regular(&forge, 1, client_plaintext(100));
    forge_final(&forge, 2, kf_view_of(client_plaintext(110).data + 100, 10));
}

static void signatures_are_over_this_message(void **state)
{
    (void)state;
    static const unsigned suites[] = {0x0214, 0x0346, 0x0378, 0x0578};
    static struct forge other;
    uint8_t signature[160];
    for (size_t i = 0; i < 4; i++) {
        begin_signed(suites[i]); /* the same bytes, another key */
        forge_begin(&other, suites[i]);
        kfi_write_bytes(&other.writer, forge_view(&forge));
        forge_footer(&forge, forge_signature(&other, signature));
        forge_end(&other);
        assert_forged(KF_E_FORGED, 100, "signature is not valid");

        for (unsigned part = 0; part < 4; part++) { /* this key, other bytes */
            begin_signed(suites[i]);
            const struct kf_view all = forge_view(&forge);
            struct forge partial = forge;
            partial.writer = (struct kfi_writer){partial.bytes, sizeof partial.bytes, false};
            if (part == 1) /* all but the last byte, but the first one, one more, none at all */
                kfi_write_bytes(&partial.writer, kf_view_of(all.data, all.length - 1));
            else if (part == 2)
                kfi_write_bytes(&partial.writer, kf_view_of(all.data + 1, all.length - 1));
            else if (part == 3) {
                kfi_write_bytes(&partial.writer, all);
                kfi_write_u8(&partial.writer, 0);
            }
            forge_footer(&forge, forge_signature(&partial, signature));
            assert_forged(KF_E_FORGED, 100, "signature is not valid");
        }
    }
}

static void check_signature(struct kf_view der)
{
    forge_footer(&forge, der);
    assert_forged(KF_E_FORGED, 100, "signature is not valid");
}

/* The numbers are right, but they are not written as DER. */
static void signatures_are_der(void **state)
{
    (void)state;
    static const unsigned suites[] = {0x0214, 0x0378, 0x0578};
    for (size_t i = 0; i < 3; i++) {
        uint8_t der[160], changed[170];
        struct kf_view right;
        begin_signed(suites[i]); /* the length in two bytes where one does */
        right = forge_signature(&forge, der);
        memcpy(changed, (const uint8_t[]){0x30, 0x81}, 2);
        memcpy(changed + 2, der + 1, right.length - 1);
        check_signature(kf_view_of(changed, right.length + 1));

        begin_signed(suites[i]); /* of no stated length */
        right = forge_signature(&forge, der);
        memcpy(changed, (const uint8_t[]){0x30, 0x80}, 2);
        memcpy(changed + 2, der + 2, right.length - 2);
        memset(changed + right.length, 0, 2);
        check_signature(kf_view_of(changed, right.length + 2));

        begin_signed(suites[i]); /* r with a zero too many */
        right = forge_signature(&forge, der);
        memcpy(changed, (const uint8_t[]){0x30, (uint8_t)(der[1] + 1), 2, (uint8_t)(der[3] + 1), 0}, 5);
        memcpy(changed + 5, der + 4, right.length - 4);
        check_signature(kf_view_of(changed, right.length + 1));

        begin_signed(suites[i]); /* r negative: without the zero that it needs */
        do
            right = forge_signature(&forge, der);
        while (der[4] != 0);
        memcpy(changed, (const uint8_t[]){0x30, (uint8_t)(der[1] - 1), 2, (uint8_t)(der[3] - 1)}, 4);
        memcpy(changed + 4, der + 5, right.length - 5);
        check_signature(kf_view_of(changed, right.length - 1));

        for (unsigned outside = 0; outside < 2; outside++) { /* a byte behind the numbers */
            begin_signed(suites[i]);
            right = forge_signature(&forge, der);
            der[1] = (uint8_t)(der[1] + 1 - outside);
            der[right.length] = 0;
            check_signature(kf_view_of(der, right.length + 1));
        }
        begin_signed(suites[i]); /* numbers that can't be in a signature */
        check_signature(kf_view_of("\x30\x06\x02\x01\x00\x02\x01\x00", 8));
        begin_signed(suites[i]);
        check_signature(kf_view_of("\x30\x06\x02\x01\x01\x02\x01\x01", 8));
        begin_signed(suites[i]);
        check_signature(kf_view_of("\x30\x00", 2));
        begin_signed(suites[i]); /* longer than any signature */
        check_signature(client_plaintext(4096));
        begin_signed(suites[i]);
        forge_footer(&forge, kf_view_of(NULL, 0));
        assert_forged(KF_E_MALFORMED, 100, "no bytes");
    }
}

/* ---- Behind the end ---- */

static void nothing_follows_a_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLIENT_SUITES; i++) {
        forge_begin(&forge, client_suites[i]);
        finish();
        const size_t end = forge_view(&forge).length;
        kfi_write_u8(&forge.writer, 0);
        assert_refused(cmm, &any_suite, forge_view(&forge), KF_E_TRAILING);
        struct streamed streamed; /* a stream leaves the rest to its caller */
        stream_decrypt(cmm, &any_suite, forge_view(&forge), (struct feed){7, 7, 100, 100, 0}, &streamed);
        assert_ok(streamed.code, &streamed.error);
        assert_int_equal(streamed.taken, end);
        streamed_free(&streamed);
        if (forge.signer == NULL) { /* a second final frame, whose tag holds */
            forge.writer.next--;
            forge.writer.room++;
            forge_final(&forge, 2, client_plaintext(10));
            assert_refused(cmm, &any_suite, forge_view(&forge), KF_E_TRAILING);
        }
        forge_end(&forge);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts_are_exact),
        cmocka_unit_test(a_suite_belongs_to_one_format),
        cmocka_unit_test(fixed_fields_have_their_values),
        cmocka_unit_test(content_is_framed_or_not),
        cmocka_unit_test(a_message_commits_to_its_key),
        cmocka_unit_test(an_empty_context_adds_nothing_to_the_tag),
        cmocka_unit_test(suites_that_sign_have_a_public_key),
        cmocka_unit_test(public_keys_are_compressed_points_in_base64),
        cmocka_unit_test(frames_are_numbered_from_1),
        cmocka_unit_test(frames_have_their_length),
        cmocka_unit_test(signatures_are_over_this_message),
        cmocka_unit_test(signatures_are_der),
        cmocka_unit_test(nothing_follows_a_message),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
