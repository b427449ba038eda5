/*
 * Text from outside: environment variables, options, replies of services.
 */
#ifndef KFI_AWS_SERVICE_TEXT_H
#define KFI_AWS_SERVICE_TEXT_H

#include <keyflight/types.h>

/* The value of an environment variable; NULL if it is not set, or empty. */
const char *kfi_aws_environment(const char *name);

/* Whether `text` is all printable ASCII; "visible" is the same without the blank. */
bool kfi_text_is_printable(struct kf_view text);
bool kfi_text_is_visible(struct kf_view text);

/* Whether `text` consists of ASCII letters, digits, and the characters of `others`. */
bool kfi_text_consists_of(struct kf_view text, const char *others);

/* The whole number from 1 to `most` (9999 at most) that `text` is; 0 if it is anything else. */
uint32_t kfi_text_number(const char *text, uint32_t most);

/*
 * Makes a line of printable ASCII of `text`, so that a sentence can show what somebody else said: control
 * characters become blanks, others question marks. What does not fit into `room` bytes is cut and ends in "…".
 */
void kfi_text_show(char *to, size_t room, struct kf_view text);

#endif
