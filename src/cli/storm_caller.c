/*
 * One caller of a storm: see storm_caller.h. Driven by storm_poll.c or storm_threads.c, one thread at a
 * time. Never keeps a message: its header is read for the fingerprint, the rest is thrown away.
 */
#include "storm_caller.h"

#include <stdlib.h>

#include "storm_clock.h"

enum kf_code storm_fingerprint(struct kf_view message, struct kf_error *error, size_t *header_length,
                               uint64_t *out)
{
    const struct kf_header *header = NULL;
    enum kf_code code = kf_header_parse(message, 0, error, &header);
    if (code != KF_OK)
        return code;
    /* Every data key has an EDK of its own under the first of the keys; that one stands for it. */
    struct kf_edk edk = kf_header_edk(header, 0);
    char text[KF_FINGERPRINT_SIZE];
    code = kf_edk_fingerprint(&edk, error, text);
    if (code == KF_OK) {
        *header_length = kf_header_length(header);
        *out = strtoull(text, NULL, 16);
    }
    kf_header_unref(header);
    return code;
}

enum kf_code storm_caller_begin(struct storm_caller *caller, uint64_t timeout_ms, struct kf_error *error)
{
    const struct storm_job *job = caller->job;
    if (job->messages != NULL) {
        struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
        options.commitment_policy = job->commitment_policy;
        options.timeout_ms = timeout_ms;
        return kf_decryptor_new(job->cmm, &options, error, &caller->decryptor);
    }
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.encryption_context = job->contexts[caller->context];
    options.suite = job->suite;
    options.commitment_policy = job->commitment_policy;
    options.plaintext_bound = job->bytes;
    options.timeout_ms = timeout_ms;
    return kf_encryptor_new(job->cmm, &options, error, &caller->encryptor);
}

void storm_caller_ask(struct storm_caller *caller, const struct kf_waker *waker)
{
    struct kf_io io = {0};
    enum kf_code code;
    if (caller->state == STORM_IDLE)
        caller->asked_ns = storm_now_ns();
    if (caller->encryptor != NULL) {
        code = kf_encryptor_poll(caller->encryptor, &io, waker);
    } else {
        /*
         * A decryptor asks once it has read the header; it gets nothing beyond that, so it stops when it has
         * its keys.
         */
        const struct storm_message *message = &caller->job->messages[caller->context];
        io.in = message->bytes.data + caller->fed;
        io.in_length = message->header_length - caller->fed;
        code = kf_decryptor_poll(caller->decryptor, &io, waker);
        caller->fed += io.in_used;
    }
    if (code == KF_PENDING) {
        caller->state = STORM_WAITING;
    } else if (code < 0) {
        caller->state = STORM_FAILED;
    } else {
        caller->held_ns = storm_now_ns();
        caller->state = STORM_HOLDS;
    }
}

void storm_caller_end(struct storm_caller *caller)
{
    kf_encryptor_free(caller->encryptor);
    kf_decryptor_free(caller->decryptor);
    caller->encryptor = NULL;
    caller->decryptor = NULL;
}

/* Encrypts zeros; the front of the message is kept until its header is complete. */
static enum kf_code make_message(struct storm_caller *caller)
{
    static const uint8_t zeros[16384];
    uint8_t message[16384];
    size_t kept = 0;
    bool is_known = false;
    uint64_t left = caller->job->bytes;
    enum kf_code code;
    do {
        struct kf_io io = {.in = zeros, .in_length = left < sizeof zeros ? (size_t)left : sizeof zeros};
        io.in_end = io.in_length == left;
        io.out = message + kept;
        io.out_room = sizeof message - kept;
        code = kf_encryptor_poll(caller->encryptor, &io, NULL);
        if (code < 0)
            return code;
        left -= io.in_used;
        kept += io.out_used;
        if (!is_known) {
            size_t header_length;
            enum kf_code parsed =
                storm_fingerprint(kf_view_of(message, kept), NULL, &header_length, &caller->fingerprint);
            if (parsed < 0 || (parsed == KF_WANT_INPUT && (code == KF_OK || kept == sizeof message)))
                return KF_E_BUG;
            is_known = parsed == KF_OK;
        }
        if (is_known)
            kept = 0;
    } while (code != KF_OK);
    return KF_OK;
}

/* Decrypts the rest of the message; the plaintext must be as long as what was encrypted. */
static enum kf_code read_message(struct storm_caller *caller)
{
    const struct storm_message *message = &caller->job->messages[caller->context];
    uint8_t plaintext[16384];
    size_t read = caller->fed;
    uint64_t written = 0;
    enum kf_code code;
    do {
        struct kf_io io = {.in = message->bytes.data + read,
                           .in_length = message->bytes.length - read,
                           .in_end = true,
                           .out = plaintext,
                           .out_room = sizeof plaintext};
        code = kf_decryptor_poll(caller->decryptor, &io, NULL);
        if (code < 0)
            return code;
        read += io.in_used;
        written += io.out_used;
    } while (code != KF_OK);
    caller->fingerprint = message->fingerprint;
    return written == caller->job->bytes ? KF_OK : KF_E_BUG;
}

void storm_caller_finish(struct storm_caller *caller)
{
    enum kf_code code = caller->encryptor != NULL ? make_message(caller) : read_message(caller);
    caller->state = code == KF_OK ? STORM_DONE : STORM_FAILED;
    if (code == KF_OK)
        storm_caller_end(caller);
}

void storm_caller_give_up(struct storm_caller *caller)
{
    caller->state = STORM_GAVE_UP;
    storm_caller_end(caller);
}

void storm_caller_error(const struct storm_caller *caller, struct kf_error *out)
{
    *out = caller->encryptor != NULL ? *kf_encryptor_error(caller->encryptor)
                                     : *kf_decryptor_error(caller->decryptor);
    if (out->code == KF_OK)
        (void)kf_error_set(out, KF_E_BUG,
                           "A message came out wrong: without a header, or of the wrong length.");
}
