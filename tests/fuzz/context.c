/*
 * Any bytes as an encryption context. A context that is read is sorted, has no key twice, is the same when it
 * is written and read again, and can be split and joined.
 */
#include "fuzz/fuzz.h"

#include "message/encryption_context.h"

static void check_sorted(const struct kf_encryption_context *context)
{
    for (size_t i = 0; i < kf_encryption_context_count(context); i++) {
        const struct kf_pair pair = kf_encryption_context_at(context, i);
        struct kf_view value;
        CHECK(kf_encryption_context_get(context, pair.key, &value) && kfi_view_equal(value, pair.value));
        CHECK(kfi_view_is_utf8(pair.key) && kfi_view_is_utf8(pair.value));
        CHECK(i == 0 || kfi_view_compare(kf_encryption_context_at(context, i - 1).key, pair.key) < 0);
    }
}

static bool same(const struct kf_encryption_context *a, const struct kf_encryption_context *b)
{
    return kfi_view_equal(kf_encryption_context_serialized(a), kf_encryption_context_serialized(b));
}

/* It is split by every second key, and joined again. */
static void check_split(const struct kf_encryption_context *context)
{
    struct kf_view keys[64];
    size_t count = 0;
    for (size_t i = 0; i < kf_encryption_context_count(context) && count < 64; i += 2)
        keys[count++] = kf_encryption_context_at(context, i).key;
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_encryption_context *in_list, *others, *joined, *added;
    CHECK(kfi_encryption_context_split(context, keys, count, &error, &in_list, &others) == KF_OK);
    CHECK(kf_encryption_context_count(in_list) == count);
    CHECK(kfi_encryption_context_join(others, in_list, &error, &joined, &added) == KF_OK);
    CHECK(same(joined, context) && same(added, in_list));
    kf_encryption_context_unref(in_list);
    kf_encryption_context_unref(others);
    kf_encryption_context_unref(joined);
    kf_encryption_context_unref(added);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_encryption_context *context, *again;
    if (length > KFI_ENCRYPTION_CONTEXT_MAX)
        return 0;
    const enum kf_code code = kf_encryption_context_parse(kf_view_of(data, length), &error, &context);
    if (code != KF_OK) {
        CHECK_REFUSED(code, &error);
        CHECK(code == KF_E_MALFORMED && context == NULL);
        return 0;
    }
    CHECK(kfi_encryption_context_check(kf_view_of(data, length), &error) == KF_OK);
    CHECK(kf_encryption_context_serialized(context).length == length);
    check_sorted(context);
    CHECK(kf_encryption_context_parse(kf_encryption_context_serialized(context), &error, &again) == KF_OK);
    CHECK(same(context, again));
    kf_encryption_context_unref(again);
    check_split(context);
    kf_encryption_context_unref(context);
    return 0;
}
