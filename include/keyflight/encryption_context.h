/*
 * The encryption context: pairs of text that are authenticated with a message. The message stores them in the
 * clear, except those whose keys are required of its reader. A context never changes.
 * (S: framework/structures.md#encryption-context)
 */
#ifndef KEYFLIGHT_ENCRYPTION_CONTEXT_H
#define KEYFLIGHT_ENCRYPTION_CONTEXT_H

#include <keyflight/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kf_encryption_context;

/* One pair. Key and value are UTF-8, of 0 to 65,535 bytes each. */
struct kf_pair {
    struct kf_view key;
    struct kf_view value;
};

/*
 * Makes a context of `count` pairs in any order. They are copied. Serialized they take at most 65,535 bytes, so
 * that there are at most 16,383. Errors: KF_E_USAGE (a key twice, not UTF-8, too long), KF_E_NO_MEMORY.
 */
KF_CODE kf_encryption_context_new(const struct kf_pair *pairs, size_t count, struct kf_error *error,
                                  const struct kf_encryption_context **out);

/*
 * The same from strings: keys and values in turn, and NULL in the place of the next key.
 * `kf_encryption_context_of(&error, &context, "purpose", "demo", (char *)NULL)`
 */
KF_CODE kf_encryption_context_of(struct kf_error *error, const struct kf_encryption_context **out, ...)
    KF_ATTRIBUTE(sentinel);

/* One reference more. Answers `context`. */
KF_API const struct kf_encryption_context *kf_encryption_context_ref(
    const struct kf_encryption_context *context);

/* One reference less. The last one frees the context. */
KF_API void kf_encryption_context_unref(const struct kf_encryption_context *context);

/* The number of pairs. 0 for NULL, which is an empty context here and below. */
KF_API size_t kf_encryption_context_count(const struct kf_encryption_context *context);

/*
 * Pair `index`, which is less than the count, in ascending order of the keys' bytes. The views live as long as
 * the context.
 */
KF_API struct kf_pair kf_encryption_context_at(const struct kf_encryption_context *context, size_t index);

/* Whether there is a pair with this key. If so, `*value` (`value` may be NULL) is a view of its value. */
KF_API bool kf_encryption_context_get(const struct kf_encryption_context *context, struct kf_view key,
                                      struct kf_view *value);

/* ---- The serialized form, for keyrings that bind the context to the data keys that they wrap ---- */

/*
 * The pairs as every client of the AWS Encryption SDK serializes them, for instance as additional data of
 * AES-GCM: a count, and then each key and each value behind its length. Numbers have 16 bits, big-endian. Pairs
 * are in ascending order of the keys' bytes. An empty context has no bytes at all. The view lives as long as the
 * context. (S: framework/structures.md#serialization)
 */
KF_API struct kf_view kf_encryption_context_serialized(const struct kf_encryption_context *context);

/*
 * Makes a context of that form, which may have the pairs in any order. No bytes make an empty context. Errors:
 * KF_E_USAGE, KF_E_MALFORMED (more than 65,535 bytes, cut, bytes left over, a count of 0, a key twice, not
 * UTF-8), KF_E_NO_MEMORY.
 */
KF_CODE kf_encryption_context_parse(struct kf_view serialized, struct kf_error *error,
                                    const struct kf_encryption_context **out);

#ifdef __cplusplus
}
#endif

#endif
