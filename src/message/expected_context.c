/*
 * Expected contexts: see expected_context.h. Called by decrypt.c. Names keys, and never a value.
 */
#include "message/expected_context.h"

#include "base/error.h"
#include "base/text.h"
#include "base/view.h"

/* The most of a sentence that may be keys. */
#define KEYS_ROOM 440

enum kf_code kfi_expected_context_init(struct kfi_expected_context *expected,
                                       const struct kf_encryption_context *pairs, const struct kf_view *keys,
                                       size_t key_count, struct kf_error *error)
{
    *expected = (struct kfi_expected_context){.key_count = key_count};
    enum kf_code code = kfi_views_check(keys, key_count, "Option expected_keys", error);
    if (code == KF_OK && key_count > 0 && (expected->keys = kfi_copy_all(keys, key_count)) == NULL)
        code = kfi_no_memory(error);
    if (code == KF_OK)
        expected->pairs = kf_encryption_context_ref(pairs);
    return code;
}

void kfi_expected_context_end(struct kfi_expected_context *expected)
{
    kf_encryption_context_unref(expected->pairs);
    kfi_free(expected->keys);
}

/* Adds the pairs that are different in `context` and, if `lacking`, those that are not there. */
static void list_pairs(const struct kf_encryption_context *pairs, const struct kf_encryption_context *context,
                       bool lacking, struct kfi_listing *wrong)
{
    for (size_t i = 0; i < kf_encryption_context_count(pairs); i++) {
        const struct kf_pair pair = kf_encryption_context_at(pairs, i);
        struct kf_view value;
        const bool is_there = kf_encryption_context_get(context, pair.key, &value);
        if (is_there ? !kfi_view_equal(value, pair.value) : lacking)
            kfi_listing_add(wrong, ", ", "%s %s", is_there ? "another value of" : "no",
                            kfi_quoted(pair.key).text);
    }
}

/* Adds the keys that are not in `context`, unless they were listed with the pairs. */
static void list_keys(const struct kfi_expected_context *expected,
                      const struct kf_encryption_context *context, struct kfi_listing *wrong)
{
    for (size_t i = 0; i < expected->key_count; i++) {
        const struct kf_view key = expected->keys[i];
        if (!kf_encryption_context_get(context, key, NULL) &&
            !kf_encryption_context_get(expected->pairs, key, NULL))
            kfi_listing_add(wrong, ", ", "no %s", kfi_quoted(key).text);
    }
}

static enum kf_code expected_refuse(struct kfi_listing *wrong, struct kf_error *error)
{
    if (kfi_listing_is_empty(wrong))
        return KF_OK;
    return kf_error_set(error, KF_E_POLICY,
                        "The encryption context of the message is not as expected: it has %s.",
                        kfi_listing_end(wrong));
}

enum kf_code kfi_expected_context_check_stored(const struct kfi_expected_context *expected,
                                               const struct kf_encryption_context *stored,
                                               struct kf_error *error)
{
    struct kfi_listing wrong;
    kfi_listing_begin(&wrong, KEYS_ROOM);
    list_pairs(expected->pairs, stored, false, &wrong);
    return expected_refuse(&wrong, error);
}

enum kf_code kfi_expected_context_check(const struct kfi_expected_context *expected,
                                        const struct kf_encryption_context *context, struct kf_error *error)
{
    struct kfi_listing wrong;
    kfi_listing_begin(&wrong, KEYS_ROOM);
    list_pairs(expected->pairs, context, true, &wrong);
    list_keys(expected, context, &wrong);
    return expected_refuse(&wrong, error);
}
