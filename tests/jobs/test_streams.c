/*
 * Streams among jobs: they share waker and deadline, and their users poll them.
 */
#include "jobs/jobs_stage.h"

#include <stdlib.h>
#include <string.h>

#include "support/client.h"

struct stream {
    struct kf_job *job;
    struct kf_encryptor *encryptor; /* borrowed */
    struct kf_decryptor *decryptor;
    unsigned readied;
    void (*ready)(struct stream *stream); /* or NULL: polled elsewhere */
    enum kf_code code;                    /* of the last poll */
    struct kf_io io;
    uint8_t out[20000];
    size_t length;
    struct stage *stage;
};

static enum kf_code stream_poll(struct stream *stream)
{
    stream->io.out = stream->out + stream->length;
    stream->code = kf_job_poll(stream->job, &stream->io);
    stream->io.in += stream->io.in_used;
    stream->io.in_length -= stream->io.in_used;
    stream->length += stream->io.out_used;
    return stream->code;
}

static void stream_ready(void *context)
{
    struct stream *stream = context;
    stream->readied++;
    if (stream->ready != NULL)
        stream->ready(stream);
}

static void go_on(struct stream *stream)
{
    stream_poll(stream);
}

static void open_encryptor(struct stream *stream, struct stage *stage, uint64_t timeout_ms)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 1000, NULL);
    memset(stream, 0, sizeof *stream);
    stream->stage = stage;
    options.timeout_ms = timeout_ms;
    assert_ok(kf_encryptor_new(stage->cmm, &options, &error, &stream->encryptor), &error);
    assert_ok(
        kf_jobs_encryptor_take(stage->jobs, stream->encryptor, stream_ready, stream, &error, &stream->job),
        &error);
}

static void open_decryptor(struct stream *stream, struct stage *stage)
{
    struct kf_error error = KF_ERROR_INIT;
    memset(stream, 0, sizeof *stream);
    stream->stage = stage;
    assert_ok(kf_decryptor_new(stage->cmm, NULL, &error, &stream->decryptor), &error);
    assert_ok(
        kf_jobs_decryptor_take(stage->jobs, stream->decryptor, stream_ready, stream, &error, &stream->job),
        &error);
}

static void streams_go_on_when_they_are_ready(void **state)
{
    (void)state;
    struct stage stage;
    static struct stream writer, reader;
    stage_open(&stage);
    open_encryptor(&writer, &stage, 0);
    writer.ready = go_on;
    assert_int_equal(bell_rung(&stage.bell), 0); /* it is for the user to begin */
    assert_run(stage.jobs, KF_OK);
    const struct kf_view plaintext = client_plaintext(5000);
    writer.io = (struct kf_io){.in = plaintext.data, .in_length = 3000, .out_room = sizeof writer.out};
    assert_int_equal(stream_poll(&writer), KF_PENDING);
    assert_run(stage.jobs, KF_PENDING);
    assert_int_equal(writer.readied, 0);
    told_wake_all(stage.told); /* for no reason */
    assert_int_equal(bell_rung(&stage.bell), 1);
    assert_run(stage.jobs, KF_PENDING);
    assert_int_equal(writer.readied, 1);
    told_answer(stage.told, 0, KF_OK);
    assert_int_equal(bell_rung(&stage.bell), 2);
    assert_run(stage.jobs, KF_OK); /* it waits for its user, not for a key */
    assert_int_equal(writer.readied, 2);
    assert_int_equal(writer.code, KF_WANT_INPUT);
    assert_non_null(kf_encryptor_materials(writer.encryptor));

    writer.io = (struct kf_io){.in = plaintext.data + 3000, .in_length = 2000, .in_end = true};
    writer.io.out_room = sizeof writer.out - writer.length;
    assert_int_equal(stream_poll(&writer), KF_OK);
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(writer.readied, 2);

    open_decryptor(&reader, &stage);
    reader.ready = go_on;
    reader.io = (struct kf_io){.in = writer.out, .in_length = 20, .out_room = sizeof reader.out};
    assert_int_equal(stream_poll(&reader), KF_WANT_INPUT);
    reader.io = (struct kf_io){.in = writer.out + 20, .in_length = writer.length - 20};
    reader.io.out_room = sizeof reader.out;
    assert_int_equal(stream_poll(&reader), KF_PENDING);
    told_answer(stage.told, 1, KF_OK);
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(reader.code, KF_OK);
    assert_same_bytes(kf_view_of(reader.out, reader.length), plaintext);
    kf_job_free(reader.job);
    kf_job_free(writer.job);
    stage_close(&stage);
}

static void who_polls_by_himself_is_not_called(void **state)
{
    (void)state;
    struct stage stage;
    static struct stream stream;
    stage_open(&stage);
    open_encryptor(&stream, &stage, 0);
    stream.io = (struct kf_io){.out_room = sizeof stream.out};
    assert_int_equal(stream_poll(&stream), KF_PENDING);
    told_wake_all(stage.told);
    assert_int_equal(bell_rung(&stage.bell), 1);
    assert_int_equal(stream_poll(&stream), KF_PENDING); /* before the run that was told of it */
    assert_run(stage.jobs, KF_PENDING);
    assert_int_equal(stream.readied, 0);
    told_answer(stage.told, 0, KF_OK);
    assert_int_equal(bell_rung(&stage.bell), 2);
    assert_int_equal(stream_poll(&stream), KF_WANT_INPUT);
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(stream.readied, 0);
    stage_close(&stage); /* frees it */
}

static struct kf_call_waker *mischief; /* of the call that is pending */

/* Waits for a wake. Then it is woken once more, for no reason and by another thread, in the very poll that answers. */
static void *wake_from_here(void *unused)
{
    kf_call_waker_wake(mischief);
    return unused;
}

static enum kf_code wake_and_answer(void *self, struct kf_call *call,
                                    const struct kf_encryption_materials *materials, struct kf_error *error,
                                    struct kf_wrapped *out)
{
    if (kf_call_state(call) == NULL) {
        mischief = kf_call_waker_of(call);
        kf_call_state_set(call, self, NULL);
        return KF_PENDING;
    }
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_from_here, NULL), 0);
    pthread_join(thread, NULL);
    kf_call_waker_unref(mischief);
    return kf_keyring_on_encrypt(self, kf_call_child(call, 0), materials, error, out);
}

static enum kf_code refuse(void *self, struct kf_call *call, const struct kf_decryption_materials *materials,
                           const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                           struct kf_data_key *out)
{
    (void)self, (void)call, (void)materials, (void)edks, (void)edk_count, (void)out;
    return kf_error_set(error, KF_E_KEYS, "This keyring only encrypts.");
}

/* Stays pending for ever; at each poll another thread wakes it. */
static void *wake_it(void *waker)
{
    kf_call_waker_wake(waker);
    return NULL;
}

static enum kf_code woken_encrypt(void *self, struct kf_call *call,
                                  const struct kf_encryption_request *request, struct kf_error *error,
                                  const struct kf_encryption_materials **out)
{
    (void)self;
    (void)request;
    (void)error;
    (void)out;
    pthread_t thread;
    struct kf_call_waker *waker = kf_call_waker_of(call);
    assert_int_equal(pthread_create(&thread, NULL, wake_it, waker), 0);
    pthread_join(thread, NULL);
    kf_call_waker_unref(waker);
    return KF_PENDING;
}

static enum kf_code no_decrypt(void *self, struct kf_call *call, const struct kf_decryption_request *request,
                               struct kf_error *error, const struct kf_decryption_materials **out)
{
    (void)self;
    (void)call;
    (void)request;
    (void)error;
    (void)out;
    return KF_E_USAGE;
}

static void a_wake_during_its_poll_makes_it_ready_again(void **state)
{
    (void)state;
    static const struct kf_cmm_vtable vtable = {sizeof vtable, woken_encrypt, no_decrypt, NULL, false};
    struct stage stage;
    static struct stream stream;
    struct kf_error error = KF_ERROR_INIT;
    stage_open(&stage);
    kf_cmm_unref(stage.cmm);
    assert_ok(kf_cmm_new(&vtable, NULL, &error, &stage.cmm), &error);
    open_encryptor(&stream, &stage, 0);
    stream.io = (struct kf_io){.out_room = sizeof stream.out};
    assert_int_equal(stream_poll(&stream), KF_PENDING);
    assert_int_equal(bell_rung(&stage.bell), 1);
    assert_run(stage.jobs, KF_PENDING);
    assert_int_equal(stream.readied, 1);
    kf_job_free(stream.job);
    stage_close(&stage);
}

static void an_answer_takes_back_a_wake(void **state)
{
    (void)state;
    static const struct kf_keyring_vtable vtable = {sizeof vtable, wake_and_answer, refuse, NULL, false};
    struct stage stage;
    static struct stream stream;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *inner = support_keyring(), *keyring;
    stage_open(&stage);
    kf_cmm_unref(stage.cmm);
    assert_ok(kf_keyring_new(&vtable, inner, &error, &keyring), &error);
    stage.cmm = client_cmm_on(keyring);
    open_encryptor(&stream, &stage, 0);
    stream.ready = go_on;
    stream.io.out_room = sizeof stream.out;
    assert_int_equal(stream_poll(&stream), KF_PENDING);
    kf_call_waker_wake(mischief);
    assert_int_equal(bell_rung(&stage.bell), 1);
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(stream.readied, 1);
    assert_int_equal(stream.code, KF_WANT_INPUT);
    assert_int_equal(bell_rung(&stage.bell), 2);
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(stream.readied, 1);
    stage_close(&stage);
    kf_keyring_unref(inner);
}

static void free_itself(struct stream *stream)
{
    kf_job_free(stream->job);
}

static void free_all(struct stream *stream)
{
    kf_jobs_free(stream->stage->jobs);
    stream->stage->jobs = NULL;
}

static void a_stream_may_free_itself_or_everything(void **state)
{
    (void)state;
    static struct stream streams[2];
    for (int all = 0; all < 2; all++) {
        struct stage stage;
        stage_open(&stage);
        for (size_t i = 0; i < 2; i++) {
            open_encryptor(&streams[i], &stage, 0);
            streams[i].io.out_room = sizeof streams[i].out;
            assert_int_equal(stream_poll(&streams[i]), KF_PENDING);
            streams[i].ready = all != 0 ? free_all : free_itself;
        }
        told_answer(stage.told, 0, KF_OK);
        assert_run(stage.jobs, all != 0 ? KF_OK : KF_PENDING);
        assert_int_equal(streams[0].readied, 1);
        assert_int_equal(streams[1].readied, 0);
        assert_int_equal(told_dropped(stage.told), all != 0 ? 1 : 0);
        stage_close(&stage);
    }
}

static void a_stream_has_its_deadline_and_errors(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct stage stage;
    static struct stream streams[3];
    stage_open(&stage);
    for (size_t i = 0; i < 3; i++) {
        open_encryptor(&streams[i], &stage, 30);
        streams[i].ready = go_on;
        streams[i].io.out_room = sizeof streams[i].out;
    }
    assert_true(kf_jobs_deadline(stage.jobs) == KF_NO_DEADLINE);
    assert_int_equal(stream_poll(&streams[0]), KF_PENDING);
    support_clock_advance(5);
    assert_int_equal(stream_poll(&streams[1]), KF_PENDING);
    assert_int_equal(stream_poll(&streams[2]), KF_PENDING);
    assert_true(kf_jobs_deadline(stage.jobs) == 25);
    told_answer(stage.told, 2, KF_E_REMOTE);
    support_clock_advance(25);
    assert_run(stage.jobs, KF_PENDING);
    assert_int_equal(streams[0].code, KF_E_TIMEOUT);
    assert_int_equal(kf_encryptor_error(streams[0].encryptor)->code, KF_E_TIMEOUT);
    assert_int_equal(streams[2].code, KF_E_REMOTE);
    assert_int_equal(streams[1].readied, 0);
    assert_true(kf_jobs_deadline(stage.jobs) == 5);
    told_answer(stage.told, 1, KF_OK);
    assert_int_equal(stream_poll(&streams[1]), KF_WANT_INPUT);
    assert_true(kf_jobs_deadline(stage.jobs) == KF_NO_DEADLINE);
    assert_run(stage.jobs, KF_OK);
    stage_close(&stage);
    support_clock_real();
}

/* A poll with invalid input or output changes nothing: the job waits on, with its deadline and its wakes. */
static void a_poll_that_is_refused_was_never_made(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct stage stage;
    static struct stream stream;
    stage_open(&stage);
    open_encryptor(&stream, &stage, 30);
    stream.io.out_room = sizeof stream.out;
    assert_int_equal(stream_poll(&stream), KF_PENDING);
    told_wake_all(stage.told);

    struct kf_io overlapping = {.in = stream.out, .in_length = 2, .out = stream.out + 1, .out_room = 2};
    assert_int_equal(kf_job_poll(stream.job, &overlapping), KF_E_USAGE);
    assert_non_null(strstr(kf_encryptor_error(stream.encryptor)->text, "Nothing was changed"));
    assert_int_equal(overlapping.in_used + overlapping.out_used, 0);
    struct kf_io no_data = {.in_length = 1};
    assert_int_equal(kf_job_poll(stream.job, &no_data), KF_E_USAGE);

    assert_true(kf_jobs_deadline(stage.jobs) == 30);
    stream.ready = go_on;
    assert_run(stage.jobs, KF_PENDING);
    assert_int_equal(stream.readied, 1);
    assert_int_equal(stream.code, KF_PENDING);
    told_answer(stage.told, 0, KF_OK);
    assert_run(stage.jobs, KF_OK);
    assert_int_equal(stream.code, KF_WANT_INPUT);
    stage_close(&stage);
    support_clock_real();
}

static void what_cannot_be_taken_stays_the_callers(void **state)
{
    (void)state;
    struct stage stage;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_job *job = NULL;
    struct kf_encryptor *encryptor;
    struct kf_decryptor *decryptor;
    stage_open(&stage);
    assert_ok(kf_encryptor_new(stage.cmm, NULL, &error, &encryptor), &error);
    assert_ok(kf_decryptor_new(stage.cmm, NULL, &error, &decryptor), &error);
    for (int i = 0; i < 3; i++) {
        struct kf_jobs *jobs = i == 0 ? NULL : stage.jobs;
        void (*ready)(void *context) = i == 1 ? NULL : stream_ready;
        memset(&error, 0, sizeof error);
        job = (struct kf_job *)&stage;
        assert_int_equal(kf_jobs_encryptor_take(jobs, i == 2 ? NULL : encryptor, ready, NULL, &error, &job),
                         KF_E_USAGE);
        assert_true(job == NULL && error.text[0] != '\0');
        job = (struct kf_job *)&stage;
        assert_int_equal(kf_jobs_decryptor_take(jobs, i == 2 ? NULL : decryptor, ready, NULL, &error, &job),
                         KF_E_USAGE);
        assert_null(job);
    }
    kf_encryptor_free(encryptor);
    kf_decryptor_free(decryptor);

    struct caller caller = {.called = 0};
    struct kf_io io = {.in_used = 1, .out_used = 1};
    caller_encrypt(&caller, stage.jobs, stage.cmm, "x", 0);
    assert_int_equal(kf_job_poll(caller.job, &io), KF_E_USAGE); /* no stream */
    assert_int_equal(io.in_used + io.out_used, 0);
    told_answer_always(stage.told, true);
    assert_run(stage.jobs, KF_OK);
    assert_encrypted(&caller, "x");
    caller_end(&caller);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_go_on_when_they_are_ready),
        cmocka_unit_test(who_polls_by_himself_is_not_called),
        cmocka_unit_test(a_wake_during_its_poll_makes_it_ready_again),
        cmocka_unit_test(an_answer_takes_back_a_wake),
        cmocka_unit_test(a_stream_may_free_itself_or_everything),
        cmocka_unit_test(a_stream_has_its_deadline_and_errors),
        cmocka_unit_test(a_poll_that_is_refused_was_never_made),
        cmocka_unit_test(what_cannot_be_taken_stays_the_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
