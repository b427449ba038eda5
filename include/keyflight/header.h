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
 * A parsed header; reference-counted, never changes. Unless it came from a decryptor, nobody has verified it.
 */
struct kf_header;

/*
 * Parses the header at the front of `message`, which may be cut anywhere and may go on behind it. `max_edks`
 * bounds the EDKs (0: no limit). KF_WANT_INPUT if the header goes on behind what is given. Errors:
 * KF_E_MALFORMED, KF_E_LIMIT, KF_E_NO_MEMORY.
 */
KF_CODE kf_header_parse(struct kf_view message, uint16_t max_edks, struct kf_error *error,
                        const struct kf_header **out);

KF_API const struct kf_header *kf_header_ref(const struct kf_header *header);
KF_API void kf_header_unref(const struct kf_header *header); /* NULL is allowed */

KF_API const struct kf_suite_info *kf_header_suite(const struct kf_header *header);
/* 16 bytes in format 1, 32 in format 2. Views live as long as the header. */
KF_API struct kf_view kf_header_message_id(const struct kf_header *header);
/* The pairs stored in the message. */
KF_API const struct kf_encryption_context *kf_header_encryption_context(const struct kf_header *header);
KF_API size_t kf_header_edk_count(const struct kf_header *header);
KF_API struct kf_edk kf_header_edk(const struct kf_header *header, size_t index);
/* 1 to 2^32-1 bytes; 0 for a body that is not framed. */
KF_API uint32_t kf_header_frame_length(const struct kf_header *header);
/* Bytes of the header on the wire, its authentication tag included. */
KF_API size_t kf_header_length(const struct kf_header *header);

#ifdef __cplusplus
}
#endif

#endif
