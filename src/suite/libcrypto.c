/*
 * Calling libcrypto: see libcrypto.h. Called by every other file of this room.
 *
 * For each thread libcrypto keeps a queue of errors and generators. It makes and frees them under a lock of the
 * process, wherever it happens to need one, and at the end of the thread. Here both happen while forks are barred.
 */
#include "suite/libcrypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "base/bytes.h"
#include "base/fork.h"
#include "base/lock.h"

static _Thread_local struct {
    bool begun;
    struct kfi_random_block block;
} thread;

static struct kfi_thread_key thread_key;
static bool has_thread_key;

void kfi_crypto_enter(void)
{
    kfi_fork_bar();
    ERR_set_mark();
}

void kfi_crypto_leave(void)
{
    ERR_pop_to_mark();
    kfi_fork_unbar();
}

static void end_thread(void *unused)
{
    (void)unused;
    kfi_crypto_thread_end();
}

/*
 * The system ends what belongs to a thread in the order in which keys were made. This one is made before
 * libcrypto's own, so libcrypto has nothing left to free by itself.
 */
__attribute__((constructor)) static void make_thread_key(void)
{
    has_thread_key = kfi_thread_key_init(&thread_key, end_thread);
}

struct kfi_random_block *kfi_crypto_thread_begin(void)
{
    if (!thread.begun) {
        kfi_crypto_enter(); /* makes the queue of errors */
        kfi_crypto_leave();
        thread.begun = has_thread_key && kfi_thread_key_set(&thread_key, &thread);
    }
    return &thread.block;
}

void kfi_crypto_thread_end(void)
{
    kfi_wipe(&thread.block, sizeof thread.block);
    thread.begun = false;
    kfi_fork_bar();
    OPENSSL_thread_stop();
    kfi_fork_unbar();
}
