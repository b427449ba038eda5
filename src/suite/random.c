/*
 * Random bytes: see random.h. Called for keys, message ids and IVs. Keeps no state of its own.
 */
#include "suite/random.h"

#include <openssl/rand.h>

#include "base/memory.h"
#include "suite/provider.h"

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

void kfi_random_thread_end(void)
{
    kfi_crypto_thread_end();
}
