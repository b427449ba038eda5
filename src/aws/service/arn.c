/*
 * ARNs of KMS keys: see arn.h. Called by the KMS keyrings.
 */
#include "aws/service/arn.h"

#include "base/bytes.h"

#define PART_COUNT 6 /* arn, partition, service, region, account, resource */

static bool part_is(struct kf_view view, const char *text)
{
    return kfi_view_equal(view, kf_view_text(text));
}

/* Splits `*rest` at the first `separator`. False if there is none. */
static bool part_split(struct kf_view *rest, char separator, struct kf_view *front)
{
    const uint8_t *end = rest->length == 0 ? NULL : memchr(rest->data, separator, rest->length);
    if (end == NULL)
        return false;
    size_t length = (size_t)(end - rest->data);
    *front = kf_view_of(rest->data, length);
    *rest = kf_view_of(end + 1, rest->length - length - 1);
    return true;
}

bool kfi_kms_arn_parse(struct kf_view text, struct kfi_kms_arn *out)
{
    struct kf_view parts[PART_COUNT];
    struct kf_view rest = text;
    for (size_t i = 0; i + 1 < PART_COUNT; i++) {
        if (!part_split(&rest, ':', &parts[i]) || parts[i].length == 0)
            return false;
    }
    struct kfi_kms_arn arn = {.partition = parts[1], .region = parts[3], .account = parts[4]};
    if (!part_is(parts[0], "arn") || !part_is(parts[2], "kms") ||
        !part_split(&rest, '/', &arn.resource_type) || rest.length == 0)
        return false;
    arn.resource_id = rest; /* it may contain slashes, but no colon */
    if ((!part_is(arn.resource_type, "alias") && !part_is(arn.resource_type, "key")) ||
        memchr(rest.data, ':', rest.length) != NULL)
        return false;
    *out = arn;
    return true;
}

bool kfi_kms_arn_is_key(const struct kfi_kms_arn *arn)
{
    return part_is(arn->resource_type, "key");
}

bool kfi_kms_arn_is_meant(struct kf_view text)
{
    return kfi_view_begins(text, "arn:");
}
