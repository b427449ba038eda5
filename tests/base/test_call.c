/*
 * Calls: the state, children, timers and wakers that a keyring or CMM has from poll to poll.
 */
#include "support/support.h"

#include "base/call.h"

/* States that note in which order they are dropped. */
static unsigned dropped;

struct state {
    unsigned at; /* 0: not dropped yet */
};

static void drop(void *context)
{
    struct state *state = context;
    assert_int_equal(state->at, 0);
    state->at = ++dropped;
}

static void state_is_kept_and_dropped_once(void **unused)
{
    (void)unused;
    struct kf_call call;
    struct state first = {0}, second = {0};
    dropped = 0;
    kfi_call_init(&call, NULL);
    assert_null(kf_call_state(&call));

    kf_call_state_set(&call, &first, drop);
    assert_ptr_equal(kf_call_state(&call), &first);
    kf_call_state_set(&call, &second, drop);
    assert_int_equal(first.at, 1);
    assert_ptr_equal(kf_call_state(&call), &second);
    kf_call_state_set(&call, NULL, NULL);
    assert_int_equal(second.at, 2);
    assert_null(kf_call_state(&call));

    /* A state that nobody has to drop. */
    kf_call_state_set(&call, &first, NULL);
    assert_ptr_equal(kf_call_state(&call), &first);
    kfi_call_end(&call);
    assert_int_equal(dropped, 2);
}

static void children_are_made_once_and_go_with_their_call(void **unused)
{
    (void)unused;
    struct kf_call call;
    struct state own = {0}, of_child[2] = {{0}, {0}}, of_grandchild = {0};
    dropped = 0;
    kfi_call_init(&call, NULL);
    struct kf_call *child = kf_call_child(&call, 0);
    assert_non_null(child);
    assert_ptr_equal(kf_call_child(&call, 0), child);
    kf_call_state_set(child, &of_child[0], drop);

    /* More children leave the first where it is. */
    for (size_t i = 1; i < 20; i++)
        assert_non_null(kf_call_child(&call, i));
    assert_ptr_equal(kf_call_child(&call, 0), child);
    assert_ptr_equal(kf_call_state(child), &of_child[0]);
    for (size_t i = 1; i < 20; i++) {
        assert_null(kf_call_state(kf_call_child(&call, i)));
        assert_ptr_not_equal(kf_call_child(&call, i), kf_call_child(&call, i - 1));
    }

    kf_call_state_set(kf_call_child(&call, 19), &of_child[1], drop);
    kf_call_state_set(kf_call_child(child, 3), &of_grandchild, drop);
    kf_call_state_set(&call, &own, drop);
    kfi_call_reset(&call);
    assert_int_equal(dropped, 4);
    assert_true(of_grandchild.at < of_child[0].at && of_child[0].at < of_child[1].at);
    assert_true(of_child[1].at <
                own.at); /* a wrapper is dropped last, because those it wraps may use its state */

    /* The node can be used again. */
    assert_null(kf_call_state(&call));
    assert_null(kf_call_state(kf_call_child(&call, 0)));
    kfi_call_end(&call);
}

static void every_node_wakes_who_drives_the_root(void **unused)
{
    (void)unused;
    struct bell first, second;
    bell_init(&first);
    bell_init(&second);
    const struct kf_waker one = bell_waker(&first), two = bell_waker(&second);
    struct kf_call call;
    kfi_call_init(&call, NULL);
    struct kf_call_waker *early = kf_call_waker_of(&call);
    assert_non_null(early);
    kf_call_waker_wake(early); /* nobody drives it yet */

    kfi_call_drive(&call, &one);
    struct kf_call_waker *deep = kf_call_waker_of(kf_call_child(kf_call_child(&call, 1), 2));
    kf_call_waker_wake(early);
    kf_call_waker_wake(deep);
    assert_int_equal(bell_rung(&first), 2);

    /* A second driver knows nothing of the first. */
    kfi_call_drive(&call, &two);
    kf_call_waker_wake(deep);
    assert_int_equal(bell_rung(&first), 2);
    assert_int_equal(bell_rung(&second), 1);
    kfi_call_drive(&call, NULL);
    kf_call_waker_wake(deep);
    assert_int_equal(bell_rung(&second), 1);
    kfi_call_drive(&call, &two);
    kf_call_waker_wake(deep);
    assert_int_equal(bell_rung(&second), 2);

    /* The handle of a node that has answered still wakes the others. */
    kfi_call_reset(kf_call_child(&call, 1));
    kf_call_waker_wake(deep);
    assert_int_equal(bell_rung(&second), 3);

    kfi_call_end(&call);
    kf_call_waker_wake(deep);
    kf_call_waker_wake(early);
    assert_int_equal(bell_rung(&second), 3);
    kf_call_waker_unref(deep);
    kf_call_waker_unref(early);
    bell_destroy(&first);
    bell_destroy(&second);
}

static void a_waker_that_is_asked_for_late_knows_the_driver(void **unused)
{
    (void)unused;
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    struct kf_call call;
    kfi_call_init(&call, NULL);
    kfi_call_drive(&call, &waker);
    struct kf_call_waker *handle = kf_call_waker_of(&call);
    kf_call_waker_wake(handle);
    assert_int_equal(bell_rung(&bell), 1);
    kf_call_waker_unref(handle);
    kfi_call_end(&call);
    bell_destroy(&bell);
}

static void each_node_has_a_timer(void **unused)
{
    (void)unused;
    support_clock_stop(1000);
    struct bell bell;
    bell_init(&bell);
    const struct kf_waker waker = bell_waker(&bell);
    struct kf_call call;
    kfi_call_init(&call, NULL);
    kfi_call_drive(&call, &waker);
    assert_int_equal(kf_call_wake_in(&call, 50), KF_OK);
    assert_int_equal(kf_call_wake_in(kf_call_child(&call, 0), 10), KF_OK);
    assert_int_equal(kf_call_wake_in(kf_call_child(&call, 1), 20), KF_OK);

    support_clock_advance(9);
    support_settle();
    assert_int_equal(bell_rung(&bell), 0);
    support_clock_advance(1);
    support_settle();
    assert_int_equal(bell_rung(&bell), 1);

    /* The second child answers, so that its timer is off. Setting one again replaces it. */
    kfi_call_reset(kf_call_child(&call, 1));
    assert_int_equal(kf_call_wake_in(&call, 100), KF_OK);
    support_clock_advance(99);
    support_settle();
    assert_int_equal(bell_rung(&bell), 1);
    support_clock_advance(1);
    support_settle();
    assert_int_equal(bell_rung(&bell), 2);

    /* At once, and never. */
    assert_int_equal(kf_call_wake_in(&call, 0), KF_OK);
    support_settle();
    assert_int_equal(bell_rung(&bell), 3);
    assert_int_equal(kf_call_wake_in(&call, UINT64_MAX), KF_OK);
    support_clock_advance(UINT64_C(1) << 60);
    support_settle();
    assert_int_equal(bell_rung(&bell), 3);

    assert_int_equal(kf_call_wake_in(&call, 10), KF_OK);
    kfi_call_end(&call);
    support_clock_advance(10);
    support_settle();
    assert_int_equal(bell_rung(&bell), 3);
    bell_destroy(&bell);
    kf_cleanup();
    support_clock_real();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_is_kept_and_dropped_once),
        cmocka_unit_test(children_are_made_once_and_go_with_their_call),
        cmocka_unit_test(every_node_wakes_who_drives_the_root),
        cmocka_unit_test(a_waker_that_is_asked_for_late_knows_the_driver),
        cmocka_unit_test(each_node_has_a_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
