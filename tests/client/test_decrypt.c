/*
 * What decrypt.c reads: its limits, when plaintext and header come out, and what is left in memory. Messages
 * that others make are test_foreign.c's, forged ones test_forged.c's, changed ones test_tamper*.c's, streams
 * in pieces test_stream.c's.
 */
#include <string.h>

#include "support/client.h"
#include "support/parts.h"

/* ---- Limits ---- */

static struct kf_buf two_frames(struct kf_cmm *cmm, enum kf_suite suite)
{
    const struct kf_encryption_context *context = client_context("purpose", "tests");
    const struct kf_encrypt_options options = client_encrypt_options(suite, 100, context);
    struct kf_buf message = client_message(cmm, &options, client_plaintext(150));
    kf_encryption_context_unref(context);
    return message;
}

static void limits_are_exact(void **state)
{
    (void)state;
    static struct parts parts;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_buf message = two_frames(cmm, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
    parts_read(buf_view(message), &parts);

    struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
    options.max_edks = 2;
    options.max_header_length = (uint32_t)parts.header_end;
    options.max_frame_length = 100;
    assert_decrypts(cmm, &options, buf_view(message), client_plaintext(150));
    options.max_edks = 1;
    assert_refused(cmm, &options, buf_view(message), KF_E_LIMIT);
    options.max_edks = 0;
    options.max_header_length--;
    assert_refused(cmm, &options, buf_view(message), KF_E_LIMIT);
    options.max_header_length++;
    options.max_frame_length--;
    assert_refused(cmm, &options, buf_view(message), KF_E_LIMIT);
    kf_buf_free(&message);

    kf_cmm_unref(cmm);
}

/* More plaintext than allowed is refused before the frame that would bring it is taken. */
static void plaintext_is_limited(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    for (size_t i = 0; i < CLIENT_SUITES; i++) {
        struct kf_buf message = two_frames(cmm, client_suites[i]);
        struct kf_decrypt_options options = client_decrypt_options();
        options.max_plaintext_length = 150;
        assert_decrypts(cmm, &options, buf_view(message), client_plaintext(150));
        for (uint64_t most = 0; most < 150; most += most == 0 ? 99 : most == 99 ? 1 : 49) {
            options.max_plaintext_length = most;
            assert_refused(cmm, &options, buf_view(message), KF_E_LIMIT);
            struct streamed streamed;
            stream_decrypt(cmm, &options, buf_view(message), (struct feed){1, 1, 10, 10, 0}, &streamed);
            assert_int_equal(streamed.code, KF_E_LIMIT);
            assert_same_bytes(streamed_view(&streamed), client_plaintext(most < 100 ? 0 : 100));
            streamed_free(&streamed);
        }
        kf_buf_free(&message);
    }
    kf_cmm_unref(cmm);
}

/* In the mode for unsigned messages, signed ones are refused at the byte that names their suite. */
static void suites_that_sign_can_be_refused(void **state)
{
    (void)state;
    struct kf_cmm *cmm;
    struct told *told = told_new(&cmm);
    told_answer_always(told, true);
    struct kf_decrypt_options options = client_decrypt_options();
    options.unsigned_only = true;
    for (size_t i = 0; i < CLIENT_SUITES; i++) {
        struct kf_buf message = two_frames(cmm, client_suites[i]);
        const unsigned begun = told_begun(told);
        if (!kf_suite_info_of(client_suites[i])->sign) {
            assert_decrypts(cmm, &options, buf_view(message), client_plaintext(150));
            kf_buf_free(&message);
            continue;
        }
        assert_refused(cmm, &options, buf_view(message), KF_E_POLICY);
        struct kf_decryptor *decryptor;
        struct kf_error error = KF_ERROR_INIT;
        assert_ok(kf_decryptor_new(cmm, &options, &error, &decryptor), &error);
        struct kf_io io = {.in = message.data, .in_length = message.data[0] == 1 ? 3 : 2};
        assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_WANT_INPUT);
        io.in += io.in_length;
        io.in_length = 1;
        assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_E_POLICY);
        assert_non_null(strstr(kf_decryptor_error(decryptor)->text, "unsigned_only"));
        kf_decryptor_free(decryptor);
        assert_int_equal(told_begun(told), begun);
        kf_buf_free(&message);
    }
    kf_cmm_unref(cmm);
    told_free(told);
}

/* The limits on a header hold before a key is asked for; those on EDKs hold before the EDKs have come. */
static void hostile_headers_reach_no_cmm(void **state)
{
    (void)state;
    struct kf_cmm *cmm;
    struct told *told = told_new(&cmm);
    told_answer_always(told, true);
    struct kf_buf message = two_frames(cmm, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
    const unsigned begun = told_begun(told);
    static struct parts parts;
    parts_read(buf_view(message), &parts);
    const size_t count = (size_t)(parts.edks[0].provider_id.data - 4 - message.data);
    message.data[count] = 0xFF; /* it claims tens of thousands of EDKs, and has none */

    struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
    options.max_edks = 100;
    struct kf_decryptor *decryptor;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_decryptor_new(cmm, &options, &error, &decryptor), &error);
    struct kf_io io = {.in = message.data, .in_length = count + 2};
    assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_E_LIMIT);
    kf_decryptor_free(decryptor);
    assert_int_equal(told_begun(told), begun);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    told_free(told);
}

/* ---- Beginnings and ends ---- */

static void what_is_no_message_is_refused(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    assert_refused(cmm, NULL, kf_view_of(NULL, 0), KF_E_TRUNCATED);
    assert_refused(cmm, NULL, kf_view_text("x"), KF_E_MALFORMED);
    assert_refused(cmm, NULL, kf_view_text("plaintext"), KF_E_MALFORMED);
    assert_refused(cmm, NULL, kf_view_text("AgR4"), KF_E_MALFORMED); /* base64 of 02 04 78 */
    assert_refused(cmm, NULL, kf_view_text("AYAF"), KF_E_MALFORMED);
    assert_refused(cmm, NULL, kf_view_text("\x02"), KF_E_TRUNCATED);
    kf_cmm_unref(cmm);
}

/* A stream refuses it at the first byte, although more could come. */
static void what_is_no_message_is_refused_early(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_decryptor *decryptor;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_decryptor_new(cmm, NULL, &error, &decryptor), &error);
    struct kf_io io = {.in = (const uint8_t *)"x", .in_length = 1};
    assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_E_MALFORMED);
    kf_decryptor_free(decryptor);
    kf_cmm_unref(cmm);
}

static void usage_is_checked(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
    assert_refused(NULL, &options, client_plaintext(10), KF_E_USAGE);
    options.size = 0;
    assert_refused(cmm, &options, client_plaintext(10), KF_E_USAGE);
    options.size = sizeof options + 1;
    assert_refused(cmm, &options, client_plaintext(10), KF_E_USAGE);

    /* A caller whose struct is shorter, as an older program has it. */
    struct kf_buf message = two_frames(cmm, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
    options.size = offsetof(struct kf_decrypt_options, max_frame_length);
    options.max_frame_length = 1; /* not part of it */
    assert_decrypts(cmm, &options, buf_view(message), client_plaintext(150));
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

static void bytes_that_follow_fail_one_call(void **state)
{
    (void)state;
    static const enum kf_suite suites[] = {KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
                                           KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384};
    struct kf_cmm *cmm = client_cmm_of_two();
    for (size_t i = 0; i < 2; i++) {
        struct kf_buf message = two_frames(cmm, suites[i]);
        const size_t extras[] = {
            1, 2, 16, message.length}; /* its first bytes again; in the end a whole second message */
        for (size_t e = 0; e < 4; e++) {
            uint8_t *longer = malloc(message.length + extras[e]);
            memcpy(longer, message.data, message.length);
            memcpy(longer + message.length, message.data, extras[e]);
            assert_refused(cmm, NULL, kf_view_of(longer, message.length + extras[e]), KF_E_TRAILING);
            free(longer);
        }
        kf_buf_free(&message);
    }
    kf_cmm_unref(cmm);
}

static void a_stream_takes_nothing_behind_the_message(void **state)
{
    (void)state;
    static const enum kf_suite suites[] = {KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
                                           KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384};
    struct kf_cmm *cmm = client_cmm_of_two();
    for (size_t i = 0; i < 2; i++) {
        struct kf_buf message = two_frames(cmm, suites[i]);
        uint8_t *twice = malloc(2 * message.length);
        memcpy(twice, message.data, message.length);
        memcpy(twice + message.length, message.data, message.length);
        for (size_t piece = 1; piece < 2 * message.length; piece = piece * 3 / 2 + 1) {
            struct feed feed = FEED_ALL;
            feed.first_in = feed.in = piece;
            struct streamed streamed;
            stream_decrypt(cmm, NULL, kf_view_of(twice, 2 * message.length), feed, &streamed);
            assert_ok(streamed.code, &streamed.error);
            assert_int_equal(streamed.taken, message.length);
            assert_same_bytes(streamed_view(&streamed), client_plaintext(150));
            streamed_free(&streamed);
        }
        free(twice);
        kf_buf_free(&message);
    }
    kf_cmm_unref(cmm);
}

static void a_stream_that_is_done_stays_done(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_buf message = two_frames(cmm, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384);
    struct kf_decryptor *decryptor;
    struct kf_error error = KF_ERROR_INIT;
    uint8_t out[200];
    assert_ok(kf_decryptor_new(cmm, NULL, &error, &decryptor), &error);
    struct kf_io io = {.in = message.data, .in_length = message.length, .out = out, .out_room = sizeof out};
    assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL),
                     KF_OK); /* without in_end, because the message says where it ends */
    assert_int_equal(io.out_used, 150);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_OK);
        assert_int_equal(io.in_used, 0);
        assert_int_equal(io.out_used, 0);
    }
    kf_decryptor_free(decryptor);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

/* ---- When what comes out ---- */

/*
 * Gives a decryptor the bytes of `message` from `*given` up to `until`. Answers how many bytes of plaintext
 * came out.
 */
static size_t give(struct kf_decryptor *decryptor, struct kf_view message, size_t *given, size_t until,
                   enum kf_code expected)
{
    uint8_t out[1000];
    struct kf_io io = {
        .in = message.data + *given, .in_length = until - *given, .out = out, .out_room = sizeof out};
    const enum kf_code code = kf_decryptor_poll(decryptor, &io, NULL);
    if (code != expected)
        print_error("%s: %s\n", kf_code_name(code), kf_decryptor_error(decryptor)->text);
    assert_int_equal(code, expected);
    assert_int_equal(io.in_used, until - *given);
    *given = until;
    return io.out_used;
}

static void frames_come_out_as_they_are_verified(void **state)
{
    (void)state;
    static struct parts parts;
    struct kf_cmm *cmm = client_cmm_of_two();
    const struct kf_decrypt_options options = client_decrypt_options();
    for (size_t s = 0; s < CLIENT_SUITES; s++) {
        const struct kf_suite_info *suite = kf_suite_info_of(client_suites[s]);
        struct kf_buf message = two_frames(cmm, client_suites[s]);
        parts_read(buf_view(message), &parts);
        struct kf_decryptor *decryptor;
        struct kf_error error = KF_ERROR_INIT;
        size_t given = 0;
        assert_ok(kf_decryptor_new(cmm, &options, &error, &decryptor), &error);
        const struct kf_view view = buf_view(message);

        /*
         * All but the last byte of the header, of the regular frame, of the final frame, and of the
         * signature.
         */
        assert_int_equal(give(decryptor, view, &given, parts.header_end - 1, KF_WANT_INPUT), 0);
        assert_null(kf_decryptor_header(decryptor));
        assert_null(kf_decryptor_encryption_context(decryptor));
        assert_int_equal(give(decryptor, view, &given, parts.header_end, KF_WANT_INPUT), 0);
        assert_non_null(kf_decryptor_header(decryptor));
        assert_int_equal(give(decryptor, view, &given, parts.frames[0].end - 1, KF_WANT_INPUT), 0);
        assert_int_equal(give(decryptor, view, &given, parts.frames[0].end, KF_WANT_INPUT), 100);
        assert_int_equal(give(decryptor, view, &given, parts.frames[1].end - 1, KF_WANT_INPUT), 0);
        if (suite->sign) {
            assert_int_equal(give(decryptor, view, &given, parts.frames[1].end, KF_WANT_INPUT), 0);
            assert_int_equal(give(decryptor, view, &given, message.length - 1, KF_WANT_INPUT), 0);
        }
        assert_int_equal(give(decryptor, view, &given, message.length, KF_OK), 50);
        kf_decryptor_free(decryptor);
        kf_buf_free(&message);
    }
    kf_cmm_unref(cmm);
}

/* Plaintext that was held back goes out in any pieces, and the stream is done only then. */
static void what_was_held_back_waits_for_room(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384, 100, NULL);
    struct kf_buf message = client_message(cmm, &options, client_plaintext(100));
    struct kf_decryptor *decryptor;
    struct kf_error error = KF_ERROR_INIT;
    uint8_t out[100];
    assert_ok(kf_decryptor_new(cmm, NULL, &error, &decryptor), &error);
    struct kf_io io = {.in = message.data, .in_length = message.length, .in_end = true};
    for (size_t i = 0; i < sizeof out; i++) {
        assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_WANT_OUTPUT);
        assert_int_equal(io.out_used, io.out_room);
        io = (struct kf_io){.in_end = true, .out = out + i, .out_room = 1};
    }
    assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_OK);
    assert_int_equal(io.out_used, 1);
    assert_memory_equal(out, client_plaintext(100).data, 100);
    kf_decryptor_free(decryptor);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

static void the_header_is_handed_out_when_all_is_verified(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_buf message = two_frames(cmm, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384),
                  out = KF_BUF_INIT;
    const struct kf_header *header;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_decrypt(cmm, NULL, buf_view(message), &error, &header, &out), &error);
    static struct parts parts;
    parts_read(buf_view(message), &parts);
    assert_int_equal(kf_header_suite(header)->id, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384);
    assert_same_bytes(kf_header_message_id(header), parts.message_id);
    assert_int_equal(kf_header_length(header), parts.header_end);
    assert_int_equal(kf_header_edk_count(header), 2);
    struct kf_view value;
    assert_true(
        kf_encryption_context_get(kf_header_encryption_context(header), kf_view_text("purpose"), &value));
    assert_same_bytes(value, kf_view_text("tests"));
    kf_header_unref(header);
    kf_buf_free(&message);
    kf_buf_free(&out);
    kf_cmm_unref(cmm);
}

/* ---- What the CMM is asked ---- */

static struct kf_decryption_request asked; /* a copy; what it points to lives while the decryptor does */

static enum kf_code note_decrypt(void *self, struct kf_call *call,
                                 const struct kf_decryption_request *request, struct kf_error *error,
                                 const struct kf_decryption_materials **out)
{
    asked = *request;
    return kf_cmm_decrypt_materials(self, kf_call_child(call, 0), request, error, out);
}

static enum kf_code note_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_request *request, struct kf_error *error,
                                 const struct kf_encryption_materials **out)
{
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
}

static void the_cmm_is_asked_for_this_message(void **state)
{
    (void)state;
    static const struct kf_cmm_vtable vtable = {sizeof vtable, note_encrypt, note_decrypt, NULL, false};
    static struct parts parts;
    struct kf_cmm *inner = client_cmm_of_two(), *cmm;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_cmm_new(&vtable, inner, &error, &cmm), &error);
    struct kf_buf message = two_frames(cmm, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384);
    parts_read(buf_view(message), &parts);
    const struct kf_encryption_context *reproduced = client_context("purpose", "tests");
    struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
    options.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    options.max_edks = 7;
    options.reproduced_encryption_context = reproduced;
    struct kf_decryptor *decryptor;
    assert_ok(kf_decryptor_new(cmm, &options, &error, &decryptor), &error);
    struct kf_io io = {.in = message.data, .in_length = message.length};
    assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_WANT_OUTPUT);
    assert_int_equal(asked.suite, 0x0578);
    assert_int_equal(asked.commitment_policy, KF_FORBID_ENCRYPT_ALLOW_DECRYPT);
    assert_int_equal(asked.max_edks, 7);
    assert_int_equal(asked.edk_count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_same_bytes(asked.edks[i].ciphertext, parts.edks[i].ciphertext);
    assert_int_equal(kf_encryption_context_count(asked.encryption_context),
                     2); /* as stored, public key and all */
    assert_ptr_equal(asked.reproduced_encryption_context, reproduced);
    kf_decryptor_free(decryptor);
    kf_encryption_context_unref(reproduced);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_cmm_unref(inner);
}

/* ---- Keys ---- */

static void other_keys_do_not_open_it(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two(), *second = client_cmm_on(client_keyring("two", 2));
    struct kf_cmm *same_name = client_cmm_on(client_keyring("one", 3)),
                  *other_name = client_cmm_on(client_keyring("x", 1));
    struct kf_buf message = two_frames(cmm, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
    assert_decrypts(second, NULL, buf_view(message), client_plaintext(150));
    assert_refused(same_name, NULL, buf_view(message), KF_E_KEYS);
    assert_refused(other_name, NULL, buf_view(message), KF_E_KEYS);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_cmm_unref(second);
    kf_cmm_unref(same_name);
    kf_cmm_unref(other_name);
}

/*
 * If one keyring fails and another unwraps the key, nothing is left of the error: the stream goes on, for any
 * number of polls.
 */
static void a_keyring_that_failed_before_does_not_end_the_stream(void **state)
{
    (void)state;
    struct kf_keyring *stranger = client_keyring("one", 3), *two = client_keyring("two", 2), *both;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_multi_keyring_new(stranger, &two, 1, &error, &both), &error);
    kf_keyring_unref(stranger);
    kf_keyring_unref(two);
    struct kf_cmm *cmm = client_cmm_of_two(), *reader = client_cmm_on(both);
    struct kf_buf message = two_frames(cmm, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
    struct feed feed = FEED_ALL;
    feed.first_in = feed.in = 1;
    struct streamed streamed;
    stream_decrypt(reader, NULL, buf_view(message), feed, &streamed);
    assert_ok(streamed.code, &streamed.error);
    assert_same_bytes(streamed_view(&streamed), client_plaintext(150));
    streamed_free(&streamed);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_cmm_unref(reader);
}

/* ---- Buffers ---- */

static void a_failure_leaves_nothing_in_a_buffer_used_before(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_buf message = two_frames(cmm, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384),
                  out = KF_BUF_INIT;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_decrypt(cmm, NULL, buf_view(message), &error, NULL, &out), &error);
    const uint8_t *memory = out.data;

    message.data[message.length - 1] ^= 1; /* the signature, when all plaintext had come */
    assert_int_equal(kf_decrypt(cmm, NULL, buf_view(message), &error, NULL, &out), KF_E_FORGED);
    assert_int_equal(out.length, 0);
    assert_ptr_equal(out.data, memory);
    for (size_t i = 0; i < 150; i++)
        assert_int_equal(memory[i], 0);

    message.data[message.length - 1] ^= 1;
    assert_ok(kf_decrypt(cmm, NULL, buf_view(message), &error, NULL, &out), &error);
    assert_ptr_equal(out.data, memory);
    assert_same_bytes(buf_view(out), client_plaintext(150));
    kf_buf_free(&out);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(plaintext_is_limited),
        cmocka_unit_test(suites_that_sign_can_be_refused),
        cmocka_unit_test(hostile_headers_reach_no_cmm),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(what_is_no_message_is_refused_early),
        cmocka_unit_test(usage_is_checked),
        cmocka_unit_test(bytes_that_follow_fail_one_call),
        cmocka_unit_test(a_stream_takes_nothing_behind_the_message),
        cmocka_unit_test(a_stream_that_is_done_stays_done),
        cmocka_unit_test(frames_come_out_as_they_are_verified),
        cmocka_unit_test(what_was_held_back_waits_for_room),
        cmocka_unit_test(the_header_is_handed_out_when_all_is_verified),
        cmocka_unit_test(the_cmm_is_asked_for_this_message),
        cmocka_unit_test(other_keys_do_not_open_it),
        cmocka_unit_test(a_keyring_that_failed_before_does_not_end_the_stream),
        cmocka_unit_test(a_failure_leaves_nothing_in_a_buffer_used_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
