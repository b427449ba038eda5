/*
 * Options of the KMS keyrings: see kms_options.h. Called when a keyring is made; sends nothing.
 */
#include "aws/keyrings/kms_options.h"

#include "aws/service/arn.h"
#include "aws/service/endpoint.h"
#include "aws/service/kms.h"
#include "aws/service/text.h"
#include "base/bytes.h"
#include "base/text.h"

#define GRANT_TOKEN_COUNT_MAX 10
#define GRANT_TOKEN_MAX 8192
#define ALIAS_MAX 256
#define UUID_LENGTH 36
#define HEX_LENGTH 32
#define NAME_SHOWN 200 /* bytes of a name in a sentence */

bool kfi_kms_text_is_plain(struct kf_view text, size_t max)
{
    return text.length > 0 && text.length <= max && kfi_text_is_visible(text);
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_uuid(struct kf_view id)
{
    if (id.length != UUID_LENGTH)
        return false;
    for (size_t i = 0; i < id.length; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? id.data[i] != '-' : !is_hex(id.data[i]))
            return false;
    }
    return true;
}

static bool is_multi_region_id(struct kf_view id)
{
    if (!kfi_view_begins(id, "mrk-") || id.length != 4 + HEX_LENGTH)
        return false;
    for (size_t i = 4; i < id.length; i++) {
        if (!is_hex(id.data[i]))
            return false;
    }
    return true;
}

static bool is_alias(struct kf_view name)
{
    return kfi_view_begins(name, "alias/") && name.length > strlen("alias/") && name.length <= ALIAS_MAX &&
           kfi_text_consists_of(name, "/_-");
}

enum kf_code kfi_kms_name_check(const char *name, struct kf_error *error, struct kf_view *region)
{
    struct kfi_kms_arn arn;
    *region = kf_view_of(NULL, 0);
    if (name == NULL || name[0] == '\0')
        return kf_error_set(error, KF_E_USAGE, "The name of a KMS key is empty. Give the key's ARN.");
    const struct kf_view text = kf_view_text(name);
    if (!kfi_kms_text_is_plain(text, KFI_KMS_KEY_ID_MAX))
        return kf_error_set(error, KF_E_USAGE,
                            "The name of a KMS key has at most %d characters, all of them visible ASCII.",
                            KFI_KMS_KEY_ID_MAX);
    if (!kfi_kms_arn_is_meant(text)) {
        if (is_uuid(text) || is_multi_region_id(text) || is_alias(text))
            return KF_OK;
        return kf_error_set(error, KF_E_USAGE,
                            "\"%s\" does not name a KMS key. Give the ARN of a key or alias, a key id "
                            "(12345678-1234-…), or alias/NAME.",
                            kfi_shown_text(name, NAME_SHOWN).text);
    }
    if (!kfi_kms_arn_parse(text, &arn))
        return kf_error_set(error, KF_E_USAGE,
                            "\"%s\" is not the ARN of a KMS key or alias, which looks like "
                            "arn:aws:kms:REGION:ACCOUNT:key/ID.",
                            kfi_shown_text(name, NAME_SHOWN).text);
    if (!kfi_aws_region_is_valid(arn.region))
        return kf_error_set(error, KF_E_USAGE, "The region in the ARN \"%s\" is not valid.",
                            kfi_shown_text(name, NAME_SHOWN).text);
    *region = arn.region;
    return KF_OK;
}

enum kf_code kfi_kms_grant_tokens_check(const char *const *tokens, size_t count, struct kf_error *error)
{
    if (count > GRANT_TOKEN_COUNT_MAX)
        return kf_error_set(error, KF_E_USAGE, "KMS takes at most %d grant tokens, not %zu.",
                            GRANT_TOKEN_COUNT_MAX, count);
    for (size_t i = 0; i < count; i++) {
        if (tokens == NULL || tokens[i] == NULL ||
            !kfi_kms_text_is_plain(kf_view_text(tokens[i]), GRANT_TOKEN_MAX))
            return kf_error_set(error, KF_E_USAGE,
                                "Grant token %zu is not valid: it has to have 1 to %d characters of visible "
                                "ASCII.",
                                i + 1, GRANT_TOKEN_MAX);
    }
    return KF_OK;
}

char **kfi_kms_strings_copy(const char *const *strings, size_t count)
{
    size_t length = count * sizeof(char *);
    for (size_t i = 0; i < count; i++)
        length += strlen(strings[i]) + 1;
    char **copy = kfi_alloc(length);
    if (copy == NULL)
        return NULL;
    char *next = (char *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(strings[i]) + 1;
        memcpy(next, strings[i], size);
        copy[i] = next;
        next += size;
    }
    return copy;
}
