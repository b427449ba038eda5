/*
 * Encryption contexts: their order, their bytes, their bounds, and how they are split and joined.
 */
#include <stdio.h>
#include <stdlib.h>

#include "message/encryption_context.h"
#include "support/failing_allocator.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct kf_pair pair_of(const char *key, const char *value)
{
    return (struct kf_pair){kf_view_text(key), kf_view_text(value)};
}

/* The context of these keys and values, which are valid. */
#define CONTEXT(...) context_made(kf_encryption_context_of(&made_error, &made, __VA_ARGS__, (char *)NULL))
static const struct kf_encryption_context *made;
static struct kf_error made_error;
static const struct kf_encryption_context *context_made(enum kf_code code)
{
    if (code != KF_OK)
        fail_msg("%s", made_error.text);
    return made;
}

static void assert_pair(const struct kf_encryption_context *context, size_t index, const char *key,
                        const char *value)
{
    struct kf_pair pair = kf_encryption_context_at(context, index);
    assert_true(kfi_view_equal(pair.key, kf_view_text(key)));
    assert_true(kfi_view_equal(pair.value, kf_view_text(value)));
}

static void assert_serialized(const struct kf_encryption_context *context, const void *bytes, size_t length)
{
    struct kf_view serialized = kf_encryption_context_serialized(context);
    assert_int_equal(serialized.length, length);
    assert_memory_equal(serialized.data, bytes, length);
}

static enum kf_code parse(struct kf_view aad, struct kf_error *error,
                          const struct kf_encryption_context **out)
{
    return kf_encryption_context_parse(aad, error, out);
}

/* ---- What a context is ---- */

static void pairs_are_serialized_in_the_order_of_bytes(void **state)
{
    (void)state;
    const struct kf_encryption_context *context =
        CONTEXT("\xf0\x9f\x94\x91", "4", "a", "2", "\xc3\xa4", "3", "ab", "", "Z", "1", "", "0",
                "\xef\xbf\xbd", "fffd");
    static const uint8_t expected[] = {
        0x00, 0x07,                                                    /* 7 pairs */
        0x00, 0x00, 0x00, 0x01, '0',                                   /* "" comes first */
        0x00, 0x01, 'Z',  0x00, 0x01, '1',                             /* capitals before small letters */
        0x00, 0x01, 'a',  0x00, 0x01, '2',                             /* a prefix before what it begins */
        0x00, 0x02, 'a',  'b',  0x00, 0x00,                            /* an empty value */
        0x00, 0x02, 0xc3, 0xa4, 0x00, 0x01, '3',                       /* U+00E4, behind all of ASCII */
        0x00, 0x03, 0xef, 0xbf, 0xbd, 0x00, 0x04, 'f',  'f', 'f', 'd', /* U+FFFD */
        0x00, 0x04, 0xf0, 0x9f, 0x94, 0x91, 0x00, 0x01, '4', /* U+1F511; UTF-16 would put it before U+FFFD */
    };
    assert_serialized(context, expected, sizeof expected);
    assert_int_equal(kf_encryption_context_count(context), 7);
    assert_pair(context, 0, "", "0");
    assert_pair(context, 3, "ab", "");
    assert_pair(context, 6, "\xf0\x9f\x94\x91", "4");
    struct kf_pair beyond = kf_encryption_context_at(context, 7);
    assert_int_equal(beyond.key.length + beyond.value.length, 0);
    assert_null(beyond.key.data);
    kf_encryption_context_unref(context);
    assert_int_equal(memory.held, 0);
}

static void any_order_gives_the_same(void **state)
{
    (void)state;
    /* The most pairs of a three-byte key and an empty value that fit; orders: up, down, mixed. */
    enum {
        KEYS = 9361
    };
    static char keys[KEYS][4];
    static struct kf_pair pairs[KEYS];
    for (size_t i = 0; i < KEYS; i++) {
        keys[i][0] = (char)('0' + i / 400);
        keys[i][1] = (char)('0' + i / 20 % 20);
        keys[i][2] = (char)('0' + i % 20);
    }
    static const size_t steps[] = {1, KEYS - 1, 5000};
    for (size_t s = 0; s < COUNT(steps); s++) {
        /* The steps have no factor in common with KEYS, so that each key comes once. */
        for (size_t i = 0; i < KEYS; i++)
            pairs[i] = pair_of(keys[i * steps[s] % KEYS], "");
        const struct kf_encryption_context *context;
        assert_int_equal(kf_encryption_context_new(pairs, KEYS, NULL, &context), KF_OK);
        assert_int_equal(kf_encryption_context_count(context), KEYS);
        assert_int_equal(kf_encryption_context_serialized(context).length, 2 + KEYS * 7);
        for (size_t i = 0; i < KEYS; i++) {
            assert_pair(context, i, keys[i], "");
            assert_true(kf_encryption_context_get(context, kf_view_text(keys[i]), NULL));
        }
        kf_encryption_context_unref(context);
    }
    assert_int_equal(memory.held, 0);
}

static void all_is_copied(void **state)
{
    (void)state;
    char key[] = "key", value[] = "value";
    struct kf_pair pair = pair_of(key, value);
    const struct kf_encryption_context *context;
    assert_int_equal(kf_encryption_context_new(&pair, 1, NULL, &context), KF_OK);
    memset(key, 'x', 3);
    memset(value, 'x', 5);
    assert_pair(context, 0, "key", "value");
    /* The pairs stand in the serialized form: there is one copy and one allocation. */
    struct kf_view serialized = kf_encryption_context_serialized(context);
    assert_ptr_equal(kf_encryption_context_at(context, 0).key.data, serialized.data + 4);
    assert_ptr_equal(kf_encryption_context_at(context, 0).value.data, serialized.data + 9);
    assert_int_equal(memory.held, 1);
    kf_encryption_context_unref(context);
    assert_int_equal(memory.held, 0);
}

static void an_empty_context_has_no_bytes(void **state)
{
    (void)state;
    const struct kf_encryption_context *context;
    assert_int_equal(kf_encryption_context_new(NULL, 0, NULL, &context), KF_OK);
    assert_non_null(context);
    assert_int_equal(kf_encryption_context_count(context), 0);
    assert_int_equal(kf_encryption_context_serialized(context).length, 0);
    assert_false(kf_encryption_context_get(context, kf_view_text(""), NULL));
    kf_encryption_context_unref(context);
    assert_int_equal(kf_encryption_context_of(NULL, &context, (char *)NULL), KF_OK);
    assert_int_equal(kf_encryption_context_count(context), 0);
    kf_encryption_context_unref(context);

    assert_null(kf_encryption_context_ref(NULL));
    kf_encryption_context_unref(NULL);
    assert_int_equal(kf_encryption_context_count(NULL), 0);
    assert_int_equal(kf_encryption_context_at(NULL, 0).key.length, 0);
    assert_false(kf_encryption_context_get(NULL, kf_view_text(""), NULL));
    assert_int_equal(kf_encryption_context_serialized(NULL).length, 0);
    assert_int_equal(memory.held, 0);
}

static void values_are_found_by_their_keys(void **state)
{
    (void)state;
    const struct kf_encryption_context *context = CONTEXT("b", "1", "d", "2", "f", "3");
    static const char *const absent[] = {"", "a", "bb", "c", "e", "g", "B"};
    struct kf_view value = kf_view_text("untouched");
    for (size_t i = 0; i < COUNT(absent); i++)
        assert_false(kf_encryption_context_get(context, kf_view_text(absent[i]), &value));
    assert_true(kfi_view_equal(value, kf_view_text("untouched")));
    static const char *const there[] = {"b", "d", "f"};
    for (size_t i = 0; i < COUNT(there); i++) {
        assert_true(kf_encryption_context_get(context, kf_view_text(there[i]), &value));
        assert_int_equal(value.length, 1);
        assert_int_equal(value.data[0], '1' + i);
    }
    kf_encryption_context_unref(context);
}

static void references_are_counted(void **state)
{
    (void)state;
    const struct kf_encryption_context *context = CONTEXT("a", "1");
    assert_ptr_equal(kf_encryption_context_ref(context), context);
    kf_encryption_context_unref(context);
    assert_int_equal(memory.held, 1);
    assert_pair(context, 0, "a", "1");
    kf_encryption_context_unref(context);
    assert_int_equal(memory.held, 0);
}

/* ---- What is refused ---- */

static void assert_refused(const struct kf_pair *pairs, size_t count, const char *sentence)
{
    struct kf_error error;
    const struct kf_encryption_context *context = (const struct kf_encryption_context *)&error;
    assert_int_equal(kf_encryption_context_new(pairs, count, &error, &context), KF_E_USAGE);
    assert_int_equal(error.code, KF_E_USAGE);
    assert_null(context);
    if (strstr(error.text, sentence) == NULL)
        fail_msg("\"%s\" is not in: %s", sentence, error.text);
    assert_int_equal(kf_encryption_context_new(pairs, count, NULL, &context), KF_E_USAGE);
    assert_int_equal(memory.held, 0);
}

static void wrong_pairs_are_refused(void **state)
{
    (void)state;
    const struct kf_pair twice[] = {pair_of("a", "1"), pair_of("b", "2"), pair_of("a", "1")};
    assert_refused(twice, 3, "the key \"a\" twice");
    const struct kf_pair empty_twice[] = {pair_of("", "1"), pair_of("", "2")};
    assert_refused(empty_twice, 2, "the key \"\" twice");
    const struct kf_pair surrogate_key[] = {pair_of("a", "1"), pair_of("\xed\xa0\x80", "2")};
    assert_refused(surrogate_key, 2, "key of pair 2 of the encryption context is not UTF-8");
    const struct kf_pair overlong_value[] = {pair_of("a", "\xc0\xaf")};
    assert_refused(overlong_value, 1, "key \"a\" is not UTF-8");

    struct kf_error error;
    const struct kf_encryption_context *context;
    assert_int_equal(kf_encryption_context_of(&error, &context, "a", "1", "b", (char *)NULL), KF_E_USAGE);
    assert_null(context);
    assert_non_null(strstr(error.text, "pair 2 "));
    assert_int_equal(kf_encryption_context_of(&error, &context, "a", "1", "a", "2", (char *)NULL),
                     KF_E_USAGE);
    assert_int_equal(memory.held, 0);
}

static void a_context_has_at_most_65535_bytes(void **state)
{
    (void)state;
    static uint8_t bytes[65536 + 1];
    memset(bytes, 'x', sizeof bytes);
    struct kf_pair pairs[2] = {pair_of("k", ""), pair_of("", "")};
    const struct kf_encryption_context *context;

    /* One pair: 2 + 2 + 1 + 2 + value. */
    pairs[0].value = kf_view_of(bytes, 65535 - 7);
    assert_int_equal(kf_encryption_context_new(pairs, 1, NULL, &context), KF_OK);
    assert_int_equal(kf_encryption_context_serialized(context).length, 65535);
    const struct kf_encryption_context *again;
    assert_int_equal(parse(kf_encryption_context_serialized(context), NULL, &again), KF_OK);
    assert_true(kfi_view_equal(kf_encryption_context_at(again, 0).value, pairs[0].value));
    kf_encryption_context_unref(again);
    kf_encryption_context_unref(context);
    pairs[0].value.length++;
    assert_refused(pairs, 1, "too long");
    assert_refused(pairs, 1, "65,535");
    /* Nothing of that length is read. */
    static const size_t lengths[] = {65535, 65536, 65537, SIZE_MAX - 4, SIZE_MAX};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        pairs[0].value.length = lengths[i];
        assert_refused(pairs, 1, "too long");
    }
    /* The same for a key. */
    pairs[0] = (struct kf_pair){kf_view_of(bytes, 65535 - 6), kf_view_of(NULL, 0)};
    assert_int_equal(kf_encryption_context_new(pairs, 1, NULL, &context), KF_OK);
    kf_encryption_context_unref(context);
    pairs[0].key.length++;
    assert_refused(pairs, 1, "too long");

    /* Two pairs: their sum counts. */
    pairs[0] = (struct kf_pair){kf_view_of(bytes, 30000), kf_view_of(bytes, 2000)};
    pairs[1] = (struct kf_pair){kf_view_of(bytes, 30001), kf_view_of(bytes, 65535 - 10 - 62001)};
    assert_int_equal(kf_encryption_context_new(pairs, 2, NULL, &context), KF_OK);
    assert_int_equal(kf_encryption_context_serialized(context).length, 65535);
    kf_encryption_context_unref(context);
    pairs[1].value.length++;
    assert_refused(pairs, 2, "too long");
    assert_int_equal(memory.held, 0);
}

static void a_sentence_shows_keys_safely(void **state)
{
    (void)state;
    static const struct {
        const char *key, *shown;
    } cases[] = {
        {"line\nend \x1b[31m\x7f~", "\"line?end ?[31m?~\""},
        {"\xc2\x9bm\xc2\xa0", "\"?m\xc2\xa0\""}, /* U+009B begins a sequence too, U+00A0 is a space */
        {"123456789012345678901234567890123456789012345678901234567890",
         "\"123456789012345678901234567890123456789012345678901234567890\""},
        {"1234567890123456789012345678901234567890123456789012345678901",
         "\"123456789012345678901234567890123456789012345678901234567890…\""},
        {"1234567890123456789012345678901234567890123456789012345678\xf0\x9f\x94\x91",
         "\"1234567890123456789012345678901234567890123456789012345678…\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct kf_pair pairs[] = {pair_of(cases[i].key, "1"), pair_of(cases[i].key, "2")};
        assert_refused(pairs, 2, cases[i].shown);
    }
}

/* ---- Parsing ---- */

static void what_was_serialized_is_parsed(void **state)
{
    (void)state;
    const struct kf_encryption_context *context = CONTEXT("b", "2", "a", "1", "\xc3\xa4", "");
    const struct kf_encryption_context *parsed;
    assert_int_equal(parse(kf_encryption_context_serialized(context), NULL, &parsed), KF_OK);
    assert_int_equal(memory.held, 2);
    struct kf_view serialized = kf_encryption_context_serialized(context);
    assert_serialized(parsed, serialized.data, serialized.length);
    assert_pair(parsed, 0, "a", "1");
    assert_pair(parsed, 2, "\xc3\xa4", "");
    kf_encryption_context_unref(parsed);
    kf_encryption_context_unref(context);

    assert_int_equal(parse(kf_view_of(NULL, 0), NULL, &parsed), KF_OK);
    assert_int_equal(kf_encryption_context_count(parsed), 0);
    kf_encryption_context_unref(parsed);
    assert_int_equal(memory.held, 0);
}

static void an_unsorted_one_is_sorted(void **state)
{
    (void)state;
    static const uint8_t unsorted[] = {
        0x00, 0x02,                       /* 2 pairs */
        0x00, 0x01, 'b', 0x00, 0x01, '2', /* b: 2 */
        0x00, 0x01, 'a', 0x00, 0x01, '1', /* a: 1 */
    };
    static const uint8_t sorted[] = {0x00, 0x02, 0x00, 0x01, 'a',  0x00, 0x01,
                                     '1',  0x00, 0x01, 'b',  0x00, 0x01, '2'};
    const struct kf_encryption_context *context;
    assert_int_equal(parse(kf_view_of(unsorted, sizeof unsorted), NULL, &context), KF_OK);
    assert_serialized(context, sorted, sizeof sorted);
    kf_encryption_context_unref(context);
}

static void assert_malformed(const void *bytes, size_t length, const char *sentence)
{
    struct kf_error error;
    const struct kf_encryption_context *context;
    /* In memory of just that size, so that a sanitizer sees what is read behind it. */
    uint8_t *copy = malloc(length);
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    assert_int_equal(parse(kf_view_of(copy, length), &error, &context), KF_E_MALFORMED);
    free(copy);
    assert_null(context);
    assert_int_equal(error.code, KF_E_MALFORMED);
    if (strstr(error.text, sentence) == NULL)
        fail_msg("\"%s\" is not in: %s", sentence, error.text);
    assert_int_equal(memory.held, 0);
}

static void malformed_bytes_are_refused(void **state)
{
    (void)state;
#define MALFORMED(bytes, sentence) assert_malformed(bytes, sizeof(bytes) - 1, sentence)
    MALFORMED("\0", "has 1 byte");
    MALFORMED("\0\0", "has 0 pairs, but takes 2 bytes");
    MALFORMED("\0\0\0\1a\0\1b", "has 0 pairs, but takes 8 bytes");
    MALFORMED("\0\1", "Pair 1 of 1");
    MALFORMED("\0\2\0\1a\0\1b", "Pair 2 of 2");
    MALFORMED("\xff\xff\0\1a\0\1b", "Pair 2 of 65535");
    MALFORMED("\0\1\0\1a\0\2b", "Pair 1 of 1");
    MALFORMED("\0\1\xff\xff"
              "a\0\1b",
              "Pair 1 of 1");
    MALFORMED("\0\1\0\1a\0\1bc", "end 1 bytes earlier");
    MALFORMED("\0\2\0\1a\0\1b\0\1a\0\1c", "\"a\" twice");
    MALFORMED("\0\3\0\1a\0\1b\0\1b\0\1c\0\1a\0\1b", "\"a\" twice");
    MALFORMED("\0\1\0\2\xc0\x80\0\1b", "pair 1 of the encryption context is not UTF-8");
    MALFORMED("\0\2\0\1a\0\1b\0\3\xed\xbf\xbf\0\0", "pair 2 of the encryption context is not UTF-8");
    MALFORMED("\0\1\0\1a\0\3\xed\xa0\x80", "\"a\" is not UTF-8");
#undef MALFORMED
}

/* A header has no room for more; so many bytes could hold more pairs than a context can. */
static void too_many_bytes_are_refused(void **state)
{
    (void)state;
    enum {
        LENGTH = 2 + 2 * (4 + 65535)
    };
    uint8_t *bytes = calloc(1, LENGTH);
    assert_non_null(bytes);
    bytes[1] = 2;
    memset(bytes + 2, 0xff, 2);             /* a key of 65,535 zero bytes, an empty value */
    memset(bytes + 2 + 4 + 65535, 0xff, 2); /* the same again */
    assert_malformed(bytes, LENGTH, "more than 65,535 bytes");
    bytes[0] = 0x40;
    bytes[1] = 0;
    memset(bytes + 2, 0, LENGTH - 2); /* 16,384 empty pairs: 2 + 4 * 16,384 bytes */
    assert_malformed(bytes, 2 + 4 * 16384, "more than 65,535 bytes");
    free(bytes);
}

static void bytes_that_can_not_be_read_are_refused(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_encryption_context *context = (const struct kf_encryption_context *)(uintptr_t)1;
    assert_int_equal(kf_encryption_context_parse(kf_view_of(NULL, 5), &error, &context), KF_E_USAGE);
    assert_string_equal(error.text, "The serialized encryption context is NULL, but its length is 5.");
    assert_null(context);
    context = (const struct kf_encryption_context *)(uintptr_t)1;
    assert_int_equal(kf_encryption_context_parse(kf_view_of(&context, 1), &error, &context), KF_E_USAGE);
    assert_non_null(strstr(error.text, "Nothing was changed"));
    assert_ptr_equal(context, (const struct kf_encryption_context *)(uintptr_t)1);
}

static void no_truncation_is_taken_for_the_whole(void **state)
{
    (void)state;
    const struct kf_encryption_context *context = CONTEXT("a", "1", "bb", "22", "ccc", "");
    struct kf_view whole = kf_encryption_context_serialized(context);
    uint8_t bytes[64];
    assert_true(whole.length <= sizeof bytes);
    memcpy(bytes, whole.data, whole.length);
    size_t length = whole.length;
    kf_encryption_context_unref(context);
    for (size_t cut = 1; cut < length; cut++)
        assert_malformed(bytes, cut, "encryption context");
}

/* ---- Contexts from contexts ---- */

static void one_more_pair(void **state)
{
    (void)state;
    const struct kf_encryption_context *context = CONTEXT("a", "1", "c", "3");
    const struct kf_encryption_context *with;
    assert_int_equal(kfi_encryption_context_with(context, pair_of("b", "2"), NULL, &with), KF_OK);
    assert_int_equal(kf_encryption_context_count(with), 3);
    assert_pair(with, 1, "b", "2");
    assert_int_equal(kf_encryption_context_count(context), 2);
    kf_encryption_context_unref(with);

    struct kf_error error;
    assert_int_equal(kfi_encryption_context_with(context, pair_of("c", "3"), &error, &with), KF_E_USAGE);
    assert_null(with);
    assert_non_null(strstr(error.text, "\"c\""));
    assert_int_equal(kfi_encryption_context_with(context, pair_of("\xff", "3"), &error, &with), KF_E_USAGE);
    assert_non_null(strstr(error.text, "not UTF-8"));
    static char big[65535];
    memset(big, 'x', sizeof big - 1);
    assert_int_equal(kfi_encryption_context_with(context, pair_of("x", big), &error, &with), KF_E_USAGE);
    assert_non_null(strstr(error.text, "too long"));
    kf_encryption_context_unref(context);

    assert_int_equal(kfi_encryption_context_with(NULL, pair_of("b", "2"), NULL, &with), KF_OK);
    assert_int_equal(kf_encryption_context_count(with), 1);
    const struct kf_encryption_context *again;
    assert_int_equal(kfi_encryption_context_with(with, pair_of("a", "1"), NULL, &again), KF_OK);
    assert_int_equal(kf_encryption_context_count(again), 2);
    assert_pair(again, 0, "a", "1");
    assert_pair(again, 1, "b", "2");
    kf_encryption_context_unref(again);
    kf_encryption_context_unref(with);
    assert_int_equal(memory.held, 0);
}

static void a_context_is_split_by_keys(void **state)
{
    (void)state;
    const struct kf_encryption_context *context = CONTEXT("a", "1", "b", "2", "c", "3", "d", "4");
    const struct kf_encryption_context *in_list, *others;
    const struct kf_view keys[] = {kf_view_text("d"), kf_view_text("b"), kf_view_text("d")};
    assert_int_equal(kfi_encryption_context_split(context, keys, 3, NULL, &in_list, &others), KF_OK);
    assert_int_equal(kf_encryption_context_count(in_list), 2);
    assert_pair(in_list, 0, "b", "2");
    assert_pair(in_list, 1, "d", "4");
    assert_serialized(in_list,
                      "\0\2\0\1b\0\1"
                      "2\0\1d\0\1"
                      "4",
                      14);
    assert_int_equal(kf_encryption_context_count(others), 2);
    assert_pair(others, 0, "a", "1");
    assert_pair(others, 1, "c", "3");
    kf_encryption_context_unref(in_list);
    kf_encryption_context_unref(others);

    /* None and all. */
    assert_int_equal(kfi_encryption_context_split(context, NULL, 0, NULL, &in_list, &others), KF_OK);
    assert_int_equal(kf_encryption_context_serialized(in_list).length, 0);
    assert_int_equal(kf_encryption_context_count(others), 4);
    kf_encryption_context_unref(in_list);
    kf_encryption_context_unref(others);
    const struct kf_view all[] = {kf_view_text("a"), kf_view_text("b"), kf_view_text("c"), kf_view_text("d")};
    assert_int_equal(kfi_encryption_context_split(context, all, 4, NULL, &in_list, &others), KF_OK);
    assert_int_equal(kf_encryption_context_count(in_list), 4);
    assert_int_equal(kf_encryption_context_serialized(others).length, 0);
    kf_encryption_context_unref(in_list);
    kf_encryption_context_unref(others);

    /* A key that is not there. */
    const struct kf_view absent[] = {kf_view_text("a"), kf_view_text("tenant")};
    struct kf_error error;
    assert_int_equal(kfi_encryption_context_split(context, absent, 2, &error, &in_list, &others),
                     KF_E_POLICY);
    assert_non_null(strstr(error.text, "\"tenant\" is required"));
    assert_null(in_list);
    assert_null(others);
    const struct kf_view no_text = kf_view_text("\xff");
    assert_int_equal(kfi_encryption_context_split(context, &no_text, 1, &error, &in_list, &others),
                     KF_E_POLICY);
    assert_true(kfi_view_is_utf8(kf_view_text(error.text)));
    kf_encryption_context_unref(context);
    assert_int_equal(kfi_encryption_context_split(NULL, absent, 1, &error, &in_list, &others), KF_E_POLICY);
    assert_int_equal(kfi_encryption_context_split(NULL, NULL, 0, NULL, &in_list, &others), KF_OK);
    kf_encryption_context_unref(in_list);
    kf_encryption_context_unref(others);
    assert_int_equal(memory.held, 0);
}

static void a_split_of_many_pairs(void **state)
{
    (void)state;
    enum {
        PAIRS = 5000
    };
    static char keys[PAIRS][6];
    static struct kf_pair pairs[PAIRS];
    static struct kf_view odd[PAIRS / 2];
    for (size_t i = 0; i < PAIRS; i++) {
        snprintf(keys[i], sizeof keys[i], "%04zu", i);
        pairs[i] = pair_of(keys[i], "");
        if (i % 2 == 1)
            odd[i / 2] = pairs[i].key;
    }
    const struct kf_encryption_context *context, *in_list, *others;
    assert_int_equal(kf_encryption_context_new(pairs, PAIRS, NULL, &context), KF_OK);
    assert_int_equal(kfi_encryption_context_split(context, odd, PAIRS / 2, NULL, &in_list, &others), KF_OK);
    kf_encryption_context_unref(context);
    assert_int_equal(kf_encryption_context_count(in_list), PAIRS / 2);
    assert_int_equal(kf_encryption_context_count(others), PAIRS / 2);
    for (size_t i = 0; i < PAIRS; i++)
        assert_pair(i % 2 == 1 ? in_list : others, i / 2, keys[i], "");
    kf_encryption_context_unref(in_list);
    kf_encryption_context_unref(others);
    assert_int_equal(memory.held, 0);
}

static void what_is_stored_joins_what_is_reproduced(void **state)
{
    (void)state;
    const struct kf_encryption_context *stored = CONTEXT("a", "1", "c", "3");
    const struct kf_encryption_context *reproduced = CONTEXT("b", "2", "c", "3", "d", "4");
    const struct kf_encryption_context *joined, *only_reproduced;
    assert_int_equal(kfi_encryption_context_join(stored, reproduced, NULL, &joined, &only_reproduced), KF_OK);
    assert_int_equal(kf_encryption_context_count(joined), 4);
    assert_pair(joined, 0, "a", "1");
    assert_pair(joined, 1, "b", "2");
    assert_pair(joined, 2, "c", "3");
    assert_pair(joined, 3, "d", "4");
    assert_int_equal(kf_encryption_context_count(only_reproduced), 2);
    assert_pair(only_reproduced, 0, "b", "2");
    assert_pair(only_reproduced, 1, "d", "4");
    kf_encryption_context_unref(joined);
    kf_encryption_context_unref(only_reproduced);

    /* With one side empty, or both. */
    const struct kf_encryption_context *const sides[][2] = {{stored, NULL}, {NULL, reproduced}, {NULL, NULL}};
    for (size_t i = 0; i < COUNT(sides); i++) {
        assert_int_equal(
            kfi_encryption_context_join(sides[i][0], sides[i][1], NULL, &joined, &only_reproduced), KF_OK);
        size_t stored_count = kf_encryption_context_count(sides[i][0]);
        size_t reproduced_count = kf_encryption_context_count(sides[i][1]);
        assert_int_equal(kf_encryption_context_count(joined), stored_count + reproduced_count);
        assert_int_equal(kf_encryption_context_count(only_reproduced), reproduced_count);
        kf_encryption_context_unref(joined);
        kf_encryption_context_unref(only_reproduced);
    }
    kf_encryption_context_unref(reproduced);

    struct kf_error error;
    reproduced = CONTEXT("b", "2", "c", "");
    assert_int_equal(kfi_encryption_context_join(stored, reproduced, &error, &joined, &only_reproduced),
                     KF_E_POLICY);
    assert_non_null(strstr(error.text, "different values of the key \"c\""));
    assert_null(joined);
    assert_null(only_reproduced);
    kf_encryption_context_unref(reproduced);
    kf_encryption_context_unref(stored);
    assert_int_equal(memory.held, 0);
}

static void a_join_has_at_most_65535_bytes(void **state)
{
    (void)state;
    static char value[65535 - 7 + 1];
    memset(value, 'x', sizeof value - 1);
    const struct kf_encryption_context *stored = CONTEXT("k", value);
    const struct kf_encryption_context *reproduced = CONTEXT("k", value);
    const struct kf_encryption_context *joined, *only_reproduced;
    assert_int_equal(kfi_encryption_context_join(stored, reproduced, NULL, &joined, &only_reproduced), KF_OK);
    assert_int_equal(kf_encryption_context_serialized(joined).length, 65535);
    assert_int_equal(kf_encryption_context_count(only_reproduced), 0);
    kf_encryption_context_unref(joined);
    kf_encryption_context_unref(only_reproduced);
    kf_encryption_context_unref(reproduced);
    struct kf_error error;
    reproduced = CONTEXT("", "");
    assert_int_equal(kfi_encryption_context_join(stored, reproduced, &error, &joined, &only_reproduced),
                     KF_E_LIMIT);
    assert_non_null(strstr(error.text, "too long"));
    assert_null(joined);
    assert_null(only_reproduced);
    kf_encryption_context_unref(reproduced);
    kf_encryption_context_unref(stored);
    assert_int_equal(memory.held, 0);
}

/* ---- Without memory ---- */

static const struct kf_encryption_context *left, *right;
static const struct kf_encryption_context *first, *second;

static enum kf_code run_new(struct kf_error *error)
{
    const struct kf_pair pair = pair_of("a", "1");
    return kf_encryption_context_new(&pair, 1, error, &first);
}

static enum kf_code run_of(struct kf_error *error)
{
    return kf_encryption_context_of(error, &first, "a", "1", (char *)NULL);
}

static enum kf_code run_parse(struct kf_error *error)
{
    return parse(kf_encryption_context_serialized(left), error, &first);
}

static enum kf_code run_with(struct kf_error *error)
{
    return kfi_encryption_context_with(left, pair_of("new", ""), error, &first);
}

static enum kf_code run_split(struct kf_error *error)
{
    const struct kf_view key = kf_view_text("a");
    return kfi_encryption_context_split(left, &key, 1, error, &first, &second);
}

static enum kf_code run_join(struct kf_error *error)
{
    return kfi_encryption_context_join(left, right, error, &first, &second);
}

static void without_memory_nothing_is_lost(void **state)
{
    (void)state;
    static const struct {
        enum kf_code (*run)(struct kf_error *error);
        size_t allocations;
    } cases[] = {{run_new, 1}, {run_of, 2}, {run_parse, 1}, {run_with, 1}, {run_split, 2}, {run_join, 2}};
    left = CONTEXT("a", "1", "b", "2");
    right = CONTEXT("c", "3");
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t number = 1; number <= cases[i].allocations; number++) {
            struct kf_error error = KF_ERROR_INIT;
            fail_allocation(number);
            assert_int_equal(cases[i].run(&error), KF_E_NO_MEMORY);
            assert_int_equal(error.code, KF_E_NO_MEMORY);
            assert_null(first);
            assert_null(second);
            assert_int_equal(memory.held, 2);
        }
        /* There is no further allocation. */
        fail_allocation(cases[i].allocations + 1);
        assert_int_equal(cases[i].run(NULL), KF_OK);
        kf_encryption_context_unref(first);
        kf_encryption_context_unref(second);
        first = second = NULL;
    }
    fail_allocation(0);
    kf_encryption_context_unref(left);
    kf_encryption_context_unref(right);
    assert_int_equal(memory.held, 0);
}

int main(void)
{
    failing_allocator_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_serialized_in_the_order_of_bytes),
        cmocka_unit_test(any_order_gives_the_same),
        cmocka_unit_test(all_is_copied),
        cmocka_unit_test(an_empty_context_has_no_bytes),
        cmocka_unit_test(values_are_found_by_their_keys),
        cmocka_unit_test(references_are_counted),
        cmocka_unit_test(wrong_pairs_are_refused),
        cmocka_unit_test(a_context_has_at_most_65535_bytes),
        cmocka_unit_test(a_sentence_shows_keys_safely),
        cmocka_unit_test(what_was_serialized_is_parsed),
        cmocka_unit_test(an_unsorted_one_is_sorted),
        cmocka_unit_test(malformed_bytes_are_refused),
        cmocka_unit_test(too_many_bytes_are_refused),
        cmocka_unit_test(bytes_that_can_not_be_read_are_refused),
        cmocka_unit_test(no_truncation_is_taken_for_the_whole),
        cmocka_unit_test(one_more_pair),
        cmocka_unit_test(a_context_is_split_by_keys),
        cmocka_unit_test(a_split_of_many_pairs),
        cmocka_unit_test(what_is_stored_joins_what_is_reproduced),
        cmocka_unit_test(a_join_has_at_most_65535_bytes),
        cmocka_unit_test(without_memory_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
