/*
 * DER: see der.h. Called by pkey.c. Never allocates.
 */
#include "suite/der.h"

/* A length: one byte below 128, or a count from 1 to 4 and as many bytes. */
static bool take_length(struct kfi_reader *reader, size_t *length)
{
    uint8_t first = kfi_read_u8(reader);
    *length = first;
    if (first < 0x80)
        return !reader->short_read;
    size_t count = first & 0x7f;
    if (count < 1 || count > 4)
        return false;
    *length = (size_t)kfi_read_number(reader, count);
    bool shortest = *length >= 0x80 && *length >> (8 * (count - 1)) != 0;
    return !reader->short_read && shortest;
}

bool kfi_der_take(struct kf_view *rest, uint8_t tag, struct kf_view *content)
{
    struct kfi_reader reader = {*rest, false};
    size_t length;
    if (kfi_read_u8(&reader) != tag || !take_length(&reader, &length))
        return false;
    struct kf_view inside = kfi_read_bytes(&reader, length);
    if (reader.short_read)
        return false;
    *content = inside;
    *rest = reader.rest;
    return true;
}

bool kfi_der_take_number(struct kf_view *rest, struct kf_view *number)
{
    struct kf_view after = *rest, bytes;
    if (!kfi_der_take(&after, KFI_DER_INTEGER, &bytes) || bytes.length == 0 || bytes.data[0] >= 0x80)
        return false;
    if (bytes.data[0] == 0) {
        /* The zero stands for the sign of what follows, or is the number 0 itself. */
        bytes = kf_view_of(bytes.data + 1, bytes.length - 1);
        if (bytes.length > 0 && bytes.data[0] < 0x80)
            return false;
    }
    *number = bytes;
    *rest = after;
    return true;
}

bool kfi_der_take_bits(struct kf_view *rest, struct kf_view *bytes)
{
    struct kf_view after = *rest, bits;
    if (!kfi_der_take(&after, KFI_DER_BIT_STRING, &bits) || bits.length == 0 || bits.data[0] != 0)
        return false;
    *bytes = kf_view_of(bits.data + 1, bits.length - 1);
    *rest = after;
    return true;
}

uint8_t kfi_der_tag(struct kf_view rest)
{
    return rest.length > 0 ? rest.data[0] : 0;
}
