/*
 * Many threads at once: at the very first use of the library, and with keys that they share. ThreadSanitizer sees most
 * here.
 */
#include "bytes.h"

#include <pthread.h>

#include "suite/aead.h"
#include "suite/derive.h"
#include "suite/digest.h"
#include "suite/provider.h"
#include "suite/signature.h"

#define THREADS 8

static pthread_barrier_t together;

/* Only cmocka's own thread may use its assertions. The others answer NULL if all is well. */
static void run_together(void *(*run)(void *context), void *const contexts[THREADS])
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, contexts[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *failure;
        assert_int_equal(pthread_join(threads[i], &failure), 0);
        assert_null(failure);
    }
}

static void *use_first(void *context)
{
    const struct kfi_provider **provider = context;
    pthread_barrier_wait(&together);
    bool well = kfi_provider_get(NULL, provider) == KF_OK && (*provider)->digests[KFI_SHA512] != NULL;
    return well ? NULL : context;
}

static void the_first_use_may_be_of_many_threads(void **state)
{
    (void)state;
    const struct kfi_provider *providers[THREADS];
    void *contexts[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        contexts[i] = &providers[i];
    run_together(use_first, contexts);
    for (size_t i = 0; i < THREADS; i++) {
        assert_non_null(providers[i]);
        assert_ptr_equal(providers[i], providers[0]);
    }
}

/*
 * Derives, seals, opens and digests; every round has a key of its own, and has to come to what it began with.
 */
static void *work(void *context)
{
    const uint8_t *number = context;
    const struct kfi_suite *suite = kfi_suite_get(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
    struct bytes iv = range(0, KFI_IV_LENGTH);
    pthread_barrier_wait(&together);
    for (int round = 0; round < 200; round++) {
        struct bytes id = range((uint8_t)(*number + round), 32);
        struct kf_view part = view(&id);
        struct kfi_message_key key;
        struct kfi_aead *aead;
        uint8_t sealed[32];
        uint8_t opened[32];
        uint8_t tag[KFI_TAG_LENGTH];
        uint8_t digest[KFI_HASH_MAX];
        if (kfi_derive(suite, view(&id), view(&id), NULL, &key) != KF_OK ||
            kfi_aead_new(kf_view_of(key.key, key.length), NULL, &aead) != KF_OK)
            return context;
        bool well = kfi_aead_seal(aead, iv.data, &part, 1, id.data, 32, NULL, sealed, tag) == KF_OK &&
                    kfi_aead_open(aead, iv.data, &part, 1, sealed, 32, tag, NULL, opened) == KF_OK &&
                    memcmp(opened, id.data, 32) == 0 &&
                    kfi_digest(KFI_SHA384, &part, 1, NULL, digest) == KF_OK;
        kfi_aead_free(aead);
        if (!well)
            return context;
    }
    return NULL;
}

static void keys_are_derived_and_used_side_by_side(void **state)
{
    (void)state;
    uint8_t numbers[THREADS];
    void *contexts[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        numbers[i] = (uint8_t)(31 * i);
        contexts[i] = &numbers[i];
    }
    run_together(work, contexts);
}

/* What each thread gets: references of its own to the same two keys. */
struct keys {
    enum kfi_hash hash;
    size_t length;
    struct kfi_signing_key *signing;
    struct kfi_verification_key *verification;
};

static bool sign_and_verify(const struct keys *keys, uint8_t content)
{
    uint8_t signature[KFI_SIGNATURE_MAX];
    struct kfi_transcript *signing = NULL;
    struct kfi_transcript *verifying = NULL;
    struct kf_view bytes = kf_view_of(&content, 1);
    bool well = kfi_transcript_new(keys->hash, NULL, &signing) == KF_OK &&
                kfi_transcript_new(keys->hash, NULL, &verifying) == KF_OK &&
                kfi_transcript_add(signing, bytes, NULL) == KF_OK &&
                kfi_transcript_add(verifying, bytes, NULL) == KF_OK &&
                kfi_transcript_sign(signing, keys->signing, keys->length, NULL, signature) == KF_OK &&
                kfi_transcript_verify(verifying, keys->verification, kf_view_of(signature, keys->length),
                                      NULL) == KF_OK;
    kfi_transcript_free(signing);
    kfi_transcript_free(verifying);
    return well;
}

static void *sign(void *context)
{
    struct keys *keys = context;
    bool well = true;
    pthread_barrier_wait(&together);
    for (uint8_t round = 0; round < 20; round++)
        well = sign_and_verify(keys, round) && well;
    kfi_signing_key_unref(keys->signing);
    kfi_verification_key_unref(keys->verification);
    return well ? NULL : context;
}

static void share_keys(enum kfi_curve curve, enum kfi_hash hash, size_t length)
{
    struct keys keys = {.hash = hash, .length = length};
    struct keys copies[THREADS];
    void *contexts[THREADS];
    assert_int_equal(kfi_signing_key_generate(curve, NULL, &keys.signing), KF_OK);
    assert_int_equal(kfi_verification_key_parse(curve, kfi_signing_key_public_text(keys.signing), NULL,
                                                &keys.verification),
                     KF_OK);
    for (size_t i = 0; i < THREADS; i++) {
        copies[i] = keys;
        copies[i].signing = kfi_signing_key_ref(keys.signing);
        copies[i].verification = kfi_verification_key_ref(keys.verification);
        contexts[i] = &copies[i];
    }
    /* The last thread that is done destroys them. */
    kfi_signing_key_unref(keys.signing);
    kfi_verification_key_unref(keys.verification);
    run_together(sign, contexts);
}

static void keys_of_signatures_are_shared(void **state)
{
    (void)state;
    share_keys(KFI_P384, KFI_SHA384, 103);
    share_keys(KFI_P256, KFI_SHA256, 71);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_use_may_be_of_many_threads),
        cmocka_unit_test(keys_are_derived_and_used_side_by_side),
        cmocka_unit_test(keys_of_signatures_are_shared),
    };
    pthread_barrier_init(&together, NULL, THREADS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
