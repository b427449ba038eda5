/*
 * How this room calls libcrypto, so that a fork never finds one of libcrypto's locks held.
 */
#ifndef KFI_SUITE_LIBCRYPTO_H
#define KFI_SUITE_LIBCRYPTO_H

/*
 * Every use of libcrypto that may take a lock stands between these two: random bytes, keys, signatures, whatever
 * fetches. So a fork waits until it is done (base/fork.h), and no error stays in the thread's queue. They may
 * nest. Nothing of the user's is called in between: no callback, and no allocator of ours.
 *
 * Ciphers, digests and HMACs of fetched algorithms take no lock, so they need neither.
 */
void kfi_crypto_enter(void);
void kfi_crypto_leave(void);

/* Prepares the calling thread for libcrypto, unless it is. */
void kfi_crypto_thread_begin(void);

/* Frees what libcrypto keeps for the calling thread. */
void kfi_crypto_thread_end(void);

#endif
