/*
 * What may block in a fetch is done by workers, side by side, and the internal thread is free for all other fetches.
 * Nothing here is timed: fetches meet at a gate at which, one after the other, they never would.
 */
#include "support/held.h"

#include "base/thread.h"

#define FETCHES 10
#define WORKERS 32 /* as in base/flight.c */

/* ---- A keyring that waits first, as one that asks a service ---- */

static enum kf_code pause_first(struct kf_call *call)
{
    if (kf_call_state(call) != NULL)
        return KF_OK;
    kf_call_state_set(call, call, NULL);
    return kf_call_wake_in(call, 0) == KF_OK ? KF_PENDING : KF_E_SYSTEM;
}

static enum kf_code pausing_encrypt(void *self, struct kf_call *call,
                                    const struct kf_encryption_materials *materials, struct kf_error *error,
                                    struct kf_wrapped *out)
{
    const enum kf_code code = pause_first(call);
    return code == KF_OK ? kf_keyring_on_encrypt(self, kf_call_child(call, 0), materials, error, out) : code;
}

/* It knows none of the keys. */
static enum kf_code pausing_decrypt(void *self, struct kf_call *call,
                                    const struct kf_decryption_materials *materials,
                                    const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                                    struct kf_data_key *out)
{
    (void)self;
    (void)materials;
    (void)edks;
    (void)edk_count;
    (void)out;
    const enum kf_code code = pause_first(call);
    return code == KF_OK ? kf_error_set(error, KF_E_KEYS, "It is not mine.") : code;
}

static void pausing_destroy(void *self)
{
    kf_keyring_unref(self);
}

static struct kf_keyring *pausing_keyring(bool never_blocks)
{
    const struct kf_keyring_vtable vtable = {sizeof vtable, pausing_encrypt, pausing_decrypt, pausing_destroy,
                                             never_blocks};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    assert_ok(kf_keyring_new(&vtable, support_keyring(), &error, &keyring), &error);
    return keyring;
}

/* ---- A caching CMM: a keyring that waits, and behind it one that blocks ---- */

static struct {
    struct held held;
    struct kf_keyring *pausing, *multi;
    struct kf_cache *cache;
    struct kf_cmm *cmm;
} mixed;

static void mixed_open(struct kf_caching_cmm_options options, bool never_blocks)
{
    struct kf_error error = KF_ERROR_INIT;
    held_open(&mixed.held);
    mixed.pausing = pausing_keyring(never_blocks);
    assert_ok(kf_multi_keyring_new(mixed.pausing, &mixed.held.keyring, 1, &error, &mixed.multi), &error);
    assert_ok(kf_cache_new(0, &error, &mixed.cache), &error);
    options.cache = mixed.cache;
    options.keyring = mixed.multi;
    assert_ok(kf_caching_cmm_new(&options, &error, &mixed.cmm), &error);
}

static void mixed_close(void)
{
    kf_cmm_unref(mixed.cmm);
    kf_cache_unref(mixed.cache);
    kf_cleanup();
    kf_keyring_unref(mixed.multi);
    kf_keyring_unref(mixed.pausing);
    assert_false(mixed.held.on_internal);
    held_close(&mixed.held);
}

static struct asker askers[2 * WORKERS];

/* The answer may be there at once, if nothing is held: workers are quick. */
static void ask(struct asker *asker)
{
    const enum kf_code code = asker_ask(asker, mixed.cmm, 1);
    assert_true(code == KF_PENDING || code == KF_OK);
}

static void ask_all(size_t count)
{
    for (size_t i = 0; i < count; i++)
        ask(&askers[i]);
}

static void wait_all(size_t count, enum kf_code code)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(asker_wait(&askers[i]), code);
}

/* ---- Side by side ---- */

static void steps_that_block_are_side_by_side(void **state)
{
    (void)state;
    for (int never_blocks = 0; never_blocks < 2; never_blocks++) {
        mixed_open(caching_options(1, KF_MAX_BYTES_LIMIT), never_blocks == 1);
        ask_all(FETCHES);
        held_wait_begun(&mixed.held, FETCHES); /* all are inside, and none has left */
        assert_int_equal(mixed.held.ended, 0);
        held_let_go_all(&mixed.held);
        wait_all(FETCHES, KF_OK);
        assert_int_equal(mixed.held.begun, FETCHES); /* nothing is done twice */
        assert_int_equal(askers_usage(askers, FETCHES).keys, FETCHES);
        askers_leave(askers, FETCHES);
        mixed_close();
    }
}

static void so_are_unwraps(void **state)
{
    (void)state;
    struct asker writers[FETCHES];
    struct kf_edk edks[FETCHES];
    struct kf_cmm *writing = support_cmm();
    mixed_open(caching_options(1, KF_MAX_BYTES_LIMIT), true);
    for (size_t i = 0; i < FETCHES; i++) {
        assert_int_equal(asker_ask(&writers[i], writing, 1), KF_OK);
        edks[i] = kf_encryption_materials_edk(writers[i].encryption_materials, 0);
        const struct kf_decryption_request request = decryption_request(&edks[i], 1);
        assert_int_equal(asker_decrypt(&askers[i], mixed.cmm, &request), KF_PENDING);
    }
    held_wait_begun(&mixed.held, FETCHES);
    assert_int_equal(mixed.held.ended, 0);
    held_let_go_all(&mixed.held);
    wait_all(FETCHES, KF_OK);
    for (size_t i = 0; i < FETCHES; i++)
        assert_true(askers_share_key(&askers[i], &writers[i]));
    askers_leave(askers, FETCHES);
    askers_leave(writers, FETCHES);
    kf_cmm_unref(writing);
    mixed_close();
}

static void so_many_and_no_more(void **state)
{
    (void)state;
    mixed_open(caching_options(1, KF_MAX_BYTES_LIMIT), true);
    ask_all(2 * WORKERS);
    held_wait_begun(&mixed.held, WORKERS);
    support_settle();
    assert_int_equal(mixed.held.begun, WORKERS);
    held_let_go_all(&mixed.held);
    wait_all(2 * WORKERS, KF_OK);
    assert_int_equal(mixed.held.begun, 2 * WORKERS);
    askers_leave(askers, 2 * WORKERS);
    mixed_close();
}

/* ---- Nobody else is held up ---- */

static void other_fetches_go_on_meanwhile(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(1, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    struct asker other;
    mixed_open(options, true);
    scene_open(&scene, 10, &options);
    ask_all(FETCHES);
    held_wait_begun(&mixed.held, FETCHES);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(asker_ask(&other, scene.cmm, 1), KF_PENDING);
        told_answer(scene.told, i, KF_OK);
        assert_int_equal(asker_wait(&other), KF_OK);
        asker_leave(&other);
    }
    assert_int_equal(mixed.held.ended, 0);
    held_let_go_all(&mixed.held);
    wait_all(FETCHES, KF_OK);
    askers_leave(askers, FETCHES);
    scene_close(&scene);
    mixed_close();
}

/* With max_flights the next fetch begins where the one before lands, which may be the internal thread. */
static void waves_of_a_keyring_that_blocks_are_no_work_of_the_internal_thread(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(1, KF_MAX_BYTES_LIMIT);
    options.max_flights = 1;
    mixed_open(options, true);
    held_let_go_all(&mixed.held);
    ask_all(FETCHES);
    wait_all(FETCHES, KF_OK);
    assert_int_equal(mixed.held.begun, FETCHES);
    askers_leave(askers, FETCHES);
    mixed_close();

    /* The opener is inside the keyring, and so blocks; those in line are served by workers. */
    struct asking_thread opener;
    struct held held;
    struct kf_error error = KF_ERROR_INIT;
    held_open(&held);
    options.keyring = held.keyring;
    assert_ok(kf_cache_new(0, &error, &options.cache), &error);
    assert_ok(kf_caching_cmm_new(&options, &error, &mixed.cmm), &error);
    asking_thread_start(&opener, mixed.cmm);
    held_wait_begun(&held, 1);
    ask_all(FETCHES);
    held_let_go_all(&held);
    wait_all(FETCHES, KF_OK);
    assert_int_equal(asking_thread_end(&opener), KF_OK);
    assert_int_equal(held.begun, 1 + FETCHES);
    assert_false(held.on_internal);
    asker_leave(&opener.asker);
    askers_leave(askers, FETCHES);
    kf_cmm_unref(mixed.cmm);
    kf_cache_unref(options.cache);
    kf_cleanup();
    held_close(&held);
}

/* ---- Limits and ends ---- */

static void the_seated_leave_a_worker_that_does_not_come_back(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    options.fetch_timeout_ms = 10000;
    support_clock_stop(1000000);
    mixed_open(options, true);
    ask_all(FETCHES); /* one fetch */
    held_wait_begun(&mixed.held, 1);
    support_clock_advance(10000);
    wait_all(FETCHES, KF_E_TIMEOUT);
    askers_leave(askers, FETCHES);
    held_let_go_all(&mixed.held);
    ask(&askers[0]);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    asker_leave(&askers[0]);
    mixed_close();
    support_clock_real();
}

static void *let_go_all(void *unused)
{
    (void)unused;
    held_let_go_all(&mixed.held);
    return NULL;
}

static void a_cleanup_ends_fetches_that_workers_poll(void **state)
{
    (void)state;
    mixed_open(caching_options(1, KF_MAX_BYTES_LIMIT), true);
    ask_all(FETCHES);
    held_wait_begun(&mixed.held, FETCHES);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, let_go_all, NULL), 0);
    kf_cleanup();
    pthread_join(thread, NULL);
    for (size_t i = 0; i < FETCHES; i++) {
        const enum kf_code code = asker_wait(&askers[i]);
        assert_true(code == KF_OK || code == KF_E_CLEANED_UP);
    }
    held_wait_ended(&mixed.held, FETCHES);
    askers_leave(askers, FETCHES);
    mixed_close();
}

/* Callers come and go while their fetches are with workers; the times of landing are left to chance. */
static void callers_leave_fetches_that_workers_poll(void **state)
{
    (void)state;
    mixed_open(caching_options(1, KF_MAX_BYTES_LIMIT), true);
    held_let_go_all(&mixed.held);
    for (unsigned i = 0; i < 300; i++) {
        (void)asker_ask(&askers[i % FETCHES], mixed.cmm, 1);
        if (i % 3 == 0 && askers[i % FETCHES].code == KF_PENDING)
            assert_int_equal(asker_wait(&askers[i % FETCHES]), KF_OK);
        asker_leave(&askers[i % FETCHES]);
    }
    mixed_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_that_block_are_side_by_side),
        cmocka_unit_test(so_are_unwraps),
        cmocka_unit_test(so_many_and_no_more),
        cmocka_unit_test(other_fetches_go_on_meanwhile),
        cmocka_unit_test(waves_of_a_keyring_that_blocks_are_no_work_of_the_internal_thread),
        cmocka_unit_test(the_seated_leave_a_worker_that_does_not_come_back),
        cmocka_unit_test(a_cleanup_ends_fetches_that_workers_poll),
        cmocka_unit_test(callers_leave_fetches_that_workers_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
