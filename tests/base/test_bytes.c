/*
 * Buffers, cursors, the order of bytes and UTF-8.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"

static void views_are_ordered_by_unsigned_bytes(void **state)
{
    (void)state;
    /* Each comes before the next one. */
    static const char *const order[] = {"",     "A",    "AA",       "AB",   "B",       "a",
                                        "\x7f", "\x80", "\xc3\xa4", "\xff", "\xff\xff"};
    const size_t count = sizeof order / sizeof order[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            struct kf_view a = kf_view_text(order[i]);
            struct kf_view b = kf_view_text(order[k]);
            int answer = kfi_view_compare(a, b);
            assert_int_equal((answer > 0) - (answer < 0), (i > k) - (i < k));
            assert_int_equal(kfi_view_equal(a, b), i == k);
        }
    }
    assert_int_equal(kfi_view_compare(kf_view_of(NULL, 0), kf_view_of(NULL, 0)), 0);
    assert_true(kfi_view_equal(kf_view_of(NULL, 0), kf_view_text("")));
}

static void utf8_is_what_rfc_3629_says(void **state)
{
    (void)state;
    static const char *const right[] = {
        "",
        "plain",
        "\x7f",
        "\xc2\x80",         /* U+0080 */
        "\xdf\xbf",         /* U+07FF */
        "\xe0\xa0\x80",     /* U+0800 */
        "\xe1\x80\x80",     /* U+1000 */
        "\xed\x9f\xbf",     /* U+D7FF, the last before the surrogates */
        "\xee\x80\x80",     /* U+E000, the first behind them */
        "\xef\xbf\xbf",     /* U+FFFF */
        "\xf0\x90\x80\x80", /* U+10000 */
        "\xf1\x80\x80\x80", /* U+40000 */
        "\xf4\x8f\xbf\xbf", /* U+10FFFF, the last */
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_true(kfi_view_is_utf8(kf_view_text(right[i])));
    assert_true(kfi_view_is_utf8(kf_view_of("a\0b", 3)));

    static const char *const wrong[] = {
        "\x80",             /* a continuation without a beginning */
        "\xbf",             /* the same */
        "\xc0\x80",         /* U+0000, overlong */
        "\xc1\xbf",         /* U+007F, overlong */
        "\xc2",             /* cut */
        "\xc2\x7f",         /* the second byte is not a continuation */
        "\xc2\xc0",         /* the same */
        "\xe0\x9f\xbf",     /* U+07FF, overlong */
        "\xe0\xa0",         /* cut */
        "\xe1\x80\x7f",     /* the third byte */
        "\xe1\x80\xc0",     /* the same */
        "\xed\xa0\x80",     /* U+D800, a surrogate */
        "\xed\xbf\xbf",     /* U+DFFF, a surrogate */
        "\xf0\x8f\xbf\xbf", /* U+FFFF, overlong */
        "\xf0\x90\x80",     /* cut */
        "\xf1\x80\x80\xc0", /* the fourth byte */
        "\xf4\x90\x80\x80", /* U+110000 */
        "\xf5\x80\x80\x80", /* beyond */
        "\xf8\x88\x80\x80\x80",
        "\xfe",
        "\xff",
        "fine until \xff",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(kfi_view_is_utf8(kf_view_text(wrong[i])));
}

static void a_buffer_grows_up_to_its_ceiling(void **state)
{
    (void)state;
    struct kf_buf buf = KF_BUF_INIT;
    assert_int_equal(kfi_buf_reserve(&buf, 0, 0), KF_OK);
    for (uint8_t i = 0; i < 100; i++) {
        assert_int_equal(kfi_buf_reserve(&buf, 1, 100), KF_OK);
        assert_true(buf.capacity > buf.length && buf.capacity <= 100);
        buf.data[buf.length++] = i;
    }
    assert_int_equal(kfi_buf_reserve(&buf, 0, 100), KF_OK);
    assert_int_equal(kfi_buf_reserve(&buf, 1, 100), KF_E_LIMIT);
    assert_int_equal(kfi_buf_reserve(&buf, SIZE_MAX, SIZE_MAX), KF_E_LIMIT);
    assert_int_equal(kfi_buf_reserve(&buf, 0, 99), KF_E_LIMIT);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(buf.data[i], i);

    uint8_t *kept = buf.data;
    kfi_buf_wipe(&buf);
    assert_int_equal(buf.length, 0);
    assert_ptr_equal(buf.data, kept);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(kept[i], 0);
    kf_buf_free(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.capacity, 0);
    kf_buf_free(&buf);
    kf_buf_free(NULL);
}

static void numbers_are_big_endian(void **state)
{
    (void)state;
    uint8_t bytes[1 + 2 + 4 + 8 + 2 + 3] = {0};
    struct kfi_writer writer = {bytes, sizeof bytes, false};
    kfi_write_u8(&writer, 0xf1);
    kfi_write_u16(&writer, 0xf203);
    kfi_write_u32(&writer, 0xf4050607);
    kfi_write_u64(&writer, UINT64_C(0xf8090a0b0c0d0e0f));
    kfi_write_field(&writer, kf_view_text("abc"));
    assert_false(writer.overflow);
    assert_int_equal(writer.room, 0);
    static const uint8_t expected[] = {0xf1,                                           /* u8 */
                                       0xf2, 0x03,                                     /* u16 */
                                       0xf4, 0x05, 0x06, 0x07,                         /* u32 */
                                       0xf8, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, /* u64 */
                                       0x00, 0x03, 'a',  'b',  'c'};
    assert_memory_equal(bytes, expected, sizeof expected);

    struct kfi_reader reader = {kf_view_of(bytes, sizeof bytes), false};
    assert_int_equal(kfi_read_u8(&reader), 0xf1);
    assert_int_equal(kfi_read_u16(&reader), 0xf203);
    assert_int_equal(kfi_read_u32(&reader), 0xf4050607);
    assert_true(kfi_read_u64(&reader) == UINT64_C(0xf8090a0b0c0d0e0f));
    struct kf_view field = kfi_read_field(&reader);
    assert_true(kfi_view_equal(field, kf_view_text("abc")));
    assert_int_equal(reader.rest.length, 0);
    assert_int_equal(kfi_read_bytes(&reader, 0).length, 0);
    assert_false(reader.short_read);
}

static void reading_past_the_end_answers_nothing_from_then_on(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x00, 0x05, 'a', 'b'};
    struct kfi_reader reader = {kf_view_of(bytes, sizeof bytes), false};
    assert_int_equal(kfi_read_field(&reader).length, 0);
    assert_true(reader.short_read);
    assert_int_equal(kfi_read_u8(&reader), 0);
    assert_int_equal(kfi_read_bytes(&reader, 1).length, 0);

    static const size_t sizes[] = {1, 2, 4, 8};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t ones[8];
        memset(ones, 0xff, sizeof ones);
        struct kfi_reader cut = {kf_view_of(ones, sizes[i] - 1), false};
        uint64_t value = i == 0   ? kfi_read_u8(&cut)
                         : i == 1 ? kfi_read_u16(&cut)
                         : i == 2 ? kfi_read_u32(&cut)
                                  : kfi_read_u64(&cut);
        assert_true(cut.short_read);
        assert_true(value == 0);
    }
    struct kfi_reader huge = {kf_view_of(bytes, sizeof bytes), false};
    assert_int_equal(kfi_read_bytes(&huge, SIZE_MAX).length, 0);
    assert_true(huge.short_read);
}

static void writing_past_the_end_is_dropped(void **state)
{
    (void)state;
    uint8_t bytes[4] = {1, 1, 1, 1};
    struct kfi_writer writer = {bytes, 3, false};
    kfi_write_u16(&writer, 0x0203);
    kfi_write_u16(&writer, 0x0405);
    assert_true(writer.overflow);
    kfi_write_u8(&writer, 0x06);
    assert_true(writer.overflow);
    static const uint8_t expected[] = {2, 3, 1, 1};
    assert_memory_equal(bytes, expected, sizeof expected);
}

static void a_field_has_at_most_65535_bytes(void **state)
{
    (void)state;
    static uint8_t from[65536];
    static uint8_t to[2 + 65536];
    from[65534] = 7;
    struct kfi_writer writer = {to, sizeof to, false};
    kfi_write_field(&writer, kf_view_of(from, 65535));
    assert_false(writer.overflow);
    assert_int_equal(writer.room, 1);
    struct kfi_reader reader = {kf_view_of(to, 2 + 65535), false};
    struct kf_view field = kfi_read_field(&reader);
    assert_int_equal(field.length, 65535);
    assert_int_equal(field.data[65534], 7);

    struct kfi_writer over = {to, sizeof to, false};
    kfi_write_field(&over, kf_view_of(from, 65536));
    assert_true(over.overflow);
    assert_int_equal(over.room, sizeof to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_ordered_by_unsigned_bytes),
        cmocka_unit_test(utf8_is_what_rfc_3629_says),
        cmocka_unit_test(a_buffer_grows_up_to_its_ceiling),
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(reading_past_the_end_answers_nothing_from_then_on),
        cmocka_unit_test(writing_past_the_end_is_dropped),
        cmocka_unit_test(a_field_has_at_most_65535_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
