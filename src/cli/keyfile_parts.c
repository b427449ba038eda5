/*
 * What stands in a key file: the words that both reading and writing know. Called by keyfile*.c and keygen.
 */
#include "keyfile_parts.h"

const char *const kf_cli_key_type_names[KF_CLI_KEY_TYPES] = {"raw-aes", "raw-rsa", "raw-ecdh"};

const char *const kf_cli_padding_names[] = {
    [KF_RSA_PKCS1] = "pkcs1",
    [KF_RSA_OAEP_SHA1] = "oaep-sha1",
    [KF_RSA_OAEP_SHA256] = "oaep-sha256",
    [KF_RSA_OAEP_SHA384] = "oaep-sha384",
    [KF_RSA_OAEP_SHA512] = "oaep-sha512",
};

bool kf_cli_rsa_padding(struct kf_view text, enum kf_rsa_padding *out)
{
    for (int i = KF_RSA_PKCS1; i <= KF_RSA_OAEP_SHA512; i++) {
        if (!kf_cli_view_is(text, kf_cli_padding_names[i]))
            continue;
        *out = (enum kf_rsa_padding)i;
        return true;
    }
    return false;
}

bool kf_cli_view_is(struct kf_view view, const char *text)
{
    return view.length == strlen(text) && memcmp(view.data, text, view.length) == 0;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

struct kf_view kf_cli_trim(struct kf_view text)
{
    while (text.length > 0 && is_blank(text.data[0]))
        text = kf_view_of(text.data + 1, text.length - 1);
    while (text.length > 0 && is_blank(text.data[text.length - 1]))
        text.length--;
    return text;
}
