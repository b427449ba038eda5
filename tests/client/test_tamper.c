/*
 * Messages of every suite that were changed: bytes taken out or put in; frames dropped, swapped, repeated,
 * marked as another kind, or taken from other messages. Each is refused with its class, in one call and as a
 * stream. A stream gives out exactly the frames before the change. test_tamper_bits.c has single bits and
 * cuts.
 */
#include <string.h>

#include "support/client.h"
#include "support/parts.h"

#define FRAME 5
#define LENGTH (2 * FRAME + 3) /* two regular frames and a final one */

/* A reader and one message of it for each suite. */
static struct kf_cmm *cmm;
static struct kf_decrypt_options any_suite;
static struct kf_buf messages[CLIENT_SUITES];
static struct parts parts[CLIENT_SUITES];

static struct kf_buf message_of(struct kf_cmm *from, enum kf_suite suite)
{
    const struct kf_encryption_context *context = client_context("purpose", "tests");
    const struct kf_encrypt_options options = client_encrypt_options(suite, FRAME, context);
    struct kf_buf message = client_message(from, &options, client_plaintext(LENGTH));
    kf_encryption_context_unref(context);
    return message;
}

static int set_up(void **state)
{
    (void)state;
    cmm = client_cmm_of_two();
    any_suite = client_decrypt_options();
    for (size_t i = 0; i < CLIENT_SUITES; i++) {
        messages[i] = message_of(cmm, client_suites[i]);
        parts_read(buf_view(messages[i]), &parts[i]);
        assert_int_equal(parts[i].edk_count, 2);
        assert_int_equal(parts[i].frame_count, 3);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLIENT_SUITES; i++)
        kf_buf_free(&messages[i]);
    kf_cmm_unref(cmm);
    return 0;
}

/*
 * The message is refused, by one call and by a stream that gets it byte by byte. The stream gives out
 * `before` bytes of the plaintext.
 */
static void check_refused(struct kf_view message, size_t before, enum kf_code expected)
{
    struct kf_buf out = {calloc(1, message.length + 1), 0, message.length + 1};
    struct kf_error error = KF_ERROR_INIT;
    const enum kf_code code = kf_decrypt(cmm, &any_suite, message, &error, NULL, &out);
    const enum kf_class class = kf_code_class(code);
    if (class != KF_CLASS_MESSAGE && class != KF_CLASS_KEYS)
        fail_msg("A changed message: %s: %s", kf_code_name(code), error.text);
    if (expected != KF_OK)
        assert_int_equal(code, expected);
    assert_int_equal(out.length, 0);
    for (size_t i = 0; i <= message.length; i++)
        assert_true(out.data[i] == 0);
    free(out.data);

    struct streamed streamed;
    stream_decrypt(cmm, &any_suite, message, (struct feed){1, 1, FRAME, FRAME, 0}, &streamed);
    assert_int_equal(streamed.code, code);
    assert_same_bytes(streamed_view(&streamed), client_plaintext(before));
    streamed_free(&streamed);
}

/* ---- Bytes ---- */

static enum kf_class decrypt_class(struct kf_view message)
{
    struct kf_buf out = KF_BUF_INIT;
    const enum kf_code code = kf_decrypt(cmm, &any_suite, message, NULL, NULL, &out);
    kf_buf_free(&out);
    return kf_code_class(code);
}

static void assert_no_message(struct kf_view message)
{
    const enum kf_class class = decrypt_class(message);
    assert_true(class == KF_CLASS_MESSAGE || class == KF_CLASS_KEYS);
}

/* A byte taken out, and a byte put in, at every place. */
static void every_missing_or_added_byte_is_refused(void **state)
{
    (void)state;
    uint8_t changed[1024];
    for (size_t s = 0; s < CLIENT_SUITES; s++) {
        const struct kf_view message = buf_view(messages[s]);
        for (size_t at = 0; at < message.length; at++) {
            memcpy(changed, message.data, at);
            memcpy(changed + at, message.data + at + 1, message.length - at - 1);
            assert_no_message(kf_view_of(changed, message.length - 1));
            changed[at] = 0x5A;
            memcpy(changed + at + 1, message.data + at, message.length - at);
            assert_no_message(kf_view_of(changed, message.length + 1));
        }
    }
}

/* ---- Frames ---- */

/* A message put together from pieces of others. */
struct spliced {
    uint8_t bytes[1024];
    size_t length;
};

static void add(struct spliced *spliced, const uint8_t *bytes, size_t length)
{
    assert_true(spliced->length + length <= sizeof spliced->bytes);
    memcpy(spliced->bytes + spliced->length, bytes, length);
    spliced->length += length;
}

static void add_header(struct spliced *spliced, const struct parts *from)
{
    add(spliced, from->message.data, from->header_end);
}

static void add_frame(struct spliced *spliced, const struct parts *from, size_t index)
{
    add(spliced, from->message.data + from->frames[index].begin,
        from->frames[index].end - from->frames[index].begin);
}

static void add_footer(struct spliced *spliced, const struct parts *from)
{
    add(spliced, from->message.data + from->body_end, from->message.length - from->body_end);
}

/* The message with its frames in this order (3: none). */
static void check_order(const struct parts *from, const size_t order[4], size_t before, enum kf_code expected)
{
    struct spliced spliced = {.length = 0};
    add_header(&spliced, from);
    for (size_t i = 0; i < 4; i++) {
        if (order[i] < 3)
            add_frame(&spliced, from, order[i]);
    }
    add_footer(&spliced, from);
    check_refused(kf_view_of(spliced.bytes, spliced.length), before, expected);
}

static void frames_keep_their_number_and_order(void **state)
{
    (void)state;
    for (size_t s = 0; s < CLIENT_SUITES; s++) {
        check_order(&parts[s], (const size_t[]){1, 2, 3, 3}, 0, KF_E_MALFORMED);     /* the first dropped */
        check_order(&parts[s], (const size_t[]){0, 2, 3, 3}, FRAME, KF_E_MALFORMED); /* the second */
        check_order(&parts[s], (const size_t[]){1, 0, 2, 3}, 0, KF_E_MALFORMED);     /* swapped */
        check_order(&parts[s], (const size_t[]){0, 0, 1, 2}, FRAME, KF_E_MALFORMED); /* repeated */
        check_order(&parts[s], (const size_t[]){0, 1, 1, 2}, 2 * FRAME, KF_E_MALFORMED); /* the other one */
        check_order(&parts[s], (const size_t[]){2, 3, 3, 3}, 0, KF_E_MALFORMED); /* only the final one */
    }
    /* Without the final frame the message has no end; what follows in a signed message is not a frame. */
    for (size_t s = 0; s < CLIENT_SUITES; s++) {
        const bool sign = kf_suite_info_of(client_suites[s])->sign;
        check_order(&parts[s], (const size_t[]){0, 1, 3, 3}, sign ? 2 * FRAME : FRAME,
                    sign ? KF_OK : KF_E_TRUNCATED);
    }
}

/* With the numbers corrected too, so that the tags refuse it. */
static void frames_can_not_be_renumbered(void **state)
{
    (void)state;
    for (size_t s = 0; s < CLIENT_SUITES; s++) {
        struct spliced spliced = {.length = 0};
        add_header(&spliced, &parts[s]);
        add_frame(&spliced, &parts[s], 1);
        spliced.bytes[spliced.length - (FRAME + 32) + 3] = 1;
        add_frame(&spliced, &parts[s], 0);
        spliced.bytes[spliced.length - (FRAME + 32) + 3] = 2;
        add_frame(&spliced, &parts[s], 2);
        add_footer(&spliced, &parts[s]);
        check_refused(kf_view_of(spliced.bytes, spliced.length), 0, KF_E_FORGED);
    }
}

/* A message cut short by calling an earlier frame the final one, and a final frame made a regular one. */
static void the_final_mark_is_authenticated(void **state)
{
    (void)state;
    static const uint8_t mark[] = {255, 255, 255, 255}, length[] = {0, 0, 0, FRAME};
    for (size_t s = 0; s < CLIENT_SUITES; s++) {
        const uint8_t *frame = parts[s].message.data + parts[s].frames[1].begin;
        struct spliced spliced = {.length = 0};
        add_header(&spliced, &parts[s]);
        add_frame(&spliced, &parts[s], 0);
        add(&spliced, mark, sizeof mark);
        add(&spliced, frame, 16); /* number and IV */
        add(&spliced, length, sizeof length);
        add(&spliced, frame + 16, FRAME + 16);
        add_footer(&spliced, &parts[s]);
        check_refused(kf_view_of(spliced.bytes, spliced.length), FRAME, KF_E_FORGED);

        /* The final frame is full, so that its bytes look like those of a regular one. */
        const struct kf_encrypt_options options = client_encrypt_options(client_suites[s], FRAME, NULL);
        struct kf_buf whole = client_message(cmm, &options, client_plaintext(FRAME));
        static struct parts of_whole;
        parts_read(buf_view(whole), &of_whole);
        frame = whole.data + of_whole.frames[0].begin;
        spliced.length = 0;
        add_header(&spliced, &of_whole);
        add(&spliced, frame + 4, 16);
        add(&spliced, frame + 24, FRAME + 16);
        add_frame(&spliced, &of_whole, 0);
        spliced.bytes[spliced.length - (FRAME + 40) + 7] = 2;
        add_footer(&spliced, &of_whole);
        check_refused(kf_view_of(spliced.bytes, spliced.length), 0, KF_E_FORGED);
        kf_buf_free(&whole);
    }
}

/* ---- Pieces of other messages ---- */

/* Two messages of one data key, as a cache makes them: same EDKs, same context, same lengths. */
static void a_cached_data_key_binds_no_pieces_together(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cache *cache;
    assert_ok(kf_cache_new(10, &error, &cache), &error);
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    options.cache = cache;
    options.cmm = cmm;
    options.max_age_ms = 60000;
    struct kf_cmm *caching;
    assert_ok(kf_caching_cmm_new(&options, &error, &caching), &error);

    for (size_t s = 0; s < CLIENT_SUITES; s++) {
        if (!kf_suite_info_of(client_suites[s])->derives)
            continue; /* never shares a data key */
        static struct parts of_two[2];
        struct kf_buf two[2];
        for (size_t i = 0; i < 2; i++) {
            two[i] = message_of(caching, client_suites[s]);
            parts_read(buf_view(two[i]), &of_two[i]);
        }
        assert_same_bytes(of_two[0].edks[0].ciphertext, of_two[1].edks[0].ciphertext);
        for (size_t piece = 0; piece < 3; piece++) { /* one frame from the other message */
            struct spliced spliced = {.length = 0};
            add_header(&spliced, &of_two[0]);
            for (size_t i = 0; i < 3; i++)
                add_frame(&spliced, &of_two[i == piece], i);
            add_footer(&spliced, &of_two[0]);
            check_refused(kf_view_of(spliced.bytes, spliced.length), piece * FRAME, KF_E_FORGED);
        }
        struct spliced spliced = {.length = 0}; /* the whole body */
        add_header(&spliced, &of_two[0]);
        add(&spliced, two[1].data + of_two[1].header_end, two[1].length - of_two[1].header_end);
        check_refused(kf_view_of(spliced.bytes, spliced.length), 0, KF_E_FORGED);

        spliced.length = 0; /* the message id */
        add(&spliced, two[0].data, two[0].length);
        memcpy(spliced.bytes + (of_two[0].message_id.data - two[0].data), of_two[1].message_id.data,
               of_two[1].message_id.length);
        check_refused(kf_view_of(spliced.bytes, spliced.length), 0, KF_E_FORGED);
        kf_buf_free(&two[0]);
        kf_buf_free(&two[1]);
    }
    kf_cmm_unref(caching);
    kf_cache_unref(cache);
}

/* A footer signs its own message only. */
static void a_signature_of_another_message_is_refused(void **state)
{
    (void)state;
    for (size_t s = 0; s < CLIENT_SUITES; s++) {
        if (!kf_suite_info_of(client_suites[s])->sign)
            continue;
        struct kf_buf other = message_of(cmm, client_suites[s]);
        static struct parts of_other;
        parts_read(buf_view(other), &of_other);
        struct spliced spliced = {.length = 0};
        add(&spliced, messages[s].data, parts[s].body_end);
        add_footer(&spliced, &of_other);
        check_refused(kf_view_of(spliced.bytes, spliced.length), 2 * FRAME, KF_E_FORGED);

        spliced.length = parts[s].body_end; /* none at all, and one of no bytes */
        check_refused(kf_view_of(spliced.bytes, spliced.length), 2 * FRAME, KF_E_TRUNCATED);
        add(&spliced, (const uint8_t[]){0, 0}, 2);
        check_refused(kf_view_of(spliced.bytes, spliced.length), 2 * FRAME, KF_E_MALFORMED);
        kf_buf_free(&other);
    }
}

/*
 * The keyring does not notice if EDKs are dropped, swapped or replaced by others of the same data key. The
 * header's tag does.
 */
static void the_list_of_edks_is_authenticated(void **state)
{
    (void)state;
    for (size_t s = 0; s < CLIENT_SUITES; s++) {
        const uint8_t *data = messages[s].data;
        const struct kf_edk *first = &parts[s].edks[0], *second = &parts[s].edks[1];
        const size_t begin = (size_t)(first->provider_id.data - 2 - data);
        const size_t middle = (size_t)(second->provider_id.data - 2 - data);
        const size_t end = (size_t)(second->ciphertext.data + second->ciphertext.length - data);
        struct spliced spliced = {.length = 0};
        add(&spliced, data, begin); /* swapped */
        add(&spliced, data + middle, end - middle);
        add(&spliced, data + begin, middle - begin);
        add(&spliced, data + end, messages[s].length - end);
        check_refused(kf_view_of(spliced.bytes, spliced.length), 0, KF_E_FORGED);

        for (size_t dropped = 0; dropped < 2; dropped++) {
            spliced.length = 0;
            add(&spliced, data, begin);
            spliced.bytes[begin - 1] = 1;
            if (dropped == 0)
                add(&spliced, data + middle, end - middle);
            else
                add(&spliced, data + begin, middle - begin);
            add(&spliced, data + end, messages[s].length - end);
            check_refused(kf_view_of(spliced.bytes, spliced.length), 0, KF_E_FORGED);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_missing_or_added_byte_is_refused),
        cmocka_unit_test(frames_keep_their_number_and_order),
        cmocka_unit_test(frames_can_not_be_renumbered),
        cmocka_unit_test(the_final_mark_is_authenticated),
        cmocka_unit_test(a_cached_data_key_binds_no_pieces_together),
        cmocka_unit_test(a_signature_of_another_message_is_refused),
        cmocka_unit_test(the_list_of_edks_is_authenticated),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
