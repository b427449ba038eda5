/*
 * Bytes: see bytes.h. Called by every room that reads or writes the wire; knows nothing of messages.
 */
#include "base/bytes.h"

enum kf_code kfi_view_check(struct kf_view view, const char *name, struct kf_error *error)
{
    if (kfi_view_is_valid(view))
        return KF_OK;
    return kf_error_set(error, KF_E_USAGE, "%s is NULL, but its length is %zu.", name, view.length);
}

enum kf_code kfi_views_check(const struct kf_view *views, size_t count, const char *name,
                             struct kf_error *error)
{
    if (views == NULL && count > 0)
        return kf_error_set(error, KF_E_USAGE, "%s is NULL, but its count is %zu.", name, count);
    for (size_t i = 0; i < count; i++) {
        if (!kfi_view_is_valid(views[i]))
            return kf_error_set(error, KF_E_USAGE, "%s[%zu] is NULL, but its length is %zu.", name, i,
                                views[i].length);
    }
    return KF_OK;
}

bool kfi_overlap(const void *a, size_t a_length, const void *b, size_t b_length)
{
    const uintptr_t first = (uintptr_t)a, second = (uintptr_t)b;
    if (a_length == 0 || b_length == 0)
        return false;
    return first < second ? second - first < a_length : first - second < b_length;
}

enum kf_code kfi_apart_check(struct kf_view input, const void *out, size_t length, const char *name,
                             struct kf_error *error)
{
    if (!kfi_overlap(input.data, input.length, out, length))
        return KF_OK;
    return kf_error_set(error, KF_E_USAGE,
                        "%s lies where the answer is to go: give other memory. Nothing was changed.", name);
}

int kfi_view_compare(struct kf_view a, struct kf_view b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    if (order != 0)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

void kfi_view_hex(struct kf_view view, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < view.length; i++) {
        *out++ = digits[view.data[i] >> 4];
        *out++ = digits[view.data[i] & 15];
    }
    *out = '\0';
}

/* The rows are table 3-7 of the Unicode Standard. */
size_t kfi_utf8_length(const uint8_t *s, size_t length)
{
    static const struct {
        uint8_t first_low, first_high, length, second_low, second_high;
    } rows[] = {
        {0x00, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
        {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
        {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (s[0] < rows[i].first_low || s[0] > rows[i].first_high)
            continue;
        if (rows[i].length > length)
            return 0;
        if (rows[i].length > 1 && (s[1] < rows[i].second_low || s[1] > rows[i].second_high))
            return 0;
        for (size_t k = 2; k < rows[i].length; k++) {
            if (s[k] < 0x80 || s[k] > 0xbf)
                return 0;
        }
        return rows[i].length;
    }
    return 0;
}

bool kfi_view_is_utf8(struct kf_view view)
{
    for (size_t i = 0; i < view.length;) {
        size_t step = kfi_utf8_length(view.data + i, view.length - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

enum kf_code kfi_buf_reserve(struct kf_buf *buf, size_t room, size_t ceiling)
{
    if (buf->length > ceiling || room > ceiling - buf->length)
        return KF_E_LIMIT;
    size_t needed = buf->length + room;
    if (needed <= buf->capacity)
        return KF_OK;
    /* Doubling keeps the copying linear; the ceiling is never passed. */
    size_t capacity = buf->capacity <= ceiling / 2 ? buf->capacity * 2 : ceiling;
    if (capacity < needed)
        capacity = needed;
    uint8_t *data = kfi_alloc(capacity);
    if (data == NULL)
        return KF_E_NO_MEMORY;
    if (buf->length > 0)
        memcpy(data, buf->data, buf->length);
    kfi_free_secret(buf->data, buf->capacity);
    buf->data = data;
    buf->capacity = capacity;
    return KF_OK;
}

enum kf_code kfi_buf_check(const struct kf_buf *buf, struct kf_view input, const char *name,
                           struct kf_error *error)
{
    enum kf_code code = kfi_apart_check(input, buf->data, buf->capacity, name, error);
    return code == KF_OK ? kfi_apart_check(input, buf, sizeof *buf, name, error) : code;
}

void kfi_buf_wipe(struct kf_buf *buf)
{
    kfi_wipe(buf->data, buf->length);
    buf->length = 0;
}

void kf_buf_free(struct kf_buf *buf)
{
    if (buf == NULL)
        return;
    kfi_free_secret(buf->data, buf->capacity);
    *buf = (struct kf_buf)KF_BUF_INIT;
}

struct kf_buf kf_buf_take(struct kf_buf *buf)
{
    const struct kf_buf taken = *buf;
    *buf = (struct kf_buf)KF_BUF_INIT;
    return taken;
}

struct kf_view kfi_read_bytes(struct kfi_reader *reader, size_t length)
{
    if (reader->short_read || length > reader->rest.length) {
        reader->short_read = true;
        return kf_view_of(NULL, 0);
    }
    struct kf_view bytes = kf_view_of(reader->rest.data, length);
    if (length > 0)
        reader->rest = kf_view_of(reader->rest.data + length, reader->rest.length - length);
    return bytes;
}

uint64_t kfi_read_number(struct kfi_reader *reader, size_t length)
{
    struct kf_view bytes = kfi_read_bytes(reader, length);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.length; i++)
        value = value << 8 | bytes.data[i];
    return value;
}

uint8_t kfi_read_u8(struct kfi_reader *reader)
{
    return (uint8_t)kfi_read_number(reader, 1);
}

uint16_t kfi_read_u16(struct kfi_reader *reader)
{
    return (uint16_t)kfi_read_number(reader, 2);
}

uint32_t kfi_read_u32(struct kfi_reader *reader)
{
    return (uint32_t)kfi_read_number(reader, 4);
}

uint64_t kfi_read_u64(struct kfi_reader *reader)
{
    return kfi_read_number(reader, 8);
}

struct kf_view kfi_read_field(struct kfi_reader *reader)
{
    return kfi_read_bytes(reader, kfi_read_u16(reader));
}

void kfi_write_bytes(struct kfi_writer *writer, struct kf_view bytes)
{
    if (writer->overflow || bytes.length > writer->room) {
        writer->overflow = true;
        return;
    }
    if (bytes.length == 0)
        return;
    memcpy(writer->next, bytes.data, bytes.length);
    writer->next += bytes.length;
    writer->room -= bytes.length;
}

void kfi_write_number(struct kfi_writer *writer, uint64_t value, size_t length)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(value >> (8 * (length - 1 - i)));
    kfi_write_bytes(writer, kf_view_of(bytes, length));
}

void kfi_write_u8(struct kfi_writer *writer, uint8_t value)
{
    kfi_write_number(writer, value, 1);
}

void kfi_write_u16(struct kfi_writer *writer, uint16_t value)
{
    kfi_write_number(writer, value, 2);
}

void kfi_write_u32(struct kfi_writer *writer, uint32_t value)
{
    kfi_write_number(writer, value, 4);
}

void kfi_write_u64(struct kfi_writer *writer, uint64_t value)
{
    kfi_write_number(writer, value, 8);
}

void kfi_write_field(struct kfi_writer *writer, struct kf_view bytes)
{
    if (bytes.length > UINT16_MAX) {
        writer->overflow = true;
        return;
    }
    kfi_write_u16(writer, (uint16_t)bytes.length);
    kfi_write_bytes(writer, bytes);
}
