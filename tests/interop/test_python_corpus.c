/*
 * Messages of the official Python client with its material providers, decrypted through the public interface:
 * every suite by every raw keyring, and contexts that are required.
 *
 * Reads tests/corpus/python, which python/make_corpus.py made; the first lines of cases.txt and keys.txt there say what
 * they hold. Each message is a test. Never writes anything.
 */
#include "support/client.h"
#include "support/corpus.h"

#include <string.h>

#define CORPUS "python"

#define MAX_KEYS 32
#define MAX_READERS 16
#define MAX_PAIRS 16
#define MAX_CASES 500

struct key {
    const char *label;
    struct kf_keyring *keyring;
};

struct test_case {
    const char *name;
    const struct kf_suite_info *suite;
    const struct key *readers[MAX_READERS];
    size_t reader_count;
    size_t plaintext_length;
    const char *file;
    struct kf_pair pairs[MAX_PAIRS];
    size_t pair_count;
    struct kf_view required[MAX_PAIRS];
    size_t required_count;
};

/* Read once, before any test; reachable until the end. */
static struct key keys[MAX_KEYS];
static size_t key_count;
static struct test_case cases[MAX_CASES];
static size_t case_count;
static struct kf_view plaintext;

/* ---- Keys ---- */

/* The content of the file named in the next field; "-": none. */
static struct kf_view key_of_file(char **line)
{
    const char *name = corpus_field(line, " ", "file");
    return strcmp(name, "-") == 0 ? kf_view_of(NULL, 0) : corpus_read(CORPUS, name);
}

static enum kf_code read_aes(char **line, struct kf_error *error, struct kf_keyring **out)
{
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    options.key_namespace = kf_view_text(corpus_field(line, " ", "namespace"));
    options.key_name = kf_view_text(corpus_field(line, " ", "name"));
    options.wrapping_key = corpus_unhex(corpus_field(line, " ", "key"));
    return kf_raw_aes_keyring_new(&options, error, out);
}

static enum kf_code read_rsa(char **line, struct kf_error *error, struct kf_keyring **out)
{
    static const char *const paddings[] = {
        [KF_RSA_PKCS1] = "pkcs1",
        [KF_RSA_OAEP_SHA1] = "oaep-sha1",
        [KF_RSA_OAEP_SHA256] = "oaep-sha256",
        [KF_RSA_OAEP_SHA384] = "oaep-sha384",
        [KF_RSA_OAEP_SHA512] = "oaep-sha512",
    };
    struct kf_raw_rsa_keyring_options options = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    options.key_namespace = kf_view_text(corpus_field(line, " ", "namespace"));
    options.key_name = kf_view_text(corpus_field(line, " ", "name"));
    const char *padding = corpus_field(line, " ", "padding");
    for (int i = KF_RSA_PKCS1; i <= KF_RSA_OAEP_SHA512; i++) {
        if (strcmp(paddings[i], padding) == 0)
            options.padding = (enum kf_rsa_padding)i;
    }
    options.private_key = key_of_file(line);
    enum kf_code code = kf_raw_rsa_keyring_new(&options, error, out);
    corpus_drop(options.private_key);
    return code;
}

static enum kf_code read_ecdh(char **line, struct kf_error *error, struct kf_keyring **out)
{
    struct kf_raw_ecdh_keyring_options options = KF_RAW_ECDH_KEYRING_OPTIONS_INIT;
    const char *schema = corpus_field(line, " ", "schema");
    options.schema = strcmp(schema, "static") == 0 ? KF_ECDH_STATIC : KF_ECDH_DISCOVERY;
    options.curve = (enum kf_ecdh_curve)atoi(corpus_field(line, " ", "curve"));
    options.private_key = key_of_file(line);
    options.public_key = key_of_file(line);
    enum kf_code code = kf_raw_ecdh_keyring_new(&options, error, out);
    corpus_drop(options.private_key);
    corpus_drop(options.public_key);
    return code;
}

static void read_key(char *line)
{
    struct kf_error error = KF_ERROR_INIT;
    if (key_count == MAX_KEYS)
        corpus_give_up("keys.txt", "has too many keys");
    struct key *key = &keys[key_count++];
    key->label = corpus_field(&line, " ", "label");
    const char *kind = corpus_field(&line, " ", "kind");
    enum kf_code code = strcmp(kind, "aes") == 0    ? read_aes(&line, &error, &key->keyring)
                        : strcmp(kind, "rsa") == 0  ? read_rsa(&line, &error, &key->keyring)
                        : strcmp(kind, "ecdh") == 0 ? read_ecdh(&line, &error, &key->keyring)
                                                    : KF_E_USAGE;
    if (code != KF_OK)
        corpus_give_up(key->label, error.text);
}

static const struct key *key_find(const char *label)
{
    for (size_t i = 0; i < key_count; i++) {
        if (strcmp(keys[i].label, label) == 0)
            return &keys[i];
    }
    corpus_give_up("no such key", label);
}

/* ---- Cases ---- */

/* The list in the next field, or NULL if it is "-". */
static char *list_of(char **line, const char *what)
{
    char *list = corpus_field(line, " ", what);
    return strcmp(list, "-") == 0 ? NULL : list;
}

static void read_case(char *line)
{
    if (case_count == MAX_CASES)
        corpus_give_up("cases.txt", "has too many cases");
    struct test_case *c = &cases[case_count++];
    c->name = corpus_field(&line, " ", "name");
    c->suite = kf_suite_find(corpus_field(&line, " ", "suite"));
    if (c->suite == NULL)
        corpus_give_up("no such suite", c->name);
    char *list = corpus_field(&line, " ", "keys"), *item;
    while ((item = strsep(&list, ",")) != NULL && c->reader_count < MAX_READERS)
        c->readers[c->reader_count++] = key_find(item);
    c->plaintext_length = corpus_number(&line, "plaintext_length");
    if (c->plaintext_length > plaintext.length)
        corpus_give_up("plaintext.bin is too short for", c->name);
    c->file = corpus_field(&line, " ", "ciphertext_file");
    list = list_of(&line, "context");
    while ((item = strsep(&list, ",")) != NULL && c->pair_count < MAX_PAIRS) {
        struct kf_pair *pair = &c->pairs[c->pair_count++];
        pair->key = corpus_unhex(corpus_field(&item, "=", "key"));
        pair->value = corpus_unhex(corpus_field(&item, "=", "value"));
    }
    list = list_of(&line, "required");
    while ((item = strsep(&list, ",")) != NULL && c->required_count < MAX_PAIRS)
        c->required[c->required_count++] = corpus_unhex(item);
}

/* ---- Decrypting ---- */

/* The pairs that are required, which the reader has to give again. NULL if there are none. */
static const struct kf_encryption_context *reproduced_of(const struct test_case *c)
{
    struct kf_pair pairs[MAX_PAIRS];
    const struct kf_encryption_context *context;
    struct kf_error error = KF_ERROR_INIT;
    size_t count = 0;
    for (size_t i = 0; i < c->pair_count; i++) {
        for (size_t r = 0; r < c->required_count; r++) {
            if (c->pairs[i].key.length == c->required[r].length &&
                memcmp(c->pairs[i].key.data, c->required[r].data, c->required[r].length) == 0)
                pairs[count++] = c->pairs[i];
        }
    }
    assert_int_equal(count, c->required_count);
    if (count == 0)
        return NULL;
    assert_ok(kf_encryption_context_new(pairs, count, &error, &context), &error);
    return context;
}

/* A CMM on the keyring that requires what the message requires. */
static struct kf_cmm *cmm_of(const struct test_case *c, struct kf_keyring *keyring)
{
    struct kf_cmm *cmm;
    struct kf_error error = KF_ERROR_INIT;
    if (c->required_count == 0) {
        assert_ok(kf_default_cmm_new(keyring, &error, &cmm), &error);
        return cmm;
    }
    struct kf_required_encryption_context_cmm_options options =
        KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT;
    options.keyring = keyring;
    options.required_keys = c->required;
    options.required_key_count = c->required_count;
    assert_ok(kf_required_encryption_context_cmm_new(&options, &error, &cmm), &error);
    return cmm;
}

/* The message stores the case's context without what is required; a signing suite adds its public key. */
static void check_header(const struct test_case *c, const struct kf_header *header)
{
    const struct kf_encryption_context *stored = kf_header_encryption_context(header);
    assert_int_equal(kf_header_suite(header)->id, c->suite->id);
    assert_int_equal(kf_encryption_context_count(stored),
                     c->pair_count - c->required_count + (c->suite->sign ? 1 : 0));
    for (size_t i = 0; i < c->required_count; i++)
        assert_false(kf_encryption_context_get(stored, c->required[i], NULL));
    for (size_t i = 0; i < c->pair_count; i++) {
        struct kf_view value;
        if (kf_encryption_context_get(stored, c->pairs[i].key, &value))
            assert_same_bytes(value, c->pairs[i].value);
    }
}

static void test_message(void **state)
{
    const struct test_case *c = *state;
    const struct kf_view message = corpus_read(CORPUS, c->file);
    const struct kf_encryption_context *reproduced = reproduced_of(c);
    struct kf_decrypt_options options = client_decrypt_options();
    for (size_t i = 0; i < c->reader_count; i++) {
        struct kf_cmm *cmm = cmm_of(c, c->readers[i]->keyring);
        struct kf_error error = KF_ERROR_INIT;
        const struct kf_header *header;
        struct kf_buf out = KF_BUF_INIT;
        options.reproduced_encryption_context = reproduced;
        assert_ok(kf_decrypt(cmm, &options, message, &error, &header, &out), &error);
        assert_same_bytes(buf_view(out), kf_view_of(plaintext.data, c->plaintext_length));
        check_header(c, header);
        kf_header_unref(header);
        kf_buf_free(&out);

        options.reproduced_encryption_context = NULL;
        if (c->required_count > 0)
            assert_refused(cmm, &options, message, KF_E_POLICY);
        kf_cmm_unref(cmm);
    }
    /* A key that it was not written for is refused, even one of the same curve. */
    for (size_t i = 0; i < key_count; i++) {
        bool reads = false;
        for (size_t r = 0; r < c->reader_count; r++)
            reads = reads || c->readers[r] == &keys[i];
        struct kf_cmm *cmm = client_cmm_on(kf_keyring_ref(keys[i].keyring));
        options.reproduced_encryption_context = reproduced;
        /* One RSA key serves several paddings, and PKCS#1 v1.5 may make a key of what OAEP wrapped. */
        if (!reads && strcmp(keys[i].label, "rsa2048-pkcs1") != 0)
            assert_refused(cmm, &options, message, KF_E_KEYS);
        kf_cmm_unref(cmm);
    }
    kf_encryption_context_unref(reproduced);
    corpus_drop(message);
}

int main(void)
{
    static struct CMUnitTest tests[MAX_CASES];
    plaintext = corpus_read(CORPUS, "plaintext.bin");
    corpus_each_line(CORPUS, "keys.txt", read_key);
    corpus_each_line(CORPUS, "cases.txt", read_case);
    if (case_count == 0)
        corpus_give_up("cases.txt", "has no messages");
    for (size_t i = 0; i < case_count; i++)
        tests[i] = (struct CMUnitTest){cases[i].name, test_message, NULL, NULL, &cases[i]};
    int failed = _cmocka_run_group_tests("python corpus", tests, case_count, NULL, NULL);
    for (size_t i = 0; i < key_count; i++)
        kf_keyring_unref(keys[i].keyring);
    return failed;
}
