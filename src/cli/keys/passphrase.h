/*
 * The passphrases of encrypted private keys. One is read from a file, once for all keys; or the terminal is
 * asked, for each key file. Called by keys.c and keyfile_open.c.
 */
#ifndef CLI_PASSPHRASE_H
#define CLI_PASSPHRASE_H

#include "cli.h"

#define CLI_PASSPHRASE_MAX 1024

/* Begin with `file` set and all else 0. */
struct cli_passphrase {
    const char *file; /* its first line is the passphrase; NULL: the terminal is asked */

    const char *key;            /* private, except `failure`: the key file that the question names */
    struct cli_failure failure; /* why there is no passphrase; its code is KF_OK if there may be one */
    bool known;
    char text[CLI_PASSPHRASE_MAX];
    size_t length;
};

/*
 * What the library asks for the passphrase of the key file `key`. It is fetched when the library asks first.
 * An answer from the terminal is kept for this key file only.
 */
struct kf_passphrase cli_passphrase_source(struct cli_passphrase *passphrase, const char *key);

/* Wipes the passphrase. */
void cli_passphrase_end(struct cli_passphrase *passphrase);

#endif
