/*
 * The keys of tests/corpus/keys: RSA and elliptic curves, in every form that is read.
 */
#ifndef TESTS_SUPPORT_KEYS_H
#define TESTS_SUPPORT_KEYS_H

#include <keyflight/raw_keyrings.h>

#include "support/support.h"

/* The content of a file there, kept until the program ends. The test fails if the file is missing. */
struct kf_view key_file(const char *name);

/* A source of one passphrase (NULL: none) that counts how often it is asked. */
struct passphrase {
    const char *text;
    unsigned asked;
};
struct kf_passphrase passphrase_source(struct passphrase *passphrase);

#endif
