/*
 * The blocking keyring: it runs a keyring that blocks on workers, and is itself asynchronous.
 */
#include "support/asker.h"

#include <signal.h>
#include <stdatomic.h>

#include "base/thread.h"

/* ---- A keyring that blocks until it is let go ---- */

struct gate {
    struct kf_keyring *inner;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool open;
    unsigned inside, peak, begun, ended;
    unsigned destroyed;
    bool on_internal, signals_open;
    atomic_bool pends; /* answers KF_PENDING once, with a timer, before it goes on */
};

static struct gate gate;

static enum kf_code gate_pass(struct kf_call *call)
{
    if (atomic_load(&gate.pends) && kf_call_state(call) == NULL) {
        kf_call_state_set(call, &gate, NULL);
        return kf_call_wake_in(call, 0) == KF_OK ? KF_PENDING : KF_E_SYSTEM;
    }
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    pthread_mutex_lock(&gate.lock);
    gate.on_internal = gate.on_internal || kfi_thread_is_internal();
    gate.signals_open = gate.signals_open || !sigismember(&mask, SIGINT);
    gate.begun++;
    if (++gate.inside > gate.peak)
        gate.peak = gate.inside;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.inside--;
    gate.ended++;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    kf_call_request_id_set(call, kf_view_text("request 1"));
    return KF_OK;
}

static enum kf_code gate_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_materials *materials, struct kf_error *error,
                                 struct kf_wrapped *out)
{
    struct kf_keyring *inner = self;
    enum kf_code code = gate_pass(call);
    if (code != KF_OK)
        return code;
    return kf_keyring_on_encrypt(inner, kf_call_child(call, 0), materials, error, out);
}

static enum kf_code gate_decrypt(void *self, struct kf_call *call,
                                 const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                 size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    struct kf_keyring *inner = self;
    enum kf_code code = gate_pass(call);
    if (code != KF_OK)
        return code;
    return kf_keyring_on_decrypt(inner, kf_call_child(call, 0), materials, edks, edk_count, error, out);
}

static void gate_destroy(void *self)
{
    kf_keyring_unref(self);
    pthread_mutex_lock(&gate.lock);
    gate.destroyed++;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

/* A blocking keyring on the gate; the gate is closed. */
static struct kf_keyring *blocking_new(uint32_t max_workers)
{
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable,
        .on_encrypt = gate_encrypt,
        .on_decrypt = gate_decrypt,
        .destroy = gate_destroy,
    };
    struct kf_blocking_keyring_options options = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    gate = (struct gate){.open = false};
    pthread_mutex_init(&gate.lock, NULL);
    pthread_cond_init(&gate.changed, NULL);
    assert_ok(kf_keyring_new(&vtable, support_keyring(), &error, &options.keyring), &error);
    options.max_workers = max_workers;
    assert_ok(kf_blocking_keyring_new(&options, &error, &keyring), &error);
    kf_keyring_unref(options.keyring);
    return keyring;
}

static void gate_open(bool open)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_wait(const unsigned *counter, unsigned count)
{
    pthread_mutex_lock(&gate.lock);
    while (*counter < count)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

/* Ends the keyring. No worker is busy, so that all of them end with it. */
static void gate_end(struct kf_keyring *keyring)
{
    kf_keyring_unref(keyring);
    assert_int_equal(gate.destroyed, 1);
}

static struct kf_cmm *cmm_on(struct kf_keyring *keyring)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    assert_ok(kf_default_cmm_new(keyring, &error, &cmm), &error);
    return cmm;
}

static struct asker askers[20];

/* ---- Working ---- */

static void it_encrypts_and_decrypts_as_the_keyring_inside(void **state)
{
    (void)state;
    for (int pends = 0; pends < 2; pends++) {
        struct kf_keyring *keyring = blocking_new(2);
        struct kf_cmm *cmm = cmm_on(keyring), *plain = support_cmm();
        struct kf_error error = KF_ERROR_INIT;
        struct kf_buf message = KF_BUF_INIT, plaintext = KF_BUF_INIT;
        atomic_store(&gate.pends, pends == 1);
        gate_open(true);
        assert_ok(kf_encrypt(cmm, NULL, kf_view_text("hello"), &error, &message), &error);
        assert_ok(kf_decrypt(plain, NULL, kf_view_of(message.data, message.length), &error, NULL, &plaintext),
                  &error);
        assert_ok(kf_decrypt(cmm, NULL, kf_view_of(message.data, message.length), &error, NULL, &plaintext),
                  &error);
        assert_int_equal(plaintext.length, 5);
        assert_memory_equal(plaintext.data, "hello", 5);
        assert_false(gate.on_internal || gate.signals_open);
        assert_int_equal(gate.begun, 2);
        kf_buf_free(&message);
        kf_buf_free(&plaintext);
        kf_cmm_unref(cmm);
        kf_cmm_unref(plain);
        gate_end(keyring);
        kf_cleanup();
    }
}

static void errors_come_through(void **state)
{
    (void)state;
    struct kf_keyring *keyring = blocking_new(1);
    struct kf_cmm *cmm = cmm_on(keyring);
    const struct kf_edk edk = {kf_view_text("nobody"), kf_view_text("knows"), kf_view_text("it")};
    const struct kf_decryption_request request = decryption_request(&edk, 1);
    gate_open(true);
    asker_decrypt(&askers[0], cmm, &request);
    assert_int_equal(asker_wait(&askers[0]), KF_E_KEYS);
    assert_non_null(strstr(askers[0].error.text, "raw AES key"));
    asker_leave(&askers[0]);
    kf_cmm_unref(cmm);
    gate_end(keyring);
}

static void it_wraps_what_another_keyring_made(void **state)
{
    (void)state;
    struct kf_keyring *keyring = blocking_new(1), *generator = support_keyring(), *multi;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_multi_keyring_new(generator, &keyring, 1, &error, &multi), &error);
    struct kf_cmm *cmm = cmm_on(multi);
    asker_ask(&askers[0], cmm, 1);
    gate_open(true);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    assert_int_equal(kf_encryption_materials_edk_count(askers[0].encryption_materials), 2);
    asker_leave(&askers[0]);
    kf_cmm_unref(cmm);
    kf_keyring_unref(multi);
    kf_keyring_unref(generator);
    gate_end(keyring);
}

static void at_most_so_many_run_at_once(void **state)
{
    (void)state;
    struct kf_keyring *keyring = blocking_new(3);
    struct kf_cmm *cmm = cmm_on(keyring);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(asker_ask(&askers[i], cmm, 1), KF_PENDING);
    gate_wait(&gate.begun, 3);
    assert_int_equal(gate.begun, 3);
    gate_open(true);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    assert_true(gate.peak == 3 && gate.begun == 20);
    assert_int_equal(askers_usage(askers, 20).keys, 20);
    askers_leave(askers, 20);
    kf_cmm_unref(cmm);
    gate_end(keyring);
}

static void within_a_cache_it_holds_nobody_up(void **state)
{
    (void)state;
    struct kf_keyring *keyring = blocking_new(2);
    struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    options.keyring = keyring;
    assert_ok(kf_cache_new(10, &error, &options.cache), &error);
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(asker_ask(&askers[i], cmm, 1), KF_PENDING);
    gate_wait(&gate.begun, 2);
    support_settle(); /* the internal thread is free */
    gate_open(true);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    assert_int_equal(gate.begun, 2);
    assert_int_equal(askers_usage(askers, 20).keys, 2);
    askers_leave(askers, 20);
    kf_cmm_unref(cmm);
    kf_cache_unref(options.cache);
    kf_cleanup();
    gate_end(keyring);
}

struct heard {
    char request_id[16];
};

static void on_event(void *context, const struct kf_cache_event *event)
{
    struct heard *heard = context;
    if (event->kind == KF_CACHE_LANDED && event->request_id.length < sizeof heard->request_id)
        memcpy(heard->request_id, event->request_id.data, event->request_id.length);
}

static void a_request_id_comes_through(void **state)
{
    (void)state;
    struct kf_keyring *keyring = blocking_new(1);
    struct heard heard = {""};
    struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    options.keyring = keyring;
    assert_ok(kf_cache_new(10, &error, &options.cache), &error);
    assert_ok(kf_cache_listener_new(on_event, &heard, NULL, &error, &options.listener), &error);
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
    gate_open(true);
    asker_ask(&askers[0], cmm, 1);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    asker_leave(&askers[0]);
    kf_cmm_unref(cmm);
    kf_cache_unref(options.cache);
    kf_cache_listener_unref(options.listener);
    kf_cleanup(); /* the landing is over, and its event has been told */
    assert_string_equal(heard.request_id, "request 1");
    gate_end(keyring);
}

/* ---- Giving up ---- */

static void a_call_is_left_before_its_work_ends(void **state)
{
    (void)state;
    struct kf_keyring *keyring = blocking_new(1);
    struct kf_cmm *cmm = cmm_on(keyring);
    assert_int_equal(asker_ask(&askers[0], cmm, 1), KF_PENDING);
    gate_wait(&gate.begun, 1);
    assert_int_equal(asker_ask(&askers[1], cmm, 1), KF_PENDING); /* in the line */
    assert_int_equal(asker_ask(&askers[2], cmm, 1), KF_PENDING);
    asker_leave(&askers[0]);
    asker_leave(&askers[1]);
    gate_open(true);
    assert_int_equal(asker_wait(&askers[2]), KF_OK);
    assert_int_equal(gate.begun, 2); /* the one in the line never began */
    asker_leave(&askers[2]);
    kf_cmm_unref(cmm);
    gate_end(keyring);
}

static void the_keyring_goes_while_a_worker_is_busy(void **state)
{
    (void)state;
    struct kf_keyring *keyring = blocking_new(2);
    struct kf_cmm *cmm = cmm_on(keyring);
    const struct kf_edk edk = {kf_view_text("tests"), kf_view_text("key"), kf_view_text("it")};
    const struct kf_decryption_request request = decryption_request(&edk, 1);
    assert_int_equal(asker_ask(&askers[0], cmm, 1), KF_PENDING);
    assert_int_equal(asker_decrypt(&askers[1], cmm, &request), KF_PENDING);
    gate_wait(&gate.begun, 2);
    askers_leave(askers, 2);
    kf_cmm_unref(cmm);
    kf_keyring_unref(keyring); /* does not wait for the worker */
    assert_int_equal(gate.destroyed, 0);
    gate_open(true);
    gate_wait(&gate.destroyed, 1);
    assert_int_equal(gate.ended, 2);
}

/*
 * All callers have gone. The fetch lands on the internal thread, which then has the last reference to
 * everything.
 */
static void the_last_release_may_be_the_internal_threads(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    options.keyring = blocking_new(2);
    assert_ok(kf_cache_new(10, &error, &options.cache), &error);
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
    assert_int_equal(asker_ask(&askers[0], cmm, 1), KF_PENDING);
    gate_wait(&gate.begun, 1);
    asker_leave(&askers[0]);
    kf_cmm_unref(cmm);
    kf_cache_unref(options.cache);
    kf_keyring_unref(options.keyring);
    gate_open(true);
    gate_wait(&gate.destroyed, 1);
    kf_cleanup();
}

/* A wrapped keyring that is asynchronous and never answers: giving up has to reach the worker that waits. */
static enum kf_code silent_encrypt(void *self, struct kf_call *call,
                                   const struct kf_encryption_materials *materials, struct kf_error *error,
                                   struct kf_wrapped *out)
{
    (void)self;
    (void)materials;
    (void)error;
    (void)out;
    if (kf_call_state(call) == NULL) {
        kf_call_state_set(call, &gate, NULL);
        pthread_mutex_lock(&gate.lock);
        gate.begun++;
        pthread_cond_broadcast(&gate.changed);
        pthread_mutex_unlock(&gate.lock);
    }
    return KF_PENDING;
}

static void giving_up_reaches_a_keyring_that_is_silent(void **state)
{
    (void)state;
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable,
        .on_encrypt = silent_encrypt,
        .on_decrypt = gate_decrypt,
        .destroy = gate_destroy,
    };
    gate_end(blocking_new(1)); /* a gate to begin with */
    gate.destroyed = 0;
    struct kf_blocking_keyring_options options = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    assert_ok(kf_keyring_new(&vtable, support_keyring(), &error, &options.keyring), &error);
    assert_ok(kf_blocking_keyring_new(&options, &error, &keyring), &error);
    kf_keyring_unref(options.keyring);
    struct kf_cmm *cmm = cmm_on(keyring);
    assert_int_equal(asker_ask(&askers[0], cmm, 1), KF_PENDING);
    gate_wait(&gate.begun, 1);
    asker_leave(&askers[0]);
    kf_cmm_unref(cmm);
    kf_keyring_unref(keyring);
    gate_wait(&gate.destroyed, 1); /* the worker ended */
}

/* ---- Forks ---- */

static bool child_uses_it(void *context)
{
    struct kf_keyring *keyring = context;
    struct kf_cmm *cmm;
    struct kf_buf message = KF_BUF_INIT;
    pthread_mutex_init(&gate.lock, NULL);
    pthread_cond_init(&gate.changed, NULL);
    gate.open = true;
    if (kf_default_cmm_new(keyring, NULL, &cmm) != KF_OK)
        return false;
    const enum kf_code code = kf_encrypt(cmm, NULL, kf_view_text("child"), NULL, &message);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    return code == KF_OK;
}

static void a_child_starts_workers_of_its_own(void **state)
{
    (void)state;
    if (!SUPPORT_THREADS_IN_CHILDREN)
        skip();
    struct kf_keyring *keyring = blocking_new(1);
    struct kf_cmm *cmm = cmm_on(keyring);
    assert_int_equal(asker_ask(&askers[0], cmm, 1), KF_PENDING);
    assert_int_equal(asker_ask(&askers[1], cmm, 1), KF_PENDING);
    gate_wait(&gate.begun, 1);
    assert_true(support_in_child(child_uses_it, keyring));
    gate_open(true);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    askers_leave(askers, 2);
    kf_cmm_unref(cmm);
    gate_end(keyring);
}

static void options_are_checked(void **state)
{
    (void)state;
    struct kf_blocking_keyring_options options = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    assert_int_equal(kf_blocking_keyring_new(NULL, &error, &keyring), KF_E_USAGE);
    assert_int_equal(kf_blocking_keyring_new(&options, &error, &keyring), KF_E_USAGE);
    options.keyring = support_keyring();
    options.max_workers = 0;
    assert_int_equal(kf_blocking_keyring_new(&options, &error, &keyring), KF_E_USAGE);
    options.max_workers = 1001;
    assert_int_equal(kf_blocking_keyring_new(&options, &error, &keyring), KF_E_USAGE);
    assert_non_null(strstr(error.text, "max_workers"));
    kf_keyring_unref(options.keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_encrypts_and_decrypts_as_the_keyring_inside),
        cmocka_unit_test(errors_come_through),
        cmocka_unit_test(it_wraps_what_another_keyring_made),
        cmocka_unit_test(at_most_so_many_run_at_once),
        cmocka_unit_test(within_a_cache_it_holds_nobody_up),
        cmocka_unit_test(a_request_id_comes_through),
        cmocka_unit_test(a_call_is_left_before_its_work_ends),
        cmocka_unit_test(the_keyring_goes_while_a_worker_is_busy),
        cmocka_unit_test(the_last_release_may_be_the_internal_threads),
        cmocka_unit_test(giving_up_reaches_a_keyring_that_is_silent),
        cmocka_unit_test(a_child_starts_workers_of_its_own),
        cmocka_unit_test(options_are_checked),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kf_cleanup(); /* workers that ended by themselves */
    return failed;
}
