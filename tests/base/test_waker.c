/*
 * Wakers: the place where one is kept for others to wake, and the promise that a replaced one is over.
 */
#include "support/support.h"

#include <sched.h>
#include <stdatomic.h>

#include "base/waker.h"

static void count(void *context)
{
    atomic_fetch_add((atomic_uint *)context, 1);
}

static void a_place_wakes_who_is_in_it(void **state)
{
    (void)state;
    atomic_uint first = 0, second = 0;
    const struct kf_waker one = {count, &first}, two = {count, &second};
    struct kf_call_waker *place = kfi_waker_new();
    assert_non_null(place);

    kf_call_waker_wake(place); /* nobody */
    kfi_waker_set(place, &one);
    kf_call_waker_wake(place);
    kf_call_waker_wake(place);
    assert_int_equal(first, 2);

    kfi_waker_set(place, &two);
    kf_call_waker_wake(place);
    assert_int_equal(first, 2);
    assert_int_equal(second, 1);

    kfi_waker_set(place, NULL);
    kf_call_waker_wake(place);
    assert_int_equal(first, 2);
    assert_int_equal(second, 1);
    kf_call_waker_unref(place);
}

static void a_place_lives_as_long_as_its_last_reference(void **state)
{
    (void)state;
    atomic_uint rung = 0;
    const struct kf_waker waker = {count, &rung};
    struct kf_call_waker *place = kfi_waker_new();
    assert_ptr_equal(kf_call_waker_ref(place), place);
    kfi_waker_set(place, &waker);
    kf_call_waker_unref(place);
    kf_call_waker_wake(place);
    assert_int_equal(rung, 1);
    kf_call_waker_unref(place);

    assert_null(kf_call_waker_ref(NULL));
    kf_call_waker_unref(NULL);
}

/* A waker whose function is held up once. */
struct held_up {
    pthread_mutex_t gate;
    atomic_uint entered;
    atomic_bool finished;
};

static void wake_held_up(void *context)
{
    struct held_up *held = context;
    if (atomic_fetch_add(&held->entered, 1) > 0)
        return;
    pthread_mutex_lock(&held->gate);
    pthread_mutex_unlock(&held->gate);
    atomic_store(&held->finished, true);
}

static void *wake_thread(void *place)
{
    kf_call_waker_wake(place);
    return NULL;
}

struct setting {
    struct kf_call_waker *place;
    const struct kf_waker *waker;
    struct held_up *former;
    bool former_had_finished; /* when kfi_waker_set has returned */
};

static void *set_thread(void *context)
{
    struct setting *setting = context;
    kfi_waker_set(setting->place, setting->waker);
    setting->former_had_finished = atomic_load(&setting->former->finished);
    return NULL;
}

static void who_replaces_a_waker_waits_until_it_is_over(void **state)
{
    (void)state;
    struct held_up held = {.gate = PTHREAD_MUTEX_INITIALIZER};
    atomic_uint rung = 0;
    const struct kf_waker former = {wake_held_up, &held}, latter = {count, &rung};
    struct kf_call_waker *place = kfi_waker_new();
    kfi_waker_set(place, &former);

    pthread_mutex_lock(&held.gate);
    pthread_t waking, setting_thread;
    assert_int_equal(pthread_create(&waking, NULL, wake_thread, place), 0);
    while (atomic_load(&held.entered) == 0)
        sched_yield();
    struct setting setting = {place, &latter, &held, false};
    assert_int_equal(pthread_create(&setting_thread, NULL, set_thread, &setting), 0);
    /* Once the new waker rings, the other thread can only wait for the old one. */
    while (atomic_load(&rung) == 0) {
        kf_call_waker_wake(place);
        sched_yield();
    }
    unsigned entered = atomic_load(&held.entered);
    kf_call_waker_wake(place);
    assert_int_equal(atomic_load(&held.entered), entered);
    for (int i = 0; i < 100; i++)
        sched_yield();
    pthread_mutex_unlock(&held.gate);
    pthread_join(setting_thread, NULL);
    pthread_join(waking, NULL);
    assert_true(setting.former_had_finished);
    assert_true(atomic_load(&rung) >= 2);
    kf_call_waker_unref(place);
}

/* A waker on the stack of the caller who set it, as blocking callers have. */
struct shared {
    struct kf_call_waker *place;
    atomic_bool over;
    atomic_uint strays;
};

struct on_stack {
    struct shared *shared;
    atomic_bool valid;
};

static void wake_on_stack(void *context)
{
    struct on_stack *on_stack = context;
    if (!atomic_load(&on_stack->valid))
        atomic_fetch_add(&on_stack->shared->strays, 1);
}

static void *wake_often(void *context)
{
    struct shared *shared = context;
    while (!atomic_load(&shared->over))
        kf_call_waker_wake(shared->place);
    return NULL;
}

static void no_wake_comes_late_while_wakers_come_and_go(void **state)
{
    (void)state;
    struct shared shared = {.place = kfi_waker_new()};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wake_often, &shared), 0);
    struct on_stack on_stack[2] = {{.shared = &shared}, {.shared = &shared}};
    for (unsigned i = 0; i < 5000; i++) {
        struct on_stack *now = &on_stack[i % 2], *before = &on_stack[(i + 1) % 2];
        const struct kf_waker waker = {wake_on_stack, now};
        atomic_store(&now->valid, true);
        kfi_waker_set(shared.place, i % 7 == 0 ? NULL : &waker);
        atomic_store(&before->valid, false); /* from here on no thread may be in it */
    }
    kfi_waker_set(shared.place, NULL);
    atomic_store(&shared.over, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(shared.strays, 0);
    kf_call_waker_unref(shared.place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_wakes_who_is_in_it),
        cmocka_unit_test(a_place_lives_as_long_as_its_last_reference),
        cmocka_unit_test(who_replaces_a_waker_waits_until_it_is_over),
        cmocka_unit_test(no_wake_comes_late_while_wakers_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
