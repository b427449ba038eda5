/*
 * Structs that begin with their size: an older caller's shorter one is read and answered, a newer one is
 * refused.
 */
#include "support/support.h"

#include <stddef.h>

#include "base/sized.h"

struct options {
    size_t size;
    uint64_t first, second;
};

static const struct options defaults = {sizeof defaults, 11, 22};
static const struct options given = {sizeof given, 1, 2};

static enum kf_code read_options(const struct options *from, struct kf_error *error, struct options *to)
{
    *to = defaults;
    return kfi_sized_read(to, sizeof *to, from, "The options of a test", error);
}

static void options_may_be_older(void **state)
{
    (void)state;
    struct options read;
    assert_int_equal(read_options(&given, NULL, &read), KF_OK);
    assert_true(read.first == 1 && read.second == 2);

    /* A caller who knows only the first member. */
    struct options older = given;
    older.size = offsetof(struct options, second);
    assert_int_equal(read_options(&older, NULL, &read), KF_OK);
    assert_true(read.size == sizeof read && read.first == 1 && read.second == 22);
    older.size = sizeof older.size;
    assert_int_equal(read_options(&older, NULL, &read), KF_OK);
    assert_true(read.first == 11 && read.second == 22);
}

static void options_may_not_be_newer(void **state)
{
    (void)state;
    static const size_t wrong[] = {
        0,       1, sizeof(size_t) - 1, sizeof(struct options) - 1, sizeof(struct options) + sizeof(size_t),
        SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct options read, bad = given;
        struct kf_error error = KF_ERROR_INIT;
        bad.size = wrong[i];
        assert_int_equal(read_options(&bad, &error, &read), KF_E_USAGE);
        assert_int_equal(error.code, KF_E_USAGE);
        assert_non_null(strstr(error.text, "The options of a test have no valid size"));
        assert_true(read.first == 11 && read.second == 22);
    }
}

static void options_may_not_be_missing(void **state)
{
    (void)state;
    struct options read;
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(read_options(NULL, &error, &read), KF_E_USAGE);
    assert_string_equal(error.text, "The options of a test are missing: NULL was given.");
    assert_true(read.first == 11 && read.second == 22);
}

static void an_answer_fits_the_size_that_was_said(void **state)
{
    (void)state;
    static const struct {
        size_t said;
        bool is_size;
        uint64_t first, second;
    } cases[] = {
        {0, false, 7, 8},
        {sizeof(struct options) - 1, false, 7, 8},
        {SIZE_MAX, false, 7, 8},
        {sizeof(size_t), true, 7, 8},
        {offsetof(struct options, second), true, 1, 8},
        {sizeof(struct options), true, 1, 2},
        {sizeof(struct options) + sizeof(size_t), true, 1, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct options out = {cases[i].said, 7, 8};
        assert_int_equal(kfi_sized_write(&out, &given, sizeof given), cases[i].is_size);
        assert_int_equal(out.size, cases[i].said);
        assert_true(out.first == cases[i].first && out.second == cases[i].second);
    }
}

static void defaults_are_as_long_as_the_caller_says(void **state)
{
    (void)state;
    struct {
        struct options options;
        size_t later, behind;
    } out;
    memset(&out, 0xaa, sizeof out);
    const size_t untouched = out.behind;
    kfi_sized_init(&out, offsetof(struct options, second), &defaults, sizeof defaults);
    assert_int_equal(out.options.size, offsetof(struct options, second));
    assert_int_equal(out.options.first, 11);
    assert_int_equal(out.options.second, untouched);

    kfi_sized_init(&out, sizeof out - sizeof out.behind, &defaults, sizeof defaults);
    assert_int_equal(out.options.size, sizeof out - sizeof out.behind);
    assert_true(out.options.first == 11 && out.options.second == 22);
    assert_true(out.later == 0 && out.behind == untouched);

    memset(&out, 0xaa, sizeof out);
    kfi_sized_init(&out, 0, &defaults, sizeof defaults);
    assert_int_equal(out.options.size, untouched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_may_be_older),
        cmocka_unit_test(options_may_not_be_newer),
        cmocka_unit_test(options_may_not_be_missing),
        cmocka_unit_test(an_answer_fits_the_size_that_was_said),
        cmocka_unit_test(defaults_are_as_long_as_the_caller_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
