/*
 * How this room calls libcrypto, so that a fork never finds one of libcrypto's locks held, and what it keeps for
 * each thread.
 */
#ifndef KFI_SUITE_LIBCRYPTO_H
#define KFI_SUITE_LIBCRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

/*
 * Every use of libcrypto that may take a lock stands between these two: random bytes, keys, signatures, whatever
 * fetches. So a fork waits until it is done (base/fork.h), and no error stays in the thread's queue. They may
 * nest. Nothing of the user's is called in between: no callback, and no allocator of ours.
 *
 * Ciphers, digests and HMACs of fetched algorithms take no lock, so they need neither.
 */
void kfi_crypto_enter(void);
void kfi_crypto_leave(void);

/* Sixteen long message ids. More would not be faster, see docs/decisions/0013-message-ids-in-blocks.md. */
#define KFI_RANDOM_BLOCK 512

/* Random bytes that were drawn ahead; random.c says what for. */
struct kfi_random_block {
    uint8_t bytes[KFI_RANDOM_BLOCK];
    size_t left;       /* of them, from the front */
    unsigned epoch;    /* of the process that drew them */
    uint64_t drawn_ms; /* when that was */
};

/*
 * Prepares the calling thread for libcrypto, unless it is, and returns its block. The block is wiped when the
 * thread ends.
 */
KFI_SHARED struct kfi_random_block *kfi_crypto_thread_begin(void);

/* Wipes and frees what is kept for the calling thread, here and in libcrypto. */
void kfi_crypto_thread_end(void);

#endif
