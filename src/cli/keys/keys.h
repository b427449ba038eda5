/*
 * The values of -k, made into what encrypts and decrypts. Called by encrypt, decrypt, storm and doctor.
 *
 * A value is the path of a key file, "-" for one on the standard input, "kms:KEY" for a key in AWS KMS, or
 * "kms-discovery:" for whatever key in AWS KMS a message names. What a key file is, it says itself.
 */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include "aws.h"
#include "keys/keyfile.h"

/* An option's id, above those of any command's own and of aws.h, and its row. */
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
    const char *passphrase_file; /* NULL: the terminal is asked, if a key file is encrypted */
    struct cli_aws aws;
    char *from_environment; /* the value made of KMS_KEY_ARN, if that was taken */
};

/* Begins with none and room for the arguments of a command; cli_keys_end is owed even after an error. */
enum kf_code cli_keys_begin(struct cli_keys *keys, int argc, struct cli_failure *failure);
void cli_keys_end(struct cli_keys *keys);

/* Takes -k, --passphrase-file or an option that says how AWS is reached; whether it was one. */
bool cli_keys_take(struct cli_keys *keys, int id, const char *value);

/* If no -k was given, takes the key that KMS_KEY_ARN in the environment names, if it does. */
enum kf_code cli_keys_take_environment(struct cli_keys *keys, struct cli_failure *failure);

/*
 * Makes one keyring of the values, at least one: the first generates and all of them wrap, those in KMS side
 * by side; on decryption they are tried in turn. `input` is the operand that is going to be read ("": none
 * is): it can't be the standard input too. An AWS client is made only if a value needs it. The caller owns
 * one reference of `*out`.
 */
enum kf_code cli_keys_open(struct cli_keys *keys, enum cli_use use, const char *input,
                           struct cli_failure *failure, struct kf_keyring **out);

/* The same as a CMM, for messages that don't store these names of their context, if there are any. */
enum kf_code cli_keys_open_cmm(struct cli_keys *keys, enum cli_use use, const char *input,
                               const struct kf_view *required, size_t required_count,
                               struct cli_failure *failure, struct kf_cmm **out);

/* What a value calls the key in KMS; NULL if it is of another kind. */
const char *cli_keys_kms(const char *value);

/* After an error: says where to look, if it is KMS that refused. */
void cli_keys_hint(const struct cli_keys *keys, enum kf_code code);

#define CLI_KEY_HELP                                        \
    "a key file of 'keyflight keygen', PEM or DER, - for\n" \
    "one on the standard input, kms:ARN for one in KMS"

#endif
