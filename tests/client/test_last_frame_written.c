/*
 * The last of 2^32-1 frames, without writing the others. This test compiles encrypt.c, and sets the number of
 * the next frame.
 */
#include "encrypt.c" /* NOLINT: that is the point of it */

#include "support/client.h"

/* Encrypts `length` bytes in frames of 1 byte, of which the first is given the number 2^32-2. */
static enum kf_code encrypt_at_the_end(size_t length, struct kf_error *error, uint8_t *out,
                                       size_t *out_length)
{
    struct kf_cmm *cmm = client_cmm_of_two();
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 1, NULL);
    struct kf_encryptor *encryptor;
    assert_ok(kf_encryptor_new(cmm, &options, error, &encryptor), error);
    uint8_t header_bytes[512];
    struct kf_io io = {.out = header_bytes, .out_room = sizeof header_bytes};
    assert_int_equal(kf_encryptor_poll(encryptor, &io, NULL), KF_WANT_INPUT);
    encryptor->sequence = 0xFFFFFFFE;

    io = (struct kf_io){.in = client_plaintext(length).data,
                        .in_length = length,
                        .in_end = true,
                        .out = out,
                        .out_room = 200};
    const enum kf_code code = kf_encryptor_poll(encryptor, &io, NULL);
    *error = *kf_encryptor_error(encryptor);
    *out_length = io.out_used;
    kf_encryptor_free(encryptor);
    kf_cmm_unref(cmm);
    return code;
}

static void the_last_frame_is_a_final_one(void **state)
{
    (void)state;
    uint8_t out[200] = {0};
    size_t length;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(encrypt_at_the_end(2, &error, out, &length), &error);
    assert_int_equal(length, 16 + 1 + 16 + 24 + 1 + 16);
    assert_memory_equal(out, "\xFF\xFF\xFF\xFE", 4);
    assert_memory_equal(out + 33, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0\0\0\0\0\xFF\xFF\xFF\xFF\0\0\0\1",
                        24);
}

static void there_is_none_behind_it(void **state)
{
    (void)state;
    uint8_t out[200] = {0};
    static const uint8_t zeros[200];
    size_t length;
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(encrypt_at_the_end(3, &error, out, &length), KF_E_LIMIT);
    assert_non_null(strstr(error.text, "at most 2^32-1 frames"));
    assert_int_equal(length, 0);
    assert_memory_equal(out, zeros, sizeof out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_frame_is_a_final_one),
        cmocka_unit_test(there_is_none_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
