/*
 * Base64 with the standard alphabet and padding, for keys of at most KF_DATA_KEY_MAX bytes. Called for key
 * files.
 */
#ifndef CLI_BASE64_H
#define CLI_BASE64_H

#include <keyflight/keyflight.h>

#define CLI_BASE64_MAX 44 /* KF_DATA_KEY_MAX bytes as text */

/* Decodes a whole text. Answers the length; 0 if it is not base64, is empty, or is too long for `bytes`. */
size_t cli_base64_decode(struct kf_view text, uint8_t bytes[KF_DATA_KEY_MAX]);

/* Encodes at most KF_DATA_KEY_MAX bytes. Answers the length of the text. */
size_t cli_base64_encode(struct kf_view bytes, uint8_t text[CLI_BASE64_MAX]);

#endif
