/*
 * Fork: a child notices what it inherited, remakes it once, and leaves what is its parent's alone.
 */
#include "support/support.h"

#include <sched.h>
#include <stdatomic.h>

#include "base/fork.h"
#include "base/thread.h"
#include "base/waker.h"

static unsigned parent_generation;

static bool is_two_more(void *unused)
{
    (void)unused;
    return kfi_fork_generation() == parent_generation + 2;
}

static bool is_one_more(void *unused)
{
    return kfi_fork_generation() == parent_generation + 1 && support_in_child(is_two_more, unused) &&
           kfi_fork_generation() == parent_generation + 1;
}

static void every_fork_is_a_generation(void **state)
{
    (void)state;
    assert_int_equal(kfi_fork_ready(NULL), KF_OK);
    parent_generation = kfi_fork_generation();
    assert_true(support_in_child(is_one_more, NULL));
    assert_true(support_in_child(is_one_more, NULL));
    assert_int_equal(kfi_fork_generation(), parent_generation);
}

/* Something that is shared, and counts how often it was remade. */
struct shared {
    struct kfi_fork_guard guard;
    atomic_uint resets;
    atomic_bool whole; /* false while it is being remade */
};

static void remake(void *context)
{
    struct shared *shared = context;
    atomic_store(&shared->whole, false);
    atomic_fetch_add(&shared->resets, 1);
    for (int i = 0; i < 200; i++)
        sched_yield();
    atomic_store(&shared->whole, true);
}

static void check(struct shared *shared)
{
    kfi_fork_guard_check(&shared->guard, remake, shared);
}

static bool remakes_it_again(void *context)
{
    struct shared *shared = context;
    check(shared);
    check(shared);
    return shared->resets == 2;
}

static bool remakes_it_once(void *context)
{
    struct shared *shared = context;
    check(shared);
    check(shared);
    if (shared->resets != 1 || !support_in_child(remakes_it_again, shared))
        return false;
    check(shared);
    struct shared own = {.whole = true};
    kfi_fork_guard_init(&own.guard);
    check(&own);
    return shared->resets == 1 && own.resets == 0;
}

static void a_child_remakes_what_it_inherited_once(void **state)
{
    (void)state;
    struct shared shared = {.whole = true};
    kfi_fork_guard_init(&shared.guard);
    check(&shared);
    assert_int_equal(shared.resets, 0);
    assert_true(support_in_child(remakes_it_once, &shared));
    check(&shared);
    assert_int_equal(shared.resets, 0);
}

/* ---- With threads in the child ---- */

#define USERS 8

static void *use(void *context)
{
    struct shared *shared = context;
    check(shared);
    return (void *)(intptr_t)(atomic_load(&shared->whole) && atomic_load(&shared->resets) == 1);
}

static bool many_use_it(void *context)
{
    pthread_t threads[USERS];
    bool right = true;
    for (size_t i = 0; i < USERS; i++) {
        if (pthread_create(&threads[i], NULL, use, context) != 0)
            return false;
    }
    for (size_t i = 0; i < USERS; i++) {
        void *answer;
        pthread_join(threads[i], &answer);
        right = right && answer != NULL;
    }
    return right;
}

static void all_users_wait_until_it_is_remade(void **state)
{
    (void)state;
    if (!SUPPORT_THREADS_IN_CHILDREN)
        skip();
    struct shared shared = {.whole = false};
    kfi_fork_guard_init(&shared.guard);
    assert_true(support_in_child(many_use_it, &shared));
}

static atomic_bool reached, released;

static void remake_held_up(void *unused)
{
    (void)unused;
    atomic_store(&reached, true);
    while (!atomic_load(&released))
        sched_yield();
}

static void *use_held_up(void *guard)
{
    kfi_fork_guard_check(guard, remake_held_up, NULL);
    return NULL;
}

static bool remakes_its_own(void *context)
{
    struct shared *shared = context;
    check(shared);
    return shared->resets == 1;
}

/* Forks while another thread is remaking it and holds the reset lock. */
static bool forks_meanwhile(void *context)
{
    struct kfi_fork_guard held_up = {0};
    pthread_t thread;
    if (pthread_create(&thread, NULL, use_held_up, &held_up) != 0)
        return false;
    while (!atomic_load(&reached))
        sched_yield();
    bool right = support_in_child(remakes_its_own, context);
    atomic_store(&released, true);
    pthread_join(thread, NULL);
    return right;
}

static void a_fork_in_the_middle_of_remaking_does_no_harm(void **state)
{
    (void)state;
    if (!SUPPORT_THREADS_IN_CHILDREN)
        skip();
    struct shared shared = {.whole = true};
    kfi_fork_guard_init(&shared.guard);
    assert_true(support_in_child(forks_meanwhile, &shared));
}

/* ---- Wakers, timers and the thread ---- */

struct inherited {
    struct bell bell;
    struct kf_call_waker *place;
    struct kfi_timer timer;
};

static bool leaves_them_alone(void *context)
{
    struct inherited *inherited = context;
    kf_call_waker_wake(inherited->place);
    kfi_waker_set(inherited->place, NULL);
    kfi_timer_cancel(&inherited->timer);
    kf_call_waker_unref(kf_call_waker_ref(inherited->place));
    return bell_rung(&inherited->bell) == 0 && !kfi_thread_is_internal();
}

static bool has_a_thread_of_its_own(void *context)
{
    struct inherited *inherited = context;
    struct inherited own = {.place = kfi_waker_new()};
    bell_init(&own.bell);
    const struct kf_waker waker = bell_waker(&own.bell);
    kfi_waker_set(own.place, &waker);
    if (kfi_timer_set(&own.timer, 0, own.place, NULL) != KF_OK)
        return false;
    bell_wait(&own.bell);
    /* The inherited timer is due as well, but not here. */
    support_clock_advance(1000000);
    if (kfi_timer_set(&own.timer, 0, own.place, NULL) != KF_OK)
        return false;
    bell_wait(&own.bell);
    kf_cleanup();
    kfi_waker_set(own.place, NULL);
    kf_call_waker_unref(own.place);
    return bell_rung(&inherited->bell) == 0;
}

static void what_a_child_inherited_is_left_alone(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct inherited inherited = {.place = kfi_waker_new()};
    struct kf_error error = KF_ERROR_INIT;
    bell_init(&inherited.bell);
    const struct kf_waker waker = bell_waker(&inherited.bell);
    kfi_waker_set(inherited.place, &waker);
    assert_ok(kfi_timer_set(&inherited.timer, 2000, inherited.place, &error), &error);
    support_settle();

    assert_true(support_in_child(leaves_them_alone, &inherited));
    if (SUPPORT_THREADS_IN_CHILDREN)
        assert_true(support_in_child(has_a_thread_of_its_own, &inherited));

    /* The parent notices nothing. */
    assert_int_equal(bell_rung(&inherited.bell), 0);
    kf_call_waker_wake(inherited.place);
    assert_int_equal(bell_rung(&inherited.bell), 1);
    support_clock_advance(1000);
    support_settle();
    assert_int_equal(bell_rung(&inherited.bell), 2);
    kfi_waker_set(inherited.place, NULL);
    kf_call_waker_unref(inherited.place);
    bell_destroy(&inherited.bell);
    kf_cleanup();
    support_clock_real();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fork_is_a_generation),
        cmocka_unit_test(a_child_remakes_what_it_inherited_once),
        cmocka_unit_test(all_users_wait_until_it_is_remade),
        cmocka_unit_test(a_fork_in_the_middle_of_remaking_does_no_harm),
        cmocka_unit_test(what_a_child_inherited_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
