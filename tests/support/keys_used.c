/*
 * Which data keys messages were made with: see keys_used.h.
 */
#include "support/keys_used.h"

#include <stdlib.h>
#include <string.h>

static struct key_trace trace_of(struct kf_edk edk)
{
    struct key_trace trace;
    assert_int_equal(edk.ciphertext.length, KEY_TRACE_LENGTH);
    memcpy(trace.bytes, edk.ciphertext.data, KEY_TRACE_LENGTH);
    return trace;
}

struct key_trace key_trace_of_message(struct kf_view message)
{
    const struct kf_header *header;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_header_parse(message, 0, &error, &header), &error);
    struct key_trace trace = trace_of(kf_header_edk(header, 0));
    kf_header_unref(header);
    return trace;
}

struct key_trace key_trace_of_materials(const struct kf_encryption_materials *materials)
{
    return trace_of(kf_encryption_materials_edk(materials, 0));
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, KEY_TRACE_LENGTH);
}

size_t key_traces_count(struct key_trace *traces, size_t count, size_t *most)
{
    size_t keys = 0, uses = 0;
    *most = 0;
    qsort(traces, count, sizeof *traces, by_bytes);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || by_bytes(&traces[i - 1], &traces[i]) != 0) {
            keys++;
            uses = 0;
        }
        if (++uses > *most)
            *most = uses;
    }
    return keys;
}
