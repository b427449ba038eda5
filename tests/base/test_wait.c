/*
 * Waiting: the one place where a caller sleeps. The operation that is polled here answers after a number of
 * polls, and is woken in every order.
 */
#include "support/support.h"

#include <stdatomic.h>

#include "base/thread.h"
#include "base/wait.h"

/* An operation that is done at its n-th poll. */
struct slow {
    unsigned polls_needed, polls;
    enum kf_code answer;
    uint64_t deadline;
    bool wakes_within; /* each poll fires its waker before it returns */
    struct kf_waker waker;
    bool same_waker; /* at every poll */
    struct bell polled;
};

static enum kf_code slow_poll(void *operation, const struct kf_waker *waker)
{
    struct slow *slow = operation;
    assert_non_null(waker);
    slow->same_waker =
        slow->polls == 0 || (slow->waker.wake == waker->wake && slow->waker.context == waker->context);
    slow->waker = *waker;
    slow->polls++;
    if (slow->wakes_within) {
        waker->wake(waker->context);
        waker->wake(waker->context);
    }
    enum kf_code code = slow->polls >= slow->polls_needed ? slow->answer : KF_PENDING;
    const struct kf_waker polled = bell_waker(&slow->polled);
    polled.wake(polled.context);
    return code;
}

static uint64_t slow_deadline(const void *operation)
{
    return ((const struct slow *)operation)->deadline;
}

static const struct kfi_pollable slow_kind = {slow_poll, slow_deadline};

static void slow_init(struct slow *slow, unsigned polls_needed, enum kf_code answer)
{
    *slow = (struct slow){.polls_needed = polls_needed, .answer = answer, .deadline = UINT64_MAX};
    bell_init(&slow->polled);
}

static void who_answers_at_once_is_not_waited_for(void **state)
{
    (void)state;
    static const enum kf_code codes[] = {KF_OK, KF_WANT_INPUT, KF_WANT_OUTPUT, KF_E_KEYS};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct slow slow;
        slow_init(&slow, 1, codes[i]);
        assert_int_equal(kfi_wait(&slow_kind, &slow, NULL), codes[i]);
        assert_int_equal(slow.polls, 1);
        bell_destroy(&slow.polled);
    }
}

static void a_waker_that_fires_within_the_poll_counts(void **state)
{
    (void)state;
    struct slow slow;
    slow_init(&slow, 5, KF_OK);
    slow.wakes_within = true;
    assert_int_equal(kfi_wait(&slow_kind, &slow, NULL), KF_OK);
    assert_int_equal(slow.polls, 5);
    assert_true(slow.same_waker);
    bell_destroy(&slow.polled);
}

static void *wait_thread(void *operation)
{
    return (void *)(intptr_t)kfi_wait(&slow_kind, operation, NULL);
}

static void every_wake_is_a_poll_and_only_the_answer_ends_it(void **state)
{
    (void)state;
    struct slow slow;
    slow_init(&slow, 4, KF_E_REMOTE);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_thread, &slow), 0);
    /* Only the last of these wakes has a reason. */
    for (int i = 0; i < 3; i++) {
        bell_wait(&slow.polled);
        slow.waker.wake(slow.waker.context);
    }
    void *code;
    pthread_join(thread, &code);
    assert_int_equal((intptr_t)code, KF_E_REMOTE);
    assert_int_equal(slow.polls, 4);
    bell_destroy(&slow.polled);
}

static void a_deadline_is_a_poll_without_a_wake(void **state)
{
    (void)state;
    struct slow slow;
    slow_init(&slow, 3, KF_E_TIMEOUT);
    slow.deadline = 1;
    assert_int_equal(kfi_wait(&slow_kind, &slow, NULL), KF_E_TIMEOUT);
    assert_int_equal(slow.polls, 3);
    slow.deadline = 0;
    slow.polls = 0;
    assert_int_equal(kfi_wait(&slow_kind, &slow, NULL), KF_E_TIMEOUT);
    bell_destroy(&slow.polled);
}

/* ---- On the internal thread ---- */

struct waiting_task {
    struct kfi_task task; /* first */
    struct slow slow;
    struct kf_error error;
    enum kf_code code;
};

static bool waiting_run(struct kfi_task *task, bool stop)
{
    (void)stop;
    struct waiting_task *waiting = (struct waiting_task *)task;
    waiting->code = kfi_wait(&slow_kind, &waiting->slow, &waiting->error);
    return true;
}

static void nobody_waits_on_the_internal_thread(void **state)
{
    (void)state;
    struct waiting_task waiting = {.code = KF_OK};
    struct kf_error error = KF_ERROR_INIT;
    slow_init(&waiting.slow, 1, KF_OK);
    kfi_task_init(&waiting.task, waiting_run);
    kfi_task_wake(&waiting.task);
    assert_ok(kfi_task_hand_over(&waiting.task, &error), &error);
    support_settle();
    assert_int_equal(waiting.code, KF_E_USAGE);
    assert_int_equal(waiting.error.code, KF_E_USAGE);
    assert_non_null(strstr(waiting.error.text, "internal thread"));
    assert_int_equal(waiting.slow.polls, 0);
    bell_destroy(&waiting.slow.polled);
    kf_cleanup();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_answers_at_once_is_not_waited_for),
        cmocka_unit_test(a_waker_that_fires_within_the_poll_counts),
        cmocka_unit_test(every_wake_is_a_poll_and_only_the_answer_ends_it),
        cmocka_unit_test(a_deadline_is_a_poll_without_a_wake),
        cmocka_unit_test(nobody_waits_on_the_internal_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
