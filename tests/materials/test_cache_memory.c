/*
 * No memory: whichever allocation fails, everybody gets an answer, nothing leaks, and the next question is
 * answered.
 */
#include "support/asker.h"
#include "support/failing_allocator.h"

#include <stdlib.h>

/* ---- A CMM that answers at the second poll, on the internal thread ---- */

static bool slowly, on_workers;

static enum kf_code pause_once(struct kf_call *call, struct kf_error *error)
{
    static int seen;
    if (!slowly || kf_call_state(call) != NULL)
        return KF_OK;
    kf_call_state_set(call, &seen, NULL);
    enum kf_code code = kf_call_wake_in(call, 0);
    return code == KF_OK ? KF_PENDING : kf_error_set(error, code, "It can't be woken.");
}

static enum kf_code slow_get(void *self, struct kf_call *call, const struct kf_encryption_request *request,
                             struct kf_error *error, const struct kf_encryption_materials **out)
{
    enum kf_code code = pause_once(call, error);
    if (code != KF_OK)
        return code;
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
}

static enum kf_code slow_decrypt(void *self, struct kf_call *call,
                                 const struct kf_decryption_request *request, struct kf_error *error,
                                 const struct kf_decryption_materials **out)
{
    enum kf_code code = pause_once(call, error);
    if (code != KF_OK)
        return code;
    return kf_cmm_decrypt_materials(self, kf_call_child(call, 0), request, error, out);
}

/* ---- The sweep ---- */

static void assert_answer(enum kf_code code, const struct kf_error *error)
{
    if (code == KF_OK)
        return;
    assert_int_equal(code, KF_E_NO_MEMORY);
    assert_int_equal(error->code, KF_E_NO_MEMORY);
    assert_true(strlen(error->text) > 0);
}

/*
 * Two who ask and one who reads, while allocation `number` fails; with a required pair, so that there is much
 * to copy. False if there was no such allocation.
 */
static bool run(struct kf_cmm *cmm, const struct kf_encryption_context *whole, const struct kf_edk *edk,
                unsigned long number)
{
    const struct kf_view required = kf_view_text("required");
    struct kf_encryption_request writing = encryption_request(1);
    struct kf_decryption_request reading = decryption_request(edk, 1);
    struct asker askers[3];
    writing.encryption_context = whole;
    writing.required_keys = &required;
    writing.required_key_count = 1;
    reading.reproduced_encryption_context = whole;
    fail_allocation(number);
    asker_encrypt(&askers[0], cmm, &writing);
    asker_encrypt(&askers[1], cmm, &writing);
    asker_decrypt(&askers[2], cmm, &reading);
    for (size_t i = 0; i < 3; i++) {
        asker_wait(&askers[i]);
        assert_answer(askers[i].code, &askers[i].error);
    }
    const bool failed = memory.made >= number;
    fail_allocation(0);
    askers_leave(askers, 3);

    /* Now there is memory again. */
    asker_encrypt(&askers[0], cmm, &writing);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    asker_decrypt(&askers[1], cmm, &reading);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    askers_leave(askers, 2);
    return failed;
}

static void sweep(size_t capacity)
{
    const struct kf_cmm_vtable vtable = {sizeof vtable, slow_get, slow_decrypt, NULL, !on_workers};
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_encryption_context *whole;
    struct kf_cmm *inside = support_cmm();
    assert_ok(kf_encryption_context_of(&error, &whole, "required", "r", (char *)NULL), &error);
    struct kf_encryption_request request = encryption_request(1);
    struct asker writer;
    request.encryption_context = whole;
    assert_int_equal(asker_encrypt(&writer, inside, &request), KF_OK);
    const struct kf_edk edk = kf_encryption_materials_edk(writer.encryption_materials, 0);

    unsigned long number = 0;
    bool failed;
    do {
        const size_t held = memory.held;
        struct kf_caching_cmm_options options = caching_options(10, 1000);
        struct kf_cmm *backing, *cmm;
        assert_ok(kf_cmm_new(&vtable, inside, &error, &backing), &error);
        assert_ok(kf_cache_new(capacity, &error, &options.cache), &error);
        options.cmm = backing;
        assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
        number++;
        failed = run(cmm, whole, &edk, number);
        kf_cmm_unref(cmm);
        kf_cmm_unref(backing);
        kf_cache_unref(options.cache);
        if (on_workers)
            kf_cleanup(); /* they may still hold what has landed, and stay */
        else if (slowly)
            support_settle(); /* the same goes for the thread */
        assert_int_equal(memory.held, held);
    } while (failed); /* until all have had their turn */
    assert_true(number > 20);
    asker_leave(&writer);
    kf_encryption_context_unref(whole);
    kf_cmm_unref(inside);
    kf_cleanup();
}

static void any_allocation_may_fail_inline(void **state)
{
    (void)state;
    slowly = false;
    sweep(0);
    sweep(10);
}

static void any_allocation_may_fail_on_the_internal_thread(void **state)
{
    (void)state;
    slowly = true;
    sweep(0);
    sweep(10);
}

static void any_allocation_may_fail_on_a_worker(void **state)
{
    (void)state;
    slowly = on_workers = true;
    sweep(0);
    sweep(10);
    on_workers = false;
}

static void making_a_cmm_may_fail(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = support_keyring();
    const size_t held = memory.held;
    size_t failures = 0;
    for (unsigned long number = 1; number < 20; number++) {
        struct kf_caching_cmm_options options = caching_options(10, 1000);
        struct kf_cmm *cmm = NULL;
        fail_allocation(number);
        enum kf_code code = kf_cache_new(10, &error, &options.cache);
        options.keyring = keyring;
        if (code == KF_OK)
            code = kf_caching_cmm_new(&options, &error, &cmm);
        fail_allocation(0);
        assert_answer(code, &error);
        assert_int_equal(cmm != NULL, code == KF_OK);
        failures += code != KF_OK ? 1 : 0;
        kf_cmm_unref(cmm);
        kf_cache_unref(options.cache);
        assert_int_equal(memory.held, held);
    }
    assert_true(failures > 3 && failures < 19);
    kf_keyring_unref(keyring);
}

int main(void)
{
    failing_allocator_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_may_fail_inline),
        cmocka_unit_test(any_allocation_may_fail_on_the_internal_thread),
        cmocka_unit_test(any_allocation_may_fail_on_a_worker),
        cmocka_unit_test(making_a_cmm_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
