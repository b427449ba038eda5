/*
 * Text from outside: what it may consist of, numbers, and what a sentence shows of it.
 */
#include "support/support.h"

#include <stdlib.h>

#include "aws/service/text.h"

static void empty_variables_count_as_not_set(void **state)
{
    (void)state;
    assert_int_equal(setenv("KEYFLIGHT_TEST", "value", 1), 0);
    assert_string_equal(kfi_aws_environment("KEYFLIGHT_TEST"), "value");
    assert_int_equal(setenv("KEYFLIGHT_TEST", "", 1), 0);
    assert_null(kfi_aws_environment("KEYFLIGHT_TEST"));
    assert_int_equal(unsetenv("KEYFLIGHT_TEST"), 0);
    assert_null(kfi_aws_environment("KEYFLIGHT_TEST"));
}

static void each_byte_is_visible_printable_or_neither(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        const uint8_t bytes[] = {'a', (uint8_t)c, 'b'};
        const struct kf_view text = kf_view_of(bytes, sizeof bytes);
        assert_int_equal(kfi_text_is_printable(text), c >= 0x20 && c <= 0x7e);
        assert_int_equal(kfi_text_is_visible(text), c >= 0x21 && c <= 0x7e);
    }
    assert_true(kfi_text_is_printable(kf_view_of(NULL, 0)));
    assert_true(kfi_text_is_visible(kf_view_of(NULL, 0)));
}

static void names_consist_of_letters_digits_and_a_few_others(void **state)
{
    (void)state;
    assert_true(kfi_text_consists_of(kf_view_text("azAZ09-_"), "-_"));
    assert_true(kfi_text_consists_of(kf_view_text(""), ""));
    assert_false(kfi_text_consists_of(kf_view_text("a-b"), "_"));
    assert_false(kfi_text_consists_of(kf_view_of("a\0b", 3), "_"));
    assert_false(kfi_text_consists_of(kf_view_text("\xc3\xa9"), "_"));
    static const char others[] = "/:@[`{"; /* the neighbours of digits and letters in ASCII */
    for (size_t i = 0; i < sizeof others - 1; i++)
        assert_false(kfi_text_consists_of(kf_view_of(&others[i], 1), ""));
}

static void numbers_are_whole_and_bounded(void **state)
{
    (void)state;
    assert_int_equal(kfi_text_number("1", 100), 1);
    assert_int_equal(kfi_text_number("100", 100), 100);
    assert_int_equal(kfi_text_number("101", 100), 0);
    assert_int_equal(kfi_text_number("9999", 9999), 9999);
    static const char *const wrong[] = {"",    "0",   "-1",    "+1",    " 1",        "1 ",
                                        "1.5", "0x3", "three", "00001", "4294967297"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(kfi_text_number(wrong[i], 9999), 0);
}

static void a_sentence_shows_one_line_of_ascii(void **state)
{
    (void)state;
    char shown[9];
    kfi_text_show(shown, sizeof shown, kf_view_of("a\r\n\0\x7f\xe9~ ", 8));
    assert_string_equal(shown, "a   ??~ ");
    kfi_text_show(shown, sizeof shown, kf_view_of("a\r\n\0\x7f\xe9~ cut", 12));
    assert_string_equal(shown, "a   ?…");
    kfi_text_show(shown, sizeof shown, kf_view_of(NULL, 0));
    assert_string_equal(shown, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_variables_count_as_not_set),
        cmocka_unit_test(each_byte_is_visible_printable_or_neither),
        cmocka_unit_test(names_consist_of_letters_digits_and_a_few_others),
        cmocka_unit_test(numbers_are_whole_and_bounded),
        cmocka_unit_test(a_sentence_shows_one_line_of_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
