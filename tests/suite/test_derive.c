/*
 * HKDF and the keys of messages, against RFC 5869 and answers that another implementation of HMAC computed.
 */
#include "bytes.h"

#include "suite/derive.h"
#include "suite/hmac.h"

static void assert_hkdf(enum kfi_hash hash, struct bytes salt, struct bytes key, struct bytes info,
                        struct bytes expected)
{
    struct kfi_hmac hmac;
    uint8_t out[sizeof expected.data];
    assert_int_equal(kfi_hmac_begin(hash, NULL, &hmac), KF_OK);
    assert_int_equal(kfi_hkdf_extract(&hmac, view(&salt), view(&key), NULL), KF_OK);
    /* Twice: an expansion does not disturb the next one. */
    for (int time = 0; time < 2; time++) {
        assert_int_equal(kfi_hkdf_expand(&hmac, view(&info), NULL, out, expected.length), KF_OK);
        assert_memory_equal(out, expected.data, expected.length);
    }
    kfi_hmac_end(&hmac);
}

static void hkdf_gives_the_answers_of_rfc_5869(void **state)
{
    (void)state;
    struct bytes key = hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    struct bytes none = {.length = 0};
    /* A.1 */
    assert_hkdf(KFI_SHA256, range(0, 13), key, range(0xf0, 10),
                hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"));
    /* A.2: a salt that is longer than a block */
    assert_hkdf(
        KFI_SHA256, range(0x60, 80), range(0, 80), range(0xb0, 80),
        hex("b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e"
            "09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"));
    /* A.3: neither salt nor info */
    assert_hkdf(KFI_SHA256, none, key, none,
                hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"));
}

/* The RFC has no vectors for these digests. */
static void hkdf_gives_known_answers_by_longer_digests(void **state)
{
    (void)state;
    struct bytes key = hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    assert_hkdf(KFI_SHA384, range(0, 13), key, range(0xf0, 10),
                hex("9b5097a86038b805309076a44b3a9f38063e25b516dcbf369f394cfab43685f748b6457763e4f0204fc5"));
    assert_hkdf(KFI_SHA512, range(0, 13), key, range(0xf0, 10),
                hex("832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c1481579338da362cb8d9f925d7cb"));
    /* A salt that is longer than a block, and more than one digest of output. */
    assert_hkdf(
        KFI_SHA384, range(0, 200), range(0, 80), range(0xb0, 80),
        hex("c3ef50884055dac10f12109e27765981450b9d5c4609bc53b955bf5644ba74f5c28db082bedcc2cc2e17cf1adb4eda"
            "534f76d406ec94c615dd2f46c19d754ab76ba15d6469d6c7d465291976b25cee3b541503cdadcd887046170e1df397"
            "4906ff66ceccee6a53bed5d8f70ff691d2a7e6b70a21cd13ed9dbefea54965bf737593f16ddbcfe1d63dce2622c304"
            "25883b85a815ef083adc45c51b006429d46bc2e9aaf08901fbc2a12cb8ab80969e13f1efb794f3dcba81925600a797"
            "fd344cd6eeff9dac7622496c"));
    assert_hkdf(
        KFI_SHA512, range(0, 200), range(0, 80), range(0xb0, 80),
        hex("fc5501085918724faa25650ce87d06e135f319a0cf0f2a92d3687df6c5ae6a0fcfd5efc908c71212a18524548868de"
            "258181db7352f7e30813d161001c5299cc7ba4a3561221ab92883a4ae0f6118c010ffc64621ed8f576208005959d83"
            "de7a2ae9833fce558d35b0613556aa99f1d8e9cc44c538bf4b3878f5b95af67f761c95820e16e23709c3d8cd898622"
            "107befe272dac1d13add2a28b38399ba881e650cacfc5ec5bf35f58ebf77d8a11d5e7fca5ec7793510aac048658116"
            "2edefcc6a9647551e6fd5f25"));
}

static void hkdf_goes_to_its_last_block(void **state)
{
    (void)state;
    struct kfi_hmac hmac;
    static uint8_t out[255 * 32];
    struct bytes key = hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    struct bytes last = hex("c081476d201226dbc6c1cc80de7d3909de02634126d2e57f47aae9cd77993ea6");
    assert_int_equal(kfi_hmac_begin(KFI_SHA256, NULL, &hmac), KF_OK);
    assert_int_equal(kfi_hkdf_extract(&hmac, kf_view_of(NULL, 0), view(&key), NULL), KF_OK);
    assert_int_equal(kfi_hkdf_expand(&hmac, kf_view_of(NULL, 0), NULL, out, sizeof out), KF_OK);
    kfi_hmac_end(&hmac);
    assert_memory_equal(out + sizeof out - last.length, last.data, last.length);
}

/* Data key 40 41 42…, message id a0 a1 a2…. */
static const struct {
    int id;
    const char *key;
    const char *commit_key;
} known[] = {
    {0x0014, "404142434445464748494a4b4c4d4e4f", NULL},
    {0x0046, "404142434445464748494a4b4c4d4e4f5051525354555657", NULL},
    {0x0078, "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f", NULL},
    {0x0114, "a0b8bbed0ec7e640a9dbdf2611247181", NULL},
    {0x0146, "01b342236f25cb9d5f1231597d7a65326844b33a21e98868", NULL},
    {0x0178, "2d0b38f1c80e8776e43955aa412766c5577b7ebcf3d4967979720bf7592939cd", NULL},
    {0x0214, "abd6da4004cf529d49ccdbefff4560ec", NULL},
    {0x0346, "0651a69e10aaf53fed9e3e26d8110f727fcccca37d23d477", NULL},
    {0x0378, "541251c2d666b7c19c4c53f9bc645931b8446195fb67867d3e68b9ae5e4af372", NULL},
    {0x0478, "45423de36e0876ee6ad6bcfc2ec6d253f9a17bb137ee737fa6e9a9a65760ffaf",
     "94423982e5485ff460bf2dda32e9487b3dd9fd4a607ded3cf88386f01b9f748f"},
    {0x0578, "68e8bfd44369e82b38046c229b3fa589e17239b771ac228758ede7dff206e833",
     "94423982e5485ff460bf2dda32e9487b3dd9fd4a607ded3cf88386f01b9f748f"},
};

static void every_suite_derives_its_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const struct kfi_suite *suite = kfi_suite_get((enum kf_suite)known[i].id);
        struct bytes data_key = range(0x40, suite->info.data_key_length);
        struct bytes message_id = range(0xa0, suite->message_id_length);
        struct bytes expected = hex(known[i].key);
        struct kfi_message_key key;
        assert_int_equal(kfi_derive(suite, view(&data_key), view(&message_id), NULL, &key), KF_OK);
        assert_int_equal(key.length, expected.length);
        assert_memory_equal(key.key, expected.data, expected.length);
        if (known[i].commit_key != NULL)
            assert_memory_equal(key.commit_key, hex(known[i].commit_key).data, KFI_COMMIT_KEY_LENGTH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hkdf_gives_the_answers_of_rfc_5869),
        cmocka_unit_test(hkdf_gives_known_answers_by_longer_digests),
        cmocka_unit_test(hkdf_goes_to_its_last_block),
        cmocka_unit_test(every_suite_derives_its_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
