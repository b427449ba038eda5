/*
 * Inputs that lie where the answer is written. They are refused before anything is changed, or read before
 * anything is written.
 */
#include <string.h>

#include <keyflight/aws.h>
#include <keyflight/raw_keyrings.h>

#include "support/client.h"

#include "base/call.h"
#include "materials/materials.h"

#define assert_refused_overlap(answer, why)                          \
    do {                                                             \
        assert_int_equal((answer), KF_E_USAGE);                      \
        assert_int_equal((why)->code, KF_E_USAGE);                   \
        assert_non_null(strstr((why)->text, "Nothing was changed")); \
    } while (0)

/* ---- One call ---- */

/* The message in its own output buffer, whole or in part: it is still there, and can be decrypted. */
static void a_message_survives(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf buf = client_message(cmm, NULL, client_plaintext(1000));
    const struct kf_header *header = (const struct kf_header *)(uintptr_t)1;
    const struct kf_view message = buf_view(buf);
    const size_t capacity = buf.capacity;
    uint8_t *copy = malloc(message.length);
    memcpy(copy, message.data, message.length);

    const struct kf_view inputs[] = {message, kf_view_of(message.data, 1),
                                     kf_view_of(message.data + message.length - 1, 1)};
    for (size_t i = 0; i < 3; i++) {
        assert_refused_overlap(kf_decrypt(cmm, NULL, inputs[i], &error, &header, &buf), &error);
        assert_ptr_equal(header, (const struct kf_header *)(uintptr_t)1);
        assert_ptr_equal(buf.data, message.data);
        assert_int_equal(buf.capacity, capacity);
        assert_same_bytes(buf_view(buf), kf_view_of(copy, message.length));
    }

    /* The same if the buffer has memory and length 0. */
    buf.length = 0;
    assert_refused_overlap(kf_decrypt(cmm, NULL, message, &error, NULL, &buf), &error);
    assert_decrypts(cmm, NULL, message, client_plaintext(1000));
    free(copy);
    kf_buf_free(&buf);
    kf_cmm_unref(cmm);
}

static void a_plaintext_survives(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = client_message(cmm, NULL, client_plaintext(1000)), buf = KF_BUF_INIT;
    assert_ok(kf_decrypt(cmm, NULL, buf_view(message), &error, NULL, &buf), &error);
    kf_buf_free(&message);
    assert_refused_overlap(kf_encrypt(cmm, NULL, buf_view(buf), &error, &buf), &error);
    assert_same_bytes(buf_view(buf), client_plaintext(1000));

    assert_ok(kf_encrypt(cmm, NULL, buf_view(buf), &error, &message), &error);
    assert_decrypts(cmm, NULL, buf_view(message), client_plaintext(1000));
    kf_buf_free(&message);
    kf_buf_free(&buf);
    kf_cmm_unref(cmm);
}

/* Inputs that overlap the variables of the answer. */
static void variables_are_memory_too(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_error error = KF_ERROR_INIT;
    struct {
        uint8_t before[8];
        struct kf_buf buf;
        const struct kf_header *header;
        uint8_t behind[8];
    } held = {.buf = KF_BUF_INIT}, same = held;
    const struct kf_view all = kf_view_of(&held, sizeof held);
    assert_refused_overlap(kf_encrypt(cmm, NULL, all, &error, &held.buf), &error);
    assert_refused_overlap(kf_decrypt(cmm, NULL, all, &error, NULL, &held.buf), &error);
    struct kf_buf apart = KF_BUF_INIT;
    assert_refused_overlap(kf_decrypt(cmm, NULL, all, &error, &held.header, &apart), &error);
    assert_refused_overlap(kf_header_parse(all, 0, &error, &held.header), &error);
    assert_memory_equal(&held, &same, sizeof held);
    kf_cmm_unref(cmm);
}

/* Options are read before the buffer is changed, wherever they lie. */
static void options_may_lie_in_the_output(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = client_message(cmm, NULL, kf_view_text("tenant")), buf = KF_BUF_INIT;
    assert_ok(kf_decrypt(cmm, NULL, buf_view(message), &error, NULL, &buf), &error);
    kf_buf_free(&message);

    const struct kf_encryption_context *context = client_context("tenant", "1");
    const struct kf_view required = buf_view(buf);
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.encryption_context = context;
    options.required_keys = &required;
    options.required_key_count = 1;
    assert_ok(kf_encrypt(cmm, &options, client_plaintext(10), &error, &buf), &error);
    struct kf_decrypt_options reproducing = KF_DECRYPT_OPTIONS_INIT;
    reproducing.reproduced_encryption_context = context;
    assert_decrypts(cmm, &reproducing, buf_view(buf), client_plaintext(10));
    kf_encryption_context_unref(context);
    kf_buf_free(&buf);
    kf_cmm_unref(cmm);
}

/* ---- Streams ---- */

/* The poll changes nothing: nothing is taken, nothing is written, and the stream goes on. */
static void a_stream_goes_on(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encryptor *encryptor;
    struct kf_decryptor *decryptor;
    uint8_t memory[2000], plaintext[1000];
    memset(memory, 7, sizeof memory);
    assert_ok(kf_encryptor_new(cmm, NULL, &error, &encryptor), &error);
    static const size_t distances[] = {0, 1, 999};
    for (size_t i = 0; i < 6; i++) {
        const size_t distance = distances[i / 2];
        struct kf_io io = {.in = memory + (i % 2 == 0 ? distance : 0),
                           .in_length = 1000,
                           .in_end = true,
                           .out = memory + (i % 2 == 0 ? 0 : distance),
                           .out_room = 1000,
                           .in_used = 9,
                           .out_used = 9};
        assert_refused_overlap(kf_encryptor_poll(encryptor, &io, NULL), kf_encryptor_error(encryptor));
        assert_int_equal(io.in_used + io.out_used, 0);
        for (size_t k = 0; k < sizeof memory; k++)
            assert_int_equal(memory[k], 7);
    }
    /* Adjacent pieces do not overlap. */
    struct kf_io io = {memory, 500, true, memory + 500, sizeof memory - 500, 0, 0};
    assert_int_equal(kf_encryptor_poll(encryptor, &io, NULL), KF_OK);
    const struct kf_view message = kf_view_of(memory + 500, io.out_used);

    assert_ok(kf_decryptor_new(cmm, NULL, &error, &decryptor), &error);
    io = (struct kf_io){message.data, 10, false, plaintext, sizeof plaintext, 0, 0};
    assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_WANT_INPUT);
    io = (struct kf_io){message.data + 10, message.length - 10, true, memory + 510, 100, 0, 0};
    assert_refused_overlap(kf_decryptor_poll(decryptor, &io, NULL), kf_decryptor_error(decryptor));
    io = (struct kf_io){message.data + 10, message.length - 10, true, plaintext, sizeof plaintext, 0, 0};
    assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_OK);
    assert_same_bytes(kf_view_of(plaintext, io.out_used), kf_view_of(memory, 500));
    kf_encryptor_free(encryptor);
    kf_decryptor_free(decryptor);
    kf_cmm_unref(cmm);
}

/* ---- Keys ---- */

/* The two halves of a key pair go to two buffers. */
static void halves_of_a_pair_do_not_share(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf first = KF_BUF_INIT, second = KF_BUF_INIT;
    assert_refused_overlap(kf_raw_ecdh_key_generate(KF_ECDH_P256, &error, &first, &first), &error);
    assert_refused_overlap(kf_raw_rsa_key_generate(2048, &error, &first, &first), &error);
    assert_ok(kf_raw_ecdh_key_generate(KF_ECDH_P256, &error, &first, &second), &error);
    struct kf_buf copy = first; /* another struct, the same memory */
    const struct kf_buf before = first;
    assert_refused_overlap(kf_raw_ecdh_key_generate(KF_ECDH_P256, &error, &first, &copy), &error);
    assert_refused_overlap(kf_raw_rsa_key_generate(2048, &error, &copy, &first), &error);
    assert_memory_equal(&first, &before, sizeof first);
    assert_memory_equal(first.data, "-----BEGIN PUBLIC KEY-----", 26);
    kf_buf_free(&first);
    kf_buf_free(&second);
}

static void an_edk_is_not_unwrapped_onto_itself(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = client_keyring("one", 1);
    struct kf_decryption_materials *materials =
        kfi_decryption_materials_new(kfi_suite_get(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY));
    struct kf_data_key data_key = {.length = 5, .bytes = "untouched"};
    struct kf_call call;
    kfi_call_init(&call, NULL);
    const struct kf_edk edk = {kf_view_text("tests"), kf_view_text("one"),
                               kf_view_of(data_key.bytes, sizeof data_key.bytes)};
    assert_refused_overlap(kf_keyring_on_decrypt(keyring, &call, materials, &edk, 1, &error, &data_key),
                           &error);
    assert_string_equal((const char *)data_key.bytes, "untouched");
    kfi_call_end(&call);
    kf_decryption_materials_unref(materials);
    kf_keyring_unref(keyring);
}

/* ---- What is read before it is written ---- */

static void an_edk_may_lie_where_its_fingerprint_goes(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    char expected[KF_FINGERPRINT_SIZE], text[KF_FINGERPRINT_SIZE] = "an EDK";
    struct kf_edk edk = {kf_view_text("an"), kf_view_text(" "), kf_view_text("EDK")};
    assert_ok(kf_edk_fingerprint(&edk, &error, expected), &error);
    edk = (struct kf_edk){kf_view_of(text, 2), kf_view_of(text + 2, 1), kf_view_of(text + 3, 3)};
    assert_ok(kf_edk_fingerprint(&edk, &error, text), &error);
    assert_string_equal(text, expected);
}

static void a_value_may_replace_its_key(void **state)
{
    (void)state;
    const struct kf_encryption_context *context = client_context("a", "1");
    struct kf_view text = kf_view_text("a");
    assert_true(kf_encryption_context_get(context, text, &text));
    assert_same_bytes(text, kf_view_text("1"));
    kf_encryption_context_unref(context);
}

static void a_region_may_lie_where_its_endpoint_goes(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_buf message = client_message(cmm, NULL, kf_view_of("eu-central-1", 13)), buf = KF_BUF_INIT;
    assert_ok(kf_decrypt(cmm, NULL, buf_view(message), &error, NULL, &buf), &error);
    struct kf_aws_client *client;
    assert_ok(kf_aws_client_new(NULL, &error, &client), &error);
    assert_ok(kf_aws_client_kms_endpoint(client, (const char *)buf.data, &error, &buf), &error);
    assert_same_bytes(buf_view(buf), kf_view_text("https://kms.eu-central-1.amazonaws.com"));
    kf_aws_client_unref(client);
    kf_buf_free(&message);
    kf_buf_free(&buf);
    kf_cmm_unref(cmm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_survives),
        cmocka_unit_test(a_plaintext_survives),
        cmocka_unit_test(variables_are_memory_too),
        cmocka_unit_test(options_may_lie_in_the_output),
        cmocka_unit_test(a_stream_goes_on),
        cmocka_unit_test(halves_of_a_pair_do_not_share),
        cmocka_unit_test(an_edk_is_not_unwrapped_onto_itself),
        cmocka_unit_test(an_edk_may_lie_where_its_fingerprint_goes),
        cmocka_unit_test(a_value_may_replace_its_key),
        cmocka_unit_test(a_region_may_lie_where_its_endpoint_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
