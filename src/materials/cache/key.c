/*
 * Cache keys: see key.h. Called by the caching CMM for every request that does not bypass the
 * cache.
 *
 * The identifier is the specification's: SHA-384 over fields with single zero bytes between them. It leaves
 * out the commitment policy, the EDK limit, the required keys and the reproduced context, and does not say
 * where a field ends; that stands beside it, so that nobody is given what he would have been refused had he
 * asked alone. (S: framework/caching-cmm.md#appendix-a-cache-entry-identifier-formulas)
 */
#include "materials/cache/key.h"

#include <stdlib.h>

#include "base/error.h"
#include "message/edk.h"
#include "message/encryption_context.h"
#include "suite/digest.h"

static const uint8_t zero[1];

/* The first bytes of every identifier: resource "caching CMM", scope, partition. */
#define FRONT(scope, partition) kf_view_of("\x01\x00" scope "\x00", 4), (partition), kf_view_of(zero, 1)

/* Numbers that stand beside the identifier. */
struct numbers {
    enum kf_commitment_policy policy;
    uint16_t max_edks;
    /* Of the fields that may have zero bytes in them: with these nothing can be read in two ways. */
    size_t partition_length, edks_length;
};

/*
 * What stands beside the identifier. Mostly nothing but numbers, as they are; else a digest of them and of
 * `context`. The first byte tells the two apart.
 */
static enum kf_code beside(const struct numbers *numbers, const struct kf_encryption_context *context,
                           struct kf_error *error, uint8_t out[KFI_CACHE_ID_LENGTH])
{
    uint8_t plain[1 + 4 + 2 + 8 + 8];
    struct kfi_writer writer = {plain, sizeof plain, false};
    kfi_write_u8(&writer, 1);
    kfi_write_u32(
        &writer,
        (uint32_t)numbers->policy); /* all of it: a number that is no policy must not look like one */
    kfi_write_u16(&writer, numbers->max_edks);
    kfi_write_u64(&writer, numbers->partition_length);
    kfi_write_u64(&writer, numbers->edks_length);
    memset(out, 0, KFI_CACHE_ID_LENGTH);
    if (kf_encryption_context_count(context) == 0) {
        memcpy(out, plain, sizeof plain);
        return KF_OK;
    }
    const struct kf_view parts[] = {kf_view_of(plain, sizeof plain),
                                    kf_encryption_context_serialized(context)};
    enum kf_code code = kfi_digest(KFI_SHA384, parts, 2, error, out);
    out[0] = 2;
    return code;
}

enum kf_code kfi_cache_key_encryption(struct kf_view partition, const struct kf_encryption_request *request,
                                      struct kf_error *error, struct kfi_cache_key *out)
{
    const uint8_t suite[] = {(uint8_t)(request->suite >> 8), (uint8_t)request->suite, 0};
    bool named = request->suite != KF_SUITE_DEFAULT;
    const struct kf_view parts[] = {
        FRONT("\x01", partition),
        named ? kf_view_of("\x01\x00", 2) : kf_view_of("\x00\x00", 2),
        named ? kf_view_of(suite, sizeof suite) : kf_view_of(zero, 0),
        kf_encryption_context_serialized(request->encryption_context),
    };
    enum kf_code code = kfi_digest(KFI_SHA384, parts, sizeof parts / sizeof parts[0], error, out->id);
    if (code != KF_OK)
        return code;
    const struct numbers numbers = {request->commitment_policy, request->max_edks, partition.length, 0};
    if (request->required_key_count == 0)
        return beside(&numbers, NULL, error, out->beside);

    const struct kf_encryption_context *required = NULL, *stored = NULL;
    code = kfi_encryption_context_split(request->encryption_context, request->required_keys,
                                        request->required_key_count, error, &required, &stored);
    if (code == KF_OK)
        code = beside(&numbers, required, error, out->beside);
    kf_encryption_context_unref(required);
    kf_encryption_context_unref(stored);
    return code;
}

static int compare_views(const void *a, const void *b)
{
    return kfi_view_compare(*(const struct kf_view *)a, *(const struct kf_view *)b);
}

/* All EDKs, serialized, in the order of their bytes: `out` gets the views, which point into `memory`. */
static void edks_sort(const struct kf_edk *edks, size_t count, struct kfi_writer memory, struct kf_view *out)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *start = memory.next;
        kfi_edk_write(&memory, &edks[i]);
        out[i] = kf_view_of(start, (size_t)(memory.next - start));
    }
    qsort(out, count, sizeof *out, compare_views);
}

enum kf_code kfi_cache_key_decryption(struct kf_view partition, const struct kf_decryption_request *request,
                                      struct kf_error *error, struct kfi_cache_key *out)
{
    const uint8_t suite[] = {(uint8_t)(request->suite >> 8), (uint8_t)request->suite, 0};
    const struct kf_view front[] = {FRONT("\x02", partition), kf_view_of(suite, sizeof suite)};
    const struct kf_view back[] = {
        kf_view_of(zero, 1),
        kf_encryption_context_serialized(request->encryption_context),
    };
    const size_t front_count = sizeof front / sizeof front[0], back_count = sizeof back / sizeof back[0];

    size_t length = 0;
    for (size_t i = 0; i < request->edk_count; i++)
        length += kfi_edk_serialized_length(&request->edks[i]);
    size_t part_count = front_count + request->edk_count + back_count;
    uint8_t *serialized = kfi_alloc(length);
    struct kf_view *parts = kfi_alloc(part_count * sizeof *parts);
    enum kf_code code;
    if (serialized == NULL || parts == NULL) {
        code = kfi_no_memory(error);
    } else {
        const struct kfi_writer memory = {serialized, length, false};
        memcpy(parts, front, sizeof front);
        edks_sort(request->edks, request->edk_count, memory, parts + front_count);
        memcpy(parts + front_count + request->edk_count, back, sizeof back);
        code = kfi_digest(KFI_SHA384, parts, part_count, error, out->id);
    }
    kfi_free(parts);
    kfi_free(serialized);
    if (code != KF_OK)
        return code;
    const struct numbers numbers = {request->commitment_policy, request->max_edks, partition.length, length};
    return beside(&numbers, request->reproduced_encryption_context, error, out->beside);
}
