/*
 * Text for sentences: names that others chose, and lists, in places that may be too small.
 */
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"

/* ---- Names ---- */

static void what_is_shown_is_fit_for_a_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"", ""},
        {"plain \xc3\xa4 \xf0\x9f\x94\x91", "plain \xc3\xa4 \xf0\x9f\x94\x91"},
        {"a\n\x1b[31m\x7f", "a??[31m?"},
        {"\xc2\x9bm\xc2\xa0", "?m\xc2\xa0"}, /* U+009B begins a sequence too, U+00A0 is a space */
        {"\xff\xc3", "??"},
        {"\xe2\x82", "??"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(kfi_shown_text(cases[i].text, 100).text, cases[i].shown);
    assert_string_equal(kfi_shown(kf_view_of("a\0b", 3), 100).text, "a?b");
    assert_string_equal(kfi_shown(kf_view_of(NULL, 0), 100).text, "");
}

static void what_is_cut_ends_in_a_sign(void **state)
{
    (void)state;
    assert_string_equal(kfi_shown_text("abcdef", 6).text, "abcdef");
    assert_string_equal(kfi_shown_text("abcdef", 5).text, "abcde…");
    assert_string_equal(kfi_shown_text("abcdef", 0).text, "…");
    assert_string_equal(kfi_shown_text("ab\xe2\x82\xac", 5).text, "ab\xe2\x82\xac");
    assert_string_equal(kfi_shown_text("ab\xe2\x82\xac", 4).text, "ab…");
    assert_string_equal(kfi_shown_text("ab\xe2\x82\xac", 2).text, "ab…");

    char text[1001], expected[100];
    memset(text, 'a', 1000);
    text[1000] = '\0';
    assert_int_equal(strlen(kfi_shown_text(text, 1000).text), KFI_SHOWN_MAX + strlen("…"));
    snprintf(expected, sizeof expected, "\"%.60s\"", text);
    assert_string_equal(kfi_quoted(kf_view_of(text, 60)).text, expected);
    snprintf(expected, sizeof expected, "\"%.60s…\"", text);
    assert_string_equal(kfi_quoted(kf_view_of(text, 61)).text, expected);
    assert_string_equal(kfi_quoted(kf_view_of(NULL, 0)).text, "\"\"");
}

/* ---- Lists ---- */

static void a_list_that_fits_is_whole(void **state)
{
    (void)state;
    struct kfi_listing listing;
    kfi_listing_begin(&listing, 11);
    assert_true(kfi_listing_is_empty(&listing));
    kfi_listing_add(&listing, ", ", "%s", "one");
    assert_false(kfi_listing_is_empty(&listing));
    kfi_listing_add(&listing, ", ", "%d", 22);
    kfi_listing_add(&listing, ", ", "%s", "33");
    assert_string_equal(kfi_listing_end(&listing), "one, 22, 33");

    struct kfi_listing empty;
    kfi_listing_begin(&empty, 11);
    assert_string_equal(kfi_listing_end(&empty), "");
}

/* Items of any length in any room: the beginning is there, and the rest is counted. */
static void a_list_that_does_not_fit_says_how_much_is_missing(void **state)
{
    (void)state;
    char item[KFI_LISTING_MAX * 3], whole[5 * sizeof item + 16];
    memset(item, 'a', sizeof item);
    for (size_t room = 60; room <= KFI_LISTING_MAX; room += 13) {
        for (size_t length = 1; length < sizeof item; length += length < 150 ? 7 : 331) {
            struct kfi_listing listing;
            kfi_listing_begin(&listing, room);
            size_t used = 0;
            for (size_t i = 0; i < 5; i++) {
                item[0] = (char)('1' + i);
                kfi_listing_add(&listing, "; ", "%.*s", (int)length, item);
                used += (size_t)snprintf(whole + used, sizeof whole - used, "%s%.*s", i > 0 ? "; " : "",
                                         (int)length, item);
            }
            const char *text = kfi_listing_end(&listing);
            assert_true(strlen(text) <= room);
            if (strcmp(text, whole) == 0)
                continue;
            assert_true(used > room - 24); /* what is kept for the end */
            const char *end = strstr(text, " (and "), *cut = strstr(text, "…");
            const size_t kept = (size_t)((cut != NULL ? cut : end) - text);
            assert_memory_equal(text, whole, kept);
            assert_true(cut != NULL || end != NULL);
            char last = '0'; /* the last item that is there, or a part of it */
            for (size_t i = 0; i < kept; i++)
                last = text[i] >= '1' && text[i] <= '5' ? text[i] : last;
            char expected[32] = "";
            if (last < '5')
                snprintf(expected, sizeof expected, " (and %d more)", '5' - last);
            assert_string_equal(end != NULL ? end : "", expected);
        }
    }
}

static void a_list_is_cut_between_characters(void **state)
{
    (void)state;
    for (size_t room = 60; room < 70; room++) {
        struct kfi_listing listing;
        kfi_listing_begin(&listing, room);
        kfi_listing_add(&listing, " ", "%s", "\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91");
        for (size_t i = 0; i < 3; i++)
            kfi_listing_add(&listing, " ", "%s%s", "\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91",
                            "\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91");
        const char *text = kfi_listing_end(&listing);
        assert_true(kfi_view_is_utf8(kf_view_text(text)));
        assert_non_null(strstr(text, "more)"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_shown_is_fit_for_a_terminal),
        cmocka_unit_test(what_is_cut_ends_in_a_sign),
        cmocka_unit_test(a_list_that_fits_is_whole),
        cmocka_unit_test(a_list_that_does_not_fit_says_how_much_is_missing),
        cmocka_unit_test(a_list_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
