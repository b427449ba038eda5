/*
 * The encryption context: pairs of text that are authenticated with a message and, unless they are required,
 * stored in it in the clear. An object never changes after its creation and may be used by many threads at
 * once. (S: framework/structures.md#encryption-context)
 */
#ifndef KEYFLIGHT_ENCRYPTION_CONTEXT_H
#define KEYFLIGHT_ENCRYPTION_CONTEXT_H

#include <keyflight/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kf_encryption_context;

/* One pair: UTF-8, 0 to 65,535 bytes each. */
struct kf_pair {
    struct kf_view key;
    struct kf_view value;
};

/*
 * Makes a context of `count` pairs (0 to 65,535), in any order; bytes are copied. All pairs together take at
 * most 65,535 bytes when serialized. Errors: KF_E_USAGE (a key twice, not UTF-8, too long), KF_E_NO_MEMORY.
 * The caller owns one reference of `*out`.
 */
KF_CODE kf_encryption_context_new(const struct kf_pair *pairs, size_t count, struct kf_error *error,
                                  const struct kf_encryption_context **out);

/*
 * The same from C strings: keys and values in turn, ended by NULL in the place of a key.
 * `kf_encryption_context_of(&error, &context, "purpose", "demo", (char *)NULL)`
 */
KF_CODE kf_encryption_context_of(struct kf_error *error, const struct kf_encryption_context **out, ...)
    KF_ATTRIBUTE(sentinel);

/* One more reference; answers `context`. NULL is allowed. */
KF_API const struct kf_encryption_context *kf_encryption_context_ref(
    const struct kf_encryption_context *context);

/* One reference less. NULL is allowed. */
KF_API void kf_encryption_context_unref(const struct kf_encryption_context *context);

/* How many pairs there are; 0 for NULL. */
KF_API size_t kf_encryption_context_count(const struct kf_encryption_context *context);

/*
 * Pair `index` (below the count) in ascending order of the keys' bytes. The views live as long as the
 * context.
 */
KF_API struct kf_pair kf_encryption_context_at(const struct kf_encryption_context *context, size_t index);

/* Whether there is a pair with this key; if so, its value is written to `*value` (may be NULL). */
KF_API bool kf_encryption_context_get(const struct kf_encryption_context *context, struct kf_view key,
                                      struct kf_view *value);

/* ---- The serialized form, for keyrings that bind the context to the data keys that they wrap ---- */

/*
 * The pairs as every client of the AWS Encryption SDK serializes them, such as for the additional data of AES-GCM: a
 * count, then each key and each value behind its length, all numbers in 16 bits, big-endian, in ascending order of the
 * keys' bytes. No bytes for an empty context or NULL. The view lives as long as the context.
 * (S: framework/structures.md#serialization)
 */
KF_API struct kf_view kf_encryption_context_serialized(const struct kf_encryption_context *context);

/*
 * Reads that form again, with the pairs in any order; no bytes make an empty context. Errors: KF_E_USAGE,
 * KF_E_MALFORMED (more than 65,535 bytes, cut, bytes left over, a count of 0, a key twice, not UTF-8), KF_E_NO_MEMORY.
 * The caller owns one reference of `*out`.
 */
KF_CODE kf_encryption_context_parse(struct kf_view serialized, struct kf_error *error,
                                    const struct kf_encryption_context **out);

#ifdef __cplusplus
}
#endif

#endif
