/*
 * Key files: what keygen writes and -k reads.
 *
 *     # keyflight key file: whoever has it can decrypt; keep it secret.
 *     type: raw-aes
 *     namespace: keyflight
 *     name: 5f0c2d3a9b1e4c77
 *     key: <16, 24 or 32 bytes in base64>
 *
 * Fields come in any order, each once; blank lines and lines that begin with '#' are skipped.
 */
#ifndef KF_CLI_KEYFILE_H
#define KF_CLI_KEYFILE_H

#include "output.h"

/*
 * Reads a key file ("-": the standard input) and makes its keyring. Errors never show what a line contains.
 */
enum kf_code kf_cli_keyfile_read(const char *path, struct kf_cli_failure *failure, struct kf_keyring **out);

struct kf_cli_key {
    struct kf_view key_namespace;
    struct kf_view name;
    struct kf_view bytes;
};

/* Whether a keyring takes this key and a key file can hold it: KF_OK or KF_E_USAGE. */
enum kf_code kf_cli_keyfile_check(const struct kf_cli_key *key, struct kf_cli_failure *failure);

/* Writes a key that was checked. */
enum kf_code kf_cli_keyfile_write(const struct kf_cli_key *key, struct kf_cli_output *output,
                                  struct kf_cli_failure *failure);

#endif
