/*
 * A message header: what a message says about itself, readable without any key.
 * (S: data-format/message-header.md)
 */
#ifndef KEYFLIGHT_HEADER_H
#define KEYFLIGHT_HEADER_H

#include <keyflight/materials.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A header that was read. It never changes. Nobody has verified it unless it comes from a decryption.
 */
struct kf_header;

/*
 * Reads the header at the front of `message`, of which any part may be given. What follows the header is not looked
 * at. KF_WANT_INPUT: the header does not end within what is given. A header with more than `max_edks` encrypted
 * data keys is refused (0: any number). Errors: KF_E_USAGE, KF_E_MALFORMED, KF_E_LIMIT, KF_E_NO_MEMORY.
 */
KF_CODE kf_header_parse(struct kf_view message, uint16_t max_edks, struct kf_error *error,
                        const struct kf_header **out);

KF_API const struct kf_header *kf_header_ref(const struct kf_header *header);
KF_API void kf_header_unref(const struct kf_header *header);

/* What a header says. What is answered lives as long as the header. */
KF_API const struct kf_suite_info *kf_header_suite(const struct kf_header *header);
/* The message's id: 16 bytes in format 1, 32 in format 2. */
KF_API struct kf_view kf_header_message_id(const struct kf_header *header);
/* The pairs that the message stores. */
KF_API const struct kf_encryption_context *kf_header_encryption_context(const struct kf_header *header);
/* The number of encrypted data keys, at least 1, and number `index`, which is less than that. */
KF_API size_t kf_header_edk_count(const struct kf_header *header);
KF_API struct kf_edk kf_header_edk(const struct kf_header *header, size_t index);
/* Bytes of plaintext in a frame: 1 to 2^32-1; 0 for a body that is not framed. */
KF_API uint32_t kf_header_frame_length(const struct kf_header *header);
/* Bytes of the header in the message, with its authentication tag. */
KF_API size_t kf_header_length(const struct kf_header *header);

#ifdef __cplusplus
}
#endif

#endif
