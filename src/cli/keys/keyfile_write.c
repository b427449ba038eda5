/* Writing key files: see keyfile.h. Called by keygen. Never replaces a file: that is the output's. */
#include "keys/base64.h"

#include <string.h>

#include "keys/keyfile.h"
#include "text.h"

/* ---- Checking ---- */

/* Makes the keyring of a key, which checks the names. */
static enum kf_code make_keyring(const struct cli_key *key, struct cli_failure *failure,
                                 struct kf_keyring **out)
{
    failure->subject = NULL;
    if (key->type == CLI_RAW_AES) {
        struct kf_raw_aes_keyring_options aes = KF_RAW_AES_KEYRING_OPTIONS_INIT;
        aes.key_namespace = key->key_namespace;
        aes.key_name = key->name;
        aes.wrapping_key = key->key;
        return kf_raw_aes_keyring_new(&aes, &failure->error, out);
    }
    struct kf_raw_rsa_keyring_options rsa = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    rsa.key_namespace = key->key_namespace;
    rsa.key_name = key->name;
    rsa.padding = key->padding;
    rsa.public_key = key->key;
    return kf_raw_rsa_keyring_new(&rsa, &failure->error, out);
}

enum kf_code cli_keyfile_check(const struct cli_key *key, struct cli_failure *failure)
{
    const struct kf_view texts[] = {key->key_namespace, key->name};
    if (key->type == CLI_RAW_ECDH)
        return KF_OK;
    for (size_t i = 0; i < 2; i++) {
        if (texts[i].length == 0 || cli_trim(texts[i]).length != texts[i].length ||
            !cli_text_is_printable(texts[i]))
            return cli_fail(
                failure, NULL, KF_E_USAGE,
                "The %s of a key has to be printable UTF-8, not empty, and without blanks at its ends.",
                i == 0 ? "namespace" : "name");
    }
    struct kf_keyring *keyring;
    enum kf_code code = make_keyring(key, failure, &keyring);
    if (code == KF_OK)
        kf_keyring_unref(keyring);
    return code;
}

/* ---- Writing ---- */

/* Writes a field, which is a line. */
static enum kf_code write_field(struct cli_output *output, const char *name, struct kf_view value,
                                struct cli_failure *failure)
{
    const struct kf_view parts[] = {kf_view_text(name), kf_view_text(": "), value, kf_view_text("\n")};
    enum kf_code code = KF_OK;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && code == KF_OK; i++)
        code = cli_output_write(output, parts[i], failure);
    return code;
}

static enum kf_code write_bytes(struct cli_output *output, struct kf_view bytes, struct cli_failure *failure)
{
    uint8_t text[CLI_BASE64_MAX];
    enum kf_code code = write_field(output, "key", kf_view_of(text, cli_base64_encode(bytes, text)), failure);
    explicit_bzero(text, sizeof text);
    return code;
}

enum kf_code cli_keyfile_write(const struct cli_key *key, struct cli_output *output,
                               struct cli_failure *failure)
{
    const char *comment = key->is_public
                              ? "# keyflight key file, the public half: whoever has it can encrypt.\n"
                              : "# keyflight key file: whoever has it can decrypt; keep it secret.\n";
    enum kf_code code = cli_output_write(output, kf_view_text(comment), failure);
    if (code == KF_OK)
        code = write_field(output, "type", kf_view_text(cli_key_type_names[key->type]), failure);
    if (code == KF_OK && key->type != CLI_RAW_ECDH)
        code = write_field(output, "namespace", key->key_namespace, failure);
    if (code == KF_OK && key->type != CLI_RAW_ECDH)
        code = write_field(output, "name", key->name, failure);
    if (code == KF_OK && key->type == CLI_RAW_RSA)
        code = write_field(output, "padding", kf_view_text(kf_rsa_padding_name(key->padding)), failure);
    if (code != KF_OK)
        return code;
    return key->type == CLI_RAW_AES ? write_bytes(output, key->key, failure)
                                    : cli_output_write(output, key->key, failure);
}
