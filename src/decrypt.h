/*
 * One-shot decryption that may have to wait for its keys: what kf_decrypt blocks on, and jobs.c polls.
 */
#ifndef KFI_DECRYPT_H
#define KFI_DECRYPT_H

#include <keyflight/decrypt.h>

/* A decryptor for `message` and no other. Errors: those of kf_decrypt that show before it is read. */
enum kf_code kfi_decrypt_begin(struct kf_cmm *cmm, const struct kf_decrypt_options *options,
                               struct kf_view message, struct kf_error *error, struct kf_decryptor **out);

/*
 * Goes on with it, always with the same whole message: KF_OK and the plaintext in `*out` (which
 * was empty), KF_PENDING (never without a waker: then it blocks; nothing was written), or an error.
 */
enum kf_code kfi_decrypt_poll(struct kf_decryptor *decryptor, struct kf_view message,
                              const struct kf_waker *waker, struct kf_error *error, struct kf_buf *out);

#endif
