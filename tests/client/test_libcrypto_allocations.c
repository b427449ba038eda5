/*
 * Memory that runs out inside of libcrypto, at every single allocation: a message is encrypted and decrypted in every
 * way, or that fails with KF_E_SYSTEM or KF_E_NO_MEMORY. Nobody is told that a message was forged or damaged because
 * there was no memory.
 *
 * Two things are libcrypto's (3.0) and can't be told apart here. Some of its functions for RSA and curves don't say that
 * they had no memory, so that a keyring says KF_E_KEYS. And an RSA key whose blinding was interrupted decrypts nothing
 * for up to 31 times.
 */
#include <openssl/crypto.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/client.h"
#include "support/ways.h"

static atomic_size_t made, fail_at;
static _Thread_local bool watched; /* this thread's allocations fail */

static bool fails(void)
{
    return watched && atomic_fetch_add(&made, 1) + 1 == atomic_load(&fail_at);
}

static void *crypto_malloc(size_t length, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails() ? NULL : malloc(length);
}

static void *crypto_realloc(void *memory, size_t length, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails() ? NULL : realloc(memory, length);
}

static void crypto_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

#define BLINDED 32 /* so often libcrypto uses the blinding of an RSA key */

static bool is_right(enum ways way, enum kf_code code)
{
    const bool unwraps = way == WAY_RSA || way == WAY_ECDH || way == WAY_MULTI;
    return code == KF_OK || code == KF_E_SYSTEM || code == KF_E_NO_MEMORY || (unwraps && code == KF_E_KEYS);
}

/* With memory again. */
static void assert_recovers(enum ways way)
{
    struct kf_error error = KF_ERROR_INIT;
    unsigned tries = 0;
    enum kf_code code;
    while ((code = way_round_trip(way, &error)) != KF_OK && way == WAY_RSA && tries < BLINDED)
        tries++;
    assert_ok(code, &error);
}

static void sweep(enum ways way)
{
    size_t number = 0, failures = 0;
    bool failed;
    do {
        struct kf_error error = KF_ERROR_INIT;
        atomic_store(&made, 0);
        atomic_store(&fail_at, ++number);
        watched = true;
        const enum kf_code code = way_round_trip(way, &error);
        watched = false;
        failed = atomic_load(&made) >= number;
        if (!is_right(way, code))
            print_error("%s, allocation %zu: %s\n", way_names[way], number, error.text);
        assert_true(is_right(way, code));
        assert_int_equal(error.code, code);
        failures += code != KF_OK;
        assert_recovers(way);
    } while (failed);
    assert_true(failures > 9);
}

static void every_way(void **state)
{
    (void)state;
    char file[64];
    snprintf(file, sizeof file, "libcrypto-allocations-%d.pem", (int)getpid());
    ways_open(file);
    for (unsigned way = 0; way < WAYS; way++) {
        struct kf_error error = KF_ERROR_INIT;
        assert_ok(way_round_trip((enum ways)way, &error), &error);
        sweep((enum ways)way);
    }
    ways_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way),
    };
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
        return 1;
    (void)signal(SIGPIPE, SIG_IGN); /* the server's, by OpenSSL */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
