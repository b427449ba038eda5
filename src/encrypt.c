/*
 * Encryption: plaintext in, message out. The streaming encryptor, and the one-shot call built on it.
 * (S: client-apis/encrypt.md)
 *
 *     KEYS    the CMM is asked once, and materials come back once
 *     HEADER  message id, derivation, header and its tag
 *     BODY    frames, each sealed straight into the output if there is room
 *     FOOTER  the signature, if the suite signs
 *     DONE
 *
 * It never writes a byte of a second message under one message id.
 */
#include "encrypt.h"

#include "base/error.h"
#include "base/fork.h"
#include "base/operation.h"
#include "base/sized.h"
#include "base/text.h"
#include "materials/materials.h"
#include "message/frame.h"
#include "message/header.h"
#include "suite/aead.h"
#include "suite/derive.h"
#include "suite/random.h"

enum stage {
    KEYS,
    HEADER,
    BODY,
    FOOTER,
    DONE
};

struct kf_encryptor {
    struct kfi_operation operation;
    enum stage stage;
    struct kf_cmm *cmm;
    struct kf_encryption_request request; /* its context is a reference, its required keys are a copy */
    uint32_t frame_length;
    uint64_t taken; /* bytes of plaintext so far */

    /* From KEYS on. */
    const struct kf_encryption_materials *materials;
    const struct kfi_suite *suite;

    /* From HEADER on. */
    uint8_t message_id[KFI_MESSAGE_ID_MAX];
    struct kfi_aead *aead;
    struct kfi_transcript *transcript; /* if the suite signs */
    uint32_t sequence;                 /* of the next frame */
    struct kf_buf frame;               /* plaintext of a frame that came in pieces */

    struct kfi_outlet outlet;
};

/* ---- Beginning and end ---- */

/* Whether the user may have this context, with these keys required. */
static enum kf_code encrypt_context_check(const struct kf_encrypt_options *options, struct kf_error *error)
{
    const struct kf_encryption_context *context = options->encryption_context;
    for (size_t i = 0; i < kf_encryption_context_count(context); i++) {
        const struct kf_view key = kf_encryption_context_at(context, i).key;
        if (kfi_view_begins(key, KFI_RESERVED_PREFIX))
            return kf_error_set(error, KF_E_POLICY,
                                "Keys of the encryption context that begin with \"" KFI_RESERVED_PREFIX
                                "\" are reserved: %s.",
                                kfi_quoted(key).text);
    }
    for (size_t i = 0; i < options->required_key_count; i++) {
        const struct kf_view key = options->required_keys[i];
        if (!kf_encryption_context_get(context, key, NULL))
            return kf_error_set(error, KF_E_POLICY, "The encryption context lacks the required key %s.",
                                kfi_quoted(key).text);
    }
    return KF_OK;
}

static enum kf_code encrypt_suite_check(const struct kf_encrypt_options *options, struct kf_error *error)
{
    if (options->suite == KF_SUITE_DEFAULT)
        return KF_OK;
    const struct kfi_suite *suite = kfi_suite_get(options->suite);
    if (suite == NULL)
        return kf_error_set(error, KF_E_USAGE, "There is no algorithm suite %04x.", (unsigned)options->suite);
    return kfi_policy_check_encrypt(options->commitment_policy, suite, error);
}

static enum kf_code encrypt_options_check(const struct kf_encrypt_options *options, struct kf_error *error)
{
    if (options->frame_length == 0)
        return kf_error_set(error, KF_E_USAGE, "frame_length is from 1 to 2^32-1 bytes.");
    enum kf_code code =
        kfi_views_check(options->required_keys, options->required_key_count, "Option required_keys", error);
    if (code == KF_OK)
        code = encrypt_suite_check(options, error);
    if (code == KF_OK)
        code = encrypt_context_check(options, error);
    return code;
}

enum kf_code kf_encryptor_new(struct kf_cmm *cmm, const struct kf_encrypt_options *given,
                              struct kf_error *error, struct kf_encryptor **out)
{
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    *out = NULL;
    if (cmm == NULL)
        return kf_error_set(error, KF_E_USAGE, "An encryptor needs a CMM.");
    enum kf_code code = KF_OK;
    if (given != NULL)
        code = kfi_sized_read(&options, sizeof options, given, "The options of an encryptor", error);
    if (code == KF_OK)
        code = kfi_fork_ready(error);
    if (code == KF_OK)
        code = encrypt_options_check(&options, error);
    if (code != KF_OK)
        return code;

    struct kf_encryptor *encryptor = kfi_alloc_zeroed(sizeof *encryptor);
    struct kf_view *required = NULL;
    if (encryptor != NULL && options.required_key_count > 0)
        required = kfi_copy_all(options.required_keys, options.required_key_count);
    if (encryptor == NULL || (options.required_key_count > 0 && required == NULL)) {
        kfi_free(encryptor);
        return kfi_no_memory(error);
    }
    kfi_operation_init(&encryptor->operation, options.timeout_ms, "No data key");
    encryptor->cmm = kf_cmm_ref(cmm);
    encryptor->frame_length = options.frame_length;
    encryptor->request = (struct kf_encryption_request){
        .suite = options.suite,
        .commitment_policy = options.commitment_policy,
        .encryption_context = kf_encryption_context_ref(options.encryption_context),
        .required_keys = required,
        .required_key_count = options.required_key_count,
        .plaintext_bound = options.plaintext_bound,
        .max_edks = options.max_edks,
    };
    *out = encryptor;
    return KF_OK;
}

void kf_encryptor_free(struct kf_encryptor *encryptor)
{
    if (encryptor == NULL || !kfi_operation_end(&encryptor->operation))
        return;
    kfi_aead_free(encryptor->aead);
    kfi_transcript_free(encryptor->transcript);
    kf_buf_free(&encryptor->frame);
    kf_buf_free(&encryptor->outlet.waiting);
    kf_encryption_materials_unref(encryptor->materials);
    kf_encryption_context_unref(encryptor->request.encryption_context);
    kfi_free((void *)(uintptr_t)encryptor->request.required_keys);
    kf_cmm_unref(encryptor->cmm);
    kfi_free(encryptor);
}

/* ---- KEYS ---- */

static enum kf_code get_encryption_keys(struct kf_encryptor *encryptor, const struct kf_waker *waker)
{
    struct kfi_operation *operation = &encryptor->operation;
    kfi_operation_await(operation, waker);
    enum kf_code code = kf_cmm_get_encryption_materials(encryptor->cmm, &operation->call, &encryptor->request,
                                                        &operation->error, &encryptor->materials);
    code = kfi_operation_awaited(operation, code);
    if (code != KF_OK)
        return code;
    encryptor->suite = encryptor->materials->head.suite;
    encryptor->stage = HEADER;
    return KF_OK;
}

/* ---- HEADER ---- */

/* The signature covers everything that is written. */
static enum kf_code transcribe_written(struct kf_encryptor *encryptor, struct kf_view bytes)
{
    if (encryptor->transcript == NULL)
        return KF_OK;
    return kfi_transcript_add(encryptor->transcript, bytes, &encryptor->operation.error);
}

static struct kfi_header_fields header_fields(const struct kf_encryptor *encryptor)
{
    return (struct kfi_header_fields){
        .suite = encryptor->suite,
        .message_id = kf_view_of(encryptor->message_id, encryptor->suite->message_id_length),
        .encryption_context = encryptor->materials->stored,
        .edks = encryptor->materials->edks.items,
        .edk_count = encryptor->materials->edks.count,
        .frame_length = encryptor->frame_length,
    };
}

/* Makes the message id, and derives the message key. The cipher that is kept uses that key. */
static enum kf_code derive_for_encryption(struct kf_encryptor *encryptor, struct kfi_message_key *message_key)
{
    struct kf_error *error = &encryptor->operation.error;
    const struct kf_view message_id = kf_view_of(encryptor->message_id, encryptor->suite->message_id_length);
    enum kf_code code = kfi_random_message_id(encryptor->message_id, message_id.length, error);
    if (code == KF_OK)
        code = kfi_derive(encryptor->suite, kf_encryption_materials_data_key(encryptor->materials),
                          message_id, error, message_key);
    if (code == KF_OK)
        code = kfi_aead_new(kf_view_of(message_key->key, message_key->length), error, &encryptor->aead);
    if (code == KF_OK && encryptor->suite->info.sign)
        code = kfi_transcript_new(encryptor->suite->signature_hash, error, &encryptor->transcript);
    return code;
}

/* Writes the header to `bytes`, and its tag behind it. */
static enum kf_code seal_header(struct kf_encryptor *encryptor, const struct kfi_header_fields *fields,
                                uint8_t *bytes, size_t body_length, size_t length)
{
    struct kf_error *error = &encryptor->operation.error;
    static const uint8_t iv[KFI_IV_LENGTH];
    uint8_t tag[KFI_TAG_LENGTH];
    struct kfi_writer writer = {bytes, length, false};
    kfi_header_write_body(&writer, fields);
    const struct kf_view aad[] = {kf_view_of(bytes, body_length),
                                  kf_encryption_context_serialized(encryptor->materials->head.required)};
    enum kf_code code = kfi_aead_seal(encryptor->aead, iv, aad, 2, NULL, 0, error, NULL, tag);
    kfi_header_write_auth(&writer, encryptor->suite, tag);
    if (code == KF_OK && (writer.overflow || writer.room > 0))
        code = kf_error_set(error, KF_E_BUG, "A header came out of another length than was computed.");
    return code;
}

static enum kf_code write_header(struct kf_encryptor *encryptor, struct kf_io *io)
{
    struct kf_error *error = &encryptor->operation.error;
    struct kfi_message_key message_key;
    enum kf_code code = derive_for_encryption(encryptor, &message_key);
    struct kfi_header_fields fields = header_fields(encryptor);
    fields.commit_key = message_key.commit_key;

    const size_t body_length = kfi_header_body_length(&fields);
    const size_t length = body_length + kfi_header_auth_length(encryptor->suite);
    uint8_t *bytes = NULL;
    if (code == KF_OK)
        code = kfi_outlet_claim(&encryptor->outlet, io, length, error, &bytes);
    if (code == KF_OK)
        code = seal_header(encryptor, &fields, bytes, body_length, length);
    kfi_wipe(&message_key, sizeof message_key);
    if (code == KF_OK)
        code = transcribe_written(encryptor, kf_view_of(bytes, length));
    encryptor->sequence = 1;
    encryptor->stage = BODY;
    return code;
}

/* ---- BODY ---- */

/* Seals one frame of `length` bytes of plaintext. */
static enum kf_code seal_frame(struct kf_encryptor *encryptor, struct kf_io *io, enum kfi_body_kind kind,
                               const uint8_t *in, size_t length)
{
    struct kf_error *error = &encryptor->operation.error;
    const size_t front = kfi_frame_front_length(kind), whole = front + length + KFI_TAG_LENGTH;
    if (kind == KFI_REGULAR_FRAME && encryptor->sequence == KFI_SEQUENCE_END)
        return kf_error_set(error, KF_E_LIMIT,
                            "A message has at most 2^32-1 frames: choose a larger frame_length.");
    uint8_t *bytes;
    enum kf_code code = kfi_outlet_claim(&encryptor->outlet, io, whole, error, &bytes);
    if (code != KF_OK)
        return code;
    struct kfi_writer writer = {bytes, front, false};
    kfi_frame_write_front(&writer, kind, encryptor->sequence, (uint32_t)length);

    uint8_t iv[KFI_IV_LENGTH];
    struct kfi_body_aad body_aad;
    kfi_frame_iv(encryptor->sequence, iv);
    kfi_body_aad(kf_view_of(encryptor->message_id, encryptor->suite->message_id_length), kind,
                 encryptor->sequence, length, &body_aad);
    const struct kf_view aad = kf_view_of(body_aad.bytes, body_aad.length);
    code =
        kfi_aead_seal(encryptor->aead, iv, &aad, 1, in, length, error, bytes + front, bytes + front + length);
    if (code == KF_OK)
        code = transcribe_written(encryptor, kf_view_of(bytes, whole));
    encryptor->sequence++;
    return code;
}

/* Takes `length` bytes of input, within the bound. */
static enum kf_code take_plaintext(struct kf_encryptor *encryptor, struct kf_io *io, size_t length,
                                   const uint8_t **taken)
{
    uint64_t bound = encryptor->request.plaintext_bound;
    if (bound != KF_LENGTH_UNKNOWN && length > bound - encryptor->taken)
        return kf_error_set(&encryptor->operation.error, KF_E_LIMIT,
                            "More plaintext came than the %llu bytes that plaintext_bound promised.",
                            (unsigned long long)bound);
    *taken = length > 0 ? io->in + io->in_used : NULL;
    io->in_used += length;
    encryptor->taken += length;
    return KF_OK;
}

/* Adds `length` bytes of input to the frame that is being gathered. */
static enum kf_code gather_plaintext(struct kf_encryptor *encryptor, struct kf_io *io, size_t length)
{
    if (length == 0)
        return KF_OK;
    if (kfi_buf_reserve(&encryptor->frame, length, encryptor->frame_length) != KF_OK)
        return kfi_no_memory(&encryptor->operation.error);
    const uint8_t *taken = NULL;
    enum kf_code code = take_plaintext(encryptor, io, length, &taken);
    if (code != KF_OK)
        return code;
    memcpy(encryptor->frame.data + encryptor->frame.length, taken, length);
    encryptor->frame.length += length;
    return KF_OK;
}

/*
 * Writes one frame, if all of it has come. A regular frame is written once plaintext follows it, the final frame
 * when the input ends: a plaintext of whole frames ends in a full final frame.
 * (S: data-format/message-body.md#final-frame)
 */
static enum kf_code write_frame(struct kf_encryptor *encryptor, struct kf_io *io)
{
    const size_t gathered = encryptor->frame.length, input = io->in_length - io->in_used;
    const size_t missing = encryptor->frame_length - gathered; /* to a full frame */
    const bool regular = input > missing;
    if (!regular && !io->in_end) {
        enum kf_code code = gather_plaintext(encryptor, io, input);
        return code == KF_OK ? KF_WANT_INPUT : code;
    }
    const size_t rest = regular ? missing : input;
    const enum kfi_body_kind kind = regular ? KFI_REGULAR_FRAME : KFI_FINAL_FRAME;
    enum kf_code code;
    if (gathered == 0) {
        const uint8_t *plaintext = NULL;
        code = take_plaintext(encryptor, io, rest, &plaintext);
        if (code == KF_OK)
            code = seal_frame(encryptor, io, kind, plaintext, rest);
    } else {
        code = gather_plaintext(encryptor, io, rest);
        if (code == KF_OK)
            code = seal_frame(encryptor, io, kind, encryptor->frame.data, encryptor->frame.length);
        kfi_buf_wipe(&encryptor->frame);
    }
    if (!regular)
        encryptor->stage = FOOTER;
    return code;
}

/* ---- FOOTER ---- */

/* Gives back the bytes that were reserved for this message and did not come. */
static void settle_bound(struct kf_encryptor *encryptor)
{
    const uint64_t bound = encryptor->request.plaintext_bound;
    if (bound != KF_LENGTH_UNKNOWN && bound > encryptor->taken)
        kfi_materials_settle(&encryptor->materials->head, bound - encryptor->taken);
}

static enum kf_code write_footer(struct kf_encryptor *encryptor, struct kf_io *io)
{
    encryptor->stage = DONE;
    settle_bound(encryptor);
    if (encryptor->transcript == NULL)
        return KF_OK;
    struct kf_error *error = &encryptor->operation.error;
    const size_t length = encryptor->suite->signature_length;
    uint8_t *bytes;
    enum kf_code code = kfi_outlet_claim(&encryptor->outlet, io, 2 + length, error, &bytes);
    if (code != KF_OK)
        return code;
    struct kfi_writer writer = {bytes, 2, false};
    kfi_write_u16(&writer, (uint16_t)length);
    return kfi_transcript_sign(encryptor->transcript, encryptor->materials->signing_key, length, error,
                               bytes + 2);
}

/* ---- Polling ---- */

/* Goes on from where io->in_used and io->out_used stand. */
static enum kf_code encryptor_step(void *stream, struct kf_io *io, const struct kf_waker *waker)
{
    struct kf_encryptor *encryptor = stream;
    for (;;) {
        enum kf_code code;
        if (!kfi_outlet_drain(&encryptor->outlet, io))
            return KF_WANT_OUTPUT;
        switch (encryptor->stage) {
        case KEYS:
            code = get_encryption_keys(encryptor, waker);
            break;
        case HEADER:
            if (io->out_room == 0)
                return KF_WANT_OUTPUT; /* materials are held, and nothing is derived before it is needed */
            code = write_header(encryptor, io);
            break;
        case BODY:
            code = write_frame(encryptor, io);
            break;
        case FOOTER:
            code = write_footer(encryptor, io);
            break;
        case DONE:
        default:
            return KF_OK;
        }
        if (code != KF_OK)
            return code;
    }
}

enum kf_code kf_encryptor_poll(struct kf_encryptor *encryptor, struct kf_io *io, const struct kf_waker *waker)
{
    return kfi_operation_poll(&encryptor->operation, encryptor_step, encryptor, io, waker);
}

uint64_t kf_encryptor_deadline(const struct kf_encryptor *encryptor)
{
    return kfi_operation_deadline(&encryptor->operation);
}

const struct kf_error *kf_encryptor_error(const struct kf_encryptor *encryptor)
{
    return &encryptor->operation.error;
}

const struct kf_encryption_materials *kf_encryptor_materials(const struct kf_encryptor *encryptor)
{
    return encryptor->materials;
}

/* ---- One shot ---- */

/* The length of the whole message, once materials are held; false if it does not fit into memory. */
static bool message_length(const struct kf_encryptor *encryptor, size_t plaintext, size_t *out)
{
    const struct kfi_header_fields fields = header_fields(encryptor);
    size_t regular = plaintext > 0 ? (plaintext - 1) / encryptor->frame_length : 0;
    size_t overhead = kfi_frame_front_length(KFI_REGULAR_FRAME) + KFI_TAG_LENGTH;
    size_t fixed = kfi_header_body_length(&fields) + kfi_header_auth_length(encryptor->suite) +
                   kfi_frame_front_length(KFI_FINAL_FRAME) + KFI_TAG_LENGTH;
    if (encryptor->suite->info.sign)
        fixed += 2 + encryptor->suite->signature_length;
    return !__builtin_mul_overflow(regular, overhead, out) && !__builtin_add_overflow(*out, fixed, out) &&
           !__builtin_add_overflow(*out, plaintext, out);
}

enum kf_code kfi_encrypt_poll(struct kf_encryptor *encryptor, struct kf_view plaintext,
                              const struct kf_waker *waker, struct kf_error *error, struct kf_buf *out)
{
    struct kf_io io = {.in = plaintext.data, .in_length = plaintext.length, .in_end = true};
    struct kf_io nothing = {.in = NULL};
    enum kf_code code = kf_encryptor_poll(encryptor, &nothing, waker);
    size_t length = 0;
    if (code == KF_PENDING)
        return code;
    if (code == KF_WANT_OUTPUT) {
        if (!message_length(encryptor, plaintext.length, &length) ||
            kfi_buf_reserve(out, length, SIZE_MAX) != KF_OK)
            return kfi_no_memory(error);
        io.out = out->data;
        io.out_room = length;
        code = kf_encryptor_poll(encryptor, &io, waker);
    }
    if (code == KF_OK && io.out_used == length) {
        out->length = length;
        return KF_OK;
    }
    if (code < KF_OK) {
        if (error != NULL)
            *error = encryptor->operation.error;
        return code;
    }
    kfi_wipe(out->data, io.out_used);
    return kf_error_set(error, KF_E_BUG, "A message came out of another length than was computed.");
}

enum kf_code kfi_encrypt_begin(struct kf_cmm *cmm, const struct kf_encrypt_options *given,
                               struct kf_view plaintext, struct kf_error *error, struct kf_encryptor **out)
{
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    *out = NULL;
    enum kf_code code = kfi_view_check(plaintext, "The plaintext", error);
    if (code == KF_OK && given != NULL)
        code = kfi_sized_read(&options, sizeof options, given, "The options of an encryption", error);
    if (code != KF_OK)
        return code;
    if (plaintext.length > options.plaintext_bound)
        return kf_error_set(error, KF_E_LIMIT, "The plaintext has %zu bytes; plaintext_bound allows %llu.",
                            plaintext.length, (unsigned long long)options.plaintext_bound);
    options.plaintext_bound = plaintext.length;
    return kf_encryptor_new(cmm, &options, error, out);
}

enum kf_code kf_encrypt(struct kf_cmm *cmm, const struct kf_encrypt_options *options,
                        struct kf_view plaintext, struct kf_error *error, struct kf_buf *out)
{
    struct kf_encryptor *encryptor;
    enum kf_code code = kfi_buf_check(out, plaintext, "The plaintext", error);
    if (code != KF_OK)
        return code;
    code = kfi_encrypt_begin(cmm, options, plaintext, error, &encryptor);
    kfi_buf_wipe(out); /* not before: the options may show bytes in it */
    if (code == KF_OK)
        code = kfi_encrypt_poll(encryptor, plaintext, NULL, error, out);
    kf_encryptor_free(encryptor);
    return code;
}
