/*
 * Foreign code that forks in the middle of a call and returns in both processes: keyrings, CMMs and listeners. The parent
 * notices nothing. In the child the call answers KF_E_FORKED and gives out no byte, for parent and child would go on with
 * the same key and message id. What the child begins itself works.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/client.h"

/* Where to fork: at the moment number `at` that is counted; 0: nowhere. */
static struct {
    unsigned at, moments;
    pid_t child; /* -1: not forked yet */
} forking;

static void forking_begin(unsigned at)
{
    forking.at = at;
    forking.moments = 0;
    forking.child = -1;
}

/* A moment at which foreign code may fork. */
static void moment(void)
{
    if (++forking.moments != forking.at)
        return;
    (void)fflush(stdout); /* else the child may write it once more */
    forking.child = fork();
    if (forking.child == 0)
        alarm(20);
}

/* Ends the child, which says whether it was `good`; the parent looks at that. False: there was no fork. */
static bool forking_end(bool good)
{
    int status = 0;
    if (forking.child == 0)
        _exit(good ? 0 : 1);
    if (forking.child < 0)
        return false;
    assert_int_equal(waitpid(forking.child, &status, 0), forking.child);
    assert_int_equal(status, 0);
    return true;
}

/* ---- Foreign code: each moment before and after the work ---- */

static enum kf_code keyring_encrypt(void *self, struct kf_call *call,
                                    const struct kf_encryption_materials *materials, struct kf_error *error,
                                    struct kf_wrapped *out)
{
    moment();
    enum kf_code code = kf_keyring_on_encrypt(self, kf_call_child(call, 0), materials, error, out);
    moment();
    return code;
}

static enum kf_code keyring_decrypt(void *self, struct kf_call *call,
                                    const struct kf_decryption_materials *materials,
                                    const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                                    struct kf_data_key *out)
{
    moment();
    enum kf_code code =
        kf_keyring_on_decrypt(self, kf_call_child(call, 0), materials, edks, edk_count, error, out);
    moment();
    return code;
}

static enum kf_code cmm_encrypt(void *self, struct kf_call *call, const struct kf_encryption_request *request,
                                struct kf_error *error, const struct kf_encryption_materials **out)
{
    moment();
    enum kf_code code = kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
    moment();
    return code;
}

static enum kf_code cmm_decrypt(void *self, struct kf_call *call, const struct kf_decryption_request *request,
                                struct kf_error *error, const struct kf_decryption_materials **out)
{
    moment();
    enum kf_code code = kf_cmm_decrypt_materials(self, kf_call_child(call, 0), request, error, out);
    moment();
    return code;
}

static void listen(void *context, const struct kf_cache_event *event)
{
    (void)context;
    (void)event;
    moment();
}

/* A forking CMM on a default CMM on a forking keyring, and, if `cached`, a cache with a forking listener around it. */
struct stage {
    struct kf_keyring *keyring, *forking_keyring;
    struct kf_cmm *inner, *forking_cmm, *cmm;
};

static void stage_cache(struct stage *stage)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    assert_ok(kf_cache_listener_new(listen, NULL, NULL, &error, &options.listener), &error);
    assert_ok(kf_cache_new(10, &error, &options.cache), &error);
    options.cmm = stage->forking_cmm;
    options.max_age_ms = 3600000;
    options.max_messages = 2;
    options.max_bytes = 1000;
    options.settle = true;
    options.refresh_ahead_permille = 500;
    assert_ok(kf_caching_cmm_new(&options, &error, &stage->cmm), &error);
    kf_cache_listener_unref(options.listener);
    kf_cache_unref(options.cache);
}

static void stage_open(struct stage *stage, bool cached)
{
    static const struct kf_keyring_vtable keyring = {sizeof keyring, keyring_encrypt, keyring_decrypt, NULL,
                                                     false};
    static const struct kf_cmm_vtable cmm = {sizeof cmm, cmm_encrypt, cmm_decrypt, NULL, false};
    struct kf_error error = KF_ERROR_INIT;
    forking_begin(0);
    stage->keyring = client_keyring("one", 1);
    assert_ok(kf_keyring_new(&keyring, stage->keyring, &error, &stage->forking_keyring), &error);
    assert_ok(kf_default_cmm_new(stage->forking_keyring, &error, &stage->inner), &error);
    assert_ok(kf_cmm_new(&cmm, stage->inner, &error, &stage->forking_cmm), &error);
    stage->cmm = kf_cmm_ref(stage->forking_cmm);
    if (cached) {
        kf_cmm_unref(stage->cmm);
        stage_cache(stage);
    }
}

static void stage_close(struct stage *stage)
{
    kf_cmm_unref(stage->cmm);
    kf_cleanup();
    kf_cmm_unref(stage->forking_cmm);
    kf_cmm_unref(stage->inner);
    kf_keyring_unref(stage->forking_keyring);
    kf_keyring_unref(stage->keyring);
}

/* ---- What is done ---- */

static const char text[] = "plaintext of some length";

static bool is_zero(const uint8_t *bytes, size_t length)
{
    uint8_t any = 0;
    for (size_t i = 0; i < length; i++)
        any |= bytes[i];
    return any == 0;
}

/* KF_E_FORKED, with a sentence. */
static bool is_refused(enum kf_code code, const struct kf_error *error)
{
    return code == KF_E_FORKED && error->code == KF_E_FORKED && error->text[0] != '\0';
}

/* A message and back, in whichever process. */
static bool round_trip(struct kf_cmm *cmm)
{
    struct kf_buf message = KF_BUF_INIT, plaintext = KF_BUF_INIT;
    bool good =
        kf_encrypt(cmm, NULL, kf_view_text(text), NULL, &message) == KF_OK &&
        kf_decrypt(cmm, NULL, kf_view_of(message.data, message.length), NULL, NULL, &plaintext) == KF_OK &&
        plaintext.length == strlen(text) && memcmp(plaintext.data, text, strlen(text)) == 0;
    kf_buf_free(&message);
    kf_buf_free(&plaintext);
    return good;
}

/* The four calls. Each answers whether all is as it has to be, in whichever process it returns. */

static bool encrypt_at_once(struct kf_cmm *cmm)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT;
    const enum kf_code code = kf_encrypt(cmm, NULL, kf_view_text(text), &error, &message);
    const bool good = forking.child == 0 ? is_refused(code, &error) && message.length == 0 &&
                                               is_zero(message.data, message.capacity)
                                         : code == KF_OK;
    kf_buf_free(&message);
    return good;
}

static bool decrypt_at_once(struct kf_cmm *cmm)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT, plaintext = KF_BUF_INIT;
    const unsigned at = forking.at;
    forking_begin(0);
    bool good = kf_encrypt(cmm, NULL, kf_view_text(text), NULL, &message) == KF_OK;
    forking_begin(at);
    const enum kf_code code =
        kf_decrypt(cmm, NULL, kf_view_of(message.data, message.length), &error, NULL, &plaintext);
    good = good && (forking.child == 0 ? is_refused(code, &error) && plaintext.length == 0 &&
                                             is_zero(plaintext.data, plaintext.capacity)
                                       : code == KF_OK);
    kf_buf_free(&message);
    kf_buf_free(&plaintext);
    return good;
}

/* All input and room at once, so that the poll which asks for keys would write all of the message. */
static bool encrypt_a_stream(struct kf_cmm *cmm)
{
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_encryptor *encryptor;
    uint8_t out[1000] = {0};
    struct kf_io io = {.in = (const uint8_t *)text,
                       .in_length = strlen(text),
                       .in_end = true,
                       .out = out,
                       .out_room = sizeof out};
    options.plaintext_bound = 100; /* what is not used is settled, which is an event */
    if (kf_encryptor_new(cmm, &options, NULL, &encryptor) != KF_OK)
        return false;
    const enum kf_code code = kf_encryptor_poll(encryptor, &io, NULL);
    bool good = code == KF_OK;
    if (forking.child == 0) {
        good = is_refused(code, kf_encryptor_error(encryptor)) && io.in_used == 0 && io.out_used == 0 &&
               is_zero(out, sizeof out);
        good = good && kf_encryptor_poll(encryptor, &io, NULL) == KF_E_FORKED && is_zero(out, sizeof out);
    }
    kf_encryptor_free(encryptor);
    return good;
}

static bool decrypt_a_stream(struct kf_cmm *cmm)
{
    struct kf_buf message = KF_BUF_INIT;
    struct kf_decryptor *decryptor;
    uint8_t out[1000] = {0};
    const unsigned at = forking.at;
    forking_begin(0);
    if (kf_encrypt(cmm, NULL, kf_view_text(text), NULL, &message) != KF_OK ||
        kf_decryptor_new(cmm, NULL, NULL, &decryptor) != KF_OK)
        return false;
    forking_begin(at);
    struct kf_io io = {
        .in = message.data, .in_length = message.length, .in_end = true, .out = out, .out_room = sizeof out};
    const enum kf_code code = kf_decryptor_poll(decryptor, &io, NULL);
    bool good = code == KF_OK;
    if (forking.child == 0) {
        good = is_refused(code, kf_decryptor_error(decryptor)) && io.in_used == 0 && io.out_used == 0 &&
               is_zero(out, sizeof out);
        good = good && kf_decryptor_poll(decryptor, &io, NULL) == KF_E_FORKED && is_zero(out, sizeof out);
    }
    kf_decryptor_free(decryptor);
    kf_buf_free(&message);
    return good;
}

static void done(void *context, const struct kf_job_result *result)
{
    *(enum kf_code *)context = result->code;
}

/* In the child no callback is called: the run answers for all. */
static bool run_a_job(struct kf_cmm *cmm)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_jobs *jobs;
    enum kf_code answered = KF_PENDING;
    if (kf_jobs_new(NULL, NULL, &jobs) != KF_OK ||
        kf_jobs_encrypt(jobs, cmm, NULL, kf_view_text(text), done, &answered, NULL, NULL) != KF_OK)
        return false;
    const enum kf_code code = kf_jobs_run(jobs, &error);
    kf_jobs_free(jobs);
    return forking.child == 0 ? is_refused(code, &error) && answered == KF_PENDING
                              : code == KF_OK && answered == KF_OK;
}

/* ---- All of it at all moments ---- */

/* Forks at each moment of the call in turn, until there is no such moment any more. */
static void try_all_moments(bool (*call)(struct kf_cmm *cmm), bool cached, bool warm)
{
    unsigned at = 1;
    for (bool forked = true; forked; at++) {
        struct stage stage;
        stage_open(&stage, cached);
        if (warm)
            assert_true(round_trip(stage.cmm));
        forking_begin(at);
        bool good = call(stage.cmm);
        if (forking.child == 0)
            good = good && (!SUPPORT_THREADS_IN_CHILDREN || round_trip(stage.cmm));
        forked = forking_end(good);
        assert_true(good);
        forking_begin(0);
        assert_true(round_trip(stage.cmm));
        stage_close(&stage);
    }
    assert_true(at > 2); /* it came to a moment at all */
}

static void try_all(bool (*call)(struct kf_cmm *cmm))
{
    try_all_moments(call, false, false);
    try_all_moments(call, true, false);
}

static void one_call_that_encrypts(void **state)
{
    (void)state;
    try_all(encrypt_at_once);
    try_all_moments(encrypt_at_once, true, true); /* a hit, which fetches the next key ahead */
}

static void one_call_that_decrypts(void **state)
{
    (void)state;
    try_all(decrypt_at_once);
}

static void a_stream_that_encrypts(void **state)
{
    (void)state;
    try_all(encrypt_a_stream);
    try_all_moments(encrypt_a_stream, true, true); /* a hit, which fetches the next key ahead */
}

static void a_stream_that_decrypts(void **state)
{
    (void)state;
    try_all(decrypt_a_stream);
}

static void a_job(void **state)
{
    (void)state;
    try_all(run_a_job);
    try_all_moments(run_a_job, true, true); /* a hit, which fetches the next key ahead */
}

/* ---- On threads of the library ---- */

/* Answers at the second poll, which is the internal thread's. */
static enum kf_code late_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_request *request, struct kf_error *error,
                                 const struct kf_encryption_materials **out)
{
    static char waited;
    if (kf_call_state(call) == NULL) {
        kf_call_state_set(call, &waited, NULL);
        const enum kf_code code = kf_call_wake_in(call, 0);
        return code == KF_OK ? KF_PENDING : kf_error_set(error, code, "There is no timer.");
    }
    return cmm_encrypt(self, call, request, error, out);
}

/* Encrypts, and forks on a thread for which nobody waits in the child: it ends there. */
static void fork_apart(struct kf_cmm *cmm, unsigned at)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT;
    int status;
    forking_begin(at);
    assert_ok(kf_encrypt(cmm, NULL, kf_view_text(text), &error, &message), &error);
    assert_true(forking.child > 0);
    assert_int_equal(waitpid(forking.child, &status, 0), forking.child);
    assert_true(WIFEXITED(status));
    kf_buf_free(&message);
}

static void the_internal_thread_ends_in_the_child(void **state)
{
    (void)state;
    static const struct kf_cmm_vtable late = {sizeof late, late_encrypt, cmm_decrypt, NULL, true};
    struct kf_error error = KF_ERROR_INIT;
    struct stage stage;
    stage_open(&stage, false);
    kf_cmm_unref(stage.cmm);
    kf_cmm_unref(stage.forking_cmm);
    assert_ok(kf_cmm_new(&late, stage.inner, &error, &stage.forking_cmm), &error);
    stage_cache(&stage);
    fork_apart(stage.cmm, 2); /* the first moment is the listener's, at the miss */
    stage_close(&stage);
}

static void a_worker_ends_in_the_child(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_blocking_keyring_options options = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    struct kf_keyring *blocking;
    struct kf_cmm *cmm;
    struct stage stage;
    stage_open(&stage, false);
    options.keyring = stage.forking_keyring;
    assert_ok(kf_blocking_keyring_new(&options, &error, &blocking), &error);
    assert_ok(kf_default_cmm_new(blocking, &error, &cmm), &error);
    fork_apart(cmm, 1);
    kf_cmm_unref(cmm);
    kf_keyring_unref(blocking);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_call_that_encrypts),
        cmocka_unit_test(one_call_that_decrypts),
        cmocka_unit_test(a_stream_that_encrypts),
        cmocka_unit_test(a_stream_that_decrypts),
        cmocka_unit_test(a_job),
        cmocka_unit_test(the_internal_thread_ends_in_the_child),
        cmocka_unit_test(a_worker_ends_in_the_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
