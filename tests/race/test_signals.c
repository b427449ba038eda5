/*
 * Signals, with and without SA_RESTART: callers that wait are interrupted, and nothing fails or ends early because of
 * it. The library's own threads block all signals, so that no handler of the application ever runs there.
 */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "support/asker.h"
#include "support/client.h"
#include "support/ways.h"

static _Thread_local volatile sig_atomic_t of_the_application; /* this thread is one that we made */
static atomic_uint handled, handled_elsewhere;

static void handle(int number)
{
    (void)number;
    atomic_fetch_add(&handled, 1);
    if (!of_the_application)
        atomic_fetch_add(&handled_elsewhere, 1);
}

static void install(int number, int flags)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    assert_int_equal(sigaction(number, &action, NULL), 0);
}

static void block(int how, int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    assert_int_equal(pthread_sigmask(how, &set, NULL), 0);
}

static bool is_pending(int number)
{
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, number) == 1;
}

/* The first thing that a thread of the test does. The test's own thread blocks these signals. */
static void begin_thread(void)
{
    of_the_application = 1;
    block(SIG_UNBLOCK, SIGUSR1);
    block(SIG_UNBLOCK, SIGALRM);
}

static const int both_flags[] = {0, SA_RESTART};

/* ---- Callers that wait ---- */

struct caller {
    struct kf_cmm *cmm;
    enum kf_code code;
    struct kf_error error;
    pthread_t thread;
};

static void *encrypt_main(void *context)
{
    struct caller *caller = context;
    struct kf_buf message = KF_BUF_INIT;
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    begin_thread();
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    caller->code = kf_encrypt(caller->cmm, &options, kf_view_text("plaintext"), &caller->error, &message);
    kf_buf_free(&message);
    return NULL;
}

static void interrupt(pthread_t thread, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        const unsigned before = atomic_load(&handled);
        assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
        while (atomic_load(&handled) == before) /* it has run, on that thread */
            sched_yield();
    }
}

#define CALLERS 6

static void whoever_waits_goes_on_waiting(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        const struct kf_caching_cmm_options options = caching_options(3, 1000);
        struct scene scene;
        struct caller callers[CALLERS];
        install(SIGUSR1, both_flags[f]);
        scene_open(&scene, 10, &options);
        for (size_t i = 0; i < CALLERS; i++) {
            callers[i] = (struct caller){scene.cmm, KF_PENDING, KF_ERROR_INIT, 0};
            assert_int_equal(pthread_create(&callers[i].thread, NULL, encrypt_main, &callers[i]), 0);
        }
        while (scene_stats(&scene).waiting < CALLERS)
            sched_yield();
        told_wait_begun(scene.told, 2);
        for (size_t i = 0; i < CALLERS; i++)
            interrupt(callers[i].thread, 20);
        assert_int_equal(scene_stats(&scene).waiting, CALLERS);
        told_answer_all(scene.told, KF_OK);
        for (size_t i = 0; i < CALLERS; i++) {
            pthread_join(callers[i].thread, NULL);
            assert_ok(callers[i].code, &callers[i].error);
        }
        assert_int_equal(told_begun(scene.told), 2);
        scene_close(&scene);
    }
}

/* ---- A storm, in every way ---- */

static atomic_uint finished;
static atomic_bool stopping;

static void *ways_main(void *context)
{
    struct caller *caller = context;
    begin_thread();
    caller->code = KF_OK;
    for (unsigned i = 0; i < 3 * WAYS && caller->code == KF_OK; i++)
        caller->code = way_round_trip((enum ways)(i % WAYS), &caller->error);
    atomic_fetch_add(&finished, 1);
    return NULL;
}

/* Signals for each of the threads in turn, as fast as they are taken. */
static void *storm_main(void *context)
{
    const struct caller *callers = context;
    begin_thread();
    for (unsigned i = 0; !atomic_load(&stopping); i++) {
        pthread_kill(callers[i % 2].thread, SIGUSR1);
        sched_yield();
    }
    return NULL;
}

static void set_timer(long us)
{
    const struct itimerval every = {{0, us}, {0, us}};
    assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
}

static void no_way_is_disturbed(void **state)
{
    (void)state;
    char file[64];
    snprintf(file, sizeof file, "signals-%d.pem", (int)getpid());
    ways_open(file);
    for (size_t f = 0; f < 2; f++) {
        struct caller callers[2];
        pthread_t storm;
        install(SIGUSR1, both_flags[f]);
        install(SIGALRM, both_flags[f]);
        atomic_store(&stopping, false);
        atomic_store(&finished, 0);
        for (size_t i = 0; i < 2; i++) {
            callers[i] = (struct caller){NULL, KF_PENDING, KF_ERROR_INIT, 0};
            assert_int_equal(pthread_create(&callers[i].thread, NULL, ways_main, &callers[i]), 0);
        }
        assert_int_equal(pthread_create(&storm, NULL, storm_main, callers), 0);
        set_timer(500); /* these come to any thread that takes them */
        while (atomic_load(&finished) < 2)
            sched_yield();
        set_timer(0);
        atomic_store(&stopping, true);
        pthread_join(storm, NULL);
        for (size_t i = 0; i < 2; i++) {
            pthread_join(callers[i].thread, NULL);
            assert_ok(callers[i].code, &callers[i].error);
        }
    }
    assert_true(atomic_load(&handled) > 0);
    ways_close();
}

/* ---- The library's own threads ---- */

/* All threads of the application block a signal. It stays pending, since the library's threads block it too. */
static void our_threads_take_no_signals(void **state)
{
    (void)state;
    char file[64];
    struct kf_error error = KF_ERROR_INIT;
    install(SIGUSR2, SA_RESTART);
    block(SIG_BLOCK, SIGUSR2); /* the threads of the server inherit this */
    snprintf(file, sizeof file, "signals-%d.pem", (int)getpid());
    ways_open(file);
    const unsigned before = atomic_load(&handled);
    for (unsigned i = 0; i < WAYS; i++) /* the internal thread and workers run now */
        assert_ok(way_round_trip((enum ways)i, &error), &error);
    assert_int_equal(kill(getpid(), SIGUSR2), 0);
    assert_true(is_pending(SIGUSR2));
    for (unsigned i = 0; i < WAYS; i++)
        assert_ok(way_round_trip((enum ways)i, &error), &error);
    assert_true(is_pending(SIGUSR2));
    assert_int_equal(atomic_load(&handled), before);
    block(SIG_UNBLOCK, SIGUSR2);
    while (atomic_load(&handled) == before)
        sched_yield();
    assert_false(is_pending(SIGUSR2));
    ways_close();
    assert_int_equal(atomic_load(&handled_elsewhere), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_waits_goes_on_waiting),
        cmocka_unit_test(no_way_is_disturbed),
        cmocka_unit_test(our_threads_take_no_signals),
    };
    of_the_application = 1;
    block(SIG_BLOCK, SIGUSR1);
    block(SIG_BLOCK, SIGALRM);
    (void)signal(SIGPIPE, SIG_IGN); /* the server's, by OpenSSL */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
