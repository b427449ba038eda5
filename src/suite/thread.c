/*
 * Threads: see thread.h. Called by workers of the blocking keyring.
 */
#include "suite/thread.h"

#include <openssl/crypto.h>

void kfi_crypto_thread_end(void)
{
    OPENSSL_thread_stop();
}
