/*
 * Threads that are cancelled (pthread_cancel) while they are in a function of the library: they end behind it, so that
 * nobody else is held up and nothing leaks. Most threads here ask for their own cancellation first: the first
 * cancellation point that is open would end them.
 */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <keyflight/aws.h>

#include "base/waker.h"
#include "support/asker.h"
#include "support/client.h"
#include "support/keys.h"
#include "support/ways.h"

/* What a thread does while its cancellation is pending. */
struct doomed {
    enum kf_code (*work)(void *context, struct kf_error *error);
    void *context;
    enum kf_code code; /* KF_PENDING: the work did not return */
    struct kf_error error;
    int state; /* of cancellation, behind the work */
};

static void work_and_end(struct doomed *doomed)
{
    doomed->code = doomed->work(doomed->context, &doomed->error);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &doomed->state);
    for (;;)
        pthread_testcancel();
}

static void *doomed_main(void *context)
{
    pthread_cancel(pthread_self());
    work_and_end(context);
    return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), void *context)
{
    assert_int_equal(pthread_create(thread, NULL, run, context), 0);
}

static void assert_ended_behind(pthread_t thread, const struct doomed *doomed)
{
    void *result;
    pthread_join(thread, &result);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_int_not_equal(doomed->code, KF_PENDING);
    assert_ok(doomed->code, &doomed->error);
    assert_int_equal(doomed->state, PTHREAD_CANCEL_ENABLE); /* as it was before */
}

/* Does the work on a thread whose cancellation is pending. */
static void assert_survives(enum kf_code (*work)(void *context, struct kf_error *error), void *context)
{
    struct doomed doomed = {work, context, KF_PENDING, KF_ERROR_INIT, -1};
    pthread_t thread;
    start(&thread, doomed_main, &doomed);
    assert_ended_behind(thread, &doomed);
}

/* ---- Making things ---- */

/* A key that libcrypto reads, which it does by its configuration; and a client, whose settings are in files. */
static enum kf_code make_things(void *context, struct kf_error *error)
{
    struct kf_raw_rsa_keyring_options rsa = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    struct kf_keyring *keyring;
    struct kf_aws_client *client = NULL;
    rsa.key_namespace = rsa.key_name = kf_view_text("tests");
    rsa.padding = KF_RSA_OAEP_SHA256;
    rsa.public_key = *(const struct kf_view *)context;
    enum kf_code code = kf_raw_rsa_keyring_new(&rsa, error, &keyring);
    if (code == KF_OK)
        code = kf_aws_client_new(&options, error, &client);
    kf_aws_client_unref(client);
    kf_keyring_unref(keyring);
    return code;
}

/* It comes first, since much is read by the first use only. */
static void what_is_made_is_made(void **state)
{
    (void)state;
    char file[64];
    struct kf_view key = key_file("rsa-public.pem");
    snprintf(file, sizeof file, "cancellation-%d.config", (int)getpid());
    FILE *config = fopen(file, "w");
    assert_non_null(config);
    fputs("[default]\nregion = eu-west-1\n", config);
    fclose(config);
    setenv("AWS_CONFIG_FILE", file, 1);
    assert_survives(make_things, &key);
    unlink(file);
    setenv("AWS_CONFIG_FILE", "/dev/null", 1);
}

/* ---- Messages ---- */

static enum kf_code round_trip(void *context, struct kf_error *error)
{
    const enum ways *way = context;
    return way_round_trip(*way, error);
}

static enum kf_code clean_up(void *context, struct kf_error *error)
{
    (void)context;
    (void)error;
    kf_cleanup();
    return KF_OK;
}

static enum kf_code release_everything(void *context, struct kf_error *error)
{
    (void)context;
    (void)error;
    ways_release(); /* a blocking keyring waits for its workers */
    return KF_OK;
}

static void messages_are_finished_in_every_way(void **state)
{
    (void)state;
    char file[64];
    struct kf_error error = KF_ERROR_INIT;
    snprintf(file, sizeof file, "cancellation-%d.pem", (int)getpid());
    ways_open(file);
    for (unsigned i = 0; i < WAYS; i++) {
        enum ways way = (enum ways)i;
        assert_survives(round_trip, &way);
    }
    assert_survives(clean_up, NULL);
    for (unsigned i = 0; i < WAYS; i++)
        assert_ok(way_round_trip((enum ways)i, &error), &error);
    assert_survives(release_everything, NULL);
    ways_close();
}

/* ---- Threads that are cancelled while they wait ---- */

static enum kf_code encrypt(void *cmm, struct kf_error *error)
{
    struct kf_buf message = KF_BUF_INIT;
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    const enum kf_code code = kf_encrypt(cmm, &options, kf_view_text("plaintext"), error, &message);
    kf_buf_free(&message);
    return code;
}

static void *encrypt_main(void *context)
{
    work_and_end(context);
    return NULL;
}

#define CALLERS 6

/* Half of them are cancelled while all have seats. */
static void whoever_waits_gets_a_key_first(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(3, 1000);
    struct scene scene;
    pthread_t threads[CALLERS];
    struct doomed callers[CALLERS];
    scene_open(&scene, 10, &options);
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = (struct doomed){encrypt, scene.cmm, KF_PENDING, KF_ERROR_INIT, -1};
        start(&threads[i], encrypt_main, &callers[i]);
        while (scene_stats(&scene).waiting < i + 1)
            sched_yield();
    }
    told_wait_begun(scene.told, 2);
    for (size_t i = 0; i < CALLERS; i += 2)
        pthread_cancel(threads[i]);
    told_wake_all(scene.told);
    scene_land_all(&scene, KF_OK);
    for (size_t i = 0; i < CALLERS; i++) {
        if (i % 2 == 1)
            pthread_cancel(threads[i]);
        assert_ended_behind(threads[i], &callers[i]);
    }
    assert_int_equal(scene_stats(&scene).waiting, 0);
    scene_close(&scene);
}

/* ---- Functions of the application that the library calls ---- */

static enum kf_code cancellable_on_encrypt(void *self, struct kf_call *call,
                                           const struct kf_encryption_materials *materials,
                                           struct kf_error *error, struct kf_wrapped *out)
{
    pthread_testcancel();
    return kf_keyring_on_encrypt(self, kf_call_child(call, 0), materials, error, out);
}

static enum kf_code cancellable_on_decrypt(void *self, struct kf_call *call,
                                           const struct kf_decryption_materials *materials,
                                           const struct kf_edk *edks, size_t edk_count,
                                           struct kf_error *error, struct kf_data_key *out)
{
    pthread_testcancel();
    return kf_keyring_on_decrypt(self, kf_call_child(call, 0), materials, edks, edk_count, error, out);
}

static void cancellable_done(void *called, const struct kf_job_result *result)
{
    pthread_testcancel();
    *(enum kf_code *)called = result->code;
}

static enum kf_code run_job(void *cmm, struct kf_error *error)
{
    struct kf_jobs *jobs;
    enum kf_code done = KF_PENDING, code = kf_jobs_new(NULL, error, &jobs);
    if (code == KF_OK)
        code = kf_jobs_encrypt(jobs, cmm, NULL, kf_view_text("x"), cancellable_done, &done, error, NULL);
    if (code == KF_OK)
        code = kf_jobs_run(jobs, error);
    kf_jobs_free(jobs);
    return code == KF_OK ? done : code;
}

/* A keyring with a cancellation point in it: the flight that it is polled for lands. */
static void keyrings_and_callbacks_are_finished_too(void **state)
{
    (void)state;
    static const struct kf_keyring_vtable vtable = {sizeof vtable, cancellable_on_encrypt,
                                                    cancellable_on_decrypt, NULL, false};
    struct kf_caching_cmm_options options = caching_options(1, 1000);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *inner = support_keyring(), *keyring;
    struct kf_cmm *cmm;
    assert_ok(kf_keyring_new(&vtable, inner, &error, &keyring), &error);
    assert_ok(kf_cache_new(10, &error, &options.cache), &error);
    options.keyring = keyring;
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
    assert_survives(encrypt, cmm);
    assert_survives(run_job, cmm);
    kf_cmm_unref(cmm);
    kf_cache_unref(options.cache);
    kf_keyring_unref(keyring);
    kf_keyring_unref(inner);
}

static void cancellable_wake(void *context)
{
    pthread_testcancel();
    *(bool *)context = true;
}

static enum kf_code wake(void *place, struct kf_error *error)
{
    (void)error;
    kf_call_waker_wake(place);
    return KF_OK;
}

/* Else whoever sets another waker would wait for this one. */
static void wakers_are_finished_too(void **state)
{
    (void)state;
    bool woken = false;
    const struct kf_waker waker = {cancellable_wake, &woken};
    struct kf_call_waker *place = kfi_waker_new();
    kfi_waker_set(place, &waker);
    assert_survives(wake, place);
    assert_true(woken);
    kfi_waker_set(place, NULL);
    kf_call_waker_unref(place);
}

/* A thread that has cancellation off finds it off behind a call. */
static void the_state_of_cancellation_stays(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = support_cmm();
    int before;
    assert_ok(encrypt(cmm, &error), &error);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    assert_int_equal(before, PTHREAD_CANCEL_ENABLE);
    assert_ok(encrypt(cmm, &error), &error);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
    assert_int_equal(before, PTHREAD_CANCEL_DISABLE);
    kf_cmm_unref(cmm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_made_is_made),
        cmocka_unit_test(messages_are_finished_in_every_way),
        cmocka_unit_test(whoever_waits_gets_a_key_first),
        cmocka_unit_test(keyrings_and_callbacks_are_finished_too),
        cmocka_unit_test(wakers_are_finished_too),
        cmocka_unit_test(the_state_of_cancellation_stays),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* the server's, by OpenSSL */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
