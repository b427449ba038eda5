/*
 * Small stacks: threads with 64 KiB can do everything. Each piece of work runs twice: on a large stack that was
 * painted, to see how deep it went, and on one of 64 KiB with a guard page behind it.
 *
 * Sanitizers make stacks larger, so under them only the work itself is checked.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/client.h"
#include "support/keys.h"
#include "support/ways.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#define PROMISED ((size_t)64 * 1024)
#define LARGE ((size_t)1024 * 1024)
#define PAINT 0xA5

/* Work for a thread; what it needs to know stands in `number`. */
struct work {
    enum kf_code (*run)(unsigned number, struct kf_error *error);
    unsigned number;
    enum kf_code code;
    struct kf_error error;
};

static void *work_main(void *context)
{
    struct work *work = context;
    work->code = work->run(work->number, &work->error);
    return NULL;
}

/* Runs it on a stack of `size` bytes. Answers how many of them, from the top, were written to. */
static size_t depth_on(size_t size, struct work *work)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *memory = mmap(NULL, page + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attributes;
    pthread_t thread;
    assert_true(memory != MAP_FAILED);
    assert_int_equal(mprotect(memory, page, PROT_NONE), 0);
    uint8_t *stack = memory + page;
    memset(stack, PAINT, size);
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, size), 0);
    assert_int_equal(pthread_create(&thread, &attributes, work_main, work), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    size_t untouched = 0;
    while (untouched < size && stack[untouched] == PAINT)
        untouched++;
    munmap(memory, page + size);
    return size - untouched;
}

static size_t deepest;
static char deepest_name[64];

static void assert_fits(const char *name, enum kf_code (*run)(unsigned number, struct kf_error *error),
                        unsigned number)
{
    struct work work = {run, number, KF_PENDING, KF_ERROR_INIT};
    const size_t depth = depth_on(LARGE, &work);
    assert_ok(work.code, &work.error);
    if (SANITIZED)
        return;
    if (depth > deepest) {
        deepest = depth;
        snprintf(deepest_name, sizeof deepest_name, "%s", name);
    }
    print_message("%6zu bytes: %s\n", depth, name);
    assert_in_range(depth, 1, PROMISED);
    work.code = KF_PENDING;
    depth_on(PROMISED, &work);
    assert_ok(work.code, &work.error);
}

/* ---- What is done ---- */

static enum kf_code nothing(unsigned number, struct kf_error *error)
{
    (void)number;
    (void)error;
    return KF_OK;
}

static char file[64];

static enum kf_code make_everything(unsigned number, struct kf_error *error)
{
    (void)number;
    (void)error;
    ways_open(file);
    ways_close();
    return KF_OK;
}

static enum kf_code generate(unsigned number, struct kf_error *error)
{
    struct kf_buf public_key = KF_BUF_INIT, private_key = KF_BUF_INIT;
    const enum kf_code code =
        number == 0 ? kf_raw_rsa_key_generate(2048, error, &public_key, &private_key)
                    : kf_raw_ecdh_key_generate((enum kf_ecdh_curve)number, error, &public_key, &private_key);
    kf_buf_free(&public_key);
    kf_buf_free(&private_key);
    return code;
}

/* A private key under a passphrase. */
static enum kf_code open_key(unsigned number, struct kf_error *error)
{
    (void)number;
    struct passphrase passphrase = {"secret", 0};
    struct kf_raw_rsa_keyring_options options = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    struct kf_keyring *keyring;
    options.key_namespace = options.key_name = kf_view_text("tests");
    options.padding = KF_RSA_OAEP_SHA256;
    options.private_key = key_file("rsa-encrypted.pem");
    options.passphrase = passphrase_source(&passphrase);
    const enum kf_code code = kf_raw_rsa_keyring_new(&options, error, &keyring);
    kf_keyring_unref(keyring);
    return code;
}

static enum kf_code round_trip(unsigned number, struct kf_error *error)
{
    return way_round_trip((enum ways)number, error);
}

static enum kf_code suite_round_trip(unsigned number, struct kf_error *error)
{
    const struct kf_encrypt_options options = client_encrypt_options(client_suites[number], 4096, NULL);
    struct kf_decrypt_options decryption = KF_DECRYPT_OPTIONS_INIT;
    struct kf_cmm *cmm = support_cmm();
    struct kf_buf message = KF_BUF_INIT, plaintext = KF_BUF_INIT;
    decryption.commitment_policy = KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT;
    enum kf_code code = kf_encrypt(cmm, &options, client_plaintext(10000), error, &message);
    if (code == KF_OK)
        code = kf_decrypt(cmm, &decryption, buf_view(message), error, NULL, &plaintext);
    kf_buf_free(&message);
    kf_buf_free(&plaintext);
    kf_cmm_unref(cmm);
    return code;
}

static enum kf_code clean_up(unsigned number, struct kf_error *error)
{
    (void)number;
    (void)error;
    kf_cleanup();
    return KF_OK;
}

/* ---- The tests ---- */

/* It comes first, since it also does what is done once in a process. */
static void keys_and_clients_are_made(void **state)
{
    (void)state;
    assert_fits("nothing: what the system needs itself", nothing, 0);
    assert_fits("making a keyring, CMM and client of each kind", make_everything, 0);
    assert_fits("making an RSA key pair", generate, 0);
    assert_fits("making a P-521 key pair", generate, KF_ECDH_P521);
    assert_fits("an encrypted private key", open_key, 0);
}

static void every_suite(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CLIENT_SUITES; i++)
        assert_fits(kf_suite_name(client_suites[i]), suite_round_trip, i);
}

static void every_way(void **state)
{
    (void)state;
    ways_open(file);
    for (unsigned way = 0; way < WAYS; way++)
        assert_fits(way_names[way], round_trip, way);
    assert_fits("kf_cleanup", clean_up, 0);
    ways_close();
}

static void the_promise_leaves_room(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    print_message("The deepest: %zu bytes, %s\n", deepest, deepest_name);
    assert_in_range(deepest, 1,
                    PROMISED - 8 * 1024); /* for the application's own frames, and for signal handlers */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_clients_are_made),
        cmocka_unit_test(every_suite),
        cmocka_unit_test(every_way),
        cmocka_unit_test(the_promise_leaves_room),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* the server's, by OpenSSL */
    snprintf(file, sizeof file, "stacks-%d.pem", (int)getpid());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
