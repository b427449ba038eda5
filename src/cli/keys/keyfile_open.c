/*
 * Making the keyring of a key file: see keyfile.h. Called by keyfile.c. Never takes a public key to decrypt
 * or a private one to encrypt.
 */
#include "keys/base64.h"

#include <string.h>

#include "keys/keyfile.h"

/* ---- AES ---- */

enum kf_code cli_keyfile_open_aes(const struct cli_parts *parts, struct cli_failure *failure,
                                  struct kf_keyring **out)
{
    for (size_t field = 0; field < CLI_FIELDS; field++) {
        if ((parts->fields[field].data == NULL) != (field == CLI_FIELD_PADDING))
            return cli_fail(failure, parts->path, KF_E_USAGE,
                            field == CLI_FIELD_PADDING ? "A key of type raw-aes has no field '%s'."
                                                       : "This is no key file: the field '%s' is missing.",
                            cli_field_names[field]);
    }
    uint8_t bytes[KF_DATA_KEY_MAX];
    size_t length = cli_base64_decode(parts->fields[CLI_FIELD_KEY], bytes);
    enum kf_code code;
    if (length != 16 && length != 24 && length != 32) {
        code = cli_fail(failure, parts->path, KF_E_USAGE,
                        "The field 'key' is not 16, 24 or 32 bytes in base64.");
    } else {
        struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
        options.key_namespace = parts->fields[CLI_FIELD_NAMESPACE];
        options.key_name = parts->fields[CLI_FIELD_NAME];
        options.wrapping_key = kf_view_of(bytes, length);
        failure->subject = parts->path;
        code = kf_raw_aes_keyring_new(&options, &failure->error, out);
    }
    explicit_bzero(bytes, sizeof bytes);
    return code;
}

/* ---- Pairs ---- */

/* The public and the private key of a file. The length is 0 where there is none. */
struct halves {
    struct kf_view public_key, private_key;
    struct kf_raw_key_info info; /* of either key; both are of one kind */
};

static enum kf_code add_half(struct halves *halves, const char *path, struct kf_view key,
                             const struct kf_raw_key_info *info, struct cli_failure *failure)
{
    struct kf_view *half = info->is_private ? &halves->private_key : &halves->public_key;
    bool is_first = halves->public_key.length + halves->private_key.length == 0;
    if (half->length > 0)
        return cli_fail(failure, path, KF_E_USAGE,
                        "This file has two %s keys. Two keys in one file are a private and a public one.",
                        info->is_private ? "private" : "public");
    if (!is_first && halves->info.curve != info->curve)
        return cli_fail(failure, path, KF_E_USAGE, "The two keys in this file are of different kinds.");
    *half = key;
    halves->info = *info;
    return KF_OK;
}

static enum kf_code find_halves(const struct cli_parts *parts, const struct kf_passphrase *passphrase,
                                struct cli_failure *failure, struct halves *out)
{
    *out = (struct halves){.public_key = {NULL, 0}};
    enum kf_code code = KF_OK;
    for (size_t i = 0; i < parts->key_count && code == KF_OK; i++) {
        struct kf_raw_key_info info = {.size = sizeof info};
        failure->subject = parts->path;
        code = kf_raw_key_describe(parts->keys[i], passphrase, &failure->error, &info);
        if (code == KF_OK)
            code = add_half(out, parts->path, parts->keys[i], &info, failure);
    }
    return code;
}

static enum kf_code check_use(const struct cli_parts *parts, const struct halves *halves,
                              struct cli_failure *failure)
{
    if (parts->use == CLI_ENCRYPTS && halves->public_key.length == 0)
        return cli_fail(failure, parts->path, KF_E_USAGE,
                        "This is a private key, which only decrypts; to encrypt, give the public half.");
    if (parts->use == CLI_DECRYPTS && halves->private_key.length == 0)
        return cli_fail(failure, parts->path, KF_E_USAGE,
                        "This is a public key, which only encrypts; to decrypt, give the private half.");
    return KF_OK;
}

/* ---- RSA ---- */

static enum kf_code open_rsa(const struct cli_parts *parts, const struct halves *halves,
                             struct kf_passphrase passphrase, struct cli_failure *failure,
                             struct kf_keyring **out)
{
    const struct kf_view *fields = parts->fields;
    struct kf_raw_rsa_keyring_options options = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    options.key_namespace =
        fields[CLI_FIELD_NAMESPACE].data != NULL ? fields[CLI_FIELD_NAMESPACE] : kf_view_text("keyflight");
    options.key_name = fields[CLI_FIELD_NAME].data != NULL ? fields[CLI_FIELD_NAME]
                                                           : kf_view_text(halves->info.rsa_fingerprint);
    options.public_key = halves->public_key;
    options.private_key = halves->private_key;
    options.passphrase = passphrase;
    if (fields[CLI_FIELD_PADDING].data != NULL &&
        !cli_rsa_padding(fields[CLI_FIELD_PADDING], &options.padding))
        return cli_fail(failure, parts->path, KF_E_USAGE,
                        "The field 'padding' is not known: it is " CLI_PADDINGS ".");
    failure->subject = parts->path;
    return kf_raw_rsa_keyring_new(&options, &failure->error, out);
}

/* ---- ECDH ---- */

static enum kf_code open_ecdh(const struct cli_parts *parts, const struct halves *halves,
                              struct kf_passphrase passphrase, struct cli_failure *failure,
                              struct kf_keyring **out)
{
    const struct kf_view *fields = parts->fields;
    if (fields[CLI_FIELD_NAMESPACE].data != NULL || fields[CLI_FIELD_NAME].data != NULL ||
        fields[CLI_FIELD_PADDING].data != NULL)
        return cli_fail(
            failure, parts->path, KF_E_USAGE,
            "A key for ECDH has no fields namespace, name and padding: it is known by its public half.");
    struct kf_raw_ecdh_keyring_options options = KF_RAW_ECDH_KEYRING_OPTIONS_INIT;
    options.schema = halves->public_key.length == 0    ? KF_ECDH_DISCOVERY
                     : halves->private_key.length == 0 ? KF_ECDH_EPHEMERAL
                                                       : KF_ECDH_STATIC;
    options.curve = (enum kf_ecdh_curve)halves->info.curve;
    options.public_key = halves->public_key;
    options.private_key = halves->private_key;
    options.passphrase = passphrase;
    failure->subject = parts->path;
    return kf_raw_ecdh_keyring_new(&options, &failure->error, out);
}

/* ---- Either ---- */

static enum kf_code check_pair_type(const struct cli_parts *parts, enum cli_key_type type,
                                    struct cli_failure *failure)
{
    struct kf_view given = parts->fields[CLI_FIELD_TYPE];
    const char *name = cli_key_type_names[type];
    if (given.data == NULL || cli_view_is(given, name))
        return KF_OK;
    return cli_fail(failure, parts->path, KF_E_USAGE,
                    "The field 'type' is wrong: the key in PEM is of type %s.", name);
}

enum kf_code cli_keyfile_open_pair(struct cli_parts *parts, struct cli_passphrase *passphrase,
                                   struct cli_failure *failure, struct kf_keyring **out)
{
    const struct kf_passphrase source = cli_passphrase_source(passphrase, parts->path);
    struct halves halves;
    enum kf_code code = find_halves(parts, &source, failure, &halves);
    const enum cli_key_type type = halves.info.curve == 0 ? CLI_RAW_RSA : CLI_RAW_ECDH;
    if (code == KF_OK)
        code = check_pair_type(parts, type, failure);
    if (code == KF_OK)
        code = check_use(parts, &halves, failure);
    if (code == KF_OK)
        code = type == CLI_RAW_RSA ? open_rsa(parts, &halves, source, failure, out)
                                   : open_ecdh(parts, &halves, source, failure, out);
    if (passphrase->failure.error.code !=
        KF_OK) { /* its sentence says more: the library knows only that it got no passphrase */
        *failure = passphrase->failure;
        code = failure->error.code;
    }
    parts->is_secret = halves.private_key.length > 0;
    return code;
}
