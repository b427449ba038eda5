/*
 * Key files: what keygen writes and -k reads.
 *
 *     # keyflight key file: whoever has it can decrypt; keep it secret.
 *     type: raw-aes
 *     namespace: keyflight
 *     name: 5f0c2d3a9b1e4c77
 *     key: <16, 24 or 32 bytes in base64>
 *
 * Fields come in any order; blank lines and lines that begin with '#' are skipped. A key of RSA or of an
 * elliptic curve stands in PEM among the lines, instead of the field "key", and all other fields may be
 * missing: so a PEM file is a key file. A DER file is one too. There may be two keys: both halves of an RSA
 * key, or one's own private key for ECDH and the public key of the only one to talk to. So that two files can
 * be joined, a field may come twice if it says the same.
 */
#ifndef KF_CLI_KEYFILE_H
#define KF_CLI_KEYFILE_H

#include "output.h"
#include "passphrase.h"

/* What the keys are for. */
enum kf_cli_use {
    KF_CLI_ENCRYPTS, /* discovery and private keys can't */
    KF_CLI_DECRYPTS  /* public keys can't, nor key ids that no message carries */
};

/*
 * Reads a key file ("-": the standard input) and makes its keyring; `passphrase` is fetched only if it is
 * needed. Errors never show what a line contains.
 */
enum kf_code kf_cli_keyfile_read(const char *path, enum kf_cli_use use, struct kf_cli_passphrase *passphrase,
                                 struct kf_cli_failure *failure, struct kf_keyring **out);

/* Reads "oaep-sha256" and its like. Whether it was one. */
bool kf_cli_rsa_padding(struct kf_view text, enum kf_rsa_padding *out);

#define KF_CLI_PADDINGS "oaep-sha1, oaep-sha256, oaep-sha384, oaep-sha512 or pkcs1"

enum kf_cli_key_type {
    KF_CLI_RAW_AES,
    KF_CLI_RAW_RSA,
    KF_CLI_RAW_ECDH,
    KF_CLI_KEY_TYPES
};

/* A key to be written. */
struct kf_cli_key {
    enum kf_cli_key_type type;
    bool is_public;               /* the public half of a pair */
    struct kf_view key_namespace; /* not of ECDH, as name */
    struct kf_view name;
    enum kf_rsa_padding padding; /* of RSA only */
    struct kf_view key;          /* AES: its bytes; else PEM, with a line feed at its end */
};

/*
 * Whether namespace and name are such as a keyring takes and a key file can hold: KF_OK or KF_E_USAGE. Of a
 * pair it looks at the public half.
 */
enum kf_code kf_cli_keyfile_check(const struct kf_cli_key *key, struct kf_cli_failure *failure);

/* Writes a key that was checked. */
enum kf_code kf_cli_keyfile_write(const struct kf_cli_key *key, struct kf_cli_output *output,
                                  struct kf_cli_failure *failure);

#endif
