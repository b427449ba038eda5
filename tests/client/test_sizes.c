/*
 * The largest of everything that a header can hold, there and back: encrypted data keys by number and by size, and
 * the encryption context.
 */
#include <string.h>

#include "support/client.h"

/* ---- A keyring that makes EDKs of any number and size ---- */

struct edks {
    size_t count;
    size_t provider_id, provider_info, ciphertext; /* lengths */
};

static struct kf_edk edk_of(const struct edks *edks)
{
    return (struct kf_edk){kf_view_of(client_plaintext(65535).data, edks->provider_id),
                           kf_view_of(client_plaintext(65535).data, edks->provider_info),
                           kf_view_of(client_plaintext(65535).data, edks->ciphertext)};
}

static enum kf_code wrap(void *self, struct kf_call *call, const struct kf_encryption_materials *materials,
                         struct kf_error *error, struct kf_wrapped *out)
{
    (void)call;
    (void)materials;
    const struct edks *edks = self;
    const struct kf_edk edk = edk_of(edks);
    enum kf_code code = kf_wrapped_data_key_set(out, client_plaintext(32), error);
    for (size_t i = 0; i < edks->count && code == KF_OK; i++)
        code = kf_wrapped_edk_add(out, &edk, error);
    return code;
}

static enum kf_code unwrap(void *self, struct kf_call *call, const struct kf_decryption_materials *materials,
                           const struct kf_edk *items, size_t count, struct kf_error *error,
                           struct kf_data_key *out)
{
    (void)call;
    (void)materials;
    const struct edks *edks = self;
    const struct kf_edk edk = edk_of(edks);
    bool same = count == edks->count;
    for (size_t i = 0; i < count && same; i++) {
        same = items[i].provider_id.length == edk.provider_id.length &&
               items[i].provider_info.length == edk.provider_info.length &&
               items[i].ciphertext.length == edk.ciphertext.length;
        same = same && memcmp(items[i].ciphertext.data, edk.ciphertext.data, edk.ciphertext.length) == 0;
    }
    if (!same)
        return kf_error_set(error, KF_E_KEYS, "These are not the data keys that were wrapped.");
    out->length = 32;
    memcpy(out->bytes, client_plaintext(32).data, 32);
    return KF_OK;
}

static struct kf_cmm *cmm_of(struct edks *edks)
{
    static const struct kf_keyring_vtable vtable = {sizeof vtable, wrap, unwrap, NULL, false};
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_keyring_new(&vtable, edks, &error, &keyring), &error);
    return client_cmm_on(keyring);
}

/* In one call, and as a stream in pieces that end inside of fields. */
static void check_both_ways(struct edks edks)
{
    struct kf_cmm *cmm = cmm_of(&edks);
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 10, NULL);
    struct kf_buf message = client_message(cmm, &options, client_plaintext(25));
    assert_decrypts(cmm, NULL, buf_view(message), client_plaintext(25));
    struct streamed streamed;
    stream_decrypt(cmm, NULL, buf_view(message), (struct feed){1, 4001, 10, 10, 0}, &streamed);
    assert_ok(streamed.code, &streamed.error);
    assert_same_bytes(streamed_view(&streamed), client_plaintext(25));
    streamed_free(&streamed);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

static void edks_of_every_size(void **state)
{
    (void)state;
    check_both_ways((struct edks){1, 0, 0, 0});
    check_both_ways((struct edks){1, 65535, 0, 0});
    check_both_ways((struct edks){1, 0, 65535, 0});
    check_both_ways((struct edks){1, 0, 0, 65535});
    check_both_ways((struct edks){3, 65535, 65535, 65535});
}

static void as_many_edks_as_can_be_counted(void **state)
{
    (void)state;
    check_both_ways((struct edks){65535, 1, 1, 1});
    struct edks more = {65536, 0, 0, 0};
    struct kf_cmm *cmm = cmm_of(&more);
    struct kf_buf out = KF_BUF_INIT;
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_encrypt(cmm, NULL, client_plaintext(1), &error, &out), KF_E_USAGE);
    assert_non_null(strstr(error.text, "65,535"));
    kf_cmm_unref(cmm);
}

/* ---- The encryption context ---- */

/* A context of one pair that takes `length` bytes when serialized. */
static const struct kf_encryption_context *context_of(size_t length)
{
    static uint8_t value[65535];
    memset(value, 'v', sizeof value);
    const struct kf_pair pair = {kf_view_text("k"), kf_view_of(value, length - 2 - 4 - 1)};
    const struct kf_encryption_context *context;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryption_context_new(&pair, 1, &error, &context), &error);
    return context;
}

static void the_longest_context(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    for (size_t i = 0; i < CLIENT_SUITES; i++) {
        /* A suite that signs adds its public key. */
        const struct kf_suite_info *suite = kf_suite_info_of(client_suites[i]);
        const size_t added = !suite->sign ? 0 : 4 + 21 + (suite->data_key_length == 16 ? 44 : 68);
        const struct kf_encryption_context *context = context_of(65535 - added);
        struct kf_encrypt_options options = client_encrypt_options(client_suites[i], 10, context);
        const struct kf_decrypt_options decrypt_options = client_decrypt_options();
        struct kf_buf message = client_message(cmm, &options, client_plaintext(25));
        assert_decrypts(cmm, &decrypt_options, buf_view(message), client_plaintext(25));
        kf_encryption_context_unref(context);
        if (suite->sign) {
            struct kf_error error = KF_ERROR_INIT;
            context = context_of(65535 - added + 1);
            options.encryption_context = context;
            assert_int_equal(kf_encrypt(cmm, &options, client_plaintext(1), &error, &message), KF_E_USAGE);
            assert_non_null(strstr(error.text, "too long"));
            kf_encryption_context_unref(context);
        }
        kf_buf_free(&message);
    }
    kf_cmm_unref(cmm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edks_of_every_size),
        cmocka_unit_test(as_many_edks_as_can_be_counted),
        cmocka_unit_test(the_longest_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
