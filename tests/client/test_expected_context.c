/*
 * What a reader expects of the encryption context: pairs and keys that have to be there, when a message without them
 * is refused, and what the sentence says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/client.h"
#include "support/failing_allocator.h"
#include "support/parts.h"

#define SUITE KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY
#define SIGNING KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384

/* The context {owner: me, purpose: tests, tenant: 7}, of which owner is not stored. */
static struct kf_buf message_of(struct kf_cmm *cmm, enum kf_suite suite)
{
    const struct kf_view required = kf_view_text("owner");
    const struct kf_encryption_context *context =
        client_context("purpose", "tests", "tenant", "7", "owner", "me");
    struct kf_encrypt_options options = client_encrypt_options(suite, 10, context);
    options.required_keys = &required;
    options.required_key_count = 1;
    struct kf_buf message = client_message(cmm, &options, client_plaintext(25));
    kf_encryption_context_unref(context);
    return message;
}

/* A reader who brings the owner, and what it expects. */
struct reader {
    struct kf_decrypt_options options;
    const struct kf_encryption_context *brought, *expected;
    struct kf_view keys[8];
};

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void reader_open(struct reader *reader, const char *const *pairs, const char *const *keys)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_pair expected[8] = {{.key = {NULL, 0}}};
    size_t count = 0;
    for (; pairs != NULL && pairs[2 * count] != NULL; count++)
        expected[count] =
            (struct kf_pair){kf_view_text(pairs[2 * count]), kf_view_text(pairs[2 * count + 1])};
    assert_ok(kf_encryption_context_new(expected, count, &error, &reader->expected), &error);
    reader->brought = client_context("owner", "me");
    reader->options = client_decrypt_options();
    reader->options.reproduced_encryption_context = reader->brought;
    reader->options.expected_encryption_context = reader->expected;
    for (; keys != NULL && keys[reader->options.expected_key_count] != NULL;
         reader->options.expected_key_count++)
        reader->keys[reader->options.expected_key_count] =
            kf_view_text(keys[reader->options.expected_key_count]);
    reader->options.expected_keys = reader->keys;
}

static void reader_close(struct reader *reader)
{
    kf_encryption_context_unref(reader->brought);
    kf_encryption_context_unref(reader->expected);
}

static void check_accepted(struct kf_cmm *cmm, struct kf_buf message, const char *const *pairs,
                           const char *const *keys)
{
    struct reader reader;
    reader_open(&reader, pairs, keys);
    assert_decrypts(cmm, &reader.options, buf_view(message), client_plaintext(25));
    struct streamed streamed;
    stream_decrypt(cmm, &reader.options, buf_view(message), (struct feed)FEED_ALL, &streamed);
    assert_int_equal(streamed.code, KF_OK);
    assert_same_bytes(streamed_view(&streamed), client_plaintext(25));
    streamed_free(&streamed);
    reader_close(&reader);
}

/* Refused, by one call and as a stream, before any plaintext; the sentence ends in `says`. */
static void check_refused(struct kf_cmm *cmm, struct kf_buf message, const char *const *pairs,
                          const char *const *keys, const char *says)
{
    struct reader reader;
    char sentence[600];
    snprintf(sentence, sizeof sentence,
             "The encryption context of the message is not as expected: it has %s.", says);
    reader_open(&reader, pairs, keys);
    assert_refused(cmm, &reader.options, buf_view(message), KF_E_POLICY);
    struct streamed streamed;
    stream_decrypt(cmm, &reader.options, buf_view(message), (struct feed)FEED_ALL, &streamed);
    assert_int_equal(streamed.code, KF_E_POLICY);
    assert_string_equal(streamed.error.text, sentence);
    assert_int_equal(streamed.length, 0);
    streamed_free(&streamed);
    reader_close(&reader);
}

/* ---- What is enough, and what is not ---- */

static void stored_and_reproduced_pairs_count(void **state)
{
    (void)state;
    static const enum kf_suite suites[] = {SUITE, SIGNING, KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256};
    struct kf_cmm *cmm = client_cmm_of_two();
    for (size_t i = 0; i < 3; i++) {
        struct kf_buf message = message_of(cmm, suites[i]);
        check_accepted(cmm, message, NULL, NULL);
        check_accepted(cmm, message, PAIRS("tenant", "7"), NULL);
        check_accepted(cmm, message, PAIRS("owner", "me"), NULL);
        check_accepted(cmm, message, PAIRS("owner", "me", "tenant", "7", "purpose", "tests"), NULL);
        check_accepted(cmm, message, NULL, KEYS("tenant", "owner", "tenant"));
        check_accepted(cmm, message, PAIRS("tenant", "7"), KEYS("purpose", "owner"));
        check_accepted(cmm, message, PAIRS("tenant", "7"), KEYS("tenant"));
        kf_buf_free(&message);
    }
    kf_cmm_unref(cmm);
}

/* Also the key of the library's own, which says that the message is signed. */
static void reserved_keys_may_be_expected(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_buf message = message_of(cmm, SIGNING);
    check_accepted(cmm, message, NULL, KEYS("aws-crypto-public-key"));
    kf_buf_free(&message);
    message = message_of(cmm, SUITE);
    check_refused(cmm, message, NULL, KEYS("aws-crypto-public-key"), "no \"aws-crypto-public-key\"");
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

static void keys_that_lack_or_differ_are_named(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    for (size_t i = 0; i < 2; i++) {
        struct kf_buf message = message_of(cmm, i == 0 ? SUITE : SIGNING);
        check_refused(cmm, message, PAIRS("region", "7"), NULL, "no \"region\"");
        check_refused(cmm, message, NULL, KEYS("region"), "no \"region\"");
        check_refused(cmm, message, NULL, KEYS("Tenant", "tenant", "a\nb", ""),
                      "no \"Tenant\", no \"a?b\", no \"\"");
        check_refused(cmm, message, PAIRS("tenant", "8"), NULL, "another value of \"tenant\"");
        check_refused(cmm, message, PAIRS("tenant", "77"), NULL, "another value of \"tenant\"");
        check_refused(cmm, message, PAIRS("tenant", ""), NULL, "another value of \"tenant\"");
        check_refused(cmm, message, PAIRS("owner", "you"), NULL, "another value of \"owner\"");
        check_refused(cmm, message, PAIRS("owner", "you", "region", "7"), KEYS("region", "zone"),
                      "another value of \"owner\", no \"region\", no \"zone\"");
        kf_buf_free(&message);
    }
    kf_cmm_unref(cmm);
}

static void a_long_list_is_counted(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_buf message = message_of(cmm, SUITE);
    char keys[8][61], says[600] = "";
    const char *expected[9] = {NULL};
    for (size_t i = 0; i < 8; i++) {
        memset(keys[i], 'a' + (int)i, 60);
        keys[i][60] = '\0';
        expected[i] = keys[i];
        if (i < 6)
            snprintf(says + strlen(says), sizeof says - strlen(says), "%sno \"%s\"", i > 0 ? ", " : "",
                     keys[i]);
    }
    strcat(says, " (and 2 more)");
    check_refused(cmm, message, NULL, expected, says);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

/* ---- When ---- */

/* A stored value that differs is refused before anybody is asked for a key; nothing can be added to mend it. */
static void what_differs_costs_no_call(void **state)
{
    (void)state;
    struct kf_cmm *cmm;
    struct told *told = told_new(&cmm);
    told_answer_always(told, true);
    struct kf_buf message = message_of(cmm, SUITE);
    const unsigned begun = told_begun(told);
    check_refused(cmm, message, PAIRS("tenant", "8", "region", "1"), KEYS("zone"),
                  "another value of \"tenant\"");
    assert_int_equal(told_begun(told), begun);

    /* What is missing may still come from a CMM. */
    check_refused(cmm, message, PAIRS("region", "1"), KEYS("zone"), "no \"region\", no \"zone\"");
    assert_true(told_begun(told) > begun);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    told_free(told);
}

/* A CMM that knows the owner, so that its readers need not. */
static enum kf_code knowing_get(void *self, struct kf_call *call, const struct kf_encryption_request *request,
                                struct kf_error *error, const struct kf_encryption_materials **out)
{
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
}

static const struct kf_encryption_context *known;

static enum kf_code knowing_decrypt(void *self, struct kf_call *call,
                                    const struct kf_decryption_request *request, struct kf_error *error,
                                    const struct kf_decryption_materials **out)
{
    struct kf_decryption_request changed = *request;
    changed.reproduced_encryption_context = known;
    return kf_cmm_decrypt_materials(self, kf_call_child(call, 0), &changed, error, out);
}

static void what_a_cmm_adds_counts(void **state)
{
    (void)state;
    static const struct kf_cmm_vtable vtable = {sizeof vtable, knowing_get, knowing_decrypt, NULL, false};
    struct kf_cmm *backing = client_cmm_of_two(), *cmm;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_cmm_new(&vtable, backing, &error, &cmm), &error);
    known = client_context("owner", "me");
    struct kf_buf message = message_of(cmm, SUITE);
    const struct kf_view owner = kf_view_text("owner");
    struct kf_decrypt_options options = client_decrypt_options();
    options.expected_encryption_context = known;
    options.expected_keys = &owner;
    options.expected_key_count = 1;
    assert_decrypts(cmm, &options, buf_view(message), client_plaintext(25));
    kf_encryption_context_unref(known);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_cmm_unref(backing);
}

/* A message that was changed is called forged, not one that lacks something. */
static void what_is_missing_is_looked_for_in_what_is_authentic(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_buf message = message_of(cmm, SUITE);
    static struct parts parts;
    parts_read(buf_view(message), &parts);
    message.data[parts.header_end - 1] ^= 1;
    struct reader reader;
    reader_open(&reader, NULL, KEYS("region"));
    assert_refused(cmm, &reader.options, buf_view(message), KF_E_FORGED);
    message.data[parts.header_end - 1] ^= 1;
    assert_refused(cmm, &reader.options, buf_view(message), KF_E_POLICY);
    reader_close(&reader);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

/* ---- Options ---- */

static void what_is_expected_is_copied(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_buf message = message_of(cmm, SUITE);
    struct kf_error error = KF_ERROR_INIT;
    struct reader reader;
    char key[] = "region";
    reader_open(&reader, PAIRS("tenant", "7"), KEYS(key));
    struct kf_decryptor *decryptor;
    assert_ok(kf_decryptor_new(cmm, &reader.options, &error, &decryptor), &error);
    memcpy(key, "tenant", sizeof key);
    memset(reader.keys, 0, sizeof reader.keys);
    reader_close(&reader);
    uint8_t out[100];
    struct kf_io io = {message.data, message.length, true, out, sizeof out, 0, 0};
    assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_E_POLICY);
    assert_non_null(strstr(kf_decryptor_error(decryptor)->text, "it has no \"region\"."));
    assert_null(kf_decryptor_header(decryptor));
    assert_null(kf_decryptor_encryption_context(decryptor));
    assert_int_equal(kf_decryptor_poll(decryptor, &io, NULL), KF_E_POLICY);
    kf_decryptor_free(decryptor);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

static void keys_that_are_none_are_refused(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_error error = KF_ERROR_INIT;
    struct kf_decryptor *decryptor = (struct kf_decryptor *)(uintptr_t)1;
    struct kf_decrypt_options options = client_decrypt_options();
    options.expected_key_count = 2;
    assert_int_equal(kf_decryptor_new(cmm, &options, &error, &decryptor), KF_E_USAGE);
    assert_string_equal(error.text, "Option expected_keys is NULL, but its count is 2.");
    assert_null(decryptor);
    const struct kf_view keys[] = {kf_view_text("a"), kf_view_of(NULL, 5)};
    options.expected_keys = keys;
    assert_int_equal(kf_decryptor_new(cmm, &options, &error, &decryptor), KF_E_USAGE);
    assert_string_equal(error.text, "Option expected_keys[1] is NULL, but its length is 5.");
    kf_cmm_unref(cmm);
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_error error = KF_ERROR_INIT;
    struct kf_decryptor *decryptor;
    struct reader reader;
    reader_open(&reader, PAIRS("tenant", "7"), KEYS("owner"));
    const size_t held = memory.held;
    for (size_t i = 1; i <= 2; i++) {
        fail_allocation(i);
        assert_int_equal(kf_decryptor_new(cmm, &reader.options, &error, &decryptor), KF_E_NO_MEMORY);
        assert_int_equal(memory.held, held);
    }
    fail_allocation(3);
    assert_ok(kf_decryptor_new(cmm, &reader.options, &error, &decryptor), &error);
    fail_allocation(0);
    kf_decryptor_free(decryptor);
    assert_int_equal(memory.held, held);
    reader_close(&reader);
    kf_cmm_unref(cmm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_and_reproduced_pairs_count),
        cmocka_unit_test(reserved_keys_may_be_expected),
        cmocka_unit_test(keys_that_lack_or_differ_are_named),
        cmocka_unit_test(a_long_list_is_counted),
        cmocka_unit_test(what_differs_costs_no_call),
        cmocka_unit_test(what_a_cmm_adds_counts),
        cmocka_unit_test(what_is_missing_is_looked_for_in_what_is_authentic),
        cmocka_unit_test(what_is_expected_is_copied),
        cmocka_unit_test(keys_that_are_none_are_refused),
        cmocka_unit_test(no_memory_is_an_error),
    };
    failing_allocator_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
