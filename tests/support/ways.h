/*
 * Every way to encrypt and decrypt: for the tests that put all of them under the same strain (forks, signals, small
 * stacks, cancelled threads).
 *
 * A round trip asserts nothing, so that threads and forked children can make it.
 */
#ifndef TESTS_SUPPORT_WAYS_H
#define TESTS_SUPPORT_WAYS_H

#include "support/support.h"

enum ways {
    WAY_AES,          /* a data key for each message, committing, not signed */
    WAY_CACHED,       /* a data key for three messages, and decryption through the cache */
    WAY_SIGNED,       /* the default suite: P-384 */
    WAY_SIGNED_P256,  /* a suite that does not commit, but signs by P-256 */
    WAY_STREAM,       /* by small pieces */
    WAY_RSA,          /* a raw RSA keyring */
    WAY_ECDH,         /* a raw ECDH keyring */
    WAY_MULTI,        /* AES, RSA and ECDH in one */
    WAY_REQUIRED,     /* a CMM that requires a pair */
    WAY_ASYNC,        /* a keyring that is polled twice: the internal thread goes on with it */
    WAY_ASYNC_CACHED, /* the same behind a cache: a flight lands there */
    WAY_BLOCKING,     /* a keyring on worker threads */
    WAY_JOBS,         /* jobs, on the asynchronous keyring */
    WAY_KMS,          /* a KMS on loopback, by TLS */
    WAYS
};

extern const char *const way_names[WAYS];

/*
 * Opens all of them. Keys and caches are shared by all who make a round trip. KMS is a server of this process, with a
 * certificate in `file`.
 */
void ways_open(const char *file);
/*
 * The same with KMS in a process of its own, for tests that fork: a server's threads use libcrypto too, and by
 * themselves, so that a fork could find its locks held.
 */
void ways_open_apart(const char *file);
/* Releases everything; also in a forked child, where the server is left alone. */
void ways_release(void);
/* Releases everything, stops the internal thread and the server, and removes the file. */
void ways_close(void);

/* A raw AES keyring that answers at the second poll. */
struct kf_keyring *way_async_keyring(void);

/* Encrypts and decrypts once. KF_E_BUG: what came back was not what went in. */
enum kf_code way_round_trip(enum ways way, struct kf_error *error);

#endif
