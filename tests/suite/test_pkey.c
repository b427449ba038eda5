/*
 * Keys in files: every form in which a key may be written is read to the same numbers, everything else is
 * refused with a sentence, and no secret stays in memory that is given back.
 */
#include "support/client.h"
#include "support/keys.h"

#include <malloc.h>
#include <openssl/crypto.h>

#include "base/memory.h"
#include "suite/ecdh.h"
#include "suite/pkey.h"
#include "suite/rsa.h"

/* ---- Memory that is looked at when it is given back ---- */

static struct {
    size_t held, made, fail_at; /* of the library's allocator */
    struct kf_view secret;      /* must not be found; empty: nothing is searched for */
    uint8_t reversed[32];       /* the same, least byte first, as numbers are in memory */
    unsigned found;
} memory;

static void look(const void *block, size_t length)
{
    const size_t secret_length = memory.secret.length;
    if (secret_length > 0 && (memmem(block, length, memory.secret.data, secret_length) != NULL ||
                              memmem(block, length, memory.reversed, secret_length) != NULL))
        memory.found++;
}

static void *allocate(void *unused, size_t length)
{
    (void)unused;
    if (++memory.made == memory.fail_at)
        return NULL;
    memory.held++;
    return calloc(1, length);
}

static void release(void *unused, void *block)
{
    (void)unused;
    memory.held--;
    look(block, malloc_usable_size(block));
    free(block);
}

static void *crypto_allocate(size_t length, const char *file, int line)
{
    (void)file, (void)line;
    return calloc(1, length);
}

static void crypto_release(void *block, const char *file, int line)
{
    (void)file, (void)line;
    if (block != NULL)
        look(block, malloc_usable_size(block));
    free(block);
}

static void *crypto_reallocate(void *block, size_t length, const char *file, int line)
{
    void *larger = calloc(1, length);
    if (block != NULL && larger != NULL) {
        size_t old = malloc_usable_size(block);
        memcpy(larger, block, old < length ? old : length);
    }
    if (larger != NULL)
        crypto_release(block, file, line);
    return larger;
}

/* ---- Reading ---- */

static enum kf_code read_view(struct kf_view text, struct passphrase *passphrase, struct kf_error *error,
                              struct kfi_pkey *out)
{
    const struct kf_passphrase source = passphrase_source(passphrase);
    const size_t held = memory.held;
    *error = (struct kf_error)KF_ERROR_INIT;
    const enum kf_code code = kfi_pkey_read(text, &source, error, out);
    assert_int_equal(error->code, code);
    if (code != KF_OK) {
        assert_true(error->text[0] != '\0');
        assert_null(out->der);
        assert_int_equal(memory.held, held);
    }
    return code;
}

static struct kfi_pkey read_file(const char *name)
{
    struct passphrase secret = {"secret", 0};
    struct kfi_pkey pkey;
    struct kf_error error;
    assert_ok(read_view(key_file(name), &secret, &error, &pkey), &error);
    assert_int_equal(secret.asked, strstr(name, "encrypted") != NULL || strstr(name, "headers") != NULL);
    return pkey;
}

static void check_refused(struct kf_view text)
{
    struct passphrase secret = {"secret", 0};
    struct kfi_pkey pkey;
    struct kf_error error;
    assert_int_equal(read_view(text, &secret, &error, &pkey), KF_E_USAGE);
}

static const char *const rsa_private[] = {"rsa-pkcs1.pem",  "rsa-pkcs1.der",     "rsa-pkcs8.pem",
                                          "rsa-pkcs8.der",  "rsa-encrypted.pem", "rsa-encrypted.der",
                                          "rsa-headers.pem"};
static const char *const rsa_public[] = {"rsa-public.pem", "rsa-public.der", "rsa-public-pkcs1.pem",
                                         "rsa-public-pkcs1.der"};
static const char *const ec_private[] = {"a-sec1.pem",    "a-sec1.der",      "a-pkcs8.pem",
                                         "a-pkcs8.der",   "a-lonely.pem",    "a-lonely.der",
                                         "a-headers.pem", "a-encrypted.pem", "a-encrypted.der"};
static const char *const ec_public[] = {"a-public.pem", "a-public.der", "a-compressed.pem",
                                        "a-compressed.der"};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void every_form_of_an_rsa_key_is_read(void **state)
{
    (void)state;
    struct kfi_pkey first = read_file(rsa_private[0]);
    assert_true(first.is_rsa && first.is_private);
    assert_int_equal(first.rsa[KFI_RSA_N].length, 256);
    assert_same_bytes(first.rsa[KFI_RSA_E], kf_view_of("\x01\x00\x01", 3));
    for (size_t i = 1; i < COUNT(rsa_private); i++) {
        struct kfi_pkey pkey = read_file(rsa_private[i]);
        assert_true(pkey.is_rsa && pkey.is_private);
        for (size_t n = 0; n < KFI_RSA_NUMBERS; n++)
            assert_same_bytes(pkey.rsa[n], first.rsa[n]);
        kfi_pkey_end(&pkey);
    }
    for (size_t i = 0; i < COUNT(rsa_public); i++) {
        struct kfi_pkey pkey = read_file(rsa_public[i]);
        assert_true(pkey.is_rsa && !pkey.is_private);
        assert_same_bytes(pkey.rsa[KFI_RSA_N], first.rsa[KFI_RSA_N]);
        assert_same_bytes(pkey.rsa[KFI_RSA_E], first.rsa[KFI_RSA_E]);
        kfi_pkey_end(&pkey);
    }
    kfi_pkey_end(&first);
}

static const struct {
    const char *name;
    enum kf_ecdh_curve curve;
    size_t length;
} curves[] = {{"p256", KF_ECDH_P256, 32}, {"p384", KF_ECDH_P384, 48}, {"p521", KF_ECDH_P521, 66}};

static const char *curve_file(size_t curve, const char *rest)
{
    static char name[64];
    snprintf(name, sizeof name, "%s-%s", curves[curve].name, rest);
    return name;
}

static void every_form_of_a_key_on_a_curve_is_read(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(curves); c++) {
        struct kfi_pkey first = read_file(curve_file(c, ec_private[0]));
        assert_int_equal(first.scalar.length, curves[c].length);
        for (size_t i = 0; i < COUNT(ec_private); i++) {
            struct kfi_pkey pkey = read_file(curve_file(c, ec_private[i]));
            assert_true(!pkey.is_rsa && pkey.is_private);
            assert_int_equal(pkey.curve, curves[c].curve);
            assert_same_bytes(pkey.scalar, first.scalar);
            if (strstr(ec_private[i], "lonely") == NULL)
                assert_same_bytes(pkey.point, first.point);
            else
                assert_int_equal(pkey.point.length, 0);
            kfi_pkey_end(&pkey);
        }
        for (size_t i = 0; i < COUNT(ec_public); i++) {
            struct kfi_pkey pkey = read_file(curve_file(c, ec_public[i]));
            assert_true(!pkey.is_rsa && !pkey.is_private);
            assert_int_equal(pkey.curve, curves[c].curve);
            assert_memory_equal(pkey.point.data + 1, first.point.data + 1, curves[c].length);
            kfi_pkey_end(&pkey);
        }
        kfi_pkey_end(&first);
    }
}

/* ---- What is refused ---- */

/* Calls `check` with every file above in which one object is in DER. */
static void each_der(void (*check)(struct kf_view der))
{
    for (size_t i = 1; i < COUNT(rsa_private) - 1; i += 2)
        check(key_file(rsa_private[i]));
    for (size_t i = 1; i < COUNT(rsa_public); i += 2)
        check(key_file(rsa_public[i]));
    for (size_t c = 0; c < COUNT(curves); c++) {
        check(key_file(curve_file(c, "a-sec1.der")));
        check(key_file(curve_file(c, "a-pkcs8.der")));
        check(key_file(curve_file(c, "a-encrypted.der")));
        check(key_file(curve_file(c, "a-public.der")));
    }
}

static void check_cut(struct kf_view der)
{
    uint8_t longer[8193];
    for (size_t length = 0; length < der.length; length++)
        check_refused(kf_view_of(der.data, length));
    memcpy(longer, der.data, der.length);
    for (unsigned more = 0; more < 256; more += 51) {
        longer[der.length] = (uint8_t)more;
        check_refused(kf_view_of(longer, der.length + 1));
    }
}

static void der_is_exactly_one_object(void **state)
{
    (void)state;
    each_der(check_cut);
}

/* Whatever a byte is changed to, the answer is a key or an error with a sentence. Sanitizers watch this. */
static void check_changed(struct kf_view der)
{
    uint8_t changed[8192];
    struct passphrase nobody = {NULL, 0};
    struct kfi_pkey pkey;
    struct kf_error error;
    memcpy(changed, der.data, der.length);
    for (size_t i = 0; i < der.length; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            changed[i] ^= (uint8_t)(1 << bit);
            const enum kf_code code = read_view(kf_view_of(changed, der.length), &nobody, &error, &pkey);
            assert_true(code == KF_OK || code == KF_E_USAGE);
            if (code == KF_OK)
                kfi_pkey_end(&pkey);
            changed[i] = der.data[i];
        }
    }
}

static void changed_der_is_read_or_refused(void **state)
{
    (void)state;
    each_der(check_changed);
}

static void pem_is_exactly_one_object(void **state)
{
    (void)state;
    const struct kf_view pem = key_file("p256-a-pkcs8.pem"), other = key_file("p256-a-public.pem");
    uint8_t text[8192];
    struct passphrase nobody = {NULL, 0};
    struct kfi_pkey pkey;
    struct kf_error error;
    for (size_t length = 0; length + 2 < pem.length; length++) /* the line's end may be missing */
        check_refused(kf_view_of(pem.data, length));

    memcpy(text, " \n\t", 3);
    memcpy(text + 3, pem.data, pem.length);
    memcpy(text + 3 + pem.length, "\r\n \n", 4);
    assert_ok(read_view(kf_view_of(text, 7 + pem.length), &nobody, &error, &pkey), &error);
    kfi_pkey_end(&pkey);

    text[3 + pem.length] = 'x';
    check_refused(kf_view_of(text, 4 + pem.length));
    memcpy(text + 3 + pem.length, other.data, other.length);
    check_refused(kf_view_of(text, 3 + pem.length + other.length));
    text[0] = 'x';
    check_refused(kf_view_of(text, 3 + pem.length));
}

static void labels_of_pem_have_to_tell_the_truth(void **state)
{
    (void)state;
    const struct kf_view pem = key_file("p256-a-sec1.pem");
    char text[4096];
    const char *body = strchr((const char *)pem.data, '\n');
    const int length = (int)(strstr(body, "-----END") - body);
    static const char *const labels[] = {
        "PRIVATE KEY",           "RSA PRIVATE KEY", "PUBLIC KEY", "RSA PUBLIC KEY",
        "ENCRYPTED PRIVATE KEY", "EC PARAMETERS",   "KEY"};
    for (size_t i = 0; i < COUNT(labels); i++) {
        snprintf(text, sizeof text, "-----BEGIN %s-----%.*s-----END %s-----\n", labels[i], length, body,
                 labels[i]);
        check_refused(kf_view_text(text));
    }
}

static void other_keys_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"bad-rsa-pss.pem",     "bad-ed25519.pem",
                                        "bad-secp256k1.pem",   "bad-explicit-curve.pem",
                                        "bad-two-objects.pem", "bad-explicit-curve-public.pem",
                                        "bad-certificate.pem"};
    for (size_t i = 0; i < COUNT(names); i++)
        check_refused(key_file(names[i]));
    static uint8_t large[KFI_PKEY_TEXT_MAX + 1];
    memset(large, ' ', sizeof large);
    memcpy(large, key_file("p256-a-pkcs8.pem").data, key_file("p256-a-pkcs8.pem").length);
    struct kfi_pkey pkey;
    assert_int_equal(kfi_pkey_read(kf_view_of(large, KFI_PKEY_TEXT_MAX), NULL, NULL, &pkey), KF_OK);
    kfi_pkey_end(&pkey);
    check_refused(kf_view_of(large, sizeof large));
    check_refused(kf_view_of(NULL, 0));
    check_refused(kf_view_text("no key"));
}

/* ---- Passphrases ---- */

static void a_passphrase_is_asked_for_once_and_has_to_be_right(void **state)
{
    (void)state;
    static const char *const names[] = {"rsa-encrypted.pem", "rsa-encrypted.der", "rsa-headers.pem",
                                        "p384-a-encrypted.pem", "p384-a-headers.pem"};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct passphrase nobody = {NULL, 0}, wrong = {"Secret", 0}, empty = {"", 0};
        struct kfi_pkey pkey;
        struct kf_error error;
        assert_int_equal(read_view(key_file(names[i]), &nobody, &error, &pkey), KF_E_USAGE);
        assert_int_equal(nobody.asked, 1);
        assert_non_null(strstr(error.text, "no passphrase was given"));
        assert_int_equal(read_view(key_file(names[i]), &wrong, &error, &pkey), KF_E_USAGE);
        assert_int_equal(wrong.asked, 1);
        assert_non_null(strstr(error.text, "passphrase is wrong"));
        assert_null(strstr(error.text, "Secret"));
        assert_int_equal(read_view(key_file(names[i]), &empty, &error, &pkey), KF_E_USAGE);
        assert_int_equal(kfi_pkey_read(key_file(names[i]), NULL, &error, &pkey), KF_E_USAGE);
        assert_non_null(strstr(error.text, "no passphrase was given"));
    }
}

static bool too_long(void *context, char *out, size_t room, size_t *length)
{
    (void)context;
    memset(out, 'x', room);
    *length = room + 1;
    return true;
}

static void a_passphrase_longer_than_its_room_is_none(void **state)
{
    (void)state;
    const struct kf_passphrase source = {too_long, NULL};
    struct kfi_pkey pkey;
    assert_int_equal(kfi_pkey_read(key_file("rsa-encrypted.pem"), &source, NULL, &pkey), KF_E_USAGE);
    assert_int_equal(kfi_pkey_read(key_file("rsa-headers.pem"), &source, NULL, &pkey), KF_E_USAGE);
}

/* ---- Memory ---- */

static void no_memory_is_an_error(void **state)
{
    (void)state;
    static const char *const names[] = {"rsa-pkcs8.pem", "rsa-pkcs8.der", "rsa-encrypted.der",
                                        "rsa-headers.pem"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct kf_view text = key_file(names[i]);
        struct passphrase secret = {"secret", 0};
        struct kfi_pkey pkey;
        struct kf_error error;
        enum kf_code code = KF_E_NO_MEMORY;
        size_t number;
        for (number = 1; code == KF_E_NO_MEMORY; number++) {
            memory.made = 0;
            memory.fail_at = number;
            code = read_view(text, &secret, &error, &pkey);
        }
        memory.fail_at = 0;
        assert_ok(code, &error);
        assert_true(number > 2);
        kfi_pkey_end(&pkey);
    }
}

static void no_secret_stays_in_memory_given_back(void **state)
{
    (void)state;
    static const char *const names[] = {"p256-a-sec1.pem", "p256-a-pkcs8.pem", "p256-a-pkcs8.der",
                                        "p256-a-encrypted.pem", "p256-a-encrypted.der"};
    uint8_t scalar[32];
    struct kfi_pkey first = read_file("p256-a-sec1.der");
    memcpy(scalar, first.scalar.data, sizeof scalar);
    kfi_pkey_end(&first);
    for (size_t i = 0; i < 32; i++)
        memory.reversed[i] = scalar[31 - i];
    memory.secret = kf_view_of(scalar, sizeof scalar);
    kfi_free(kfi_copy(memory.secret)); /* the search finds it, */
    assert_int_equal(memory.found, 1);
    OPENSSL_free(OPENSSL_memdup(memory.reversed, 32)); /* and this one too */
    assert_int_equal(memory.found, 2);
    for (size_t i = 0; i < COUNT(names); i++) {
        struct kfi_pkey pkey = read_file(names[i]);
        kfi_pkey_end(&pkey);
        if (memory.found != 2)
            fail_msg("%s leaves its secret behind", names[i]);
    }
    memory.secret = kf_view_of(NULL, 0);
}

/* From now on these 32 bytes, or the last 32 of more, must not be in memory that is given back. */
static void look_for(struct kf_view secret)
{
    static uint8_t bytes[32];
    memcpy(bytes, secret.data + secret.length - 32, 32);
    for (size_t i = 0; i < 32; i++)
        memory.reversed[i] = bytes[31 - i];
    memory.secret = kf_view_of(bytes, 32);
    memory.found = 0;
}

static void keys_made_of_them_leave_nothing_behind(void **state)
{
    (void)state;
    static const enum kfi_rsa_number rsa_secrets[] = {KFI_RSA_D, KFI_RSA_P, KFI_RSA_QINV};
    struct kfi_ecdh_key *own, *peer;
    struct kfi_rsa_key *rsa;
    uint8_t out[KFI_ECDH_SECRET_MAX];
    for (size_t i = 0; i < 2; i++) { /* the private key, and the shared secret */
        struct kfi_pkey pkey = read_file("p256-a-sec1.der");
        look_for(i == 0 ? pkey.scalar : key_file("p256-secret.bin"));
        kfi_pkey_end(&pkey);
        assert_int_equal(kfi_ecdh_key_new(KF_ECDH_P256, key_file("p256-a-pkcs8.pem"), true, NULL, NULL, &own),
                         KF_OK);
        assert_int_equal(
            kfi_ecdh_key_new(KF_ECDH_P256, key_file("p256-b-public.pem"), false, NULL, NULL, &peer), KF_OK);
        /* The private key is searched for only up to here: multiplying on P-256, OpenSSL 3.0 itself leaves a copy. */
        if (i == 1) {
            assert_int_equal(kfi_ecdh_agree(own, peer, NULL, out), KF_OK);
            assert_int_equal(kfi_kdf_counter(KFI_SHA384, kf_view_of(out, 32), kf_view_text("label"),
                                             kf_view_text("context"), NULL, out, 32),
                             KF_OK);
        }
        kfi_ecdh_key_free(own);
        kfi_ecdh_key_free(peer);
        assert_int_equal(memory.found, 0);
    }
    for (size_t i = 0; i < COUNT(rsa_secrets); i++) {
        struct kfi_pkey pkey = read_file("rsa-pkcs8.der");
        look_for(pkey.rsa[rsa_secrets[i]]);
        kfi_pkey_end(&pkey);
        memory.found = 0;
        assert_int_equal(kfi_rsa_key_new(key_file("rsa-pkcs8.pem"), true, NULL, NULL, &rsa), KF_OK);
        assert_int_equal(kfi_rsa_decrypt(rsa, KF_RSA_PKCS1, key_file("rsa-pkcs1.bin"), NULL, out, 32), KF_OK);
        kfi_rsa_key_free(rsa);
        assert_int_equal(memory.found, 0);
    }
    memory.secret = kf_view_of(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_an_rsa_key_is_read),
        cmocka_unit_test(every_form_of_a_key_on_a_curve_is_read),
        cmocka_unit_test(der_is_exactly_one_object),
        cmocka_unit_test(changed_der_is_read_or_refused),
        cmocka_unit_test(pem_is_exactly_one_object),
        cmocka_unit_test(labels_of_pem_have_to_tell_the_truth),
        cmocka_unit_test(other_keys_are_refused),
        cmocka_unit_test(a_passphrase_is_asked_for_once_and_has_to_be_right),
        cmocka_unit_test(a_passphrase_longer_than_its_room_is_none),
        cmocka_unit_test(no_memory_is_an_error),
        cmocka_unit_test(no_secret_stays_in_memory_given_back),
        cmocka_unit_test(keys_made_of_them_leave_nothing_behind),
    };
    const struct kf_allocator allocator = {sizeof allocator, NULL, allocate, release};
    if (CRYPTO_set_mem_functions(crypto_allocate, crypto_reallocate, crypto_release) != 1 ||
        kf_allocator_set(&allocator) != KF_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
