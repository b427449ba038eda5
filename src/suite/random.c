/*
 * Random bytes: see random.h. Called for keys, message ids and IVs.
 */
#include "suite/random.h"

#include <openssl/rand.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fork.h"
#include "suite/provider.h"

/* For how long ids are kept ahead: a copy of a machine that is started again repeats no older ones. */
#define BLOCK_MAX_AGE_MS 1000

enum kf_code kfi_random(uint8_t *out, size_t length, struct kf_error *error)
{
    const struct kfi_provider *provider;
    enum kf_code code = kfi_provider_get(error, &provider);
    if (code == KF_OK) {
        kfi_crypto_enter();
        if (RAND_bytes_ex(provider->library, out, length, 0) != 1)
            code = kfi_crypto_failed(error, "the random generator");
        kfi_crypto_leave();
    }
    if (code != KF_OK)
        kfi_wipe(out, length);
    return code;
}

enum kf_code kfi_random_message_id(uint8_t *out, size_t length, struct kf_error *error)
{
    struct kfi_random_block *block = kfi_crypto_thread_begin();
    const unsigned epoch = kfi_fork_epoch();
    const uint64_t now = kfi_now_ms();
    if (epoch == 0) /* a child might have the same block */
        return kfi_random(out, length, error);
    if (block->left < length || block->epoch != epoch || now - block->drawn_ms >= BLOCK_MAX_AGE_MS) {
        block->left = 0;
        enum kf_code code = kfi_random(block->bytes, sizeof block->bytes, error);
        if (code != KF_OK) {
            kfi_wipe(out, length);
            return code;
        }
        block->left = sizeof block->bytes;
        block->epoch = epoch;
        block->drawn_ms = now;
    }
    block->left -= length;
    memcpy(out, block->bytes + block->left, length);
    kfi_wipe(block->bytes + block->left, length);
    return KF_OK;
}
