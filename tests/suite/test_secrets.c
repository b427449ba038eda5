/*
 * What happens to secrets: no memory is given back with a key in it. And what happens when things run out: a lack of
 * memory or of random bytes is an error, never a crash, a leak or a weak key.
 *
 * The program brings its own allocators (ours and GMP's), which look at what they get back, and stands
 * between the library and RAND_bytes_ex.
 */
#include "signatures.h"

#include <dlfcn.h>
#include <openssl/rand.h>
#include <stdlib.h>

#ifdef KFI_HAVE_NETTLE
#include <gmp.h>
#endif

#include "base/memory.h"
#include "suite/aead.h"
#include "suite/provider.h"
#include "suite/random.h"

/* ---- Random bytes ---- */

static struct {
    unsigned asked;
    unsigned fails_at; /* this request, counted from 1; 0: none */
    const char *
        fills; /* each of the first requests is answered by one of these bytes, the later ones by true random bytes */
    uint8_t first[64]; /* what was answered first, */
    size_t first_length;
    uint8_t last[64]; /* what was answered last, */
    size_t last_length;
    uint8_t
        inverse[64]; /* and its inverse modulo the order, if there is one: least byte first, as limbs are */
    const char *order;
} chance;

/* Whoever knows the inverse of a nonce knows the nonce. */
static void invert_last(void)
{
    if (chance.order == NULL)
        return;
    BN_CTX *context = BN_CTX_new();
    BIGNUM *order = number(chance.order, 0);
    BIGNUM *inverse = BN_lebin2bn(chance.last, (int)chance.last_length, NULL);
    assert_non_null(BN_mod_inverse(inverse, inverse, order, context));
    assert_int_equal(BN_bn2lebinpad(inverse, chance.inverse, (int)chance.last_length), chance.last_length);
    BN_free(inverse);
    BN_free(order);
    BN_CTX_free(context);
}

int RAND_bytes_ex(OSSL_LIB_CTX *library, unsigned char *out, size_t length, unsigned strength)
{
    int (*real)(OSSL_LIB_CTX *, unsigned char *, size_t, unsigned);
    void *symbol = dlsym(RTLD_NEXT, "RAND_bytes_ex");
    memcpy(&real, &symbol, sizeof real);
    chance.asked++;
    if (chance.asked == chance.fails_at) {
        memset(out, 0xaa, length); /* as if the generator had failed half-way */
        return 0;
    }
    if (chance.fills != NULL && chance.asked <= strlen(chance.fills)) {
        memset(out, chance.fills[chance.asked - 1] == '0' ? 0 : 0xff, length);
        return 1;
    }
    int result = real(library, out, length, strength);
    if (length <= sizeof chance.last) {
        memcpy(chance.last, out, length);
        chance.last_length = length;
        invert_last();
        if (chance.first_length == 0) {
            memcpy(chance.first, out, length);
            chance.first_length = length;
        }
    }
    return result;
}

static void chance_reset(void)
{
    memset(&chance, 0, sizeof chance);
}

/* ---- Memory ---- */

static struct {
    size_t held;
    size_t made;
    size_t fails_at; /* this allocation, counted from 1; 0: none */
    struct kf_view secrets[4];
    size_t secret_count;
    size_t leaked; /* pieces given back with a secret in them */
} memory;

/* Every piece begins with its length. */
#define FRONT 16

static void *take(size_t length)
{
    uint8_t *piece = calloc(1, FRONT + length);
    assert_non_null(piece);
    memcpy(piece, &length, sizeof length);
    return piece + FRONT;
}

static size_t length_of(const void *piece)
{
    size_t length;
    memcpy(&length, (const uint8_t *)piece - FRONT, sizeof length);
    return length;
}

static bool contains(const uint8_t *piece, size_t length, struct kf_view secret)
{
    /* Half of a secret is enough for a find, in either order of its bytes. */
    uint8_t reversed[64];
    for (size_t i = 0; i < secret.length; i++)
        reversed[i] = secret.data[secret.length - 1 - i];
    size_t half = secret.length / 2;
    return memmem(piece, length, secret.data, half) != NULL ||
           memmem(piece, length, secret.data + half, half) != NULL ||
           memmem(piece, length, reversed, half) != NULL ||
           memmem(piece, length, reversed + half, half) != NULL;
}

static void give(void *piece)
{
    for (size_t i = 0; i < memory.secret_count; i++)
        memory.leaked += contains(piece, length_of(piece), memory.secrets[i]);
    free((uint8_t *)piece - FRONT);
}

static void *allocate(void *context, size_t length)
{
    (void)context;
    if (++memory.made == memory.fails_at)
        return NULL;
    memory.held++;
    return take(length);
}

static void release(void *context, void *piece)
{
    (void)context;
    memory.held--;
    give(piece);
}

#ifdef KFI_HAVE_NETTLE
static void *gmp_reallocate(void *piece, size_t old_length, size_t length)
{
    void *larger = take(length);
    memcpy(larger, piece, old_length < length ? old_length : length);
    give(piece);
    return larger;
}

static void gmp_release(void *piece, size_t length)
{
    assert_int_equal(length_of(piece), length);
    give(piece);
}
#endif

static void watch(struct kf_view secret)
{
    memory.secrets[memory.secret_count++] = secret;
}

static void memory_reset(void)
{
    size_t held = memory.held;
    memset(&memory, 0, sizeof memory);
    memory.held = held;
}

static int set_up(void **state)
{
    (void)state;
    memory_reset();
    chance_reset();
    return 0;
}

/* ---- Wiping ---- */

static void a_secret_in_memory_given_back_is_noticed(void **state)
{
    (void)state;
    static const uint8_t secret[32] = "a secret of thirty-two bytes, ok";
    watch(kf_view_of(secret, sizeof secret));
    uint8_t *copy = kfi_copy(kf_view_of(secret, sizeof secret));
    kfi_free(copy);
    assert_int_equal(memory.leaked, 1);
    copy = kfi_copy(kf_view_of(secret, sizeof secret));
    kfi_free_secret(copy, sizeof secret);
    assert_int_equal(memory.leaked, 1);
}

#ifdef KFI_HAVE_NETTLE
static void signing_leaves_neither_key_nor_nonce(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        memory_reset();
        chance_reset();
        chance.order = curves[c].order;
        struct kfi_signing_key *key;
        size_t held = memory.held;
        /* With nettle the secrets are the bytes that were drawn. */
        uint8_t secret[KFI_COORDINATE_MAX];
        size_t length = kfi_curve_bytes(curves[c].curve);
        struct kfi_transcript *transcript = transcript_of(curves[c].hash, kf_view_text("sample"));
        uint8_t der[KFI_SIGNATURE_MAX];
        watch(kf_view_of(chance.first, length));
        watch(kf_view_of(chance.last, length));
        watch(kf_view_of(chance.inverse, length));
        assert_int_equal(kfi_signing_key_generate_by(&kfi_signature_nettle, curves[c].curve, NULL, &key),
                         KF_OK);
        assert_int_equal(chance.first_length, length);
        memcpy(secret, chance.first, length);
        assert_int_equal(kfi_transcript_sign(transcript, key, curves[c].length, NULL, der), KF_OK);
        kfi_transcript_free(transcript);
        assert_memory_equal(chance.first, secret, length);
        assert_memory_not_equal(chance.last, secret, length);
        kfi_signing_key_unref(key);
        assert_int_equal(memory.leaked, 0);
        assert_int_equal(memory.held, held);
    }
}
#endif

/* ---- No random bytes ---- */

static void a_failing_generator_is_an_error(void **state)
{
    (void)state;
    static const uint8_t zeros[32];
    uint8_t out[32];
    struct kf_error error = KF_ERROR_INIT;
    memset(out, 0xee, sizeof out);
    chance.fails_at = 1;
    assert_int_equal(kfi_random(out, sizeof out, &error), KF_E_SYSTEM);
    assert_memory_equal(out, zeros, sizeof out);
    assert_non_null(strstr(error.text, "random"));
}

#ifdef KFI_HAVE_NETTLE
static void no_key_pair_without_random_bytes(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        chance_reset();
        chance.fails_at = 1;
        size_t held = memory.held;
        struct kfi_signing_key *key;
        struct kf_error error = KF_ERROR_INIT;
        assert_int_equal(kfi_signing_key_generate_by(&kfi_signature_nettle, curves[c].curve, &error, &key),
                         KF_E_SYSTEM);
        assert_null(key);
        assert_non_null(strstr(error.text, "random"));
        assert_int_equal(memory.held, held);
    }
}

static void no_signature_without_random_bytes(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        struct kfi_signing_key *key;
        assert_int_equal(kfi_signing_key_generate_by(&kfi_signature_nettle, curves[c].curve, NULL, &key),
                         KF_OK);
        static const uint8_t untouched[KFI_SIGNATURE_MAX];
        uint8_t der[KFI_SIGNATURE_MAX] = {0};
        struct kf_error error = KF_ERROR_INIT;
        struct kfi_transcript *transcript = transcript_of(curves[c].hash, kf_view_text("sample"));
        chance_reset();
        chance.fails_at = 1;
        assert_int_equal(kfi_transcript_sign(transcript, key, curves[c].length, &error, der), KF_E_SYSTEM);
        assert_non_null(strstr(error.text, "random"));
        assert_memory_equal(der, untouched, sizeof der);
        kfi_transcript_free(transcript);
        kfi_signing_key_unref(key);
    }
}

/* 0 and numbers from the order up are no secrets: another number is drawn. */
static void numbers_out_of_range_are_drawn_again(void **state)
{
    (void)state;
    for (size_t c = 0; c < CURVE_COUNT; c++) {
        struct kfi_signing_key *key;
        chance_reset();
        chance.fills = "0f0";
        assert_int_equal(kfi_signing_key_generate_by(&kfi_signature_nettle, curves[c].curve, NULL, &key),
                         KF_OK);
        assert_int_equal(chance.asked, 4);

        uint8_t der[KFI_SIGNATURE_MAX];
        struct kfi_transcript *transcript = transcript_of(curves[c].hash, kf_view_text("sample"));
        chance_reset();
        chance.fills = "f0";
        assert_int_equal(kfi_transcript_sign(transcript, key, curves[c].length, NULL, der), KF_OK);
        assert_in_range(chance.asked, 3,
                        UINT32_MAX); /* once more for each signature that could not be mended */
        kfi_transcript_free(transcript);

        struct kfi_verification_key *verification_key;
        assert_int_equal(kfi_verification_key_parse_by(&kfi_signature_openssl, curves[c].curve,
                                                       kfi_signing_key_public_text(key), NULL,
                                                       &verification_key),
                         KF_OK);
        assert_int_equal(verify(verification_key, curves[c].hash, kf_view_text("sample"),
                                kf_view_of(der, curves[c].length), NULL),
                         KF_OK);
        kfi_verification_key_unref(verification_key);
        kfi_signing_key_unref(key);
    }
}
#endif

/* ---- No memory ---- */

/* Does all that allocates with one engine. It stops at the first failure and releases everything. */
static enum kf_code work(const struct kfi_signature_engine *engine, const struct curve *curve,
                         struct kf_error *error)
{
    static const uint8_t key[32] = {1};
    struct kfi_aead *aead = NULL;
    struct kfi_signing_key *signing_key = NULL;
    struct kfi_verification_key *verification_key = NULL;
    struct kfi_transcript *signing = NULL;
    struct kfi_transcript *verifying = NULL;
    uint8_t der[KFI_SIGNATURE_MAX];
    enum kf_code code = kfi_aead_new(kf_view_of(key, sizeof key), error, &aead);
    if (code == KF_OK)
        code = kfi_signing_key_generate_by(engine, curve->curve, error, &signing_key);
    if (code == KF_OK)
        code = kfi_verification_key_parse_by(engine, curve->curve, kfi_signing_key_public_text(signing_key),
                                             error, &verification_key);
    if (code == KF_OK)
        code = kfi_transcript_new(curve->hash, error, &signing);
    if (code == KF_OK)
        code = kfi_transcript_new(curve->hash, error, &verifying);
    if (code == KF_OK)
        code = kfi_transcript_sign(signing, signing_key, curve->length, error, der);
    if (code == KF_OK)
        code = kfi_transcript_verify(verifying, verification_key, kf_view_of(der, curve->length), error);
    kfi_aead_free(aead);
    kfi_signing_key_unref(signing_key);
    kfi_verification_key_unref(verification_key);
    kfi_transcript_free(signing);
    kfi_transcript_free(verifying);
    return code;
}

static void a_lack_of_memory_is_an_error_wherever_it_comes(void **state)
{
    (void)state;
    for (size_t e = 0; e < ENGINE_COUNT; e++) {
        for (size_t c = 0; c < CURVE_COUNT; c++) {
            size_t held = memory.held;
            size_t failures = 0;
            enum kf_code code;
            do {
                struct kf_error error = KF_ERROR_INIT;
                memory.made = 0;
                memory.fails_at = failures + 1;
                code = work(engines[e], &curves[c], &error);
                memory.fails_at = 0;
                assert_int_equal(memory.held, held);
                if (code != KF_OK) {
                    failures++;
                    assert_int_equal(code, KF_E_NO_MEMORY);
                    assert_int_equal(error.code, KF_E_NO_MEMORY);
                }
            } while (code != KF_OK);
            assert_in_range(failures, 5, 20);
        }
    }
}

static void a_provider_that_finds_no_memory_is_made_later(void **state)
{
    (void)state;
    /* The first test: nothing has been made yet. */
    const struct kfi_provider *provider;
    struct kf_error error = KF_ERROR_INIT;
    memory.fails_at = 1;
    assert_int_equal(kfi_provider_get(&error, &provider), KF_E_NO_MEMORY);
    assert_int_equal(error.code, KF_E_NO_MEMORY);
    assert_null(provider);
    assert_int_equal(memory.held, 0);
    assert_int_equal(kfi_provider_get(&error, &provider), KF_OK);
    assert_non_null(provider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_provider_that_finds_no_memory_is_made_later, set_up),
        cmocka_unit_test_setup(a_secret_in_memory_given_back_is_noticed, set_up),
        cmocka_unit_test_setup(a_failing_generator_is_an_error, set_up),
#ifdef KFI_HAVE_NETTLE
        cmocka_unit_test_setup(signing_leaves_neither_key_nor_nonce, set_up),
        cmocka_unit_test_setup(no_key_pair_without_random_bytes, set_up),
        cmocka_unit_test_setup(no_signature_without_random_bytes, set_up),
        cmocka_unit_test_setup(numbers_out_of_range_are_drawn_again, set_up),
#endif
        cmocka_unit_test_setup(a_lack_of_memory_is_an_error_wherever_it_comes, set_up),
    };
    const struct kf_allocator allocator = {sizeof allocator, NULL, allocate, release};
    if (kf_allocator_set(&allocator) != KF_OK)
        return 1;
#ifdef KFI_HAVE_NETTLE
    mp_set_memory_functions(take, gmp_reallocate, gmp_release);
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
