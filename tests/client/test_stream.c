/*
 * Streams: bytes in and out in any sizes, both ways, down to one byte, and the order of output and input.
 * test_waiting.c has the wait for keys.
 */
#include <string.h>

#include "support/client.h"
#include "support/parts.h"

static const enum kf_suite both_suites[] = {KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
                                            KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384};
#define FRAME 8

/* What all tests use, made once. */
static struct kf_cmm *cmm;
static const struct kf_encryption_context *context;

static int set_up(void **state)
{
    (void)state;
    cmm = client_cmm_of_two();
    context = client_context("purpose", "tests");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
    return 0;
}

/* ---- Any sizes ---- */

/* Encrypts with this feed. The result is the message that one call would have made. Answers its length. */
static size_t encrypt_fed(enum kf_suite suite, size_t length, struct feed feed)
{
    static struct parts parts;
    const struct kf_encrypt_options options = client_encrypt_options(suite, FRAME, context);
    struct streamed streamed;
    stream_encrypt(cmm, &options, client_plaintext(length), feed, &streamed);
    assert_ok(streamed.code, &streamed.error);
    assert_int_equal(streamed.taken, length);
    parts_read(streamed_view(&streamed), &parts);
    assert_int_equal(parts.frame_count, length == 0 ? 1 : (length + FRAME - 1) / FRAME);
    assert_decrypts(cmm, NULL, streamed_view(&streamed), client_plaintext(length));
    const size_t message_length = streamed.length;
    streamed_free(&streamed);
    return message_length;
}

static void decrypt_fed(struct kf_view message, size_t length, struct feed feed)
{
    struct streamed streamed;
    stream_decrypt(cmm, NULL, message, feed, &streamed);
    assert_ok(streamed.code, &streamed.error);
    assert_int_equal(streamed.taken, message.length);
    assert_same_bytes(streamed_view(&streamed), client_plaintext(length));
    streamed_free(&streamed);
}

static const size_t lengths[] = {0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 2 * FRAME + 1};
#define LENGTHS (sizeof lengths / sizeof lengths[0])

static void one_byte_in_one_byte_out(void **state)
{
    (void)state;
    static const struct feed feeds[] = {
        {1, 1, 1, 1, 0}, {1, 1, SIZE_MAX, SIZE_MAX, 0}, {SIZE_MAX, SIZE_MAX, 1, 1, 0}};
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < LENGTHS; i++) {
            const struct kf_encrypt_options options = client_encrypt_options(both_suites[s], FRAME, context);
            struct kf_buf message = client_message(cmm, &options, client_plaintext(lengths[i]));
            for (size_t f = 0; f < 3; f++) {
                assert_int_equal(encrypt_fed(both_suites[s], lengths[i], feeds[f]), message.length);
                decrypt_fed(buf_view(message), lengths[i], feeds[f]);
            }
            kf_buf_free(&message);
        }
    }
}

static void every_split_of_what_is_encrypted(void **state)
{
    (void)state;
    const size_t length = 2 * FRAME + 1;
    for (size_t s = 0; s < 2; s++) {
        const size_t message_length = encrypt_fed(both_suites[s], length, (struct feed)FEED_ALL);
        for (size_t at = 0; at <= length; at++) {
            encrypt_fed(both_suites[s], length, (struct feed){at, SIZE_MAX, SIZE_MAX, SIZE_MAX, 0});
            encrypt_fed(both_suites[s], length, (struct feed){at, SIZE_MAX, 1, 1, 0});
        }
        for (size_t at = 0; at <= message_length; at++)
            encrypt_fed(both_suites[s], length, (struct feed){SIZE_MAX, SIZE_MAX, at, SIZE_MAX, 0});
    }
}

static void every_split_of_what_is_decrypted(void **state)
{
    (void)state;
    const size_t length = 2 * FRAME + 1;
    for (size_t s = 0; s < 2; s++) {
        const struct kf_encrypt_options options = client_encrypt_options(both_suites[s], FRAME, context);
        struct kf_buf message = client_message(cmm, &options, client_plaintext(length));
        for (size_t at = 0; at <= message.length; at++) {
            decrypt_fed(buf_view(message), length, (struct feed){at, SIZE_MAX, SIZE_MAX, SIZE_MAX, 0});
            decrypt_fed(buf_view(message), length, (struct feed){at, SIZE_MAX, 1, 1, 0});
        }
        for (size_t at = 0; at <= length; at++) {
            decrypt_fed(buf_view(message), length, (struct feed){SIZE_MAX, SIZE_MAX, at, SIZE_MAX, 0});
            decrypt_fed(buf_view(message), length, (struct feed){1, 1, at, SIZE_MAX, 0});
        }
        kf_buf_free(&message);
    }
}

static void random_sizes(void **state)
{
    (void)state;
    static const size_t most[] = {2, 9, 40, 500};
    for (uint32_t seed = 1; seed <= 64; seed++) {
        const enum kf_suite suite = both_suites[seed % 8 == 0];
        const size_t length = lengths[seed % LENGTHS] + seed;
        const struct feed feed = {0, most[seed % 4], 0, most[seed / 4 % 4], seed};
        encrypt_fed(suite, length, feed);
        const struct kf_encrypt_options options = client_encrypt_options(suite, FRAME, context);
        struct kf_buf message = client_message(cmm, &options, client_plaintext(length));
        decrypt_fed(buf_view(message), length, feed);
        kf_buf_free(&message);
    }
}

static void large_frames_in_random_sizes(void **state)
{
    (void)state;
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 10000, context);
    for (uint32_t seed = 1; seed <= 8; seed++) {
        const struct feed feed = {0, 4000, 0, 4000, seed};
        struct streamed streamed;
        stream_encrypt(cmm, &options, client_plaintext(65536), feed, &streamed);
        assert_ok(streamed.code, &streamed.error);
        decrypt_fed(streamed_view(&streamed), 65536, feed);
        streamed_free(&streamed);
    }
}

/* ---- Output and input ---- */

static struct kf_encryptor *encryptor_of(struct kf_cmm *from, const struct kf_encrypt_options *options)
{
    struct kf_encryptor *encryptor;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryptor_new(from, options, &error, &encryptor), &error);
    return encryptor;
}

static struct kf_decryptor *decryptor_of(struct kf_cmm *from, const struct kf_decrypt_options *options)
{
    struct kf_decryptor *decryptor;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_decryptor_new(from, options, &error, &decryptor), &error);
    return decryptor;
}

/* When an encryptor wants input, it has given out everything that it could. */
static void output_comes_before_input_is_wanted(void **state)
{
    (void)state;
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, FRAME, context);
    const struct kf_view plaintext = client_plaintext(3 * FRAME);
    struct kf_encryptor *encryptor = encryptor_of(cmm, &options);
    uint8_t out[1000];

    struct kf_io io = {.out = out, .out_room = sizeof out};
    assert_int_equal(kf_encryptor_poll(encryptor, &io, NULL), KF_WANT_INPUT);
    assert_true(io.out_used > 200); /* the header needs no plaintext */
    size_t frames = 0;
    for (size_t i = 0; i < plaintext.length; i++) {
        size_t came = 0, given = 0;
        enum kf_code code;
        do {
            io = (struct kf_io){.in = plaintext.data + i, .in_length = 1 - given, .out = out, .out_room = 5};
            code = kf_encryptor_poll(encryptor, &io, NULL);
            came += io.out_used;
            given += io.in_used;
        } while (code == KF_WANT_OUTPUT);
        assert_int_equal(code, KF_WANT_INPUT);
        /*
         * A full frame comes out with the first byte that follows it, because until then it may be the final
         * one.
         */
        assert_int_equal(came, i > 0 && i % FRAME == 0 ? 32 + FRAME : 0);
        frames += came > 0;
        io = (struct kf_io){.out = out, .out_room = sizeof out};
        assert_int_equal(kf_encryptor_poll(encryptor, &io, NULL), KF_WANT_INPUT);
        assert_int_equal(io.out_used, 0);
    }
    assert_int_equal(frames, 2);
    io = (struct kf_io){.in_end = true, .out = out, .out_room = sizeof out};
    assert_int_equal(kf_encryptor_poll(encryptor, &io, NULL), KF_OK);
    assert_int_equal(io.out_used, 40 + FRAME);
    kf_encryptor_free(encryptor);
}

/* Input is not taken while output waits for room: a stream holds one frame, not the whole message. */
static void input_waits_while_output_waits(void **state)
{
    (void)state;
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, FRAME, context);
    const struct kf_view plaintext = client_plaintext(10 * FRAME);
    struct kf_encryptor *encryptor = encryptor_of(cmm, &options);
    uint8_t out[1000];
    struct kf_io io = {.in = plaintext.data, .in_length = plaintext.length, .out = out, .out_room = 1};
    assert_int_equal(kf_encryptor_poll(encryptor, &io, NULL), KF_WANT_OUTPUT);
    assert_int_equal(io.in_used, 0); /* the header waits */
    io.out_room = sizeof out;
    assert_int_equal(kf_encryptor_poll(encryptor, &io, NULL), KF_WANT_INPUT);
    assert_int_equal(io.in_used, plaintext.length);

    io = (struct kf_io){.in = plaintext.data, .in_length = plaintext.length, .out = out, .out_room = 1};
    assert_int_equal(kf_encryptor_poll(encryptor, &io, NULL), KF_WANT_OUTPUT);
    assert_in_range(io.in_used, 0, FRAME);
    kf_encryptor_free(encryptor);
}

/* bench/storm depends on this: a poll without input and output gets the key, and no more. */
static void a_poll_with_nothing_stops_once_materials_are_held(void **state)
{
    (void)state;
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, FRAME, context);
    struct kf_buf message = client_message(cmm, &options, client_plaintext(3));
    static struct parts parts;
    parts_read(buf_view(message), &parts);

    struct kf_encryptor *encryptor = encryptor_of(cmm, &options);
    struct kf_io nothing = {.in = NULL};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kf_encryptor_poll(encryptor, &nothing, NULL), KF_WANT_OUTPUT);
        assert_int_equal(nothing.out_used, 0);
        assert_non_null(kf_encryptor_materials(encryptor));
    }
    kf_encryptor_free(encryptor);

    /* The decryptor needs a header for that. It stops before it verifies the header. */
    struct kf_decryptor *decryptor = decryptor_of(cmm, NULL);
    assert_int_equal(kf_decryptor_poll(decryptor, &nothing, NULL), KF_WANT_INPUT);
    struct kf_io header = {.in = message.data, .in_length = parts.header_end};
    assert_int_equal(kf_decryptor_poll(decryptor, &header, NULL), KF_WANT_INPUT);
    assert_int_equal(header.in_used, parts.header_end);
    assert_int_equal(kf_decryptor_poll(decryptor, &nothing, NULL), KF_WANT_INPUT);
    assert_null(kf_decryptor_header(decryptor));
    assert_null(kf_decryptor_encryption_context(decryptor));
    uint8_t out[10];
    struct kf_io rest = {.out = out, .out_room = sizeof out};
    assert_int_equal(kf_decryptor_poll(decryptor, &rest, NULL), KF_WANT_INPUT);
    assert_non_null(kf_decryptor_header(decryptor));
    kf_decryptor_free(decryptor);
    kf_buf_free(&message);
}

static void an_empty_plaintext_needs_no_room(void **state)
{
    (void)state;
    for (size_t s = 0; s < 2; s++) {
        const struct kf_encrypt_options options = client_encrypt_options(both_suites[s], FRAME, context);
        struct kf_buf message = client_message(cmm, &options, kf_view_of(NULL, 0));
        struct kf_decryptor *decryptor = decryptor_of(cmm, NULL);
        struct kf_io io = {.in = message.data, .in_length = message.length, .in_end = true};
        assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_OK);
        assert_int_equal(io.in_used, message.length);
        kf_decryptor_free(decryptor);
        kf_buf_free(&message);
    }
}

/* A poll that meets a bad frame gives out nothing, not even the good frames before it. */
static void an_error_takes_back_what_its_poll_gave(void **state)
{
    (void)state;
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, FRAME, context);
    struct kf_buf message = client_message(cmm, &options, client_plaintext(3 * FRAME));
    message.data[message.length - 1] ^= 1;
    struct streamed streamed;
    stream_decrypt(cmm, NULL, buf_view(message), (struct feed)FEED_ALL, &streamed);
    assert_int_equal(streamed.code, KF_E_FORGED);
    assert_int_equal(streamed.length, 0);
    streamed_free(&streamed);

    /* What earlier polls gave out stays given: those frames were verified. */
    stream_decrypt(cmm, NULL, buf_view(message), (struct feed){message.length - 1, 1, SIZE_MAX, SIZE_MAX, 0},
                   &streamed);
    assert_int_equal(streamed.code, KF_E_FORGED);
    assert_same_bytes(streamed_view(&streamed), client_plaintext(2 * FRAME));
    streamed_free(&streamed);
    kf_buf_free(&message);
}

/* Streams that are freed after each number of bytes, in and out. A sanitizer sees leaks and later uses. */
static void streams_can_be_freed_at_any_byte(void **state)
{
    (void)state;
    const struct kf_view plaintext = client_plaintext(2 * FRAME + 1);
    for (size_t s = 0; s < 2; s++) {
        const struct kf_encrypt_options options = client_encrypt_options(both_suites[s], FRAME, context);
        struct kf_buf message = client_message(cmm, &options, plaintext);
        for (size_t room = 0; room <= message.length; room += s == 0 ? 1 : 7) {
            uint8_t out[1000];
            struct kf_encryptor *encryptor = encryptor_of(cmm, &options);
            struct kf_io io = {.in = plaintext.data,
                               .in_length = plaintext.length,
                               .in_end = true,
                               .out = out,
                               .out_room = room};
            assert_int_equal(kf_encryptor_poll(encryptor, &io, NULL),
                             room < message.length ? KF_WANT_OUTPUT : KF_OK);
            kf_encryptor_free(encryptor);
        }
        for (size_t given = 0; given <= message.length; given++) {
            uint8_t out[1000];
            struct kf_decryptor *decryptor = decryptor_of(cmm, NULL);
            struct kf_io io = {.in = message.data, .in_length = given, .out = out, .out_room = given % 3};
            assert_true(kf_decryptor_poll(decryptor, &io, NULL) >= KF_OK);
            kf_decryptor_free(decryptor);
        }
        kf_buf_free(&message);
    }
    kf_encryptor_free(encryptor_of(cmm, NULL));
    kf_decryptor_free(decryptor_of(cmm, NULL));
    kf_encryptor_free(NULL);
    kf_decryptor_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_byte_in_one_byte_out),
        cmocka_unit_test(every_split_of_what_is_encrypted),
        cmocka_unit_test(every_split_of_what_is_decrypted),
        cmocka_unit_test(random_sizes),
        cmocka_unit_test(large_frames_in_random_sizes),
        cmocka_unit_test(output_comes_before_input_is_wanted),
        cmocka_unit_test(input_waits_while_output_waits),
        cmocka_unit_test(a_poll_with_nothing_stops_once_materials_are_held),
        cmocka_unit_test(an_empty_plaintext_needs_no_room),
        cmocka_unit_test(an_error_takes_back_what_its_poll_gave),
        cmocka_unit_test(streams_can_be_freed_at_any_byte),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
