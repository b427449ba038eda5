/*
 * Decryption: message in, plaintext out. The streaming decryptor, and the one-shot call built on it.
 * (S: client-apis/decrypt.md)
 *
 *     HEADER  gathered to its last byte and no further, then parsed; policy
 *     KEYS    the CMM is asked once, and materials come back once
 *     VERIFY  derivation, commitment, the header's tag; what is expected of the encryption context
 *     BODY    frames, each released once it is authenticated
 *     FOOTER  the signature; until it holds, the final frame of a signed message is kept back
 *     DONE
 *
 * Memory grows with the bytes that come, never with a length that a message only claims. No byte behind the message
 * is taken.
 */
#include "decrypt.h"

#include "base/error.h"
#include "base/fork.h"
#include "base/operation.h"
#include "base/sized.h"
#include "materials/materials.h"
#include "message/expected_context.h"
#include "message/frame.h"
#include "message/header.h"
#include "suite/aead.h"
#include "suite/derive.h"

enum stage {
    HEADER,
    KEYS,
    VERIFY,
    BODY,
    FOOTER,
    DONE
};

struct kf_decryptor {
    struct kfi_operation operation;
    enum stage stage;
    struct kf_cmm *cmm;
    const struct kf_encryption_context *reproduced;
    struct kfi_expected_context expected;
    enum kf_commitment_policy commitment_policy;
    bool unsigned_only;
    struct kfi_header_limits limits;
    uint64_t max_frame_length;
    uint64_t plaintext_left; /* of max_plaintext_length */

    struct kfi_header_scan scan;
    bool suite_allowed;     /* the suite in the header was checked against policy and mode */
    struct kf_buf gathered; /* what has come of a header, frame or footer that is not complete */

    /* From KEYS on. */
    const struct kf_header *header;
    struct kf_decryption_request request;
    const struct kf_decryption_materials *materials;
    bool verified; /* the header's tag holds */

    /* From VERIFY on. */
    struct kfi_aead *aead;
    struct kfi_transcript *transcript; /* if the suite signs */
    uint32_t sequence;                 /* that the next frame has to have */

    struct kfi_outlet outlet;
    struct kf_buf kept_back; /* the last plaintext of a signed message */
};

/* ---- Beginning and end ---- */

enum kf_code kf_decryptor_new(struct kf_cmm *cmm, const struct kf_decrypt_options *given,
                              struct kf_error *error, struct kf_decryptor **out)
{
    struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
    *out = NULL;
    if (cmm == NULL)
        return kf_error_set(error, KF_E_USAGE, "A decryptor needs a CMM.");
    enum kf_code code = KF_OK;
    if (given != NULL)
        code = kfi_sized_read(&options, sizeof options, given, "The options of a decryptor", error);
    if (code == KF_OK)
        code = kfi_fork_ready(error);
    if (code != KF_OK)
        return code;
    struct kf_decryptor *decryptor = kfi_alloc_zeroed(sizeof *decryptor);
    if (decryptor == NULL)
        return kfi_no_memory(error);
    code = kfi_expected_context_init(&decryptor->expected, options.expected_encryption_context,
                                     options.expected_keys, options.expected_key_count, error);
    if (code != KF_OK) {
        kfi_free(decryptor);
        return code;
    }
    kfi_operation_init(&decryptor->operation, options.timeout_ms, "No data key");
    decryptor->cmm = kf_cmm_ref(cmm);
    decryptor->reproduced = kf_encryption_context_ref(options.reproduced_encryption_context);
    decryptor->commitment_policy = options.commitment_policy;
    decryptor->unsigned_only = options.unsigned_only;
    decryptor->limits.max_edks = options.max_edks;
    decryptor->limits.max_length =
        options.max_header_length < UINT32_MAX ? options.max_header_length : SIZE_MAX;
    decryptor->max_frame_length = options.max_frame_length;
    decryptor->plaintext_left = options.max_plaintext_length;
    *out = decryptor;
    return KF_OK;
}

void kf_decryptor_free(struct kf_decryptor *decryptor)
{
    if (decryptor == NULL || !kfi_operation_end(&decryptor->operation))
        return;
    kfi_aead_free(decryptor->aead);
    kfi_transcript_free(decryptor->transcript);
    kf_buf_free(&decryptor->gathered);
    kf_buf_free(&decryptor->outlet.waiting);
    kf_buf_free(&decryptor->kept_back);
    kf_decryption_materials_unref(decryptor->materials);
    kf_header_unref(decryptor->header);
    kf_encryption_context_unref(decryptor->reproduced);
    kfi_expected_context_end(&decryptor->expected);
    kf_cmm_unref(decryptor->cmm);
    kfi_free(decryptor);
}

/* ---- Gathering ---- */

/*
 * Shows the next `needed` bytes of the message, or more if more were gathered. If the input has them all they are
 * shown where they are; otherwise they are gathered. KF_WANT_INPUT: all input was taken, and it is not enough.
 * KF_E_TRUNCATED: no more will come. What was shown is taken by consume_message.
 */
static enum kf_code gather_message(struct kf_decryptor *decryptor, struct kf_io *io, size_t needed,
                                   const char *what, struct kf_view *out)
{
    struct kf_buf *gathered = &decryptor->gathered;
    const size_t input = io->in_length - io->in_used;
    if (needed < gathered->length)
        needed = gathered->length;
    if (gathered->length == 0 && input >= needed) {
        *out = kf_view_of(io->in + io->in_used, needed);
        return KF_OK;
    }
    const size_t missing = needed - gathered->length, taken = missing < input ? missing : input;
    if (taken > 0) {
        if (kfi_buf_reserve(gathered, taken, needed) != KF_OK)
            return kfi_no_memory(&decryptor->operation.error);
        memcpy(gathered->data + gathered->length, io->in + io->in_used, taken);
        gathered->length += taken;
        io->in_used += taken;
    }
    if (gathered->length == needed) {
        *out = kf_view_of(gathered->data, needed);
        return KF_OK;
    }
    if (!io->in_end)
        return KF_WANT_INPUT;
    return kf_error_set(&decryptor->operation.error, KF_E_TRUNCATED, "The message ends in the middle of %s.",
                        what);
}

/* Takes the bytes that gather_message showed. */
static void consume_message(struct kf_decryptor *decryptor, struct kf_io *io, size_t length)
{
    if (decryptor->gathered.length > 0)
        kfi_buf_wipe(&decryptor->gathered);
    else
        io->in_used += length;
}

/* The signature covers everything that is read before it. */
static enum kf_code transcribe_read(struct kf_decryptor *decryptor, struct kf_view bytes)
{
    if (decryptor->transcript == NULL)
        return KF_OK;
    return kfi_transcript_add(decryptor->transcript, bytes, &decryptor->operation.error);
}

/* ---- HEADER ---- */

/*
 * Whether a message of this suite is to be decrypted at all.
 * (S: client-apis/decrypt.md#behavior, framework/commitment-policy.md)
 */
static enum kf_code check_suite(const struct kf_decryptor *decryptor, const struct kfi_suite *suite,
                                struct kf_error *error)
{
    if (decryptor->unsigned_only && suite->info.sign)
        return kf_error_set(error, KF_E_POLICY,
                            "The message is of suite %04x, which signs; only messages without a signature "
                            "are allowed (option unsigned_only).",
                            (unsigned)suite->info.id);
    return kfi_policy_check_decrypt(decryptor->commitment_policy, suite, error);
}

/* Goes on with the scan. The suite is checked as soon as it is there, before anything that follows it. */
static enum kf_code scan_header(struct kf_decryptor *decryptor, struct kf_view front, size_t *needed)
{
    struct kf_error *error = &decryptor->operation.error;
    struct kfi_header_scan *scan = &decryptor->scan;
    enum kf_code code = kfi_header_scan(scan, front, &decryptor->limits, error, needed);
    if (code < KF_OK || scan->suite == NULL || decryptor->suite_allowed)
        return code;
    const enum kf_code allowed = check_suite(decryptor, scan->suite, error);
    decryptor->suite_allowed = allowed == KF_OK;
    return allowed == KF_OK ? code : allowed;
}

static enum kf_code read_header(struct kf_decryptor *decryptor, struct kf_io *io)
{
    struct kf_error *error = &decryptor->operation.error;
    struct kf_view bytes = kf_view_of(decryptor->gathered.data, decryptor->gathered.length);
    size_t needed;
    enum kf_code code;
    /* The scan says how many bytes are needed at least, until it says how many the header has. */
    while ((code = scan_header(decryptor, bytes, &needed)) == KF_WANT_INPUT) {
        if (bytes.length == 0 && io->in_end && io->in_used == io->in_length)
            return kf_error_set(error, KF_E_TRUNCATED, "The input is empty: there is no message to decrypt.");
        code = gather_message(decryptor, io, needed, "its header", &bytes);
        if (code == KF_OK)
            continue;
        if (code == KF_E_NO_MEMORY) /* then nothing of what was scanned is kept */
            return code;
        /* Not all of the header is there, but what is there may show that this is no message. */
        bytes = kf_view_of(decryptor->gathered.data, decryptor->gathered.length);
        const enum kf_code early = scan_header(decryptor, bytes, &needed);
        return early < KF_OK ? early : code;
    }
    if (code != KF_OK)
        return code;
    code = kfi_header_read(bytes, &decryptor->limits, error, &decryptor->header);
    if (code != KF_OK)
        return code;
    consume_message(decryptor, io, bytes.length);

    const struct kf_header *parsed = decryptor->header;
    /* The header's tag covers what it stores, so that what differs can be refused before anybody is asked for keys. */
    code = kfi_expected_context_check_stored(&decryptor->expected, parsed->encryption_context, error);
    if (code != KF_OK)
        return code;
    decryptor->request = (struct kf_decryption_request){
        .suite = parsed->suite->info.id,
        .commitment_policy = decryptor->commitment_policy,
        .encryption_context = parsed->encryption_context,
        .reproduced_encryption_context = decryptor->reproduced,
        .edks = parsed->edks,
        .edk_count = parsed->edk_count,
        .max_edks = (uint16_t)decryptor->limits.max_edks,
    };
    decryptor->stage = KEYS;
    return KF_OK;
}

/* ---- KEYS ---- */

static enum kf_code get_decryption_keys(struct kf_decryptor *decryptor, const struct kf_waker *waker)
{
    struct kfi_operation *operation = &decryptor->operation;
    kfi_operation_await(operation, waker);
    enum kf_code code = kf_cmm_decrypt_materials(decryptor->cmm, &operation->call, &decryptor->request,
                                                 &operation->error, &decryptor->materials);
    code = kfi_operation_awaited(operation, code);
    if (code == KF_OK)
        decryptor->stage = VERIFY;
    return code;
}

/* ---- VERIFY ---- */

/*
 * Commitment first: before it holds, nothing is done with the derived key.
 * (S: client-apis/decrypt.md#get-the-decryption-materials)
 */
static enum kf_code verify_commitment(const struct kf_header *parsed,
                                      const struct kfi_message_key *message_key, struct kf_error *error)
{
    if (!parsed->suite->info.commits ||
        kfi_equal_secret(parsed->commit_key.data, message_key->commit_key, KFI_COMMIT_KEY_LENGTH))
        return KF_OK;
    return kf_error_set(
        error, KF_E_FORGED,
        "The message does not commit to this data key: it was changed, or made to decrypt to different "
        "plaintexts under different keys.");
}

static enum kf_code verify_header_tag(struct kf_decryptor *decryptor)
{
    const struct kf_header *parsed = decryptor->header;
    struct kf_error *error = &decryptor->operation.error;
    const struct kf_view aad[] = {kf_view_of(parsed->bytes, parsed->body_length),
                                  kf_encryption_context_serialized(decryptor->materials->head.required)};
    enum kf_code code = kfi_aead_open(decryptor->aead, parsed->iv, aad, 2, NULL, 0, parsed->tag, error, NULL);
    if (code == KF_E_FORGED)
        kf_error_set(error, code,
                     "The header does not match its authentication tag: it was changed, or the reproduced "
                     "encryption context is not the one it was made with.");
    return code;
}

static enum kf_code verify_header(struct kf_decryptor *decryptor)
{
    const struct kf_header *parsed = decryptor->header;
    struct kf_error *error = &decryptor->operation.error;
    struct kfi_message_key message_key;
    enum kf_code code = kfi_derive(parsed->suite, kf_decryption_materials_data_key(decryptor->materials),
                                   parsed->message_id, error, &message_key);
    if (code == KF_OK)
        code = verify_commitment(parsed, &message_key, error);
    if (code == KF_OK)
        code = kfi_aead_new(kf_view_of(message_key.key, message_key.length), error, &decryptor->aead);
    kfi_wipe(&message_key, sizeof message_key);
    if (code == KF_OK)
        code = verify_header_tag(decryptor);
    if (code == KF_OK)
        code = kfi_expected_context_check(&decryptor->expected, decryptor->materials->head.context, error);
    if (code == KF_OK && parsed->suite->info.sign)
        code = kfi_transcript_new(parsed->suite->signature_hash, error, &decryptor->transcript);
    if (code == KF_OK)
        code = transcribe_read(decryptor, kf_view_of(parsed->bytes, parsed->length));
    if (code != KF_OK)
        return code;
    decryptor->verified = true;
    decryptor->sequence = 1;
    decryptor->stage = BODY;
    return KF_OK;
}

/* ---- BODY ---- */

/* How a frame is called in a sentence. */
static const char *frame_kind_name(enum kfi_body_kind kind)
{
    return kind == KFI_SINGLE_BLOCK ? "the body" : kind == KFI_FINAL_FRAME ? "the final frame" : "a frame";
}

/* Finds the place for a frame's plaintext: the output, or, for the last of a signed message, memory that is kept back. */
static enum kf_code place_plaintext(struct kf_decryptor *decryptor, struct kf_io *io, enum kfi_body_kind kind,
                                    size_t length, uint8_t **out)
{
    struct kf_error *error = &decryptor->operation.error;
    if (kind == KFI_REGULAR_FRAME || decryptor->transcript == NULL)
        return kfi_outlet_claim(&decryptor->outlet, io, length, error, out);
    if (kfi_buf_reserve(&decryptor->kept_back, length, SIZE_MAX) != KF_OK)
        return kfi_no_memory(error);
    *out = decryptor->kept_back.data;
    decryptor->kept_back.length = length;
    return KF_OK;
}

/* Opens a whole frame. */
static enum kf_code open_frame(struct kf_decryptor *decryptor, struct kf_io *io,
                               const struct kfi_frame_front *front, struct kf_view bytes)
{
    struct kf_error *error = &decryptor->operation.error;
    const size_t front_length = kfi_frame_front_length(front->kind), length = (size_t)front->length;
    struct kfi_body_aad body_aad;
    kfi_body_aad(decryptor->header->message_id, front->kind, front->sequence, front->length, &body_aad);
    const struct kf_view aad = kf_view_of(body_aad.bytes, body_aad.length);
    const uint8_t *ciphertext = bytes.data + front_length;

    enum kf_code code = transcribe_read(decryptor, bytes);
    uint8_t *plaintext = NULL;
    if (code == KF_OK)
        code = place_plaintext(decryptor, io, front->kind, length, &plaintext);
    if (code == KF_OK)
        code = kfi_aead_open(decryptor->aead, front->iv, &aad, 1, ciphertext, length, ciphertext + length,
                             error, plaintext);
    if (code == KF_E_FORGED)
        kf_error_set(error, code,
                     "Frame %u of the message does not match its authentication tag: it was changed.",
                     (unsigned)front->sequence);
    return code;
}

/* Shows the front of the next frame. */
static enum kf_code read_frame_front(struct kf_decryptor *decryptor, struct kf_io *io,
                                     struct kfi_frame_front *front)
{
    const uint32_t frame_length = decryptor->header->frame_length;
    struct kf_error *error = &decryptor->operation.error;
    /* The first four bytes of a frame tell its kind, and so how long its front is. */
    size_t needed = frame_length > 0 ? 4 : kfi_frame_front_length(KFI_SINGLE_BLOCK);
    for (;;) {
        struct kf_view bytes;
        enum kf_code code = gather_message(decryptor, io, needed, "its body", &bytes);
        if (code != KF_OK)
            return code;
        code = kfi_frame_read_front(bytes, frame_length, decryptor->sequence, error, front);
        if (code != KF_WANT_INPUT)
            return code;
        struct kfi_reader reader = {bytes, false};
        bool final = kfi_read_u32(&reader) == KFI_SEQUENCE_END;
        needed = kfi_frame_front_length(final ? KFI_FINAL_FRAME : KFI_REGULAR_FRAME);
    }
}

/* Checks the limits, before anything of the frame is gathered. */
static enum kf_code check_frame_length(struct kf_decryptor *decryptor, const struct kfi_frame_front *front)
{
    struct kf_error *error = &decryptor->operation.error;
    if (front->length > decryptor->max_frame_length)
        return kf_error_set(error, KF_E_LIMIT, "Frame %u has %llu bytes; max_frame_length allows %llu.",
                            (unsigned)front->sequence, (unsigned long long)front->length,
                            (unsigned long long)decryptor->max_frame_length);
    if (front->length > decryptor->plaintext_left)
        return kf_error_set(error, KF_E_LIMIT,
                            "Frame %u has %llu bytes, of which max_plaintext_length leaves %llu: the message "
                            "holds more plaintext than allowed.",
                            (unsigned)front->sequence, (unsigned long long)front->length,
                            (unsigned long long)decryptor->plaintext_left);
    return KF_OK;
}

static enum kf_code read_frame(struct kf_decryptor *decryptor, struct kf_io *io)
{
    struct kfi_frame_front front;
    enum kf_code code = read_frame_front(decryptor, io, &front);
    if (code == KF_OK)
        code = check_frame_length(decryptor, &front);
    if (code != KF_OK)
        return code;
    struct kf_view bytes;
    const uint64_t whole = kfi_frame_front_length(front.kind) + front.length + KFI_TAG_LENGTH;
    code = whole > SIZE_MAX
               ? kfi_no_memory(&decryptor->operation.error)
               : gather_message(decryptor, io, (size_t)whole, frame_kind_name(front.kind), &bytes);
    if (code == KF_OK)
        code = open_frame(decryptor, io, &front, bytes);
    if (code != KF_OK)
        return code;
    consume_message(decryptor, io, bytes.length);
    decryptor->sequence++;
    decryptor->plaintext_left -= front.length;
    if (front.kind != KFI_REGULAR_FRAME)
        decryptor->stage = FOOTER;
    return KF_OK;
}

/* ---- FOOTER ---- */

static enum kf_code read_footer(struct kf_decryptor *decryptor, struct kf_io *io)
{
    struct kf_error *error = &decryptor->operation.error;
    if (decryptor->transcript == NULL) {
        decryptor->stage = DONE;
        return KF_OK;
    }
    struct kf_view bytes;
    enum kf_code code = gather_message(decryptor, io, 2, "its signature", &bytes);
    if (code != KF_OK)
        return code;
    struct kfi_reader reader = {bytes, false};
    const size_t length = kfi_read_u16(&reader);
    if (length == 0)
        return kf_error_set(error, KF_E_MALFORMED, "The signature of the message has no bytes.");
    code = gather_message(decryptor, io, 2 + length, "its signature", &bytes);
    if (code != KF_OK)
        return code;
    code = kfi_transcript_verify(decryptor->transcript, decryptor->materials->verification_key,
                                 kf_view_of(bytes.data + 2, length), error);
    if (code != KF_OK)
        return code;
    consume_message(decryptor, io, bytes.length);

    /* Now what was kept back may go. */
    uint8_t *out;
    code = kfi_outlet_claim(&decryptor->outlet, io, decryptor->kept_back.length, error, &out);
    if (code == KF_OK && decryptor->kept_back.length > 0)
        memcpy(out, decryptor->kept_back.data, decryptor->kept_back.length);
    kfi_buf_wipe(&decryptor->kept_back);
    decryptor->stage = DONE;
    return code;
}

/* ---- Polling ---- */

/* Goes on from where io->in_used and io->out_used stand. */
static enum kf_code decryptor_step(void *stream, struct kf_io *io, const struct kf_waker *waker)
{
    struct kf_decryptor *decryptor = stream;
    for (;;) {
        enum kf_code code;
        if (!kfi_outlet_drain(&decryptor->outlet, io))
            return KF_WANT_OUTPUT;
        switch (decryptor->stage) {
        case HEADER:
            code = read_header(decryptor, io);
            break;
        case KEYS:
            code = get_decryption_keys(decryptor, waker);
            break;
        case VERIFY:
            if (io->in_used == io->in_length && !io->in_end && io->out_room == 0)
                return KF_WANT_INPUT; /* materials are held, and nothing is derived before it is needed */
            code = verify_header(decryptor);
            break;
        case BODY:
            code = read_frame(decryptor, io);
            break;
        case FOOTER:
            code = read_footer(decryptor, io);
            break;
        case DONE:
        default:
            return KF_OK;
        }
        if (code != KF_OK)
            return code;
    }
}

enum kf_code kf_decryptor_poll(struct kf_decryptor *decryptor, struct kf_io *io, const struct kf_waker *waker)
{
    return kfi_operation_poll(&decryptor->operation, decryptor_step, decryptor, io, waker);
}

uint64_t kf_decryptor_deadline(const struct kf_decryptor *decryptor)
{
    return kfi_operation_deadline(&decryptor->operation);
}

const struct kf_error *kf_decryptor_error(const struct kf_decryptor *decryptor)
{
    return &decryptor->operation.error;
}

const struct kf_header *kf_decryptor_header(const struct kf_decryptor *decryptor)
{
    return decryptor->verified ? decryptor->header : NULL;
}

const struct kf_encryption_context *kf_decryptor_encryption_context(const struct kf_decryptor *decryptor)
{
    return decryptor->verified ? decryptor->materials->head.context : NULL;
}

/* ---- One shot ---- */

/* Up to the keys, before which there is no use for output. */
static enum kf_code decryptor_step_to_keys(void *stream, struct kf_io *io, const struct kf_waker *waker)
{
    struct kf_decryptor *decryptor = stream;
    enum kf_code code = KF_OK;
    if (decryptor->stage == HEADER)
        code = read_header(decryptor, io);
    if (code == KF_OK && decryptor->stage == KEYS)
        code = get_decryption_keys(decryptor, waker);
    return code;
}

/* What is left of the message, as input. */
static struct kf_io rest_of_message(const struct kf_decryptor *decryptor, struct kf_view message)
{
    const size_t taken = decryptor->header != NULL ? decryptor->header->length : 0;
    return (struct kf_io){.in = taken > 0 ? message.data + taken : message.data,
                          .in_length = message.length - taken,
                          .in_end = true};
}

enum kf_code kfi_decrypt_begin(struct kf_cmm *cmm, const struct kf_decrypt_options *options,
                               struct kf_view message, struct kf_error *error, struct kf_decryptor **out)
{
    *out = NULL;
    enum kf_code code = kfi_view_check(message, "The message", error);
    return code == KF_OK ? kf_decryptor_new(cmm, options, error, out) : code;
}

enum kf_code kfi_decrypt_poll(struct kf_decryptor *decryptor, struct kf_view message,
                              const struct kf_waker *waker, struct kf_error *error, struct kf_buf *out)
{
    struct kf_io io = rest_of_message(decryptor, message);
    enum kf_code code =
        kfi_operation_poll(&decryptor->operation, decryptor_step_to_keys, decryptor, &io, waker);
    if (code == KF_PENDING)
        return code;
    if (code == KF_OK) {
        io = rest_of_message(decryptor, message);
        /* A plaintext is never longer than its message. */
        if (kfi_buf_reserve(out, io.in_length, SIZE_MAX) != KF_OK)
            return kfi_no_memory(error);
        io.out = out->data;
        io.out_room = io.in_length;
        code = kf_decryptor_poll(decryptor, &io, waker);
    }
    if (code == KF_OK && io.in_used == io.in_length) {
        out->length = io.out_used;
        return KF_OK;
    }
    kfi_wipe(out->data, io.out_used);
    if (code == KF_OK)
        return kf_error_set(error, KF_E_TRAILING, "%zu bytes follow the end of the message.",
                            io.in_length - io.in_used);
    if (code > KF_OK)
        return kf_error_set(error, KF_E_BUG,
                            "A message with all its input and room was not decrypted at once.");
    if (error != NULL)
        *error = decryptor->operation.error;
    return code;
}

enum kf_code kf_decrypt(struct kf_cmm *cmm, const struct kf_decrypt_options *options, struct kf_view message,
                        struct kf_error *error, const struct kf_header **header_out, struct kf_buf *out)
{
    struct kf_decryptor *decryptor = NULL;
    enum kf_code code = kfi_buf_check(out, message, "The message", error);
    if (code == KF_OK && header_out != NULL)
        code = kfi_apart_check(message, header_out, sizeof *header_out, "The message", error);
    if (code != KF_OK)
        return code;
    code = kfi_decrypt_begin(cmm, options, message, error, &decryptor);
    kfi_buf_wipe(out); /* not before: the options may show bytes in it */
    if (header_out != NULL)
        *header_out = NULL;
    if (code == KF_OK)
        code = kfi_decrypt_poll(decryptor, message, NULL, error, out);
    if (code == KF_OK && header_out != NULL)
        *header_out = kf_header_ref(decryptor->header);
    kf_decryptor_free(decryptor);
    return code;
}
