/*
 * Codes, their names and classes, and the sentences in struct kf_error.
 */
#include "support/support.h"

#include "base/bytes.h"
#include "base/error.h"

static void every_code_has_its_name_and_class(void **state)
{
    (void)state;
    static const struct {
        enum kf_code code;
        const char *name;
        enum kf_class class;
    } codes[] = {
        {KF_OK, "KF_OK", KF_CLASS_OK},
        {KF_PENDING, "KF_PENDING", KF_CLASS_OK},
        {KF_WANT_INPUT, "KF_WANT_INPUT", KF_CLASS_OK},
        {KF_WANT_OUTPUT, "KF_WANT_OUTPUT", KF_CLASS_OK},
        {KF_E_USAGE, "KF_E_USAGE", KF_CLASS_USAGE},
        {KF_E_POLICY, "KF_E_POLICY", KF_CLASS_USAGE},
        {KF_E_FORKED, "KF_E_FORKED", KF_CLASS_USAGE},
        {KF_E_CLEANED_UP, "KF_E_CLEANED_UP", KF_CLASS_USAGE},
        {KF_E_MALFORMED, "KF_E_MALFORMED", KF_CLASS_MESSAGE},
        {KF_E_TRUNCATED, "KF_E_TRUNCATED", KF_CLASS_MESSAGE},
        {KF_E_FORGED, "KF_E_FORGED", KF_CLASS_MESSAGE},
        {KF_E_TRAILING, "KF_E_TRAILING", KF_CLASS_MESSAGE},
        {KF_E_KEYS, "KF_E_KEYS", KF_CLASS_KEYS},
        {KF_E_REMOTE, "KF_E_REMOTE", KF_CLASS_REMOTE},
        {KF_E_LIMIT, "KF_E_LIMIT", KF_CLASS_LIMIT},
        {KF_E_SYSTEM, "KF_E_SYSTEM", KF_CLASS_SYSTEM},
        {KF_E_NO_MEMORY, "KF_E_NO_MEMORY", KF_CLASS_SYSTEM},
        {KF_E_BUG, "KF_E_BUG", KF_CLASS_BUG},
        {KF_E_RETRY, "KF_E_RETRY", KF_CLASS_RETRY},
        {KF_E_TIMEOUT, "KF_E_TIMEOUT", KF_CLASS_RETRY},
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_string_equal(kf_code_name(codes[i].code), codes[i].name);
        assert_int_equal(kf_code_class(codes[i].code), codes[i].class);
    }
}

static void a_number_that_is_no_code_is_a_bug(void **state)
{
    (void)state;
    static const int numbers[] = {-1, -99, -100, -999, -2147483647};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_string_equal(kf_code_name((enum kf_code)numbers[i]), "KF_E_BUG");
        assert_int_equal(kf_code_class((enum kf_code)numbers[i]), KF_CLASS_BUG);
    }
    assert_string_equal(kf_code_name((enum kf_code)4), "KF_E_BUG");
}

static void a_sentence_is_kept_with_its_code(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_error_set(&error, KF_E_LIMIT, "%d of %s", 7, "these"), KF_E_LIMIT);
    assert_int_equal(error.code, KF_E_LIMIT);
    assert_string_equal(error.text, "7 of these");
    assert_int_equal(kf_error_set(NULL, KF_E_KEYS, "%s", "nobody reads this"), KF_E_KEYS);

    /* The arguments may be the text that is replaced. */
    assert_int_equal(kf_error_set(&error, KF_E_KEYS, "First that: %s. Then: %s", error.text, "this"),
                     KF_E_KEYS);
    assert_string_equal(error.text, "First that: 7 of these. Then: this");

    kfi_error_clear(&error);
    assert_int_equal(error.code, KF_OK);
    assert_string_equal(error.text, "");
    kfi_error_clear(NULL);

    assert_int_equal(kfi_no_memory(&error), KF_E_NO_MEMORY);
    assert_int_equal(error.code, KF_E_NO_MEMORY);
    assert_true(strlen(error.text) > 0);
    assert_int_equal(kfi_no_memory(NULL), KF_E_NO_MEMORY);
}

static void a_long_sentence_is_cut_between_characters_and_says_so(void **state)
{
    (void)state;
    char text[2000];
    const size_t room = sizeof((struct kf_error *)NULL)->text;
    struct {
        struct kf_error error;
        char behind;
    } held = {KF_ERROR_INIT, 'x'};

    memset(text, 'a', sizeof text);
    assert_int_equal(kf_error_set(&held.error, KF_E_LIMIT, "%.*s", (int)sizeof text, text), KF_E_LIMIT);
    assert_int_equal(strlen(held.error.text), room - 1);
    assert_string_equal(held.error.text + room - 5, "a…");
    assert_int_equal(held.behind, 'x');

    /* A text that just fits is not cut, whatever its last character is. */
    text[room - 3] = '\xc3';
    text[room - 2] = '\xa4';
    kf_error_set(&held.error, KF_E_LIMIT, "%.*s", (int)room - 1, text);
    assert_memory_equal(held.error.text, text, room - 1);

    /* Characters of two, three and four bytes around the cut, at every offset. */
    static const char *const characters[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x94\x91"};
    for (size_t c = 0; c < 3; c++) {
        size_t size = strlen(characters[c]);
        for (size_t offset = 0; offset < size; offset++) {
            memset(text, 'a', offset);
            for (size_t i = offset; i + size <= sizeof text; i += size)
                memcpy(text + i, characters[c], size);
            kf_error_set(&held.error, KF_E_LIMIT, "%.*s", 1000, text);
            size_t length = strlen(held.error.text);
            assert_true(length > room - 1 - size && length < room);
            assert_true(kfi_view_is_utf8(kf_view_of(held.error.text, length)));
            assert_string_equal(held.error.text + length - strlen("…"), "…");
            assert_memory_equal(held.error.text, text, length - strlen("…"));
        }
    }

    /* Text that is not UTF-8 is cut as well. */
    memset(text, '\x80', sizeof text);
    kf_error_set(&held.error, KF_E_LIMIT, "%.*s", 1000, text);
    assert_string_equal(held.error.text, "…");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_name_and_class),
        cmocka_unit_test(a_number_that_is_no_code_is_a_bug),
        cmocka_unit_test(a_sentence_is_kept_with_its_code),
        cmocka_unit_test(a_long_sentence_is_cut_between_characters_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
