/*
 * Memory: whichever allocation fails, every job has an answer and nothing leaks; and what a waiting job holds.
 */
#include "jobs/jobs_stage.h"
#include "support/failing_allocator.h"

#include <string.h>

/* ---- A CMM that answers at the second poll, and has itself polled again ---- */

static enum kf_code pause_once(struct kf_call *call, struct kf_error *error)
{
    static int seen;
    if (kf_call_state(call) != NULL)
        return KF_OK;
    struct kf_call_waker *waker = kf_call_waker_of(call);
    if (waker == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory to wait in.");
    kf_call_state_set(call, &seen, NULL);
    kf_call_waker_wake(waker);
    kf_call_waker_unref(waker);
    return KF_PENDING;
}

static enum kf_code pausing_encrypt(void *self, struct kf_call *call,
                                    const struct kf_encryption_request *request, struct kf_error *error,
                                    const struct kf_encryption_materials **out)
{
    const enum kf_code code = pause_once(call, error);
    if (code != KF_OK)
        return code;
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
}

static enum kf_code pausing_decrypt(void *self, struct kf_call *call,
                                    const struct kf_decryption_request *request, struct kf_error *error,
                                    const struct kf_decryption_materials **out)
{
    const enum kf_code code = pause_once(call, error);
    if (code != KF_OK)
        return code;
    return kf_cmm_decrypt_materials(self, kf_call_child(call, 0), request, error, out);
}

/* ---- The sweep ---- */

struct answer {
    unsigned called;
    enum kf_code code;
};

static void note(void *context, const struct kf_job_result *result)
{
    struct answer *answer = context;
    answer->called++;
    answer->code = result->code;
    assert_int_equal(result->error->code, result->code);
    assert_true(result->code == KF_OK ? result->out->length > 0 : result->out->length == 0);
    if (result->code != KF_OK) {
        assert_int_equal(result->code, KF_E_NO_MEMORY);
        assert_true(strlen(result->error->text) > 0);
    }
}

static void unexpected(void *context)
{
    (void)context;
    fail_msg("a stream that nobody polled is ready");
}

/*
 * Encrypts, decrypts and takes a stream while allocation `number` fails; false if there was no such
 * allocation.
 */
static bool attempt(struct kf_cmm *cmm, struct kf_view message, unsigned long number)
{
    struct kf_error error = KF_ERROR_INIT;
    struct bell bell;
    struct answer answers[2];
    struct kf_encryptor *encryptor;
    struct kf_jobs *jobs;
    struct kf_job *made[3] = {NULL, NULL, NULL};
    memset(answers, 0, sizeof answers);
    bell_init(&bell);
    assert_ok(kf_encryptor_new(cmm, NULL, &error, &encryptor), &error);
    struct kf_jobs_options options = KF_JOBS_OPTIONS_INIT;
    options.waker = bell_waker(&bell);
    options.max_run_ms = UINT64_MAX;

    fail_allocation(number);
    enum kf_code codes[4] = {kf_jobs_new(&options, &error, &jobs)};
    if (codes[0] == KF_OK) {
        codes[1] = kf_jobs_encrypt(jobs, cmm, NULL, kf_view_text("x"), note, &answers[0], &error, &made[0]);
        codes[2] = kf_jobs_decrypt(jobs, cmm, NULL, message, note, &answers[1], &error, &made[1]);
        codes[3] = kf_jobs_encryptor_take(jobs, encryptor, unexpected, NULL, &error, &made[2]);
        assert_run(jobs, KF_OK);
    }
    const bool failed = memory.made >= number;
    fail_allocation(0);

    unsigned failures = 0;
    for (size_t i = 0; i < 4; i++) {
        failures += codes[i] != KF_OK;
        assert_true(codes[i] == KF_OK || codes[i] == KF_E_NO_MEMORY);
        if (i > 0)
            assert_int_equal(made[i - 1] != NULL, codes[0] == KF_OK && codes[i] == KF_OK);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(answers[i].called, made[i] != NULL ? 1 : 0);
        failures += answers[i].called == 1 && answers[i].code != KF_OK;
    }
    assert_true(failures <= 1); /* it stays with the one that it met; a few are done without */
    kf_jobs_free(jobs);
    if (made[2] == NULL)
        kf_encryptor_free(encryptor);
    bell_destroy(&bell);
    return failed;
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    static const struct kf_cmm_vtable vtable = {sizeof vtable, pausing_encrypt, pausing_decrypt, NULL, false};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *inner = support_cmm(), *cmm;
    struct kf_buf message = KF_BUF_INIT;
    assert_ok(kf_cmm_new(&vtable, inner, &error, &cmm), &error);
    assert_ok(kf_encrypt(inner, NULL, kf_view_text("x"), &error, &message), &error);
    unsigned long number = 1;
    const size_t held = memory.held;
    while (attempt(cmm, kf_view_of(message.data, message.length), number)) {
        assert_int_equal(memory.held, held);
        number++;
    }
    assert_int_equal(memory.held, held);
    assert_true(number > 30);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_cmm_unref(inner);
}

/* ---- What a waiting job holds ---- */

static void a_waiting_job_holds_less_than_two_kib(void **state)
{
    (void)state;
    enum {
        COUNT = 5000
    };
    struct stage stage;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_cmm *caching;
    stage_open(&stage);
    assert_ok(kf_cache_new(1, &error, &options.cache), &error);
    options.cmm = stage.cmm;
    options.max_age_ms = 60000;
    options.max_messages = 1000;
    assert_ok(kf_caching_cmm_new(&options, &error, &caching), &error);
    struct answer answer = {.called = 0};
    const size_t before = memory.bytes;
    for (size_t i = 0; i < COUNT; i++)
        assert_ok(kf_jobs_encrypt(stage.jobs, caching, NULL, kf_view_text("x"), note, &answer, &error, NULL),
                  &error);
    assert_run(stage.jobs, KF_PENDING);
    assert_int_equal(told_begun(stage.told), 5);
    const size_t each = (memory.bytes - before) / COUNT;
    print_message("[          ] a waiting job holds %zu bytes\n", each);
    assert_in_range(each, 1, 2047);

    /* A wake takes none. */
    const size_t held = memory.held;
    memory.made = 0;
    bell_wait(&stage.bell);
    told_wake_all(stage.told);
    assert_run(stage.jobs, KF_PENDING);
    assert_int_equal(memory.held, held);
    assert_int_equal(memory.made, 0);
    kf_jobs_free(stage.jobs);
    stage.jobs = NULL;
    assert_int_equal(answer.called, 0);
    kf_cmm_unref(caching);
    kf_cache_unref(options.cache);
    stage_close(&stage);
}

int main(void)
{
    failing_allocator_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(a_waiting_job_holds_less_than_two_kib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
