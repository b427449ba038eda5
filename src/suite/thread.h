/*
 * What the cryptographic library keeps for each thread.
 */
#ifndef KFI_SUITE_THREAD_H
#define KFI_SUITE_THREAD_H

/*
 * Lets go of it: the last thing that a thread of ours does which nobody joins, so that it is not at it while the
 * process ends.
 */
void kfi_crypto_thread_end(void);

#endif
