/*
 * Flights: seats, driving and waking, with the simplest owner there can be. What the cache makes of them is
 * tested in tests/materials.
 */
#include "support/support.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/asking.h"

/* An owner of one flight at a time. */
static pthread_mutex_t owner_lock = PTHREAD_MUTEX_INITIALIZER;

/* A fetch that answers once it is told. */
struct fetch {
    struct kfi_flight flight; /* first */
    atomic_int answer;        /* KF_PENDING: not yet */
    atomic_uint polls;
    atomic_bool polled_on_internal;
    struct kf_call_waker *waker; /* made at the first poll */
    struct bell landed, destroyed;
    enum kf_code (*within)(struct fetch *fetch); /* instead of the answer; or NULL */
    bool brought;                                /* it ended with KF_OK */
    bool came_back, came_back_overdue;           /* as it was told */
};

static enum kf_code fetch_poll(struct kfi_flight *flight, struct kf_error *error)
{
    struct fetch *fetch = (struct fetch *)flight;
    if (atomic_fetch_add(&fetch->polls, 1) == 0)
        fetch->waker = kf_call_waker_of(&flight->call);
    atomic_store(&fetch->polled_on_internal, kfi_thread_is_internal());
    if (fetch->within != NULL)
        return fetch->within(fetch);
    enum kf_code code = (enum kf_code)atomic_load(&fetch->answer);
    fetch->brought = code == KF_OK;
    if (code < KF_OK)
        kf_error_set(error, code, "told");
    return code;
}

static void fetch_overdue(const struct kfi_flight *flight, struct kf_error *error)
{
    kf_error_set(error, KF_E_TIMEOUT, "The owner gave up after %llu ms.",
                 (unsigned long long)flight->timeout_ms);
}

static void ring(struct bell *bell)
{
    const struct kf_waker waker = bell_waker(bell);
    waker.wake(waker.context);
}

static void fetch_land(struct kfi_flight *flight)
{
    struct kfi_list seated;
    kfi_list_init(&seated);
    pthread_mutex_lock(&owner_lock);
    kfi_seats_land_locked(flight, &seated);
    pthread_mutex_unlock(&owner_lock);
    kfi_seats_deliver(&seated);
    ring(&((struct fetch *)flight)->landed);
}

static void fetch_came_back(struct kfi_flight *flight, bool overdue)
{
    struct fetch *fetch = (struct fetch *)flight;
    fetch->came_back = true;
    fetch->came_back_overdue = overdue;
}

static void fetch_destroy(struct kfi_flight *flight)
{
    ring(&((struct fetch *)flight)->destroyed);
}

static const struct kfi_flight_class fetch_class = {fetch_poll, fetch_overdue, fetch_land, fetch_came_back,
                                                    fetch_destroy};

static void fetch_init(struct fetch *fetch, enum kf_code answer, uint64_t timeout_ms)
{
    *fetch = (struct fetch){.answer = answer};
    bell_init(&fetch->landed);
    bell_init(&fetch->destroyed);
    kfi_flight_init(&fetch->flight, &fetch_class, timeout_ms);
}

static void fetch_answer(struct fetch *fetch, enum kf_code code)
{
    atomic_store(&fetch->answer, (int)code);
    kf_call_waker_wake(fetch->waker);
}

/* The memory is the test's. It may go only once the flight was destroyed, which this checks. */
static void fetch_end(struct fetch *fetch)
{
    assert_int_equal(bell_rung(&fetch->landed), 1);
    assert_int_equal(bell_rung(&fetch->destroyed), 1);
    kf_call_waker_unref(fetch->waker);
    bell_destroy(&fetch->landed);
    bell_destroy(&fetch->destroyed);
}

/* The class of these tests' seats has a size and nothing else. */
static const struct kfi_seat_class guest_class = {.size = sizeof(struct kfi_seat)};

/* A caller who has a seat. */
struct guest {
    struct kf_call call;
    struct bell bell;
    struct kfi_seat *seat;
};

static void guest_sit(struct guest *guest, struct fetch *fetch)
{
    bell_init(&guest->bell);
    kfi_call_init(&guest->call, NULL);
    const struct kf_waker waker = bell_waker(&guest->bell);
    kfi_call_drive(&guest->call, &waker);
    guest->seat = kfi_seat_new(&guest_class, &guest->call);
    assert_non_null(guest->seat);
    pthread_mutex_lock(&owner_lock);
    kfi_seat_take_locked(guest->seat, &fetch->flight);
    pthread_mutex_unlock(&owner_lock);
}

/* Answers whether a place became free. */
static bool guest_leave(struct guest *guest)
{
    pthread_mutex_lock(&owner_lock);
    bool left = kfi_seat_leave_locked(guest->seat);
    pthread_mutex_unlock(&owner_lock);
    kfi_seat_unref(guest->seat);
    kfi_call_end(&guest->call);
    bell_destroy(&guest->bell);
    return left;
}

static void what_answers_at_once_lands_inline_and_needs_no_thread(void **state)
{
    (void)state;
    unsigned threads = support_threads();
    struct fetch fetch;
    struct guest guest;
    fetch_init(&fetch, KF_OK, 1000);
    guest_sit(&guest, &fetch);
    kfi_flight_launch(&fetch.flight);
    assert_int_equal(bell_rung(&fetch.landed), 1);
    assert_int_equal(fetch.polls, 1);
    assert_false(fetch.polled_on_internal);
    assert_int_equal(support_threads(), threads);
    assert_int_equal(bell_rung(&guest.bell), 1);
    assert_int_equal(guest.seat->flight->code, KF_OK);
    assert_true(fetch.brought);
    assert_int_equal(bell_rung(&fetch.destroyed), 0);
    assert_false(guest_leave(&guest));
    fetch_end(&fetch);
}

static void what_is_not_done_goes_to_the_internal_thread(void **state)
{
    (void)state;
    struct fetch fetch;
    struct guest guests[3];
    fetch_init(&fetch, KF_PENDING, 1000000);
    for (size_t i = 0; i < 3; i++)
        guest_sit(&guests[i], &fetch);
    kfi_flight_launch(&fetch.flight);
    support_settle();
    assert_int_equal(fetch.polls, 1);

    kf_call_waker_wake(fetch.waker); /* for no reason */
    support_settle();
    assert_int_equal(fetch.polls, 2);
    assert_true(fetch.polled_on_internal);
    assert_int_equal(bell_rung(&fetch.landed), 0);

    fetch_answer(&fetch, KF_E_RETRY);
    for (size_t i = 0; i < 3; i++) {
        bell_wait(&guests[i].bell);
        assert_int_equal(guests[i].seat->flight->code, KF_E_RETRY);
        assert_string_equal(guests[i].seat->flight->error.text, "told");
    }
    support_settle();
    assert_int_equal(fetch.polls, 3);
    kf_call_waker_wake(fetch.waker); /* no caller is left */
    support_settle();
    assert_int_equal(fetch.polls, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(bell_rung(&fetch.destroyed), 0);
        assert_false(guest_leave(&guests[i]));
    }
    fetch_end(&fetch);
    kf_cleanup();
}

static enum kf_code wake_within(struct fetch *fetch)
{
    if (atomic_load(&fetch->polls) == 3)
        return KF_OK;
    kf_call_waker_wake(fetch->waker);
    return KF_PENDING;
}

static void a_wake_from_within_the_poll_is_not_lost(void **state)
{
    (void)state;
    struct fetch fetch;
    fetch_init(&fetch, KF_PENDING, 1000000);
    fetch.within = wake_within;
    kfi_flight_launch(&fetch.flight);
    bell_wait(&fetch.landed);
    ring(&fetch.landed);
    support_settle();
    assert_int_equal(fetch.polls, 3);
    fetch_end(&fetch);
    kf_cleanup();
}

static void a_seat_can_be_left_before_the_landing(void **state)
{
    (void)state;
    struct fetch fetch;
    struct guest guests[3];
    fetch_init(&fetch, KF_PENDING, 1000000);
    for (size_t i = 0; i < 3; i++)
        guest_sit(&guests[i], &fetch);
    kfi_flight_launch(&fetch.flight);
    assert_true(guest_leave(&guests[0]));
    assert_true(guest_leave(&guests[1]));
    fetch_answer(&fetch, KF_OK);
    bell_wait(&guests[2].bell);
    support_settle();
    assert_false(guest_leave(&guests[2]));
    fetch_end(&fetch);

    /* All callers leave; the flight lands nevertheless. */
    fetch_init(&fetch, KF_PENDING, 1000000);
    guest_sit(&guests[0], &fetch);
    kfi_flight_launch(&fetch.flight);
    assert_true(guest_leave(&guests[0]));
    support_settle();
    assert_int_equal(bell_rung(&fetch.destroyed), 0);
    fetch_answer(&fetch, KF_OK);
    support_settle();
    assert_true(fetch.brought);
    fetch_end(&fetch);
    kf_cleanup();
}

static void a_seat_that_was_never_taken_just_goes(void **state)
{
    (void)state;
    struct kf_call call;
    kfi_call_init(&call, NULL);
    struct kfi_seat *seat = kfi_seat_new(&guest_class, &call);
    assert_non_null(seat);
    assert_null(seat->flight);
    kfi_seat_unref(seat);
    kfi_seat_unref(NULL);
    kfi_call_end(&call);
}

static void a_fetch_has_its_own_time_limit(void **state)
{
    (void)state;
    support_clock_stop(5000);
    struct fetch fetch;
    struct guest guest;
    fetch_init(&fetch, KF_PENDING, 300);
    guest_sit(&guest, &fetch);
    kfi_flight_launch(&fetch.flight);
    support_clock_advance(299);
    support_settle();
    assert_int_equal(bell_rung(&guest.bell), 0);
    assert_int_equal(fetch.polls, 1);
    support_clock_advance(1);
    support_settle();
    assert_int_equal(bell_rung(&guest.bell), 1);
    assert_int_equal(guest.seat->flight->code, KF_E_TIMEOUT);
    assert_string_equal(guest.seat->flight->error.text, "The owner gave up after 300 ms.");
    /* The fetch was polled a last time. Its answer counts, however late it is. */
    assert_int_equal(fetch.polls, 2);
    assert_false(guest_leave(&guest));
    fetch_end(&fetch);

    fetch_init(&fetch, KF_PENDING, 300);
    guest_sit(&guest, &fetch);
    kfi_flight_launch(&fetch.flight);
    atomic_store(&fetch.answer, KF_OK); /* without a wake */
    support_clock_advance(300);
    bell_wait(&guest.bell);
    support_settle();
    assert_int_equal(guest.seat->flight->code, KF_OK);
    assert_false(guest_leave(&guest));
    fetch_end(&fetch);
    kf_cleanup();
    support_clock_real();
}

static void cleanup_fails_what_is_under_way(void **state)
{
    (void)state;
    struct fetch fetch;
    struct guest guest;
    fetch_init(&fetch, KF_PENDING, 1000000);
    guest_sit(&guest, &fetch);
    kfi_flight_launch(&fetch.flight);
    kf_cleanup();
    assert_int_equal(bell_rung(&guest.bell), 1);
    assert_int_equal(guest.seat->flight->code, KF_E_CLEANED_UP);
    assert_int_equal(guest.seat->flight->error.code, KF_E_CLEANED_UP);
    assert_int_equal(fetch.polls, 1);
    fetch_answer(&fetch, KF_OK); /* too late, and harmless */
    assert_false(guest_leave(&guest));
    fetch_end(&fetch);
}

static enum kf_code clean_up_within(struct fetch *fetch)
{
    (void)fetch;
    kf_cleanup(); /* as another thread might do while this one polls */
    return KF_PENDING;
}

static void cleanup_fails_what_has_not_been_handed_over_yet(void **state)
{
    (void)state;
    struct fetch fetch;
    struct guest guest;
    support_settle(); /* there is a thread to stop */
    fetch_init(&fetch, KF_PENDING, 1000000);
    fetch.within = clean_up_within;
    guest_sit(&guest, &fetch);
    kfi_flight_launch(&fetch.flight);
    assert_int_equal(bell_rung(&guest.bell), 1);
    assert_int_equal(guest.seat->flight->code, KF_E_CLEANED_UP);
    assert_false(guest_leave(&guest));
    fetch_end(&fetch);
    kf_cleanup();
}

static struct fetch late;

static enum kf_code launch_late(struct fetch *fetch)
{
    (void)fetch;
    return KF_PENDING;
}

static bool launch_run(struct kfi_task *task, bool stop)
{
    (void)task;
    if (stop)
        kfi_flight_launch(&late.flight);
    return stop;
}

static void what_cannot_be_handed_over_fails(void **state)
{
    (void)state;
    struct guest guest;
    struct kf_error error = KF_ERROR_INIT;
    struct kfi_task task;
    fetch_init(&late, KF_PENDING, 1000);
    late.within = launch_late;
    guest_sit(&guest, &late);
    kfi_task_init(&task, launch_run);
    assert_ok(kfi_task_hand_over(&task, &error), &error);
    kf_cleanup();
    assert_int_equal(bell_rung(&guest.bell), 1);
    assert_int_equal(guest.seat->flight->code, KF_E_CLEANED_UP);
    assert_false(guest_leave(&guest));
    fetch_end(&late);
}

/* ---- Polls that do not come back ---- */

/* A fetch whose first poll, by the opener on a thread of its own, is held until the test lets it go. */
static struct slow {
    struct fetch fetch;
    struct bell inside, let_go;
    enum kf_code answer;
    pthread_t opener;
} slow;

static enum kf_code poll_slowly(struct fetch *fetch)
{
    if (atomic_load(&fetch->polls) > 1)
        return KF_OK;
    ring(&slow.inside);
    bell_wait(&slow.let_go);
    return slow.answer;
}

static void *launch_slowly(void *flight)
{
    kfi_flight_launch(flight);
    return NULL;
}

/* With one guest, who has a seat and follows; the opener is inside its poll. */
static void slow_begin(enum kf_code answer, struct guest *guest)
{
    bell_init(&slow.inside);
    bell_init(&slow.let_go);
    slow.answer = answer;
    fetch_init(&slow.fetch, KF_PENDING, 300);
    slow.fetch.within = poll_slowly;
    guest_sit(guest, &slow.fetch);
    assert_int_equal(pthread_create(&slow.opener, NULL, launch_slowly, &slow.fetch.flight), 0);
    bell_wait(&slow.inside);
    assert_false(kfi_flight_is_driven(&slow.fetch.flight));
    kfi_flight_follow(&slow.fetch.flight);
    assert_true(kfi_flight_is_driven(&slow.fetch.flight));
    kfi_flight_follow(&slow.fetch.flight);
}

static void slow_let_go(void)
{
    ring(&slow.let_go);
    assert_int_equal(pthread_join(slow.opener, NULL), 0);
}

static void slow_end(void)
{
    fetch_end(&slow.fetch);
    bell_destroy(&slow.inside);
    bell_destroy(&slow.let_go);
    kf_cleanup();
}

static void whoever_follows_leaves_when_the_time_is_over(void **state)
{
    (void)state;
    static const enum kf_code answers[] = {KF_OK, KF_E_RETRY, KF_PENDING};
    for (size_t i = 0; i < 3; i++) {
        struct guest guest;
        support_clock_stop(5000);
        slow_begin(answers[i], &guest);
        support_clock_advance(299);
        support_settle();
        assert_int_equal(bell_rung(&guest.bell), 0);
        support_clock_advance(1);
        support_settle();
        assert_int_equal(bell_rung(&guest.bell), 1);
        assert_int_equal(guest.seat->flight->code, KF_E_TIMEOUT);
        assert_string_equal(guest.seat->flight->error.text, "The owner gave up after 300 ms.");
        assert_true(guest.seat->flight->stuck);
        assert_false(guest_leave(&guest));
        assert_int_equal(bell_rung(&slow.fetch.destroyed), 0);
        assert_false(slow.fetch.came_back);
        slow_let_go();
        assert_true(slow.fetch.came_back && slow.fetch.came_back_overdue);
        assert_int_equal(slow.fetch.polls, 1);
        slow_end();
        support_clock_real();
    }
}

static void whoever_follows_is_served_in_time(void **state)
{
    (void)state;
    struct guest guest;
    slow_begin(KF_OK, &guest);
    slow_let_go();
    assert_int_equal(bell_rung(&guest.bell), 1);
    assert_int_equal(guest.seat->flight->code, KF_OK);
    assert_false(guest_leave(&guest));
    assert_false(slow.fetch.came_back);
    slow_end(); /* it was destroyed without a turn of the internal thread */
}

static void a_wake_during_a_poll_that_is_followed_is_not_lost(void **state)
{
    (void)state;
    struct guest guest;
    slow_begin(KF_PENDING, &guest);
    kf_call_waker_wake(slow.fetch.waker);
    support_settle();
    assert_int_equal(slow.fetch.polls, 1); /* polls never overlap */
    slow_let_go();
    bell_wait(&guest.bell);
    support_settle();
    assert_int_equal(slow.fetch.polls, 2);
    assert_int_equal(guest.seat->flight->code, KF_OK);
    assert_false(guest_leave(&guest));
    slow_end();
}

static void cleanup_fails_what_is_inside_a_poll(void **state)
{
    (void)state;
    struct guest guest;
    slow_begin(KF_OK, &guest);
    kf_cleanup();
    assert_int_equal(bell_rung(&guest.bell), 1);
    assert_int_equal(guest.seat->flight->code, KF_E_CLEANED_UP);
    assert_false(guest.seat->flight->stuck);
    assert_false(guest_leave(&guest));
    slow_let_go();
    assert_true(slow.fetch.came_back && !slow.fetch.came_back_overdue);
    slow_end();
}

static void *follow_thread(void *flight)
{
    kfi_flight_follow(flight);
    kfi_flight_unref(flight);
    return NULL;
}

static enum kf_code answer_at_once(struct fetch *fetch)
{
    (void)fetch;
    sched_yield();
    return KF_OK;
}

static void following_and_landing_meet(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        struct fetch fetch;
        struct guest guest;
        pthread_t thread;
        fetch_init(&fetch, KF_OK, 1000000);
        fetch.within = answer_at_once;
        guest_sit(&guest, &fetch);
        kfi_refs_add(&fetch.flight.refs, 1);
        assert_int_equal(pthread_create(&thread, NULL, follow_thread, &fetch.flight), 0);
        for (int k = 0; k < i % 10; k++)
            sched_yield();
        kfi_flight_launch(&fetch.flight);
        pthread_join(thread, NULL);
        assert_int_equal(guest.seat->flight->code, KF_OK);
        assert_false(guest_leave(&guest));
        support_settle();
        fetch_end(&fetch);
    }
    kf_cleanup();
}

/* ---- Callers inside of a fetch ---- */

/* A question that one flight will answer. */
struct sought {
    struct kfi_asking asking; /* first */
    const struct kfi_flight *flight;
};

static bool brings(const struct kfi_flight *flight, const struct kfi_asking *asking)
{
    return flight == KFI_CONTAINER(asking, struct sought, asking)->flight;
}

static bool encloses(struct kf_call *call, const struct fetch *fetch)
{
    static const struct kfi_asking_class class = {.brings = brings};
    const struct sought sought = {.asking = {.class = &class, .call = call}, .flight = &fetch->flight};
    return kfi_asking_is_inside(&sought.asking);
}

static struct {
    struct fetch outer, inner;
    bool inside_outer, inside_inner, through_call, child_through_call, other_thread, outer_in_inner;
} nest;

static void *ask_elsewhere(void *call)
{
    nest.other_thread = encloses(call, &nest.outer);
    return NULL;
}

static enum kf_code poll_inner(struct fetch *fetch)
{
    (void)fetch;
    struct kf_call call;
    kfi_call_init(&call, NULL);
    nest.inside_inner = encloses(&call, &nest.inner);
    nest.outer_in_inner = encloses(&call, &nest.outer);
    return KF_OK;
}

static enum kf_code poll_outer(struct fetch *fetch)
{
    (void)fetch;
    struct kf_call call;
    kfi_call_init(&call, NULL);
    nest.inside_outer = encloses(&call, &nest.outer) && !encloses(&call, &nest.inner);
    pthread_t thread;
    if (pthread_create(&thread, NULL, ask_elsewhere, &call) == 0)
        pthread_join(thread, NULL);
    kfi_flight_launch(&nest.inner.flight);
    nest.inside_outer = nest.inside_outer && encloses(&call, &nest.outer) && !encloses(&call, &nest.inner);
    return KF_OK;
}

static void a_fetch_encloses_what_is_asked_within_it(void **state)
{
    (void)state;
    struct kf_call call;
    kfi_call_init(&call, NULL);
    nest.other_thread = true;
    fetch_init(&nest.outer, KF_OK, 1000);
    fetch_init(&nest.inner, KF_OK, 1000);
    nest.outer.within = poll_outer;
    nest.inner.within = poll_inner;
    assert_false(encloses(&call, &nest.outer));
    /* Found by the call, on any thread. */
    struct kf_call *child = kf_call_child(kf_call_child(&nest.outer.flight.call, 0), 1);
    assert_true(encloses(&nest.outer.flight.call, &nest.outer));
    assert_true(encloses(child, &nest.outer));
    assert_false(encloses(child, &nest.inner));
    /* Found by the thread. */
    kfi_flight_launch(&nest.outer.flight);
    assert_true(nest.inside_outer);
    assert_true(nest.inside_inner);
    assert_true(nest.outer_in_inner);
    assert_false(nest.other_thread);
    assert_false(encloses(&call, &nest.outer));
    fetch_end(&nest.outer);
    fetch_end(&nest.inner);
}

/* ---- Leaving during the landing ---- */

static void *answer_thread(void *fetch)
{
    fetch_answer(fetch, KF_OK);
    return NULL;
}

static void leaving_and_landing_agree_on_who_was_first(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct fetch fetch;
        struct guest guests[2];
        fetch_init(&fetch, KF_PENDING, 1000000);
        guest_sit(&guests[0], &fetch);
        guest_sit(&guests[1], &fetch);
        kfi_flight_launch(&fetch.flight);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, answer_thread, &fetch), 0);
        for (int k = 0; k < i % 10; k++)
            sched_yield();
        pthread_mutex_lock(&owner_lock);
        bool landed = fetch.flight.landed;
        pthread_mutex_unlock(&owner_lock);
        bool left = guest_leave(&guests[0]);
        if (landed)
            assert_false(left);
        pthread_join(thread, NULL);
        bell_wait(&guests[1].bell);
        support_settle();
        assert_false(guest_leave(&guests[1]));
        fetch_end(&fetch);
    }
    kf_cleanup();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            what_answers_at_once_lands_inline_and_needs_no_thread), /* first: there is no thread yet */
        cmocka_unit_test(what_is_not_done_goes_to_the_internal_thread),
        cmocka_unit_test(a_wake_from_within_the_poll_is_not_lost),
        cmocka_unit_test(a_seat_can_be_left_before_the_landing),
        cmocka_unit_test(a_seat_that_was_never_taken_just_goes),
        cmocka_unit_test(a_fetch_has_its_own_time_limit),
        cmocka_unit_test(whoever_follows_leaves_when_the_time_is_over),
        cmocka_unit_test(whoever_follows_is_served_in_time),
        cmocka_unit_test(a_wake_during_a_poll_that_is_followed_is_not_lost),
        cmocka_unit_test(cleanup_fails_what_is_inside_a_poll),
        cmocka_unit_test(following_and_landing_meet),
        cmocka_unit_test(cleanup_fails_what_is_under_way),
        cmocka_unit_test(cleanup_fails_what_has_not_been_handed_over_yet),
        cmocka_unit_test(what_cannot_be_handed_over_fails),
        cmocka_unit_test(a_fetch_encloses_what_is_asked_within_it),
        cmocka_unit_test(leaving_and_landing_agree_on_who_was_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
