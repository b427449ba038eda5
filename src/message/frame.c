/*
 * Frames: see frame.h. Called by encrypt.c and decrypt.c for each frame. Never sees keys or the content of a
 * frame.
 */
#include "message/frame.h"

#include <inttypes.h>

/*
 * The most bytes that AES-GCM encrypts under one IV. (S: data-format/message-body.md#encrypted-content-length)
 */
#define SINGLE_BLOCK_MAX ((UINT64_C(1) << 36) - 32)

size_t kfi_frame_front_length(enum kfi_body_kind kind)
{
    switch (kind) {
    case KFI_REGULAR_FRAME:
        return 4 + KFI_IV_LENGTH;
    case KFI_FINAL_FRAME:
        return 4 + 4 + KFI_IV_LENGTH + 4;
    case KFI_SINGLE_BLOCK:
        break;
    }
    return KFI_IV_LENGTH + 8;
}

void kfi_frame_iv(uint32_t sequence, uint8_t iv[KFI_IV_LENGTH])
{
    struct kfi_writer writer = {iv, KFI_IV_LENGTH, false};
    kfi_write_u64(&writer, 0);
    kfi_write_u32(&writer, sequence);
}

void kfi_frame_write_front(struct kfi_writer *writer, enum kfi_body_kind kind, uint32_t sequence,
                           uint32_t length)
{
    uint8_t iv[KFI_IV_LENGTH];
    kfi_frame_iv(sequence, iv);
    if (kind == KFI_FINAL_FRAME)
        kfi_write_u32(writer, KFI_SEQUENCE_END);
    kfi_write_u32(writer, sequence);
    kfi_write_bytes(writer, kf_view_of(iv, sizeof iv));
    if (kind == KFI_FINAL_FRAME)
        kfi_write_u32(writer, length);
}

/* Reads the IV as it is stored: in some official messages it is not the sequence number. */
static void frame_read_iv(struct kfi_reader *reader, uint8_t iv[KFI_IV_LENGTH])
{
    struct kf_view stored = kfi_read_bytes(reader, KFI_IV_LENGTH);
    if (stored.length == KFI_IV_LENGTH)
        memcpy(iv, stored.data, KFI_IV_LENGTH);
}

static enum kf_code frame_read_single_block(struct kf_view bytes, struct kf_error *error,
                                            struct kfi_frame_front *out)
{
    struct kfi_reader reader = {bytes, false};
    out->kind = KFI_SINGLE_BLOCK;
    out->sequence = 1;
    frame_read_iv(&reader, out->iv);
    out->length = kfi_read_u64(&reader);
    if (reader.short_read)
        return KF_WANT_INPUT;
    if (out->length > SINGLE_BLOCK_MAX)
        return kf_error_set(error, KF_E_MALFORMED,
                            "The message's body says that it has %" PRIu64 " bytes; at most %" PRIu64
                            " are allowed.",
                            out->length, SINGLE_BLOCK_MAX);
    return KF_OK;
}

enum kf_code kfi_frame_read_front(struct kf_view bytes, uint32_t frame_length, uint32_t expected,
                                  struct kf_error *error, struct kfi_frame_front *out)
{
    if (frame_length == 0)
        return frame_read_single_block(bytes, error, out);
    struct kfi_reader reader = {bytes, false};
    out->kind = KFI_REGULAR_FRAME;
    out->sequence = kfi_read_u32(&reader);
    if (out->sequence == KFI_SEQUENCE_END) {
        out->kind = KFI_FINAL_FRAME;
        out->sequence = kfi_read_u32(&reader);
    }
    frame_read_iv(&reader, out->iv);
    out->length = out->kind == KFI_FINAL_FRAME ? kfi_read_u32(&reader) : frame_length;
    if (reader.short_read)
        return KF_WANT_INPUT;
    if (out->sequence != expected)
        return kf_error_set(error, KF_E_MALFORMED,
                            "Frame %" PRIu32 " of the message was expected, but frame %" PRIu32
                            " comes: frames are missing, repeated or out of order.",
                            expected, out->sequence);
    if (out->length > frame_length)
        return kf_error_set(error, KF_E_MALFORMED,
                            "The message's final frame says that it has %" PRIu64
                            " bytes; the header allows %" PRIu32 " in a frame.",
                            out->length, frame_length);
    return KF_OK;
}

void kfi_body_aad(struct kf_view message_id, enum kfi_body_kind kind, uint32_t sequence, uint64_t length,
                  struct kfi_body_aad *out)
{
    static const char *const contents[] = {
        [KFI_REGULAR_FRAME] = "AWSKMSEncryptionClient Frame",
        [KFI_FINAL_FRAME] = "AWSKMSEncryptionClient Final Frame",
        [KFI_SINGLE_BLOCK] = "AWSKMSEncryptionClient Single Block",
    };
    struct kfi_writer writer = {out->bytes, sizeof out->bytes, false};
    /* 16 bytes in format 1, 32 in format 2. The table of the specification has format 1 only. */
    kfi_write_bytes(&writer, message_id);
    kfi_write_bytes(&writer, kf_view_text(contents[kind]));
    kfi_write_u32(&writer, sequence);
    kfi_write_u64(&writer, length);
    out->length = sizeof out->bytes - writer.room;
}
