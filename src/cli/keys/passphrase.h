/*
 * The passphrase of encrypted private keys: read from a file, once for all of them, or asked for on the
 * terminal, for each key file. Called for key files.
 */
#ifndef CLI_PASSPHRASE_H
#define CLI_PASSPHRASE_H

#include "cli.h"

#define CLI_PASSPHRASE_MAX 1024

/* Begin with the first set and all else 0. */
struct cli_passphrase {
    const char *file; /* its first line is the passphrase; NULL: the terminal is asked */

    const char *key;            /* private, but for `failure`: the key file it is for, in the question */
    struct cli_failure failure; /* why there is none; its code is KF_OK as long as there may be */
    bool known;
    char text[CLI_PASSPHRASE_MAX];
    size_t length;
};

/*
 * What the library asks for the key file `key`. The passphrase is fetched at the first question and then known;
 * what the terminal answered, for this key file only.
 */
struct kf_passphrase cli_passphrase_source(struct cli_passphrase *passphrase, const char *key);

/* Wipes it. */
void cli_passphrase_end(struct cli_passphrase *passphrase);

#endif
