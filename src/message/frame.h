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
 * Marks the final frame: it stands where a regular frame has its number. So no regular frame has this number.
 * The final frame can have it, if it is number 2^32-1 and the message has as many frames as possible.
 */
#define KFI_SEQUENCE_END UINT32_C(0xFFFFFFFF)

/* The bytes before the ciphertext: 16 of a regular frame, 24 of a final one, 20 of a body without frames. */
size_t kfi_frame_front_length(enum kfi_body_kind kind);

/* The IV that we write: the sequence number in 12 bytes. */
void kfi_frame_iv(uint32_t sequence, uint8_t iv[KFI_IV_LENGTH]);

/*
 * Writes what comes before the ciphertext of a frame. We make no single blocks. A regular frame never has the
 * number KFI_SEQUENCE_END. Its `length` is that of the header and is not written.
 */
void kfi_frame_write_front(struct kfi_writer *writer, enum kfi_body_kind kind, uint32_t sequence,
                           uint32_t length);

/* What comes before a ciphertext. */
struct kfi_frame_front {
    enum kfi_body_kind kind;
    uint32_t sequence;         /* 1 for a single block */
    uint8_t iv[KFI_IV_LENGTH]; /* as stored */
    uint64_t length;           /* of the ciphertext */
};

/*
 * Reads the front of the next frame, or of the single block if `frame_length` is 0. Bytes behind it are left
 * alone. KF_OK: the front has as many bytes as kfi_frame_front_length says. KF_WANT_INPUT: `bytes` ends too
 * early. The sequence number has to be `expected`, 1 or more. The length is at most `frame_length` in a final
 * frame and 2^36-32 in a single block. Errors: KF_E_MALFORMED.
 */
enum kf_code kfi_frame_read_front(struct kf_view bytes, uint32_t frame_length, uint32_t expected,
                                  struct kf_error *error, struct kfi_frame_front *out);

/* The additional data of a frame or block. `length` is that of its plaintext. */
#define KFI_BODY_AAD_MAX (KFI_MESSAGE_ID_MAX + 35 + 4 + 8)
struct kfi_body_aad {
    uint8_t bytes[KFI_BODY_AAD_MAX];
    size_t length;
};
void kfi_body_aad(struct kf_view message_id, enum kfi_body_kind kind, uint32_t sequence, uint64_t length,
                  struct kfi_body_aad *out);

#endif
