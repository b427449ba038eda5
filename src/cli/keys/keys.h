/*
 * Makes a keyring or a CMM of the values of -k. Called by job.c, encrypt, decrypt, storm and doctor.
 *
 * A value is the path of a key file, "-" for one on the standard input, "kms:KEY" for a key in AWS KMS, or
 * "kms-discovery:" for whatever key in AWS KMS a message names.
 */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include "aws.h"
#include "keys/keyfile.h"

/* The id of an option, above those of all commands and of aws.h, and its row. */
enum {
    CLI_PASSPHRASE_FILE = 1100
};

#define CLI_PASSPHRASE_OPTION                                                                      \
    {                                                                                              \
        CLI_PASSPHRASE_FILE, "passphrase-file", "FILE", false,                                     \
            "of encrypted private keys: the first line of\nFILE; by default the terminal is asked" \
    }

/* The keys of one command. */
struct cli_keys {
    const char **values; /* borrowed strings, in the order of the command line */
    size_t count;
    const char *passphrase_file; /* NULL: a passphrase that is needed is asked for on the terminal */
    struct cli_aws aws;
    char *from_environment; /* the value made from KMS_KEY_ARN, if it was taken */
};

/* Begins without keys, with room for all arguments of a command. cli_keys_end is owed after an error too. */
enum kf_code cli_keys_begin(struct cli_keys *keys, int argc, struct cli_failure *failure);
void cli_keys_end(struct cli_keys *keys);

/*
 * Takes -k, --passphrase-file or an option that says how AWS is reached. Answers whether it was one of them.
 */
bool cli_keys_take(struct cli_keys *keys, int id, const char *value);

/* If no -k was given, takes the key that KMS_KEY_ARN in the environment names, if that is set. */
enum kf_code cli_keys_take_environment(struct cli_keys *keys, struct cli_failure *failure);

/*
 * Makes one keyring of the values, of which there is at least one. The first key makes the data key and all
 * of them wrap it, those in KMS side by side; to decrypt they are tried in turn. `input` is the operand that
 * will be read ("": none): only one of it, the keys and the passphrase can be the standard input. An AWS
 * client is made only if a value needs it. The caller owns one reference of `*out`.
 */
enum kf_code cli_keys_open(struct cli_keys *keys, enum cli_use use, const char *input,
                           struct cli_failure *failure, struct kf_keyring **out);

/* The same as a CMM. Its messages do not store the pairs of their context that have the names `required`. */
enum kf_code cli_keys_open_cmm(struct cli_keys *keys, enum cli_use use, const char *input,
                               const struct kf_view *required, size_t required_count,
                               struct cli_failure *failure, struct kf_cmm **out);

/* The name of the key in KMS in a value; NULL if the value is of another kind. */
const char *cli_keys_kms(const char *value);

/* After the error `code`: prints a hint if KMS refused. */
void cli_keys_hint(const struct cli_keys *keys, enum kf_code code);

#define CLI_KEY_HELP                                        \
    "a key file of 'keyflight keygen', PEM or DER, - for\n" \
    "one on the standard input, kms:ARN for one in KMS"

#endif
