/*
 * The required encryption context CMM: what it demands of writers and readers, alone, around a caching CMM and
 * behind one, and of the CMM behind it.
 */
#include "support/asker.h"
#include "support/client.h"
#include "support/failing_allocator.h"

#include <stdio.h>

#include <keyflight/required_context_cmm.h>

#include "materials/materials.h"

#define SUITE KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY
#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* In front of `cmm`, whose reference it takes over. */
static struct kf_cmm *required_cmm(struct kf_cmm *cmm, const char *const *names)
{
    struct kf_required_encryption_context_cmm_options options =
        KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT;
    struct kf_view keys[8];
    struct kf_cmm *made;
    struct kf_error error = KF_ERROR_INIT;
    for (size_t i = 0; names[i] != NULL; i++)
        keys[options.required_key_count++] = kf_view_text(names[i]);
    options.cmm = cmm;
    options.required_keys = keys;
    assert_ok(kf_required_encryption_context_cmm_new(&options, &error, &made), &error);
    memset(keys, 0, sizeof keys); /* it has its own */
    kf_cmm_unref(cmm);
    return made;
}

/* A message with the context {owner: me, purpose: tests, tenant: 7}, whose sender requires `name` too. */
static struct kf_buf message_by(struct kf_cmm *cmm, const char *name)
{
    const struct kf_view required = kf_view_text(name != NULL ? name : "");
    const struct kf_encryption_context *context =
        client_context("purpose", "tests", "tenant", "7", "owner", "me");
    struct kf_encrypt_options options = client_encrypt_options(SUITE, 10, context);
    options.required_keys = &required;
    options.required_key_count = name != NULL ? 1 : 0;
    struct kf_buf message = client_message(cmm, &options, client_plaintext(25));
    kf_encryption_context_unref(context);
    return message;
}

/* Decrypts with a reproduced context (which is released). */
static enum kf_code read_with(struct kf_cmm *cmm, struct kf_buf message,
                              const struct kf_encryption_context *reproduced, struct kf_error *error)
{
    struct kf_decrypt_options options = client_decrypt_options();
    struct kf_buf plaintext = KF_BUF_INIT;
    options.reproduced_encryption_context = reproduced;
    *error = (struct kf_error)KF_ERROR_INIT;
    const enum kf_code code = kf_decrypt(cmm, &options, buf_view(message), error, NULL, &plaintext);
    if (code == KF_OK)
        assert_same_bytes(buf_view(plaintext), client_plaintext(25));
    kf_buf_free(&plaintext);
    kf_encryption_context_unref(reproduced);
    return code;
}

static void check_stored(struct kf_buf message, const char *key, bool stored)
{
    const struct kf_header *header;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_header_parse(buf_view(message), 0, &error, &header), &error);
    assert_int_equal(kf_encryption_context_get(kf_header_encryption_context(header), kf_view_text(key), NULL),
                     stored);
    kf_header_unref(header);
}

static void what_is_required_is_not_stored_and_has_to_be_brought(void **state)
{
    (void)state;
    struct kf_cmm *cmm = required_cmm(support_cmm(), NAMES("tenant", "owner"));
    struct kf_cmm *plain = support_cmm();
    struct kf_buf message = message_by(cmm, NULL);
    struct kf_error error;
    check_stored(message, "tenant", false);
    check_stored(message, "owner", false);
    check_stored(message, "purpose", true);

    assert_ok(read_with(cmm, message, client_context("tenant", "7", "owner", "me"), &error), &error);
    assert_ok(read_with(plain, message, client_context("tenant", "7", "owner", "me"), &error), &error);
    assert_int_equal(read_with(cmm, message, client_context("tenant", "8", "owner", "me"), &error),
                     KF_E_KEYS);

    assert_int_equal(read_with(cmm, message, client_context("tenant", "7"), &error), KF_E_POLICY);
    assert_non_null(strstr(error.text, "add the keys \"owner\"."));
    assert_int_equal(read_with(cmm, message, NULL, &error), KF_E_POLICY);
    assert_non_null(strstr(error.text, "add the keys \"tenant\", \"owner\"."));
    kf_buf_free(&message);

    /* A reader may require what the message stores: it still has to be brought, and right. */
    message = message_by(plain, NULL);
    assert_ok(read_with(cmm, message, client_context("tenant", "7", "owner", "me"), &error), &error);
    assert_int_equal(read_with(cmm, message, client_context("tenant", "7"), &error), KF_E_POLICY);
    assert_int_equal(read_with(cmm, message, client_context("tenant", "8", "owner", "me"), &error),
                     KF_E_POLICY);
    kf_buf_free(&message);
    kf_cmm_unref(plain);
    kf_cmm_unref(cmm);
}

static void writers_have_to_bring_it_too(void **state)
{
    (void)state;
    struct kf_cmm *cmm = required_cmm(support_cmm(), NAMES("tenant", "owner", "a\nb"));
    const struct kf_encryption_context *context = client_context("tenant", "7");
    struct kf_encrypt_options options = client_encrypt_options(SUITE, 10, context);
    struct kf_buf message = KF_BUF_INIT;
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_encrypt(cmm, &options, client_plaintext(25), &error, &message), KF_E_POLICY);
    assert_non_null(strstr(error.text, "add the keys \"owner\", \"a?b\"."));
    options.encryption_context = NULL;
    assert_int_equal(kf_encrypt(cmm, &options, client_plaintext(25), &error, &message), KF_E_POLICY);
    assert_non_null(strstr(error.text, "add the keys \"tenant\", \"owner\", \"a?b\"."));
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
}

/* Of a name 60 bytes are shown, of names as many as there is room for; signs say so. */
static void a_long_list_of_missing_keys_is_cut(void **state)
{
    (void)state;
    char names[8][101], shown[8][100];
    for (size_t i = 0; i < 8; i++) {
        memset(names[i], 'a' + (int)i, 100);
        names[i][100] = '\0';
        snprintf(shown[i], sizeof shown[i], "\"%.60s…\"", names[i]);
    }
    struct kf_cmm *cmm = required_cmm(support_cmm(), NAMES(names[0], names[1], names[2], names[3]));
    struct kf_cmm *plain = support_cmm();
    struct kf_buf message = message_by(plain, NULL);
    struct kf_error error;
    assert_int_equal(read_with(cmm, message, NULL, &error), KF_E_POLICY);
    for (size_t i = 0; i < 4; i++)
        assert_non_null(strstr(error.text, shown[i]));
    assert_null(strstr(error.text, "more"));
    kf_cmm_unref(cmm);

    cmm = required_cmm(support_cmm(),
                       NAMES(names[0], names[1], names[2], names[3], names[4], names[5], names[6], names[7]));
    assert_int_equal(read_with(cmm, message, NULL, &error), KF_E_POLICY);
    for (size_t i = 0; i < 5; i++)
        assert_non_null(strstr(error.text, shown[i]));
    assert_non_null(strstr(error.text, "\" (and 3 more)."));
    kf_cmm_unref(cmm);

    char long_name[401];
    memset(long_name, 'h', 400);
    long_name[400] = '\0';
    cmm = required_cmm(support_cmm(), NAMES(long_name, "a"));
    assert_int_equal(read_with(cmm, message, NULL, &error), KF_E_POLICY);
    snprintf(shown[0], sizeof shown[0], "add the keys \"%.60s…\", \"a\".", long_name);
    assert_non_null(strstr(error.text, shown[0]));
    kf_buf_free(&message);
    kf_cmm_unref(plain);
    kf_cmm_unref(cmm);
}

static void the_requests_own_required_keys_stay(void **state)
{
    (void)state;
    struct kf_cmm *cmm = required_cmm(required_cmm(support_cmm(), NAMES("tenant")), NAMES("owner", "tenant"));
    struct kf_error error;
    struct kf_buf message = message_by(cmm, "purpose");
    check_stored(message, "purpose", false);
    check_stored(message, "owner", false);
    assert_int_equal(read_with(cmm, message, client_context("tenant", "7", "owner", "me"), &error),
                     KF_E_KEYS);
    assert_ok(
        read_with(cmm, message, client_context("tenant", "7", "owner", "me", "purpose", "tests"), &error),
        &error);
    kf_buf_free(&message);
    message = message_by(cmm, "owner"); /* which the CMM requires anyway */
    check_stored(message, "purpose", true);
    assert_ok(read_with(cmm, message, client_context("tenant", "7", "owner", "me"), &error), &error);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

/* ---- With a caching CMM ---- */

static struct kf_cmm *caching_cmm(struct kf_cmm *backing, struct kf_cache *cache)
{
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_cmm *cmm;
    struct kf_error error = KF_ERROR_INIT;
    options.cache = cache;
    options.cmm = backing;
    options.max_age_ms = 3600000;
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
    kf_cmm_unref(backing);
    return cmm;
}

/* Writers and readers share keys through the cache, and nobody passes the requirement by it. */
static void check_cached(struct kf_cmm *cmm, struct kf_cache *cache)
{
    struct kf_cache_stats stats = {.size = sizeof stats};
    struct kf_error error;
    struct kf_buf first = message_by(cmm, NULL), second = message_by(cmm, NULL);
    check_stored(second, "tenant", false);
    kf_cache_stats_read(cache, &stats);
    assert_int_equal(stats.flights_opened, 1);
    assert_int_equal(stats.hits, 1);
    for (size_t time = 0; time < 2; time++) {
        assert_ok(read_with(cmm, first, client_context("tenant", "7"), &error), &error);
        assert_ok(read_with(cmm, second, client_context("tenant", "7"), &error), &error);
        assert_int_equal(read_with(cmm, first, NULL, &error), KF_E_POLICY);
        assert_non_null(strstr(error.text, "\"tenant\""));
        assert_int_equal(read_with(cmm, first, client_context("tenant", "8"), &error), KF_E_KEYS);
    }
    kf_cache_stats_read(cache, &stats);
    assert_int_equal(stats.hits, 4); /* one of encryption, three of reading what was read before */
    kf_buf_free(&first);
    kf_buf_free(&second);
    kf_cmm_unref(cmm);
}

static void it_works_around_a_caching_cmm_and_behind_one(void **state)
{
    (void)state;
    for (size_t behind = 0; behind < 2; behind++) {
        struct kf_cache *cache;
        struct kf_error error = KF_ERROR_INIT;
        assert_ok(kf_cache_new(100, &error, &cache), &error);
        if (behind == 0)
            check_cached(required_cmm(caching_cmm(support_cmm(), cache), NAMES("tenant")), cache);
        else
            check_cached(caching_cmm(required_cmm(support_cmm(), NAMES("tenant")), cache), cache);
        kf_cache_unref(cache);
    }
}

static void it_waits_for_the_cmm_behind_it(void **state)
{
    (void)state;
    struct kf_cmm *slow;
    struct told *told = told_new(&slow);
    struct kf_cmm *cmm = required_cmm(slow, NAMES("tenant"));
    const struct kf_encryption_context *context = client_context("tenant", "7", "purpose", "tests");
    struct kf_encryption_request request = encryption_request(10);
    struct asker asker = {.cmm = NULL};
    request.encryption_context = context;
    assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_PENDING);
    told_answer(told, 0, KF_OK);
    assert_int_equal(asker_wait(&asker), KF_OK);
    assert_int_equal(
        kf_encryption_context_count(kf_encryption_materials_required_context(asker.encryption_materials)), 1);
    askers_leave(&asker, 1);
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
    told_free(told);
}

/* ---- A CMM behind it that forgets what is required ---- */

static enum kf_code forget_encrypt(void *self, struct kf_call *call,
                                   const struct kf_encryption_request *request, struct kf_error *error,
                                   const struct kf_encryption_materials **out)
{
    struct kf_encryption_request changed = *request;
    changed.required_key_count = 0;
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), &changed, error, out);
}

static enum kf_code forget_decrypt(void *self, struct kf_call *call,
                                   const struct kf_decryption_request *request, struct kf_error *error,
                                   const struct kf_decryption_materials **out)
{
    struct kf_decryption_request changed = *request;
    changed.reproduced_encryption_context = NULL;
    return kf_cmm_decrypt_materials(self, kf_call_child(call, 0), &changed, error, out);
}

static void drop_inner(void *self)
{
    kf_cmm_unref(self);
}

static void a_cmm_that_forgets_is_found_out(void **state)
{
    (void)state;
    static const struct kf_cmm_vtable vtable = {sizeof vtable, forget_encrypt, forget_decrypt, drop_inner,
                                                false};
    struct kf_cmm *forgetful, *plain = support_cmm();
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_cmm_new(&vtable, support_cmm(), &error, &forgetful), &error);
    struct kf_cmm *cmm = required_cmm(forgetful, NAMES("tenant", "zone"));
    const struct kf_encryption_context *context = client_context("tenant", "7", "zone", "z");
    const struct kf_encrypt_options options = client_encrypt_options(SUITE, 10, context);
    struct kf_buf message = KF_BUF_INIT;
    assert_int_equal(kf_encrypt(cmm, &options, client_plaintext(25), &error, &message), KF_E_BUG);
    assert_non_null(strstr(error.text, "\"tenant\", \"zone\""));
    kf_encryption_context_unref(context);

    message = message_by(plain, NULL); /* stores the tenant, and has no zone */
    assert_int_equal(read_with(cmm, message, client_context("tenant", "7", "zone", "z"), &error), KF_E_BUG);
    assert_non_null(strstr(error.text, "authenticated: \"zone\"."));
    kf_buf_free(&message);
    kf_cmm_unref(plain);
    kf_cmm_unref(cmm);
}

/* ---- Making one ---- */

static void check_options(const struct kf_required_encryption_context_cmm_options *options, const char *says)
{
    struct kf_cmm *cmm = (struct kf_cmm *)&cmm; /* anything but NULL */
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_required_encryption_context_cmm_new(options, &error, &cmm), KF_E_USAGE);
    assert_null(cmm);
    if (strstr(error.text, says) == NULL)
        fail_msg("\"%s\" is not in: %s", says, error.text);
}

static void options_out_of_bounds_are_refused(void **state)
{
    (void)state;
    struct kf_cmm *behind = support_cmm(), *cmm;
    struct kf_keyring *keyring = support_keyring();
    struct kf_required_encryption_context_cmm_options options =
        KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT;
    struct kf_view keys[] = {kf_view_text("a"), kf_view_text("b"), kf_view_text("a")};
    static uint8_t letters[65536];
    check_options(NULL, "are missing");
    options.required_keys = keys;
    options.required_key_count = 2;
    check_options(&options, "either a CMM or a keyring");
    options.cmm = behind;
    options.keyring = keyring;
    check_options(&options, "either a CMM or a keyring");
    options.keyring = NULL;
    options.required_key_count = 0;
    check_options(&options, "at least one");
    options.required_key_count = 3;
    check_options(&options, "key 3 comes twice");
    keys[1] = kf_view_text("\xff");
    check_options(&options, "Required key 2");
    memset(letters, 'a', sizeof letters);
    keys[1] = kf_view_of(letters, 65536);
    check_options(&options, "Required key 2");
    options.required_keys = NULL;
    check_options(&options, "required_keys is NULL");
    options.required_key_count = 0;
    check_options(&options, "at least one");
    options.size = 0;
    check_options(&options, "no valid size");

    options =
        (struct kf_required_encryption_context_cmm_options)KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT;
    options.keyring = keyring;
    options.required_keys = keys;
    options.required_key_count = 1;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_required_encryption_context_cmm_new(&options, &error, &cmm), &error);
    kf_cmm_unref(cmm);
    kf_cmm_unref(behind);
    kf_keyring_unref(keyring);
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    struct kf_keyring *keyring = support_keyring();
    const struct kf_view key = kf_view_text("tenant");
    const struct kf_encryption_context *context = client_context("tenant", "7");
    const struct kf_encrypt_options how = client_encrypt_options(SUITE, 10, context);
    struct kf_required_encryption_context_cmm_options options =
        KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT;
    options.keyring = keyring;
    options.required_keys = &key;
    options.required_key_count = 1;
    const size_t held = memory.held;
    enum kf_code code = KF_E_NO_MEMORY;
    size_t number;
    for (number = 1; code == KF_E_NO_MEMORY; number++) {
        struct kf_cmm *cmm;
        struct kf_buf message = KF_BUF_INIT;
        struct kf_error error = KF_ERROR_INIT;
        fail_allocation(number);
        code = kf_required_encryption_context_cmm_new(&options, &error, &cmm);
        if (code == KF_OK)
            code = kf_encrypt(cmm, &how, client_plaintext(25), &error, &message);
        fail_allocation(0);
        assert_int_equal(error.code, code);
        kf_cmm_unref(cmm);
        kf_buf_free(&message);
        assert_int_equal(memory.held, held);
    }
    assert_int_equal(code, KF_OK);
    assert_true(number > 5);
    kf_encryption_context_unref(context);
    kf_keyring_unref(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_required_is_not_stored_and_has_to_be_brought),
        cmocka_unit_test(writers_have_to_bring_it_too),
        cmocka_unit_test(a_long_list_of_missing_keys_is_cut),
        cmocka_unit_test(the_requests_own_required_keys_stay),
        cmocka_unit_test(it_works_around_a_caching_cmm_and_behind_one),
        cmocka_unit_test(it_waits_for_the_cmm_behind_it),
        cmocka_unit_test(a_cmm_that_forgets_is_found_out),
        cmocka_unit_test(options_out_of_bounds_are_refused),
        cmocka_unit_test(no_memory_is_an_error),
    };
    failing_allocator_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
