/*
 * Messages of the official Python client with its material providers, decrypted through the public interface:
 * every suite by every raw keyring, and contexts that are required.
 *
 * Reads tests/corpus/python, which python/make_corpus.py made; the first lines of cases.txt and keys.txt say
 * there what they hold. One test for each message. Never writes anything.
 */
#include "support/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

/* ---- Reading the corpus ---- */

static _Noreturn void give_up(const char *what, const char *detail)
{
    fprintf(stderr, "test_python_corpus: %s: %s\n", what, detail);
    exit(2);
}

/* The whole file, with a NUL behind it; for corpus_drop. */
static struct kf_view corpus_read(const char *file)
{
    char path[4096];
    const char *source = getenv("KEYFLIGHT_SOURCE");
    if (source == NULL)
        give_up("KEYFLIGHT_SOURCE", "is not set; ctest sets it");
    snprintf(path, sizeof path, "%s/tests/corpus/python/%s", source, file);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        give_up(path, strerror(errno));
    fseek(stream, 0, SEEK_END);
    const size_t length = (size_t)ftell(stream);
    rewind(stream);
    uint8_t *bytes = calloc(1, length + 1);
    if (bytes == NULL || fread(bytes, 1, length, stream) != length)
        give_up(path, "can't be read");
    fclose(stream);
    return kf_view_of(bytes, length);
}

static void corpus_drop(struct kf_view file)
{
    free((void *)(uintptr_t)file.data);
}

/* Cuts the next field off `*line`; `what` is wanted there. */
static char *field(char **line, const char *separators, const char *what)
{
    char *text = strsep(line, separators);
    if (text == NULL)
        give_up("a field is missing", what);
    return text;
}

/* Turns hexadecimal text into bytes in its own place. */
static struct kf_view unhex(char *text)
{
    uint8_t *bytes = (uint8_t *)text;
    const size_t length = strlen(text) / 2;
    for (size_t i = 0; i < length; i++) {
        unsigned value;
        if (sscanf(text + 2 * i, "%2x", &value) != 1)
            give_up("not hexadecimal", text);
        bytes[i] = (uint8_t)value;
    }
    return kf_view_of(bytes, length);
}

/* Calls `read` with each line of a file that is no comment. The line is its own, to keep and to cut up. */
static void each_line(const char *file, void (*read)(char *line))
{
    char *rest = (char *)(uintptr_t)corpus_read(file).data, *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (line[0] != '#' && line[0] != '\0')
            read(line);
    }
}

/* ---- Keys ---- */

/* The content of the file named in the next field; "-": none. */
static struct kf_view key_of_file(char **line)
{
    const char *name = field(line, " ", "file");
    return strcmp(name, "-") == 0 ? kf_view_of(NULL, 0) : corpus_read(name);
}

static enum kf_code read_aes(char **line, struct kf_error *error, struct kf_keyring **out)
{
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    options.key_namespace = kf_view_text(field(line, " ", "namespace"));
    options.key_name = kf_view_text(field(line, " ", "name"));
    options.wrapping_key = unhex(field(line, " ", "key"));
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
    options.key_namespace = kf_view_text(field(line, " ", "namespace"));
    options.key_name = kf_view_text(field(line, " ", "name"));
    const char *padding = field(line, " ", "padding");
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
    const char *schema = field(line, " ", "schema");
    options.schema = strcmp(schema, "static") == 0 ? KF_ECDH_STATIC : KF_ECDH_DISCOVERY;
    options.curve = (enum kf_ecdh_curve)atoi(field(line, " ", "curve"));
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
        give_up("keys.txt", "has too many keys");
    struct key *key = &keys[key_count++];
    key->label = field(&line, " ", "label");
    const char *kind = field(&line, " ", "kind");
    enum kf_code code = strcmp(kind, "aes") == 0    ? read_aes(&line, &error, &key->keyring)
                        : strcmp(kind, "rsa") == 0  ? read_rsa(&line, &error, &key->keyring)
                        : strcmp(kind, "ecdh") == 0 ? read_ecdh(&line, &error, &key->keyring)
                                                    : KF_E_USAGE;
    if (code != KF_OK)
        give_up(key->label, error.text);
}

static const struct key *key_find(const char *label)
{
    for (size_t i = 0; i < key_count; i++) {
        if (strcmp(keys[i].label, label) == 0)
            return &keys[i];
    }
    give_up("no such key", label);
}

/* ---- Cases ---- */

/* The list in the next field, or NULL if it is "-". */
static char *list_of(char **line, const char *what)
{
    char *list = field(line, " ", what);
    return strcmp(list, "-") == 0 ? NULL : list;
}

static void read_case(char *line)
{
    if (case_count == MAX_CASES)
        give_up("cases.txt", "has too many cases");
    struct test_case *c = &cases[case_count++];
    c->name = field(&line, " ", "name");
    c->suite = kf_suite_find(field(&line, " ", "suite"));
    if (c->suite == NULL)
        give_up("no such suite", c->name);
    char *list = field(&line, " ", "keys"), *item;
    while ((item = strsep(&list, ",")) != NULL && c->reader_count < MAX_READERS)
        c->readers[c->reader_count++] = key_find(item);
    c->plaintext_length = (size_t)atoi(field(&line, " ", "plaintext_length"));
    if (c->plaintext_length > plaintext.length)
        give_up("plaintext.bin is too short for", c->name);
    c->file = field(&line, " ", "ciphertext_file");
    list = list_of(&line, "context");
    while ((item = strsep(&list, ",")) != NULL && c->pair_count < MAX_PAIRS) {
        struct kf_pair *pair = &c->pairs[c->pair_count++];
        pair->key = unhex(field(&item, "=", "key"));
        pair->value = unhex(field(&item, "=", "value"));
    }
    list = list_of(&line, "required");
    while ((item = strsep(&list, ",")) != NULL && c->required_count < MAX_PAIRS)
        c->required[c->required_count++] = unhex(item);
}

/* ---- Decrypting ---- */

/* What the reader has to bring: the pairs that are required. NULL if none is. */
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

/* The keyring behind a CMM that requires what the message does. */
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

/* What is stored: the case's context without what is required; a signing suite adds its public key. */
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
    const struct kf_view message = corpus_read(c->file);
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
    /* A key that it was not written for, be it of the same curve. */
    for (size_t i = 0; i < key_count; i++) {
        bool reads = false;
        for (size_t r = 0; r < c->reader_count; r++)
            reads = reads || c->readers[r] == &keys[i];
        struct kf_cmm *cmm = client_cmm_on(kf_keyring_ref(keys[i].keyring));
        options.reproduced_encryption_context = reproduced;
        /* One RSA key serves several paddings, and PKCS#1 v1.5 may take what is OAEP for a key. */
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
    plaintext = corpus_read("plaintext.bin");
    each_line("keys.txt", read_key);
    each_line("cases.txt", read_case);
    if (case_count == 0)
        give_up("cases.txt", "has no messages");
    for (size_t i = 0; i < case_count; i++)
        tests[i] = (struct CMUnitTest){cases[i].name, test_message, NULL, NULL, &cases[i]};
    int failed = _cmocka_run_group_tests("python corpus", tests, case_count, NULL, NULL);
    for (size_t i = 0; i < key_count; i++)
        kf_keyring_unref(keys[i].keyring);
    return failed;
}
