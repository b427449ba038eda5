/*
 * The default CMM: suites, signing keys, required pairs, and what it takes from its keyring.
 */
#include "support/asker.h"

#include "materials/materials.h"

static const struct kf_encryption_context *context_of(const char *key, const char *value, const char *key2,
                                                      const char *value2)
{
    const struct kf_encryption_context *context;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryption_context_of(&error, &context, key, value, key2, value2, (char *)NULL), &error);
    return context;
}

static bool has(const struct kf_encryption_context *context, const char *key)
{
    return kf_encryption_context_get(context, kf_view_text(key), NULL);
}

/* ---- A keyring that counts, and can be told to do it wrong ---- */

static struct {
    unsigned wraps, unwraps;
    size_t key_length; /* what it wraps and unwraps; 0: no key */
    size_t edks;
    enum kf_code key_set; /* what kf_wrapped_data_key_set said */
} keys;

static const uint8_t key_bytes[64] = "sixty-four bytes of key material, more than any suite needs....";
static const struct kf_edk edk = {
    {(const uint8_t *)"user", 4}, {(const uint8_t *)"info", 4}, {(const uint8_t *)"wrapped", 7}};

static enum kf_code wrap(void *self, struct kf_call *call, const struct kf_encryption_materials *materials,
                         struct kf_error *error, struct kf_wrapped *out)
{
    (void)self, (void)call, (void)materials;
    keys.wraps++;
    if (keys.key_length > 0) {
        keys.key_set = kf_wrapped_data_key_set(out, kf_view_of(key_bytes, keys.key_length), error);
        if (keys.key_set != KF_OK)
            return keys.key_set;
    }
    for (size_t i = 0; i < keys.edks; i++) {
        enum kf_code code = kf_wrapped_edk_add(out, &edk, error);
        if (code != KF_OK)
            return code;
    }
    return KF_OK;
}

static enum kf_code unwrap(void *self, struct kf_call *call, const struct kf_decryption_materials *materials,
                           const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                           struct kf_data_key *out)
{
    (void)self, (void)call, (void)materials, (void)edks, (void)edk_count, (void)error;
    keys.unwraps++;
    out->length = keys.key_length;
    memcpy(out->bytes, key_bytes, sizeof out->bytes);
    return KF_OK;
}

static struct kf_cmm *counting_cmm(size_t key_length, size_t edks)
{
    static const struct kf_keyring_vtable vtable = {sizeof vtable, wrap, unwrap, NULL, false};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    struct kf_cmm *cmm;
    memset(&keys, 0, sizeof keys);
    keys.key_length = key_length;
    keys.edks = edks;
    assert_ok(kf_keyring_new(&vtable, NULL, &error, &keyring), &error);
    assert_ok(kf_default_cmm_new(keyring, &error, &cmm), &error);
    kf_keyring_unref(keyring);
    return cmm;
}

/* ---- Suites and policies ---- */

static void the_policy_chooses_the_suite(void **state)
{
    (void)state;
    static const struct {
        enum kf_commitment_policy policy;
        enum kf_suite suite;
    } choices[] = {
        {KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384},
        {KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384},
        {KF_FORBID_ENCRYPT_ALLOW_DECRYPT, KF_AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384},
    };
    struct kf_cmm *cmm = support_cmm();
    for (size_t i = 0; i < 3; i++) {
        struct kf_encryption_request request = encryption_request(1);
        struct asker asker;
        request.suite = KF_SUITE_DEFAULT;
        request.commitment_policy = choices[i].policy;
        assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_OK);
        assert_int_equal(kf_encryption_materials_suite(asker.encryption_materials), choices[i].suite);
        assert_int_equal(kf_encryption_materials_data_key(asker.encryption_materials).length, 32);
        assert_int_equal(kf_encryption_materials_edk_count(asker.encryption_materials), 1);
        asker_leave(&asker);
    }
    kf_cmm_unref(cmm);
}

static void what_is_refused_never_reaches_the_keyring(void **state)
{
    (void)state;
    struct kf_cmm *cmm = counting_cmm(32, 1);
    struct kf_encryption_request request = encryption_request(1);
    struct asker asker;
    request.suite = KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256;
    assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_E_POLICY);
    asker_leave(&asker);
    request = encryption_request(1);
    request.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_E_POLICY);
    asker_leave(&asker);
    request = encryption_request(1);
    request.suite = (enum kf_suite)0x1234;
    assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_E_USAGE);
    asker_leave(&asker);
    const struct kf_encryption_context *reserved = context_of("aws-crypto-public-key", "mine", "a", "b");
    request = encryption_request(1);
    request.encryption_context = reserved;
    assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_E_POLICY);
    asker_leave(&asker);
    const struct kf_view missing = kf_view_text("missing");
    request = encryption_request(1);
    request.required_keys = &missing;
    request.required_key_count = 1;
    assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_E_POLICY);
    asker_leave(&asker);

    struct kf_decryption_request reading = decryption_request(&edk, 1);
    reading.suite = KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256;
    assert_int_equal(asker_decrypt(&asker, cmm, &reading), KF_E_POLICY);
    asker_leave(&asker);
    reading.suite = (enum kf_suite)0x1234;
    assert_int_equal(asker_decrypt(&asker, cmm, &reading), KF_E_USAGE);
    asker_leave(&asker);
    assert_int_equal(keys.wraps + keys.unwraps, 0);
    kf_encryption_context_unref(reserved);
    kf_cmm_unref(cmm);
}

/* ---- Contexts ---- */

static void a_signing_suite_puts_its_public_key_into_the_context(void **state)
{
    (void)state;
    struct kf_cmm *cmm = support_cmm();
    const struct kf_encryption_context *context = context_of("a", "b", "c", "d");
    struct kf_encryption_request request = encryption_request(1);
    struct asker first, second, unsigned_one;
    request.encryption_context = context;
    assert_int_equal(asker_encrypt(&unsigned_one, cmm, &request), KF_OK);
    request.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
    assert_int_equal(asker_encrypt(&first, cmm, &request), KF_OK);
    assert_int_equal(asker_encrypt(&second, cmm, &request), KF_OK);

    const struct kf_encryption_context *plain =
        kf_encryption_materials_encryption_context(unsigned_one.encryption_materials);
    assert_int_equal(kf_encryption_context_count(plain), 2);
    assert_null(unsigned_one.encryption_materials->signing_key);

    struct kf_view keys_of_two[2];
    const struct asker *const two[2] = {&first, &second};
    for (size_t i = 0; i < 2; i++) {
        const struct kf_encryption_materials *materials = two[i]->encryption_materials;
        const struct kf_encryption_context *whole = kf_encryption_materials_encryption_context(materials);
        assert_int_equal(kf_encryption_context_count(whole), 3);
        assert_true(kf_encryption_context_get(whole, kf_view_text("aws-crypto-public-key"), &keys_of_two[i]));
        assert_int_equal(keys_of_two[i].length, 68);
        assert_true(has(materials->stored, "aws-crypto-public-key"));
        assert_non_null(materials->signing_key);
    }
    assert_memory_not_equal(keys_of_two[0].data, keys_of_two[1].data, 68); /* a fresh pair each time */
    assert_int_equal(kf_encryption_context_count(context), 2);
    asker_leave(&first);
    asker_leave(&second);
    asker_leave(&unsigned_one);
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
}

static void required_pairs_are_authenticated_and_not_stored(void **state)
{
    (void)state;
    struct kf_cmm *cmm = support_cmm();
    const struct kf_encryption_context *context = context_of("stored", "1", "required", "2");
    const struct kf_view required = kf_view_text("required");
    struct kf_encryption_request request = encryption_request(1);
    struct asker asker;
    request.encryption_context = context;
    request.required_keys = &required;
    request.required_key_count = 1;
    assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_OK);
    const struct kf_encryption_materials *materials = asker.encryption_materials;
    assert_true(has(kf_encryption_materials_encryption_context(materials), "stored"));
    assert_true(has(kf_encryption_materials_encryption_context(materials), "required"));
    assert_true(has(kf_encryption_materials_required_context(materials), "required"));
    assert_false(has(kf_encryption_materials_required_context(materials), "stored"));
    assert_true(has(materials->stored, "stored"));
    assert_false(has(materials->stored, "required"));

    /* The reader has to bring it: the keyring authenticated the whole context. */
    const struct kf_encryption_context *stored, *reproduced;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryption_context_of(&error, &stored, "stored", "1", (char *)NULL), &error);
    assert_ok(kf_encryption_context_of(&error, &reproduced, "required", "2", (char *)NULL), &error);
    const struct kf_edk wrapped = kf_encryption_materials_edk(materials, 0);
    struct kf_decryption_request reading = decryption_request(&wrapped, 1);
    struct asker reader;
    reading.encryption_context = stored;
    assert_int_equal(asker_decrypt(&reader, cmm, &reading), KF_E_KEYS);
    asker_leave(&reader);
    reading.reproduced_encryption_context = reproduced;
    assert_int_equal(asker_decrypt(&reader, cmm, &reading), KF_OK);
    assert_true(askers_share_key(&asker, &reader));
    const struct kf_decryption_materials *read = reader.decryption_materials;
    assert_true(has(kf_decryption_materials_encryption_context(read), "stored"));
    assert_true(has(kf_decryption_materials_encryption_context(read), "required"));
    assert_true(has(kf_decryption_materials_required_context(read), "required"));
    assert_false(has(kf_decryption_materials_required_context(read), "stored"));
    asker_leave(&reader);

    /* A reproduced pair that contradicts what is stored. */
    const struct kf_encryption_context *wrong = context_of("required", "2", "stored", "other");
    reading.reproduced_encryption_context = wrong;
    assert_int_equal(asker_decrypt(&reader, cmm, &reading), KF_E_POLICY);
    asker_leave(&reader);
    asker_leave(&asker);
    kf_encryption_context_unref(wrong);
    kf_encryption_context_unref(stored);
    kf_encryption_context_unref(reproduced);
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
}

static void the_public_key_and_the_suite_have_to_agree(void **state)
{
    (void)state;
    struct kf_cmm *cmm = support_cmm();
    struct kf_encryption_request request = encryption_request(1);
    struct asker writer, reader;
    request.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
    assert_int_equal(asker_encrypt(&writer, cmm, &request), KF_OK);
    const struct kf_edk wrapped = kf_encryption_materials_edk(writer.encryption_materials, 0);
    struct kf_decryption_request reading = decryption_request(&wrapped, 1);
    reading.suite = request.suite;
    reading.encryption_context = writer.encryption_materials->stored;
    assert_int_equal(asker_decrypt(&reader, cmm, &reading), KF_OK);
    assert_true(askers_share_key(&writer, &reader));
    assert_non_null(reader.decryption_materials->verification_key);
    asker_leave(&reader);

    /*
     * A public key, but a suite that does not sign; a suite that signs, but no public key, or none that is
     * one.
     */
    reading.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    assert_int_equal(asker_decrypt(&reader, cmm, &reading), KF_E_MALFORMED);
    asker_leave(&reader);
    const struct kf_encryption_context *without = context_of("a", "b", "c", "d");
    const struct kf_encryption_context *invalid = context_of("aws-crypto-public-key", "none", "c", "d");
    reading.suite = request.suite;
    reading.encryption_context = without;
    assert_int_equal(asker_decrypt(&reader, cmm, &reading), KF_E_MALFORMED);
    asker_leave(&reader);
    reading.encryption_context = invalid;
    assert_int_equal(asker_decrypt(&reader, cmm, &reading), KF_E_MALFORMED);
    asker_leave(&reader);
    asker_leave(&writer);
    kf_encryption_context_unref(without);
    kf_encryption_context_unref(invalid);
    kf_cmm_unref(cmm);
}

/* ---- What the keyring answers ---- */

static void a_keyring_has_to_bring_a_key_and_wrap_it(void **state)
{
    (void)state;
    struct asker asker;
    struct kf_cmm *cmm = counting_cmm(0, 1);
    assert_int_equal(asker_ask(&asker, cmm, 1), KF_E_KEYS);
    assert_non_null(strstr(asker.error.text, "no data key"));
    asker_leave(&asker);
    kf_cmm_unref(cmm);

    cmm = counting_cmm(32, 0);
    assert_int_equal(asker_ask(&asker, cmm, 1), KF_E_KEYS);
    assert_non_null(strstr(asker.error.text, "wrapped no data key"));
    asker_leave(&asker);
    kf_cmm_unref(cmm);

    cmm = counting_cmm(32, 3);
    assert_int_equal(asker_ask(&asker, cmm, 1), KF_OK);
    assert_int_equal(kf_encryption_materials_edk_count(asker.encryption_materials), 3);
    const struct kf_edk copy = kf_encryption_materials_edk(asker.encryption_materials, 2);
    assert_ptr_not_equal(copy.ciphertext.data, edk.ciphertext.data);
    assert_memory_equal(copy.ciphertext.data, edk.ciphertext.data, 7);
    asker_leave(&asker);
    kf_cmm_unref(cmm);
}

static void a_data_key_has_the_length_of_its_suite(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 16, 24, 31, 33, 64};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct kf_cmm *cmm = counting_cmm(lengths[i], 1);
        struct asker asker;
        assert_int_equal(asker_ask(&asker, cmm, 1), KF_E_USAGE);
        assert_int_equal(keys.key_set, KF_E_USAGE);
        asker_leave(&asker);
        const struct kf_decryption_request request = decryption_request(&edk, 1);
        assert_int_equal(asker_decrypt(&asker, cmm, &request), KF_E_KEYS);
        asker_leave(&asker);
        kf_cmm_unref(cmm);
    }
    struct kf_cmm *cmm = counting_cmm(16, 1);
    struct kf_encryption_request request = encryption_request(1);
    struct kf_decryption_request reading = decryption_request(&edk, 1);
    struct asker asker;
    request.suite = reading.suite = KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256;
    request.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    reading.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_OK);
    asker_leave(&asker);
    assert_int_equal(asker_decrypt(&asker, cmm, &reading), KF_OK);
    asker_leave(&asker);
    /* No key at all from a keyring that says it could. */
    keys.key_length = 0;
    assert_int_equal(asker_decrypt(&asker, cmm, &reading), KF_E_KEYS);
    asker_leave(&asker);
    kf_cmm_unref(cmm);
}

/* ---- A keyring that takes its time ---- */

static struct {
    unsigned polls;
    bool ready;
    const struct kf_encryption_materials *seen;
} slow;

static enum kf_code slow_wrap(void *self, struct kf_call *call,
                              const struct kf_encryption_materials *materials, struct kf_error *error,
                              struct kf_wrapped *out)
{
    (void)self, (void)call;
    assert_true(slow.seen == NULL || slow.seen == materials);
    slow.seen = materials;
    slow.polls++;
    if (slow.polls == 1)
        return kf_wrapped_data_key_set(out, kf_view_of(key_bytes, 32), error) == KF_OK ? KF_PENDING
                                                                                       : KF_E_BUG;
    if (!slow.ready)
        return KF_PENDING;
    return kf_wrapped_edk_add(out, &edk, error);
}

static void what_a_keyring_gave_is_kept_from_poll_to_poll(void **state)
{
    (void)state;
    static const struct kf_keyring_vtable vtable = {sizeof vtable, slow_wrap, unwrap, NULL, false};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    struct kf_cmm *cmm;
    struct asker asker;
    memset(&slow, 0, sizeof slow);
    assert_ok(kf_keyring_new(&vtable, NULL, &error, &keyring), &error);
    assert_ok(kf_default_cmm_new(keyring, &error, &cmm), &error);
    assert_int_equal(asker_ask(&asker, cmm, 1), KF_PENDING);
    assert_int_equal(asker_poll(&asker), KF_PENDING);
    slow.ready = true;
    assert_int_equal(asker_poll(&asker), KF_OK);
    assert_int_equal(slow.polls, 3);
    assert_memory_equal(asker_key(&asker).data, key_bytes, 32);
    asker_leave(&asker);

    /* Given up in the middle: what was wrapped so far goes. */
    memset(&slow, 0, sizeof slow);
    assert_int_equal(asker_ask(&asker, cmm, 1), KF_PENDING);
    asker_leave(&asker);
    kf_cmm_unref(cmm);
    kf_keyring_unref(keyring);
}

static void a_default_cmm_needs_a_keyring(void **state)
{
    (void)state;
    struct kf_cmm *cmm = NULL;
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_default_cmm_new(NULL, &error, &cmm), KF_E_USAGE);
    assert_int_equal(error.code, KF_E_USAGE);
    assert_null(cmm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_chooses_the_suite),
        cmocka_unit_test(what_is_refused_never_reaches_the_keyring),
        cmocka_unit_test(a_signing_suite_puts_its_public_key_into_the_context),
        cmocka_unit_test(required_pairs_are_authenticated_and_not_stored),
        cmocka_unit_test(the_public_key_and_the_suite_have_to_agree),
        cmocka_unit_test(a_keyring_has_to_bring_a_key_and_wrap_it),
        cmocka_unit_test(a_data_key_has_the_length_of_its_suite),
        cmocka_unit_test(what_a_keyring_gave_is_kept_from_poll_to_poll),
        cmocka_unit_test(a_default_cmm_needs_a_keyring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
