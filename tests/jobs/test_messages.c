/*
 * Jobs of one message: what goes in and what comes out, and when the callback is called.
 */
#include "jobs/jobs_stage.h"

#include <stdlib.h>
#include <string.h>

#include "support/client.h"

static void a_message_is_made_and_read(void **state)
{
    (void)state;
    struct stage stage;
    struct caller caller = {.called = 0};
    stage_open(&stage);
    assert_run(stage.jobs, KF_OK); /* nothing to do */
    caller_encrypt(&caller, stage.jobs, stage.cmm, "plaintext", 0);
    assert_int_equal(bell_rung(&stage.bell), 1);
    assert_int_equal(told_begun(stage.told), 0); /* only a run asks */
    assert_int_equal(caller.called, 0);

    assert_run(stage.jobs, KF_PENDING);
    assert_int_equal(told_begun(stage.told), 1);
    assert_true(told_last_bound(stage.told) == 9);
    told_answer(stage.told, 0, KF_OK);
    assert_int_equal(bell_rung(&stage.bell), 2);
    assert_int_equal(caller.called, 0);
    assert_run(stage.jobs, KF_OK);
    assert_encrypted(&caller, "plaintext");
    assert_true(pthread_equal(caller.thread, pthread_self()));

    /* And back, through two waits. */
    struct caller reader = {.called = 0};
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_jobs_decrypt(stage.jobs, stage.cmm, NULL, kf_view_of(caller.out.data, caller.out.length),
                              caller_done, &reader, &error, &reader.job),
              &error);
    assert_run(stage.jobs, KF_PENDING);
    told_wake_all(stage.told);
    assert_run(stage.jobs, KF_PENDING);
    told_answer(stage.told, 1, KF_OK);
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(reader.called, 1);
    assert_ok(reader.code, &reader.error);
    assert_same_bytes(kf_view_of(reader.out.data, reader.out.length), kf_view_text("plaintext"));
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(reader.called, 1);
    caller_end(&caller);
    caller_end(&reader);
    stage_close(&stage);
}

/* An owner that frees its input as soon as that is allowed. */
struct owner {
    struct kf_buf input;
    struct kf_view expected;
    const struct kf_header *header;
    unsigned called;
};

static void owner_done(void *context, const struct kf_job_result *result)
{
    struct owner *owner = context;
    owner->called++;
    assert_ok(result->code, result->error);
    kf_buf_free(&owner->input);
    if (result->header != NULL) { /* decrypted */
        assert_same_bytes(kf_view_of(result->out->data, result->out->length), owner->expected);
        owner->header = kf_header_ref(result->header);
    } else {
        owner->input = kf_buf_take(result->out);
        assert_null(result->out->data);
        assert_int_equal(result->out->length, 0);
    }
}

/* Every suite, in frames, there and back; what is not taken is freed. */
static void every_suite_there_and_back(void **state)
{
    (void)state;
    const struct kf_encryption_context *context = client_context("purpose", "jobs");
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_error error = KF_ERROR_INIT;
    struct bell bell;
    bell_init(&bell);
    struct kf_jobs *jobs = jobs_with_bell(&bell, UINT64_MAX);
    struct owner owners[CLIENT_SUITES];
    memset(owners, 0, sizeof owners);
    for (size_t i = 0; i < CLIENT_SUITES; i++) {
        struct kf_encrypt_options options = client_encrypt_options(client_suites[i], 100, context);
        owners[i].expected = client_plaintext(50 * i);
        owners[i].input.data = malloc(50 * i + 1);
        owners[i].input.length = owners[i].input.capacity = 50 * i;
        memcpy(owners[i].input.data, owners[i].expected.data, 50 * i);
        assert_ok(kf_jobs_encrypt(jobs, cmm, &options,
                                  kf_view_of(owners[i].input.data, owners[i].input.length), owner_done,
                                  &owners[i], &error, NULL),
                  &error);
    }
    assert_run(jobs, KF_OK);
    const struct kf_decrypt_options options = client_decrypt_options();
    for (size_t i = 0; i < CLIENT_SUITES; i++) {
        assert_int_equal(owners[i].called, 1);
        const struct kf_view message = kf_view_of(owners[i].input.data, owners[i].input.length);
        assert_decrypts(cmm, &options, message, owners[i].expected);
        assert_ok(kf_jobs_decrypt(jobs, cmm, &options, message, owner_done, &owners[i], &error, NULL),
                  &error);
    }
    assert_run(jobs, KF_OK);
    for (size_t i = 0; i < CLIENT_SUITES; i++) {
        assert_int_equal(owners[i].called, 2);
        assert_int_equal(kf_header_suite(owners[i].header)->id, client_suites[i]);
        kf_header_unref(owners[i].header);
    }
    kf_jobs_free(jobs);
    bell_destroy(&bell);
    kf_cmm_unref(cmm);
    kf_encryption_context_unref(context);
}

static void never(void *context, const struct kf_job_result *result)
{
    (void)context;
    (void)result;
    fail_msg("a callback was called for a job that was refused");
}

static void what_cannot_begin_is_refused_at_once(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_job *job;
    const struct kf_view text = kf_view_text("x");
    stage_open(&stage);
    struct kf_encrypt_options no_size = KF_ENCRYPT_OPTIONS_INIT, small = KF_ENCRYPT_OPTIONS_INIT,
                              against_policy = KF_ENCRYPT_OPTIONS_INIT;
    no_size.size = 3;
    small.plaintext_bound = 0;
    against_policy.suite = KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256;
    const struct {
        struct kf_jobs *jobs;
        struct kf_cmm *cmm;
        const struct kf_encrypt_options *options;
        void (*done)(void *context, const struct kf_job_result *result);
        enum kf_code code;
    } wrong[] = {
        {NULL, stage.cmm, NULL, never, KF_E_USAGE},
        {stage.jobs, NULL, NULL, never, KF_E_USAGE},
        {stage.jobs, stage.cmm, NULL, NULL, KF_E_USAGE},
        {stage.jobs, stage.cmm, &no_size, never, KF_E_USAGE},
        {stage.jobs, stage.cmm, &small, never, KF_E_LIMIT},
        {stage.jobs, stage.cmm, &against_policy, never, KF_E_POLICY},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        memset(&error, 0, sizeof error);
        job = (struct kf_job *)&stage;
        assert_int_equal(kf_jobs_encrypt(wrong[i].jobs, wrong[i].cmm, wrong[i].options, text, wrong[i].done,
                                         NULL, &error, &job),
                         wrong[i].code);
        assert_int_equal(error.code, wrong[i].code);
        assert_true(strlen(error.text) > 10);
        assert_null(job);
        assert_int_equal(kf_jobs_encrypt(wrong[i].jobs, wrong[i].cmm, wrong[i].options, text, wrong[i].done,
                                         NULL, NULL, NULL),
                         wrong[i].code);
    }
    struct kf_decrypt_options no_decrypt_size = KF_DECRYPT_OPTIONS_INIT;
    no_decrypt_size.size = 3;
    assert_int_equal(kf_jobs_decrypt(stage.jobs, NULL, NULL, text, never, NULL, &error, &job), KF_E_USAGE);
    assert_int_equal(kf_jobs_decrypt(NULL, stage.cmm, NULL, text, never, NULL, &error, &job), KF_E_USAGE);
    assert_int_equal(kf_jobs_decrypt(stage.jobs, stage.cmm, NULL, text, NULL, NULL, &error, &job),
                     KF_E_USAGE);
    assert_int_equal(
        kf_jobs_decrypt(stage.jobs, stage.cmm, &no_decrypt_size, text, never, NULL, &error, NULL),
        KF_E_USAGE);
    assert_int_equal(bell_rung(&stage.bell), 0);
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(told_begun(stage.told), 0);

    struct kf_jobs_options options = KF_JOBS_OPTIONS_INIT;
    struct kf_jobs *jobs = stage.jobs;
    options.size = 1;
    assert_int_equal(kf_jobs_new(&options, &error, &jobs), KF_E_USAGE);
    assert_null(jobs);
    stage_close(&stage);
}

static void decrypt_to(struct stage *stage, struct caller *caller, struct kf_view message)
{
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_jobs_decrypt(stage->jobs, stage->cmm, NULL, message, caller_done, caller, &error, NULL),
              &error);
}

static void failures_are_told_to_the_callback(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_cmm *cmm = support_cmm();
    stage_open(&stage);
    struct kf_buf message = client_message(cmm, NULL, client_plaintext(10000));
    const struct kf_view whole = kf_view_of(message.data, message.length);
    uint8_t *longer = malloc(whole.length + 2);
    memcpy(longer, whole.data, whole.length);
    struct caller callers[6];
    memset(callers, 0, sizeof callers);

    /* These need no key, and ask the CMM for nothing. */
    decrypt_to(&stage, &callers[0], kf_view_of(NULL, 0));
    decrypt_to(&stage, &callers[1], kf_view_of(whole.data, 30));
    decrypt_to(&stage, &callers[2], kf_view_text("This is no message."));
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(told_begun(stage.told), 0);

    /* These do, in the order of the told calls. */
    told_answer_always(stage.told, true);
    decrypt_to(&stage, &callers[3], kf_view_of(longer, whole.length + 2));
    assert_run(stage.jobs, KF_OK);
    decrypt_to(&stage, &callers[4], kf_view_of(whole.data, whole.length - 1));
    assert_run(stage.jobs, KF_OK);
    longer[whole.length - 200] ^= 1; /* in the last frame, the others being good */
    decrypt_to(&stage, &callers[5], kf_view_of(longer, whole.length));
    assert_run(stage.jobs, KF_OK);
    static const enum kf_code codes[] = {KF_E_TRUNCATED, KF_E_TRUNCATED, KF_E_MALFORMED,
                                         KF_E_TRAILING,  KF_E_TRUNCATED, KF_E_FORGED};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(callers[i].called, 1);
        assert_int_equal(callers[i].code, codes[i]);
        caller_end(&callers[i]);
    }
    free(longer);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    stage_close(&stage);
}

static void a_failed_fetch_fails_its_jobs_alone(void **state)
{
    (void)state;
    struct stage stage;
    struct caller callers[3];
    memset(callers, 0, sizeof callers);
    stage_open(&stage);
    for (size_t i = 0; i < 3; i++)
        caller_encrypt(&callers[i], stage.jobs, stage.cmm, "x", 0);
    assert_run(stage.jobs, KF_PENDING);
    told_answer(stage.told, 1, KF_E_RETRY);
    assert_run(stage.jobs, KF_PENDING);
    assert_int_equal(callers[0].called, 0);
    assert_int_equal(callers[1].called, 1);
    assert_int_equal(callers[1].code, KF_E_RETRY);
    told_answer_all(stage.told, KF_OK);
    assert_run(stage.jobs, KF_OK);
    for (size_t i = 0; i < 3; i++) {
        if (i != 1)
            assert_encrypted(&callers[i], "x");
        caller_end(&callers[i]);
    }
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_made_and_read),
        cmocka_unit_test(every_suite_there_and_back),
        cmocka_unit_test(what_cannot_begin_is_refused_at_once),
        cmocka_unit_test(failures_are_told_to_the_callback),
        cmocka_unit_test(a_failed_fetch_fails_its_jobs_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
