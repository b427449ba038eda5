/*
 * Any bytes as the front of a message: parsed whole, scanned byte by byte, and written again.
 */
#include <string.h>

#include "fuzz/fuzz.h"

#include "message/header.h"

/*
 * As decrypt.c does it, but with as few bytes at a time as possible. `*needed` never takes a byte of the
 * body.
 */
static enum kf_code scan_slowly(struct kf_view message, struct kf_error *error, size_t *length)
{
    static const struct kfi_header_limits limits = {0, SIZE_MAX};
    struct kfi_header_scan scan = {0};
    enum kf_code code = KF_WANT_INPUT;
    size_t before = 0;
    for (size_t given = 0; code == KF_WANT_INPUT && given <= message.length; given++) {
        code = kfi_header_scan(&scan, kf_view_of(message.data, given), &limits, error, length);
        if (code < KF_OK)
            return code;
        CHECK(*length >= before || message.data[0] == 'A'); /* it may turn out to be base64 text */
        CHECK(code == KF_OK ? *length == given : *length > given);
        before = *length;
    }
    return code;
}

/* Writes the header's body again from its fields. Pairs that are out of order are written in order. */
static void check_written(const struct kf_header *header)
{
    const struct kfi_header_fields fields = {
        .suite = header->suite,
        .message_id = header->message_id,
        .encryption_context = header->encryption_context,
        .edks = header->edks,
        .edk_count = header->edk_count,
        .frame_length = header->frame_length,
        .commit_key = header->commit_key.data,
    };
    CHECK(kfi_header_body_length(&fields) == header->body_length);
    CHECK(header->body_length + kfi_header_auth_length(header->suite) == header->length);
    uint8_t *again = malloc(header->body_length);
    struct kfi_writer writer = {again, header->body_length, false};
    kfi_header_write_body(&writer, &fields);
    CHECK(!writer.overflow && writer.room == 0);
    const size_t context = (size_t)(header->message_id.data - header->bytes) + header->message_id.length + 2;
    const struct kf_view sorted = kf_encryption_context_serialized(header->encryption_context);
    if (sorted.length > 0)
        memcpy(header->bytes + context, sorted.data, sorted.length);
    CHECK(memcmp(again, header->bytes, header->body_length) == 0);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct kf_error error = KF_ERROR_INIT, slow_error = KF_ERROR_INIT;
    const struct kf_header *header;
    size_t needed = 0;
    const enum kf_code code = kf_header_parse(kf_view_of(data, length), 0, &error, &header);
    const enum kf_code slow = scan_slowly(kf_view_of(data, length), &slow_error, &needed);
    if (code == KF_OK) {
        CHECK(slow == KF_OK && needed == kf_header_length(header) && needed <= length);
        check_written(header);
    } else if (code == KF_WANT_INPUT) {
        CHECK(slow == KF_WANT_INPUT && needed > length);
    } else {
        CHECK_REFUSED(code, &error);
        CHECK(header == NULL && code == KF_E_MALFORMED);
        /* A key that comes twice is noticed only when the header is read. */
        CHECK(slow == code || (slow == KF_OK && strstr(error.text, "twice") != NULL));
    }
    /* Limits refuse; they don't change what is read. */
    const struct kf_header *limited;
    const enum kf_code bounded = kf_header_parse(kf_view_of(data, length), 2, &error, &limited);
    CHECK(bounded == code || bounded == KF_E_LIMIT);
    CHECK(bounded != KF_OK || kf_header_edk_count(limited) <= 2);
    kf_header_unref(limited);
    kf_header_unref(header);
    return 0;
}
