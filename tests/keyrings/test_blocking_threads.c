/*
 * The blocking keyring on a system that gives no threads. Everybody who asks gets an error, also if another
 * caller was about to start a worker. Once there are threads it works again.
 */
#include "support/asker.h"

#include <dlfcn.h>
#include <errno.h>

/* Refuses threads, but not before so many were asked for at once. */
static struct {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool refuses;
    unsigned together, asked;
} system_threads = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* The test's own thread, which is never refused. */
static void *ask_too(void *cmm);

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main_of)(void *),
                   void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");
    memcpy(&real, &symbol, sizeof real);
    pthread_mutex_lock(&system_threads.lock);
    const bool refuses = system_threads.refuses && main_of != ask_too;
    if (refuses) {
        system_threads.asked++;
        pthread_cond_broadcast(&system_threads.changed);
        while (system_threads.asked < system_threads.together)
            pthread_cond_wait(&system_threads.changed, &system_threads.lock);
    }
    pthread_mutex_unlock(&system_threads.lock);
    return refuses ? EAGAIN : real(thread, attributes, main_of, argument);
}

static void refuse(unsigned together)
{
    pthread_mutex_lock(&system_threads.lock);
    system_threads.refuses = together > 0;
    system_threads.together = together;
    system_threads.asked = 0;
    pthread_mutex_unlock(&system_threads.lock);
}

static struct kf_cmm *blocking_cmm(void)
{
    struct kf_blocking_keyring_options options = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    struct kf_cmm *cmm;
    options.keyring = support_keyring();
    options.max_workers = 2;
    assert_ok(kf_blocking_keyring_new(&options, &error, &keyring), &error);
    assert_ok(kf_default_cmm_new(keyring, &error, &cmm), &error);
    kf_keyring_unref(options.keyring);
    kf_keyring_unref(keyring);
    return cmm;
}

static struct asker askers[3];

static void without_a_thread_it_says_so(void **state)
{
    (void)state;
    struct kf_cmm *cmm = blocking_cmm();
    refuse(1);
    assert_int_equal(asker_ask(&askers[0], cmm, 1), KF_E_SYSTEM);
    assert_non_null(strstr(askers[0].error.text, "worker"));
    refuse(0);
    asker_ask(&askers[1], cmm, 1);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    askers_leave(askers, 2);
    kf_cmm_unref(cmm);
    kf_cleanup(); /* no worker is left that could do the work of the next test */
}

static void *ask_too(void *cmm)
{
    asker_ask(&askers[1], cmm, 1);
    return NULL;
}

/* Each relies on the worker that the other is about to start. */
static void nobody_is_left_behind_where_all_fail(void **state)
{
    (void)state;
    struct kf_cmm *cmm = blocking_cmm();
    pthread_t thread;
    refuse(2);
    assert_int_equal(pthread_create(&thread, NULL, ask_too, cmm), 0);
    asker_ask(&askers[0], cmm, 1);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(askers[i].code == KF_PENDING ? asker_poll(&askers[i]) : askers[i].code, KF_E_SYSTEM);
    refuse(0);
    asker_ask(&askers[2], cmm, 1);
    assert_int_equal(asker_wait(&askers[2]), KF_OK);
    askers_leave(askers, 3);
    kf_cmm_unref(cmm);
    kf_cleanup();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_thread_it_says_so),
        cmocka_unit_test(nobody_is_left_behind_where_all_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
