/*
 * The wait for keys of encryptors and decryptors: polls and wakers, deadlines, blocking, and cancellation,
 * with a CMM that answers when told.
 */
#include <pthread.h>
#include <string.h>

#include "support/client.h"
#include "support/parts.h"

#define FRAME 8

/* What all tests use, made once. */
static struct kf_cmm *cmm;
static const struct kf_encryption_context *context;

static int set_up(void **state)
{
    (void)state;
    cmm = client_cmm_of_two();
    context = client_context("purpose", "tests");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
    return 0;
}

static struct kf_encryptor *encryptor_of(struct kf_cmm *from, const struct kf_encrypt_options *options)
{
    struct kf_encryptor *encryptor;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryptor_new(from, options, &error, &encryptor), &error);
    return encryptor;
}

static struct kf_decryptor *decryptor_of(struct kf_cmm *from, const struct kf_decrypt_options *options)
{
    struct kf_decryptor *decryptor;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_decryptor_new(from, options, &error, &decryptor), &error);
    return decryptor;
}

/* ---- Waiting for keys ---- */

/* A message of the told CMM, made at once. */
static struct kf_buf told_message(struct told *told, struct kf_cmm *told_cmm, size_t length)
{
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, FRAME, context);
    told_answer_always(told, true);
    struct kf_buf message = client_message(told_cmm, &options, client_plaintext(length));
    told_answer_always(told, false);
    return message;
}

static void a_pending_encryptor_is_woken(void **state)
{
    (void)state;
    struct kf_cmm *told_cmm;
    struct told *told = told_new(&told_cmm);
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, FRAME, context);
    struct kf_encryptor *encryptor = encryptor_of(told_cmm, &options);
    kf_cmm_unref(told_cmm); /* the operation holds it */
    assert_int_equal(told_begun(told), 0);

    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    uint8_t out[1000];
    const struct kf_view plaintext = client_plaintext(10);
    struct kf_io io = {.in = plaintext.data,
                       .in_length = plaintext.length,
                       .in_end = true,
                       .out = out,
                       .out_room = sizeof out};
    for (int i = 0; i < 3; i++) { /* a poll for no reason does not ask again */
        assert_int_equal(kf_encryptor_poll(encryptor, &io, &waker), KF_PENDING);
        assert_int_equal(io.in_used, 0);
        assert_int_equal(io.out_used, 0);
        assert_null(kf_encryptor_materials(encryptor));
        assert_true(kf_encryptor_deadline(encryptor) == KF_NO_DEADLINE);
    }
    assert_int_equal(told_begun(told), 1);
    assert_int_equal(bell.rung, 0);
    told_answer(told, 0, KF_OK);
    bell_wait(&bell);
    assert_int_equal(kf_encryptor_poll(encryptor, &io, &waker), KF_OK);
    struct kf_cmm *reader = support_cmm(); /* the told CMM's keys */
    assert_decrypts(reader, NULL, kf_view_of(out, io.out_used), plaintext);
    kf_cmm_unref(reader);
    kf_encryptor_free(encryptor);
    bell_destroy(&bell);
    told_free(told);
}

static void a_pending_decryptor_is_woken(void **state)
{
    (void)state;
    struct kf_cmm *told_cmm;
    struct told *told = told_new(&told_cmm);
    struct kf_buf message = told_message(told, told_cmm, 10);
    struct kf_decryptor *decryptor = decryptor_of(told_cmm, NULL);
    kf_cmm_unref(told_cmm);

    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    uint8_t out[1000];
    struct kf_io io = {.in = message.data, .in_length = message.length, .out = out, .out_room = sizeof out};
    assert_int_equal(kf_decryptor_poll(decryptor, &io, &waker), KF_PENDING);
    const size_t header = io.in_used; /* as for every code that is not an error */
    static struct parts parts;
    parts_read(buf_view(message), &parts);
    assert_int_equal(header, parts.header_end);
    io.in += header;
    io.in_length -= header;
    assert_int_equal(kf_decryptor_poll(decryptor, &io, &waker), KF_PENDING);
    assert_int_equal(io.in_used, 0);
    told_answer(told, 1, KF_OK);
    bell_wait(&bell);
    assert_int_equal(kf_decryptor_poll(decryptor, &io, &waker), KF_OK);
    assert_same_bytes(kf_view_of(out, io.out_used), client_plaintext(10));
    kf_decryptor_free(decryptor);
    kf_buf_free(&message);
    bell_destroy(&bell);
    told_free(told);
}

static void only_the_last_waker_is_called(void **state)
{
    (void)state;
    struct kf_cmm *told_cmm;
    struct told *told = told_new(&told_cmm);
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, FRAME, context);
    struct kf_encryptor *encryptor = encryptor_of(told_cmm, &options);
    struct bell bells[2];
    struct kf_waker wakers[2];
    for (size_t i = 0; i < 2; i++) {
        bell_init(&bells[i]);
        wakers[i] = bell_waker(&bells[i]);
    }
    struct kf_io nothing = {.in = NULL};
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &wakers[0]), KF_PENDING);
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &wakers[1]), KF_PENDING);
    told_answer(told, 0, KF_OK);
    bell_wait(&bells[1]);
    assert_int_equal(bells[0].rung, 0);
    bell_destroy(&bells[0]); /* the caller may release it while the operation goes on */
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &wakers[1]), KF_WANT_OUTPUT);
    kf_encryptor_free(encryptor);
    bell_destroy(&bells[1]);
    kf_cmm_unref(told_cmm);
    told_free(told);
}

/* A CMM that keeps the waker of its last call, and answers from the second poll on. */
static struct kf_call_waker *kept;

static enum kf_code keep_waker(void *self, struct kf_call *call, const struct kf_encryption_request *request,
                               struct kf_error *error, const struct kf_encryption_materials **out)
{
    if (kf_call_state(call) == NULL) {
        kf_call_state_set(call, self, NULL);
        kept = kf_call_waker_of(call);
        return KF_PENDING;
    }
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
}

static enum kf_code keep_nothing(void *self, struct kf_call *call,
                                 const struct kf_decryption_request *request, struct kf_error *error,
                                 const struct kf_decryption_materials **out)
{
    return kf_cmm_decrypt_materials(self, kf_call_child(call, 0), request, error, out);
}

static void nobody_is_woken_after_the_answer(void **state)
{
    (void)state;
    static const struct kf_cmm_vtable vtable = {sizeof vtable, keep_waker, keep_nothing, NULL, false};
    struct kf_cmm *keeping;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_cmm_new(&vtable, cmm, &error, &keeping), &error);
    struct kf_encryptor *encryptor = encryptor_of(keeping, NULL);
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    struct kf_io nothing = {.in = NULL};
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &waker), KF_PENDING);
    kf_call_waker_wake(kept);
    kf_call_waker_wake(kept); /* twice, the second time for no reason */
    assert_int_equal(bell.rung, 2);
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &waker), KF_WANT_OUTPUT);
    kf_call_waker_wake(kept);
    assert_int_equal(bell.rung, 2);
    kf_encryptor_free(encryptor);
    kf_call_waker_wake(kept); /* harmless as long as it is held */
    assert_int_equal(bell.rung, 2);
    kf_call_waker_unref(kept);
    bell_destroy(&bell);
    kf_cmm_unref(keeping);
}

static void a_cmm_that_fails_ends_it(void **state)
{
    (void)state;
    struct kf_cmm *told_cmm;
    struct told *told = told_new(&told_cmm);
    struct kf_encryptor *encryptor = encryptor_of(told_cmm, NULL);
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    struct kf_io nothing = {.in = NULL};
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &waker), KF_PENDING);
    told_answer(told, 0, KF_E_RETRY);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &waker), KF_E_RETRY);
        assert_int_equal(kf_encryptor_error(encryptor)->code, KF_E_RETRY);
        assert_string_equal(kf_encryptor_error(encryptor)->text, "The test told this call to fail.");
    }
    assert_int_equal(told_begun(told), 1); /* it is not asked again */
    kf_encryptor_free(encryptor);
    bell_destroy(&bell);
    kf_cmm_unref(told_cmm);
    told_free(told);
}

/* ---- Deadlines ---- */

static void the_deadline_covers_the_wait_for_keys(void **state)
{
    (void)state;
    struct kf_cmm *told_cmm;
    struct told *told = told_new(&told_cmm);
    struct kf_buf message = told_message(told, told_cmm, 10);
    struct kf_encrypt_options encrypt_options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, FRAME, context);
    struct kf_decrypt_options decrypt_options = KF_DECRYPT_OPTIONS_INIT;
    encrypt_options.timeout_ms = decrypt_options.timeout_ms = 50;
    struct kf_encryptor *encryptor = encryptor_of(told_cmm, &encrypt_options);
    struct kf_decryptor *decryptor = decryptor_of(told_cmm, &decrypt_options);
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    struct kf_io nothing = {.in = NULL}, io = {.in = message.data, .in_length = message.length};

    support_clock_stop(1000);
    assert_true(kf_encryptor_deadline(encryptor) == KF_NO_DEADLINE);
    assert_int_equal(kf_decryptor_poll(decryptor, &nothing, &waker), KF_WANT_INPUT);
    support_clock_advance(500); /* the time before it asks does not count */
    assert_true(kf_decryptor_deadline(decryptor) == KF_NO_DEADLINE);
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &waker), KF_PENDING);
    assert_int_equal(kf_decryptor_poll(decryptor, &io, &waker), KF_PENDING);
    assert_int_equal(kf_encryptor_deadline(encryptor), 50);
    assert_int_equal(kf_decryptor_deadline(decryptor), 50);
    support_clock_advance(49);
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &waker), KF_PENDING);
    assert_int_equal(kf_decryptor_poll(decryptor, &nothing, &waker), KF_PENDING);
    assert_int_equal(kf_encryptor_deadline(encryptor), 1);
    support_clock_advance(1);
    assert_int_equal(kf_encryptor_deadline(encryptor), 0);
    assert_int_equal(told_dropped(told), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &waker), KF_E_TIMEOUT);
        assert_int_equal(kf_decryptor_poll(decryptor, &nothing, &waker), KF_E_TIMEOUT);
    }
    assert_int_equal(kf_code_class(KF_E_TIMEOUT), KF_CLASS_RETRY);
    assert_int_equal(told_dropped(told), 2); /* at the timeout, not at the free */
    assert_true(kf_encryptor_deadline(encryptor) == KF_NO_DEADLINE);
    support_clock_real();
    kf_encryptor_free(encryptor);
    kf_decryptor_free(decryptor);
    kf_buf_free(&message);
    bell_destroy(&bell);
    kf_cmm_unref(told_cmm);
    told_free(told);
}

static void a_key_that_came_in_time_is_taken_after_the_deadline(void **state)
{
    (void)state;
    struct kf_cmm *told_cmm;
    struct told *told = told_new(&told_cmm);
    struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, FRAME, context);
    options.timeout_ms = 50;
    struct kf_encryptor *encryptor = encryptor_of(told_cmm, &options);
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    struct kf_io nothing = {.in = NULL};
    support_clock_stop(1000);
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &waker), KF_PENDING);
    told_answer(told, 0, KF_OK);
    support_clock_advance(60);
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &waker), KF_WANT_OUTPUT);
    support_clock_advance(1000); /* the body may take any time */
    assert_true(kf_encryptor_deadline(encryptor) == KF_NO_DEADLINE);
    const struct kf_view plaintext = client_plaintext(10);
    uint8_t out[1000];
    struct kf_io io = {.in = plaintext.data,
                       .in_length = plaintext.length,
                       .in_end = true,
                       .out = out,
                       .out_room = sizeof out};
    assert_int_equal(kf_encryptor_poll(encryptor, &io, &waker), KF_OK);
    support_clock_real();
    kf_encryptor_free(encryptor);
    bell_destroy(&bell);
    kf_cmm_unref(told_cmm);
    told_free(told);
}

/* ---- Blocking ---- */

static void *answer_when_asked(void *context_of_thread)
{
    struct told *told = context_of_thread;
    told_wait_begun(told, 1);
    told_answer(told, 0, KF_OK);
    return NULL;
}

static void without_a_waker_it_blocks(void **state)
{
    (void)state;
    struct kf_cmm *told_cmm;
    struct told *told = told_new(&told_cmm);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_when_asked, told), 0);
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, FRAME, context);
    struct kf_buf message = client_message(told_cmm, &options, client_plaintext(20));
    assert_int_equal(pthread_join(thread, NULL), 0);
    told_answer_always(told, true);
    assert_decrypts(told_cmm, NULL, buf_view(message), client_plaintext(20));
    kf_buf_free(&message);
    kf_cmm_unref(told_cmm);
    told_free(told);
}

static void a_blocking_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    struct kf_cmm *told_cmm;
    struct told *told = told_new(&told_cmm);
    struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, FRAME, context);
    options.timeout_ms = 5;
    struct kf_buf out = KF_BUF_INIT;
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_encrypt(told_cmm, &options, client_plaintext(20), &error, &out), KF_E_TIMEOUT);
    assert_int_equal(error.code, KF_E_TIMEOUT);
    assert_int_equal(told_dropped(told), 1);
    kf_buf_free(&out);
    kf_cmm_unref(told_cmm);
    told_free(told);
}

/* ---- Cancellation ---- */

static void freeing_a_pending_operation_cancels_it(void **state)
{
    (void)state;
    struct kf_cmm *told_cmm;
    struct told *told = told_new(&told_cmm);
    struct kf_buf message = told_message(told, told_cmm, 10);
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);

    struct kf_encryptor *encryptor = encryptor_of(told_cmm, NULL);
    struct kf_io nothing = {.in = NULL};
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, &waker), KF_PENDING);
    kf_encryptor_free(encryptor);
    assert_int_equal(told_dropped(told), 1);

    struct kf_decryptor *decryptor = decryptor_of(told_cmm, NULL);
    struct kf_io io = {.in = message.data, .in_length = message.length};
    assert_int_equal(kf_decryptor_poll(decryptor, &io, &waker), KF_PENDING);
    kf_decryptor_free(decryptor);
    assert_int_equal(told_dropped(told), 2);

    told_answer_all(told, KF_OK); /* comes too late */
    assert_int_equal(bell.rung, 0);
    bell_destroy(&bell);
    kf_buf_free(&message);
    kf_cmm_unref(told_cmm);
    told_free(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pending_encryptor_is_woken),
        cmocka_unit_test(a_pending_decryptor_is_woken),
        cmocka_unit_test(only_the_last_waker_is_called),
        cmocka_unit_test(nobody_is_woken_after_the_answer),
        cmocka_unit_test(a_cmm_that_fails_ends_it),
        cmocka_unit_test(the_deadline_covers_the_wait_for_keys),
        cmocka_unit_test(a_key_that_came_in_time_is_taken_after_the_deadline),
        cmocka_unit_test(without_a_waker_it_blocks),
        cmocka_unit_test(a_blocking_wait_ends_at_its_deadline),
        cmocka_unit_test(freeing_a_pending_operation_cancels_it),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
