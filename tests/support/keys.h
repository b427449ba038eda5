/*
 * The keys of tests/corpus/keys, RSA and elliptic curves in every form there is.
 */
#ifndef TESTS_SUPPORT_KEYS_H
#define TESTS_SUPPORT_KEYS_H

#include <keyflight/raw_keyrings.h>

#include "support/support.h"

/* The content of a file there, kept until the program ends. Fails the test if there is none. */
struct kf_view key_file(const char *name);

/* Somebody who knows one passphrase and counts how often he is asked; NULL: none. */
struct passphrase {
    const char *text;
    unsigned asked;
};
struct kf_passphrase passphrase_source(struct passphrase *passphrase);

#endif
