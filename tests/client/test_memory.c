/*
 * Memory of operations. If it runs out, at any allocation, an operation fails with KF_E_NO_MEMORY, answers
 * nothing and leaks nothing. No memory is taken because a message claims a length, and none before it is
 * needed.
 */
#include <string.h>

#include "support/client.h"
#include "support/failing_allocator.h"
#include "support/forge.h"

static const enum kf_suite suites[] = {KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
                                       KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384};
static struct kf_cmm *cmm;
static const struct kf_encryption_context *context;
static const struct kf_view required = {(const uint8_t *)"tenant", 6};

static struct kf_encrypt_options encrypt_options(enum kf_suite suite)
{
    struct kf_encrypt_options options = client_encrypt_options(suite, 10, context);
    options.required_keys = &required;
    options.required_key_count = 1;
    return options;
}

static struct kf_decrypt_options decrypt_options(void)
{
    struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
    options.reproduced_encryption_context = context;
    return options;
}

static void assert_survives(enum kf_code (*work)(const void *argument, struct kf_error *error),
                            const void *argument)
{
    assert_true(each_allocation_fails(work, argument) > 9);
}

static enum kf_code encrypt_once(const void *suite, struct kf_error *error)
{
    const struct kf_encrypt_options options = encrypt_options(*(const enum kf_suite *)suite);
    struct kf_buf out = KF_BUF_INIT;
    const enum kf_code code = kf_encrypt(cmm, &options, client_plaintext(25), error, &out);
    assert_true((code == KF_OK) == (out.length > 0));
    kf_buf_free(&out);
    return code;
}

static enum kf_code decrypt_once(const void *message, struct kf_error *error)
{
    const struct kf_decrypt_options options = decrypt_options();
    struct kf_buf out = KF_BUF_INIT;
    const struct kf_header *header;
    const enum kf_code code =
        kf_decrypt(cmm, &options, buf_view(*(const struct kf_buf *)message), error, &header, &out);
    assert_true((code == KF_OK) == (out.length == 25));
    assert_true((code == KF_OK) == (header != NULL));
    kf_header_unref(header);
    kf_buf_free(&out);
    return code;
}

/* The same as streams, byte by byte, which gather more. */
static enum kf_code encrypt_stream(const void *suite, struct kf_error *error)
{
    const struct kf_encrypt_options options = encrypt_options(*(const enum kf_suite *)suite);
    struct kf_encryptor *encryptor;
    enum kf_code code = kf_encryptor_new(cmm, &options, error, &encryptor);
    uint8_t out[3];
    struct kf_io io = {.in = client_plaintext(25).data, .in_length = 1, .out = out, .out_room = sizeof out};
    if (code != KF_OK)
        return code;
    for (size_t given = 0; (code = kf_encryptor_poll(encryptor, &io, NULL)) > KF_OK;) {
        given += io.in_used;
        io.in += io.in_used;
        io.in_length = given < 25;
        io.in_end = given == 25;
    }
    *error = *kf_encryptor_error(encryptor);
    kf_encryptor_free(encryptor);
    return code;
}

static enum kf_code decrypt_stream(const void *context_of_work, struct kf_error *error)
{
    const struct kf_buf *message = context_of_work;
    const struct kf_decrypt_options options = decrypt_options();
    struct kf_decryptor *decryptor;
    enum kf_code code = kf_decryptor_new(cmm, &options, error, &decryptor);
    uint8_t out[3];
    struct kf_io io = {.in = message->data, .in_length = 1, .out = out, .out_room = sizeof out};
    if (code != KF_OK)
        return code;
    while ((code = kf_decryptor_poll(decryptor, &io, NULL)) > KF_OK) {
        io.in += io.in_used;
        io.in_length = io.in < message->data + message->length;
    }
    *error = *kf_decryptor_error(decryptor);
    kf_decryptor_free(decryptor);
    return code;
}

static void encryption_survives_memory_that_runs_out(void **state)
{
    (void)state;
    for (size_t s = 0; s < 2; s++) {
        assert_survives(encrypt_once, &suites[s]);
        assert_survives(encrypt_stream, &suites[s]);
    }
}

static void decryption_survives_memory_that_runs_out(void **state)
{
    (void)state;
    for (size_t s = 0; s < 2; s++) {
        const struct kf_encrypt_options options = encrypt_options(suites[s]);
        struct kf_buf message = client_message(cmm, &options, client_plaintext(25));
        assert_survives(decrypt_once, &message);
        assert_survives(decrypt_stream, &message);
        kf_buf_free(&message);
    }
}

/* ---- No more than is needed ---- */

/*
 * For the front of a message memory is allocated for the bytes that have come, not for the lengths that it
 * claims.
 */
static void check_claims(struct kf_view front)
{
    struct kf_decryptor *decryptor;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_decryptor_new(cmm, NULL, &error, &decryptor), &error);
    uint8_t out[100];
    struct kf_io io = {.in = front.data, .in_length = front.length, .out = out, .out_room = sizeof out};
    memory.largest = 0;
    assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_WANT_INPUT);
    assert_int_equal(io.out_used, 0);
    assert_in_range(memory.largest, 1, 4096);
    kf_decryptor_free(decryptor);
}

/* Frames of 4 GiB, a body of 64 GiB, and headers of 65,535 pieces. */
static void a_length_that_a_message_claims_allocates_nothing(void **state)
{
    (void)state;
    static struct forge forge;
    static const uint8_t iv[12];
    for (unsigned kind = 0; kind < 3; kind++) {
        forge_begin(&forge, 0x0478);
        forge.frame_length = kind == 0 ? 0 : UINT32_MAX;
        forge.content_type = kind == 0 ? 1 : 2;
        forge_header(&forge);
        if (kind == 2) { /* a final frame */
            kfi_write_u32(&forge.writer, 0xFFFFFFFF);
            kfi_write_u32(&forge.writer, 1);
        } else if (kind == 1)
            kfi_write_u32(&forge.writer, 1);
        kfi_write_bytes(&forge.writer, kf_view_of(iv, 12));
        if (kind == 2)
            kfi_write_u32(&forge.writer, UINT32_MAX);
        else if (kind == 0)
            kfi_write_u64(&forge.writer, (UINT64_C(1) << 36) - 32);
        kfi_write_bytes(&forge.writer, client_plaintext(100));
        check_claims(forge_view(&forge));
    }
    forge_begin(&forge, 0x0478); /* a context and EDKs of which only the lengths are there */
    forge_header(&forge);
    memset(forge.bytes + 35, 0xFF, 2);
    check_claims(kf_view_of(forge.bytes, 35 + 100));
    memset(forge.bytes + 35, 0, 2);
    memset(forge.bytes + 37, 0xFF, 4);
    check_claims(kf_view_of(forge.bytes, 35 + 100));
}

/* Callers that have their materials, but no input yet, hold no cipher and no header. */
static void a_poll_with_nothing_derives_nothing(void **state)
{
    (void)state;
    const struct kf_encrypt_options options = encrypt_options(suites[0]);
    struct kf_encryptor *encryptor;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryptor_new(cmm, &options, &error, &encryptor), &error);
    uint8_t out[1];
    struct kf_io nothing = {.in = NULL}, room = {.out = out, .out_room = 1};
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, NULL), KF_WANT_OUTPUT);
    const size_t held = memory.held;
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, NULL), KF_WANT_OUTPUT);
    assert_int_equal(memory.held, held);
    assert_int_equal(kf_encryptor_poll(encryptor, &room, NULL), KF_WANT_OUTPUT);
    assert_true(memory.held > held);
    kf_encryptor_free(encryptor);
}

static int set_up(void **state)
{
    (void)state;
    cmm = client_cmm_of_two();
    context = client_context("purpose", "tests", "tenant", "7");
    /* What is made once in a process is made here. */
    struct kf_error error = KF_ERROR_INIT;
    return encrypt_once(&suites[1], &error) == KF_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encryption_survives_memory_that_runs_out),
        cmocka_unit_test(decryption_survives_memory_that_runs_out),
        cmocka_unit_test(a_length_that_a_message_claims_allocates_nothing),
        cmocka_unit_test(a_poll_with_nothing_derives_nothing),
    };
    failing_allocator_install();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
