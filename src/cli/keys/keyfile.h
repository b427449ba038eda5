/*
 * Key files: what keygen writes and -k reads.
 *
 *     # keyflight key file: whoever has it can decrypt; keep it secret.
 *     type: raw-aes
 *     namespace: keyflight
 *     name: 5f0c2d3a9b1e4c77
 *     key: <16, 24 or 32 bytes in base64>
 *
 * Fields come in any order. Blank lines and lines that begin with '#' are skipped. A key of RSA or of an
 * elliptic curve is in PEM, in the place of the field "key"; then all other fields may be missing, so a PEM
 * file is a key file. A DER file is one too. There may be two keys: both halves of an RSA key, or for ECDH
 * one's own private key and the public key of the other side. A field may come twice if it says the same, so
 * that two files can be joined.
 */
#ifndef CLI_KEYFILE_H
#define CLI_KEYFILE_H

#include "keys/passphrase.h"
#include "output.h"

/* What the keys are for. */
enum cli_use {
    CLI_ENCRYPTS, /* not discovery, and not private keys */
    CLI_DECRYPTS  /* not public keys, and not ids of keys that no message carries */
};

/*
 * Reads a key file ("-": the standard input) and makes its keyring. `passphrase` is fetched only if it is
 * needed. Errors never show what is in a line.
 */
enum kf_code cli_keyfile_read(const char *path, enum cli_use use, struct cli_passphrase *passphrase,
                              struct cli_failure *failure, struct kf_keyring **out);

/* Reads the name of a padding, such as "oaep-sha256". Answers whether it was one. */
bool cli_rsa_padding(struct kf_view text, enum kf_rsa_padding *out);

#define CLI_PADDINGS "oaep-sha1, oaep-sha256, oaep-sha384, oaep-sha512 or pkcs1"

enum cli_key_type {
    CLI_RAW_AES,
    CLI_RAW_RSA,
    CLI_RAW_ECDH,
    CLI_KEY_TYPES
};

/* A key to be written. */
struct cli_key {
    enum cli_key_type type;
    bool is_public;               /* the public half of a pair */
    struct kf_view key_namespace; /* ECDH has none, and no name */
    struct kf_view name;
    enum kf_rsa_padding padding; /* of RSA only */
    struct kf_view key;          /* of AES its bytes; of the others PEM, with a line feed at its end */
};

/*
 * Checks that a keyring takes the namespace and the name, and that a key file can hold them: KF_OK or
 * KF_E_USAGE. Of a pair, give the public half.
 */
enum kf_code cli_keyfile_check(const struct cli_key *key, struct cli_failure *failure);

/* Writes a key that was checked. */
enum kf_code cli_keyfile_write(const struct cli_key *key, struct cli_output *output,
                               struct cli_failure *failure);

/* ---- What stands in a key file: for the files keyfile*.c only ---- */

#define CLI_DER_BEGINS 0x30 /* a DER file begins with this byte, and no field does */

enum {
    CLI_FIELD_TYPE,
    CLI_FIELD_NAMESPACE,
    CLI_FIELD_NAME,
    CLI_FIELD_PADDING,
    CLI_FIELD_KEY,
    CLI_FIELDS,

    CLI_KEYS_MAX = 2
};

/* The parts of a key file, as views of its text. */
struct cli_parts {
    const char *path;
    enum cli_use use;
    struct kf_view fields[CLI_FIELDS]; /* data is NULL where there is none */
    struct kf_view keys[CLI_KEYS_MAX]; /* in PEM or DER */
    size_t key_count;
    bool is_secret; /* whether one of its keys is not public */
};

extern const char *const cli_field_names[CLI_FIELDS];
extern const char *const cli_key_type_names[CLI_KEY_TYPES];

/* Whether the view is this text. */
bool cli_view_is(struct kf_view view, const char *text);

/* Answers the text without blanks at its ends. */
struct kf_view cli_trim(struct kf_view text);

/* Makes the keyring of the fields of an AES key. */
enum kf_code cli_keyfile_open_aes(const struct cli_parts *parts, struct cli_failure *failure,
                                  struct kf_keyring **out);

/* Makes the keyring of one or two keys of RSA or of a curve; sets `is_secret`. */
enum kf_code cli_keyfile_open_pair(struct cli_parts *parts, struct cli_passphrase *passphrase,
                                   struct cli_failure *failure, struct kf_keyring **out);

#endif
