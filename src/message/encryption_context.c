/*
 * Encryption contexts: see both headers of this name. Called by everybody who makes a context, by header.c,
 * and by CMMs that split and join contexts. A context is built once, in one allocation, and never changes.
 * What keys mean is no matter here: some are reserved, but encryption sees to that.
 */
#include "message/encryption_context.h"

#include <stdarg.h>

#include "base/error.h"
#include "base/refs.h"
#include "base/text.h"

/* A pair takes at least the bytes of its two lengths. */
#define PAIRS_MAX ((KFI_ENCRYPTION_CONTEXT_MAX - 2) / 4)

struct kf_encryption_context {
    struct kfi_refs refs;
    size_t count;
    struct kf_view serialized; /* its bytes are behind the pairs */
    struct kf_pair pairs[];    /* in ascending order of the keys, views of `serialized` */
};

/* ---- Building ---- */

/* The size of a context that is to be made. */
struct tally {
    size_t count;
    size_t length; /* of the pairs, serialized; in bytes */
};

/* Adds a pair. False if a context cannot have that much. */
static bool tally_add(struct tally *tally, struct kf_pair pair)
{
    tally->count++;
    tally->length += 4 + pair.key.length + pair.value.length;
    return 2 + tally->length <= KFI_ENCRYPTION_CONTEXT_MAX;
}

static enum kf_code context_too_long(enum kf_code code, struct kf_error *error)
{
    return kf_error_set(
        error, code,
        "The encryption context is too long: its pairs take more than 65,535 bytes when serialized, "
        "which is the most that a message can have.");
}

/* An empty context with room for so much. NULL: no memory. */
static struct kf_encryption_context *context_allocate(const struct tally *tally)
{
    size_t length = tally->count > 0 ? 2 + tally->length : 0;
    struct kf_encryption_context *context =
        kfi_alloc(sizeof *context + tally->count * sizeof context->pairs[0] + length);
    if (context == NULL)
        return NULL;
    kfi_refs_init(&context->refs);
    context->count = 0;
    context->serialized = kf_view_of(context->pairs + tally->count, length);
    return context;
}

/* Lets the pair at `root` sink until no pair below it has a greater key. */
static void sift_pairs(struct kf_pair *pairs, size_t root, size_t count)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && kfi_view_compare(pairs[child].key, pairs[child + 1].key) < 0)
            child++;
        if (kfi_view_compare(pairs[root].key, pairs[child].key) >= 0)
            return;
        struct kf_pair pair = pairs[root];
        pairs[root] = pairs[child];
        pairs[child] = pair;
    }
}

/*
 * Heapsort: its worst case is near its average. That matters, since the pairs of a message come before
 * anybody has verified them. And unlike qsort it never allocates.
 */
static void sort_pairs(struct kf_pair *pairs, size_t count)
{
    for (size_t root = count / 2; root-- > 0;)
        sift_pairs(pairs, root, count);
    for (size_t last = count; last-- > 1;) {
        struct kf_pair pair = pairs[0];
        pairs[0] = pairs[last];
        pairs[last] = pair;
        sift_pairs(pairs, 0, last);
    }
}

/* Writes `view` and returns a view of the copy. */
static struct kf_view serialize_field(struct kfi_writer *writer, struct kf_view view)
{
    kfi_write_field(writer, view);
    return kf_view_of(writer->next - view.length, view.length);
}

/* Copies the bytes of the sorted pairs into the context. The pairs become views of these copies. */
static void context_serialize(struct kf_encryption_context *context)
{
    if (context->count == 0)
        return;
    struct kfi_writer writer = {(uint8_t *)(context->pairs + context->count), context->serialized.length,
                                false};
    kfi_write_u16(&writer, (uint16_t)context->count);
    for (size_t i = 0; i < context->count; i++) {
        struct kf_pair *pair = &context->pairs[i];
        pair->key = serialize_field(&writer, pair->key);
        pair->value = serialize_field(&writer, pair->value);
    }
}

/*
 * Completes a context. Its pairs come in any order and are views of other memory. Takes the context; frees it
 * on an error. If a key comes twice, the error has the code `twice`.
 */
static enum kf_code context_finish(struct kf_encryption_context *context, enum kf_code twice,
                                   struct kf_error *error, const struct kf_encryption_context **out)
{
    sort_pairs(context->pairs, context->count);
    for (size_t i = 1; i < context->count; i++) {
        if (!kfi_view_equal(context->pairs[i - 1].key, context->pairs[i].key))
            continue;
        struct kfi_shown key = kfi_quoted(context->pairs[i].key);
        kfi_free(context);
        return kf_error_set(error, twice,
                            "The encryption context has the key %s twice; each key may come only once.",
                            key.text);
    }
    context_serialize(context);
    *out = context;
    return KF_OK;
}

/*
 * A context of two lists of pairs that were checked. Errors: KF_E_USAGE (a key comes twice), `over` (both
 * together are too long), KF_E_NO_MEMORY.
 */
static enum kf_code context_build(const struct kf_pair *first, size_t first_count,
                                  const struct kf_pair *second, size_t second_count, enum kf_code over,
                                  struct kf_error *error, const struct kf_encryption_context **out)
{
    struct tally tally = {0, 0};
    for (size_t i = 0; i < first_count; i++) {
        if (!tally_add(&tally, first[i]))
            return context_too_long(over, error);
    }
    for (size_t i = 0; i < second_count; i++) {
        if (!tally_add(&tally, second[i]))
            return context_too_long(over, error);
    }
    struct kf_encryption_context *context = context_allocate(&tally);
    if (context == NULL)
        return kfi_no_memory(error);
    for (size_t i = 0; i < first_count; i++)
        context->pairs[context->count++] = first[i];
    for (size_t i = 0; i < second_count; i++)
        context->pairs[context->count++] = second[i];
    return context_finish(context, KF_E_USAGE, error, out);
}

/* Checks that a context can have this pair. `number` counts from 1. */
static enum kf_code check_pair(struct kf_pair pair, size_t number, enum kf_code code, struct kf_error *error)
{
    if (!kfi_view_is_valid(pair.key) || !kfi_view_is_valid(pair.value)) {
        const bool key = !kfi_view_is_valid(pair.key);
        return kf_error_set(error, code,
                            "The %s of pair %zu of the encryption context is NULL, but its length is %zu.",
                            key ? "key" : "value", number, key ? pair.key.length : pair.value.length);
    }
    if (pair.key.length > KFI_ENCRYPTION_CONTEXT_MAX || pair.value.length > KFI_ENCRYPTION_CONTEXT_MAX)
        return context_too_long(code, error);
    if (!kfi_view_is_utf8(pair.key))
        return kf_error_set(error, code, "The key of pair %zu of the encryption context is not UTF-8.",
                            number);
    if (!kfi_view_is_utf8(pair.value))
        return kf_error_set(error, code, "The value of the encryption context's key %s is not UTF-8.",
                            kfi_quoted(pair.key).text);
    return KF_OK;
}

enum kf_code kf_encryption_context_new(const struct kf_pair *pairs, size_t count, struct kf_error *error,
                                       const struct kf_encryption_context **out)
{
    *out = NULL;
    if (pairs == NULL && count > 0)
        return kf_error_set(error, KF_E_USAGE,
                            "The pairs of an encryption context are NULL, but their count is %zu.", count);
    for (size_t i = 0; i < count; i++) {
        enum kf_code code = check_pair(pairs[i], i + 1, KF_E_USAGE, error);
        if (code != KF_OK)
            return code;
    }
    return context_build(pairs, count, NULL, 0, KF_E_USAGE, error, out);
}

enum kf_code kf_encryption_context_of(struct kf_error *error, const struct kf_encryption_context **out, ...)
{
    *out = NULL;
    va_list arguments;
    size_t count = 0;
    va_start(arguments, out);
    for (; va_arg(arguments, const char *) != NULL; count++) {
        if (va_arg(arguments, const char *) != NULL)
            continue;
        va_end(arguments);
        return kf_error_set(error, KF_E_USAGE,
                            "The key of pair %zu of the encryption context has no value: it is NULL.",
                            count + 1);
    }
    va_end(arguments);

    struct kf_pair *pairs = kfi_alloc(count * sizeof *pairs);
    if (pairs == NULL)
        return kfi_no_memory(error);
    va_start(arguments, out);
    for (size_t i = 0; i < count; i++) {
        pairs[i].key = kf_view_text(va_arg(arguments, const char *));
        pairs[i].value = kf_view_text(va_arg(arguments, const char *));
    }
    va_end(arguments);
    enum kf_code code = kf_encryption_context_new(pairs, count, error, out);
    kfi_free(pairs);
    return code;
}

/* ---- Looking ---- */

const struct kf_encryption_context *kf_encryption_context_ref(const struct kf_encryption_context *context)
{
    if (context != NULL)
        kfi_refs_add(&context->refs, 1);
    return context;
}

void kf_encryption_context_unref(const struct kf_encryption_context *context)
{
    if (context != NULL && kfi_refs_drop(&context->refs))
        kfi_free(kfi_refs_unconst(context));
}

size_t kf_encryption_context_count(const struct kf_encryption_context *context)
{
    return context != NULL ? context->count : 0;
}

struct kf_pair kf_encryption_context_at(const struct kf_encryption_context *context, size_t index)
{
    if (index >= kf_encryption_context_count(context))
        return (struct kf_pair){{NULL, 0}, {NULL, 0}};
    return context->pairs[index];
}

/* The index of the pair with this key; the count of pairs if there is none. */
static size_t context_find(const struct kf_encryption_context *context, struct kf_view key)
{
    size_t count = kf_encryption_context_count(context);
    size_t low = 0;
    for (size_t high = count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = kfi_view_compare(context->pairs[middle].key, key);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return count;
}

bool kf_encryption_context_get(const struct kf_encryption_context *context, struct kf_view key,
                               struct kf_view *value)
{
    if (!kfi_view_is_valid(key))
        return false;
    size_t index = context_find(context, key);
    if (index == kf_encryption_context_count(context))
        return false;
    if (value != NULL)
        *value = context->pairs[index].value;
    return true;
}

struct kf_view kf_encryption_context_serialized(const struct kf_encryption_context *context)
{
    return context != NULL ? context->serialized : kf_view_of(NULL, 0);
}

/* ---- Parsing (S: framework/structures.md#serialization, data-format/message-header.md#aad) ---- */

static struct kf_pair read_pair(struct kfi_reader *reader)
{
    struct kf_pair pair;
    pair.key = kfi_read_field(reader);
    pair.value = kfi_read_field(reader);
    return pair;
}

enum kf_code kfi_encryption_context_check(struct kf_view serialized, struct kf_error *error)
{
    if (serialized.length == 0)
        return KF_OK;
    if (serialized.length > KFI_ENCRYPTION_CONTEXT_MAX)
        return context_too_long(KF_E_MALFORMED, error);
    struct kfi_reader reader = {serialized, false};
    size_t count = kfi_read_u16(&reader);
    if (reader.short_read)
        return kf_error_set(
            error, KF_E_MALFORMED,
            "The serialized encryption context has 1 byte, which can't hold the count of its pairs.");
    if (count == 0)
        return kf_error_set(
            error, KF_E_MALFORMED,
            "The serialized encryption context has 0 pairs, but takes %zu bytes; an empty one has to "
            "take none.",
            serialized.length);
    for (size_t i = 0; i < count; i++) {
        struct kf_pair pair = read_pair(&reader);
        if (reader.short_read)
            return kf_error_set(
                error, KF_E_MALFORMED,
                "Pair %zu of %zu in the serialized encryption context goes on behind the %zu bytes "
                "that the context has.",
                i + 1, count, serialized.length);
        enum kf_code code = check_pair(pair, i + 1, KF_E_MALFORMED, error);
        if (code != KF_OK)
            return code;
    }
    if (reader.rest.length > 0)
        return kf_error_set(
            error, KF_E_MALFORMED,
            "The serialized encryption context takes %zu bytes, but its %zu pairs end %zu bytes earlier.",
            serialized.length, count, reader.rest.length);
    return KF_OK;
}

enum kf_code kf_encryption_context_parse(struct kf_view serialized, struct kf_error *error,
                                         const struct kf_encryption_context **out)
{
    enum kf_code code =
        kfi_apart_check(serialized, out, sizeof *out, "The serialized encryption context", error);
    if (code != KF_OK)
        return code;
    *out = NULL;
    code = kfi_view_check(serialized, "The serialized encryption context", error);
    if (code == KF_OK)
        code = kfi_encryption_context_check(serialized, error);
    if (code != KF_OK)
        return code;
    /* The check counted the pairs, so the count can be trusted from here on. */
    struct kfi_reader reader = {serialized, false};
    struct tally tally;
    tally.count = kfi_read_u16(&reader); /* 0 if the field is empty */
    tally.length = reader.rest.length;
    struct kf_encryption_context *context = context_allocate(&tally);
    if (context == NULL)
        return kfi_no_memory(error);
    while (context->count < tally.count)
        context->pairs[context->count++] = read_pair(&reader);
    return context_finish(context, KF_E_MALFORMED, error, out);
}

/* ---- Contexts from contexts ---- */

enum kf_code kfi_encryption_context_with(const struct kf_encryption_context *context, struct kf_pair pair,
                                         struct kf_error *error, const struct kf_encryption_context **out)
{
    *out = NULL;
    size_t count = kf_encryption_context_count(context);
    enum kf_code code = check_pair(pair, count + 1, KF_E_USAGE, error);
    if (code != KF_OK)
        return code;
    return context_build(count > 0 ? context->pairs : NULL, count, &pair, 1, KF_E_USAGE, error, out);
}

/* One bit for each pair of a context. */
struct marks {
    uint8_t bits[PAIRS_MAX / 8 + 1];
};

static void mark(struct marks *marks, size_t index)
{
    marks->bits[index / 8] = (uint8_t)(marks->bits[index / 8] | 1u << index % 8);
}

static bool is_marked(const struct marks *marks, size_t index)
{
    return (marks->bits[index / 8] >> index % 8 & 1) != 0;
}

/* A context of the pairs that are marked, or of those that are not. NULL: no memory. */
static const struct kf_encryption_context *select_pairs(const struct kf_encryption_context *context,
                                                        const struct marks *marks, bool marked)
{
    size_t count = kf_encryption_context_count(context);
    struct tally tally = {0, 0};
    for (size_t i = 0; i < count; i++) {
        if (is_marked(marks, i) == marked)
            tally_add(&tally, context->pairs[i]); /* it fits, since the whole does */
    }
    struct kf_encryption_context *selection = context_allocate(&tally);
    if (selection == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (is_marked(marks, i) == marked)
            selection->pairs[selection->count++] = context->pairs[i];
    }
    context_serialize(selection);
    return selection;
}

enum kf_code kfi_encryption_context_split(const struct kf_encryption_context *context,
                                          const struct kf_view *keys, size_t key_count,
                                          struct kf_error *error,
                                          const struct kf_encryption_context **in_list,
                                          const struct kf_encryption_context **others)
{
    *in_list = NULL;
    *others = NULL;
    struct marks listed = {{0}};
    for (size_t i = 0; i < key_count; i++) {
        size_t index = context_find(context, keys[i]);
        if (index == kf_encryption_context_count(context))
            return kf_error_set(error, KF_E_POLICY,
                                "The key %s is required, but the encryption context does not have it.",
                                kfi_quoted(keys[i]).text);
        mark(&listed, index);
    }
    const struct kf_encryption_context *chosen = select_pairs(context, &listed, true);
    const struct kf_encryption_context *rest = select_pairs(context, &listed, false);
    if (chosen == NULL || rest == NULL) {
        kf_encryption_context_unref(chosen);
        kf_encryption_context_unref(rest);
        return kfi_no_memory(error);
    }
    *in_list = chosen;
    *others = rest;
    return KF_OK;
}

enum kf_code kfi_encryption_context_join(const struct kf_encryption_context *stored,
                                         const struct kf_encryption_context *reproduced,
                                         struct kf_error *error, const struct kf_encryption_context **joined,
                                         const struct kf_encryption_context **only_reproduced)
{
    *joined = NULL;
    *only_reproduced = NULL;
    struct marks in_both = {{0}};
    for (size_t i = 0; i < kf_encryption_context_count(reproduced); i++) {
        struct kf_view value;
        if (!kf_encryption_context_get(stored, reproduced->pairs[i].key, &value))
            continue;
        if (!kfi_view_equal(value, reproduced->pairs[i].value))
            return kf_error_set(
                error, KF_E_POLICY,
                "The encryption context in the message and the one that was given for it have different "
                "values of the key %s.",
                kfi_quoted(reproduced->pairs[i].key).text);
        mark(&in_both, i);
    }
    const struct kf_encryption_context *added = select_pairs(reproduced, &in_both, false);
    if (added == NULL)
        return kfi_no_memory(error);
    size_t stored_count = kf_encryption_context_count(stored);
    enum kf_code code = context_build(stored_count > 0 ? stored->pairs : NULL, stored_count, added->pairs,
                                      added->count, KF_E_LIMIT, error, joined);
    if (code != KF_OK) {
        kf_encryption_context_unref(added);
        return code;
    }
    *only_reproduced = added;
    return KF_OK;
}
