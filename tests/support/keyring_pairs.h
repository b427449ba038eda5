/*
 * Raw keyrings of every kind, each as the one that writes and the one that reads, over the keys of
 * tests/corpus/keys.
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
    PAIR_ECDH_STATIC,    /* both know both; all on P-256, which is the fastest */
    PAIR_ECDH_EPHEMERAL, /* read by discovery */
    PAIR_ECDH_DISCOVERY, /* what a static one wrote, read by discovery */
    PAIR_MULTI,          /* writes for AES, RSA and ECDH, read by ECDH behind keys that don't fit */
    KEYRING_PAIRS
};

struct kf_keyring *keyring_pair_writer(enum keyring_pair pair);
struct kf_keyring *keyring_pair_reader(enum keyring_pair pair);

#endif
