/*
 * Messages of the official JavaScript client, decrypted through the public interface: in one call, and byte
 * by byte.
 *
 * Reads tests/corpus/js, which js/make-corpus.mjs made; cases.txt there says what it holds. Each message, intact or
 * spoilt, is a test. Never writes anything.
 */
#include "support/corpus.h"

#include <string.h>

#include <keyflight/keyflight.h>

#define CORPUS "js"

#define MAX_KEYS 8
#define MAX_PAIRS 80
#define MAX_CASES 1000

struct key {
    char *label;
    char *key_namespace;
    char *name;
    uint8_t bytes[32];
    size_t length;
};

struct test_case {
    char *name;
    enum kf_class expect;
    const struct kf_suite_info *suite;
    const struct key *keys[MAX_KEYS];
    size_t key_count;
    uint32_t frame_length;
    size_t plaintext_length; /* of a spoilt message: before it was spoilt */
    char *file;
    struct kf_pair pairs[MAX_PAIRS];
    size_t pair_count;
};

/* Read once, before any test; reachable until the end. */
static struct key keys[MAX_KEYS];
static size_t key_count;
static struct test_case cases[MAX_CASES];
static size_t case_count;
static struct kf_view plaintext;
static struct kf_decrypt_options any_suite = KF_DECRYPT_OPTIONS_INIT;

/* ---- Reading the corpus ---- */

static void read_key(char *line)
{
    if (key_count == MAX_KEYS)
        corpus_give_up("keys.txt", "has too many keys");
    struct key *key = &keys[key_count++];
    key->label = corpus_field(&line, " ", "label");
    key->key_namespace = corpus_field(&line, " ", "namespace");
    key->name = corpus_field(&line, " ", "name");
    struct kf_view bytes = corpus_unhex(corpus_field(&line, " ", "key"));
    if (bytes.length > sizeof key->bytes)
        corpus_give_up("a key is too long", key->label);
    key->length = bytes.length;
    memcpy(key->bytes, bytes.data, bytes.length);
}

static const struct key *key_find(const char *label)
{
    for (size_t i = 0; i < key_count; i++) {
        if (strcmp(keys[i].label, label) == 0)
            return &keys[i];
    }
    corpus_give_up("no such key", label);
}

static void read_pairs(struct test_case *c, char *list)
{
    char *pair;

    if (strcmp(list, "-") == 0)
        return;
    while ((pair = strsep(&list, ",")) != NULL) {
        if (c->pair_count == MAX_PAIRS)
            corpus_give_up("too many pairs", c->name);
        struct kf_pair *into = &c->pairs[c->pair_count++];
        into->key = corpus_unhex(corpus_field(&pair, "=", "key"));
        into->value = corpus_unhex(corpus_field(&pair, "=", "value"));
    }
}

static void read_case(char *line)
{
    if (case_count == MAX_CASES)
        corpus_give_up("cases.txt", "has too many cases");
    struct test_case *c = &cases[case_count];
    c->name = corpus_field(&line, " ", "name");
    const char *expect = corpus_field(&line, " ", "expect");
    c->expect = strcmp(expect, "ok") == 0        ? KF_CLASS_OK
                : strcmp(expect, "message") == 0 ? KF_CLASS_MESSAGE
                : strcmp(expect, "keys") == 0    ? KF_CLASS_KEYS
                                                 : KF_CLASS_BUG;
    if (c->expect == KF_CLASS_BUG)
        corpus_give_up("not an expectation", expect);
    const char *suite = corpus_field(&line, " ", "suite");
    c->suite = kf_suite_find(suite);
    if (c->suite == NULL)
        corpus_give_up("no such suite", suite);
    char *labels = corpus_field(&line, " ", "keys");
    char *label;
    while ((label = strsep(&labels, ",")) != NULL) {
        if (c->key_count == MAX_KEYS)
            corpus_give_up("too many keys", c->name);
        c->keys[c->key_count++] = key_find(label);
    }
    c->frame_length = (uint32_t)corpus_number(&line, "frame_length");
    c->plaintext_length = corpus_number(&line, "plaintext_length");
    if (c->plaintext_length > plaintext.length)
        corpus_give_up("plaintext.bin is too short for", c->name);
    c->file = corpus_field(&line, " ", "ciphertext_file");
    read_pairs(c, corpus_field(&line, " ", "context"));
    case_count++;
}

/* ---- Decrypting ---- */

static struct kf_cmm *cmm_of(struct kf_keyring *keyring)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = NULL;

    assert_int_equal(kf_default_cmm_new(keyring, &error, &cmm), KF_OK);
    kf_keyring_unref(keyring);
    return cmm;
}

static struct kf_keyring *keyring_of(const struct key *key)
{
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = NULL;

    options.key_namespace = kf_view_text(key->key_namespace);
    options.key_name = kf_view_text(key->name);
    options.wrapping_key = kf_view_of(key->bytes, key->length);
    assert_int_equal(kf_raw_aes_keyring_new(&options, &error, &keyring), KF_OK);
    return keyring;
}

/* A multi-keyring that knows all keys of the corpus but "wrong", which has the name of another one. */
static struct kf_keyring *keyring_of_all(void)
{
    struct kf_keyring *children[MAX_KEYS] = {NULL};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = NULL;
    size_t count = 0;

    for (size_t i = 0; i < key_count; i++) {
        if (strcmp(keys[i].label, "wrong") != 0)
            children[count++] = keyring_of(&keys[i]);
    }
    assert_int_equal(kf_multi_keyring_new(NULL, children, count, &error, &keyring), KF_OK);
    while (count > 0)
        kf_keyring_unref(children[--count]);
    return keyring;
}

/* The context is the case's; a signing suite adds its public key. */
static void check_context(const struct test_case *c, const struct kf_encryption_context *context)
{
    size_t more = c->suite->sign ? 1 : 0;

    assert_int_equal(kf_encryption_context_count(context), c->pair_count + more);
    assert_int_equal(kf_encryption_context_get(context, kf_view_text("aws-crypto-public-key"), NULL),
                     c->suite->sign);
    for (size_t i = 0; i < c->pair_count; i++) {
        struct kf_view value = {NULL, 0};
        assert_true(kf_encryption_context_get(context, c->pairs[i].key, &value));
        assert_int_equal(value.length, c->pairs[i].value.length);
        if (value.length > 0)
            assert_memory_equal(value.data, c->pairs[i].value.data, value.length);
    }
}

static void check_header(const struct test_case *c, const struct kf_header *header)
{
    assert_non_null(header);
    assert_int_equal(kf_header_suite(header)->id, c->suite->id);
    assert_int_equal(kf_header_frame_length(header), c->frame_length);
    assert_int_equal(kf_header_edk_count(header), c->key_count);
    check_context(c, kf_header_encryption_context(header));
}

static void check_error(const struct test_case *c, enum kf_code code, const struct kf_error *error)
{
    assert_int_equal(kf_code_class(code), c->expect);
    assert_int_equal(error->code, code);
    assert_int_not_equal(error->text[0], '\0');
}

static void decrypt_at_once(const struct test_case *c, struct kf_cmm *cmm, struct kf_view message)
{
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_header *header = NULL;
    struct kf_buf out = KF_BUF_INIT;
    enum kf_code code = kf_decrypt(cmm, &any_suite, message, &error, &header, &out);

    if (c->expect == KF_CLASS_OK) {
        if (code != KF_OK)
            print_error("%s\n", error.text);
        assert_int_equal(code, KF_OK);
        assert_int_equal(out.length, c->plaintext_length);
        if (out.length > 0)
            assert_memory_equal(out.data, plaintext.data, out.length);
        check_header(c, header);
    } else {
        check_error(c, code, &error);
        assert_int_equal(out.length, 0);
        assert_null(header);
    }
    kf_header_unref(header);
    kf_buf_free(&out);
}

/* How much of the plaintext a stream may have given before it failed: authentic frames, in their order. */
static size_t releasable(const struct test_case *c)
{
    if (c->expect == KF_CLASS_KEYS)
        return 0;
    if (c->suite->sign && c->plaintext_length > 0) /* the final frame waits for the signature */
        return (c->plaintext_length - 1) / c->frame_length * c->frame_length;
    return c->plaintext_length;
}

static void decrypt_byte_by_byte(const struct test_case *c, struct kf_cmm *cmm, struct kf_view message)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_decryptor *decryptor = NULL;
    size_t used = 0;
    size_t given = 0;
    enum kf_code code;

    assert_int_equal(kf_decryptor_new(cmm, &any_suite, &error, &decryptor), KF_OK);
    do {
        uint8_t byte = 0;
        struct kf_io io = {0};
        io.in = message.data + used;
        io.in_length = used < message.length ? 1 : 0;
        io.in_end = used + io.in_length == message.length;
        io.out = &byte;
        io.out_room = 1;
        code = kf_decryptor_poll(decryptor, &io, NULL);
        used += io.in_used;
        if (io.out_used > 0) {
            assert_true(given < c->plaintext_length);
            assert_int_equal(byte, plaintext.data[given]);
            given++;
        }
        if (code > 0) /* there was room, and input or its end: something has to move */
            assert_true(io.in_used + io.out_used > 0);
    } while (code > 0);

    if (code < 0 && c->expect == KF_CLASS_OK)
        print_error("%s\n", kf_decryptor_error(decryptor)->text);
    if (c->expect == KF_CLASS_OK || code == KF_OK) {
        assert_int_equal(code, KF_OK);
        assert_int_equal(given, c->plaintext_length);
        check_header(c, kf_decryptor_header(decryptor));
        check_context(c, kf_decryptor_encryption_context(decryptor));
        /* a stream leaves to the caller what follows the end of the message */
        assert_int_equal(used < message.length, c->expect != KF_CLASS_OK);
    } else {
        check_error(c, code, kf_decryptor_error(decryptor));
        assert_true(given <= releasable(c));
    }
    kf_decryptor_free(decryptor);
}

static void test_message(void **state)
{
    const struct test_case *c = *state;
    struct kf_view message = corpus_read(CORPUS, c->file);

    for (size_t i = 0; i < c->key_count; i++) {
        struct kf_cmm *cmm = cmm_of(keyring_of(c->keys[i]));
        decrypt_at_once(c, cmm, message);
        decrypt_byte_by_byte(c, cmm, message);
        kf_cmm_unref(cmm);
    }
    if (c->expect == KF_CLASS_OK) {
        struct kf_cmm *cmm = cmm_of(keyring_of_all());
        decrypt_at_once(c, cmm, message);
        kf_cmm_unref(cmm);
    }
    corpus_drop(message);
}

int main(void)
{
    static struct CMUnitTest tests[MAX_CASES];

    plaintext = corpus_read(CORPUS, "plaintext.bin");
    corpus_each_line(CORPUS, "keys.txt", read_key);
    corpus_each_line(CORPUS, "cases.txt", read_case);
    any_suite.commitment_policy = KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT;
    if (case_count == 0)
        corpus_give_up("cases.txt", "has no cases");
    for (size_t i = 0; i < case_count; i++)
        tests[i] = (struct CMUnitTest){cases[i].name, test_message, NULL, NULL, &cases[i]};
    return _cmocka_run_group_tests("js corpus", tests, case_count, NULL, NULL);
}
