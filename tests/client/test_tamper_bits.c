/*
 * Messages of every suite and every keyring: every single bit is flipped, and they are cut at every byte, and
 * fed in two pieces with the border at every byte. Each change is refused with a code that follows from its
 * place. A stream gives out exactly the frames before the change.
 */
#include <stdio.h>
#include <string.h>

#include "support/keyring_pairs.h"
#include "support/parts.h"

#define FRAME 4
#define LENGTH (FRAME + 2) /* a regular frame and a final one */

/* RSA, which makes messages long, goes with suites that don't sign, which would make them longer. */
static const struct made {
    const char *name;
    enum kf_suite suite;
    enum keyring_pair pair;
} made[] = {
    {"0014, RSA PKCS#1", KF_AES_128_GCM_IV12_TAG16_NO_KDF, PAIR_RSA_PKCS1},
    {"0046, RSA OAEP SHA-1", KF_AES_192_GCM_IV12_TAG16_NO_KDF, PAIR_RSA_OAEP_SHA1},
    {"0078, RSA OAEP SHA-256", KF_AES_256_GCM_IV12_TAG16_NO_KDF, PAIR_RSA_OAEP_SHA256},
    {"0114, RSA OAEP SHA-384", KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256, PAIR_RSA_OAEP_SHA384},
    {"0146, RSA OAEP SHA-512", KF_AES_192_GCM_IV12_TAG16_HKDF_SHA256, PAIR_RSA_OAEP_SHA512},
    {"0178, ECDH ephemeral", KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256, PAIR_ECDH_EPHEMERAL},
    {"0214, ECDH static", KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256, PAIR_ECDH_STATIC},
    {"0346, AES", KF_AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384, PAIR_AES},
    {"0378, AES", KF_AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384, PAIR_AES},
    {"0478, ECDH discovery", KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, PAIR_ECDH_DISCOVERY},
    {"0478, multi", KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, PAIR_MULTI},
    {"0478, AES", KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, PAIR_AES},
    {"0578, AES", KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384, PAIR_AES},
};
#define MADE (sizeof made / sizeof made[0])

static const struct made *current; /* what the other members belong to */
static struct kf_cmm *reader;
static struct kf_buf message;
static struct parts parts;
static struct kf_decrypt_options any_suite;

static int set_up(void **state)
{
    current = *state;
    any_suite = client_decrypt_options();
    struct kf_cmm *writer = client_cmm_on(keyring_pair_writer(current->pair));
    const struct kf_encryption_context *context = client_context("a", "1");
    const struct kf_encrypt_options options = client_encrypt_options(current->suite, FRAME, context);
    message = client_message(writer, &options, client_plaintext(LENGTH));
    parts_read(buf_view(message), &parts);
    assert_int_equal(parts.frame_count, 2);
    reader = client_cmm_on(keyring_pair_reader(current->pair));
    kf_encryption_context_unref(context);
    kf_cmm_unref(writer);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kf_buf_free(&message);
    kf_cmm_unref(reader);
    return 0;
}

/* ---- What has to come of a change ---- */

static bool inside(struct kf_view part, size_t position)
{
    const uint8_t *byte = message.data + position;
    return part.length > 0 && byte >= part.data && byte < part.data + part.length;
}

/* Begin and end of the fields between the number of a frame and its content. */
static enum kf_code expected_in_frame(const struct parts_frame *frame, size_t position)
{
    const size_t number = frame->begin + (frame->final ? 8 : 4);
    if (position < number)
        return KF_E_MALFORMED;
    if (inside(frame->iv, position) || inside(frame->ciphertext, position) || inside(frame->tag, position))
        return KF_E_FORGED;
    return KF_OK; /* the length: too long, cut off, or the tag is at another place */
}

/* The code with which a flipped bit there is refused; KF_OK: it depends. */
static enum kf_code expected_at(size_t position)
{
    if (position == 0 || (parts.format == 1 && position == 1))
        return KF_E_MALFORMED;
    if (inside(parts.message_id, position) || inside(parts.commit_key, position) ||
        inside(parts.header_iv, position) || inside(parts.header_tag, position) ||
        inside(parts.signature, position))
        return KF_E_FORGED;
    for (size_t i = 0; i < parts.frame_count; i++) {
        if (position >= parts.frames[i].begin && position < parts.frames[i].end)
            return expected_in_frame(&parts.frames[i], position);
    }
    return KF_OK;
}

/* A change up to the end of the EDKs may keep the data key from being unwrapped; one behind them can't. */
static bool keys_may_fail(size_t position)
{
    const struct kf_view last = parts.edks[parts.edk_count - 1].ciphertext;
    return message.data + position < last.data + last.length;
}

/*
 * Bytes of plaintext in the regular frames that end at `position` or before. A stream has given out these
 * when it fails at `position`.
 */
static size_t verified_before(size_t position)
{
    return parts.frames[0].end <= position ? FRAME : 0;
}

/* ---- Changing ---- */

static enum kf_code decrypt(struct kf_view changed)
{
    struct kf_buf out = {calloc(1, changed.length + 1), 0, changed.length + 1};
    struct kf_error error = KF_ERROR_INIT;
    const enum kf_code code = kf_decrypt(reader, &any_suite, changed, &error, NULL, &out);
    assert_true(code < KF_OK && error.code == code && error.text[0] != '\0');
    assert_int_equal(out.length, 0);
    for (size_t i = 0; i <= changed.length; i++)
        assert_true(out.data[i] == 0);
    free(out.data);
    return code;
}

static void check_stream(struct kf_view changed, enum kf_code code, size_t before)
{
    struct streamed streamed;
    stream_decrypt(reader, &any_suite, changed, (struct feed){1, 1, FRAME, FRAME, 0}, &streamed);
    assert_int_equal(streamed.code, code);
    assert_same_bytes(streamed_view(&streamed), client_plaintext(before));
    streamed_free(&streamed);
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < message.length * 8; bit++) {
        const size_t position = bit / 8;
        message.data[position] ^= (uint8_t)(1U << bit % 8);
        const enum kf_code code = decrypt(buf_view(message)), expected = expected_at(position);
        const enum kf_class class = kf_code_class(code);
        if (expected != KF_OK
                ? code != expected
                : class != KF_CLASS_MESSAGE && !(class == KF_CLASS_KEYS && keys_may_fail(position)))
            fail_msg("bit %zu: %s", bit, kf_code_name(code));
        if (bit % 8 == position % 8) /* one bit of each byte as a stream too */
            check_stream(buf_view(message), code, verified_before(position));
        message.data[position] ^= (uint8_t)(1U << bit % 8);
    }
    assert_decrypts(reader, &any_suite, buf_view(message), client_plaintext(LENGTH));
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    for (size_t length = 0; length < message.length; length++) {
        assert_int_equal(decrypt(kf_view_of(message.data, length)), KF_E_TRUNCATED);
        /* The last byte comes together with the end. */
        check_stream(kf_view_of(message.data, length), KF_E_TRUNCATED,
                     verified_before(length - (length > 0)));
    }
}

/* Intact, in two pieces, and byte by byte. */
static void every_split_is_read(void **state)
{
    (void)state;
    for (size_t border = 0; border <= message.length + 1; border++) {
        struct feed feed = FEED_ALL;
        feed.first_in = border;
        if (border > message.length)
            feed = (struct feed){1, 1, 1, 1, 0};
        struct streamed streamed;
        stream_decrypt(reader, &any_suite, buf_view(message), feed, &streamed);
        assert_ok(streamed.code, &streamed.error);
        assert_int_equal(streamed.taken, message.length);
        assert_same_bytes(streamed_view(&streamed), client_plaintext(LENGTH));
        streamed_free(&streamed);
    }
}

int main(void)
{
    static const struct {
        const char *name;
        CMUnitTestFunction test;
    } kinds[] = {
        {"every flipped bit is refused", every_flipped_bit_is_refused},
        {"every cut is refused", every_cut_is_refused},
        {"every split is read", every_split_is_read},
    };
    static char names[MADE * 3][64];
    static struct CMUnitTest tests[MADE * 3];
    for (size_t i = 0; i < MADE * 3; i++) {
        snprintf(names[i], sizeof names[i], "%s: %s", made[i / 3].name, kinds[i % 3].name);
        tests[i] = (struct CMUnitTest){names[i], kinds[i % 3].test, set_up, tear_down,
                                       (void *)(uintptr_t)&made[i / 3]};
    }
    return _cmocka_run_group_tests("bits", tests, MADE * 3, NULL, NULL);
}
