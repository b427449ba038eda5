/*
 * Message headers: see both headers of this name. Called by encrypt.c and decrypt.c, and by programs that
 * look at messages. Believes nothing that a header says before the bytes that prove it are there; verifies no
 * tag. (S: data-format/message-header.md)
 */
#include "message/header.h"

#include <inttypes.h>

#include "base/error.h"

#define TYPE_BYTE 0x80
#define NOT_FRAMED 1
#define FRAMED 2

/* Bytes of the shortest headers: no encryption context, and one EDK of three empty parts. */
#define LEAST_FORMAT_1 (1 + 1 + 2 + 16 + 2 + 2 + 6 + 1 + 4 + 1 + 4 + KFI_IV_LENGTH + KFI_TAG_LENGTH)
#define LEAST_FORMAT_2 (1 + 2 + 32 + 2 + 2 + 6 + 1 + 4 + KFI_COMMIT_KEY_LENGTH + KFI_TAG_LENGTH)
#define LEAST_EDK 6

/* ---- Scanning ---- */

/* The fields in their order. BEGIN is what zero-initialising gives. */
enum stage {
    BEGIN,
    VERSION,
    TEXT, /* the second byte of what is no message, but may be the base64 text of one */
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
    REST, /* what can only be verified with keys: suite data and authentication */
    END
};

static enum kf_code go_on(struct kfi_header_scan *scan, enum stage stage, size_t length)
{
    scan->stage = stage;
    scan->field = length;
    return KF_OK;
}

/* The header has turned out to have `more` bytes than was known. */
static enum kf_code grow(struct kfi_header_scan *scan, size_t more, const struct kfi_header_limits *limits,
                         struct kf_error *error)
{
    if (scan->least > limits->max_length || more > limits->max_length - scan->least)
        return kf_error_set(
            error, KF_E_LIMIT,
            "The message's header has at least %zu bytes; the limit is %zu. Raise the limit if you trust "
            "the message.",
            more > SIZE_MAX - scan->least ? SIZE_MAX : scan->least + more, limits->max_length);
    scan->least += more;
    return KF_OK;
}

static uint32_t number(struct kf_view field)
{
    uint32_t value = 0;
    for (size_t i = 0; i < field.length; i++)
        value = value << 8 | field.data[i];
    return value;
}

static enum kf_code no_message(struct kf_error *error, uint32_t byte)
{
    return kf_error_set(error, KF_E_MALFORMED,
                        "The input is not an AWS Encryption SDK message: it begins with the byte 0x%02" PRIx32
                        ", a message with 0x01 or 0x02.",
                        byte);
}

static enum kf_code scan_version(struct kfi_header_scan *scan, uint32_t version,
                                 const struct kfi_header_limits *limits, struct kf_error *error)
{
    if (version == 'A') {
        scan->least = 2;
        return go_on(scan, TEXT, 1);
    }
    if (version != 1 && version != 2)
        return no_message(error, version);
    scan->format = version;
    scan->least = 0;
    enum kf_code code = grow(scan, version == 1 ? LEAST_FORMAT_1 : LEAST_FORMAT_2, limits, error);
    if (code != KF_OK)
        return code;
    return version == 1 ? go_on(scan, TYPE, 1) : go_on(scan, SUITE, 2);
}

/* In base64 01 80 begins with AY, 02 with Ag. (S: client-apis/decrypt.md#encrypted-message-format) */
static enum kf_code scan_text(uint32_t byte, struct kf_error *error)
{
    if (byte != 'Y' && byte != 'g')
        return no_message(error, 'A');
    return kf_error_set(
        error, KF_E_MALFORMED,
        "The input begins with \"A%c\": it is not an AWS Encryption SDK message, but looks like the base64 "
        "text of one. Decode it first.",
        (char)byte);
}

static enum kf_code scan_type(struct kfi_header_scan *scan, uint32_t type, struct kf_error *error)
{
    if (type != TYPE_BYTE)
        return kf_error_set(error, KF_E_MALFORMED,
                            "The input is not an AWS Encryption SDK message: its second byte is 0x%02" PRIx32
                            ", that of a message of format 1 is 0x80.",
                            type);
    return go_on(scan, SUITE, 2);
}

/* (S: data-format/message-header.md#algorithm-suite-id, framework/algorithm-suites.md#message-format-version)
 */
static enum kf_code scan_suite(struct kfi_header_scan *scan, uint32_t id, struct kf_error *error)
{
    scan->suite = kfi_suite_get((enum kf_suite)id);
    if (scan->suite == NULL)
        return kf_error_set(error, KF_E_MALFORMED,
                            "The message's algorithm suite is %04" PRIx32
                            ", which is none of the AWS Encryption SDK's suites.",
                            id);
    if (scan->suite->info.format != scan->format)
        return kf_error_set(error, KF_E_MALFORMED,
                            "The message is of format %u, but its algorithm suite %04" PRIx32
                            " goes with format %u.",
                            scan->format, id, scan->suite->info.format);
    return go_on(scan, MESSAGE_ID, scan->suite->message_id_length);
}

static enum kf_code scan_aad_length(struct kfi_header_scan *scan, uint32_t length,
                                    const struct kfi_header_limits *limits, struct kf_error *error)
{
    enum kf_code code = grow(scan, length, limits, error);
    return code == KF_OK ? go_on(scan, AAD, length) : code;
}

static enum kf_code scan_aad(struct kfi_header_scan *scan, struct kf_view aad, struct kf_error *error)
{
    enum kf_code code = kfi_encryption_context_check(aad, error);
    return code == KF_OK ? go_on(scan, EDK_COUNT, 2) : code;
}

/* (S: data-format/message-header.md#encrypted-data-key-count, client-apis/decrypt.md#parse-the-header) */
static enum kf_code scan_edk_count(struct kfi_header_scan *scan, uint32_t count,
                                   const struct kfi_header_limits *limits, struct kf_error *error)
{
    if (count == 0)
        return kf_error_set(error, KF_E_MALFORMED,
                            "The message has 0 encrypted data keys; it needs at least 1.");
    if (limits->max_edks > 0 && count > limits->max_edks)
        return kf_error_set(
            error, KF_E_LIMIT,
            "The message has %" PRIu32
            " encrypted data keys; the limit is %zu. Raise the limit if you trust the message.",
            count, limits->max_edks);
    scan->edk_count = count;
    scan->left = (size_t)count * 3;
    enum kf_code code = grow(scan, (size_t)(count - 1) * LEAST_EDK, limits, error);
    return code == KF_OK ? go_on(scan, EDK_PART_LENGTH, 2) : code;
}

static enum kf_code scan_edk_part_length(struct kfi_header_scan *scan, uint32_t length,
                                         const struct kfi_header_limits *limits, struct kf_error *error)
{
    enum kf_code code = grow(scan, length, limits, error);
    return code == KF_OK ? go_on(scan, EDK_PART, length) : code;
}

static enum kf_code scan_edk_part(struct kfi_header_scan *scan)
{
    scan->left--;
    return scan->left > 0 ? go_on(scan, EDK_PART_LENGTH, 2) : go_on(scan, CONTENT_TYPE, 1);
}

static enum kf_code scan_content_type(struct kfi_header_scan *scan, uint32_t type, struct kf_error *error)
{
    if (type != NOT_FRAMED && type != FRAMED)
        return kf_error_set(error, KF_E_MALFORMED,
                            "The message's content type, byte %zu, is 0x%02" PRIx32
                            "; it has to be 0x01 (not framed) or 0x02 (framed).",
                            scan->position - 1, type);
    scan->framed = type == FRAMED;
    return scan->format == 1 ? go_on(scan, RESERVED, 4) : go_on(scan, FRAME_LENGTH, 4);
}

static enum kf_code scan_reserved(struct kfi_header_scan *scan, uint32_t reserved, struct kf_error *error)
{
    if (reserved != 0)
        return kf_error_set(error, KF_E_MALFORMED,
                            "The message's reserved bytes, from byte %zu on, are %08" PRIx32
                            "; they have to be 0.",
                            scan->position - 4, reserved);
    return go_on(scan, IV_LENGTH, 1);
}

static enum kf_code scan_iv_length(struct kfi_header_scan *scan, uint32_t length, struct kf_error *error)
{
    if (length != KFI_IV_LENGTH)
        return kf_error_set(error, KF_E_MALFORMED,
                            "The message's IV length, byte %zu, is %" PRIu32 "; it has to be %d.",
                            scan->position - 1, length, KFI_IV_LENGTH);
    return go_on(scan, FRAME_LENGTH, 4);
}

/* (S: data-format/message-header.md#frame-length) */
static enum kf_code scan_frame_length(struct kfi_header_scan *scan, uint32_t length, struct kf_error *error)
{
    if (scan->framed && length == 0)
        return kf_error_set(
            error, KF_E_MALFORMED,
            "The message is framed, but its frame length, from byte %zu on, is 0; it has to be at least 1.",
            scan->position - 4);
    if (!scan->framed && length != 0)
        return kf_error_set(error, KF_E_MALFORMED,
                            "The message is not framed, but its frame length, from byte %zu on, is %" PRIu32
                            "; it has to be 0.",
                            scan->position - 4, length);
    return go_on(scan, REST, scan->least - scan->position);
}

/* Looks at one field, which ends at scan->position, and says what comes next. */
static enum kf_code scan_field(struct kfi_header_scan *scan, struct kf_view field,
                               const struct kfi_header_limits *limits, struct kf_error *error)
{
    switch ((enum stage)scan->stage) {
    case BEGIN:
        scan->least = LEAST_FORMAT_1; /* until it turns out to be format 2, which has more */
        return go_on(scan, VERSION, 1);
    case VERSION:
        return scan_version(scan, number(field), limits, error);
    case TEXT:
        return scan_text(number(field), error);
    case TYPE:
        return scan_type(scan, number(field), error);
    case SUITE:
        return scan_suite(scan, number(field), error);
    case MESSAGE_ID:
        return go_on(scan, AAD_LENGTH, 2);
    case AAD_LENGTH:
        return scan_aad_length(scan, number(field), limits, error);
    case AAD:
        return scan_aad(scan, field, error);
    case EDK_COUNT:
        return scan_edk_count(scan, number(field), limits, error);
    case EDK_PART_LENGTH:
        return scan_edk_part_length(scan, number(field), limits, error);
    case EDK_PART:
        return scan_edk_part(scan);
    case CONTENT_TYPE:
        return scan_content_type(scan, number(field), error);
    case RESERVED:
        return scan_reserved(scan, number(field), error);
    case IV_LENGTH:
        return scan_iv_length(scan, number(field), error);
    case FRAME_LENGTH:
        return scan_frame_length(scan, number(field), error);
    case REST:
        return go_on(scan, END, 0);
    case END:
        break;
    }
    return KF_OK;
}

enum kf_code kfi_header_scan(struct kfi_header_scan *scan, struct kf_view front,
                             const struct kfi_header_limits *limits, struct kf_error *error, size_t *needed)
{
    *needed = 0;
    while (scan->stage != END && front.length - scan->position >= scan->field) {
        struct kfi_reader reader = {front, false};
        kfi_read_bytes(&reader, scan->position);
        struct kf_view field = kfi_read_bytes(&reader, scan->field);
        scan->position += scan->field;
        enum kf_code code = scan_field(scan, field, limits, error);
        if (code != KF_OK)
            return code;
    }
    *needed = scan->least;
    return scan->stage == END ? KF_OK : KF_WANT_INPUT;
}

/* ---- Reading ---- */

/* Fills in what stands in the bytes, which a scan has found in order. */
static enum kf_code read_fields(struct kf_header *header, struct kf_error *error)
{
    bool format_1 = header->suite->info.format == 1;
    struct kfi_reader reader = {kf_view_of(header->bytes, header->length), false};
    kfi_read_bytes(&reader, format_1 ? 4 : 3); /* version, type, suite */
    header->message_id = kfi_read_bytes(&reader, header->suite->message_id_length);
    enum kf_code code =
        kfi_encryption_context_parse(kfi_read_field(&reader), error, &header->encryption_context);
    if (code != KF_OK)
        return code;
    kfi_read_u16(&reader); /* the count of EDKs */
    for (size_t i = 0; i < header->edk_count; i++)
        header->edks[i] = kfi_edk_read(&reader);
    kfi_read_bytes(&reader, format_1 ? 6 : 1); /* content type, reserved, IV length */
    header->frame_length = kfi_read_u32(&reader);
    header->commit_key = kfi_read_bytes(&reader, format_1 ? 0 : KFI_COMMIT_KEY_LENGTH);
    header->body_length = header->length - reader.rest.length;
    if (format_1)
        memcpy(header->iv, kfi_read_bytes(&reader, KFI_IV_LENGTH).data, KFI_IV_LENGTH);
    memcpy(header->tag, kfi_read_bytes(&reader, KFI_TAG_LENGTH).data, KFI_TAG_LENGTH);
    return KF_OK;
}

/* Room for everything in one allocation. NULL if there is no memory. */
static struct kf_header *allocate(const struct kfi_header_scan *scan, struct kf_view bytes)
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
    /* Scanned again, so that nothing is read here but what was checked here; it takes little time. */
    struct kfi_header_scan scan = {0};
    size_t length;
    enum kf_code code = kfi_header_scan(&scan, bytes, limits, error, &length);
    if (code == KF_WANT_INPUT || (code == KF_OK && length != bytes.length))
        return kf_error_set(error, KF_E_BUG, "A header of %s%zu bytes was to be read from %zu bytes.",
                            code == KF_OK ? "" : "at least ", length, bytes.length);
    if (code != KF_OK)
        return code;
    struct kf_header *header = allocate(&scan, bytes);
    if (header == NULL)
        return kfi_no_memory(error);
    code = read_fields(header, error);
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
    return suite->info.format == 1 ? KFI_IV_LENGTH + KFI_TAG_LENGTH : KFI_TAG_LENGTH;
}

size_t kfi_header_body_length(const struct kfi_header_fields *fields)
{
    size_t shortest = fields->suite->info.format == 1 ? LEAST_FORMAT_1 : LEAST_FORMAT_2;
    size_t length = shortest - kfi_header_auth_length(fields->suite) - LEAST_EDK;
    length += kfi_encryption_context_serialized(fields->encryption_context).length;
    for (size_t i = 0; i < fields->edk_count; i++)
        length += kfi_edk_serialized_length(&fields->edks[i]);
    return length;
}

void kfi_header_write_body(struct kfi_writer *writer, const struct kfi_header_fields *fields)
{
    const struct kf_suite_info *suite = &fields->suite->info;
    kfi_write_u8(writer, (uint8_t)suite->format);
    if (suite->format == 1)
        kfi_write_u8(writer, TYPE_BYTE);
    kfi_write_u16(writer, (uint16_t)suite->id);
    kfi_write_bytes(writer, fields->message_id);
    kfi_write_field(writer, kfi_encryption_context_serialized(fields->encryption_context));
    kfi_write_u16(writer, (uint16_t)fields->edk_count);
    for (size_t i = 0; i < fields->edk_count; i++)
        kfi_edk_write(writer, &fields->edks[i]);
    kfi_write_u8(writer, fields->frame_length > 0 ? FRAMED : NOT_FRAMED);
    if (suite->format == 1) {
        kfi_write_u32(writer, 0); /* reserved */
        kfi_write_u8(writer, KFI_IV_LENGTH);
    }
    kfi_write_u32(writer, fields->frame_length);
    if (suite->format == 2)
        kfi_write_bytes(writer, kf_view_of(fields->commit_key, KFI_COMMIT_KEY_LENGTH));
}

void kfi_header_write_auth(struct kfi_writer *writer, const struct kfi_suite *suite,
                           const uint8_t tag[KFI_TAG_LENGTH])
{
    static const uint8_t iv[KFI_IV_LENGTH];
    if (suite->info.format == 1)
        kfi_write_bytes(writer, kf_view_of(iv, sizeof iv));
    kfi_write_bytes(writer, kf_view_of(tag, KFI_TAG_LENGTH));
}

/* ---- What everybody may see ---- */

enum kf_code kf_header_parse(struct kf_view message, uint16_t max_edks, struct kf_error *error,
                             const struct kf_header **out)
{
    *out = NULL;
    const struct kfi_header_limits limits = {max_edks, SIZE_MAX};
    struct kfi_header_scan scan = {0};
    size_t length;
    enum kf_code code = kfi_header_scan(&scan, message, &limits, error, &length);
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
