/*
 * Decrypting a message in every way: see trial.h.
 */
#include "vectors/trial.h"

#include <stdio.h>

#include "base/bytes.h"

static struct kf_decrypt_options options_of(const struct trial *trial)
{
    struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
    options.commitment_policy = KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT;
    options.reproduced_encryption_context = trial->reproduced;
    options.max_edks = trial->max_edks;
    options.unsigned_only = trial->unsigned_only;
    return options;
}

/* What a stream gave until it ended or failed. */
struct streamed {
    enum kf_code code;
    struct kf_error error;
    uint8_t *bytes; /* as many as the message has, for a plaintext is never longer */
    size_t length;
    size_t taken; /* bytes of the message */
};

/* In pieces of a byte, or larger ones where that would take long. The caller frees the bytes. */
static void stream(const struct trial *trial, struct streamed *out)
{
    const struct kf_decrypt_options options = options_of(trial);
    const size_t length = trial->message.length, in = 1 + length / 2000, room = 1 + length / 1500;
    struct kf_decryptor *decryptor = NULL;
    *out = (struct streamed){.bytes = kfi_alloc(length + room)};
    out->code =
        out->bytes == NULL ? KF_E_NO_MEMORY : kf_decryptor_new(trial->cmm, &options, &out->error, &decryptor);
    while (decryptor != NULL) {
        const size_t left = length - out->taken;
        struct kf_io io = {
            .in = trial->message.data + out->taken,
            .in_length = in < left ? in : left,
            .in_end = in >= left,
            .out = out->bytes + out->length,
            .out_room = length + room - out->length < room ? length + room - out->length : room,
        };
        out->code = kf_decryptor_poll(decryptor, &io, NULL);
        if (out->code <= KF_OK)
            out->error = *kf_decryptor_error(decryptor);
        out->taken += io.in_used;
        out->length += io.out_used;
        if (out->code != KF_WANT_INPUT && out->code != KF_WANT_OUTPUT)
            break;
        if (io.in_used + io.out_used == 0 && (io.in_end || out->length == length + room)) {
            out->code = kf_error_set(&out->error, KF_E_BUG, "The stream stands still.");
            break;
        }
    }
    kf_decryptor_free(decryptor);
}

bool trial_gives(const struct trial *trial, struct kf_view plaintext, struct verdict *verdict,
                 const struct kf_header **header)
{
    const struct kf_decrypt_options options = options_of(trial);
    struct kf_buf out = KF_BUF_INIT;
    struct kf_error error = KF_ERROR_INIT;
    const enum kf_code code = kf_decrypt(trial->cmm, &options, trial->message, &error, header, &out);
    bool good = done(code, &error, "decryption", verdict) &&
                same(kf_view_of(out.data, out.length), plaintext, "the plaintext", verdict);
    kf_buf_free(&out);
    if (good) {
        struct streamed streamed;
        stream(trial, &streamed);
        good = done(streamed.code, &streamed.error, "decryption as a stream", verdict) &&
               same(kf_view_of(streamed.bytes, streamed.length), plaintext, "the plaintext of the stream",
                    verdict) &&
               (streamed.taken == trial->message.length ||
                fail(verdict, "the stream ends %zu bytes before the message",
                     trial->message.length - streamed.taken));
        kfi_free(streamed.bytes);
    }
    return good;
}

/* Whether this is a reason to refuse a message, and not a fault of the caller, the machine or ours. */
static bool is_refusal(enum kf_code code)
{
    switch (kf_code_class(code)) {
    case KF_CLASS_MESSAGE:
    case KF_CLASS_KEYS:
    case KF_CLASS_LIMIT:
        return true;
    default:
        return code == KF_E_POLICY;
    }
}

static bool refusal(enum kf_code got, enum kf_code wanted, const struct kf_error *error, const char *how,
                    struct verdict *verdict)
{
    if (got >= KF_OK)
        return fail(verdict, "%s accepts what has to be refused", how);
    if (wanted != KF_OK && got != wanted)
        return fail(verdict, "%s refuses it with %s, which should be %s: %s", how, kf_code_name(got),
                    kf_code_name(wanted), error->text);
    if (!is_refusal(got))
        return fail(verdict, "%s fails with %s: %s", how, kf_code_name(got), error->text);
    return error->text[0] != '\0' || fail(verdict, "%s gives no reason for %s", how, kf_code_name(got));
}

bool trial_refused_once(const struct trial *trial, enum kf_code code, struct verdict *verdict,
                        struct kf_buf *out)
{
    const struct kf_decrypt_options options = options_of(trial);
    if (out->capacity < trial->message.length + 1) {
        kf_buf_free(out);
        /* Longer than any plaintext and all zero, so that every byte that is left in it shows. */
        *out = (struct kf_buf){kfi_alloc_zeroed(trial->message.length + 1), 0, trial->message.length + 1};
        if (out->data == NULL)
            return fail(verdict, "there is no memory");
    }
    struct kf_error error = KF_ERROR_INIT;
    const enum kf_code got = kf_decrypt(trial->cmm, &options, trial->message, &error, NULL, out);
    if (!refusal(got, code, &error, "one call", verdict))
        return false;
    for (size_t i = 0; i < out->capacity; i++) {
        if (out->length != 0 || out->data[i] != 0)
            return fail(verdict, "it is refused, but something is left in the output");
    }
    return true;
}

bool trial_refused(const struct trial *trial, enum kf_code code, struct verdict *verdict)
{
    struct kf_buf out = KF_BUF_INIT;
    bool good = trial_refused_once(trial, code, verdict, &out);
    kf_buf_free(&out);
    if (good) {
        struct streamed streamed;
        stream(trial, &streamed);
        /* A stream leaves what follows the message to its caller. */
        if (streamed.code != KF_OK || streamed.taken == trial->message.length)
            good = refusal(streamed.code, code, &streamed.error, "the stream", verdict);
        kfi_free(streamed.bytes);
    }
    return good;
}
