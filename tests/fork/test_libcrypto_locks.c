/*
 * No fork leaves a child with a lock of libcrypto's that nobody will ever release.
 *
 * Each work is done by a thread that stops while it has the n-th lock that libcrypto takes, for many n. Meanwhile the
 * process forks. The thread goes on when it sees the forking thread sleep, which waits for it, or after the fork, if
 * it did not wait. Then the child does the same work. Had it inherited the lock, it would never end.
 */
#include "libcrypto_locks.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <keyflight/keyflight.h>

#include "support/client.h"
#include "support/keyring_pairs.h"
#include "support/keys.h"

/* At most so many of the locks of one work are tried, in equal distances. */
#define STOPS 16

/* What is done, and with what. It runs in children too, so it asserts nothing. */
struct work {
    const char *name;
    bool (*run)(const struct work *work);
    enum keyring_pair pair;
    enum kf_suite suite;
    const char *file;
};

static struct kf_keyring *writers[KEYRING_PAIRS], *readers[KEYRING_PAIRS];

static bool round_trip(const struct work *work)
{
    struct kf_cmm *cmm = NULL, *reading = NULL;
    struct kf_buf message = KF_BUF_INIT, plaintext = KF_BUF_INIT;
    const struct kf_encrypt_options encrypt = client_encrypt_options(work->suite, 4096, NULL);
    const struct kf_decrypt_options decrypt = client_decrypt_options();
    bool good = kf_default_cmm_new(writers[work->pair], NULL, &cmm) == KF_OK &&
                kf_default_cmm_new(readers[work->pair], NULL, &reading) == KF_OK &&
                kf_encrypt(cmm, &encrypt, kf_view_text("plaintext"), NULL, &message) == KF_OK &&
                kf_decrypt(reading, &decrypt, kf_view_of(message.data, message.length), NULL, NULL,
                           &plaintext) == KF_OK;
    kf_buf_free(&message);
    kf_buf_free(&plaintext);
    kf_cmm_unref(cmm);
    kf_cmm_unref(reading);
    return good;
}

static bool read_key(const struct work *work)
{
    struct passphrase secret = {"secret", 0};
    const struct kf_passphrase source = passphrase_source(&secret);
    struct kf_raw_key_info info = KF_RAW_KEY_INFO_INIT;
    return kf_raw_key_describe(key_file(work->file), &source, NULL, &info) == KF_OK;
}

static bool generate(const struct work *work)
{
    (void)work;
    struct kf_buf public_key = KF_BUF_INIT, private_key = KF_BUF_INIT;
    bool good = kf_raw_ecdh_key_generate(KF_ECDH_P256, NULL, &public_key, &private_key) == KF_OK;
    kf_buf_free(&public_key);
    kf_buf_free(&private_key);
    return good;
}

static const struct work works[] = {
    {"message ids and data keys", round_trip, PAIR_AES, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, NULL},
    {"signatures on P-384", round_trip, PAIR_AES, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384, NULL},
    {"signatures on P-256", round_trip, PAIR_AES, KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256, NULL},
    {"RSA", round_trip, PAIR_RSA_OAEP_SHA256, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, NULL},
    {"ECDH", round_trip, PAIR_ECDH_STATIC, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, NULL},
    {"ECDH with new keys", round_trip, PAIR_ECDH_EPHEMERAL, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, NULL},
    {"encrypted PKCS#8", read_key, 0, 0, "p256-a-encrypted.pem"},
    {"encrypted PEM", read_key, 0, 0, "rsa-headers.pem"},
    {"key pairs", generate, 0, 0, NULL},
};

/* ---- The thread that works, and the one that forks ---- */

static struct {
    pid_t forking; /* the thread that forks */
    atomic_bool stopped, about_to_fork, forked;
} meeting;

/* Whether a thread sleeps, as the system sees it. */
static bool sleeps(pid_t thread)
{
    char path[64], line[256];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t length = file >= 0 ? read(file, line, sizeof line - 1) : 0;
    if (file >= 0)
        close(file);
    line[length > 0 ? length : 0] = '\0';
    const char *end = strrchr(line, ')'); /* of the name; the state follows */
    return end != NULL && end[1] == ' ' && end[2] == 'S';
}

static void stop_here(void)
{
    atomic_store(&meeting.stopped, true);
    while (!atomic_load(&meeting.forked) && !(atomic_load(&meeting.about_to_fork) && sleeps(meeting.forking)))
        sched_yield();
}

static void *work_watched(void *context)
{
    const struct work *work = context;
    watched = true; /* to the very end of the thread */
    return work->run(work) ? NULL : context;
}

/* True if the thread has ended without coming to the place where it stops. */
static bool wait_until_stopped(pthread_t thread, void **result)
{
    while (!atomic_load(&meeting.stopped)) {
        if (pthread_tryjoin_np(thread, result) == 0)
            return true;
        sched_yield();
    }
    return false;
}

static void fork_and_work(const struct work *work)
{
    atomic_store(&meeting.about_to_fork, true);
    const pid_t child = fork();
    if (child == 0) {
        alarm(10);
        _exit(work->run(work) ? 0 : 1);
    }
    atomic_store(&meeting.forked, true);
    int status = 0;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s: a child forked at lock %u did not end well (%#x)", work->name, locks.stop_at,
                 (unsigned)status);
}

/* Works in a thread of its own, and forks at its lock number `stop_at`; 0: not at all. */
static void run_with_fork_at(const struct work *work, unsigned stop_at)
{
    pthread_t thread;
    void *result = NULL;
    atomic_store(&locks.taken, 0);
    locks.stop_at = stop_at;
    locks.stop = stop_here;
    meeting.forking = (pid_t)syscall(SYS_gettid);
    atomic_store(&meeting.stopped, false);
    atomic_store(&meeting.about_to_fork, false);
    atomic_store(&meeting.forked, false);
    assert_int_equal(pthread_create(&thread, NULL, work_watched, (void *)(uintptr_t)work), 0);
    if (!wait_until_stopped(thread, &result)) {
        fork_and_work(work);
        assert_int_equal(pthread_join(thread, &result), 0);
    }
    assert_null(result);
}

static void no_lock_is_inherited(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        run_with_fork_at(&works[i], 0); /* counts the locks; what is made at the first use is there now */
        run_with_fork_at(&works[i], 0);
        const unsigned count = atomic_load(&locks.taken);
        if (LOCKS_ARE_SEEN)
            assert_true(count > 0);
        const unsigned tries = count < STOPS ? count : STOPS;
        for (unsigned k = 0; k < tries; k++)
            run_with_fork_at(&works[i], 1 + k * count / tries);
    }
}

/* The same for all locks, also those at which nothing was tried, and for the first use of the library. */
static void every_lock_is_taken_while_forks_wait(void **state)
{
    (void)state;
    assert_int_equal(atomic_load(&locks.taken_unbarred), 0);
}

static int read_keys(void **state)
{
    (void)state;
    for (enum keyring_pair pair = 0; pair < KEYRING_PAIRS; pair++) {
        writers[pair] = keyring_pair_writer(pair);
        readers[pair] = keyring_pair_reader(pair);
    }
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        if (works[i].file != NULL)
            (void)key_file(works[i].file);
    }
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    for (enum keyring_pair pair = 0; pair < KEYRING_PAIRS; pair++) {
        kf_keyring_unref(writers[pair]);
        kf_keyring_unref(readers[pair]);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_lock_is_inherited),
        cmocka_unit_test(every_lock_is_taken_while_forks_wait),
    };
    return cmocka_run_group_tests(tests, read_keys, free_keys);
}
