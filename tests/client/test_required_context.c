/*
 * Required keys: pairs of the context that are authenticated but not stored, so that the reader has to give
 * them again. A wrong pair fails at the key if the keyring binds the context (raw AES), else at the header's
 * tag. (S: framework/cmm-interface.md#decrypt-materials, data-format/message-header.md#authentication-tag)
 */
#include <string.h>

#include "support/client.h"
#include "support/parts.h"

#include "message/encryption_context.h"

/* ---- A keyring that does not bind the context: it hides the data key behind a pad ---- */

static void pad(struct kf_view in, uint8_t *out)
{
    for (size_t i = 0; i < in.length; i++)
        out[i] = in.data[i] ^ 0x3C;
}

static enum kf_code pad_encrypt(void *self, struct kf_call *call,
                                const struct kf_encryption_materials *materials, struct kf_error *error,
                                struct kf_wrapped *out)
{
    (void)self, (void)call, (void)materials;
    static const uint8_t data_key[32] = "a data key of exactly 32 bytes.";
    uint8_t padded[32];
    pad(kf_view_of(data_key, 32), padded);
    const struct kf_edk edk = {kf_view_text("pad"), kf_view_of(NULL, 0), kf_view_of(padded, 32)};
    const enum kf_code code = kf_wrapped_data_key_set(out, kf_view_of(data_key, 32), error);
    return code == KF_OK ? kf_wrapped_edk_add(out, &edk, error) : code;
}

static enum kf_code pad_decrypt(void *self, struct kf_call *call,
                                const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    (void)self, (void)call, (void)materials, (void)edk_count, (void)error;
    out->length = edks[0].ciphertext.length;
    pad(edks[0].ciphertext, out->bytes);
    return KF_OK;
}

static struct kf_cmm *pad_cmm(void)
{
    static const struct kf_keyring_vtable vtable = {sizeof vtable, pad_encrypt, pad_decrypt, NULL, false};
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_keyring_new(&vtable, NULL, &error, &keyring), &error);
    return client_cmm_on(keyring);
}

/* ---- One message, and readers who bring this and that ---- */

static const enum kf_suite suites[] = {KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
                                       KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
                                       KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256};

/* Context {owner: me, purpose: tests, tenant: 7}, of which owner and tenant are required. */
static struct kf_buf message_of(struct kf_cmm *cmm, enum kf_suite suite)
{
    const struct kf_view required[] = {kf_view_text("tenant"), kf_view_text("owner")};
    const struct kf_encryption_context *context =
        client_context("purpose", "tests", "tenant", "7", "owner", "me");
    struct kf_encrypt_options options = client_encrypt_options(suite, 10, context);
    options.required_keys = required;
    options.required_key_count = 2;
    struct kf_buf message = client_message(cmm, &options, client_plaintext(25));
    kf_encryption_context_unref(context);
    return message;
}

/* Decrypts with this reproduced context, whose reference it takes over. */
static void check(struct kf_cmm *cmm, struct kf_buf message, const struct kf_encryption_context *reproduced,
                  enum kf_code expected)
{
    struct kf_decrypt_options options = client_decrypt_options();
    options.reproduced_encryption_context = reproduced;
    if (expected == KF_OK)
        assert_decrypts(cmm, &options, buf_view(message), client_plaintext(25));
    else
        assert_refused(cmm, &options, buf_view(message), expected);
    kf_encryption_context_unref(reproduced);
}

/* `otherwise`: the code for a context that is not the writer's. */
static void check_readers(struct kf_cmm *cmm, enum kf_code otherwise)
{
    for (size_t s = 0; s < sizeof suites / sizeof suites[0]; s++) {
        struct kf_buf message = message_of(cmm, suites[s]);
        check(cmm, message, client_context("owner", "me", "tenant", "7"), KF_OK);
        check(cmm, message, client_context("tenant", "7", "owner", "me", "purpose", "tests"),
              KF_OK); /* stored anyway */

        check(cmm, message, NULL, otherwise);
        check(cmm, message, client_context("owner", "me"), otherwise);                /* one is missing */
        check(cmm, message, client_context("owner", "me", "tenant", "8"), otherwise); /* is wrong */
        check(cmm, message, client_context("owner", "7", "tenant", "me"), otherwise); /* exchanged */
        check(cmm, message, client_context("owner", "me", "tenant", "7", "more", ""),
              otherwise); /* one too many */
        check(cmm, message, client_context("owner", "me", "tenant", "7", "purpose", "x"),
              KF_E_POLICY); /* not as stored */
        kf_buf_free(&message);
    }
}

static void readers_bring_what_is_not_stored(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    check_readers(cmm, KF_E_KEYS);
    kf_cmm_unref(cmm);
}

static void the_header_binds_what_the_keyring_does_not(void **state)
{
    (void)state;
    struct kf_cmm *cmm = pad_cmm();
    check_readers(cmm, KF_E_FORGED);
    kf_cmm_unref(cmm);
}

/* If a message requires nothing, a reader may give pairs that it stores, but no others. */
static void pairs_that_are_stored_may_be_brought_too(void **state)
{
    (void)state;
    struct kf_cmm *cmm = pad_cmm();
    const struct kf_encryption_context *context = client_context("purpose", "tests");
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 10, context);
    struct kf_buf message = client_message(cmm, &options, client_plaintext(25));
    check(cmm, message, client_context("purpose", "tests"), KF_OK);
    check(cmm, message, client_context("purpose", "test"), KF_E_POLICY);
    check(cmm, message, client_context("Purpose", "tests"), KF_E_FORGED);
    kf_buf_free(&message);
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
}

/* ---- What is written ---- */

static bool contains(struct kf_buf message, const char *text)
{
    for (size_t i = 0; i + strlen(text) <= message.length; i++) {
        if (memcmp(message.data + i, text, strlen(text)) == 0)
            return true;
    }
    return false;
}

static void required_pairs_are_authenticated_and_not_stored(void **state)
{
    (void)state;
    static struct parts parts;
    static const uint8_t data_key[32] = "a data key of exactly 32 bytes.";
    struct kf_cmm *cmm = pad_cmm();
    for (size_t s = 0; s < sizeof suites / sizeof suites[0]; s++) {
        struct kf_buf message = message_of(cmm, suites[s]);
        parts_read(buf_view(message), &parts);
        assert_false(contains(message, "tenant"));
        assert_false(contains(message, "owner"));
        const struct kf_encryption_context *stored = parts_context(parts.context);
        assert_int_equal(kf_encryption_context_count(stored), kf_suite_info_of(suites[s])->sign ? 2 : 1);
        assert_true(kf_encryption_context_get(stored, kf_view_text("purpose"), NULL));
        kf_encryption_context_unref(stored);

        const struct kf_encryption_context *required = client_context("owner", "me", "tenant", "7");
        parts_verify(&parts, kf_view_of(data_key, 32), parts.context,
                     kf_encryption_context_serialized(required), client_plaintext(25));
        kf_encryption_context_unref(required);
        kf_buf_free(&message);
    }
    kf_cmm_unref(cmm);
}

static void a_context_that_is_all_required_is_stored_as_nothing(void **state)
{
    (void)state;
    static struct parts parts;
    struct kf_cmm *cmm = client_cmm_of_two();
    const struct kf_view required[] = {kf_view_text("b"), kf_view_text("a"),
                                       kf_view_text("b")}; /* one of them twice */
    const struct kf_encryption_context *context = client_context("a", "1", "b", "2");
    struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 10, context);
    options.required_keys = required;
    options.required_key_count = 3;
    struct kf_buf message = client_message(cmm, &options, client_plaintext(25));
    parts_read(buf_view(message), &parts);
    assert_int_equal(parts.context.length, 0);
    check(cmm, message, client_context("a", "1", "b", "2"), KF_OK);
    check(cmm, message, NULL, KF_E_KEYS);
    kf_buf_free(&message);
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
}

static void the_reader_sees_the_whole_context(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_buf message = message_of(cmm, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
    const struct kf_encryption_context *reproduced = client_context("owner", "me", "tenant", "7");
    struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
    options.reproduced_encryption_context = reproduced;
    struct kf_decryptor *decryptor;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_decryptor_new(cmm, &options, &error, &decryptor), &error);
    kf_encryption_context_unref(reproduced); /* the decryptor has its own reference */
    uint8_t out[100];
    struct kf_io io = {.in = message.data, .in_length = message.length, .out = out, .out_room = sizeof out};
    assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_OK);
    assert_int_equal(kf_encryption_context_count(kf_decryptor_encryption_context(decryptor)), 3);
    assert_int_equal(
        kf_encryption_context_count(kf_header_encryption_context(kf_decryptor_header(decryptor))), 1);
    kf_decryptor_free(decryptor);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

/* ---- Refusals ---- */

static void a_required_key_has_to_be_there(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    const struct kf_view required[] = {kf_view_text("purpose"), kf_view_text("tenant")};
    const struct kf_encryption_context *context = client_context("purpose", "tests");
    struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 10, context);
    options.required_keys = required;
    options.required_key_count = 2;
    struct kf_buf out = KF_BUF_INIT;
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_encrypt(cmm, &options, client_plaintext(3), &error, &out), KF_E_POLICY);
    assert_non_null(strstr(error.text, "tenant"));
    options.encryption_context = NULL;
    options.required_key_count = 1;
    assert_int_equal(kf_encrypt(cmm, &options, client_plaintext(3), &error, &out), KF_E_POLICY);
    kf_buf_free(&out);
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
}

/* The caller's list need not outlive the call that makes the encryptor. */
static void the_list_of_required_keys_is_copied(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    const struct kf_encryption_context *context = client_context("a", "1", "b", "2");
    struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 10, context);
    char *key = strdup("a");
    struct kf_view *keys = malloc(sizeof *keys);
    *keys = kf_view_text(key);
    options.required_keys = keys;
    options.required_key_count = 1;
    struct kf_encryptor *encryptor;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryptor_new(cmm, &options, &error, &encryptor), &error);
    memset(key, 'b', 1);
    free(key);
    free(keys);
    kf_encryption_context_unref(context);
    struct kf_io nothing = {.in = NULL};
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, NULL), KF_WANT_OUTPUT);
    const struct kf_encryption_context *required =
        kf_encryption_materials_required_context(kf_encryptor_materials(encryptor));
    assert_int_equal(kf_encryption_context_count(required), 1);
    assert_same_bytes(kf_encryption_context_at(required, 0).key, kf_view_text("a"));
    kf_encryptor_free(encryptor);
    kf_cmm_unref(cmm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_bring_what_is_not_stored),
        cmocka_unit_test(the_header_binds_what_the_keyring_does_not),
        cmocka_unit_test(pairs_that_are_stored_may_be_brought_too),
        cmocka_unit_test(required_pairs_are_authenticated_and_not_stored),
        cmocka_unit_test(a_context_that_is_all_required_is_stored_as_nothing),
        cmocka_unit_test(the_reader_sees_the_whole_context),
        cmocka_unit_test(a_required_key_has_to_be_there),
        cmocka_unit_test(the_list_of_required_keys_is_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
