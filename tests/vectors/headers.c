/*
 * Headers without keys: headers-only (real headers, read and written again), header-fixtures (pieces of
 * messages, many of them malformed, named for what is wrong) and a message that nobody has the key of.
 */
#include <stdio.h>

#include "base/bytes.h"
#include "message/frame.h"
#include "message/header.h"
#include "suite/der.h"
#include "vectors/vectors.h"

/* ---- Reading and writing again ---- */

/* Writes the header again from its fields and compares. */
static bool check_written(struct vectors *vectors, const struct kf_header *header, bool sorted,
                          struct verdict *verdict)
{
    const struct kfi_header_fields fields = {
        .suite = header->suite,
        .message_id = header->message_id,
        .encryption_context = header->encryption_context,
        .edks = header->edks,
        .edk_count = header->edk_count,
        .frame_length = header->frame_length,
        .commit_key = header->commit_key.data,
    };
    const size_t body = kfi_header_body_length(&fields),
                 length = body + kfi_header_auth_length(header->suite);
    uint8_t *bytes = arena_take(&vectors->arena, length);
    struct kfi_writer writer = {bytes, length, false};
    kfi_header_write_body(&writer, &fields);
    kfi_header_write_auth(&writer, header->suite, header->tag);
    if (writer.overflow || writer.room != 0)
        return fail(verdict, "writing the header again takes another number of bytes than was said");
    /* What is written has the context in order, and the IV zero. */
    static const uint8_t zero[KFI_IV_LENGTH];
    const size_t compared = memcmp(header->iv, zero, sizeof zero) == 0 ? header->length : header->body_length;
    if (body != header->body_length)
        return fail(verdict, "written again the header has %zu bytes, and had %zu", body,
                    header->body_length);
    return !sorted || same(kf_view_of(bytes, compared), kf_view_of(header->bytes, compared),
                           "the header written again", verdict);
}

static bool parse(struct kf_view bytes, struct verdict *verdict, const struct kf_header **out)
{
    struct kf_error error = KF_ERROR_INIT;
    return done(kf_header_parse(bytes, 0, &error, out), &error, "the header", verdict);
}

/* ---- headers-only ---- */

/* EDKs are objects, or in the older file pairs of provider and key. */
static bool check_edks(struct vectors *vectors, const struct json *test, const struct kf_header *header,
                       struct verdict *verdict)
{
    const struct json *edks = json_get_as(test, "edks", JSON_ARRAY);
    const struct json *pairs = json_get_as(test, "edk_providers", JSON_ARRAY);
    const struct json *list = edks != NULL ? edks : pairs;
    size_t index = 0;
    if (list == NULL || list->count != kf_header_edk_count(header))
        return fail(verdict, "the header has %zu EDKs", kf_header_edk_count(header));
    JSON_EACH(item, list)
    {
        const struct kf_edk edk = kf_header_edk(header, index++);
        struct kf_view id, info;
        if (edks == NULL) {
            if (item->count != 2)
                return fail(verdict, "the manifest is damaged: an EDK is not a pair");
            id = item->first->text;
            info = item->first->next->text;
        } else if (!want_text(item, "provider_id", verdict, &id) ||
                   !want_hex(vectors, item, "provider_info_hex", verdict, &info)) {
            return false;
        }
        const struct json *length = json_get_as(item, "ciphertext_len", JSON_NUMBER);
        if (!same(edk.provider_id, id, "the provider id", verdict) ||
            !same(edk.provider_info, info, "the provider information", verdict))
            return false;
        if (length != NULL && (long long)edk.ciphertext.length != length->number)
            return fail(verdict, "the EDK's ciphertext has %zu bytes", edk.ciphertext.length);
    }
    return true;
}

static void run_header(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    struct kf_view bytes, message_id;
    const struct kf_suite_info *suite;
    const struct kf_header *header = NULL;
    const struct json *frame_length = want(test, "frame_length", JSON_NUMBER, verdict);
    const struct json *content_type = want(test, "content_type", JSON_NUMBER, verdict);
    const struct json *context = want(test, "encryption_context", JSON_OBJECT, verdict);
    const struct json *unsorted = json_get_as(test, "ec_sorted", JSON_BOOLEAN);
    if (verdict->kind != PASSED || !want_hex(vectors, test, "header_hex", verdict, &bytes) ||
        !want_suite(test, "alg", verdict, &suite) || !parse(bytes, verdict, &header))
        return;
    if (kf_header_suite(header) != suite)
        fail(verdict, "the header is of suite %s", kf_header_suite(header)->name);
    else if (kf_header_length(header) != bytes.length)
        fail(verdict, "the header ends after %zu of %zu bytes", kf_header_length(header), bytes.length);
    else if (frame_length->number != kf_header_frame_length(header) ||
             content_type->number != (kf_header_frame_length(header) == 0 ? 1 : 2))
        fail(verdict, "the header has frames of %u bytes", kf_header_frame_length(header));
    else if (kf_encryption_context_count(kf_header_encryption_context(header)) != context->count)
        fail(verdict, "the encryption context has another number of pairs");
    else if (has_pairs(context, kf_header_encryption_context(header), verdict) &&
             check_edks(vectors, test, header, verdict) &&
             (json_get(test, "message_id") == NULL ||
              (want_hex(vectors, test, "message_id", verdict, &message_id) &&
               same(kf_header_message_id(header), message_id, "the message id", verdict))))
        check_written(vectors, header, unsorted == NULL || unsorted->number != 0, verdict);
    kf_header_unref(header);
}

/* A message of which only the header is checked. */
static void run_message(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    struct kf_view bytes;
    const struct kf_header *header = NULL;
    if (want_base64(vectors, test, "ciphertext", verdict, &bytes) && parse(bytes, verdict, &header))
        check_written(vectors, header, true, verdict);
    kf_header_unref(header);
}

/* ---- header-fixtures ---- */

/* Why a piece is refused, in one word; KF_OK if it is good, with all of it used. */
typedef enum kf_code piece(struct vectors *vectors, struct kf_view bytes, struct kf_error *error);

/* A header, mostly without its authentication, which is then put behind it. */
static enum kf_code read_header(struct vectors *vectors, struct kf_view bytes, struct kf_error *error)
{
    const struct kf_header *header = NULL;
    size_t length = bytes.length;
    enum kf_code code = kf_header_parse(bytes, 0, error, &header);
    if (code == KF_WANT_INPUT) {
        length += bytes.length > 0 && bytes.data[0] == 2 ? KFI_TAG_LENGTH : KFI_IV_LENGTH + KFI_TAG_LENGTH;
        uint8_t *whole = arena_take(&vectors->arena, length);
        memcpy(whole, bytes.data, bytes.length);
        code = kf_header_parse(kf_view_of(whole, length), 0, error, &header);
    }
    struct verdict verdict = {.kind = PASSED};
    if (code == KF_OK && kf_header_length(header) != length)
        code = kf_error_set(error, KF_E_BUG, "The header ends sooner.");
    else if (code == KF_OK && !check_written(vectors, header, true, &verdict))
        code = kf_error_set(error, KF_E_BUG, "%s", verdict.text);
    kf_header_unref(header);
    return code;
}

/* The front of a header with three EDKs, which are missing. */
static enum kf_code read_three_edks(struct vectors *vectors, struct kf_view bytes, struct kf_error *error)
{
    const struct kf_header *header;
    (void)vectors;
    if (kf_header_parse(bytes, 3, error, &header) != KF_WANT_INPUT)
        return kf_error_set(error, KF_E_BUG, "Three EDKs are refused where three are allowed.");
    const enum kf_code code = kf_header_parse(bytes, 2, error, &header);
    return code == KF_E_LIMIT ? KF_OK : kf_error_set(error, KF_E_BUG, "Three EDKs are taken for two.");
}

/* An AAD field without its length, so that the reader of the field sees what is too much. */
static enum kf_code read_context(struct vectors *vectors, struct kf_view bytes, struct kf_error *error)
{
    const struct kf_encryption_context *context = NULL;
    (void)vectors;
    if (bytes.length < 2)
        return kf_error_set(error, KF_E_MALFORMED, "There is no length.");
    const struct kf_view content = kf_view_of(bytes.data + 2, bytes.length - 2);
    enum kf_code code = kf_encryption_context_parse(content, error, &context);
    if (code == KF_OK && !kfi_view_equal(kf_encryption_context_serialized(context), content))
        code = kf_error_set(error, KF_E_BUG, "Written again it has other bytes.");
    kf_encryption_context_unref(context);
    return code;
}

/* A count and EDKs, as the middle of a header. */
static enum kf_code read_edks(struct vectors *vectors, struct kf_view bytes, struct kf_error *error)
{
    static const uint8_t front[22] = {1, 0x80, 0x01, 0x78}, back[] = {2, 0, 0, 0, 0, 12, 0, 0, 16, 0};
    uint8_t *whole = arena_take(&vectors->arena, sizeof front + bytes.length + sizeof back);
    memcpy(whole, front, sizeof front);
    memcpy(whole + sizeof front, bytes.data, bytes.length);
    memcpy(whole + sizeof front + bytes.length, back, sizeof back);
    return read_header(vectors, kf_view_of(whole, sizeof front + bytes.length + sizeof back), error);
}

/* What stands before the first ciphertext of a body whose frames have 999 bytes. */
static enum kf_code read_frame(struct vectors *vectors, struct kf_view bytes, struct kf_error *error)
{
    struct kfi_frame_front front;
    (void)vectors;
    const enum kf_code code = kfi_frame_read_front(bytes, 999, 1, error, &front);
    return code == KF_OK && kfi_frame_front_length(front.kind) != bytes.length ? KF_E_BUG : code;
}

static enum kf_code read_block(struct vectors *vectors, struct kf_view bytes, struct kf_error *error)
{
    struct kfi_frame_front front;
    (void)vectors;
    const enum kf_code code = kfi_frame_read_front(bytes, 0, 1, error, &front);
    return code == KF_OK && kfi_frame_front_length(front.kind) != bytes.length ? KF_E_BUG : code;
}

static enum kf_code read_iv_of(uint32_t sequence, struct kf_view bytes, struct kf_error *error)
{
    uint8_t iv[KFI_IV_LENGTH];
    kfi_frame_iv(sequence, iv);
    return kfi_view_equal(bytes, kf_view_of(iv, sizeof iv))
               ? KF_OK
               : kf_error_set(error, KF_E_BUG, "We have another IV.");
}

static enum kf_code read_first_iv(struct vectors *vectors, struct kf_view bytes, struct kf_error *error)
{
    (void)vectors;
    return read_iv_of(1, bytes, error);
}

static enum kf_code read_header_iv(struct vectors *vectors, struct kf_view bytes, struct kf_error *error)
{
    (void)vectors;
    return read_iv_of(0, bytes, error);
}

/* The DER of a signature. */
static enum kf_code read_signature(struct vectors *vectors, struct kf_view bytes, struct kf_error *error)
{
    struct kf_view numbers, r, s;
    (void)vectors;
    const bool good = kfi_der_take(&bytes, KFI_DER_SEQUENCE, &numbers) && bytes.length == 0 &&
                      kfi_der_take_number(&numbers, &r) && kfi_der_take_number(&numbers, &s) &&
                      numbers.length == 0;
    return good ? KF_OK : kf_error_set(error, KF_E_MALFORMED, "It is not the DER of a signature.");
}

static enum kf_code read_footer(struct vectors *vectors, struct kf_view bytes, struct kf_error *error)
{
    struct kfi_reader reader = {bytes, false};
    const struct kf_view signature = kfi_read_field(&reader);
    if (reader.short_read || reader.rest.length > 0)
        return kf_error_set(error, KF_E_MALFORMED, "It is not a footer.");
    return read_signature(vectors, signature, error);
}

struct fixture {
    const char *name;
    piece *read;
    enum kf_code code;
};

static const struct fixture fixtures[] = {
    {"base64MessageHeader", read_header, KF_E_MALFORMED},
    {"basicEncryptionContext", read_context, KF_OK},
    {"basicFrameHeader", read_frame, KF_OK},
    {"basicFrameIV", read_first_iv, KF_OK},
    {"basicMessageHeader", read_header, KF_OK},
    {"basicNonFrameHeader", read_block, KF_OK},
    {"basicNonFrameIV", read_first_iv, KF_OK},
    {"basicV2MessageHeader", read_header, KF_OK},
    {"duplicateKeysEncryptionContext", read_context, KF_E_MALFORMED},
    {"ecdsaP256Signature", read_signature, KF_OK},
    {"ecdsaP256SignatureInfo", read_footer, KF_OK},
    {"encryptedDataKey", read_edks, KF_OK},
    {"encryptionContextWithHighUtf8CodePoint", read_context, KF_OK},
    {"encryptionContextWithHighUtf8CodePointWithReservedKeyword", read_context, KF_OK},
    {"finalFrameHeader", read_frame, KF_OK},
    {"finalFrameHeaderZeroBytes", read_frame, KF_OK},
    {"hasOwnPropertyEncryptionContext", read_context, KF_OK},
    {"headerAuthIV", read_header_iv, KF_OK},
    /* 2^36-32 itself: JavaScript refuses it, not the specification (S: data-format/message-body.md#encrypted-content-length). */
    {"invalidNonFrameHeaderContentLengthExcedsLimits", read_block, KF_OK},
    {"invalidSequenceEndFinalFrameHeader", read_frame, KF_E_MALFORMED},
    {"invalidSequenceNumberFinalFrameHeader", read_frame, KF_E_MALFORMED},
    {"invalidSequenceNumberFrameHeader", read_frame, KF_E_MALFORMED},
    {"ivLengthMismatchMessageHeader", read_header, KF_E_MALFORMED},
    {"missingDataEncryptionContext", read_context, KF_E_MALFORMED},
    {"reservedBytesNoZeroMessageHeader", read_header, KF_E_MALFORMED},
    {"suiteIdNotValidMessageHeader", read_header, KF_E_MALFORMED},
    {"threeEdksMessagePartialHeaderV1", read_three_edks, KF_OK},
    {"threeEdksMessagePartialHeaderV2", read_three_edks, KF_OK},
    {"tooMuchDataEncryptionContext", read_context, KF_E_MALFORMED},
    {"typeNotValidMessageHeader", read_header, KF_E_MALFORMED},
    {"versionNotValidMessageHeader", read_header, KF_E_MALFORMED},
    {"zeroByteEncryptionContextMessageHeader", read_header, KF_OK},
};

static void run_named(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    struct kf_view bytes;
    struct kf_error error = KF_ERROR_INIT;
    size_t i = 0;
    while (i < sizeof fixtures / sizeof fixtures[0] &&
           !kfi_view_equal(test->name, kf_view_text(fixtures[i].name)))
        i++;
    if (i == sizeof fixtures / sizeof fixtures[0]) {
        skip(verdict, "a fixture whose name does not say what it is");
        return;
    }
    if (!want_hex(vectors, test, "hex", verdict, &bytes))
        return;
    const enum kf_code code = fixtures[i].read(vectors, bytes, &error);
    if (code != fixtures[i].code)
        fail(verdict, "%s where %s is right: %s", kf_code_name(code), kf_code_name(fixtures[i].code),
             error.text);
}

/*
 * A whole header, for which the manifest has the answer of another reader: "ok, N trailing bytes" or
 * "Err(…)".
 */
static void run_judged(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    struct kf_view bytes, opinion;
    const struct kf_header *header = NULL;
    struct kf_error error = KF_ERROR_INIT;
    unsigned trailing = 0;
    if (!want_hex(vectors, test, "hex", verdict, &bytes) || !want_text(test, "our_parser", verdict, &opinion))
        return;
    const enum kf_code code = kf_header_parse(bytes, 0, &error, &header);
    const bool good = strncmp((const char *)opinion.data, "ok", 2) == 0;
    if (good && done(code, &error, "the header", verdict)) {
        if (sscanf((const char *)opinion.data, "ok, %u trailing", &trailing) == 1 &&
            kf_header_length(header) + trailing != bytes.length)
            fail(verdict, "%zu bytes follow the header", bytes.length - kf_header_length(header));
        check_written(vectors, header, true, verdict);
    } else if (!good && code != KF_E_MALFORMED) {
        fail(verdict, "%s where KF_E_MALFORMED is right: %s", kf_code_name(code), error.text);
    }
    kf_header_unref(header);
}

static void run_fixture(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    if (json_get(test, "our_parser") != NULL)
        run_judged(vectors, test, verdict);
    else
        run_named(vectors, test, verdict);
}

/* ---- Which it is ---- */

bool run_headers(struct vectors *vectors)
{
    const struct json *root = vectors->root;
    if (root->type == JSON_ARRAY && json_get(root->first, "header_hex") != NULL) {
        vectors_each(vectors, root, "id", run_header);
        return true;
    }
    if (root->type != JSON_OBJECT)
        return false;
    if (json_get_as(root, "ciphertext", JSON_STRING) != NULL && json_get(root, "plaintext") == NULL) {
        struct verdict verdict = {.kind = PASSED};
        run_message(vectors, root, &verdict);
        vectors_count(vectors, kf_view_text("the message"), &verdict);
        return true;
    }
    if (json_get_as(root->first, "hex", JSON_STRING) == NULL || json_get(root->first, "type") != NULL)
        return false;
    vectors_each(vectors, root, NULL, run_fixture);
    return true;
}
