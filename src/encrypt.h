/*
 * One-shot encryption that may have to wait for its keys: what kf_encrypt blocks on, and jobs.c polls.
 */
#ifndef KFI_ENCRYPT_H
#define KFI_ENCRYPT_H

#include <keyflight/encrypt.h>

/* An encryptor for `plaintext` and no other. Errors: those of kf_encrypt that show before it asks for keys. */
enum kf_code kfi_encrypt_begin(struct kf_cmm *cmm, const struct kf_encrypt_options *options,
                               struct kf_view plaintext, struct kf_error *error, struct kf_encryptor **out);

/*
 * Goes on with it, always with the same plaintext: KF_OK and the message in `*out` (which was empty),
 * KF_PENDING (never without a waker: then it blocks; nothing was written), or an error.
 */
enum kf_code kfi_encrypt_poll(struct kf_encryptor *encryptor, struct kf_view plaintext,
                              const struct kf_waker *waker, struct kf_error *error, struct kf_buf *out);

#endif
