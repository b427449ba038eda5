/*
 * Messages of the official JavaScript client, decrypted through the public interface: in one call, and byte
 * by byte.
 *
 * Reads tests/corpus/js, which js/make-corpus.mjs made; cases.txt says there what it holds. One test for each
 * message, intact or spoilt. Never writes anything.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <keyflight/keyflight.h>

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
    size_t plaintext_length; /* of a spoilt message: what it held before */
    char *file;
    struct kf_pair pairs[MAX_PAIRS];
    size_t pair_count;
};

/* Read once, before any test; reachable until the end. */
static struct key keys[MAX_KEYS];
static size_t key_count;
static struct test_case cases[MAX_CASES];
static size_t case_count;
static struct kf_buf plaintext;
static struct kf_decrypt_options any_suite = KF_DECRYPT_OPTIONS_INIT;

/* ---- Reading the corpus ---- */

static _Noreturn void give_up(const char *what, const char *detail)
{
    fprintf(stderr, "test_js_corpus: %s: %s\n", what, detail);
    exit(2);
}

static FILE *corpus_open(const char *file)
{
    char path[4096];
    const char *source = getenv("KEYFLIGHT_SOURCE");

    if (source == NULL)
        give_up("KEYFLIGHT_SOURCE", "is not set; ctest sets it");
    snprintf(path, sizeof path, "%s/tests/corpus/js/%s", source, file);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        give_up(path, strerror(errno));
    return stream;
}

static void *checked(void *memory)
{
    if (memory == NULL)
        give_up("memory", "is exhausted");
    return memory;
}

/* The whole file, with malloc; for free. */
static struct kf_buf corpus_read(const char *file)
{
    struct kf_buf buf = KF_BUF_INIT;
    FILE *stream = corpus_open(file);

    do {
        buf.capacity = 2 * buf.capacity + 4096;
        buf.data = checked(realloc(buf.data, buf.capacity));
        buf.length += fread(buf.data + buf.length, 1, buf.capacity - buf.length, stream);
    } while (buf.length == buf.capacity);
    if (ferror(stream))
        give_up(file, "can't be read");
    fclose(stream);
    return buf;
}

/* Cuts the next field off `*line`; `what` is wanted there. */
static char *field(char **line, const char *separators, const char *what)
{
    char *text = strsep(line, separators);

    if (text == NULL)
        give_up("a field is missing", what);
    return text;
}

static unsigned long number(char **line, const char *what)
{
    char *text = field(line, " ", what);
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0')
        give_up("not a number", text);
    return value;
}

static int hex_digit(char digit)
{
    const char *digits = "0123456789abcdef";
    const char *place = digit == '\0' ? NULL : strchr(digits, digit);

    if (place == NULL)
        give_up("not a hexadecimal digit", (char[]){digit, '\0'});
    return (int)(place - digits);
}

/* Turns hexadecimal text into bytes in its own place. */
static struct kf_view unhex(char *text)
{
    uint8_t *bytes = (uint8_t *)text;
    size_t length = strlen(text) / 2;

    if (strlen(text) % 2 != 0)
        give_up("an odd number of hexadecimal digits", text);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    return kf_view_of(bytes, length);
}

/* Calls `read` with each line of a file that is no comment. The line is its own, to keep and to cut up. */
static void each_line(const char *file, void (*read)(char *line))
{
    FILE *stream = corpus_open(file);
    char *line = NULL;
    size_t room = 0;
    ssize_t length;

    while ((length = getline(&line, &room, stream)) > 0) {
        if (line[length - 1] == '\n')
            line[length - 1] = '\0';
        if (line[0] != '#')
            read(checked(strdup(line)));
    }
    free(line);
    fclose(stream);
}

static void read_key(char *line)
{
    if (key_count == MAX_KEYS)
        give_up("keys.txt", "has too many keys");
    struct key *key = &keys[key_count++];
    key->label = field(&line, " ", "label");
    key->key_namespace = field(&line, " ", "namespace");
    key->name = field(&line, " ", "name");
    struct kf_view bytes = unhex(field(&line, " ", "key"));
    if (bytes.length > sizeof key->bytes)
        give_up("a key is too long", key->label);
    key->length = bytes.length;
    memcpy(key->bytes, bytes.data, bytes.length);
}

static const struct key *key_find(const char *label)
{
    for (size_t i = 0; i < key_count; i++) {
        if (strcmp(keys[i].label, label) == 0)
            return &keys[i];
    }
    give_up("no such key", label);
}

static void read_pairs(struct test_case *c, char *list)
{
    char *pair;

    if (strcmp(list, "-") == 0)
        return;
    while ((pair = strsep(&list, ",")) != NULL) {
        if (c->pair_count == MAX_PAIRS)
            give_up("too many pairs", c->name);
        struct kf_pair *into = &c->pairs[c->pair_count++];
        into->key = unhex(field(&pair, "=", "key"));
        into->value = unhex(field(&pair, "=", "value"));
    }
}

static void read_case(char *line)
{
    if (case_count == MAX_CASES)
        give_up("cases.txt", "has too many cases");
    struct test_case *c = &cases[case_count];
    c->name = field(&line, " ", "name");
    const char *expect = field(&line, " ", "expect");
    c->expect = strcmp(expect, "ok") == 0        ? KF_CLASS_OK
                : strcmp(expect, "message") == 0 ? KF_CLASS_MESSAGE
                : strcmp(expect, "keys") == 0    ? KF_CLASS_KEYS
                                                 : KF_CLASS_BUG;
    if (c->expect == KF_CLASS_BUG)
        give_up("not an expectation", expect);
    const char *suite = field(&line, " ", "suite");
    c->suite = kf_suite_find(suite);
    if (c->suite == NULL)
        give_up("no such suite", suite);
    char *labels = field(&line, " ", "keys");
    char *label;
    while ((label = strsep(&labels, ",")) != NULL) {
        if (c->key_count == MAX_KEYS)
            give_up("too many keys", c->name);
        c->keys[c->key_count++] = key_find(label);
    }
    c->frame_length = (uint32_t)number(&line, "frame_length");
    c->plaintext_length = number(&line, "plaintext_length");
    if (c->plaintext_length > plaintext.length)
        give_up("plaintext.bin is too short for", c->name);
    c->file = field(&line, " ", "ciphertext_file");
    read_pairs(c, field(&line, " ", "context"));
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

/*
 * How much of the plaintext a stream may have given when it failed: frames that were authentic, in their
 * order.
 */
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
        if (code > 0) /* with room and input, or its end, something has to move */
            assert_true(io.in_used + io.out_used > 0);
    } while (code > 0);

    if (code < 0 && c->expect == KF_CLASS_OK)
        print_error("%s\n", kf_decryptor_error(decryptor)->text);
    if (c->expect == KF_CLASS_OK || code == KF_OK) {
        assert_int_equal(code, KF_OK);
        assert_int_equal(given, c->plaintext_length);
        check_header(c, kf_decryptor_header(decryptor));
        check_context(c, kf_decryptor_encryption_context(decryptor));
        /* of what is only wrong behind its end, a stream leaves that to the caller */
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
    struct kf_buf file = corpus_read(c->file);
    struct kf_view message = kf_view_of(file.data, file.length);

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
    free(file.data);
}

int main(void)
{
    static struct CMUnitTest tests[MAX_CASES];

    plaintext = corpus_read("plaintext.bin");
    each_line("keys.txt", read_key);
    each_line("cases.txt", read_case);
    any_suite.commitment_policy = KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT;
    if (case_count == 0)
        give_up("cases.txt", "has no cases");
    for (size_t i = 0; i < case_count; i++)
        tests[i] = (struct CMUnitTest){cases[i].name, test_message, NULL, NULL, &cases[i]};
    return _cmocka_run_group_tests("js corpus", tests, case_count, NULL, NULL);
}
