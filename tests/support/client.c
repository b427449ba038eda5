/*
 * Short ways and streams for the tests of encrypt.c and decrypt.c: see client.h.
 */
#include "support/client.h"

#include <string.h>

const enum kf_suite client_suites[CLIENT_SUITES] = {
    KF_AES_128_GCM_IV12_TAG16_NO_KDF,
    KF_AES_192_GCM_IV12_TAG16_NO_KDF,
    KF_AES_256_GCM_IV12_TAG16_NO_KDF,
    KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256,
    KF_AES_192_GCM_IV12_TAG16_HKDF_SHA256,
    KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256,
    KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256,
    KF_AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384,
    KF_AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384,
    KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
};

/* ---- Keys and options ---- */

struct kf_keyring *client_keyring(const char *name, uint8_t fill)
{
    uint8_t key[32];
    memset(key, fill, sizeof key);
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    options.key_namespace = kf_view_text("tests");
    options.key_name = kf_view_text(name);
    options.wrapping_key = kf_view_of(key, sizeof key);
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_raw_aes_keyring_new(&options, &error, &keyring), &error);
    return keyring;
}

struct kf_cmm *client_cmm_on(struct kf_keyring *keyring)
{
    struct kf_cmm *cmm;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_default_cmm_new(keyring, &error, &cmm), &error);
    kf_keyring_unref(keyring);
    return cmm;
}

struct kf_cmm *client_cmm_of_two(void)
{
    struct kf_keyring *one = client_keyring("one", 1), *two = client_keyring("two", 2), *both;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_multi_keyring_new(one, &two, 1, &error, &both), &error);
    kf_keyring_unref(one);
    kf_keyring_unref(two);
    return client_cmm_on(both);
}

const struct kf_encryption_context *client_context_of(const char *key, ...)
{
    struct kf_pair pairs[8];
    size_t count = 0;
    va_list texts;
    va_start(texts, key);
    for (; key != NULL; key = va_arg(texts, const char *)) {
        assert_true(count < sizeof pairs / sizeof pairs[0]);
        const char *value = va_arg(texts, const char *);
        pairs[count++] = (struct kf_pair){kf_view_text(key), kf_view_text(value)};
    }
    va_end(texts);
    const struct kf_encryption_context *context;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryption_context_new(pairs, count, &error, &context), &error);
    return context;
}

struct kf_view client_plaintext(size_t length)
{
    static uint8_t pattern[65536];
    assert_true(length <= sizeof pattern);
    if (pattern[0] == 0) {
        for (size_t i = 0; i < sizeof pattern; i++)
            pattern[i] = (uint8_t)((i * 2654435761U >> 11) | 1U); /* never 0, which stands for wiped bytes */
    }
    return kf_view_of(pattern, length);
}

struct kf_encrypt_options client_encrypt_options(enum kf_suite suite, uint32_t frame_length,
                                                 const struct kf_encryption_context *context)
{
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.suite = suite;
    options.frame_length = frame_length;
    options.encryption_context = context;
    if (!kf_suite_info_of(suite)->commits)
        options.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    return options;
}

struct kf_decrypt_options client_decrypt_options(void)
{
    struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
    options.commitment_policy = KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT;
    return options;
}

/* ---- One call ---- */

struct kf_buf client_message(struct kf_cmm *cmm, const struct kf_encrypt_options *options,
                             struct kf_view plaintext)
{
    struct kf_buf message = KF_BUF_INIT;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encrypt(cmm, options, plaintext, &error, &message), &error);
    return message;
}

void client_assert_decrypts(struct kf_cmm *cmm, const struct kf_decrypt_options *options,
                            struct kf_view message, struct kf_view plaintext, const char *file, int line)
{
    struct kf_buf out = KF_BUF_INIT;
    struct kf_error error = KF_ERROR_INIT;
    support_assert_ok(kf_decrypt(cmm, options, message, &error, NULL, &out), &error, file, line);
    _assert_int_equal(out.length, plaintext.length, file, line);
    if (plaintext.length > 0)
        _assert_memory_equal(out.data, plaintext.data, plaintext.length, file, line);
    kf_buf_free(&out);
}

enum kf_code client_round_trip(struct kf_keyring *keyring, struct kf_error *error)
{
    struct kf_cmm *cmm;
    struct kf_buf message = KF_BUF_INIT, plaintext = KF_BUF_INIT;
    enum kf_code code = kf_default_cmm_new(keyring, error, &cmm);
    if (code == KF_OK)
        code = kf_encrypt(cmm, NULL, client_plaintext(25), error, &message);
    if (code == KF_OK)
        code = kf_decrypt(cmm, NULL, buf_view(message), error, NULL, &plaintext);
    kf_buf_free(&message);
    kf_buf_free(&plaintext);
    kf_cmm_unref(cmm);
    kf_keyring_unref(keyring);
    return code;
}

/* Whether every byte is `a` or `b`. */
static bool all_are(const uint8_t *bytes, size_t length, uint8_t a, uint8_t b)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != a && bytes[i] != b)
            return false;
    }
    return true;
}

void client_assert_refused(struct kf_cmm *cmm, const struct kf_decrypt_options *options,
                           struct kf_view message, enum kf_code code, const char *file, int line)
{
    /* Memory of our own, all zero and larger than any plaintext: a byte that is left in it is found. */
    struct kf_buf out = {calloc(1, message.length + 1), 0, message.length + 1};
    uint8_t *memory = out.data;
    const struct kf_header *header = (const struct kf_header *)&out; /* anything but NULL */
    struct kf_error error = KF_ERROR_INIT;
    enum kf_code got = kf_decrypt(cmm, options, message, &error, &header, &out);
    if (got != code)
        print_error("%s: %s\n", kf_code_name(got), error.text);
    _assert_int_equal((LargestIntegralType)got, (LargestIntegralType)code, file, line);
    _assert_int_equal((LargestIntegralType)error.code, (LargestIntegralType)code, file, line);
    _assert_true(error.text[0] != '\0', "there is a sentence", file, line);
    _assert_true(out.data == memory && out.length == 0 && header == NULL, "nothing is answered", file, line);
    _assert_true(all_are(memory, message.length + 1, 0, 0), "nothing is left behind", file, line);
    free(memory);
}

/* ---- Streams ---- */

#define UNTOUCHED 0xA5

/* A stream of either direction. */
struct stream {
    enum kf_code (*poll)(void *operation, struct kf_io *io);
    const struct kf_error *(*error)(void *operation);
    void *operation;
};

static enum kf_code encryptor_poll(void *operation, struct kf_io *io)
{
    return kf_encryptor_poll(operation, io, NULL);
}

static const struct kf_error *encryptor_error(void *operation)
{
    return kf_encryptor_error(operation);
}

static enum kf_code decryptor_poll(void *operation, struct kf_io *io)
{
    return kf_decryptor_poll(operation, io, NULL);
}

static const struct kf_error *decryptor_error(void *operation)
{
    return kf_decryptor_error(operation);
}

/* Numbers that are the same in every run. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static size_t next_size(struct feed *feed, size_t *first, size_t most)
{
    size_t size = *first;
    *first = feed->seed != 0 ? next_random(&feed->seed) % (most + 1) : most;
    return size < 4096 ? size : 4096;
}

static void check_counts(enum kf_code code, const struct kf_io *io)
{
    assert_true(io->in_used <= io->in_length && io->out_used <= io->out_room);
    if (code == KF_WANT_INPUT)
        assert_true(io->in_used == io->in_length && !io->in_end);
    else if (code == KF_WANT_OUTPUT)
        assert_int_equal(io->out_used, io->out_room);
    else
        assert_int_equal(code, KF_OK);
    assert_true(all_are(io->out + io->out_used, io->out_room - io->out_used, UNTOUCHED, UNTOUCHED));
}

static void check_error(const struct stream *stream, enum kf_code code, struct kf_io *io,
                        struct streamed *out)
{
    out->error = *stream->error(stream->operation);
    assert_int_equal(out->error.code, code);
    assert_true(out->error.text[0] != '\0');
    for (int again = 0; again < 2; again++) {
        assert_int_equal(io->in_used, 0);
        assert_int_equal(io->out_used, 0);
        assert_true(all_are(io->out, io->out_room, UNTOUCHED, 0));
        assert_int_equal(stream->poll(stream->operation, io), code);
        assert_string_equal(stream->error(stream->operation)->text, out->error.text);
    }
}

static void drive(const struct stream *stream, struct kf_view input, struct feed feed, struct streamed *out)
{
    *out = (struct streamed){.code = KF_PENDING};
    for (unsigned idle = 0; idle < 100; idle++) {
        const size_t left = input.length - out->taken, in = next_size(&feed, &feed.first_in, feed.in);
        struct kf_io io = {.in_length = in < left ? in : left,
                           .out_room = next_size(&feed, &feed.first_out, feed.out)};
        /*
         * Each piece lies in a block that ends where the piece ends, so that a sanitizer sees a byte too
         * many.
         */
        uint8_t *given = malloc(io.in_length + 1), *room = malloc(io.out_room + 1);
        io.in = given + 1;
        io.out = room + 1;
        io.in_end = io.in_length == left;
        if (io.in_length > 0)
            memcpy(given + 1, input.data + out->taken, io.in_length);
        memset(room, UNTOUCHED, io.out_room + 1);

        out->code = stream->poll(stream->operation, &io);
        if (out->code < KF_OK)
            check_error(stream, out->code, &io, out);
        else
            check_counts(out->code, &io);
        out->taken += io.in_used;
        out->bytes = realloc(out->bytes, out->length + io.out_used + 1);
        memcpy(out->bytes + out->length, io.out, io.out_used);
        out->length += io.out_used;
        if (io.in_used + io.out_used > 0)
            idle = 0;
        free(given);
        free(room);
        if (out->code <= KF_OK)
            return;
    }
    fail_msg("The stream stands still.");
}

void stream_encrypt(struct kf_cmm *cmm, const struct kf_encrypt_options *options, struct kf_view plaintext,
                    struct feed feed, struct streamed *out)
{
    struct kf_encryptor *encryptor;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryptor_new(cmm, options, &error, &encryptor), &error);
    const struct stream stream = {encryptor_poll, encryptor_error, encryptor};
    drive(&stream, plaintext, feed, out);
    kf_encryptor_free(encryptor);
}

void stream_decrypt(struct kf_cmm *cmm, const struct kf_decrypt_options *options, struct kf_view message,
                    struct feed feed, struct streamed *out)
{
    struct kf_decryptor *decryptor;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_decryptor_new(cmm, options, &error, &decryptor), &error);
    const struct stream stream = {decryptor_poll, decryptor_error, decryptor};
    drive(&stream, message, feed, out);
    kf_decryptor_free(decryptor);
}
