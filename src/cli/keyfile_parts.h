/*
 * What the files about key files share: what stands in one. Called by keyfile*.c only.
 */
#ifndef KF_CLI_KEYFILE_PARTS_H
#define KF_CLI_KEYFILE_PARTS_H

#include "keyfile.h"

#define KF_CLI_DER_BEGINS 0x30 /* with a sequence; no field has a name that begins like this */

enum {
    KF_CLI_FIELD_TYPE,
    KF_CLI_FIELD_NAMESPACE,
    KF_CLI_FIELD_NAME,
    KF_CLI_FIELD_PADDING,
    KF_CLI_FIELD_KEY,
    KF_CLI_FIELDS,

    KF_CLI_KEYS_MAX = 2
};

/* A key file taken apart: views of its text. */
struct kf_cli_parts {
    const char *path;
    enum kf_cli_use use;
    struct kf_view fields[KF_CLI_FIELDS]; /* data is NULL where there is none */
    struct kf_view keys[KF_CLI_KEYS_MAX]; /* in PEM or DER */
    size_t key_count;
    bool is_secret; /* whether something in it has to be */
};

extern const char *const kf_cli_key_type_names[KF_CLI_KEY_TYPES];
extern const char *const kf_cli_padding_names[]; /* by enum kf_rsa_padding */

/* Whether the view is this text. */
bool kf_cli_view_is(struct kf_view view, const char *text);

/* The text without blanks at its ends. */
struct kf_view kf_cli_trim(struct kf_view text);

/* Makes the keyring of one or two keys of RSA or of a curve; says whether one of them is private. */
enum kf_code kf_cli_keyfile_open_pair(struct kf_cli_parts *parts, struct kf_cli_passphrase *passphrase,
                                      struct kf_cli_failure *failure, struct kf_keyring **out);

#endif
