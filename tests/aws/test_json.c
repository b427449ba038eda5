/*
 * JSON: reading and refusing, base64, writing, and no secret is left in memory.
 */
#include "aws/secrets.h"

#include "aws/service/json.h"
#include "base/memory.h"

/* ---- Reading ---- */

/* Looks for members "a" and "b" in `text`; fails unless the code is `expected`. */
static struct kfi_json read_as(enum kf_code expected, struct kf_view text, struct kfi_json_member members[2],
                               struct kf_error *error)
{
    struct kfi_json json;
    members[0] = (struct kfi_json_member){.name = "a"};
    members[1] = (struct kfi_json_member){.name = "b"};
    *error = (struct kf_error)KF_ERROR_INIT;
    assert_int_equal(kfi_json_read(text, members, 2, error, &json), expected);
    return json;
}

static void refuse_bytes(const void *text, size_t length, const char *why)
{
    struct kfi_json_member members[2];
    struct kf_error error;
    struct kfi_json json = read_as(KF_E_MALFORMED, kf_view_of(text, length), members, &error);
    assert_string_equal(error.text, why);
    assert_null(json.block);
    assert_null(members[0].text);
    assert_null(members[1].text);
}

static void refuse(const char *text, const char *why)
{
    refuse_bytes(text, strlen(text), why);
}

/* `a` and `b`: the expected values, or NULL. */
static void accept(const char *text, const char *a, const char *b)
{
    struct kfi_json_member members[2];
    struct kf_error error;
    struct kfi_json json = read_as(KF_OK, kf_view_text(text), members, &error);
    const char *expected[] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        if (expected[i] == NULL) {
            assert_null(members[i].text);
            continue;
        }
        assert_non_null(members[i].text);
        assert_string_equal(members[i].text, expected[i]);
        assert_int_equal(members[i].length, strlen(expected[i]));
    }
    kfi_json_free(&json);
    assert_null(json.block);
}

static void strings_are_found_among_others(void **state)
{
    (void)state;
    accept("{}", NULL, NULL);
    accept("{\"a\":\"x\",\"b\":\"\"}", "x", "");
    accept(" {\"c\":1e3,\"d\":[1,null,true,{\"a\":\"no\"}],\"b\":\"yes\",\"e\":{\"b\":2}}\n", NULL, "yes");
    accept("{\"a\":null,\"b\":\"\\u00e9\\n\\\"\\/\"}", NULL, "\xc3\xa9\n\"/");
    accept("{\"\\u0061\":\"escaped name\"}", "escaped name", NULL);
    accept("{\"x\":{\"a\":\"1\"},\"y\":{\"a\":\"2\"}}", NULL, NULL); /* twice, but in two objects */
}

static void what_is_no_single_object_is_refused(void **state)
{
    (void)state;
    refuse("", "it is not JSON");
    refuse(" ", "it is not JSON");
    refuse("<Error/>", "it is not JSON");
    refuse("{\"a\":\"x\"", "it is not JSON");
    refuse("{\"a\":\"x\"}{", "it is not JSON");
    refuse("{\"a\":\"x\"}{}", "it is not JSON");
    refuse("{\"a\":\"x\",}", "it is not JSON");
    refuse("{\"a\":\"x\"/* no */}", "it is not JSON");
    refuse("{\"a\":\"x\ny\"}", "it is not JSON");
    refuse("{\"a\":\"\\ud800\\u\"}", "it is not JSON");
    refuse("[\"a\"]", "it is not an object");
    refuse("\"a\"", "it is not an object");
    refuse("1 ", "it is not an object");
    refuse("true", "it is not an object");
    refuse("null", "it is not an object");
}

static void members_that_come_twice_are_refused(void **state)
{
    (void)state;
    refuse("{\"a\":\"1\",\"a\":\"2\"}", "an object has a member twice");
    refuse("{\"a\":null,\"a\":\"2\"}", "an object has a member twice");
    refuse("{\"a\":\"1\",\"\\u0061\":\"1\"}", "an object has a member twice");
    refuse("{\"z\":1,\"a\":\"1\",\"z\":1}", "an object has a member twice");
    refuse("{\"y\":[{\"z\":1,\"x\":{\"z\":1},\"z\":1}]}", "an object has a member twice");
}

static void nul_and_what_is_not_utf8_are_refused(void **state)
{
    (void)state;
    refuse("{\"a\":\"x\\u0000\"}", "there is a NUL in a string");
    refuse("{\"c\":\"\\u0000\"}", "there is a NUL in a string");
    refuse("{\"c\":[\"\\u0000\"]}", "there is a NUL in a string");
    refuse("{\"\\u0000\":1}", "there is a NUL in a string");
    refuse("{\"c\":{\"x\\u0000\":1}}", "there is a NUL in a string");
    refuse_bytes("{\"a\":\"\0\"}", 9, "it is not JSON");
    refuse_bytes("{\"a\":\"x\"}\0", 10, "it is not JSON");
    refuse("{\"a\":\"\xff\"}", "it is not UTF-8");
    refuse("{\"a\":\"\xc0\x80\"}", "it is not UTF-8");
    refuse("{\"a\":\"\xed\xa0\x80\"}", "it is not UTF-8");
}

static void what_is_looked_for_has_to_be_text(void **state)
{
    (void)state;
    refuse("{\"a\":1}", "a member that has to be text is not");
    refuse("{\"a\":false}", "a member that has to be text is not");
    refuse("{\"a\":{}}", "a member that has to be text is not");
    refuse("{\"b\":[\"x\"]}", "a member that has to be text is not");
}

static void depth_is_bounded(void **state)
{
    (void)state;
    /* The outermost object counts. */
    accept("{\"c\":[[[[[[[]]]]]]]}", NULL, NULL);
    refuse("{\"c\":[[[[[[[[]]]]]]]]}", "it is nested too deeply");
    accept("{\"c\":{\"c\":{\"c\":{\"c\":{\"c\":{\"c\":{\"c\":{}}}}}}}}", NULL, NULL);
    refuse("{\"c\":{\"c\":{\"c\":{\"c\":{\"c\":{\"c\":{\"c\":{\"c\":{}}}}}}}}}", "it is nested too deeply");
}

static void the_number_of_members_is_bounded(void **state)
{
    (void)state;
    for (unsigned count = KFI_JSON_MEMBERS_MAX; count <= KFI_JSON_MEMBERS_MAX + 1; count++) {
        char text[KFI_JSON_MEMBERS_MAX * 32] = "{";
        for (unsigned i = 0; i < count; i++)
            snprintf(text + strlen(text), 32, "%s\"m%u\":%u", i > 0 ? "," : "", i, i);
        strcat(text, "}");
        if (count <= KFI_JSON_MEMBERS_MAX)
            accept(text, NULL, NULL);
        else
            refuse(text, "it has too many members");
    }
}

/* An object of `length` bytes, of which nearly all is one string of many `filling`s. */
static char *large(size_t length, const char *filling)
{
    char *text = malloc(length + 1);
    assert_non_null(text);
    const size_t unit = strlen(filling);
    size_t at = (size_t)sprintf(text, "{\"a\":\"");
    for (; at + unit + 2 <= length; at += unit)
        memcpy(text + at, filling, unit);
    at += (size_t)sprintf(text + at, "\"}");
    memset(text + at, ' ', length - at);
    text[length] = '\0';
    return text;
}

static void size_is_bounded(void **state)
{
    (void)state;
    static const char *const fillings[] = {"x", "\\n", "\\u20ac", "\xe2\x82\xac"};
    for (size_t i = 0; i < 4; i++) {
        for (size_t length = 100; length <= KFI_JSON_TEXT_MAX;
             length = length < 16384 ? length * 3 / 2 : length + 4096) {
            struct kfi_json_member members[2];
            struct kf_error error;
            char *text = large(length, fillings[i]);
            struct kfi_json json = read_as(KF_OK, kf_view_text(text), members, &error);
            assert_true(members[0].length > 0);
            kfi_json_free(&json);
            free(text);
        }
        char *text = large(KFI_JSON_TEXT_MAX, fillings[i]);
        struct kfi_json_member members[2];
        struct kf_error error;
        struct kfi_json json = read_as(KF_OK, kf_view_text(text), members, &error);
        kfi_json_free(&json);
        free(text);
        text = large(KFI_JSON_TEXT_MAX + 1, fillings[i]);
        refuse(text, "it is too large");
        free(text);
    }
}

/* Every beginning of a reply is refused. Each lies in memory of its own, so that reading past its end is noticed. */
static void torn_texts_are_refused(void **state)
{
    (void)state;
    static const char whole[] =
        "{\"a\":\"x\\u20ac\\ud83d\\ude00\xe2\x82\xac\",\"c\":[1.5e3,true,null,{\"d\":{}}],\"b\":\"y\"}";
    accept(whole, "x\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x82\xac", "y");
    for (size_t length = 0; length < sizeof whole - 1; length++) {
        struct kfi_json_member members[2];
        struct kf_error error;
        char *part = malloc(length > 0 ? length : 1);
        assert_non_null(part);
        memcpy(part, whole, length);
        struct kfi_json json = read_as(KF_E_MALFORMED, kf_view_of(part, length), members, &error);
        assert_null(json.block);
        free(part);
    }
}

/* no_secret_was_left_in_memory checks what is left of them. */
static void secrets_pass_through(void **state)
{
    (void)state;
    accept("{\"a\":\"" SECRET "\",\"c\":\"" SECRET "\\n\"}", SECRET, NULL);
    accept("{\"b\":\"\\n" SECRET "\"}", NULL, "\n" SECRET);
    refuse("{\"a\":\"\\n" SECRET "\",\"" SECRET "\":1,\"a\":1}", "an object has a member twice");
    refuse("{\"a\":\"" SECRET "\",", "it is not JSON");
    struct kf_buf buf = KF_BUF_INIT;
    struct kfi_json_writer writer = {&buf, KF_OK};
    for (unsigned i = 0; i < 100; i++) /* the buffer grows several times */
        kfi_json_write_string(&writer, kf_view_text(SECRET));
    assert_int_equal(writer.code, KF_OK);
    kf_buf_free(&buf);
}

/* ---- Base64 ---- */

static bool decode(const char *text, size_t room, uint8_t *to, size_t *length)
{
    memset(to, 0xee, room);
    return kfi_base64_decode(text, strlen(text), to, room, length);
}

static void base64_is_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes;
    } cases[] = {{"", ""},
                 {"Zg==", "f"},
                 {"Zm8=", "fo"},
                 {"Zm9v", "foo"},
                 {"Zm9vYg==", "foob"},
                 {"Zm9vYmE=", "fooba"},
                 {"Zm9vYmFy", "foobar"},
                 {"+/+/", "\xfb\xff\xbf"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t expected = strlen(cases[i].bytes);
        uint8_t *exact = malloc(expected > 0 ? expected : 1);
        size_t length = 99;
        assert_true(kfi_base64_decode(cases[i].text, strlen(cases[i].text), exact, expected, &length));
        assert_int_equal(length, expected);
        assert_memory_equal(exact, cases[i].bytes, expected);
        free(exact);
        char in_place[16];
        strcpy(in_place, cases[i].text);
        assert_true(kfi_base64_decode(in_place, strlen(in_place), (uint8_t *)in_place, 16, &length));
        assert_memory_equal(in_place, cases[i].bytes, expected);
        if (expected > 0) {
            uint8_t less[16];
            assert_false(decode(cases[i].text, expected - 1, less, &length));
            assert_int_equal(length, 0);
        }
    }
}

static void what_is_no_base64_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "Z",     "Zg",    "Zg=",  "Zm9",  "Zm9v=", "====",         "Z===",         "=m9v", "Zg=v",
        "Zm 9v", "Zm9\n", "Zm-_", "Zh==", "Zm9=",  "Zm9vZg==Zm9v", "Zm9v\n\n\n\n", "Zm9*", "Z\xc3\xa9v"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t bytes[32];
        size_t length = 99;
        assert_false(decode(wrong[i], sizeof bytes, bytes, &length));
        assert_int_equal(length, 0);
        for (size_t k = 0; k < sizeof bytes; k++)
            assert_true(bytes[k] == 0xee || bytes[k] == 0); /* untouched, or wiped */
    }
    uint8_t bytes[4];
    size_t length;
    assert_false(kfi_base64_decode("Zm\0v", 4, bytes, sizeof bytes, &length));
}

static void base64_goes_there_and_back(void **state)
{
    (void)state;
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    for (size_t length = 0; length <= sizeof bytes; length++) {
        struct kf_buf buf = KF_BUF_INIT;
        struct kfi_json_writer writer = {&buf, KF_OK};
        uint8_t back[sizeof bytes];
        size_t got = 0;
        kfi_json_write_base64(&writer, kf_view_of(bytes, length));
        assert_int_equal(writer.code, KF_OK);
        assert_int_equal(buf.length, 2 + (length + 2) / 3 * 4);
        assert_int_equal(buf.data[0], '"');
        assert_int_equal(buf.data[buf.length - 1], '"');
        assert_true(kfi_base64_decode((const char *)buf.data + 1, buf.length - 2, back, sizeof back, &got));
        assert_int_equal(got, length);
        assert_memory_equal(back, bytes, length);
        kf_buf_free(&buf);
    }
}

/* ---- Writing ---- */

static void strings_are_escaped(void **state)
{
    (void)state;
    static const char text[] = "\x01\x1f \"q\" \\ / \x7f \xc3\xa9\xf0\x9f\x98\x80\n";
    static const char expected[] =
        "[\"\\u0001\\u001f \\\"q\\\" \\\\ / \x7f \xc3\xa9\xf0\x9f\x98\x80\\u000a\",\"\\u0000\",\"\"]";
    struct kf_buf buf = KF_BUF_INIT;
    struct kfi_json_writer writer = {&buf, KF_OK};
    kfi_json_write_raw(&writer, "[");
    kfi_json_write_string(&writer, kf_view_text(text));
    kfi_json_write_raw(&writer, ",");
    kfi_json_write_string(&writer, kf_view_of("\0", 1));
    kfi_json_write_raw(&writer, ",");
    kfi_json_write_string(&writer, kf_view_of(NULL, 0));
    kfi_json_write_raw(&writer, "]");
    assert_int_equal(writer.code, KF_OK);
    assert_int_equal(buf.length, sizeof expected - 1);
    assert_memory_equal(buf.data, expected, buf.length);
    kf_buf_free(&buf);
}

static void what_was_written_can_be_read(void **state)
{
    (void)state;
    struct kf_buf buf = KF_BUF_INIT;
    struct kfi_json_writer writer = {&buf, KF_OK};
    struct kfi_json_member members[2];
    struct kf_error error;
    char all[256];
    for (unsigned i = 1; i < 128; i++)
        all[i - 1] = (char)i;
    strcpy(all + 127, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    kfi_json_write_raw(&writer, "{\"a\":");
    kfi_json_write_string(&writer, kf_view_text(all));
    kfi_json_write_raw(&writer, "}");
    struct kfi_json json = read_as(KF_OK, kf_view_of(buf.data, buf.length), members, &error);
    assert_string_equal(members[0].text, all);
    kfi_json_free(&json);
    kf_buf_free(&buf);
}

static void a_body_is_bounded(void **state)
{
    (void)state;
    struct kf_buf buf = KF_BUF_INIT;
    struct kfi_json_writer writer = {&buf, KF_OK};
    static uint8_t block[65536];
    memset(block, 'x', sizeof block);
    for (unsigned i = 0; i < 15; i++)
        kfi_json_write_string(&writer, kf_view_of(block, sizeof block));
    assert_int_equal(writer.code, KF_OK);
    kfi_json_write_string(&writer, kf_view_of(block, sizeof block));
    assert_int_equal(writer.code, KF_E_LIMIT);
    assert_true(buf.length <= KFI_JSON_BODY_MAX);
    const size_t length = buf.length;
    kfi_json_write_raw(&writer, "x");
    assert_int_equal(writer.code, KF_E_LIMIT);
    assert_int_equal(buf.length, length);
    kf_buf_free(&buf);
}

int main(void)
{
    secrets_watch();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_found_among_others),
        cmocka_unit_test(what_is_no_single_object_is_refused),
        cmocka_unit_test(members_that_come_twice_are_refused),
        cmocka_unit_test(nul_and_what_is_not_utf8_are_refused),
        cmocka_unit_test(what_is_looked_for_has_to_be_text),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(the_number_of_members_is_bounded),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(torn_texts_are_refused),
        cmocka_unit_test(base64_is_decoded),
        cmocka_unit_test(what_is_no_base64_is_refused),
        cmocka_unit_test(base64_goes_there_and_back),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(what_was_written_can_be_read),
        cmocka_unit_test(a_body_is_bounded),
        cmocka_unit_test(secrets_pass_through),
        cmocka_unit_test(no_secret_was_left_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
