/*
 * The values of -k, made into what encrypts and decrypts. Called by encrypt and decrypt.
 */
#ifndef KF_CLI_KEYS_H
#define KF_CLI_KEYS_H

#include "cli.h"

/*
 * Makes a CMM of `count` values of -k (at least one): a path of a key file each, "-" for the standard input.
 * With several the first one generates and all of them wrap. `input` is the operand that is going to be read:
 * it can't be the standard input too.
 */
enum kf_code kf_cli_keys_open(const char *const *values, size_t count, const char *input,
                              struct kf_cli_failure *failure, struct kf_cmm **out);

#define KF_CLI_KEY_HELP "a key file made by 'keyflight keygen', or - for\none on the standard input"

#endif
