/*
 * Fronts of frames, their IVs and additional data, to the byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "message/frame.h"

#define FRAME_LENGTH 4096

/* Frame 2, whose IV is not its number. */
static const uint8_t regular[] = {
    0x00, 0x00, 0x00, 0x02,                                                 /* sequence number */
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01, /* IV */
};

static const uint8_t final[] = {
    0xff, 0xff, 0xff, 0xff,                                                 /* the mark of the final frame */
    0x01, 0x02, 0x03, 0x04,                                                 /* sequence number */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, /* IV */
    0x00, 0x00, 0x10, 0x00,                                                 /* content length */
};

static const uint8_t single_block[] = {
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, /* IV */
    0x00, 0x00, 0x00, 0x0f, 0xff, 0xff, 0xff, 0xe0,                         /* content length: 2^36 - 32 */
};

static void fronts_are_read(void **state)
{
    (void)state;
    struct kfi_frame_front front;
    assert_int_equal(kfi_frame_read_front(kf_view_of(regular, sizeof regular), FRAME_LENGTH, 2, NULL, &front),
                     KF_OK);
    assert_int_equal(front.kind, KFI_REGULAR_FRAME);
    assert_int_equal(front.sequence, 2);
    assert_true(front.length == FRAME_LENGTH);
    assert_memory_equal(front.iv, regular + 4, KFI_IV_LENGTH);
    assert_int_equal(kfi_frame_front_length(front.kind), sizeof regular);

    assert_int_equal(
        kfi_frame_read_front(kf_view_of(final, sizeof final), FRAME_LENGTH, 0x01020304, NULL, &front), KF_OK);
    assert_int_equal(front.kind, KFI_FINAL_FRAME);
    assert_int_equal(front.sequence, 0x01020304);
    assert_true(front.length == FRAME_LENGTH);
    assert_memory_equal(front.iv, final + 8, KFI_IV_LENGTH);
    assert_int_equal(kfi_frame_front_length(front.kind), sizeof final);

    assert_int_equal(kfi_frame_read_front(kf_view_of(single_block, sizeof single_block), 0, 1, NULL, &front),
                     KF_OK);
    assert_int_equal(front.kind, KFI_SINGLE_BLOCK);
    assert_int_equal(front.sequence, 1);
    assert_true(front.length == (UINT64_C(1) << 36) - 32);
    assert_memory_equal(front.iv, single_block, KFI_IV_LENGTH);
    assert_int_equal(kfi_frame_front_length(front.kind), sizeof single_block);
}

static void a_front_that_is_cut_wants_input(void **state)
{
    (void)state;
    struct kfi_frame_front front;
    for (size_t length = 0; length < sizeof regular; length++)
        assert_int_equal(kfi_frame_read_front(kf_view_of(regular, length), FRAME_LENGTH, 2, NULL, &front),
                         KF_WANT_INPUT);
    for (size_t length = 0; length < sizeof final; length++)
        assert_int_equal(
            kfi_frame_read_front(kf_view_of(final, length), FRAME_LENGTH, 0x01020304, NULL, &front),
            KF_WANT_INPUT);
    for (size_t length = 0; length < sizeof single_block; length++)
        assert_int_equal(kfi_frame_read_front(kf_view_of(single_block, length), 0, 1, NULL, &front),
                         KF_WANT_INPUT);
}

static void what_follows_a_front_does_not_matter(void **state)
{
    (void)state;
    uint8_t bytes[sizeof final + 100];
    memset(bytes, 0xff, sizeof bytes);
    struct kfi_frame_front front;
    memcpy(bytes, regular, sizeof regular);
    assert_int_equal(kfi_frame_read_front(kf_view_of(bytes, sizeof bytes), 1, 2, NULL, &front), KF_OK);
    assert_true(front.length == 1);
    memcpy(bytes, final, sizeof final);
    assert_int_equal(
        kfi_frame_read_front(kf_view_of(bytes, sizeof bytes), UINT32_MAX, 0x01020304, NULL, &front), KF_OK);
    assert_true(front.length == 4096);
}

/* A frame with this number where `expected` is expected. */
static enum kf_code read_number(bool is_final, uint32_t sequence, uint32_t expected, struct kf_error *error)
{
    uint8_t bytes[24];
    struct kfi_writer writer = {bytes, sizeof bytes, false};
    kfi_frame_write_front(&writer, is_final ? KFI_FINAL_FRAME : KFI_REGULAR_FRAME, sequence, 0);
    struct kfi_frame_front front;
    enum kf_code code = kfi_frame_read_front(kf_view_of(bytes, sizeof bytes - writer.room), FRAME_LENGTH,
                                             expected, error, &front);
    if (code == KF_OK) {
        assert_int_equal(front.kind, is_final ? KFI_FINAL_FRAME : KFI_REGULAR_FRAME);
        assert_int_equal(front.sequence, sequence);
    }
    return code;
}

static void frames_come_in_order(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0, 1, 2, 3, 256, 0x7fffffff, 0x80000000, 0xfffffffe};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        for (uint32_t expected = 1; expected <= 3; expected++) {
            enum kf_code code = numbers[i] == expected ? KF_OK : KF_E_MALFORMED;
            assert_int_equal(read_number(false, numbers[i], expected, NULL), code);
            assert_int_equal(read_number(true, numbers[i], expected, NULL), code);
        }
    }
    struct kf_error error;
    assert_int_equal(read_number(false, 4294967294, 7, &error), KF_E_MALFORMED);
    assert_int_equal(error.code, KF_E_MALFORMED);
    assert_non_null(strstr(error.text, "Frame 7 "));
    assert_non_null(strstr(error.text, "frame 4294967294 "));
}

static void the_last_number_belongs_to_a_final_frame(void **state)
{
    (void)state;
    assert_int_equal(read_number(false, KFI_SEQUENCE_END - 1, KFI_SEQUENCE_END - 1, NULL), KF_OK);
    assert_int_equal(read_number(true, KFI_SEQUENCE_END, KFI_SEQUENCE_END, NULL), KF_OK);
    /* A regular frame with this number would look like the mark of a final one. */
    static const uint8_t mark[] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff,
                                   0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
    struct kfi_frame_front front;
    assert_int_equal(kfi_frame_read_front(kf_view_of(mark, 16), FRAME_LENGTH, KFI_SEQUENCE_END, NULL, &front),
                     KF_WANT_INPUT);
    assert_int_equal(kfi_frame_read_front(kf_view_of(mark, 24), FRAME_LENGTH, KFI_SEQUENCE_END, NULL, &front),
                     KF_E_MALFORMED);
}

static void a_final_frame_is_no_longer_than_the_others(void **state)
{
    (void)state;
    static const struct {
        uint32_t length, frame_length;
        enum kf_code code;
    } cases[] = {
        {0, 1, KF_OK},
        {1, 1, KF_OK},
        {2, 1, KF_E_MALFORMED},
        {4095, 4096, KF_OK},
        {4096, 4096, KF_OK},
        {4097, 4096, KF_E_MALFORMED},
        {UINT32_MAX, UINT32_MAX - 1, KF_E_MALFORMED},
        {UINT32_MAX, UINT32_MAX, KF_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[24];
        struct kfi_writer writer = {bytes, sizeof bytes, false};
        kfi_frame_write_front(&writer, KFI_FINAL_FRAME, 1, cases[i].length);
        struct kfi_frame_front front;
        struct kf_error error = KF_ERROR_INIT;
        assert_int_equal(
            kfi_frame_read_front(kf_view_of(bytes, sizeof bytes), cases[i].frame_length, 1, &error, &front),
            cases[i].code);
        if (cases[i].code == KF_OK)
            assert_true(front.length == cases[i].length);
        else
            assert_non_null(strstr(error.text, "final frame"));
    }
}

static void a_single_block_has_at_most_what_gcm_takes(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        enum kf_code code;
    } cases[] = {
        {0, KF_OK},
        {UINT64_C(0xffffffff), KF_OK},
        {UINT64_C(0xfffffffdf), KF_OK},
        {UINT64_C(0xfffffffe0), KF_OK},
        {UINT64_C(0xfffffffe1), KF_E_MALFORMED},
        {UINT64_C(0x1000000000), KF_E_MALFORMED},
        {UINT64_MAX, KF_E_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[20] = {0};
        struct kfi_writer writer = {bytes + 12, 8, false};
        kfi_write_u64(&writer, cases[i].length);
        struct kfi_frame_front front;
        struct kf_error error = KF_ERROR_INIT;
        assert_int_equal(kfi_frame_read_front(kf_view_of(bytes, sizeof bytes), 0, 1, &error, &front),
                         cases[i].code);
        assert_true(front.length == cases[i].length);
        assert_int_equal(strstr(error.text, "at most 68719476704") != NULL, cases[i].code != KF_OK);
    }
}

static void writers_use_the_number_as_iv(void **state)
{
    (void)state;
    static const uint8_t expected_iv[KFI_IV_LENGTH] = {0, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xdc, 0xba, 0x98};
    uint8_t iv[KFI_IV_LENGTH];
    memset(iv, 0xff, sizeof iv);
    kfi_frame_iv(0xfedcba98, iv);
    assert_memory_equal(iv, expected_iv, sizeof iv);

    uint8_t bytes[24];
    struct kfi_writer writer = {bytes, sizeof bytes, false};
    kfi_frame_write_front(&writer, KFI_REGULAR_FRAME, 0xfedcba98, FRAME_LENGTH);
    assert_int_equal(writer.room, 8);
    static const uint8_t expected_regular[] = {0xfe, 0xdc, 0xba, 0x98, /* sequence number */
                                               0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                               0x00, 0x00, 0xfe, 0xdc, 0xba, 0x98}; /* IV */
    assert_memory_equal(bytes, expected_regular, sizeof expected_regular);

    writer = (struct kfi_writer){bytes, sizeof bytes, false};
    kfi_frame_write_front(&writer, KFI_FINAL_FRAME, 0x01020304, FRAME_LENGTH);
    assert_int_equal(writer.room, 0);
    assert_false(writer.overflow);
    assert_memory_equal(bytes, final, sizeof final);
}

static void additional_data_are_exact(void **state)
{
    (void)state;
    uint8_t message_id[32];
    for (size_t i = 0; i < sizeof message_id; i++)
        message_id[i] = (uint8_t)(0xc0 + i);
    static const struct {
        enum kfi_body_kind kind;
        const char *content;
    } kinds[] = {
        {KFI_REGULAR_FRAME, "AWSKMSEncryptionClient Frame"},
        {KFI_FINAL_FRAME, "AWSKMSEncryptionClient Final Frame"},
        {KFI_SINGLE_BLOCK, "AWSKMSEncryptionClient Single Block"},
    };
    static const uint8_t tail[] = {
        0xfe, 0xdc, 0xba, 0x98,                         /* sequence number */
        0x00, 0x00, 0x00, 0x0f, 0xff, 0xff, 0xff, 0xe0, /* length */
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (size_t id_length = 16; id_length <= 32; id_length += 16) {
            struct kfi_body_aad aad;
            kfi_body_aad(kf_view_of(message_id, id_length), kinds[i].kind, 0xfedcba98, UINT64_C(0xfffffffe0),
                         &aad);
            size_t content_length = strlen(kinds[i].content);
            assert_int_equal(aad.length, id_length + content_length + sizeof tail);
            assert_memory_equal(aad.bytes, message_id, id_length);
            assert_memory_equal(aad.bytes + id_length, kinds[i].content, content_length);
            assert_memory_equal(aad.bytes + id_length + content_length, tail, sizeof tail);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fronts_are_read),
        cmocka_unit_test(a_front_that_is_cut_wants_input),
        cmocka_unit_test(what_follows_a_front_does_not_matter),
        cmocka_unit_test(frames_come_in_order),
        cmocka_unit_test(the_last_number_belongs_to_a_final_frame),
        cmocka_unit_test(a_final_frame_is_no_longer_than_the_others),
        cmocka_unit_test(a_single_block_has_at_most_what_gcm_takes),
        cmocka_unit_test(writers_use_the_number_as_iv),
        cmocka_unit_test(additional_data_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
