/*
 * Bytes: views, growing buffers with a ceiling, and cursors that read and write big-endian numbers.
 */
#ifndef KFI_BASE_BYTES_H
#define KFI_BASE_BYTES_H

#include "base/memory.h"

static inline bool kfi_view_equal(struct kf_view a, struct kf_view b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool kfi_view_begins(struct kf_view view, const char *text)
{
    return view.length >= strlen(text) && memcmp(view.data, text, strlen(text)) == 0;
}

/* Whether a view is valid: only an empty one may have no data. */
static inline bool kfi_view_is_valid(struct kf_view view)
{
    return view.data != NULL || view.length == 0;
}

/*
 * Checks a view that a user gave. If it is not valid: KF_E_USAGE and a sentence that begins with `name` ("The
 * plaintext").
 */
KFI_SHARED enum kf_code kfi_view_check(struct kf_view view, const char *name, struct kf_error *error);

/* The same for a list of views. The list may be NULL if it has none. */
enum kf_code kfi_views_check(const struct kf_view *views, size_t count, const char *name,
                             struct kf_error *error);

/* Whether two runs of memory share a byte. */
bool kfi_overlap(const void *a, size_t a_length, const void *b, size_t b_length);

/*
 * Checks that a call can read `input` and write its answer to the `length` bytes at `out`. If they overlap:
 * KF_E_USAGE and a sentence that begins with `name` ("The plaintext"). Call it before anything at `out` is
 * changed.
 */
enum kf_code kfi_apart_check(struct kf_view input, const void *out, size_t length, const char *name,
                             struct kf_error *error);

/* Compares by unsigned bytes; a prefix comes first. Returns <0, 0 or >0. */
int kfi_view_compare(struct kf_view a, struct kf_view b);

/* Writes the bytes in lower-case hexadecimal and a NUL to `out`, which has 2 * length + 1 bytes. */
void kfi_view_hex(struct kf_view view, char *out);

/* The bytes of the character at the front of so many bytes (at least 1), or 0 if they are not UTF-8. */
size_t kfi_utf8_length(const uint8_t *s, size_t length);

/* Whether the bytes are UTF-8 as RFC 3629 has it (no surrogates, no overlong forms). */
KFI_SHARED bool kfi_view_is_utf8(struct kf_view view);

/*
 * Makes room for `room` more bytes behind buf->length. The buffer never has more than `ceiling` bytes. Memory
 * that is left behind is wiped. Errors, without a sentence: KF_E_LIMIT (above the ceiling), KF_E_NO_MEMORY.
 */
KFI_SHARED enum kf_code kfi_buf_reserve(struct kf_buf *buf, size_t room, size_t ceiling);

/* As kfi_apart_check, for a buffer: `input` may lie nowhere in its memory. */
enum kf_code kfi_buf_check(const struct kf_buf *buf, struct kf_view input, const char *name,
                           struct kf_error *error);

/* Wipes the content and sets the length to 0. The memory stays. */
KFI_SHARED void kfi_buf_wipe(struct kf_buf *buf);

/*
 * Reads from the front of a view. A read past the end sets `short_read`; from then on reads return zeros or
 * empty views. So a parser reads a whole group of fields and then checks once.
 */
struct kfi_reader {
    struct kf_view rest;
    bool short_read;
};

uint8_t kfi_read_u8(struct kfi_reader *reader);
uint16_t kfi_read_u16(struct kfi_reader *reader);
uint32_t kfi_read_u32(struct kfi_reader *reader);
uint64_t kfi_read_u64(struct kfi_reader *reader);
/* A number of `length` bytes; at most 8. */
uint64_t kfi_read_number(struct kfi_reader *reader, size_t length);
struct kf_view kfi_read_bytes(struct kfi_reader *reader, size_t length);
/* A 16-bit length, and as many bytes. */
struct kf_view kfi_read_field(struct kfi_reader *reader);

/*
 * Writes into memory whose size was computed before. A write past the end sets `overflow` and writes nothing.
 */
struct kfi_writer {
    uint8_t *next;
    size_t room;
    bool overflow;
};

void kfi_write_u8(struct kfi_writer *writer, uint8_t value);
void kfi_write_u16(struct kfi_writer *writer, uint16_t value);
void kfi_write_u32(struct kfi_writer *writer, uint32_t value);
void kfi_write_u64(struct kfi_writer *writer, uint64_t value);
/* A number in `length` bytes; at most 8. */
void kfi_write_number(struct kfi_writer *writer, uint64_t value, size_t length);
void kfi_write_bytes(struct kfi_writer *writer, struct kf_view bytes);
/* A 16-bit length, and the bytes (at most 65,535). */
void kfi_write_field(struct kfi_writer *writer, struct kf_view bytes);

#endif
