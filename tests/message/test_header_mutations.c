/*
 * Two hundred thousand damaged headers, the same in every run. Each is refused, or accepted and then written back to the
 * same bytes. A sanitizer sees whether anything outside of them is read.
 */
#include <stdlib.h>

#include "message/header.h"
#include "support/failing_allocator.h"

#define ROUNDS 200000

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

/* A number below `bound`, by xorshift64*. */
static size_t below(size_t bound)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (size_t)((random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % bound;
}

/* A valid header of `suite` to be damaged; the caller frees the bytes. */
static struct kf_view make_header(enum kf_suite suite_id, const struct kf_encryption_context *context,
                                  uint32_t frame_length)
{
    static const uint8_t message_id[32] = {1, 2, 3}, commit_key[KFI_COMMIT_KEY_LENGTH] = {4, 5, 6};
    static const uint8_t tag[KFI_TAG_LENGTH] = {7, 8, 9};
    const struct kf_edk edks[] = {
        {kf_view_text("provider"), kf_view_text("key"), kf_view_text("ciphertext")},
        {kf_view_text(""), kf_view_text(""), kf_view_text("")},
        {kf_view_text("aws-kms"), kf_view_text("arn:aws:kms:eu-central-1:111122223333:alias/x"),
         kf_view_text("x")},
    };
    const struct kfi_suite *suite = kfi_suite_get(suite_id);
    assert_non_null(suite);
    const struct kfi_header_fields fields = {.suite = suite,
                                             .message_id = kf_view_of(message_id, suite->message_id_length),
                                             .encryption_context = context,
                                             .edks = edks,
                                             .edk_count = 3,
                                             .frame_length = frame_length,
                                             .commit_key = commit_key};
    size_t length = kfi_header_body_length(&fields) + kfi_header_auth_length(suite);
    uint8_t *bytes = malloc(length);
    assert_non_null(bytes);
    struct kfi_writer writer = {bytes, length, false};
    kfi_header_write_body(&writer, &fields);
    kfi_header_write_auth(&writer, suite, tag);
    assert_false(writer.overflow);
    return kf_view_of(bytes, length);
}

/* Damages up to four bytes: sets, flips or increments them, most often where the lengths are. */
static void damage(uint8_t *bytes, size_t length)
{
    static const uint8_t liked[] = {0x00, 0x01, 0x02, 0x0c, 0x7f, 0x80, 0xc0, 0xff};
    for (size_t changes = below(5); changes > 0; changes--) {
        uint8_t *byte = &bytes[below(length)];
        switch (below(4)) {
        case 0:
            *byte = liked[below(sizeof liked)];
            break;
        case 1:
            *byte ^= (uint8_t)(1u << below(8));
            break;
        case 2:
            ++*byte;
            break;
        default:
            --*byte;
            break;
        }
    }
}

/* Whether writing the header's fields gives its bytes. */
static void assert_written_back(const struct kf_header *header)
{
    const struct kfi_header_fields fields = {.suite = header->suite,
                                             .message_id = header->message_id,
                                             .encryption_context = header->encryption_context,
                                             .edks = header->edks,
                                             .edk_count = header->edk_count,
                                             .frame_length = header->frame_length,
                                             .commit_key = header->commit_key.data};
    assert_int_equal(kfi_header_body_length(&fields), header->body_length);
    assert_int_equal(header->body_length + kfi_header_auth_length(header->suite), header->length);
    uint8_t bytes[512];
    assert_true(header->body_length <= sizeof bytes);
    struct kfi_writer writer = {bytes, header->body_length, false};
    kfi_header_write_body(&writer, &fields);
    assert_false(writer.overflow);
    /* The pairs are written sorted, whatever their order was. */
    size_t aad = (size_t)(header->message_id.data - header->bytes) + header->message_id.length + 2;
    size_t aad_length = kf_encryption_context_serialized(header->encryption_context).length;
    assert_memory_equal(bytes, header->bytes, aad);
    assert_memory_equal(bytes + aad + aad_length, header->bytes + aad + aad_length,
                        header->body_length - aad - aad_length);
}

static void damaged_headers_are_refused_or_whole(void **state)
{
    (void)state;
    const struct kf_encryption_context *context;
    assert_int_equal(
        kf_encryption_context_of(NULL, &context, "a", "1", "purpose", "demo", "\xc3\xa4", "", (char *)NULL),
        KF_OK);
    const struct kf_view headers[] = {
        make_header(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, context, 4096),
        make_header(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384, NULL, 1),
        make_header(KF_AES_128_GCM_IV12_TAG16_NO_KDF, context, 0),
        make_header(KF_AES_192_GCM_IV12_TAG16_HKDF_SHA256, NULL, UINT32_MAX),
    };
    kf_encryption_context_unref(context);
    size_t held = memory.held;
    size_t taken = 0, cut = 0, malformed = 0, limited = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        struct kf_view header_bytes = headers[round % 4];
        size_t length = header_bytes.length - (below(8) == 0 ? below(header_bytes.length) : 0);
        /* In memory of just that size. */
        uint8_t *bytes = malloc(length);
        assert_non_null(bytes);
        memcpy(bytes, header_bytes.data, length);
        damage(bytes, length);

        const struct kfi_header_limits limits = {below(4) == 0 ? 1 + below(5) : 0,
                                                 below(4) == 0 ? below(400) : SIZE_MAX};
        struct kfi_header_scan scan = {0};
        size_t whole_needed, needed;
        enum kf_code whole_code =
            kfi_header_scan(&scan, kf_view_of(bytes, length), &limits, NULL, &whole_needed);
        scan = (struct kfi_header_scan){0};
        enum kf_code code = kfi_header_scan(&scan, kf_view_of(bytes, below(length)), &limits, NULL, &needed);
        if (code == KF_WANT_INPUT)
            code = kfi_header_scan(&scan, kf_view_of(bytes, length), &limits, NULL, &needed);
        assert_int_equal(code, whole_code);
        assert_int_equal(needed, whole_needed);

        const struct kf_header *header;
        switch (code) {
        case KF_OK:
            assert_true(needed <= length);
            code = kfi_header_read(kf_view_of(bytes, needed), &limits, NULL, &header);
            if (code == KF_OK) {
                assert_written_back(header);
                kf_header_unref(header);
                taken++;
                break;
            }
            assert_int_equal(code, KF_E_MALFORMED); /* a key twice */
            malformed++;
            break;
        case KF_WANT_INPUT:
            assert_true(needed > length);
            cut++;
            break;
        case KF_E_LIMIT:
            limited++;
            break;
        default:
            assert_int_equal(code, KF_E_MALFORMED);
            malformed++;
            break;
        }
        free(bytes);
    }
    /* Each answer was seen often: the damage was neither too small nor too great. */
    assert_true(taken > ROUNDS / 20 && cut > ROUNDS / 20 && malformed > ROUNDS / 20 && limited > ROUNDS / 20);
    assert_int_equal(memory.held, held);
    for (size_t i = 0; i < 4; i++)
        free((void *)(uintptr_t)headers[i].data);
}

int main(void)
{
    failing_allocator_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_headers_are_refused_or_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
