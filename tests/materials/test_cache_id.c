/*
 * Cache identifiers: the specification's formula, and what stands beside it.
 *
 * The expected identifiers were computed by other means than the library's. In Python:
 *
 *     from hashlib import sha384
 *     from struct import pack
 *     def field(b): return pack(">H", len(b)) + b
 *     def context(d):
 *         return pack(">H", len(d)) + b"".join(field(k) + field(d[k]) for k in sorted(d)) if d else b""
 *     def encrypt(partition, suite, d):
 *         named = b"\0\0" if suite is None else b"\1\0" + pack(">H", suite) + b"\0"
 *         return sha384(b"\1\0\1\0" + partition + b"\0" + named + context(d)).hexdigest()
 *     def decrypt(partition, suite, edks, d):
 *         keys = b"".join(sorted(b"".join(map(field, edk)) for edk in edks))
 *         front = b"\1\0\2\0" + partition + b"\0" + pack(">H", suite) + b"\0"
 *         return sha384(front + keys + b"\0" + context(d)).hexdigest()
 */
#include "support/asker.h"

#include <stdio.h>

#include "base/bytes.h"
#include "materials/cache/key.h"

static const struct kf_encryption_context *context_of(const char *key, const char *value)
{
    const struct kf_encryption_context *context;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryption_context_of(&error, &context, key, value, (char *)NULL), &error);
    return context;
}

/* {"purpose": "test", "a": "", "ä": "1"}, in an order that is not theirs. */
static const struct kf_encryption_context *some_context(void)
{
    const struct kf_encryption_context *context;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(
        kf_encryption_context_of(&error, &context, "purpose", "test", "\xc3\xa4", "1", "a", "", (char *)NULL),
        &error);
    return context;
}

static struct kfi_cache_key encryption_key(struct kf_view partition,
                                           const struct kf_encryption_request *request)
{
    struct kfi_cache_key key;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kfi_cache_key_encryption(partition, request, &error, &key), &error);
    return key;
}

static struct kfi_cache_key decryption_key(struct kf_view partition,
                                           const struct kf_decryption_request *request)
{
    struct kfi_cache_key key;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kfi_cache_key_decryption(partition, request, &error, &key), &error);
    return key;
}

static void assert_id(struct kfi_cache_key key, const char *expected)
{
    char text[2 * KFI_CACHE_ID_LENGTH + 1];
    for (size_t i = 0; i < KFI_CACHE_ID_LENGTH; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned)key.id[i]);
    assert_string_equal(text, expected);
}

static bool same_id(struct kfi_cache_key a, struct kfi_cache_key b)
{
    return memcmp(a.id, b.id, sizeof a.id) == 0;
}

static bool same(struct kfi_cache_key a, struct kfi_cache_key b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static const struct kf_edk edks[3] = {
    {{(const uint8_t *)"tests", 5}, {(const uint8_t *)"key", 3}, {(const uint8_t *)"\1\2\3", 3}},
    {{NULL, 0}, {NULL, 0}, {NULL, 0}},
    {{(const uint8_t *)"tests", 5}, {(const uint8_t *)"kex", 3}, {(const uint8_t *)"\xff\xff\xff\xff", 4}},
};

static void identifiers_are_the_specifications(void **state)
{
    (void)state;
    const struct kf_view partition = kf_view_text("partition");
    const struct kf_encryption_context *context = some_context();
    struct kf_encryption_request request = encryption_request(1);
    request.suite = KF_SUITE_DEFAULT;
    assert_id(
        encryption_key(partition, &request),
        "d31c8f705202d529ed9449b09452fc78097f90b95e96ee4c306ae08e090c010812879c75692376ebb57341a1de576d89");
    request.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    assert_id(
        encryption_key(partition, &request),
        "db32b2792d89271779f5ab0ef977d7892febd4c4defc7c6e10aabd4a59d4cb0fd648fbdd886993311645eadb383024de");
    request.suite = KF_SUITE_DEFAULT;
    request.encryption_context = context;
    assert_id(
        encryption_key(partition, &request),
        "da9e262e800e7f2aef0db3aa199f7bf7f829d87e63bdcb0007b9f5240d20d8789a0ebaf01c70ee4c47b564518e198a83");
    request.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
    assert_id(
        encryption_key(partition, &request),
        "3b12d609b069a58780bd67c09de3273de286ed680dc525d88d20aaf8d22289522dd09d381643ddf7484fce8fe7dae185");
    request.suite = KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256;
    request.encryption_context = NULL;
    assert_id(
        encryption_key(kf_view_of("p\0", 2), &request),
        "e70c3d31d8d07e1f9648c66b7064ee18cde7a6a7b0184635bfa87b6f924dba787ef04f8c9e91c4f542e251bdeec3fab6");

    struct kf_decryption_request reading = decryption_request(edks, 1);
    assert_id(
        decryption_key(partition, &reading),
        "97ccb11b95abd0019fcb720a6b4b1d2bcc40506099ad1c9cf26e7a1900b7d4f548f140c119ce8b8c68b275dc865baf0c");
    reading = decryption_request(edks, 3);
    reading.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
    reading.encryption_context = context;
    assert_id(
        decryption_key(partition, &reading),
        "3fc5ad1a2da3b512a396577a7f5fc32f08cab6c0b060870a16fed21f2af578afd99ceef9aa122700a9e6f81813f356b5");
    kf_encryption_context_unref(context);
}

static void equal_requests_have_equal_keys(void **state)
{
    (void)state;
    const struct kf_view partition = kf_view_text("partition");
    const struct kf_encryption_context *context = some_context(), *again = some_context();
    struct kf_encryption_request a = encryption_request(1), b = encryption_request(1000000);
    a.encryption_context = context;
    b.encryption_context = again;
    assert_true(same(encryption_key(partition, &a), encryption_key(partition, &b)));

    /* Neither the order of required keys nor one that is named twice makes a difference. */
    const struct kf_view one_way[] = {kf_view_text("a"), kf_view_text("purpose")};
    const struct kf_view another[] = {kf_view_text("purpose"), kf_view_text("a"), kf_view_text("purpose")};
    a.required_keys = one_way;
    a.required_key_count = 2;
    b.required_keys = another;
    b.required_key_count = 3;
    assert_true(same(encryption_key(partition, &a), encryption_key(partition, &b)));

    /* Nor does the order of EDKs, nor an empty context where there is none. */
    const struct kf_edk turned[3] = {edks[2], edks[0], edks[1]};
    const struct kf_encryption_context *empty;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryption_context_new(NULL, 0, &error, &empty), &error);
    struct kf_decryption_request c = decryption_request(edks, 3), d = decryption_request(turned, 3);
    d.encryption_context = empty;
    d.reproduced_encryption_context = empty;
    assert_true(same(decryption_key(partition, &c), decryption_key(partition, &d)));
    kf_encryption_context_unref(empty);
    kf_encryption_context_unref(context);
    kf_encryption_context_unref(again);
}

static void everything_in_a_request_to_encrypt_makes_a_difference(void **state)
{
    (void)state;
    const struct kf_view partition = kf_view_text("partition");
    const struct kf_encryption_context *context = some_context(), *other_context = context_of("a", "b");
    const struct kf_view required[] = {kf_view_text("a"), kf_view_text("purpose")};
    struct kf_encryption_request requests[10];
    for (size_t i = 0; i < 10; i++) {
        requests[i] = encryption_request(1);
        requests[i].encryption_context = context;
    }
    requests[1].suite = KF_SUITE_DEFAULT;
    requests[2].encryption_context = other_context;
    requests[3].encryption_context = NULL;
    /* From here on only what stands beside the identifier. */
    requests[4].commitment_policy = KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT;
    requests[5].max_edks = 1;
    requests[6].max_edks = 256;
    requests[7].required_keys = required;
    requests[7].required_key_count = 1;
    requests[8].required_keys = required;
    requests[8].required_key_count = 2;
    requests[9].commitment_policy = (enum kf_commitment_policy)256; /* is none, and must not look like 0 */

    const struct kfi_cache_key plain = encryption_key(partition, &requests[0]);
    for (size_t i = 0; i < 10; i++) {
        const struct kfi_cache_key key = encryption_key(partition, &requests[i]);
        assert_true(same_id(key, plain) == (i == 0 || i >= 4));
        for (size_t k = 0; k < i; k++)
            assert_false(same(key, encryption_key(partition, &requests[k])));
        assert_false(same_id(key, encryption_key(kf_view_text("partitioN"), &requests[i])));
        assert_false(same_id(key, encryption_key(kf_view_text("partition2"), &requests[i])));
    }

    /* A required key that the context does not have. */
    struct kfi_cache_key key;
    struct kf_error error = KF_ERROR_INIT;
    requests[7].encryption_context = NULL;
    assert_int_equal(kfi_cache_key_encryption(partition, &requests[7], &error, &key), KF_E_POLICY);
    assert_int_equal(error.code, KF_E_POLICY);
    kf_encryption_context_unref(context);
    kf_encryption_context_unref(other_context);
}

static void everything_in_a_request_to_decrypt_makes_a_difference(void **state)
{
    (void)state;
    const struct kf_view partition = kf_view_text("partition");
    const struct kf_encryption_context *context = some_context(), *part = context_of("a", ""),
                                       *other = context_of("a", "x");
    struct kf_decryption_request requests[10];
    for (size_t i = 0; i < 10; i++) {
        requests[i] = decryption_request(edks, 3);
        requests[i].encryption_context = context;
    }
    requests[1].suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
    requests[2].encryption_context = part;
    requests[3].edk_count = 2;
    requests[4].edks = edks + 1;
    requests[4].edk_count = 2;
    /* From here on only what stands beside the identifier. */
    requests[5].commitment_policy = KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT;
    requests[6].max_edks = 3;
    requests[7].reproduced_encryption_context = context;
    requests[8].reproduced_encryption_context = part;
    requests[9].reproduced_encryption_context = other;

    const struct kfi_cache_key plain = decryption_key(partition, &requests[0]);
    for (size_t i = 0; i < 10; i++) {
        const struct kfi_cache_key key = decryption_key(partition, &requests[i]);
        assert_true(same_id(key, plain) == (i == 0 || i >= 5));
        for (size_t k = 0; k < i; k++)
            assert_false(same(key, decryption_key(partition, &requests[k])));
        assert_false(same_id(key, decryption_key(kf_view_text("partitioN"), &requests[i])));
    }
    kf_encryption_context_unref(context);
    kf_encryption_context_unref(part);
    kf_encryption_context_unref(other);
}

static void directions_never_meet(void **state)
{
    (void)state;
    const struct kf_view partition = kf_view_text("partition");
    const struct kf_encryption_request writing = encryption_request(1);
    const struct kf_decryption_request reading = decryption_request(edks, 1);
    assert_false(same_id(encryption_key(partition, &writing), decryption_key(partition, &reading)));
}

/* ---- Requests that the identifier alone takes for the same ---- */

static const struct kf_encryption_context *context_of_pairs(const struct kf_pair *pairs, size_t count)
{
    const struct kf_encryption_context *context;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryption_context_new(pairs, count, &error, &context), &error);
    return context;
}

#define X_COUNT 1137
#define PAIR_COUNT 255
#define PAIR_LENGTH 6 /* 00 02, two letters, 00 00 */

/*
 * The formula does not say where the partition ends. These hash the same bytes, if both name suite 0478:
 *
 *     partition "p"                 context: 256 pairs, the first of a key of 0x0478 bytes that begins with 00
 *     partition "p" 00 01 00 04 78  context: what follows that 00: one pair of an empty key and a long value
 */
static void a_partition_with_zero_bytes_is_not_mistaken_for_another(void **state)
{
    (void)state;
    const size_t value_length = X_COUNT + 2 + PAIR_COUNT * PAIR_LENGTH;
    static uint8_t value[X_COUNT + 2 + PAIR_COUNT * PAIR_LENGTH];
    static uint8_t long_key[7 + X_COUNT];
    struct kf_pair pairs[1 + PAIR_COUNT] = {{kf_view_of(long_key, sizeof long_key), kf_view_of(NULL, 0)}};
    struct kfi_writer writer = {value, sizeof value, false};
    for (size_t i = 0; i < X_COUNT; i++)
        kfi_write_u8(&writer, 'x');
    kfi_write_u16(&writer, 0); /* the empty value of the long key */
    for (size_t i = 0; i < PAIR_COUNT; i++) {
        kfi_write_u16(&writer, 2);
        pairs[1 + i].key = kf_view_of(writer.next, 2);
        kfi_write_u8(&writer, (uint8_t)('a' + i / 16));
        kfi_write_u8(&writer, (uint8_t)('a' + i % 16));
        kfi_write_u16(&writer, 0);
    }
    assert_int_equal(writer.room, 0);
    writer = (struct kfi_writer){long_key, sizeof long_key, false};
    kfi_write_u8(&writer, 0);
    kfi_write_u16(&writer, 1);                      /* one pair */
    kfi_write_u16(&writer, 0);                      /* of an empty key */
    kfi_write_u16(&writer, (uint16_t)value_length); /* and a long value */
    kfi_write_bytes(&writer, kf_view_of(value, X_COUNT));
    assert_int_equal(sizeof long_key, 0x0478);

    const struct kf_pair pair = {kf_view_of(NULL, 0), kf_view_of(value, value_length)};
    const struct kf_encryption_context *many = context_of_pairs(pairs, 1 + PAIR_COUNT),
                                       *one = context_of_pairs(&pair, 1);
    struct kf_encryption_request request = encryption_request(1);
    request.encryption_context = many;
    const struct kfi_cache_key first = encryption_key(kf_view_of("p", 1), &request);
    request.encryption_context = one;
    const struct kfi_cache_key second = encryption_key(kf_view_of("p\0\1\0\x04\x78", 6), &request);
    assert_true(same_id(first, second));
    assert_false(same(first, second));
    kf_encryption_context_unref(many);
    kf_encryption_context_unref(one);
}

/* Nor where the EDKs end: an EDK and no context hash as no such EDK and a context. */
static void an_edk_is_not_mistaken_for_a_context(void **state)
{
    (void)state;
    uint8_t value[256], info[256] = {0x00, 0x01, 0x00};
    memset(value, 'y', 253);
    memset(value + 253, 0, 3);
    memset(info + 3, 'y', 253);
    const struct kf_pair pair = {kf_view_of(NULL, 0), kf_view_of(value, sizeof value)};
    const struct kf_edk two[2] = {edks[1],
                                  {kf_view_of(NULL, 0), kf_view_of(info, sizeof info), kf_view_of(NULL, 0)}};
    const struct kf_encryption_context *context = context_of_pairs(&pair, 1);
    struct kf_decryption_request a = decryption_request(two, 1), b = decryption_request(two, 2);
    a.encryption_context = context;
    const struct kfi_cache_key first = decryption_key(kf_view_text("p"), &a);
    const struct kfi_cache_key second = decryption_key(kf_view_text("p"), &b);
    assert_true(same_id(first, second));
    assert_false(same(first, second));
    kf_encryption_context_unref(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identifiers_are_the_specifications),
        cmocka_unit_test(equal_requests_have_equal_keys),
        cmocka_unit_test(everything_in_a_request_to_encrypt_makes_a_difference),
        cmocka_unit_test(everything_in_a_request_to_decrypt_makes_a_difference),
        cmocka_unit_test(directions_never_meet),
        cmocka_unit_test(a_partition_with_zero_bytes_is_not_mistaken_for_another),
        cmocka_unit_test(an_edk_is_not_mistaken_for_a_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
