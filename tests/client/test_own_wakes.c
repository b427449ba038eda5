/*
 * Wakes inside a poll: nobody is woken by its own thread inside its own poll, and yet no such wake is lost. The
 * callers here hold a lock across their polls, and their wakers take it.
 */
#include "support/client.h"
#include "support/no_threads.h"
#include "support/owner.h"

/* ---- A keyring that does in each poll what it is told ---- */

static struct stepping {
    unsigned pending;                             /* so many polls are answered by KF_PENDING */
    void (*within)(struct kf_call *call);         /* what each of these does */
    void (*dropped)(struct kf_call_waker *waker); /* what the end of a call does, or NULL */
    unsigned polls;
    struct kf_call_waker *waker; /* of the call that is pending */
} outer_steps, inner_steps;

static void steps_drop(void *state)
{
    struct stepping *steps = state;
    if (steps->dropped != NULL)
        steps->dropped(steps->waker);
    kf_call_waker_unref(steps->waker);
    steps->waker = NULL;
}

static enum kf_code step(struct stepping *steps, struct kf_call *call)
{
    if (++steps->polls > steps->pending)
        return KF_OK;
    if (kf_call_state(call) == NULL) {
        steps->waker = kf_call_waker_of(call);
        assert_non_null(steps->waker);
        kf_call_state_set(call, steps, steps_drop);
    }
    steps->within(call);
    return KF_PENDING;
}

static struct kf_keyring *wrapped;

static enum kf_code stepping_on_encrypt(void *self, struct kf_call *call,
                                        const struct kf_encryption_materials *materials,
                                        struct kf_error *error, struct kf_wrapped *out)
{
    const enum kf_code code = step(self, call);
    return code == KF_OK ? kf_keyring_on_encrypt(wrapped, kf_call_child(call, 0), materials, error, out)
                         : code;
}

static enum kf_code stepping_on_decrypt(void *self, struct kf_call *call,
                                        const struct kf_decryption_materials *materials,
                                        const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                                        struct kf_data_key *out)
{
    const enum kf_code code = step(self, call);
    return code == KF_OK ? kf_keyring_on_decrypt(wrapped, kf_call_child(call, 0), materials, edks, edk_count,
                                                 error, out)
                         : code;
}

/* A CMM on such a keyring. */
static struct kf_cmm *stepping_cmm(struct stepping *steps, unsigned pending,
                                   void (*within)(struct kf_call *call))
{
    static const struct kf_keyring_vtable vtable = {sizeof vtable, stepping_on_encrypt, stepping_on_decrypt,
                                                    NULL, false};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    *steps = (struct stepping){.pending = pending, .within = within};
    assert_ok(kf_keyring_new(&vtable, steps, &error, &keyring), &error);
    return client_cmm_on(keyring);
}

static void wake_itself(struct kf_call *call)
{
    struct kf_call_waker *waker = kf_call_waker_of(call);
    kf_call_waker_wake(waker);
    kf_call_waker_unref(waker);
}

/* ---- Callers with a lock ---- */

static struct kf_encryptor *encryptor_of(struct kf_cmm *cmm)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encryptor *encryptor;
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 1000, NULL);
    assert_ok(kf_encryptor_new(cmm, &options, &error, &encryptor), &error);
    kf_cmm_unref(cmm);
    return encryptor;
}

/* Polls for the materials: KF_PENDING, or KF_WANT_INPUT once they are there and the header is written. */
static enum kf_code poll_of(struct kf_encryptor *encryptor, struct owner *owner)
{
    const struct kf_waker waker = owner_waker(owner);
    uint8_t out[1000];
    struct kf_io io = {.out = out, .out_room = sizeof out};
    owner_enter(owner);
    const enum kf_code code = kf_encryptor_poll(encryptor, &io, &waker);
    owner_leave(owner);
    return code;
}

static void a_few_steps_are_done_in_one_poll(void **state)
{
    (void)state;
    struct owner owner;
    owner_init(&owner);
    struct kf_encryptor *encryptor = encryptor_of(stepping_cmm(&outer_steps, 3, wake_itself));
    assert_int_equal(poll_of(encryptor, &owner), KF_WANT_INPUT);
    assert_int_equal(outer_steps.polls, 4);
    assert_int_equal(bell_rung(&owner.bell), 0);
    kf_encryptor_free(encryptor);
    owner_end(&owner);
}

static void a_decryptor_does_the_same(void **state)
{
    (void)state;
    struct owner owner;
    owner_init(&owner);
    const struct kf_waker waker = owner_waker(&owner);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = stepping_cmm(&outer_steps, 0, wake_itself);
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 1000, NULL);
    struct kf_buf message = client_message(cmm, &options, client_plaintext(10));
    struct kf_decryptor *decryptor;
    assert_ok(kf_decryptor_new(cmm, NULL, &error, &decryptor), &error);
    kf_cmm_unref(cmm);
    uint8_t out[1000];
    struct kf_io io = {.in = message.data, .in_length = message.length, .out = out, .out_room = sizeof out};
    outer_steps.polls = 0;
    outer_steps.pending = 3;
    owner_enter(&owner);
    assert_int_equal(kf_decryptor_poll(decryptor, &io, &waker), KF_OK);
    owner_leave(&owner);
    assert_int_equal(outer_steps.polls, 4);
    assert_same_bytes(kf_view_of(out, io.out_used), client_plaintext(10));
    assert_int_equal(bell_rung(&owner.bell), 0);
    kf_decryptor_free(decryptor);
    kf_buf_free(&message);
    owner_end(&owner);
}

/* It gets its thread back now and then, and is told to come again each time. */
static void whoever_wakes_itself_for_ever_does_not_keep_the_thread(void **state)
{
    (void)state;
    struct owner owner;
    owner_init(&owner);
    struct kf_encryptor *encryptor = encryptor_of(stepping_cmm(&outer_steps, 50, wake_itself));
    unsigned polls = 1;
    for (; poll_of(encryptor, &owner) == KF_PENDING; polls++) {
        assert_in_range(outer_steps.polls, polls, 10 * polls);
        bell_wait(&owner.bell);
    }
    assert_in_range(polls, 5, 50);
    assert_int_equal(outer_steps.polls, 51);
    assert_int_equal(bell_rung(&owner.bell), 0);
    kf_encryptor_free(encryptor);
    owner_end(&owner);
    kf_cleanup();
}

static void its_deadline_holds_all_the_same(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct owner owner;
    owner_init(&owner);
    struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 1000, NULL);
    options.timeout_ms = 50;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = stepping_cmm(&outer_steps, UINT32_MAX, wake_itself);
    struct kf_encryptor *encryptor;
    assert_ok(kf_encryptor_new(cmm, &options, &error, &encryptor), &error);
    kf_cmm_unref(cmm);
    assert_int_equal(poll_of(encryptor, &owner), KF_PENDING);
    bell_wait(&owner.bell);
    support_clock_advance(50);
    assert_int_equal(poll_of(encryptor, &owner), KF_E_TIMEOUT);
    assert_null(outer_steps.waker); /* the call has ended */
    kf_encryptor_free(encryptor);
    owner_end(&owner);
    kf_cleanup();
    support_clock_real();
}

/* Where nobody can wake it later, it fails instead of waiting for ever. */
static void without_threads_it_fails(void **state)
{
    (void)state;
    struct owner owner;
    owner_init(&owner);
    struct kf_encryptor *encryptor = encryptor_of(stepping_cmm(&outer_steps, UINT32_MAX, wake_itself));
    atomic_store(&no_threads, true);
    assert_int_equal(poll_of(encryptor, &owner), KF_E_SYSTEM);
    atomic_store(&no_threads, false);
    assert_non_null(strstr(kf_encryptor_error(encryptor)->text, "thread"));
    assert_null(outer_steps.waker);
    kf_encryptor_free(encryptor);
    owner_end(&owner);
}

static void whoever_blocks_needs_no_other_thread(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT;
    struct kf_cmm *cmm = stepping_cmm(&outer_steps, 100, wake_itself);
    atomic_store(&no_threads, true);
    assert_ok(kf_encrypt(cmm, NULL, kf_view_text("x"), &error, &message), &error);
    atomic_store(&no_threads, false);
    assert_int_equal(outer_steps.polls, 101);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

/* ---- Ends ---- */

/* The end of a call, too, may wake it: for nobody. */
static void the_end_of_a_call_wakes_nobody(void **state)
{
    (void)state;
    struct owner owner;
    owner_init(&owner);
    struct kf_encryptor *encryptor = encryptor_of(stepping_cmm(&outer_steps, UINT32_MAX, wake_itself));
    outer_steps.dropped = kf_call_waker_wake;
    assert_int_equal(poll_of(encryptor, &owner), KF_PENDING);
    bell_wait(&owner.bell);
    owner_enter(&owner);
    kf_encryptor_free(encryptor);
    owner_leave(&owner);
    assert_null(outer_steps.waker);
    assert_int_equal(bell_rung(&owner.bell), 0);
    owner_end(&owner);
    kf_cleanup();
}

/* ---- One poll inside another ---- */

static struct {
    struct owner owner;
    struct kf_encryptor *encryptor;
    enum kf_code code;
} inside;

/* The outer keyring polls an encryptor of its own, which has another owner. */
static void poll_the_inner_one(struct kf_call *call)
{
    (void)call;
    if (inside.code == KF_PENDING)
        inside.code = poll_of(inside.encryptor, &inside.owner);
}

static void wake_both(struct kf_call *call)
{
    (void)call;
    kf_call_waker_wake(outer_steps.waker);
    kf_call_waker_wake(inner_steps.waker);
}

static void wake_the_outer_one(struct kf_call *call)
{
    (void)call;
    kf_call_waker_wake(outer_steps.waker);
}

static void of_two_polls_neither_is_woken_inside(void **state)
{
    (void)state;
    struct owner owner;
    owner_init(&owner);
    owner_init(&inside.owner);
    inside.code = KF_PENDING;
    inside.encryptor = encryptor_of(stepping_cmm(&inner_steps, 2, wake_both));
    struct kf_encryptor *encryptor = encryptor_of(stepping_cmm(&outer_steps, 1, poll_the_inner_one));

    /* The inner one is polled until it is done, and the outer one, which was woken meanwhile, once more. */
    assert_int_equal(poll_of(encryptor, &owner), KF_WANT_INPUT);
    assert_int_equal(inner_steps.polls, 3);
    assert_int_equal(outer_steps.polls, 2);
    assert_int_equal(inside.code, KF_WANT_INPUT);
    assert_int_equal(bell_rung(&owner.bell) + bell_rung(&inside.owner.bell), 0);
    kf_encryptor_free(inside.encryptor);
    kf_encryptor_free(encryptor);
    owner_end(&inside.owner);
    owner_end(&owner);
}

/* The inner one woke the outer one only, so it is not polled again. */
static void a_wake_is_for_whom_it_is_meant(void **state)
{
    (void)state;
    struct owner owner;
    owner_init(&owner);
    owner_init(&inside.owner);
    inside.code = KF_PENDING;
    inside.encryptor = encryptor_of(stepping_cmm(&inner_steps, 1, wake_the_outer_one));
    struct kf_encryptor *encryptor = encryptor_of(stepping_cmm(&outer_steps, 1, poll_the_inner_one));
    assert_int_equal(poll_of(encryptor, &owner), KF_WANT_INPUT);
    assert_int_equal(outer_steps.polls, 2);
    assert_int_equal(inner_steps.polls, 1);
    assert_int_equal(inside.code, KF_PENDING);

    /* Outside its poll it is woken by this thread as by any other. */
    kf_call_waker_wake(inner_steps.waker);
    assert_int_equal(bell_rung(&inside.owner.bell), 1);
    assert_int_equal(poll_of(inside.encryptor, &inside.owner), KF_WANT_INPUT);
    kf_encryptor_free(inside.encryptor);
    kf_encryptor_free(encryptor);
    owner_end(&inside.owner);
    owner_end(&owner);
}

/* ---- Another thread ---- */

static void *wake_from_here(void *waker)
{
    kf_call_waker_wake(waker);
    return NULL;
}

/* Has another thread wake the call, and waits for it. */
static void wake_from_elsewhere(struct kf_call *call)
{
    pthread_t thread;
    struct kf_call_waker *waker = kf_call_waker_of(call);
    assert_int_equal(pthread_create(&thread, NULL, wake_from_here, waker), 0);
    pthread_join(thread, NULL);
    kf_call_waker_unref(waker);
}

static void another_thread_wakes_before_the_poll_returns(void **state)
{
    (void)state;
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    struct kf_encryptor *encryptor = encryptor_of(stepping_cmm(&outer_steps, 1, wake_from_elsewhere));
    uint8_t out[1000];
    struct kf_io io = {.out = out, .out_room = sizeof out};
    assert_int_equal(kf_encryptor_poll(encryptor, &io, &waker), KF_PENDING);
    assert_int_equal(bell_rung(&bell), 1);
    assert_int_equal(kf_encryptor_poll(encryptor, &io, &waker), KF_WANT_INPUT);
    kf_encryptor_free(encryptor);
    bell_destroy(&bell);
}

static int setup(void **state)
{
    (void)state;
    wrapped = support_keyring();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kf_keyring_unref(wrapped);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_steps_are_done_in_one_poll),
        cmocka_unit_test(a_decryptor_does_the_same),
        cmocka_unit_test(whoever_wakes_itself_for_ever_does_not_keep_the_thread),
        cmocka_unit_test(its_deadline_holds_all_the_same),
        cmocka_unit_test(without_threads_it_fails),
        cmocka_unit_test(whoever_blocks_needs_no_other_thread),
        cmocka_unit_test(the_end_of_a_call_wakes_nobody),
        cmocka_unit_test(of_two_polls_neither_is_woken_inside),
        cmocka_unit_test(a_wake_is_for_whom_it_is_meant),
        cmocka_unit_test(another_thread_wakes_before_the_poll_returns),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
