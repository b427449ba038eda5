/*
 * Changed messages: every bit, every cut, frames that were moved. Nothing that was not verified comes out.
 */
#include <string.h>

#include "support/client.h"

static const enum kf_suite suites[] = {KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
                                       KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384};

#define FRAME 16
#define FRAME_ON_WIRE (4 + 12 + FRAME + 16)
#define PLAINTEXT (3 * FRAME + 5)

/* A message of three frames and a final one, two EDKs and a context. */
static struct kf_buf message_of(struct kf_cmm *cmm, enum kf_suite suite)
{
    struct kf_encryption_context *context = client_context("purpose", "tamper");
    const struct kf_encrypt_options options = client_encrypt_options(suite, FRAME, context);
    struct kf_buf message = client_message(cmm, &options, client_plaintext(PLAINTEXT));
    kf_encryption_context_unref(context);
    return message;
}

/*
 * Refused by one call, and as a stream, which may only have released whole frames that were as they should
 * be.
 */
static void assert_refused_both_ways(struct kf_cmm *cmm, struct kf_view message, size_t most)
{
    struct kf_buf out = KF_BUF_INIT;
    struct kf_error error = KF_ERROR_INIT;
    enum kf_code code = kf_decrypt(cmm, NULL, message, &error, NULL, &out);
    enum kf_class class = kf_code_class(code);
    assert_true(class == KF_CLASS_MESSAGE || class == KF_CLASS_KEYS || class == KF_CLASS_USAGE);
    assert_true(class != KF_CLASS_USAGE || code == KF_E_POLICY); /* a suite that the policy refuses */
    assert_int_equal(out.length, 0);
    assert_true(error.text[0] != '\0');
    kf_buf_free(&out);

    struct streamed streamed;
    stream_decrypt(cmm, NULL, message, (struct feed)FEED_ALL, &streamed);
    assert_true(streamed.code < KF_OK);
    assert_true(streamed.length <= most);
    assert_same_bytes(streamed_view(&streamed), client_plaintext(streamed.length));
    streamed_free(&streamed);
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    for (size_t s = 0; s < 2; s++) {
        struct kf_buf message = message_of(cmm, suites[s]);
        struct kf_header *header;
        struct kf_error error = KF_ERROR_INIT;
        assert_ok(kf_header_parse(buf_view(message), 0, &error, &header), &error);
        for (size_t bit = 0; bit < message.length * 8; bit++) {
            message.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            /* Of a frame before the change all came out, of the changed one nothing. */
            size_t body = kf_header_length(header), at = bit / 8;
            size_t frames = at < body ? 0 : (at - body) / FRAME_ON_WIRE;
            size_t most = frames < 3 ? frames * FRAME : kf_header_suite(header)->sign ? 3 * FRAME : PLAINTEXT;
            assert_refused_both_ways(cmm, buf_view(message), most);
            message.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_decrypts(cmm, NULL, buf_view(message), client_plaintext(PLAINTEXT));
        kf_header_unref(header);
        kf_buf_free(&message);
    }
    kf_cmm_unref(cmm);
}

static void test_every_cut_is_noticed(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    for (size_t s = 0; s < 2; s++) {
        struct kf_buf message = message_of(cmm, suites[s]);
        for (size_t length = 0; length < message.length; length++)
            assert_refused(cmm, NULL, kf_view(message.data, length), KF_E_TRUNCATED);
        kf_buf_free(&message);
    }
    kf_cmm_unref(cmm);
}

/* Puts a message together from pieces and expects a refusal. */
static void assert_pieces_refused(struct kf_cmm *cmm, const struct kf_view *pieces, size_t count)
{
    uint8_t bytes[4096];
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(bytes + length, pieces[i].data, pieces[i].length);
        length += pieces[i].length;
    }
    assert_refused_both_ways(cmm, kf_view(bytes, length), PLAINTEXT);
}

static void test_frames_stay_where_they_are(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    for (size_t s = 0; s < 2; s++) {
        struct kf_buf message = message_of(cmm, suites[s]), other = message_of(cmm, suites[s]);
        struct kf_header *header, *other_header;
        struct kf_error error = KF_ERROR_INIT;
        assert_ok(kf_header_parse(buf_view(message), 0, &error, &header), &error);
        assert_ok(kf_header_parse(buf_view(other), 0, &error, &other_header), &error);
        size_t body = kf_header_length(header);
        struct kf_view front = kf_view(message.data, body), frames[3], other_frame, rest;
        for (size_t i = 0; i < 3; i++)
            frames[i] = kf_view(message.data + body + i * FRAME_ON_WIRE, FRAME_ON_WIRE);
        rest = kf_view(message.data + body + 3 * FRAME_ON_WIRE, message.length - body - 3 * FRAME_ON_WIRE);
        other_frame = kf_view(other.data + kf_header_length(other_header) + FRAME_ON_WIRE, FRAME_ON_WIRE);

        assert_pieces_refused(cmm, (struct kf_view[]){front, frames[0], frames[2], rest}, 4);
        assert_pieces_refused(cmm, (struct kf_view[]){front, frames[1], frames[2], rest}, 4);
        assert_pieces_refused(cmm, (struct kf_view[]){front, frames[1], frames[0], frames[2], rest}, 5);
        assert_pieces_refused(cmm,
                              (struct kf_view[]){front, frames[0], frames[0], frames[1], frames[2], rest}, 6);
        assert_pieces_refused(cmm, (struct kf_view[]){front, frames[0], other_frame, frames[2], rest}, 5);
        assert_pieces_refused(cmm, (struct kf_view[]){front, rest}, 2);
        assert_pieces_refused(cmm, (struct kf_view[]){front, frames[0], frames[1], frames[2]}, 4);
        kf_header_unref(header);
        kf_header_unref(other_header);
        kf_buf_free(&message);
        kf_buf_free(&other);
    }
    kf_cmm_unref(cmm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_every_cut_is_noticed),
        cmocka_unit_test(test_frames_stay_where_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
