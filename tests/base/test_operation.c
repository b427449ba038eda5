/*
 * Operations: the wait under a deadline, errors that are final, forks, and output that waits for room.
 */
#include "support/support.h"

#include "base/operation.h"

/* ---- Errors ---- */

static void an_error_is_final_and_leaves_no_output(void **state)
{
    (void)state;
    struct kfi_operation operation;
    kfi_operation_init(&operation, 0, "No data key");
    uint8_t out[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct kf_io io = {.out = out, .out_room = sizeof out, .in_used = 3, .out_used = 5};
    assert_int_equal(kfi_operation_enter(&operation), KF_OK);

    /* A code that is not an error changes nothing. */
    static const enum kf_code flow[] = {KF_OK, KF_PENDING, KF_WANT_INPUT, KF_WANT_OUTPUT};
    for (size_t i = 0; i < sizeof flow / sizeof flow[0]; i++) {
        assert_int_equal(kfi_operation_leave(&operation, flow[i], &io), flow[i]);
        assert_int_equal(io.in_used, 3);
        assert_int_equal(io.out_used, 5);
        assert_int_equal(out[0], 1);
        assert_int_equal(kfi_operation_enter(&operation), KF_OK);
    }

    kf_error_set(&operation.error, KF_E_FORGED, "It was forged.");
    assert_int_equal(kfi_operation_leave(&operation, KF_E_FORGED, &io), KF_E_FORGED);
    static const uint8_t expected[8] = {0, 0, 0, 0, 0, 6, 7, 8};
    assert_memory_equal(out, expected, sizeof out);
    assert_int_equal(io.in_used, 0);
    assert_int_equal(io.out_used, 0);
    assert_string_equal(operation.error.text, "It was forged.");
    for (int i = 0; i < 2; i++)
        assert_int_equal(kfi_operation_enter(&operation), KF_E_FORGED);
    kfi_operation_end(&operation);
}

static void an_error_without_a_sentence_gets_one(void **state)
{
    (void)state;
    struct kfi_operation operation;
    struct kf_io io = {.in = NULL};
    kfi_operation_init(&operation, 0, "No data key");
    assert_int_equal(kfi_operation_leave(&operation, KF_E_SYSTEM, &io), KF_E_SYSTEM);
    assert_int_equal(operation.error.code, KF_E_SYSTEM);
    assert_non_null(strstr(operation.error.text, "KF_E_SYSTEM"));
    assert_int_equal(kfi_operation_enter(&operation), KF_E_SYSTEM);
    kfi_operation_end(&operation);
}

/* ---- Deadlines ---- */

static void a_deadline_counts_from_the_first_poll(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kfi_operation operation;
    kfi_operation_init(&operation, 50, "No data key");
    assert_true(kfi_operation_deadline(&operation) == KF_NO_DEADLINE);
    support_clock_advance(500);
    kfi_operation_await(&operation, NULL);
    assert_int_equal(kfi_operation_deadline(&operation), 50);
    assert_int_equal(kfi_operation_awaited(&operation, KF_PENDING), KF_PENDING);

    /* Later polls do not move it. */
    support_clock_advance(49);
    kfi_operation_await(&operation, NULL);
    assert_int_equal(kfi_operation_deadline(&operation), 1);
    assert_int_equal(kfi_operation_awaited(&operation, KF_PENDING), KF_PENDING);
    support_clock_advance(1);
    assert_int_equal(kfi_operation_deadline(&operation), 0);
    kfi_operation_await(&operation, NULL);
    assert_int_equal(kfi_operation_awaited(&operation, KF_PENDING), KF_E_TIMEOUT);
    assert_int_equal(operation.error.code, KF_E_TIMEOUT);
    assert_non_null(strstr(operation.error.text, "50 ms"));
    assert_true(kfi_operation_deadline(&operation) == KF_NO_DEADLINE);
    kfi_operation_end(&operation);
    support_clock_real();
}

static void an_answer_counts_however_late(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kfi_operation operation;
    kfi_operation_init(&operation, 50, "No data key");
    kfi_operation_await(&operation, NULL);
    assert_int_equal(kfi_operation_awaited(&operation, KF_PENDING), KF_PENDING);
    support_clock_advance(1000);
    kfi_operation_await(&operation, NULL);
    assert_int_equal(kfi_operation_awaited(&operation, KF_OK), KF_OK);
    assert_true(kfi_operation_deadline(&operation) == KF_NO_DEADLINE);
    kfi_operation_end(&operation);

    /* A caller without a limit waits for ever. */
    kfi_operation_init(&operation, 0, "No data key");
    kfi_operation_await(&operation, NULL);
    support_clock_advance(UINT64_C(1) << 50);
    assert_true(kfi_operation_deadline(&operation) == KF_NO_DEADLINE);
    assert_int_equal(kfi_operation_awaited(&operation, KF_PENDING), KF_PENDING);
    kfi_operation_end(&operation);

    kfi_operation_init(&operation, UINT64_MAX, "No data key");
    kfi_operation_await(&operation, NULL);
    assert_int_equal(kfi_operation_awaited(&operation, KF_PENDING), KF_PENDING);
    kfi_operation_end(&operation);
    support_clock_real();
}

/* ---- Wakers ---- */

static void *wake_from_here(void *handle)
{
    kf_call_waker_wake(handle);
    return NULL;
}

static void wake_from_another_thread(struct kf_call_waker *handle)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_from_here, handle), 0);
    pthread_join(thread, NULL);
}

static void only_the_last_waker_is_woken_and_only_while_it_waits(void **state)
{
    (void)state;
    struct kfi_operation operation;
    struct bell first, second;
    bell_init(&first);
    bell_init(&second);
    const struct kf_waker one = bell_waker(&first), two = bell_waker(&second);
    kfi_operation_init(&operation, 0, "No data key");
    struct kf_call_waker *handle = kf_call_waker_of(&operation.call);

    /* Before the poll has returned another thread wakes, and this one makes a note of it. */
    kfi_operation_await(&operation, &one);
    wake_from_another_thread(handle);
    assert_int_equal(bell_rung(&first), 1);
    assert_int_equal(kfi_operation_awaited(&operation, KF_PENDING), KF_PENDING);
    assert_false(operation.woken);
    kfi_operation_await(&operation, &one);
    kf_call_waker_wake(handle);
    assert_int_equal(bell_rung(&first), 1);
    assert_int_equal(kfi_operation_awaited(&operation, KF_PENDING), KF_PENDING);
    assert_true(operation.woken);
    kf_call_waker_wake(handle);
    assert_int_equal(bell_rung(&first), 2);

    kfi_operation_await(&operation, &two);
    assert_int_equal(kfi_operation_awaited(&operation, KF_PENDING), KF_PENDING);
    kf_call_waker_wake(handle);
    assert_int_equal(bell_rung(&first), 2);
    assert_int_equal(bell_rung(&second), 1);

    kfi_operation_await(&operation, &two);
    assert_int_equal(kfi_operation_awaited(&operation, KF_OK), KF_OK);
    kf_call_waker_wake(handle);
    assert_int_equal(bell_rung(&second), 1);
    kf_call_waker_unref(handle);
    kfi_operation_end(&operation);
    bell_destroy(&first);
    bell_destroy(&second);
}

static void count_drop(void *count)
{
    ++*(unsigned *)count;
}

static void whatever_ends_it_ends_the_wait(void **state)
{
    (void)state;
    /* 0: it is freed; 1: it fails before it asks again, as a blocking poll on the internal thread does. */
    for (int way = 0; way < 2; way++) {
        struct kfi_operation operation;
        struct bell bell;
        bell_init(&bell);
        const struct kf_waker waker = bell_waker(&bell);
        unsigned dropped = 0;
        struct kf_io io = {.in = NULL};
        kfi_operation_init(&operation, 0, "No data key");
        struct kf_call_waker *handle = kf_call_waker_of(&operation.call);
        kfi_operation_await(&operation, &waker);
        kf_call_state_set(&operation.call, &dropped, count_drop);
        assert_int_equal(kfi_operation_awaited(&operation, KF_PENDING), KF_PENDING);
        if (way == 0)
            kfi_operation_end(&operation);
        else
            assert_int_equal(kfi_operation_leave(&operation, KF_E_USAGE, &io), KF_E_USAGE);
        assert_int_equal(dropped, 1);
        kf_call_waker_wake(handle);
        assert_int_equal(bell_rung(&bell), 0);
        if (way == 1)
            kfi_operation_end(&operation);
        assert_int_equal(dropped, 1);
        kf_call_waker_unref(handle);
        bell_destroy(&bell);
    }
}

/* ---- Fork ---- */

struct before_fork {
    struct kfi_operation fresh, pending, failed;
    unsigned dropped;
};

static bool is_refused(void *context)
{
    struct before_fork *before = context;
    bool right = kfi_operation_enter(&before->fresh) == KF_E_FORKED &&
                 before->fresh.error.code == KF_E_FORKED && strlen(before->fresh.error.text) > 0 &&
                 kfi_operation_enter(&before->pending) == KF_E_FORKED &&
                 kfi_operation_enter(&before->pending) == KF_E_FORKED &&
                 kfi_operation_enter(&before->failed) == KF_E_KEYS;
    kfi_operation_end(&before->fresh);
    kfi_operation_end(&before->pending);
    kfi_operation_end(&before->failed);
    if (before->dropped != 0) /* what was begun in the parent is left alone */
        return false;
    struct kfi_operation own;
    kfi_operation_init(&own, 0, "No data key");
    return right && kfi_operation_enter(&own) == KF_OK;
}

static void an_operation_is_over_in_a_child(void **state)
{
    (void)state;
    struct before_fork before = {.dropped = 0};
    kfi_operation_init(&before.fresh, 0, "No data key");
    kfi_operation_init(&before.pending, 1000, "No data key");
    kfi_operation_init(&before.failed, 0, "No data key");
    kfi_operation_await(&before.pending, NULL);
    kf_call_state_set(&before.pending.call, &before.dropped, count_drop);
    assert_int_equal(kfi_operation_awaited(&before.pending, KF_PENDING), KF_PENDING);
    struct kf_io io = {.in = NULL};
    kf_error_set(&before.failed.error, KF_E_KEYS, "It had failed.");
    assert_int_equal(kfi_operation_leave(&before.failed, KF_E_KEYS, &io), KF_E_KEYS);

    assert_true(support_in_child(is_refused, &before));

    /* The parent goes on. */
    assert_int_equal(kfi_operation_enter(&before.fresh), KF_OK);
    assert_int_equal(kfi_operation_enter(&before.pending), KF_OK);
    assert_int_equal(before.dropped, 0);
    kfi_operation_end(&before.fresh);
    kfi_operation_end(&before.pending);
    kfi_operation_end(&before.failed);
    assert_int_equal(before.dropped, 1);
}

/* ---- Output ---- */

static void claim(struct kfi_outlet *outlet, struct kf_io *io, const char *text)
{
    uint8_t *out = NULL;
    size_t length = strlen(text);
    assert_int_equal(kfi_outlet_claim(outlet, io, length, NULL, &out), KF_OK);
    if (length > 0)
        memcpy(out, text, length);
}

static void output_goes_straight_out_if_there_is_room(void **state)
{
    (void)state;
    struct kfi_outlet outlet = {.given = 0};
    uint8_t out[8] = {0};
    struct kf_io io = {.out = out, .out_room = sizeof out};
    claim(&outlet, &io, "abc");
    claim(&outlet, &io, "defgh");
    assert_int_equal(io.out_used, 8);
    assert_memory_equal(out, "abcdefgh", 8);
    assert_int_equal(outlet.waiting.length, 0);
    assert_true(kfi_outlet_drain(&outlet, &io));
    claim(&outlet, &io, "");
    assert_true(kfi_outlet_drain(&outlet, &io));
    kf_buf_free(&outlet.waiting);
}

static void output_waits_for_room_and_keeps_its_order(void **state)
{
    (void)state;
    struct kfi_outlet outlet = {.given = 0};
    uint8_t out[16] = {0};
    struct kf_io io = {.out = out, .out_room = 4};
    claim(&outlet, &io, "ab");
    claim(&outlet, &io, "cde"); /* does not fit */
    claim(&outlet, &io, "f");   /* would fit, but the one before it comes first */
    assert_int_equal(io.out_used, 2);
    assert_int_equal(outlet.waiting.length, 4);

    assert_false(kfi_outlet_drain(&outlet, &io));
    assert_int_equal(io.out_used, 4);
    assert_false(kfi_outlet_drain(&outlet, &io));
    for (size_t room = 5; room <= 6; room++) {
        io.out_room = room;
        assert_int_equal(kfi_outlet_drain(&outlet, &io), room == 6);
        assert_int_equal(io.out_used, room);
    }
    assert_memory_equal(out, "abcdef", 6);

    /* It is empty, so the next output goes straight out again. What waited is wiped. */
    assert_int_equal(outlet.waiting.length, 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(outlet.waiting.data[i], 0);
    io.out_room = 8;
    claim(&outlet, &io, "gh");
    assert_int_equal(io.out_used, 8);
    assert_memory_equal(out, "abcdefgh", 8);
    kf_buf_free(&outlet.waiting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_is_final_and_leaves_no_output),
        cmocka_unit_test(an_error_without_a_sentence_gets_one),
        cmocka_unit_test(a_deadline_counts_from_the_first_poll),
        cmocka_unit_test(an_answer_counts_however_late),
        cmocka_unit_test(only_the_last_waker_is_woken_and_only_while_it_waits),
        cmocka_unit_test(whatever_ends_it_ends_the_wait),
        cmocka_unit_test(an_operation_is_over_in_a_child),
        cmocka_unit_test(output_goes_straight_out_if_there_is_room),
        cmocka_unit_test(output_waits_for_room_and_keeps_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
