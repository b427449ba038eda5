/*
 * Frames of a message body, their IVs and additional data.
 * (S: data-format/message-body.md, data-format/message-body-aad.md)
 */
#ifndef KFI_MESSAGE_FRAME_H
#define KFI_MESSAGE_FRAME_H

#include "base/bytes.h"
#include "suite/suite.h"

enum kfi_body_kind {
    KFI_REGULAR_FRAME,
    KFI_FINAL_FRAME,
    KFI_SINGLE_BLOCK
};

/*
 * Stands where a regular frame has its number and marks the final frame, so that no regular frame has this
 * number. The final frame itself may, as number 2^32-1 of the most frames that a message can have.
 */
#define KFI_SEQUENCE_END UINT32_C(0xFFFFFFFF)

/* Bytes before the ciphertext: 16 of a regular frame, 24 of a final one, 20 of a body that is not framed. */
size_t kfi_frame_front_length(enum kfi_body_kind kind);

/* The IV that writers use: the sequence number in 12 bytes. */
void kfi_frame_iv(uint32_t sequence, uint8_t iv[KFI_IV_LENGTH]);

/*
 * Writes what stands before the ciphertext of a frame that we make (never a single block). A regular frame is
 * never number KFI_SEQUENCE_END, and its `length` is the header's frame length, which is not written.
 */
void kfi_frame_write_front(struct kfi_writer *writer, enum kfi_body_kind kind, uint32_t sequence,
                           uint32_t length);

/* What stands before a ciphertext. */
struct kfi_frame_front {
    enum kfi_body_kind kind;
    uint32_t sequence;         /* 1 for a single block */
    uint8_t iv[KFI_IV_LENGTH]; /* as stored */
    uint64_t length;           /* of the ciphertext */
};

/*
 * Reads the front of the next frame (or, with frame_length 0, of the single block) from `bytes`, which may go
 * on behind it: KF_OK (the front has kfi_frame_front_length of its kind), or KF_WANT_INPUT if it goes on
 * behind them. Checks the sequence number, which has to be `expected` (1 and up; number KFI_SEQUENCE_END can
 * only be a final frame), and the length: a final frame's is at most frame_length, a single block's at most
 * 2^36-32. Errors: KF_E_MALFORMED.
 */
enum kf_code kfi_frame_read_front(struct kf_view bytes, uint32_t frame_length, uint32_t expected,
                                  struct kf_error *error, struct kfi_frame_front *out);

/* The additional data of a frame or block; `length` is that of its plaintext. */
#define KFI_BODY_AAD_MAX (KFI_MESSAGE_ID_MAX + 35 + 4 + 8)
struct kfi_body_aad {
    uint8_t bytes[KFI_BODY_AAD_MAX];
    size_t length;
};
void kfi_body_aad(struct kf_view message_id, enum kfi_body_kind kind, uint32_t sequence, uint64_t length,
                  struct kfi_body_aad *out);

#endif
