/*
 * JSON: see json.h. The only file that knows the parser, yajl.
 *
 * The parser does not survive a failed allocation. So it gets one block that is as large as it can ever need.
 * Pieces of the block are handed out one after another and never given back; the block is wiped as a whole.
 */
#include "aws/service/json.h"

#include <stdalign.h>

#include <yajl/yajl_parse.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"

/* ---- Memory of one parsing ---- */

/* A name that was seen in an object. */
struct name {
    const struct name *before; /* of the same object */
    size_t length;
    const uint8_t *bytes;
};

struct json_reader {
    uint8_t *block;
    size_t used, room;

    struct kfi_json_member *members;
    size_t count;
    struct kfi_json_member *member; /* whose value comes next, or NULL */
    unsigned depth;
    const struct name *names[KFI_JSON_DEPTH_MAX + 1]; /* the last name of each object that is open */
    size_t name_count;
    const char *wrong; /* why we stopped the parser */
};

/*
 * The parser keeps two buffers. Each begins with 2 KiB and doubles until it holds the longest string; since the
 * former ones stay in the block, each takes up to 4 lengths. We keep each string once, and a struct for each
 * name. The parser's other structs are small.
 */
static size_t room_for(size_t length)
{
    return 32768 + 10 * length + KFI_JSON_MEMBERS_MAX * (sizeof(struct name) + 2 * alignof(max_align_t));
}

static void *block_take(struct json_reader *reader, size_t length)
{
    const size_t align = alignof(max_align_t), start = (reader->used + align - 1) / align * align;
    if (start > reader->room || length > reader->room - start)
        return NULL;
    reader->used = start + length;
    return reader->block + start;
}

/* In front of each piece lies its length. */
static void *block_allocate(void *context, size_t length)
{
    size_t *piece = block_take(context, length + alignof(max_align_t));
    if (piece == NULL)
        return NULL;
    *piece = length;
    return (uint8_t *)piece + alignof(max_align_t);
}

static void *block_reallocate(void *context, void *memory, size_t length)
{
    void *more = block_allocate(context, length);
    if (more == NULL || memory == NULL)
        return more;
    const size_t former = *(const size_t *)(const void *)((const uint8_t *)memory - alignof(max_align_t));
    memcpy(more, memory, former < length ? former : length);
    return more;
}

static void block_release(void *context, void *memory)
{
    (void)context;
    (void)memory;
}

/* ---- What the parser calls; the answer 0 stops it ---- */

static int json_stop(struct json_reader *reader, const char *why)
{
    reader->wrong = why;
    return 0;
}

/* A value that is neither a string nor null. */
static int on_other(struct json_reader *reader)
{
    if (reader->depth == 0)
        return json_stop(reader, "it is not an object");
    return reader->depth > 1 || reader->member == NULL
               ? 1
               : json_stop(reader, "a member that has to be text is not");
}

static int on_null(void *context)
{
    struct json_reader *reader = context;
    return reader->depth > 0 ? 1 : json_stop(reader, "it is not an object");
}

static int on_boolean(void *context, int value)
{
    (void)value;
    return on_other(context);
}

static int on_number(void *context, const char *text, size_t length)
{
    (void)text;
    (void)length;
    return on_other(context);
}

/* A copy in the block, followed by a NUL; NULL if the parser has to stop. */
static char *keep_text(struct json_reader *reader, const uint8_t *text, size_t length)
{
    if (memchr(text, '\0', length) != NULL) {
        json_stop(reader, "there is a NUL in a string");
        return NULL;
    }
    char *copy = block_take(reader, length + 1);
    if (copy == NULL) {
        json_stop(reader, "it is too large");
        return NULL;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

static int on_string(void *context, const unsigned char *text, size_t length)
{
    struct json_reader *reader = context;
    if (reader->depth == 0)
        return json_stop(reader, "it is not an object");
    if (reader->depth > 1 || reader->member == NULL)
        return memchr(text, '\0', length) == NULL ? 1 : json_stop(reader, "there is a NUL in a string");
    reader->member->text = keep_text(reader, text, length);
    reader->member->length = length;
    return reader->member->text != NULL;
}

static int on_name(void *context, const unsigned char *text, size_t length)
{
    struct json_reader *reader = context;
    const struct name **last = &reader->names[reader->depth];
    const struct kf_view view = kf_view_of(text, length);
    for (const struct name *name = *last; name != NULL; name = name->before) {
        if (kfi_view_equal(kf_view_of(name->bytes, name->length), view))
            return json_stop(reader, "an object has a member twice");
    }
    if (reader->name_count++ >= KFI_JSON_MEMBERS_MAX)
        return json_stop(reader, "it has too many members");
    const char *copy = keep_text(reader, text, length);
    struct name *name = copy != NULL ? block_take(reader, sizeof *name) : NULL;
    if (name == NULL)
        return copy != NULL ? json_stop(reader, "it is too large") : 0;
    *name = (struct name){*last, length, (const uint8_t *)copy};
    *last = name;
    if (reader->depth > 1)
        return 1;
    reader->member = NULL;
    for (size_t i = 0; i < reader->count; i++) {
        if (kfi_view_equal(kf_view_text(reader->members[i].name), view))
            reader->member = &reader->members[i];
    }
    return 1;
}

static int on_deeper(struct json_reader *reader)
{
    if (reader->depth >= KFI_JSON_DEPTH_MAX)
        return json_stop(reader, "it is nested too deeply");
    reader->names[++reader->depth] = NULL;
    return 1;
}

static int on_object(void *context)
{
    struct json_reader *reader = context;
    return reader->depth == 0 || on_other(reader) ? on_deeper(reader) : 0;
}

static int on_array(void *context)
{
    struct json_reader *reader = context;
    return on_other(reader) ? on_deeper(reader) : 0;
}

static int on_end(void *context)
{
    struct json_reader *reader = context;
    reader->depth--;
    return 1;
}

/* ---- Reading ---- */

/* What is wrong with `text`; NULL: nothing. */
static const char *json_parse(struct json_reader *reader, struct kf_view text)
{
    static const yajl_callbacks callbacks = {
        .yajl_null = on_null,
        .yajl_boolean = on_boolean,
        .yajl_number = on_number,
        .yajl_string = on_string,
        .yajl_start_map = on_object,
        .yajl_map_key = on_name,
        .yajl_end_map = on_end,
        .yajl_start_array = on_array,
        .yajl_end_array = on_end,
    };
    yajl_alloc_funcs memory = {block_allocate, block_reallocate, block_release, reader};
    yajl_handle parser = yajl_alloc(&callbacks, &memory, reader);
    if (parser != NULL && yajl_parse(parser, text.data, text.length) == yajl_status_ok &&
        yajl_complete_parse(parser) == yajl_status_ok)
        return NULL;
    return reader->wrong != NULL ? reader->wrong : "it is not JSON";
}

enum kf_code kfi_json_read(struct kf_view text, struct kfi_json_member *members, size_t count,
                           struct kf_error *error, struct kfi_json *out)
{
    *out = (struct kfi_json){NULL, 0};
    for (size_t i = 0; i < count; i++) {
        members[i].text = NULL;
        members[i].length = 0;
    }
    if (text.length > KFI_JSON_TEXT_MAX)
        return kf_error_set(error, KF_E_MALFORMED, "it is too large");
    if (!kfi_view_is_utf8(text)) /* the parser is less strict */
        return kf_error_set(error, KF_E_MALFORMED, "it is not UTF-8");
    struct json_reader reader = {.room = room_for(text.length), .members = members, .count = count};
    reader.block = kfi_alloc(reader.room);
    if (reader.block == NULL)
        return kfi_no_memory(error);
    const char *wrong = json_parse(&reader, text);
    *out = (struct kfi_json){reader.block, reader.room};
    if (wrong == NULL)
        return KF_OK;
    kfi_json_free(out);
    for (size_t i = 0; i < count; i++)
        members[i].text = NULL;
    return kf_error_set(error, KF_E_MALFORMED, "%s", wrong);
}

void kfi_json_free(struct kfi_json *json)
{
    kfi_free_secret(json->block, json->length);
    *json = (struct kfi_json){NULL, 0};
}

/* ---- Base64 ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The six bits that `c` stands for, or -1. */
static int base64_digit(char c)
{
    const char *found = c != '\0' ? strchr(alphabet, c) : NULL;
    return found != NULL ? (int)(found - alphabet) : -1;
}

bool kfi_base64_decode(const char *text, size_t length, uint8_t *to, size_t room, size_t *out)
{
    *out = 0;
    if (length % 4 != 0)
        return false;
    size_t padding = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
        padding++;
    const size_t whole = length / 4 * 3 - padding;
    if (whole > room)
        return false;
    uint32_t bits = 0;
    size_t written = 0;
    for (size_t i = 0; i < length - padding; i++) {
        const int value = base64_digit(text[i]);
        if (value < 0) {
            kfi_wipe(to, written);
            return false;
        }
        bits = (bits << 6 | (uint32_t)value) & 0xfffff;
        if (i % 4 != 0) /* the first character of four completes no byte */
            to[written++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    /* Bits that belong to no byte have to be 0: else one value could be written in several ways. */
    if ((padding == 1 && (bits & 3) != 0) || (padding == 2 && (bits & 15) != 0)) {
        kfi_wipe(to, written);
        return false;
    }
    *out = written;
    return true;
}

/* ---- Writing ---- */

/* Room for `length` more bytes of the body; NULL after an error. */
static uint8_t *writer_extend(struct kfi_json_writer *writer, size_t length)
{
    if (writer->code == KF_OK)
        writer->code = kfi_buf_reserve(writer->buf, length, KFI_JSON_BODY_MAX);
    if (writer->code != KF_OK)
        return NULL;
    uint8_t *place = writer->buf->data + writer->buf->length;
    writer->buf->length += length;
    return place;
}

static void writer_append(struct kfi_json_writer *writer, const void *bytes, size_t length)
{
    uint8_t *place = writer_extend(writer, length);
    if (place != NULL && length > 0)
        memcpy(place, bytes, length);
}

void kfi_json_write_raw(struct kfi_json_writer *writer, const char *text)
{
    writer_append(writer, text, strlen(text));
}

void kfi_json_write_string(struct kfi_json_writer *writer, struct kf_view utf8)
{
    static const char hex[] = "0123456789abcdef";
    size_t plain = 0; /* where the bytes begin that are copied as they are */
    kfi_json_write_raw(writer, "\"");
    for (size_t i = 0; i < utf8.length; i++) {
        const uint8_t c = utf8.data[i];
        if (c >= ' ' && c != '"' && c != '\\')
            continue;
        writer_append(writer, utf8.data + plain, i - plain);
        plain = i + 1;
        const char escaped[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        const char quoted[] = {'\\', (char)c};
        if (c < ' ')
            writer_append(writer, escaped, sizeof escaped);
        else
            writer_append(writer, quoted, sizeof quoted);
    }
    if (utf8.length > plain)
        writer_append(writer, utf8.data + plain, utf8.length - plain);
    kfi_json_write_raw(writer, "\"");
}

void kfi_json_write_base64(struct kfi_json_writer *writer, struct kf_view bytes)
{
    kfi_json_write_raw(writer, "\"");
    for (size_t i = 0; i < bytes.length; i += 3) {
        const size_t left = bytes.length - i;
        uint32_t bits = (uint32_t)bytes.data[i] << 16;
        if (left > 1)
            bits |= (uint32_t)bytes.data[i + 1] << 8;
        if (left > 2)
            bits |= bytes.data[i + 2];
        char group[] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63], alphabet[bits >> 6 & 63],
                        alphabet[bits & 63]};
        if (left < 3)
            group[3] = '=';
        if (left < 2)
            group[2] = '=';
        writer_append(writer, group, sizeof group);
    }
    kfi_json_write_raw(writer, "\"");
}
