/*
 * Message headers: see both headers of this name. Called by encrypt.c and decrypt.c, and by programs that
 * look at messages. A header's numbers are believed only once the bytes that they promise are there. No tag
 * is verified here.
 */
#include "message/header.h"

#include <inttypes.h>

#include "base/error.h"

/* The fields of a header in their order. Each EDK has three parts. */
enum field {
    VERSION,
    TYPE,
    SUITE,
    MESSAGE_ID,
    AAD_LENGTH,
    AAD,
    EDK_COUNT,
    EDK_PART_LENGTH,
    EDK_PART,
    CONTENT_TYPE,
    RESERVED,
    IV_LENGTH,
    FRAME_LENGTH,
    SUITE_DATA,
    IV,
    TAG,
    END
};

#define TYPE_BYTE 0x80
#define NOT_FRAMED 1
#define FRAMED 2
#define EDK_PARTS 3

/* As many bytes as the field before says. */
#define SO_MANY SIZE_MAX

/* The layout: bytes of each field in format 1 and in format 2. (S: data-format/message-header.md#structure) */
/* clang-format off */
static const size_t layout[END][2] = {
    [VERSION]         = {      1,       1}, /* 1 or 2: the format */
    [TYPE]            = {      1,       0}, /* 0x80 */
    [SUITE]           = {      2,       2}, /* one of this format */
    [MESSAGE_ID]      = {     16,      32},
    [AAD_LENGTH]      = {      2,       2},
    [AAD]             = {SO_MANY, SO_MANY}, /* the encryption context; nothing if it is empty */
    [EDK_COUNT]       = {      2,       2}, /* at least 1 */
    [EDK_PART_LENGTH] = {      2,       2},
    [EDK_PART]        = {SO_MANY, SO_MANY}, /* provider id, provider information, ciphertext */
    [CONTENT_TYPE]    = {      1,       1}, /* 1: not framed, 2: framed */
    [RESERVED]        = {      4,       0}, /* 0 */
    [IV_LENGTH]       = {      1,       0}, /* 12 */
    [FRAME_LENGTH]    = {      4,       4}, /* 0 if not framed, otherwise at least 1 */
    [SUITE_DATA]      = {      0,      32}, /* the commit key; the body of the header ends here */
    [IV]              = {     12,       0}, /* with the tag the authentication of the body */
    [TAG]             = {     16,      16},
};
/* clang-format on */

/* The length of a field in bytes, if it is fixed. */
static size_t field_length(enum field field, unsigned format)
{
    return layout[field][format - 1];
}

/* The length of the shortest header: no encryption context, and one EDK of three empty parts. */
static size_t header_shortest(unsigned format)
{
    size_t length = (EDK_PARTS - 1) * field_length(EDK_PART_LENGTH, format);
    for (enum field field = VERSION; field < END; field++)
        length += field_length(field, format) != SO_MANY ? field_length(field, format) : 0;
    return length;
}

/* ---- Scanning ---- */

/* A field that is completely there. It ends at scan->position. */
struct arrival {
    struct kfi_header_scan *scan;
    struct kf_view bytes;
    const struct kfi_header_limits *limits;
    struct kf_error *error;
};

static uint32_t field_number(const struct arrival *field)
{
    struct kfi_reader reader = {field->bytes, false};
    return (uint32_t)kfi_read_number(&reader, field->bytes.length);
}

/* The header turned out to have `more` bytes than was known. */
static enum kf_code header_grow(const struct arrival *field, size_t more)
{
    const size_t least = field->scan->least, max_length = field->limits->max_length;
    if (least > max_length || more > max_length - least)
        return kf_error_set(
            field->error, KF_E_LIMIT,
            "The message's header has at least %zu bytes; the limit is %zu. Raise the limit if you trust "
            "the message.",
            more > SIZE_MAX - least ? SIZE_MAX : least + more, max_length);
    field->scan->least += more;
    return KF_OK;
}

static enum kf_code no_message(struct kf_error *error, unsigned byte)
{
    return kf_error_set(error, KF_E_MALFORMED,
                        "The input is not an AWS Encryption SDK message: it begins with the byte 0x%02x, a "
                        "message with 0x01 or 0x02.",
                        byte);
}

static enum kf_code version_check(const struct arrival *field)
{
    const unsigned version = field_number(field);
    if (version != 1 && version != 2)
        return no_message(field->error, version);
    field->scan->format = version;
    field->scan->least = 0;
    return header_grow(field, header_shortest(version));
}

static enum kf_code type_check(const struct arrival *field)
{
    if (field_number(field) == TYPE_BYTE)
        return KF_OK;
    return kf_error_set(field->error, KF_E_MALFORMED,
                        "The input is not an AWS Encryption SDK message: its second byte is 0x%02" PRIx32
                        ", that of a message of format 1 is 0x80.",
                        field_number(field));
}

/* (S: data-format/message-header.md#algorithm-suite-id, framework/algorithm-suites.md#message-format-version) */
static enum kf_code suite_check(const struct arrival *field)
{
    const uint32_t id = field_number(field);
    const struct kfi_suite *suite = kfi_suite_get((enum kf_suite)id);
    if (suite == NULL)
        return kf_error_set(field->error, KF_E_MALFORMED,
                            "The message's algorithm suite is %04" PRIx32
                            ", which is none of the AWS Encryption SDK's suites.",
                            id);
    if (suite->info.format != field->scan->format)
        return kf_error_set(field->error, KF_E_MALFORMED,
                            "The message is of format %u, but its algorithm suite %04" PRIx32
                            " goes with format %u.",
                            field->scan->format, id, suite->info.format);
    field->scan->suite = suite;
    return KF_OK;
}

static enum kf_code part_length_check(const struct arrival *field)
{
    field->scan->part_length = field_number(field);
    return header_grow(field, field_number(field));
}

static enum kf_code aad_check(const struct arrival *field)
{
    return kfi_encryption_context_check(field->bytes, field->error);
}

/* (S: data-format/message-header.md#encrypted-data-key-count, client-apis/decrypt.md#parse-the-header) */
static enum kf_code edk_count_check(const struct arrival *field)
{
    const uint32_t count = field_number(field);
    const size_t max_edks = field->limits->max_edks;
    if (count == 0)
        return kf_error_set(field->error, KF_E_MALFORMED,
                            "The message has 0 encrypted data keys; it needs at least 1.");
    if (max_edks > 0 && count > max_edks)
        return kf_error_set(
            field->error, KF_E_LIMIT,
            "The message has %" PRIu32
            " encrypted data keys; the limit is %zu. Raise the limit if you trust the message.",
            count, max_edks);
    field->scan->edk_count = count;
    field->scan->parts_left = (size_t)count * EDK_PARTS;
    return header_grow(field,
                       (size_t)(count - 1) * EDK_PARTS * field_length(EDK_PART_LENGTH, field->scan->format));
}

static enum kf_code content_type_check(const struct arrival *field)
{
    const uint32_t type = field_number(field);
    if (type != NOT_FRAMED && type != FRAMED)
        return kf_error_set(field->error, KF_E_MALFORMED,
                            "The message's content type, byte %zu, is 0x%02" PRIx32
                            "; it has to be 0x01 (not framed) or 0x02 (framed).",
                            field->scan->position - 1, type);
    field->scan->framed = type == FRAMED;
    return KF_OK;
}

static enum kf_code reserved_check(const struct arrival *field)
{
    if (field_number(field) == 0)
        return KF_OK;
    return kf_error_set(field->error, KF_E_MALFORMED,
                        "The message's reserved bytes, from byte %zu on, are %08" PRIx32
                        "; they have to be 0.",
                        field->scan->position - 4, field_number(field));
}

static enum kf_code iv_length_check(const struct arrival *field)
{
    if (field_number(field) == KFI_IV_LENGTH)
        return KF_OK;
    return kf_error_set(field->error, KF_E_MALFORMED,
                        "The message's IV length, byte %zu, is %" PRIu32 "; it has to be %d.",
                        field->scan->position - 1, field_number(field), KFI_IV_LENGTH);
}

/* (S: data-format/message-header.md#frame-length) */
static enum kf_code frame_length_check(const struct arrival *field)
{
    const bool framed = field->scan->framed;
    if (framed && field_number(field) == 0)
        return kf_error_set(
            field->error, KF_E_MALFORMED,
            "The message is framed, but its frame length, from byte %zu on, is 0; it has to be at least 1.",
            field->scan->position - 4);
    if (!framed && field_number(field) != 0)
        return kf_error_set(field->error, KF_E_MALFORMED,
                            "The message is not framed, but its frame length, from byte %zu on, is %" PRIu32
                            "; it has to be 0.",
                            field->scan->position - 4, field_number(field));
    return KF_OK;
}

/* What has to hold of a field. Those that are missing may be anything, or need a key to be verified. */
static enum kf_code (*const checks[END])(const struct arrival *field) = {
    [VERSION] = version_check,
    [TYPE] = type_check,
    [SUITE] = suite_check,
    [AAD_LENGTH] = part_length_check,
    [AAD] = aad_check,
    [EDK_COUNT] = edk_count_check,
    [EDK_PART_LENGTH] = part_length_check,
    [CONTENT_TYPE] = content_type_check,
    [RESERVED] = reserved_check,
    [IV_LENGTH] = iv_length_check,
    [FRAME_LENGTH] = frame_length_check,
};

/* The length of the field at scan->position. Before the version is known, both formats agree. */
static size_t scan_next_length(const struct kfi_header_scan *scan)
{
    const size_t length = field_length((enum field)scan->field, scan->format == 2 ? 2 : 1);
    return length != SO_MANY ? length : scan->part_length;
}

/* Checks a field and goes on to the next. Each EDK has several parts. */
static enum kf_code scan_field(const struct arrival *arrival)
{
    struct kfi_header_scan *scan = arrival->scan;
    const enum field field = (enum field)scan->field;
    const bool part_follows = field == EDK_PART && --scan->parts_left > 0;
    scan->field = part_follows ? EDK_PART_LENGTH : field + 1;
    if (arrival->bytes.length == 0 || checks[field] == NULL)
        return KF_OK;
    return checks[field](arrival);
}

/* In base64 01 80 begins with AY, and 02 with Ag. (S: client-apis/decrypt.md#encrypted-message-format) */
static enum kf_code refuse_text(struct kf_view front, struct kf_error *error, size_t *needed)
{
    if (front.length < 2) {
        *needed = 2;
        return KF_WANT_INPUT;
    }
    if (front.data[1] != 'Y' && front.data[1] != 'g')
        return no_message(error, front.data[0]);
    return kf_error_set(
        error, KF_E_MALFORMED,
        "The input begins with \"A%c\": it is not an AWS Encryption SDK message, but looks like the base64 "
        "text of one. Decode it first.",
        (char)front.data[1]);
}

enum kf_code kfi_header_scan(struct kfi_header_scan *scan, struct kf_view front,
                             const struct kfi_header_limits *limits, struct kf_error *error, size_t *needed)
{
    *needed = 0;
    if (front.length > 0 && front.data[0] == 'A')
        return refuse_text(front, error, needed);
    if (scan->field == VERSION)
        scan->least = header_shortest(1); /* format 2 has more */
    while (scan->field != END && front.length - scan->position >= scan_next_length(scan)) {
        const struct kf_view bytes = kf_view_of(front.data + scan->position, scan_next_length(scan));
        const struct arrival arrival = {scan, bytes, limits, error};
        scan->position += bytes.length;
        enum kf_code code = scan_field(&arrival);
        if (code != KF_OK)
            return code;
    }
    *needed = scan->least;
    return scan->field == END ? KF_OK : KF_WANT_INPUT;
}

/* ---- Reading ---- */

static struct kf_view field_read(struct kfi_reader *reader, enum field field, unsigned format)
{
    return kfi_read_bytes(reader, field_length(field, format));
}

/* Fills in the fields of a header that a scan has accepted. */
static enum kf_code header_read_fields(struct kf_header *header, struct kf_error *error)
{
    const unsigned format = header->suite->info.format;
    struct kfi_reader reader = {kf_view_of(header->bytes, header->length), false};
    field_read(&reader, VERSION, format);
    field_read(&reader, TYPE, format);
    field_read(&reader, SUITE, format);
    header->message_id = field_read(&reader, MESSAGE_ID, format);
    enum kf_code code =
        kf_encryption_context_parse(kfi_read_field(&reader), error, &header->encryption_context);
    if (code != KF_OK)
        return code;
    field_read(&reader, EDK_COUNT, format);
    for (size_t i = 0; i < header->edk_count; i++)
        header->edks[i] = kfi_edk_read(&reader);
    field_read(&reader, CONTENT_TYPE, format);
    field_read(&reader, RESERVED, format);
    field_read(&reader, IV_LENGTH, format);
    header->frame_length = (uint32_t)kfi_read_number(&reader, field_length(FRAME_LENGTH, format));
    header->commit_key = field_read(&reader, SUITE_DATA, format);
    header->body_length = header->length - reader.rest.length;
    if (format == 1)
        memcpy(header->iv, field_read(&reader, IV, format).data, sizeof header->iv);
    memcpy(header->tag, field_read(&reader, TAG, format).data, sizeof header->tag);
    return KF_OK;
}

/* Allocates everything in one piece. NULL: no memory. */
static struct kf_header *header_allocate(const struct kfi_header_scan *scan, struct kf_view bytes)
{
    size_t edks_length = scan->edk_count * sizeof(struct kf_edk);
    struct kf_header *header = kfi_alloc(sizeof *header + edks_length + bytes.length);
    if (header == NULL)
        return NULL;
    memset(header, 0, sizeof *header);
    kfi_refs_init(&header->refs);
    header->suite = scan->suite;
    header->edks = (struct kf_edk *)(header + 1);
    header->edk_count = scan->edk_count;
    header->bytes = (uint8_t *)(header->edks + scan->edk_count);
    header->length = bytes.length;
    memcpy(header->bytes, bytes.data, bytes.length);
    return header;
}

enum kf_code kfi_header_read(struct kf_view bytes, const struct kfi_header_limits *limits,
                             struct kf_error *error, const struct kf_header **out)
{
    *out = NULL;
    /* It is scanned again, so that only bytes are read that were checked here. That takes little time. */
    struct kfi_header_scan scan = {0};
    size_t length;
    enum kf_code code = kfi_header_scan(&scan, bytes, limits, error, &length);
    if (code == KF_WANT_INPUT || (code == KF_OK && length != bytes.length))
        return kf_error_set(error, KF_E_BUG, "A header of %s%zu bytes was to be read from %zu bytes.",
                            code == KF_OK ? "" : "at least ", length, bytes.length);
    if (code != KF_OK)
        return code;
    struct kf_header *header = header_allocate(&scan, bytes);
    if (header == NULL)
        return kfi_no_memory(error);
    code = header_read_fields(header, error);
    if (code != KF_OK) {
        kfi_free(header);
        return code;
    }
    *out = header;
    return KF_OK;
}

/* ---- Writing ---- */

size_t kfi_header_auth_length(const struct kfi_suite *suite)
{
    return field_length(IV, suite->info.format) + field_length(TAG, suite->info.format);
}

size_t kfi_header_body_length(const struct kfi_header_fields *fields)
{
    static const struct kf_edk empty; /* the EDK of the shortest header */
    size_t length = header_shortest(fields->suite->info.format) - kfi_header_auth_length(fields->suite) -
                    kfi_edk_serialized_length(&empty);
    length += kf_encryption_context_serialized(fields->encryption_context).length;
    for (size_t i = 0; i < fields->edk_count; i++)
        length += kfi_edk_serialized_length(&fields->edks[i]);
    return length;
}

/* Writes a number; nothing if the format does not have the field. */
static void field_write(struct kfi_writer *writer, enum field field, unsigned format, uint32_t value)
{
    kfi_write_number(writer, value, field_length(field, format));
}

void kfi_header_write_body(struct kfi_writer *writer, const struct kfi_header_fields *fields)
{
    const unsigned format = fields->suite->info.format;
    field_write(writer, VERSION, format, format);
    field_write(writer, TYPE, format, TYPE_BYTE);
    field_write(writer, SUITE, format, (uint32_t)fields->suite->info.id);
    kfi_write_bytes(writer, fields->message_id);
    kfi_write_field(writer, kf_encryption_context_serialized(fields->encryption_context));
    field_write(writer, EDK_COUNT, format, (uint32_t)fields->edk_count);
    for (size_t i = 0; i < fields->edk_count; i++)
        kfi_edk_write(writer, &fields->edks[i]);
    field_write(writer, CONTENT_TYPE, format, fields->frame_length > 0 ? FRAMED : NOT_FRAMED);
    field_write(writer, RESERVED, format, 0);
    field_write(writer, IV_LENGTH, format, KFI_IV_LENGTH);
    field_write(writer, FRAME_LENGTH, format, fields->frame_length);
    kfi_write_bytes(writer, kf_view_of(fields->commit_key, field_length(SUITE_DATA, format)));
}

void kfi_header_write_auth(struct kfi_writer *writer, const struct kfi_suite *suite,
                           const uint8_t tag[KFI_TAG_LENGTH])
{
    static const uint8_t iv[KFI_IV_LENGTH];
    kfi_write_bytes(writer, kf_view_of(iv, field_length(IV, suite->info.format)));
    kfi_write_bytes(writer, kf_view_of(tag, field_length(TAG, suite->info.format)));
}

/* ---- What everybody may see ---- */

enum kf_code kf_header_parse(struct kf_view message, uint16_t max_edks, struct kf_error *error,
                             const struct kf_header **out)
{
    enum kf_code code = kfi_apart_check(message, out, sizeof *out, "The message", error);
    if (code != KF_OK)
        return code;
    *out = NULL;
    const struct kfi_header_limits limits = {max_edks, SIZE_MAX};
    struct kfi_header_scan scan = {0};
    size_t length;
    code = kfi_view_check(message, "The message", error);
    if (code != KF_OK)
        return code;
    code = kfi_header_scan(&scan, message, &limits, error, &length);
    if (code == KF_OK)
        return kfi_header_read(kf_view_of(message.data, length), &limits, error, out);
    if (code != KF_WANT_INPUT)
        return code;
    if (message.length == 0)
        return kf_error_set(error, code, "The input is empty: it is not an AWS Encryption SDK message.");
    return kf_error_set(error, code, "The message's header has at least %zu bytes; the input ends after %zu.",
                        length, message.length);
}

const struct kf_header *kf_header_ref(const struct kf_header *header)
{
    if (header != NULL)
        kfi_refs_add(&header->refs, 1);
    return header;
}

void kf_header_unref(const struct kf_header *header)
{
    if (header == NULL || !kfi_refs_drop(&header->refs))
        return;
    kf_encryption_context_unref(header->encryption_context);
    kfi_free(kfi_refs_unconst(header));
}

const struct kf_suite_info *kf_header_suite(const struct kf_header *header)
{
    return &header->suite->info;
}

struct kf_view kf_header_message_id(const struct kf_header *header)
{
    return header->message_id;
}

const struct kf_encryption_context *kf_header_encryption_context(const struct kf_header *header)
{
    return header->encryption_context;
}

size_t kf_header_edk_count(const struct kf_header *header)
{
    return header->edk_count;
}

struct kf_edk kf_header_edk(const struct kf_header *header, size_t index)
{
    if (index >= header->edk_count)
        return (struct kf_edk){{NULL, 0}, {NULL, 0}, {NULL, 0}};
    return header->edks[index];
}

uint32_t kf_header_frame_length(const struct kf_header *header)
{
    return header->frame_length;
}

size_t kf_header_length(const struct kf_header *header)
{
    return header->length;
}
