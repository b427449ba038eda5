/*
 * Raw keyrings of every kind with the keys of tests/corpus/keys: for each kind one that writes and one that
 * reads.
 */
#ifndef TESTS_SUPPORT_KEYRING_PAIRS_H
#define TESTS_SUPPORT_KEYRING_PAIRS_H

#include "support/client.h"

enum keyring_pair {
    PAIR_AES,
    PAIR_RSA_PKCS1,
    PAIR_RSA_OAEP_SHA1,
    PAIR_RSA_OAEP_SHA256,
    PAIR_RSA_OAEP_SHA384,
    PAIR_RSA_OAEP_SHA512,
    PAIR_ECDH_STATIC,    /* each knows the other's key; all are on P-256, which is the fastest */
    PAIR_ECDH_EPHEMERAL, /* read by discovery */
    PAIR_ECDH_DISCOVERY, /* written by a static one, read by discovery */
    PAIR_MULTI,          /* written for AES, RSA and ECDH; read by ECDH, after keys that don't fit */
    KEYRING_PAIRS
};

struct kf_keyring *keyring_pair_writer(enum keyring_pair pair);
struct kf_keyring *keyring_pair_reader(enum keyring_pair pair);

#endif
