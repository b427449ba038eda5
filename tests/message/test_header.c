/*
 * Message headers of both formats: every byte, every bound, and a cut at every place.
 */
#include <stdlib.h>

#include "message/header.h"
#include "support/failing_allocator.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct kfi_header_limits no_limits = {0, SIZE_MAX};

/* clang-format off */
static const uint8_t format_1[] = {
    0x01,                                           /*   0 version 1 */
    0x80,                                           /*   1 type: customer authenticated encrypted data */
    0x03, 0x78,                                     /*   2 suite 0378 */
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, /*   4 message id, 16 bytes */
    0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
    0x00, 0x12,                                     /*  20 AAD: 18 bytes */
    0x00, 0x02,                                     /*  22 pairs: 2 */
    0x00, 0x01, 'a',                                /*  24 key "a" */
    0x00, 0x03, 'o', 'n', 'e',                      /*  27 value "one" */
    0x00, 0x02, 0xc3, 0xa4,                         /*  32 key U+00E4 */
    0x00, 0x02, 't', 'w',                           /*  36 value "tw" */
    0x00, 0x02,                                     /*  40 EDKs: 2 */
    0x00, 0x03, 'r', 'a', 'w',                      /*  42 provider id "raw" */
    0x00, 0x01, 'k',                                /*  47 provider information "k" */
    0x00, 0x04, 0xd0, 0xd1, 0xd2, 0xd3,             /*  50 ciphertext, 4 bytes */
    0x00, 0x00,                                     /*  56 provider id "" */
    0x00, 0x00,                                     /*  58 provider information "" */
    0x00, 0x01, 0xd4,                               /*  60 ciphertext, 1 byte */
    0x02,                                           /*  63 content type: framed */
    0x00, 0x00, 0x00, 0x00,                         /*  64 reserved */
    0x0c,                                           /*  68 IV length: 12 */
    0x00, 0x00, 0x10, 0x00,                         /*  69 frame length: 4096 */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00,             /*  73 IV */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, /*  85 tag */
    0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef,
};                                                  /* 101 */

static const uint8_t format_2[] = {
    0x02,                                           /*   0 version 2 */
    0x05, 0x78,                                     /*   1 suite 0578 */
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, /*   3 message id, 32 bytes */
    0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
    0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7,
    0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf,
    0x00, 0x00,                                     /*  35 AAD: none */
    0x00, 0x01,                                     /*  37 EDKs: 1 */
    0x00, 0x03, 'r', 'a', 'w',                      /*  39 provider id "raw" */
    0x00, 0x01, 'k',                                /*  44 provider information "k" */
    0x00, 0x04, 0xd0, 0xd1, 0xd2, 0xd3,             /*  47 ciphertext, 4 bytes */
    0x02,                                           /*  53 content type: framed */
    0xff, 0xff, 0xff, 0xff,                         /*  54 frame length: 4294967295 */
    0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, /*  58 suite data: the commit key, 32 bytes */
    0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf,
    0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7,
    0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf,
    0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, /*  90 tag */
    0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef,
};                                                  /* 106 */
/* clang-format on */

/* ---- Helpers ---- */

/* A copy in memory of just that size, so that a sanitizer sees what is read behind it. The caller frees it.
 */
static uint8_t *copy_of(struct kf_view bytes)
{
    uint8_t *copy = malloc(bytes.length > 0 ? bytes.length : 1);
    assert_non_null(copy);
    if (bytes.length > 0)
        memcpy(copy, bytes.data, bytes.length);
    return copy;
}

/*
 * Scans `bytes` fed in pieces of `step` bytes, checking all the way what scanning promises of `needed`. The
 * answer is that of the last call.
 */
static enum kf_code scan_in_steps(struct kf_view bytes, size_t step, const struct kfi_header_limits *limits,
                                  struct kf_error *error, size_t *needed)
{
    struct kfi_header_scan scan = {0};
    size_t last = 0;
    for (size_t length = 0;; length = bytes.length - length > step ? length + step : bytes.length) {
        enum kf_code code = kfi_header_scan(&scan, kf_view_of(bytes.data, length), limits, error, needed);
        if (code != KF_WANT_INPUT)
            return code;
        assert_true(*needed > length);
        assert_true(scan.position <= length);
        if (scan.suite != NULL)
            assert_true(*needed >= last); /* it grows as more is known */
        last = *needed;
        if (length == bytes.length)
            return code;
    }
}

/* Scans `bytes` fed in several ways, which all have to answer the same. */
static enum kf_code scan_bytes(struct kf_view bytes, const struct kfi_header_limits *limits,
                               struct kf_error *error, size_t *needed)
{
    uint8_t *copy = copy_of(bytes);
    *error = (struct kf_error)KF_ERROR_INIT;
    struct kfi_header_scan scan = {0};
    enum kf_code code = kfi_header_scan(&scan, kf_view_of(copy, bytes.length), limits, error, needed);
    static const size_t steps[] = {1, 2, 3, 7, 50};
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct kf_error step_error = KF_ERROR_INIT;
        size_t step_needed;
        assert_int_equal(
            scan_in_steps(kf_view_of(copy, bytes.length), steps[i], limits, &step_error, &step_needed), code);
        assert_string_equal(step_error.text, error->text);
        assert_int_equal(step_needed, *needed);
    }
    free(copy);
    return code;
}

static const struct kf_header *parse(struct kf_view bytes)
{
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_header *header;
    if (kf_header_parse(bytes, 0, &error, &header) != KF_OK)
        fail_msg("%s", error.text);
    return header;
}

/* `bytes` are refused with `code` and a sentence that has `part` in it, however they are fed. */
static void assert_refused(struct kf_view bytes, const struct kfi_header_limits *limits, enum kf_code code,
                           const char *part)
{
    struct kf_error error;
    size_t needed;
    assert_int_equal(scan_bytes(bytes, limits, &error, &needed), code);
    assert_int_equal(error.code, code);
    if (strstr(error.text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, error.text);
    const struct kf_header *header;
    assert_int_equal(kfi_header_read(bytes, limits, &error, &header), code);
    assert_null(header);
    assert_int_equal(memory.held, 0);
}

/* The same of a whole header in which `length` bytes at `offset` are replaced; what is behind them is not
 * looked at. */
static void assert_replaced_refused(struct kf_view whole, size_t offset, const void *by, size_t length,
                                    const char *part)
{
    uint8_t *bytes = copy_of(whole);
    memcpy(bytes + offset, by, length);
    assert_refused(kf_view_of(bytes, whole.length), &no_limits, KF_E_MALFORMED, part);
    assert_refused(kf_view_of(bytes, offset + length), &no_limits, KF_E_MALFORMED, part);
    free(bytes);
}

static void assert_replaced_taken(struct kf_view whole, size_t offset, const void *by, size_t length)
{
    uint8_t *bytes = copy_of(whole);
    memcpy(bytes + offset, by, length);
    kf_header_unref(parse(kf_view_of(bytes, whole.length)));
    free(bytes);
}

#define WHOLE(array) kf_view_of(array, sizeof(array))
#define REFUSED(array, offset, by, part) \
    assert_replaced_refused(WHOLE(array), offset, by, sizeof(by) - 1, part)
#define TAKEN(array, offset, by) assert_replaced_taken(WHOLE(array), offset, by, sizeof(by) - 1)

static void assert_view(struct kf_view view, const void *bytes, size_t length)
{
    assert_int_equal(view.length, length);
    assert_memory_equal(view.data, bytes, length);
}

/* ---- Reading ---- */

static void format_1_is_read(void **state)
{
    (void)state;
    const struct kf_header *header = parse(WHOLE(format_1));
    assert_int_equal(kf_header_suite(header)->id, 0x0378);
    assert_view(kf_header_message_id(header), format_1 + 4, 16);
    const struct kf_encryption_context *context = kf_header_encryption_context(header);
    assert_int_equal(kf_encryption_context_count(context), 2);
    assert_view(kf_encryption_context_at(context, 0).key, "a", 1);
    assert_view(kf_encryption_context_at(context, 0).value, "one", 3);
    assert_view(kf_encryption_context_at(context, 1).key, "\xc3\xa4", 2);
    assert_view(kf_encryption_context_at(context, 1).value, "tw", 2);
    assert_int_equal(kf_header_edk_count(header), 2);
    assert_view(kf_header_edk(header, 0).provider_id, "raw", 3);
    assert_view(kf_header_edk(header, 0).provider_info, "k", 1);
    assert_view(kf_header_edk(header, 0).ciphertext, format_1 + 52, 4);
    assert_int_equal(kf_header_edk(header, 1).provider_id.length, 0);
    assert_int_equal(kf_header_edk(header, 1).provider_info.length, 0);
    assert_view(kf_header_edk(header, 1).ciphertext, format_1 + 62, 1);
    struct kf_edk beyond = kf_header_edk(header, 2);
    assert_int_equal(beyond.provider_id.length + beyond.provider_info.length + beyond.ciphertext.length, 0);
    assert_null(beyond.ciphertext.data);
    assert_int_equal(kf_header_frame_length(header), 4096);
    assert_int_equal(kf_header_length(header), sizeof format_1);

    assert_view(kf_view_of(header->bytes, header->length), format_1, sizeof format_1);
    assert_int_equal(header->body_length, 73);
    assert_int_equal(header->commit_key.length, 0);
    assert_memory_equal(header->iv, format_1 + 73, 12);
    assert_memory_equal(header->tag, format_1 + 85, 16);
    kf_header_unref(header);
    assert_int_equal(memory.held, 0);
}

static void format_2_is_read(void **state)
{
    (void)state;
    const struct kf_header *header = parse(WHOLE(format_2));
    assert_int_equal(kf_header_suite(header)->id, 0x0578);
    assert_view(kf_header_message_id(header), format_2 + 3, 32);
    assert_non_null(kf_header_encryption_context(header));
    assert_int_equal(kf_encryption_context_count(kf_header_encryption_context(header)), 0);
    assert_int_equal(kf_header_edk_count(header), 1);
    assert_view(kf_header_edk(header, 0).provider_id, "raw", 3);
    assert_true(kf_header_frame_length(header) == UINT32_MAX);
    assert_int_equal(kf_header_length(header), sizeof format_2);

    assert_int_equal(header->body_length, 90);
    assert_view(header->commit_key, format_2 + 58, 32);
    static const uint8_t zero_iv[KFI_IV_LENGTH];
    assert_memory_equal(header->iv, zero_iv, sizeof zero_iv);
    assert_memory_equal(header->tag, format_2 + 90, 16);
    kf_header_unref(header);
    assert_int_equal(memory.held, 0);
}

static void a_stored_iv_is_kept(void **state)
{
    (void)state;
    uint8_t bytes[sizeof format_1];
    memcpy(bytes, format_1, sizeof bytes);
    memcpy(bytes + 73, "the stored I", 12);
    const struct kf_header *header = parse(WHOLE(bytes));
    assert_memory_equal(header->iv, "the stored I", 12);
    kf_header_unref(header);
}

static void a_header_is_a_copy_with_references(void **state)
{
    (void)state;
    uint8_t *bytes = copy_of(WHOLE(format_2));
    const struct kf_header *header = parse(kf_view_of(bytes, sizeof format_2));
    free(bytes);
    assert_ptr_equal(kf_header_ref(header), header);
    kf_header_unref(header);
    assert_view(kf_header_message_id(header), format_2 + 3, 32);
    assert_true(header->message_id.data > header->bytes && header->commit_key.data > header->bytes);
    kf_header_unref(header);
    assert_int_equal(memory.held, 0);
    assert_null(kf_header_ref(NULL));
    kf_header_unref(NULL);
}

static void what_follows_the_header_does_not_matter(void **state)
{
    (void)state;
    uint8_t bytes[sizeof format_1 + 200];
    memset(bytes, 0xff, sizeof bytes);
    memcpy(bytes, format_1, sizeof format_1);
    const struct kf_header *header = parse(WHOLE(bytes));
    assert_int_equal(kf_header_length(header), sizeof format_1);
    assert_memory_equal(header->tag, format_1 + 85, 16);
    kf_header_unref(header);
}

static void unsorted_contexts_are_sorted_and_their_bytes_kept(void **state)
{
    (void)state;
    uint8_t bytes[sizeof format_1];
    memcpy(bytes, format_1, sizeof bytes);
    static const uint8_t swapped[] = {0x00, 0x02, 0xc3, 0xa4, 0x00, 0x02, 't', 'w',
                                      0x00, 0x01, 'a',  0x00, 0x03, 'o',  'n', 'e'};
    memcpy(bytes + 24, swapped, sizeof swapped);
    const struct kf_header *header = parse(WHOLE(bytes));
    assert_view(kf_view_of(header->bytes, header->length), bytes, sizeof bytes);
    assert_view(kf_encryption_context_serialized(header->encryption_context), format_1 + 22, 18);
    kf_header_unref(header);
}

/* ---- Cuts and pieces ---- */

static void assert_cuts(struct kf_view whole)
{
    struct kf_error error = KF_ERROR_INIT;
    size_t needed;
    assert_int_equal(scan_bytes(whole, &no_limits, &error, &needed), KF_OK);
    assert_int_equal(needed, whole.length);
    for (size_t length = 0; length < whole.length; length++) {
        assert_int_equal(scan_bytes(kf_view_of(whole.data, length), &no_limits, &error, &needed),
                         KF_WANT_INPUT);
        assert_true(needed > length && needed <= whole.length);
        const struct kf_header *header = (const struct kf_header *)&error;
        uint8_t *cut = copy_of(kf_view_of(whole.data, length));
        assert_int_equal(kf_header_parse(kf_view_of(cut, length), 0, &error, &header), KF_WANT_INPUT);
        assert_null(header);
        assert_non_null(strstr(error.text, length == 0 ? "is empty: it is not an AWS Encryption SDK message"
                                                       : "ends after"));
        assert_int_equal(kfi_header_read(kf_view_of(cut, length), &no_limits, &error, &header), KF_E_BUG);
        assert_null(header);
        free(cut);
    }
    /* Reading just what is needed, again and again, ends exactly at the header's end. */
    struct kfi_header_scan scan = {0};
    size_t length = 0, reads = 0;
    enum kf_code code;
    while ((code = kfi_header_scan(&scan, kf_view_of(whole.data, length), &no_limits, NULL, &needed)) ==
           KF_WANT_INPUT) {
        length = needed;
        reads++;
    }
    assert_int_equal(code, KF_OK);
    assert_int_equal(length, whole.length);
    assert_true(reads < 12);
    /* It stays there. */
    assert_int_equal(kfi_header_scan(&scan, whole, &no_limits, NULL, &needed), KF_OK);
    assert_int_equal(needed, whole.length);
}

static void every_cut_wants_input(void **state)
{
    (void)state;
    assert_cuts(WHOLE(format_1));
    assert_cuts(WHOLE(format_2));
    assert_int_equal(memory.held, 0);
}

static void the_shortest_headers_are_needed_at_once(void **state)
{
    (void)state;
    struct kfi_header_scan scan = {0};
    size_t needed;
    assert_int_equal(kfi_header_scan(&scan, kf_view_of(NULL, 0), &no_limits, NULL, &needed), KF_WANT_INPUT);
    assert_int_equal(needed, 68);
    assert_int_equal(kfi_header_scan(&scan, kf_view_of("\2", 1), &no_limits, NULL, &needed), KF_WANT_INPUT);
    assert_int_equal(needed, 98);
    scan = (struct kfi_header_scan){0};
    assert_int_equal(kfi_header_scan(&scan, kf_view_of("\1", 1), &no_limits, NULL, &needed), KF_WANT_INPUT);
    assert_int_equal(needed, 68);
    /* With the length of the AAD, of the list of EDKs and of their parts that grows. */
    scan = (struct kfi_header_scan){0};
    static const struct {
        size_t length, needed;
    } known[] = {{21, 68}, {22, 86}, {41, 86}, {42, 92}, {44, 95}, {49, 96}, {52, 100}, {61, 100}, {62, 101}};
    for (size_t i = 0; i < COUNT(known); i++) {
        assert_int_equal(
            kfi_header_scan(&scan, kf_view_of(format_1, known[i].length), &no_limits, NULL, &needed),
            KF_WANT_INPUT);
        assert_int_equal(needed, known[i].needed);
    }
}

static void only_a_whole_header_is_read(void **state)
{
    (void)state;
    uint8_t bytes[sizeof format_1 + 1];
    memcpy(bytes, format_1, sizeof format_1);
    bytes[sizeof format_1] = 0;
    struct kf_error error;
    const struct kf_header *header;
    assert_int_equal(kfi_header_read(WHOLE(bytes), &no_limits, &error, &header), KF_E_BUG);
    assert_null(header);
    assert_int_equal(kfi_header_read(WHOLE(format_1), &no_limits, &error, &header), KF_OK);
    kf_header_unref(header);
}

/* ---- Fields at and beyond their bounds ---- */

static void what_is_no_message_is_told(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte <= 0xff; byte++) {
        const uint8_t bytes[] = {(uint8_t)byte, 'x'};
        if (byte != 1 && byte != 2)
            assert_refused(WHOLE(bytes), &no_limits, KF_E_MALFORMED, "not an AWS Encryption SDK message");
    }
    assert_refused(kf_view_of("hello", 5), &no_limits, KF_E_MALFORMED, "begins with the byte 0x68");
    assert_refused(kf_view_of("\0", 1), &no_limits, KF_E_MALFORMED, "begins with the byte 0x00");
    assert_refused(kf_view_of("AX", 2), &no_limits, KF_E_MALFORMED, "begins with the byte 0x41");
    assert_refused(kf_view_of("AYADeA==", 8), &no_limits, KF_E_MALFORMED,
                   "looks like the base64 text of one. Decode it first");
    assert_refused(kf_view_of("AgV4", 4), &no_limits, KF_E_MALFORMED,
                   "looks like the base64 text of one. Decode it first");
    /* An A may begin a header or base64 text. */
    struct kf_error error;
    size_t needed;
    assert_int_equal(scan_bytes(kf_view_of("A", 1), &no_limits, &error, &needed), KF_WANT_INPUT);
    assert_int_equal(needed, 2);
}

static void the_type_is_80(void **state)
{
    (void)state;
    REFUSED(format_1, 1, "\x00", "second byte is 0x00");
    REFUSED(format_1, 1, "\x7f", "second byte is 0x7f");
    REFUSED(format_1, 1, "\x81", "second byte is 0x81");
}

static void the_suite_is_known_and_of_the_format(void **state)
{
    (void)state;
    static const char *const format_1_suites[] = {"\x00\x14", "\x00\x46", "\x00\x78", "\x01\x14", "\x01\x46",
                                                  "\x01\x78", "\x02\x14", "\x03\x46", "\x03\x78"};
    for (size_t i = 0; i < COUNT(format_1_suites); i++) {
        assert_replaced_taken(WHOLE(format_1), 2, format_1_suites[i], 2);
        assert_replaced_refused(WHOLE(format_2), 1, format_1_suites[i], 2, "goes with format 1");
    }
    static const char *const format_2_suites[] = {"\x04\x78", "\x05\x78"};
    for (size_t i = 0; i < COUNT(format_2_suites); i++) {
        assert_replaced_taken(WHOLE(format_2), 1, format_2_suites[i], 2);
        assert_replaced_refused(WHOLE(format_1), 2, format_2_suites[i], 2, "goes with format 2");
    }
    static const char *const no_suites[] = {"\x00\x00", "\x00\x72", "\x02\x78",
                                            "\x67\x01", "\x78\x03", "\xff\xff"};
    for (size_t i = 0; i < COUNT(no_suites); i++) {
        assert_replaced_refused(WHOLE(format_1), 2, no_suites[i], 2,
                                "none of the AWS Encryption SDK's suites");
        assert_replaced_refused(WHOLE(format_2), 1, no_suites[i], 2,
                                "none of the AWS Encryption SDK's suites");
    }
    REFUSED(format_1, 2, "\x02\x78", "suite is 0278");
}

static void the_encryption_context_fills_its_field(void **state)
{
    (void)state;
    /* The field is checked once all of it is there, up to byte 40. */
    REFUSED(format_1, 22, "\0\0\0\1a\0\3one\0\2\xc3\xa4\0\2tw", "has 0 pairs, but takes 18 bytes");
    REFUSED(format_1, 22, "\0\1\0\1a\0\3one\0\2\xc3\xa4\0\2tw", "its 1 pairs end 8 bytes earlier");
    REFUSED(format_1, 22, "\0\3\0\1a\0\3one\0\2\xc3\xa4\0\2tw", "Pair 3 of 3");
    REFUSED(format_1, 22, "\0\2\0\1a\0\3one\0\2\xc3\xa4\0\3tw", "Pair 2 of 2");
    REFUSED(format_1, 22, "\0\2\0\1a\0\3one\0\2\xc3\xa4\0\1tw", "end 1 bytes earlier");
    REFUSED(format_1, 22, "\0\2\0\1a\0\3one\0\2\xc0\x80\0\2tw", "not UTF-8");
    REFUSED(format_1, 22, "\0\2\0\1\xe4\0\3one\0\2\xc3\xa4\0\2tw", "not UTF-8");
    REFUSED(format_1, 20, "\0\1\0", "has 1 byte");
    REFUSED(format_1, 20, "\0\2\0\0", "has 0 pairs, but takes 2 bytes");
    TAKEN(format_1, 22, "\0\2\0\0\0\3one\0\3\xc3\xa4z\0\2tw");
}

static void no_key_comes_twice(void **state)
{
    (void)state;
    uint8_t bytes[sizeof format_1];
    memcpy(bytes, format_1, sizeof bytes);
    memcpy(bytes + 32, "\0\1a\0\3two", 8);
    struct kf_error error;
    size_t needed;
    /* A scan can't find that, because it keeps nothing. */
    assert_int_equal(scan_bytes(WHOLE(bytes), &no_limits, &error, &needed), KF_OK);
    const struct kf_header *header;
    assert_int_equal(kfi_header_read(WHOLE(bytes), &no_limits, &error, &header), KF_E_MALFORMED);
    assert_null(header);
    assert_non_null(strstr(error.text, "\"a\" twice"));
    assert_int_equal(kf_header_parse(WHOLE(bytes), 0, &error, &header), KF_E_MALFORMED);
    assert_null(header);
    assert_int_equal(memory.held, 0);
}

static void there_is_an_edk(void **state)
{
    (void)state;
    REFUSED(format_1, 40, "\0\0", "0 encrypted data keys; it needs at least 1");
    REFUSED(format_2, 37, "\0\0", "0 encrypted data keys; it needs at least 1");
}

static void the_content_type_is_1_or_2(void **state)
{
    (void)state;
    REFUSED(format_1, 63, "\x00", "content type, byte 63, is 0x00");
    REFUSED(format_1, 63, "\x03", "content type, byte 63, is 0x03");
    REFUSED(format_1, 63, "\xff", "content type, byte 63, is 0xff");
    REFUSED(format_2, 53, "\x00", "content type, byte 53, is 0x00");
    REFUSED(format_2, 53, "\x03", "content type, byte 53, is 0x03");
}

static void reserved_bytes_are_0(void **state)
{
    (void)state;
    REFUSED(format_1, 64, "\0\0\0\1", "from byte 64 on, are 00000001");
    REFUSED(format_1, 64, "\x80\0\0\0", "from byte 64 on, are 80000000");
}

static void the_iv_length_is_12(void **state)
{
    (void)state;
    REFUSED(format_1, 68, "\x0b", "IV length, byte 68, is 11; it has to be 12");
    REFUSED(format_1, 68, "\x0d", "IV length, byte 68, is 13");
    REFUSED(format_1, 68, "\x00", "IV length, byte 68, is 0");
}

static void the_frame_length_fits_the_content_type(void **state)
{
    (void)state;
    REFUSED(format_1, 69, "\0\0\0\0", "framed, but its frame length, from byte 69 on, is 0");
    REFUSED(format_2, 54, "\0\0\0\0", "framed, but its frame length, from byte 54 on, is 0");
    TAKEN(format_1, 69, "\0\0\0\1");
    TAKEN(format_1, 69, "\xff\xff\xff\xff");
    TAKEN(format_2, 54, "\0\0\0\1");
    REFUSED(format_1, 63, "\1\0\0\0\0\x0c\0\0\0\1",
            "not framed, but its frame length, from byte 69 on, is 1");
    REFUSED(format_2, 53, "\1\xff\xff\xff\xff",
            "not framed, but its frame length, from byte 54 on, is 4294967295");

    uint8_t bytes[sizeof format_1];
    memcpy(bytes, format_1, sizeof bytes);
    memcpy(bytes + 63, "\1\0\0\0\0\x0c\0\0\0\0", 10);
    const struct kf_header *header = parse(WHOLE(bytes));
    assert_int_equal(kf_header_frame_length(header), 0);
    kf_header_unref(header);
}

/* ---- Limits ---- */

static void too_many_edks_are_refused_before_any_is_read(void **state)
{
    (void)state;
    struct kf_error error;
    size_t needed;
    const struct kfi_header_limits two = {2, SIZE_MAX}, one = {1, SIZE_MAX};
    assert_int_equal(scan_bytes(WHOLE(format_1), &two, &error, &needed), KF_OK);
    assert_refused(WHOLE(format_1), &one, KF_E_LIMIT, "has 2 encrypted data keys; the limit is 1");
    assert_refused(kf_view_of(format_1, 42), &one, KF_E_LIMIT, "has 2 encrypted data keys; the limit is 1");
    const struct kf_header *header;
    assert_int_equal(kf_header_parse(WHOLE(format_1), 1, &error, &header), KF_E_LIMIT);
    assert_null(header);
    assert_int_equal(kf_header_parse(WHOLE(format_1), 2, &error, &header), KF_OK);
    kf_header_unref(header);

    uint8_t many[42];
    memcpy(many, format_1, sizeof many);
    memcpy(many + 40, "\xff\xff", 2);
    const struct kfi_header_limits most = {65534, SIZE_MAX};
    assert_refused(WHOLE(many), &most, KF_E_LIMIT, "has 65535 encrypted data keys; the limit is 65534");
}

static void a_header_that_gets_too_long_is_refused_as_soon_as_it_is_certain(void **state)
{
    (void)state;
    struct kf_error error;
    size_t needed;
    /* How many bytes it takes to know that the header has so many. */
    static const struct {
        size_t told_by, least;
    } known[] = {{1, 68}, {22, 86}, {42, 92}, {44, 95}, {49, 96}, {52, 100}, {62, 101}};
    for (size_t i = 0; i < COUNT(known); i++) {
        const struct kfi_header_limits below = {0, known[i].least - 1};
        assert_refused(kf_view_of(format_1, known[i].told_by), &below, KF_E_LIMIT, "header has at least");
        assert_int_equal(scan_bytes(kf_view_of(format_1, known[i].told_by - 1), &below, &error, &needed),
                         KF_WANT_INPUT);
    }
    const struct kfi_header_limits below = {0, 100}, exact = {0, 101}, none = {0, 0};
    assert_refused(WHOLE(format_1), &below, KF_E_LIMIT, "has at least 101 bytes; the limit is 100");
    assert_int_equal(scan_bytes(WHOLE(format_1), &exact, &error, &needed), KF_OK);
    assert_refused(WHOLE(format_1), &none, KF_E_LIMIT, "the limit is 0");
    assert_refused(WHOLE(format_2), &none, KF_E_LIMIT, "the limit is 0");

    /* A header that only claims to be long is refused for the claim. */
    uint8_t many[42];
    memcpy(many, format_1, sizeof many);
    memcpy(many + 40, "\xff\xff", 2);
    const struct kfi_header_limits modest = {0, 100000};
    assert_refused(WHOLE(many), &modest, KF_E_LIMIT, "has at least 393290 bytes; the limit is 100000");
    const struct kfi_header_limits exactly = {0, 393290};
    assert_int_equal(scan_bytes(WHOLE(many), &exactly, &error, &needed), KF_WANT_INPUT);
    assert_int_equal(needed, 393290);
}

/* ---- Writing ---- */

static uint8_t *write_header(const struct kfi_header_fields *fields, const uint8_t tag[KFI_TAG_LENGTH],
                             size_t *length)
{
    *length = kfi_header_body_length(fields) + kfi_header_auth_length(fields->suite);
    uint8_t *bytes = malloc(*length);
    assert_non_null(bytes);
    struct kfi_writer writer = {bytes, *length, false};
    kfi_header_write_body(&writer, fields);
    assert_int_equal(writer.room, kfi_header_auth_length(fields->suite));
    kfi_header_write_auth(&writer, fields->suite, tag);
    assert_false(writer.overflow);
    assert_int_equal(writer.room, 0);
    return bytes;
}

/* What a parsed header was written from. */
static struct kfi_header_fields fields_of(const struct kf_header *header)
{
    return (struct kfi_header_fields){
        .suite = header->suite,
        .message_id = header->message_id,
        .encryption_context = header->encryption_context,
        .edks = header->edks,
        .edk_count = header->edk_count,
        .frame_length = header->frame_length,
        .commit_key = header->commit_key.data,
    };
}

static void assert_written(struct kf_view whole)
{
    const struct kf_header *header = parse(whole);
    struct kfi_header_fields fields = fields_of(header);
    assert_int_equal(kfi_header_body_length(&fields), header->body_length);
    size_t length;
    uint8_t *bytes = write_header(&fields, header->tag, &length);
    assert_int_equal(length, whole.length);
    assert_memory_equal(bytes, whole.data, length);
    free(bytes);
    kf_header_unref(header);
    assert_int_equal(memory.held, 0);
}

static void what_was_read_is_written(void **state)
{
    (void)state;
    assert_written(WHOLE(format_1));
    assert_written(WHOLE(format_2));
    uint8_t not_framed[sizeof format_1];
    memcpy(not_framed, format_1, sizeof not_framed);
    memcpy(not_framed + 63, "\1\0\0\0\0\x0c\0\0\0\0", 10);
    assert_written(WHOLE(not_framed));
}

static void a_header_without_context_object(void **state)
{
    (void)state;
    const struct kf_header *header = parse(WHOLE(format_2));
    struct kfi_header_fields fields = fields_of(header);
    fields.encryption_context = NULL;
    size_t length;
    uint8_t *bytes = write_header(&fields, header->tag, &length);
    assert_int_equal(length, sizeof format_2);
    assert_memory_equal(bytes, format_2, sizeof format_2);
    free(bytes);
    kf_header_unref(header);
}

static void the_longest_lists_and_fields(void **state)
{
    (void)state;
    static uint8_t big[65535];
    memset(big, 'x', sizeof big);
    static struct kf_edk edks[65535];
    for (size_t i = 0; i < COUNT(edks); i++)
        edks[i] = (struct kf_edk){kf_view_of(big, i % 3), kf_view_of(big, 0), kf_view_of(big, i % 2)};
    /* Three parts of the greatest length at the end. */
    edks[65534] = (struct kf_edk){kf_view_of(big, 65535), kf_view_of(big, 65535), kf_view_of(big, 65535)};
    const struct kf_pair pair = {kf_view_of(big, 1), kf_view_of(big, 65535 - 7)};
    const struct kf_encryption_context *context;
    assert_int_equal(kf_encryption_context_new(&pair, 1, NULL, &context), KF_OK);
    static const enum kf_suite suites[] = {KF_AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384,
                                           KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY};
    for (size_t i = 0; i < COUNT(suites); i++) {
        const struct kfi_suite *suite = kfi_suite_get(suites[i]);
        const struct kfi_header_fields fields = {.suite = suite,
                                                 .message_id = kf_view_of(big, suite->message_id_length),
                                                 .encryption_context = context,
                                                 .edks = edks,
                                                 .edk_count = COUNT(edks),
                                                 .frame_length = 1,
                                                 .commit_key = big};
        size_t length;
        uint8_t *bytes = write_header(&fields, big, &length);
        struct kf_error error = KF_ERROR_INIT;
        size_t needed;
        assert_int_equal(scan_bytes(kf_view_of(bytes, length), &no_limits, &error, &needed), KF_OK);
        assert_int_equal(needed, length);
        const struct kfi_header_limits exact = {65535, length};
        const struct kf_header *header;
        assert_int_equal(kfi_header_read(kf_view_of(bytes, length), &exact, NULL, &header), KF_OK);
        free(bytes);
        assert_int_equal(kf_header_edk_count(header), 65535);
        for (size_t k = 0; k < COUNT(edks); k++) {
            assert_int_equal(kf_header_edk(header, k).provider_id.length, edks[k].provider_id.length);
            assert_int_equal(kf_header_edk(header, k).ciphertext.length, edks[k].ciphertext.length);
        }
        assert_view(kf_header_edk(header, 65534).ciphertext, big, 65535);
        assert_view(kf_encryption_context_at(kf_header_encryption_context(header), 0).value, big, 65535 - 7);
        kf_header_unref(header);
    }
    kf_encryption_context_unref(context);
    assert_int_equal(memory.held, 0);
}

/* ---- Without memory ---- */

static void without_memory_nothing_is_lost(void **state)
{
    (void)state;
    const struct kf_header *header;
    for (size_t number = 1; number <= 2; number++) {
        struct kf_error error = KF_ERROR_INIT;
        fail_allocation(number);
        assert_int_equal(kfi_header_read(WHOLE(format_1), &no_limits, &error, &header), KF_E_NO_MEMORY);
        assert_int_equal(error.code, KF_E_NO_MEMORY);
        assert_null(header);
        fail_allocation(number);
        assert_int_equal(kf_header_parse(WHOLE(format_1), 0, NULL, &header), KF_E_NO_MEMORY);
        assert_null(header);
        assert_int_equal(memory.held, 0);
    }
    /* There is no third allocation. */
    fail_allocation(3);
    assert_int_equal(kf_header_parse(WHOLE(format_1), 0, NULL, &header), KF_OK);
    fail_allocation(0);
    kf_header_unref(header);
    assert_int_equal(memory.held, 0);
}

int main(void)
{
    failing_allocator_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_1_is_read),
        cmocka_unit_test(format_2_is_read),
        cmocka_unit_test(a_stored_iv_is_kept),
        cmocka_unit_test(a_header_is_a_copy_with_references),
        cmocka_unit_test(what_follows_the_header_does_not_matter),
        cmocka_unit_test(unsorted_contexts_are_sorted_and_their_bytes_kept),
        cmocka_unit_test(every_cut_wants_input),
        cmocka_unit_test(the_shortest_headers_are_needed_at_once),
        cmocka_unit_test(only_a_whole_header_is_read),
        cmocka_unit_test(what_is_no_message_is_told),
        cmocka_unit_test(the_type_is_80),
        cmocka_unit_test(the_suite_is_known_and_of_the_format),
        cmocka_unit_test(the_encryption_context_fills_its_field),
        cmocka_unit_test(no_key_comes_twice),
        cmocka_unit_test(there_is_an_edk),
        cmocka_unit_test(the_content_type_is_1_or_2),
        cmocka_unit_test(reserved_bytes_are_0),
        cmocka_unit_test(the_iv_length_is_12),
        cmocka_unit_test(the_frame_length_fits_the_content_type),
        cmocka_unit_test(too_many_edks_are_refused_before_any_is_read),
        cmocka_unit_test(a_header_that_gets_too_long_is_refused_as_soon_as_it_is_certain),
        cmocka_unit_test(what_was_read_is_written),
        cmocka_unit_test(a_header_without_context_object),
        cmocka_unit_test(the_longest_lists_and_fields),
        cmocka_unit_test(without_memory_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
