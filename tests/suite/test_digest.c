/*
 * Digests against known answers (FIPS 180-4's examples), in one part and in several.
 */
#include "bytes.h"

#include "suite/digest.h"

static const struct {
    enum kfi_hash hash;
    size_t length;
    const char *of_nothing;
    const char *of_abc;
} known[] = {
    {KFI_SHA256, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {KFI_SHA384, 48,
     "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
    {KFI_SHA512, 64,
     "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931b"
     "d"
     "47417a81a538327af927da3e",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d442"
     "3"
     "643ce80e2a9ac94fa54ca49f"},
};

static void digests_are_the_known_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint8_t digest[KFI_HASH_MAX];
        assert_int_equal(kfi_hash_length(known[i].hash), known[i].length);

        assert_int_equal(kfi_digest(known[i].hash, NULL, 0, NULL, digest), KF_OK);
        assert_memory_equal(digest, hex(known[i].of_nothing).data, known[i].length);

        struct kf_view whole = kf_view_text("abc");
        assert_int_equal(kfi_digest(known[i].hash, &whole, 1, NULL, digest), KF_OK);
        assert_memory_equal(digest, hex(known[i].of_abc).data, known[i].length);

        const struct kf_view parts[] = {kf_view_text("a"), kf_view_of(NULL, 0), kf_view_text("bc")};
        assert_int_equal(kfi_digest(known[i].hash, parts, 3, NULL, digest), KF_OK);
        assert_memory_equal(digest, hex(known[i].of_abc).data, known[i].length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_the_known_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
