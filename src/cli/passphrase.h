/*
 * The passphrase of an encrypted private key: read from a file, or asked for on the terminal. Called for key
 * files.
 */
#ifndef KF_CLI_PASSPHRASE_H
#define KF_CLI_PASSPHRASE_H

#include "cli.h"

#define KF_CLI_PASSPHRASE_MAX 1024

/* Begin with the first two set and all else 0. */
struct kf_cli_passphrase {
    const char *file; /* its first line is the passphrase; NULL: the terminal is asked */
    const char *key;  /* the key file it is for, in the question */

    struct kf_cli_failure failure; /* why there is none; its code is KF_OK as long as there may be */
    bool known;
    char text[KF_CLI_PASSPHRASE_MAX];
    size_t length;
};

/* What the library asks; the passphrase is fetched at its first question and then known. */
struct kf_passphrase kf_cli_passphrase_source(struct kf_cli_passphrase *passphrase);

/* Wipes it. */
void kf_cli_passphrase_end(struct kf_cli_passphrase *passphrase);

#endif
