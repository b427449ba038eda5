/*
 * The last of 2^32-1 frames, without reading the others. This test compiles decrypt.c, and sets the number of
 * the next frame.
 */
#include "decrypt.c" /* NOLINT: that is the point of it */

#include "support/forge.h"

/* Decrypts a message whose first frame is regular and has the number 2^32-2, and whose second is final. */
static enum kf_code decrypt_at_the_end(uint32_t last, struct kf_error *error)
{
    static struct forge forge;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_decryptor *decryptor;
    assert_ok(kf_decryptor_new(cmm, NULL, error, &decryptor), error);
    forge_begin(&forge, 0x0478);
    forge_header(&forge);
    const struct kf_view header_bytes = forge_view(&forge);
    uint8_t out[200];
    struct kf_io io = {
        .in = header_bytes.data, .in_length = header_bytes.length, .out = out, .out_room = 200};
    assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_WANT_INPUT);
    decryptor->sequence = 0xFFFFFFFE;

    forge_regular(&forge, 0xFFFFFFFE, client_plaintext(100));
    forge_final(&forge, last, kf_view_of(client_plaintext(150).data + 100, 50));
    io = (struct kf_io){.in = forge.bytes + header_bytes.length,
                        .in_length = forge_view(&forge).length - header_bytes.length,
                        .in_end = true,
                        .out = out,
                        .out_room = sizeof out};
    const enum kf_code code = kf_decryptor_poll(decryptor, &io, NULL);
    *error = *kf_decryptor_error(decryptor);
    assert_same_bytes(kf_view_of(out, io.out_used), client_plaintext(code == KF_OK ? 150 : 0));
    kf_decryptor_free(decryptor);
    kf_cmm_unref(cmm);
    return code;
}

static void the_last_frame_is_a_final_one(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(decrypt_at_the_end(0xFFFFFFFF, &error), &error);
}

static void numbers_do_not_begin_anew(void **state)
{
    (void)state;
    static const uint32_t others[] = {0, 1, 0xFFFFFFFE};
    for (size_t i = 0; i < 3; i++) {
        struct kf_error error = KF_ERROR_INIT;
        assert_int_equal(decrypt_at_the_end(others[i], &error), KF_E_MALFORMED);
        assert_non_null(strstr(error.text, "Frame 4294967295 of the message was expected"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_frame_is_a_final_one),
        cmocka_unit_test(numbers_do_not_begin_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
