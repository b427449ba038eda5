/*
 * AES-GCM: known answers, refusal of everything forged, memory in place, and lengths beyond what an int
 * holds.
 */
#include "bytes.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "suite/aead.h"

static const struct {
    size_t key_length;
    const char *ciphertext; /* of "keyflight" five times, under "header" and "context" */
    const char *tag;
    const char *tag_of_nothing; /* and without additional data */
} known[] = {
    {16, "af4b7ac96326d18763b6388ca14b825952c81fe24f9207d6e2a35d7a027c77c1bbbe494beac3827a8fc9b2a0ae",
     "c0c69bce53cd369892ed0877953b3cda", "0ed7259add1011e159d00e61b1925410"},
    {24, "5d325e736fe1a49094edbaf536b0408aee9952f4524b6b69d0d25edbce0e45ea0ee2c41148bd2181d9123678ca",
     "7c4cac771b8af8d5b3a6ca83d93a9a7f", "272c1b8306ca7ab51b8730ff43f70ae5"},
    {32, "169be17025a05ddbbe1e6d6469150034bf24256b62a43bd88091960c3b2d32b7398e3f779ec31789125ff539fe",
     "001c54d31de7ec08deceeced83b105b8", "018f5e9d66e6fbec03896ee4b1e8d030"},
};

static const char plaintext[] = "keyflightkeyflightkeyflightkeyflightkeyflight";
#define LENGTH (sizeof plaintext - 1)

static struct kfi_aead *aead_new(size_t key_length)
{
    struct bytes key = range(0, key_length);
    struct kfi_aead *aead;
    assert_int_equal(kfi_aead_new(view(&key), NULL, &aead), KF_OK);
    return aead;
}

static void answers_are_the_known_ones(void **state)
{
    (void)state;
    struct bytes iv = range(0x10, KFI_IV_LENGTH);
    const struct kf_view aad[] = {kf_view_text("header"), kf_view_of(NULL, 0), kf_view_text("context")};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct kfi_aead *aead = aead_new(known[i].key_length);
        uint8_t out[LENGTH];
        uint8_t tag[KFI_TAG_LENGTH];
        /* The same key, many times, in both directions. */
        for (int time = 0; time < 3; time++) {
            assert_int_equal(
                kfi_aead_seal(aead, iv.data, aad, 3, (const uint8_t *)plaintext, LENGTH, NULL, out, tag),
                KF_OK);
            assert_memory_equal(out, hex(known[i].ciphertext).data, LENGTH);
            assert_memory_equal(tag, hex(known[i].tag).data, sizeof tag);
            struct bytes ciphertext = hex(known[i].ciphertext);
            assert_int_equal(kfi_aead_open(aead, iv.data, aad, 3, ciphertext.data, LENGTH, tag, NULL, out),
                             KF_OK);
            assert_memory_equal(out, plaintext, LENGTH);
        }
        assert_int_equal(kfi_aead_seal(aead, iv.data, NULL, 0, NULL, 0, NULL, NULL, tag), KF_OK);
        assert_memory_equal(tag, hex(known[i].tag_of_nothing).data, sizeof tag);
        assert_int_equal(kfi_aead_open(aead, iv.data, NULL, 0, NULL, 0, tag, NULL, NULL), KF_OK);
        tag[0] ^= 1;
        assert_int_equal(kfi_aead_open(aead, iv.data, NULL, 0, NULL, 0, tag, NULL, NULL), KF_E_FORGED);
        kfi_aead_free(aead);
    }
}

static void input_and_output_may_be_the_same_memory(void **state)
{
    (void)state;
    struct bytes iv = range(0x10, KFI_IV_LENGTH);
    const struct kf_view aad[] = {kf_view_text("header"), kf_view_text("context")};
    struct kfi_aead *aead = aead_new(32);
    uint8_t data[LENGTH];
    uint8_t tag[KFI_TAG_LENGTH];
    memcpy(data, plaintext, LENGTH);
    assert_int_equal(kfi_aead_seal(aead, iv.data, aad, 2, data, LENGTH, NULL, data, tag), KF_OK);
    assert_memory_equal(data, hex(known[2].ciphertext).data, LENGTH);
    assert_int_equal(kfi_aead_open(aead, iv.data, aad, 2, data, LENGTH, tag, NULL, data), KF_OK);
    assert_memory_equal(data, plaintext, LENGTH);
    kfi_aead_free(aead);
}

/* Opens a forgery, and checks that no byte of it comes out, and no error stays in OpenSSL's queue. */
static void assert_forged(struct kfi_aead *aead, const uint8_t *iv, struct kf_view aad,
                          struct bytes ciphertext, const uint8_t *tag)
{
    static const uint8_t zeros[LENGTH];
    struct kf_error error = KF_ERROR_INIT;
    uint8_t out[LENGTH];
    memset(out, 0xee, sizeof out);
    assert_int_equal(kfi_aead_open(aead, iv, &aad, 1, ciphertext.data, LENGTH, tag, &error, out),
                     KF_E_FORGED);
    assert_memory_equal(out, zeros, sizeof zeros);
    assert_string_equal(error.text, "");
    assert_int_equal(ERR_peek_error(), 0);

    assert_int_equal(kfi_aead_open(aead, iv, &aad, 1, ciphertext.data, LENGTH, tag, NULL, ciphertext.data),
                     KF_E_FORGED);
    assert_memory_equal(ciphertext.data, zeros, sizeof zeros);
}

static void whatever_is_forged_is_refused(void **state)
{
    (void)state;
    struct bytes iv = range(0x10, KFI_IV_LENGTH);
    struct kf_view aad = kf_view_text("headercontext");
    struct bytes ciphertext = hex(known[2].ciphertext);
    struct bytes tag = hex(known[2].tag);
    struct kfi_aead *aead = aead_new(32);
    for (size_t bit = 0; bit < 8 * tag.length; bit++) {
        struct bytes forged = tag;
        forged.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_forged(aead, iv.data, aad, ciphertext, forged.data);
    }
    for (size_t bit = 0; bit < 8 * iv.length; bit++) {
        struct bytes forged = iv;
        forged.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_forged(aead, forged.data, aad, ciphertext, tag.data);
    }
    for (size_t bit = 0; bit < 8 * LENGTH; bit++) {
        struct bytes forged = ciphertext;
        forged.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_forged(aead, iv.data, aad, forged, tag.data);
    }
    assert_forged(aead, iv.data, kf_view_text("headercontexT"), ciphertext, tag.data);
    assert_forged(aead, iv.data, kf_view_text("headercontex"), ciphertext, tag.data);
    assert_forged(aead, iv.data, kf_view_text(""), ciphertext, tag.data);

    /* What is not forged is accepted afterwards. */
    uint8_t out[LENGTH];
    assert_int_equal(kfi_aead_open(aead, iv.data, &aad, 1, ciphertext.data, LENGTH, tag.data, NULL, out),
                     KF_OK);
    kfi_aead_free(aead);
}

/*
 * Lengths above 2^30 and above what an int holds. The memory is one small piece of it, mapped again and
 * again: what the cipher writes there is lost, but the tag has seen all of it.
 */
#define MAPPED ((size_t)16 << 20)
#define LONG_LENGTH (((size_t)1 << 31) + 5)

static uint8_t *map_again_and_again(void)
{
    size_t whole = (LONG_LENGTH / MAPPED + 1) * MAPPED;
    int file = memfd_create("aead", 0);
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, (off_t)MAPPED), 0);
    uint8_t *memory = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    for (size_t at = 0; at < whole; at += MAPPED)
        assert_ptr_equal(mmap(memory + at, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0),
                         memory + at);
    close(file);
    return memory;
}

/* The tag of so many zeros, computed in small pieces. */
static void tag_of_zeros(const uint8_t *key, const uint8_t *iv, size_t length, uint8_t tag[KFI_TAG_LENGTH])
{
    static uint8_t piece[1 << 20];
    static const uint8_t zeros[sizeof piece];
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int written;
    assert_int_equal(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, iv), 1);
    while (length > 0) {
        size_t now = length < sizeof piece ? length : sizeof piece;
        assert_int_equal(EVP_EncryptUpdate(context, piece, &written, zeros, (int)now), 1);
        length -= now;
    }
    assert_int_equal(EVP_EncryptFinal_ex(context, piece, &written), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, KFI_TAG_LENGTH, tag), 1);
    EVP_CIPHER_CTX_free(context);
}

static void lengths_may_be_beyond_an_int(void **state)
{
    (void)state;
    struct bytes key = range(0, 32);
    struct bytes iv = range(0x10, KFI_IV_LENGTH);
    uint8_t *out = map_again_and_again();
    uint8_t *zeros = mmap(NULL, LONG_LENGTH, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(zeros, MAP_FAILED);
    uint8_t tag[KFI_TAG_LENGTH];
    uint8_t expected[KFI_TAG_LENGTH];
    struct kfi_aead *aead = aead_new(32);
    assert_int_equal(kfi_aead_seal(aead, iv.data, NULL, 0, zeros, LONG_LENGTH, NULL, out, tag), KF_OK);
    tag_of_zeros(key.data, iv.data, LONG_LENGTH, expected);
    assert_memory_equal(tag, expected, sizeof tag);
    kfi_aead_free(aead);
    munmap(zeros, LONG_LENGTH);
    munmap(out, (LONG_LENGTH / MAPPED + 1) * MAPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_the_known_ones),
        cmocka_unit_test(input_and_output_may_be_the_same_memory),
        cmocka_unit_test(whatever_is_forged_is_refused),
        cmocka_unit_test(lengths_may_be_beyond_an_int),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
